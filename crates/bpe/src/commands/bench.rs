//! `bpe bench`: the encoding rate, for comparison with other encoders.

use std::time::Instant;

use super::parallel::map_ordered;
use crate::input::InputError;
use crate::tokens::IdWidth;
use crate::{Encoder, SpecialInText, Specials};

/// Flags of `bpe bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    #[command(flatten)]
    tokenizer: super::TokenizerName,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.tokenizer.load()?;
    // As with other encoders, what is made of the tokenizer's file alone is not measured; caches are.
    tokenizer.prepare();
    let inputs = arguments.inputs.opened(tokenizer.cuts(Specials::Ordinary))?;
    let mut pieces: Vec<String> = Vec::new();
    let mut in_document = false;
    for batch in inputs.batches() {
        batch?.for_each_piece(|piece, ends| -> Result<(), InputError> {
            match pieces.last_mut() {
                // With one thread a document is encoded whole, as others do; with more, threads share its pieces.
                Some(last) if in_document && arguments.inputs.reading.threads() == 1 => last.push_str(piece),
                _ => pieces.push(piece.to_owned()),
            }
            in_document = !ends;
            Ok(())
        })?;
    }
    let bytes: usize = pieces.iter().map(String::len).sum();
    let threads = arguments.inputs.reading.threads();
    // Cold: the encoder's caches are made and filled within the measured time. The ids of all texts are in memory at its
    // end, in the width of token files.
    let width = IdWidth::of_vocabulary(tokenizer.vocab_size());
    let encode = |encoder: &mut Encoder<'_>, piece: &String| -> Result<Vec<u8>, SpecialInText> {
        let mut ids = Vec::with_capacity(piece.len() / 4 * width.bytes() + 16);
        encoder.encode_into_bytes(piece, Specials::Ordinary, width, &mut ids)?;
        Ok(ids)
    };
    let start = Instant::now();
    let mut encoder = Encoder::new(&tokenizer);
    let ids: Vec<Vec<u8>> = if threads == 1 {
        pieces.iter().map(|piece| encode(&mut encoder, piece)).collect::<Result<_, _>>()?
    } else {
        let mut ids = Vec::with_capacity(pieces.len());
        // Short texts are batched, so that threads need not synchronise for each.
        let groups = pieces.chunks(pieces.len().div_ceil(threads * 32).max(1)).map(Ok);
        let worker = || {
            let mut encoder = encoder.clone();
            move |group: &[String]| {
                Ok(group.iter().map(|piece| encode(&mut encoder, piece)).collect::<Result<_, _>>()?)
            }
        };
        map_ordered(groups, threads, worker, |group: Vec<Vec<u8>>| -> anyhow::Result<()> {
            ids.extend(group);
            Ok(())
        })?;
        ids
    };
    let mb_per_s = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    let tokens = ids.iter().map(Vec::len).sum::<usize>() / width.bytes();
    if arguments.json {
        console::out!(
            "{}",
            serde_json::json!({"mb_per_s": mb_per_s, "bytes": bytes, "tokens": tokens, "threads": threads})
        )?;
    } else {
        let counts = [(bytes, "byte"), (tokens, "token"), (threads, "thread")];
        let [bytes, tokens, threads] = counts.map(|(n, noun)| console::count(n as u64, noun));
        console::out!("{mb_per_s:.1} MB/s, {bytes}, {tokens}, {threads}")?;
    }
    Ok(())
}
