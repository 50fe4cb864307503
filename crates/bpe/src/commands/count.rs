//! `bpe count`.

use bpe::{Encoder, formats};

/// Flags of `bpe count`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(long, default_value = "gpt2", value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.inputs.start_threads()?;
    let tokenizer = formats::load(&arguments.tokenizer)?;
    let encoder = Encoder::new(&tokenizer);
    let (mut documents, mut bytes, mut tokens) = (0u64, 0u64, 0u64);
    arguments.inputs.for_each_batch(|batch| {
        documents += batch.len() as u64;
        bytes += batch.iter().map(|document| document.len() as u64).sum::<u64>();
        tokens += super::encode_batch(&encoder, &batch).iter().map(|ids| ids.len() as u64).sum::<u64>();
        Ok(())
    })?;
    if arguments.json {
        println!("{}", serde_json::json!({"documents": documents, "bytes": bytes, "tokens": tokens}));
    } else {
        let ratio = bytes as f64 / tokens.max(1) as f64;
        println!("{tokens} tokens in {documents} documents, {bytes} bytes, {ratio:.3} bytes a token");
    }
    Ok(())
}
