//! `bpe bench`: the figure to hold against other encoders.

use std::time::Instant;

use bpe::{Encoder, formats};
use rayon::prelude::*;

/// Flags of `bpe bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(long, default_value = "gpt2", value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.inputs.start_threads()?;
    let mut documents = Vec::new();
    arguments.inputs.for_each_batch(|batch| {
        documents.extend(batch);
        Ok(())
    })?;
    let bytes: usize = documents.iter().map(String::len).sum();
    let tokenizer = formats::load(&arguments.tokenizer)?;
    let threads = rayon::current_num_threads();
    // Cold: the encoder's tables are made inside the measured time.
    let start = Instant::now();
    let encoder = Encoder::new(&tokenizer);
    let tokens: usize = if threads == 1 {
        let mut encoder = encoder;
        documents.iter().map(|document| encoder.encode(document).len()).sum()
    } else {
        let parts: Vec<&str> = documents.iter().flat_map(|document| parts(document)).collect();
        parts.par_iter().map_init(|| encoder.clone(), |encoder, part| encoder.encode(part).len()).sum()
    };
    let mb_per_s = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    if arguments.json {
        println!("{}", serde_json::json!({"mb_per_s": mb_per_s, "bytes": bytes, "tokens": tokens, "threads": threads}));
    } else {
        println!("{mb_per_s:.1} MB/s, {bytes} bytes, {tokens} tokens, {threads} threads");
    }
    Ok(())
}

/// Cuts a text into pieces of about 1 MiB, so that all threads have work, where no pretoken can lie
/// across: behind a single newline, before a letter. (Behind two, the run of white space would change.)
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > 1 << 20 {
        let bytes = rest.as_bytes();
        let cut = (1 << 20..bytes.len())
            .find(|&i| bytes[i].is_ascii_alphabetic() && bytes[i - 1] == b'\n' && bytes[i - 2].is_ascii_graphic());
        let Some(cut) = cut else { break };
        let (part, tail) = rest.split_at(cut);
        parts.push(part);
        rest = tail;
    }
    parts.push(rest);
    parts
}
