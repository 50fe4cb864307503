//! `bpe encode`.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use atomic_file::AtomicFile;
use user_error::UserError;

use super::inputs::OpenedInputs;
use super::{beside, check_usage, is_special, stop_on_ctrl_c};
use crate::input::Batch;
use crate::tokens::{IdWidth, TokenFormat, TokenLayout, llmc_header, write_megatron_index};
use crate::{Encoder, Specials, TokenId};

/// Flags of `bpe encode`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    /// File for the ids; `-` for standard output with --format ids.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    tokenizer: super::TokenizerName,
    /// Format of the output.
    #[arg(long, value_enum, default_value = "nanogpt")]
    format: TokenFormat,
    #[command(flatten)]
    specials: super::SpecialTokens,
    /// The added token between documents. [default: <|endoftext|>, or the tokenizer's like of it]
    #[arg(long, value_name = "TOKEN")]
    end_of_text: Option<String>,
    /// Print a summary as JSON on standard output.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let specials = arguments.specials.mode();
    let tokenizer = arguments.tokenizer.load_with_end(arguments.end_of_text.clone())?;
    let end_of_text = match tokenizer.end_of_text() {
        Some(id) => id,
        // Lines of ids end without it.
        None if arguments.format == TokenFormat::Ids => TokenId(0),
        None => return Err(NoEndOfText.into()),
    };
    let inputs = arguments.inputs.opened(tokenizer.cuts(specials))?;
    check_outputs(arguments, &inputs)?;
    let encoder = Encoder::new(&tokenizer);
    let inputs = inputs.with_encoder(&encoder, specials);
    let stop = stop_on_ctrl_c()?;
    let layout = TokenLayout { format: arguments.format, width: IdWidth::of_vocabulary(tokenizer.vocab_size()) };
    let mut writer = TokenWriter::create(&arguments.output, layout)?;
    let worker = || {
        let mut job = Job { encoder: encoder.clone(), specials, layout, end_of_text, ids: Vec::new() };
        move |batch: Batch| job.encode(&batch)
    };
    inputs.map(&stop, worker, |encoded| writer.push(&encoded))?;
    let (documents, text_bytes) = (writer.lengths.len() as u64, writer.text_bytes);
    let tokens = writer.tokens;
    writer.finish()?;
    let skipped = inputs.warn_of_skipped();
    if arguments.json {
        let mut summary = serde_json::json!({"documents": documents, "tokens": tokens, "bytes": text_bytes, "dtype": layout.width.dtype()});
        if let Some(rows) = skipped {
            summary["bad_rows"] = rows.into();
        }
        console::out!("{summary}")?;
    } else {
        let [documents, bytes, tokens] =
            [(documents, "document"), (text_bytes, "byte"), (tokens, "token")].map(|(n, noun)| console::count(n, noun));
        tracing::info!("{documents}, {bytes}, {tokens}");
    }
    Ok(())
}

/// A tokenizer without a token to put between documents.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer has no <|endoftext|>, or another like it, to put between documents")]
pub struct NoEndOfText;

impl UserError for NoEndOfText {
    fn hint(&self) -> Option<String> {
        Some("name one of its added tokens with --end-of-text, or use --format ids".to_owned())
    }
}

/// No output may be an input or the tokenizer's file.
fn check_outputs(arguments: &Arguments, inputs: &OpenedInputs) -> Result<(), console::Usage> {
    let output = &arguments.output;
    let mut outputs = vec![output.clone()];
    if arguments.format != TokenFormat::Ids {
        outputs.push(beside(output, ".offsets"));
    }
    if arguments.format == TokenFormat::Megatron {
        outputs.push(output.with_extension("idx"));
    }
    let tokenizer = arguments.tokenizer.file();
    console::check_outputs(inputs.paths().chain(tokenizer.as_deref()), outputs.iter().map(PathBuf::as_path))
}

/// A batch in the output format.
struct Encoded {
    bytes: Vec<u8>,
    /// Tokens of each document, or of the part of it that the batch holds.
    lengths: Vec<u64>,
    /// Whether the first length is of a document that an earlier batch began.
    is_continuation: bool,
    text_bytes: u64,
}

/// What a worker encodes with.
struct Job<'e> {
    encoder: Encoder<'e>,
    specials: Specials,
    layout: TokenLayout,
    end_of_text: TokenId,
    ids: Vec<TokenId>,
}

impl Job<'_> {
    fn encode(&mut self, batch: &Batch) -> anyhow::Result<Encoded> {
        let Job { encoder, specials, layout, end_of_text, ids } = self;
        let is_continuation = batch.is_continuation();
        let bytes = Vec::with_capacity(batch.len_bytes() / 2);
        let mut encoded = Encoded { bytes, lengths: Vec::new(), is_continuation, text_bytes: 0 };
        let mut in_document = false;
        batch.for_each_piece(|piece, ends| -> anyhow::Result<()> {
            let Encoded { bytes, lengths, text_bytes, .. } = &mut encoded;
            let goes_on = in_document || (is_continuation && lengths.is_empty());
            if !in_document {
                lengths.push(if goes_on { 0 } else { layout.begin_document(*end_of_text, bytes)? });
            }
            let length = lengths.last_mut().expect("one was pushed for the document");
            if layout.format == TokenFormat::Ids {
                ids.clear();
                encoder.encode_into_with(piece, *specials, ids)?;
                layout.append_ids(ids, goes_on, bytes)?;
                *length += ids.len() as u64;
            } else {
                *length += encoder.encode_into_bytes(piece, *specials, layout.width, bytes)?;
            }
            if ends {
                *length += layout.end_document(*end_of_text, bytes)?;
            }
            *text_bytes += piece.len() as u64;
            in_document = !ends;
            Ok(())
        })?;
        Ok(encoded)
    }
}

/// Writes ids to their file, and keeps the lengths of its documents.
struct TokenWriter {
    path: PathBuf,
    layout: TokenLayout,
    output: Output,
    lengths: Vec<u64>,
    tokens: u64,
    text_bytes: u64,
}

/// Where ids are written.
enum Output {
    Standard(io::Stdout),
    File(AtomicFile),
    /// llm.c's header has the number of tokens: the ids are kept in an unnamed file until it is known.
    AfterHeader {
        ids: BufWriter<File>,
        file: AtomicFile,
    },
}

impl Output {
    fn create(path: &Path, format: TokenFormat) -> anyhow::Result<Output> {
        if path == Path::new("-") {
            check_usage(format == TokenFormat::Ids, "standard output takes --format ids only")?;
            return Ok(Output::Standard(io::stdout()));
        }
        if format != TokenFormat::Llmc {
            return Ok(Output::File(AtomicFile::create(path)?));
        }
        check_usage(!is_special(path), "llm.c's header is written last: the output must be a file")?;
        let file = AtomicFile::create(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let ids =
            tempfile::tempfile_in(folder).with_context(|| format!("cannot create a file in {}", folder.display()))?;
        Ok(Output::AfterHeader { ids: BufWriter::with_capacity(1 << 20, ids), file })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Output::Standard(stdout) => stdout,
            Output::File(file) => file,
            Output::AfterHeader { ids, .. } => ids,
        }
    }

    /// The complete file; `None` for standard output.
    fn into_file(self, tokens: u64, width: IdWidth) -> io::Result<Option<AtomicFile>> {
        match self {
            Output::Standard(_) => Ok(None),
            Output::File(file) => Ok(Some(file)),
            Output::AfterHeader { ids, mut file } => {
                file.write_all(&llmc_header(tokens, width))?;
                let mut ids = ids.into_inner()?;
                ids.rewind()?;
                io::copy(&mut ids, &mut file)?;
                Ok(Some(file))
            }
        }
    }
}

impl TokenWriter {
    fn create(path: &Path, layout: TokenLayout) -> anyhow::Result<TokenWriter> {
        let output = Output::create(path, layout.format)?;
        Ok(TokenWriter { path: path.to_path_buf(), layout, output, lengths: Vec::new(), tokens: 0, text_bytes: 0 })
    }

    fn push(&mut self, encoded: &Encoded) -> anyhow::Result<()> {
        self.tokens += encoded.lengths.iter().sum::<u64>();
        let mut lengths = encoded.lengths.as_slice();
        if encoded.is_continuation
            && let (Some((first, rest)), Some(last)) = (lengths.split_first(), self.lengths.last_mut())
        {
            *last += first;
            lengths = rest;
        }
        self.lengths.extend_from_slice(lengths);
        let longest = self.lengths[self.lengths.len().saturating_sub(encoded.lengths.len())..].iter().max();
        self.layout.check_counts(self.tokens, longest.copied().unwrap_or_default())?;
        self.text_bytes += encoded.text_bytes;
        let written = self.output.writer().write_all(&encoded.bytes);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn finish(self) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let TokenLayout { format, width } = self.layout;
        let Some(ids) = self.output.into_file(self.tokens, width).with_context(failed)? else { return Ok(()) };
        if is_special(&self.path) {
            // No second file can be beside it.
            ids.commit()?;
            return Ok(());
        }
        let mut others = Vec::new();
        if format != TokenFormat::Ids {
            let mut offsets = AtomicFile::create(&beside(&self.path, ".offsets"))?;
            let mut offset = 0u64;
            for length in [0].iter().chain(&self.lengths) {
                offset += length;
                offsets.write_all(&offset.to_le_bytes()).with_context(failed)?;
            }
            others.push(offsets);
        }
        if format == TokenFormat::Megatron {
            let mut index = AtomicFile::create(&self.path.with_extension("idx"))?;
            write_megatron_index(&self.lengths, width, &mut index).with_context(failed)?;
            others.push(index);
        }
        // An older output must never be beside newer offsets, whenever this process ends.
        if self.path.exists() {
            std::fs::remove_file(&self.path).with_context(failed)?;
        }
        for file in others.into_iter().chain([ids]) {
            file.commit()?;
        }
        Ok(())
    }
}
