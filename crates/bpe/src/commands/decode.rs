//! `bpe decode`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use crate::TokenId;
use crate::tokens::{IdWidth, parse_binary};

/// Flags of `bpe decode`.
#[derive(clap::Args)]
pub struct Arguments {
    /// nanoGPT or llm.c file (.bin), or text with one document per line, its ids separated by spaces.
    input: PathBuf,
    /// File for the bytes. [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    tokenizer: super::TokenizerName,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.tokenizer.load()?;
    let path = &arguments.input;
    let inputs: Vec<PathBuf> = arguments.tokenizer.file().into_iter().chain([path.clone()]).collect();
    console::check_outputs(inputs.iter().map(PathBuf::as_path), arguments.output.as_deref())?;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let decoded = if path.extension().is_some_and(|extension| extension == "bin") {
        let ids = parse_binary(&bytes, IdWidth::of_vocabulary(tokenizer.vocab_size()));
        let ids = ids.with_context(|| {
            format!("{} ends inside an id: it is cut off, or of another vocabulary", path.display())
        })?;
        tokenizer.decode(&ids).with_context(|| format!("cannot decode {}", path.display()))?
    } else {
        let mut decoded = Vec::new();
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let ids: Result<Vec<TokenId>, _> = line.split_whitespace().map(|id| id.parse().map(TokenId)).collect();
            let ids = ids.with_context(|| format!("{}, line {}: not a token id", path.display(), number + 1))?;
            let document = tokenizer.decode(&ids);
            decoded.extend(document.with_context(|| format!("{}, line {}", path.display(), number + 1))?);
            decoded.push(b'\n');
        }
        decoded
    };
    match &arguments.output {
        Some(path) => drop(atomic_file::write(path, &decoded)?),
        None => std::io::stdout().write_all(&decoded).context("cannot write to standard output")?,
    }
    Ok(())
}
