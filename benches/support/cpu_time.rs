//! The clock of the examples that print a speed. Included by its path in each of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The median of five runs, in seconds of CPU time of the thread, which other load changes little; elsewhere than on
/// Linux, of elapsed time.
pub fn median_seconds<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut seconds: [f64; 5] = std::array::from_fn(|_| {
        let (clock, processor) = (Instant::now(), processor_time());
        black_box(run());
        let elapsed = match (processor, processor_time()) {
            (Some(start), Some(end)) => end - start,
            _ => clock.elapsed(),
        };
        elapsed.as_secs_f64()
    });
    seconds.sort_by(f64::total_cmp);
    seconds[2]
}

/// CPU time of this thread, if the system reports it.
fn processor_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(statistics.split(' ').next()?.parse().ok()?))
}
