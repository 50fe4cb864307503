//! How many requests may be under way after this machine has run out of files or ports: additive increase,
//! multiplicative decrease (AIMD), as TCP finds its window.

use std::time::{Duration, Instant};

/// So many answers allow one more request, after the number had to be lowered.
const ANSWERS_PER_INCREASE: usize = 16;
/// How long nothing new is begun after the number was lowered.
const DECREASE_PAUSE: Duration = Duration::from_millis(500);

/// A limit on concurrent requests that finds what the machine has room for.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    max_requests: usize,
    requests: usize,
    /// Answers since the last change.
    answers: usize,
    resumes_at: Instant,
}

impl ConcurrencyLimit {
    /// A limit that begins at its maximum.
    pub(crate) fn new(max_requests: usize) -> ConcurrencyLimit {
        ConcurrencyLimit { max_requests, requests: max_requests, answers: 0, resumes_at: Instant::now() }
    }

    /// Requests that may be under way.
    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    /// When the next request may be begun.
    pub(crate) fn resumes_at(&self) -> Instant {
        self.resumes_at
    }

    /// The machine had no file or port left for one of so many requests: half of them are too many.
    pub(crate) fn decrease(&mut self, under_way: usize, now: Instant) {
        self.requests = (under_way / 2).max(1);
        self.answers = 0;
        self.resumes_at = now + DECREASE_PAUSE;
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self) {
        self.answers += 1;
        if self.answers >= ANSWERS_PER_INCREASE && self.requests < self.max_requests {
            self.requests += 1;
            self.answers = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_grows_by_one() {
        let (mut limit, now) = (ConcurrencyLimit::new(9), Instant::now());
        limit.decrease(8, now);
        assert_eq!((limit.requests(), limit.resumes_at() > now), (4, true));
        for expected in [5, 6, 7, 8, 9, 9] {
            (0..ANSWERS_PER_INCREASE).for_each(|_| limit.answered());
            assert_eq!(limit.requests(), expected);
        }
        limit.decrease(1, now);
        assert_eq!(limit.requests(), 1);
    }
}
