//! `bpe count`.

use console::count as counted;

use crate::input::Batch;
use crate::{Encoder, Specials};

/// Flags of `bpe count`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    #[command(flatten)]
    tokenizer: super::TokenizerName,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.tokenizer.load()?;
    let inputs = arguments.inputs.opened(tokenizer.cuts(Specials::Ordinary))?;
    let encoder = Encoder::new(&tokenizer);
    let inputs = inputs.with_encoder(&encoder, Specials::Ordinary);
    let (mut documents, mut bytes, mut tokens) = (0u64, 0u64, 0u64);
    let worker = || {
        let mut encoder = encoder.clone();
        move |batch: Batch| {
            let mut sums = (0u64, 0u64, 0u64);
            batch.for_each_piece(|piece, ends| -> anyhow::Result<()> {
                sums.0 += u64::from(ends);
                sums.1 += piece.len() as u64;
                sums.2 += encoder.count(piece);
                Ok(())
            })?;
            Ok(sums)
        }
    };
    let stop = super::stop_on_ctrl_c()?;
    inputs.map(&stop, worker, |sums: (u64, u64, u64)| {
        (documents, bytes, tokens) = (documents + sums.0, bytes + sums.1, tokens + sums.2);
        Ok(())
    })?;
    let skipped = inputs.warn_of_skipped();
    if arguments.json {
        let mut summary = serde_json::json!({"documents": documents, "bytes": bytes, "tokens": tokens});
        if let Some(rows) = skipped {
            summary["bad_rows"] = rows.into();
        }
        console::out!("{summary}")?;
    } else {
        let ratio = bytes as f64 / tokens.max(1) as f64;
        let (in_documents, of_bytes) = (counted(documents, "document"), counted(bytes, "byte"));
        console::out!("{} in {in_documents}, {of_bytes}, {ratio:.3} bytes per token", counted(tokens, "token"))?;
    }
    Ok(())
}
