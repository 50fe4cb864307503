//! Speed of English tokens, words and sentences: `cargo run --release -p webtext-words --example english_speed -- FILE…`.
//!
//! In megabytes (10⁶ bytes) per second of CPU time of the thread, which other load changes little; elsewhere than on
//! Linux, of elapsed time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use words::english;

/// CPU time of this thread, if the system reports it.
fn processor_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(statistics.split(' ').next()?.parse().ok()?))
}

/// Median rate of five runs.
fn median_mb_per_s(text: &str, run: fn(&str) -> u64) -> f64 {
    let mut seconds: Vec<f64> = (0..5)
        .map(|_| {
            let (clock, processor) = (Instant::now(), processor_time());
            black_box(run(black_box(text)));
            let elapsed = match (processor, processor_time()) {
                (Some(start), Some(end)) => end - start,
                _ => clock.elapsed(),
            };
            elapsed.as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    text.len() as f64 / 1e6 / seconds[2]
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
