//! Speed of keys: `cargo run --release -p webtext-links --example keys_speed -- FILE…`, a URL on each line.
//!
//! In nanoseconds of CPU time of the thread, which other load changes little; elsewhere than on Linux, of elapsed time.

#[path = "../../../benches/support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use cpu_time::median_seconds;
use links::Canonical;

/// Median time of five runs over all lines, for one line.
fn median_ns(lines: &[&str], run: impl Fn(&str) -> usize) -> f64 {
    let seconds = median_seconds(|| {
        for line in lines {
            black_box(run(black_box(line)));
        }
    });
    seconds * 1e9 / lines.len() as f64
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
