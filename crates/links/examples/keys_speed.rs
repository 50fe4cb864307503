//! Speed of keys: `cargo run --release -p webtext-links --example keys_speed -- FILE…`, a URL on each line.
//!
//! In nanoseconds of CPU time of the thread, which other load changes little; elsewhere than on Linux, of elapsed time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use links::Canonical;

/// CPU time of this thread, if the system reports it.
fn processor_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(statistics.split(' ').next()?.parse().ok()?))
}

/// Median time of five runs over all lines, for one line.
fn median_ns(lines: &[&str], run: impl Fn(&str) -> usize) -> f64 {
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let (clock, processor) = (Instant::now(), processor_time());
            for line in lines {
                black_box(run(black_box(line)));
            }
            let elapsed = match (processor, processor_time()) {
                (Some(start), Some(end)) => end - start,
                _ => clock.elapsed(),
            };
            elapsed.as_nanos() as f64 / lines.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[2]
}

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path)?;
        let lines: Vec<&str> = text.lines().collect();
        println!("{path}: {} lines", lines.len());
        println!("  url::Url::parse   {:.0} ns", median_ns(&lines, |line| url::Url::parse(line).is_ok().into()));
        println!("  Canonical::parse  {:.0} ns", median_ns(&lines, |line| Canonical::parse(line).is_ok().into()));
    }
    Ok(())
}
