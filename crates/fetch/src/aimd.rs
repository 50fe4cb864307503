//! How many requests may be in flight after this machine has run out of file descriptors or ports: additive increase,
//! multiplicative decrease (AIMD), the rule by which TCP sizes its congestion window.

use std::time::{Duration, Instant};

/// Answers after which the limit grows by one request.
const ANSWERS_PER_INCREASE: usize = 16;
/// After a decrease, no request starts for this long.
const DECREASE_PAUSE: Duration = Duration::from_millis(500);

/// A limit on concurrent requests that adapts to what the machine can open.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    max_requests: usize,
    requests: usize,
    /// Answers since the limit last changed.
    answers: usize,
    resumes_at: Instant,
}

impl ConcurrencyLimit {
    /// A limit that starts at its maximum.
    pub(crate) fn new(max_requests: usize) -> ConcurrencyLimit {
        ConcurrencyLimit { max_requests, requests: max_requests, answers: 0, resumes_at: Instant::now() }
    }

    /// Requests that may be in flight.
    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    /// When the next request may start.
    pub(crate) fn resumes_at(&self) -> Instant {
        self.resumes_at
    }

    /// Halves the limit: with `in_flight` requests, the machine had no file descriptor or port left.
    pub(crate) fn decrease(&mut self, in_flight: usize, now: Instant) {
        self.requests = (in_flight / 2).max(1);
        self.answers = 0;
        self.resumes_at = now + DECREASE_PAUSE;
    }

    /// Counts an answer towards the next increase.
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
