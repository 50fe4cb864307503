//! Speed of English tokens, words and sentences: `cargo run --release -p webtext-words --example english_speed -- FILE…`.
//!
//! In megabytes (10⁶ bytes) per second of CPU time of the thread, which other load changes little; elsewhere than on
//! Linux, of elapsed time.

#[path = "../../../benches/support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use cpu_time::median_seconds;
use words::english;

/// Median rate of five runs.
fn median_mb_per_s(text: &str, run: fn(&str) -> u64) -> f64 {
    text.len() as f64 / 1e6 / median_seconds(|| run(black_box(text)))
}

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        println!("{path}: {} bytes", text.len());
        println!("  tokens    {:.0} MB/s", median_mb_per_s(&text, tokens));
        println!("  words     {:.0} MB/s", median_mb_per_s(&text, words));
        println!("  sentences {:.0} MB/s", median_mb_per_s(&text, sentences));
    }
    Ok(())
}

fn tokens(text: &str) -> u64 {
    let mut count = 0;
    english::for_each_token(text, |_| count += 1);
    count
}

fn words(text: &str) -> u64 {
    let mut count = 0;
    english::for_each_word(text, |_| count += 1);
    count
}

fn sentences(text: &str) -> u64 {
    let mut count = 0;
    english::for_each_sentence(text, |_| count += 1);
    count
}
