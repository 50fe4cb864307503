//! Tasks that no node begins: why, told once the reason has been the same for a while.

use std::time::{Duration, Instant};

/// Time after which a reason is told, and the time until it is told again.
const TELL_AFTER: Duration = Duration::from_secs(60);
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(30 * 60);

/// Why tasks wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    reason: String,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Waiting {
    /// Takes the reason for which tasks wait now, if no task runs; true where it is to be told.
    pub(super) fn is_to_be_told(&mut self, reason: Option<&str>, now: Instant) -> bool {
        let Some(reason) = reason else {
            *self = Waiting::default();
            return false;
        };
        if self.reason != reason || self.since.is_none() {
            *self = Waiting { reason: reason.to_owned(), since: Some(now), told: None };
        }
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
    fn a_reason_is_told_once_it_stays() {
        let (mut waiting, begin) = (Waiting::default(), Instant::now());
        let mut at =
            |seconds: u64, reason: Option<&str>| waiting.is_to_be_told(reason, begin + Duration::from_secs(seconds));
        assert!(!at(0, Some("Resources")) && !at(59, Some("Resources")));
        assert!(at(60, Some("Resources")) && !at(70, Some("Resources")));
        assert!(!at(71, Some("Priority")) && at(131, Some("Priority")));
        assert!(at(131 + 1800, Some("Priority")));
        assert!(!at(3000, None) && !at(3001, Some("Priority")));
    }
}
