//! `bpe train`.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use bpe::train::{Options, WordCounts, train};
use bpe::{END_OF_TEXT, formats};
use rayon::prelude::*;

/// Flags of `bpe train`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: super::Inputs,
    /// Size of the vocabulary, with the 256 bytes and <|endoftext|>.
    #[arg(long, value_name = "N")]
    vocab_size: usize,
    /// Pairs that occur less often are not merged.
    #[arg(long, value_name = "N", default_value_t = 2)]
    min_frequency: u64,
    /// Folder for merges.txt, vocab.json, tokenizer.json and tokenizer.tiktoken.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.vocab_size >= 257, "a vocabulary has at least the 256 bytes and {END_OF_TEXT}");
    arguments.inputs.start_threads()?;
    let mut words = WordCounts::new();
    let mut documents = 0;
    arguments.inputs.for_each_batch(|batch| {
        documents += batch.len();
        let count = |mut words: WordCounts, text: &String| {
            words.add_text(text);
            words
        };
        let sum = |mut a: WordCounts, b: WordCounts| {
            a.merge(b);
            a
        };
        words.merge(batch.par_iter().fold(WordCounts::new, count).reduce(WordCounts::new, sum));
        Ok(())
    })?;
    let distinct = words.len();
    let options = Options {
        vocab_size: arguments.vocab_size,
        min_frequency: arguments.min_frequency,
        specials: vec![END_OF_TEXT.to_owned()],
    };
    let tokenizer = train(&words.into_sorted(), &options);
    std::fs::create_dir_all(&arguments.output)
        .with_context(|| format!("cannot create {}", arguments.output.display()))?;
    for (name, content) in formats::files(&tokenizer) {
        let path = arguments.output.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let size = tokenizer.vocab_size();
    if arguments.json {
        println!("{}", serde_json::json!({"documents": documents, "distinct_words": distinct, "vocab_size": size}));
    } else {
        eprintln!(
            "{documents} documents, {distinct} distinct words, vocabulary of {size} in {}",
            arguments.output.display()
        );
    }
    if size < arguments.vocab_size {
        eprintln!("note: the texts have no more pairs that occur {} times", arguments.min_frequency);
    }
    Ok(())
}
