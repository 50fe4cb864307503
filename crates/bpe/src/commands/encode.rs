//! `bpe encode`.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bpe::tokens::{TokenFormat, llmc_header, write_megatron_index};
use bpe::{Encoder, formats};

/// Flags of `bpe encode`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    /// File for the ids; `-` for standard output with --format ids.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(long, default_value = "gpt2", value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "nanogpt")]
    format: TokenFormat,
    /// Print a summary as JSON on standard output.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.inputs.start_threads()?;
    let tokenizer = formats::load(&arguments.tokenizer)?;
    let end_of_text = tokenizer.end_of_text().context("the tokenizer has no <|endoftext|> to put between documents")?;
    let encoder = Encoder::new(&tokenizer);
    let mut sink = Sink::create(&arguments.output, arguments.format)?;
    let mut text_bytes = 0;
    arguments.inputs.for_each_batch(|batch| {
        text_bytes += batch.iter().map(|document| document.len() as u64).sum::<u64>();
        let mut bytes = Vec::new();
        for ids in super::encode_batch(&encoder, &batch) {
            let tokens = arguments.format.append(&ids, end_of_text, &mut bytes)?;
            sink.lengths.push(tokens);
        }
        sink.write(&bytes)
    })?;
    let documents = sink.lengths.len();
    let tokens: u64 = sink.lengths.iter().sum();
    sink.finish()?;
    if arguments.json {
        println!("{}", serde_json::json!({"documents": documents, "tokens": tokens, "bytes": text_bytes}));
    } else {
        eprintln!("{documents} documents, {text_bytes} bytes, {tokens} tokens");
    }
    Ok(())
}

/// The file of ids under a temporary name, and the lengths of its documents.
struct Sink {
    path: PathBuf,
    format: TokenFormat,
    file: Option<BufWriter<File>>,
    lengths: Vec<u64>,
}

impl Sink {
    fn create(path: &Path, format: TokenFormat) -> anyhow::Result<Sink> {
        let file = if path == Path::new("-") {
            anyhow::ensure!(format == TokenFormat::Ids, "standard output takes --format ids only");
            None
        } else {
            let partial = partial(path);
            let file = File::create(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
            Some(BufWriter::with_capacity(1 << 20, file))
        };
        let mut sink = Sink { path: path.to_path_buf(), format, file, lengths: Vec::new() };
        sink.write(&vec![0; format.header_bytes()])?;
        Ok(sink)
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let result = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => std::io::stdout().write_all(bytes),
        };
        result.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn finish(self) -> anyhow::Result<()> {
        let Some(mut writer) = self.file else { return Ok(()) };
        let failed = || format!("cannot write {}", self.path.display());
        if self.format == TokenFormat::Llmc {
            writer.seek(SeekFrom::Start(0)).with_context(failed)?;
            writer.write_all(&llmc_header(self.lengths.iter().sum())).with_context(failed)?;
        }
        writer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|f| f.sync_all())
            .with_context(failed)?;
        // An older file must not stand beside newer offsets, whenever this process ends.
        if self.path.exists() {
            std::fs::remove_file(&self.path).with_context(failed)?;
        }
        if self.format != TokenFormat::Ids {
            let mut offset = 0u64;
            let starts = self.lengths.iter().map(|length| {
                offset += length;
                offset.to_le_bytes()
            });
            let offsets: Vec<u8> = std::iter::once([0; 8]).chain(starts).flatten().collect();
            write_beside(&self.path, "offsets", &offsets)?;
        }
        if self.format == TokenFormat::Megatron {
            let mut index = Vec::new();
            write_megatron_index(&self.lengths, &mut index)?;
            let path = self.path.with_extension("idx");
            std::fs::write(&path, index).with_context(|| format!("cannot write {}", path.display()))?;
        }
        std::fs::rename(partial(&self.path), &self.path).with_context(failed)
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn write_beside(path: &Path, extension: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    std::fs::write(&name, bytes).with_context(|| format!("cannot write {}", Path::new(&name).display()))
}
