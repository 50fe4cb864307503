//! Speed of units, cuts, n-gram filters and overlap: `cargo run --release -p webtext-dedup --example spans_speed --
//! FILE…`, with files of JSON Lines that have `text`.
//!
//! In megabytes (10⁶ bytes) per second of CPU time of the thread, which other load changes little; elsewhere than on
//! Linux, of elapsed time.

#[path = "../../../benches/support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use cpu_time::median_seconds;
use dedup::bloom::BloomFilter;
use dedup::ngram_bloom::{NgramBloom, NgramLimits};
use dedup::overlap::{ItemIndex, NgramFilter};
use dedup::spans::{DatatroveSentences, Division, SpanKind, Spans};
use serde_json::Value;

/// Prints the median rate of five runs over the texts.
fn measure(name: &str, texts: &[String], mut run: impl FnMut(&[String]) -> u64) {
    let seconds = median_seconds(|| run(black_box(texts)));
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("  {name:<36} {:6.1} MB/s", bytes as f64 / 1e6 / seconds);
}

/// Divides all texts, and cuts a seventh of the units.
fn cut<'t>(texts: &'t [String], divide: impl Fn(&'t str) -> Division<'t>) -> u64 {
    let is_copy = |hash: u64| hash.is_multiple_of(7);
    texts.iter().filter_map(|text| divide(text).cut(|unit| is_copy(unit.hash))).map(|edit| edit.cut.len() as u64).sum()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let lines = std::fs::read_to_string(&path)?;
        let mut texts = Vec::new();
        for line in lines.lines() {
            texts.extend(serde_json::from_str::<Value>(line)?["text"].as_str().map(str::to_owned));
        }
        println!("{path}: {} texts, {} bytes", texts.len(), texts.iter().map(String::len).sum::<usize>());
        measure_all(&texts)?;
    }
    Ok(())
}

fn measure_all(texts: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let words: u64 = texts.iter().map(|text| text.len() as u64 / 4).sum();
    for kind in [SpanKind::Lines, SpanKind::Paragraphs, SpanKind::Sentences { n: 3 }] {
        let spans = Spans::of_kind(kind);
        measure(&format!("{kind:?}: divide and cut"), texts, |texts| cut(texts, |text| spans.divide(text)));
    }
    let datatrove = DatatroveSentences::default();
    measure("datatrove's sentences: divide", texts, |texts| {
        texts.iter().map(|text| datatrove.divide(text).units().len() as u64).sum()
    });
    measure("datatrove's sentences: divide and cut", texts, |texts| cut(texts, |text| datatrove.divide(text)));
    let filter = BloomFilter::new(words, 0.01)?;
    measure("DCLM's filter", texts, |texts| {
        let mut bloom = NgramBloom::new(NgramLimits::default(), filter.clone());
        texts.iter().map(|text| bloom.judge(text).contained).sum()
    });
    let empty = NgramFilter::new(NgramFilter::GPT2_WORDS, words, NgramFilter::GPT2_FALSE_POSITIVE_RATE)?;
    let mut full = empty.clone();
    measure("GPT-2's 8-grams: insert", texts, |texts| {
        full.clone_from(&empty);
        texts.iter().map(|text| full.insert(text)).sum()
    });
    measure("GPT-2's 8-grams: measure", texts, |texts| texts.iter().map(|text| full.share(text).found).sum());
    measure("GPT-2's 8-grams: measure, none found", texts, |texts| {
        texts.iter().map(|text| empty.share(text).found).sum()
    });
    let mut index = ItemIndex::new(ItemIndex::<usize>::GPT3_WORDS);
    texts.iter().step_by(20).enumerate().for_each(|(number, text)| index.add(number, text));
    let mut counts = index.counts();
    measure("13-grams of items: count", texts, |texts| {
        texts.iter().for_each(|text| counts.add(&index, text));
        0
    });
    measure("13-grams of items: match", texts, |texts| {
        texts.iter().map(|text| index.matches(text, &counts, 10).len() as u64).sum()
    });
    Ok(())
}
