//! How long the pause after a request to a host is.

use std::time::Duration;

use crate::CrawlSettings;

/// The pause is at least this multiple of the answer's time: a slow host is probably a busy one.
const ANSWER_TIME_FACTOR: u32 = 5;
/// An answer's time lengthens the pause to at most this multiple of `min_delay_ms`.
const MAX_SLOWDOWN: u32 = 10;
/// Consecutive faults double the pause at most this often.
const MAX_DOUBLINGS: u32 = 10;

/// What may lengthen a pause beyond the settings. Zero where nothing does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PauseRequest {
    /// Time that the answer took.
    pub(crate) answer_time: Duration,
    /// `Crawl-delay` of robots.txt.
    pub(crate) crawl_delay: Duration,
    /// `Retry-After` of a busy host.
    pub(crate) retry_after: Duration,
}

/// The pause before the next request to a host: the longest of the requested ones, up to `max_delay_ms`.
pub(crate) fn pause(settings: &CrawlSettings, asked: PauseRequest) -> Duration {
    let min_delay = settings.min_delay();
    let by_answer = (ANSWER_TIME_FACTOR * asked.answer_time).min(MAX_SLOWDOWN * min_delay);
    min_delay.max(by_answer).max(asked.crawl_delay).max(asked.retry_after).min(settings.max_delay())
}

/// The pause after `consecutive_faults`: doubled by each fault but the first, up to `max_delay_ms`.
pub(crate) fn pause_after_faults(settings: &CrawlSettings, pause: Duration, consecutive_faults: u32) -> Duration {
    let doubled = pause * 2u32.pow(consecutive_faults.saturating_sub(1).min(MAX_DOUBLINGS));
    doubled.min(settings.max_delay().max(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> CrawlSettings {
        CrawlSettings { min_delay_ms: 1_000, max_delay_ms: 60_000, ..CrawlSettings::DEFAULT }
    }

    fn check(answer_s: f64, crawl_delay_s: u64, retry_after_s: u64, expected_s: f64) {
        let asked = PauseRequest {
            answer_time: Duration::from_secs_f64(answer_s),
            crawl_delay: Duration::from_secs(crawl_delay_s),
            retry_after: Duration::from_secs(retry_after_s),
        };
        assert_eq!(pause(&settings(), asked), Duration::from_secs_f64(expected_s), "{asked:?}");
    }

    #[test]
    fn the_longest_wish_up_to_the_limit() {
        check(0.0, 0, 0, 1.0);
        check(0.5, 0, 0, 2.5);
        check(20.0, 0, 0, 10.0);
        check(0.5, 7, 0, 7.0);
        check(0.5, 7, 30, 30.0);
        check(0.0, u64::MAX, 0, 60.0);
    }

    #[test]
    fn faults_double_the_pause() {
        let seconds = |faults| pause_after_faults(&settings(), Duration::from_secs(2), faults).as_secs();
        assert_eq!([0, 1, 2, 3, 20].map(seconds), [2, 2, 4, 8, 60]);
    }
}
