//! Tasks that no node begins: a warning is due once none has run for a while.

use std::time::{Duration, Instant};

/// Time after which a warning is due, and the time until the next one.
const WARN_AFTER: Duration = Duration::from_secs(60);
const WARN_AGAIN_AFTER: Duration = Duration::from_secs(30 * 60);

/// How long no task has run.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    since: Option<Instant>,
    warned: Option<Instant>,
}

impl Waiting {
    /// Takes whether tasks wait and none runs now; true where a warning is due.
    pub(super) fn must_warn(&mut self, is_idle: bool, now: Instant) -> bool {
        if !is_idle {
            *self = Waiting::default();
            return false;
        }
        self.since.get_or_insert(now);
        let is_old = self.since.is_some_and(|since| now - since >= WARN_AFTER);
        let has_warned = self.warned.is_some_and(|warned| now - warned < WARN_AGAIN_AFTER);
        if is_old && !has_warned {
            self.warned = Some(now);
        }
        is_old && !has_warned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_due_once_waiting_lasts() {
        let (mut waiting, begin) = (Waiting::default(), Instant::now());
        let mut at = |seconds: u64, is_idle: bool| waiting.must_warn(is_idle, begin + Duration::from_secs(seconds));
        assert!(!at(0, true) && !at(59, true));
        assert!(at(60, true) && !at(70, true) && at(60 + 1800, true));
        assert!(!at(3000, false) && !at(3001, true) && at(3061, true));
    }
}
