//! `gpt2 sample`: continue a text.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use bpe::{Encoder, TokenId};
use gpt2::{SampleOptions, sample};

use crate::commands::load;

/// Continue a text.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// The text to continue; default: a new document.
    #[arg(long, default_value = "")]
    prompt: String,
    /// Most tokens to add.
    #[arg(long, default_value_t = 100)]
    tokens: usize,
    /// 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.8)]
    temperature: f32,
    /// Only the likeliest tokens; 0 for all.
    #[arg(long, default_value_t = 50)]
    top_k: usize,
    /// Seed of the choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { model, prompt, tokens, temperature, top_k, seed } = arguments;
    let (model, tokenizer) = load(model)?;
    let options = SampleOptions { tokens: *tokens, temperature: *temperature, top_k: *top_k, seed: *seed };
    let ids: Vec<TokenId> = Encoder::new(&tokenizer).encode(prompt);
    let mut stdout = std::io::stdout();
    stdout.write_all(prompt.as_bytes())?;
    let mut failed = None;
    sample(&model, &tokenizer, &ids, &options, |id| {
        let written = stdout.write_all(tokenizer.token(id)).and_then(|()| stdout.flush());
        failed = failed.take().or(written.err());
    });
    println!();
    failed.map_or(Ok(()), |error| Err(error).context("cannot write to standard output"))
}
