//! `bpe encode`.

mod one_file;
mod shards;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use user_error::UserError;

use self::one_file::TokenWriter;
use self::shards::ShardWriter;
use super::inputs::OpenedInputs;
use super::{beside, check_usage, stop_on_ctrl_c};
use crate::input::Batch;
use crate::tokens::{IdWidth, TokenFormat, TokenLayout};
use crate::{Encoder, Specials, Template, TokenId};

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
    /// Write shards of exactly N tokens, but for the last: OUT-00000 and so on, the number before the name's ending.
    /// Documents are cut where a shard is full, as llm.c's preparation of FineWeb cuts them. For nanogpt and llmc.
    #[arg(long, value_name = "N")]
    shard_tokens: Option<NonZeroU64>,
    #[command(flatten)]
    specials: super::SpecialTokens,
    /// The added token between documents; `bpe info` names it. Without this flag, it is the first that the tokenizer has of
    /// `<|endoftext|>`, `<|end_of_text|>`, `<｜end▁of▁sentence｜>`, `<|endofdocument|>`, `<|eos|>`, `<eos>`, `</s>`,
    /// `<EOT>`
    #[arg(long, value_name = "TOKEN")]
    end_of_text: Option<String>,
    /// Put the tokens around each document that the post-processor of a tokenizer.json adds, as Hugging Face's
    /// add_special_tokens does; the token between documents comes beside them.
    #[arg(long)]
    post_process: bool,
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
    check_usage(
        !(arguments.json && arguments.output == Path::new("-")),
        "--json prints its summary where -o - prints ids; name a file for one of them",
    )?;
    let inputs = arguments.inputs.opened(tokenizer.cuts(specials))?;
    check_outputs(arguments, &inputs)?;
    let encoder = Encoder::new(&tokenizer);
    let inputs = inputs.with_encoder(&encoder, specials);
    let stop = stop_on_ctrl_c()?;
    let layout = TokenLayout { format: arguments.format, width: IdWidth::of_vocabulary(tokenizer.vocab_size()) };
    let mut writer = match arguments.shard_tokens {
        Some(tokens) => Writer::Shards(ShardWriter::create(&arguments.output, layout, tokens.get())?),
        None => Writer::OneFile(TokenWriter::create(&arguments.output, layout)?),
    };
    let template = if arguments.post_process { tokenizer.template()? } else { Template::default() };
    let worker = || {
        let (encoder, template) = (encoder.clone(), template.clone());
        let mut job = Job { encoder, template, specials, layout, end_of_text, ids: Vec::new() };
        move |batch: Batch| job.encode(&batch)
    };
    let mut totals = Totals::default();
    inputs.map(&stop, worker, |encoded| {
        totals.add(&encoded);
        match &mut writer {
            Writer::OneFile(writer) => writer.push(&encoded),
            Writer::Shards(writer) => writer.push(&encoded, &stop),
        }
    })?;
    let shards = match writer {
        Writer::OneFile(writer) => writer.finish().map(|()| None)?,
        Writer::Shards(writer) => Some(writer.finish()?),
    };
    totals.report(arguments.json, layout, shards, inputs.warn_of_skipped())
}

/// Where encoded batches are written.
enum Writer {
    OneFile(TokenWriter),
    Shards(ShardWriter),
}

/// What was encoded.
#[derive(Default)]
struct Totals {
    documents: u64,
    tokens: u64,
    text_bytes: u64,
}

impl Totals {
    fn add(&mut self, encoded: &Encoded) {
        self.documents += encoded.begun_lengths().len() as u64;
        self.tokens += encoded.lengths.iter().sum::<u64>();
        self.text_bytes += encoded.text_bytes;
    }

    fn report(
        self,
        as_json: bool,
        layout: TokenLayout,
        shards: Option<u64>,
        skipped: Option<u64>,
    ) -> anyhow::Result<()> {
        let Totals { documents, tokens, text_bytes } = self;
        if as_json {
            let mut summary = serde_json::json!({"documents": documents, "tokens": tokens, "bytes": text_bytes, "dtype": layout.width.dtype()});
            let others = [("shards", shards), ("bad_rows", skipped)];
            others.into_iter().for_each(|(name, count)| {
                if let Some(count) = count {
                    summary[name] = count.into();
                }
            });
            console::out!("{summary}")?;
            return Ok(());
        }
        let counts = [(documents, "document"), (text_bytes, "byte"), (tokens, "token")];
        let counted = counts.into_iter().chain(shards.map(|shards| (shards, "shard")));
        let counted: Vec<String> = counted.map(|(n, noun)| console::count(n, noun)).collect();
        tracing::info!("{}", counted.join(", "));
        if (layout.format, layout.width) == (TokenFormat::Nanogpt, IdWidth::Four) {
            tracing::info!(
                "ids are 32 bits wide, since the vocabulary has more than 65,536: read them as uint32, not uint16"
            );
        }
        Ok(())
    }
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

/// No output may be an input or a file of the tokenizer, and each has a name that its readers find.
fn check_outputs(arguments: &Arguments, inputs: &OpenedInputs) -> Result<(), console::Usage> {
    let (output, tokenizer) = (&arguments.output, arguments.tokenizer.files());
    if arguments.shard_tokens.is_some() {
        shards::check(output, arguments.format)?;
        let outputs = shards::names(output, 0).into_iter().chain(shards::older(output)?);
        let outputs: std::collections::BTreeSet<PathBuf> = outputs.collect();
        return console::check_outputs(
            inputs.paths().chain(tokenizer.iter().map(PathBuf::as_path)),
            outputs.iter().map(PathBuf::as_path),
        );
    }
    let mut outputs = vec![output.clone()];
    if arguments.format != TokenFormat::Ids {
        outputs.push(beside(output, ".offsets"));
    }
    if arguments.format == TokenFormat::Megatron {
        if output.extension() != Some("bin".as_ref()) {
            let fault = "Megatron-LM reads NAME.bin and NAME.idx; end the name of the output in .bin";
            return Err(console::Usage(format!("{}: {fault}", output.display())));
        }
        outputs.push(output.with_extension("idx"));
    }
    let read = inputs.paths().chain(tokenizer.iter().map(PathBuf::as_path));
    console::check_outputs(read, outputs.iter().map(PathBuf::as_path))
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

impl Encoded {
    /// The lengths of the documents that begin in the batch.
    fn begun_lengths(&self) -> &[u64] {
        let continued = usize::from(self.is_continuation).min(self.lengths.len());
        &self.lengths[continued..]
    }
}

/// What a worker encodes with.
struct Job<'e> {
    encoder: Encoder<'e>,
    template: Template,
    specials: Specials,
    layout: TokenLayout,
    end_of_text: TokenId,
    ids: Vec<TokenId>,
}

impl Job<'_> {
    fn encode(&mut self, batch: &Batch) -> anyhow::Result<Encoded> {
        let Job { encoder, template, specials, layout, end_of_text, ids } = self;
        let is_continuation = batch.is_continuation();
        let bytes = Vec::with_capacity(batch.len_bytes() / 2);
        let mut encoded = Encoded { bytes, lengths: Vec::new(), is_continuation, text_bytes: 0 };
        // Whether the document at hand has ids already, from a batch before this one or from this.
        let (mut in_document, mut has_ids) = (is_continuation, is_continuation);
        batch.for_each_piece(|piece, ends| -> anyhow::Result<()> {
            let Encoded { bytes, lengths, text_bytes, .. } = &mut encoded;
            if !in_document || lengths.is_empty() {
                lengths.push(0);
            }
            let length = lengths.last_mut().expect("one was pushed for the document");
            if !in_document {
                *length += layout.begin_document(*end_of_text, bytes)? + template.before.len() as u64;
                layout.append_ids(&template.before, false, bytes)?;
                has_ids = !template.before.is_empty();
            }
            let tokens = if layout.format == TokenFormat::Ids {
                ids.clear();
                encoder.encode_into_with(piece, *specials, ids)?;
                layout.append_ids(ids, has_ids, bytes)?;
                ids.len() as u64
            } else {
                encoder.encode_into_bytes(piece, *specials, layout.width, bytes)?
            };
            *length += tokens;
            has_ids |= tokens > 0;
            if ends {
                layout.append_ids(&template.behind, has_ids, bytes)?;
                *length += template.behind.len() as u64 + layout.end_document(*end_of_text, bytes)?;
            }
            *text_bytes += piece.len() as u64;
            in_document = !ends;
            Ok(())
        })?;
        Ok(encoded)
    }
}
