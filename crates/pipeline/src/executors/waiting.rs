//! Tasks that no node begins: told once none has run for a while.

use std::time::{Duration, Instant};

/// Time after which it is told, and the time until it is told again.
const TELL_AFTER: Duration = Duration::from_secs(60);
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(30 * 60);

/// How long no task has run.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Waiting {
    /// Takes whether tasks wait and none runs now; true where that is to be told.
    pub(super) fn is_to_be_told(&mut self, is_idle: bool, now: Instant) -> bool {
        if !is_idle {
            *self = Waiting::default();
            return false;
        }
        self.since.get_or_insert(now);
        let is_old = self.since.is_some_and(|since| now - since >= TELL_AFTER);
        let is_told = self.told.is_some_and(|told| now - told < TELL_AGAIN_AFTER);
        if is_old && !is_told {
            self.told = Some(now);
        }
        is_old && !is_told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_told_once_it_lasts() {
        let (mut waiting, begin) = (Waiting::default(), Instant::now());
        let mut at = |seconds: u64, is_idle: bool| waiting.is_to_be_told(is_idle, begin + Duration::from_secs(seconds));
        assert!(!at(0, true) && !at(59, true));
        assert!(at(60, true) && !at(70, true) && at(60 + 1800, true));
        assert!(!at(3000, false) && !at(3001, true) && at(3061, true));
    }
}
