//! The answer to a request for robots.txt, as the journal keeps it, and what it means for an origin.

use std::fmt;
use std::time::Duration;

use records::Reason;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

use crate::robots_txt::RobotsTxt;
use crate::signals::UsageSignal;

/// How long an answer is valid. RFC 9309, section 2.4: at most a day.
pub(crate) const VALID_FOR: Duration = Duration::from_secs(24 * 3600);
/// The product token of this crawler in `User-agent` lines.
pub(crate) const AGENT: &str = "webtext";

/// The result of requesting an origin's robots.txt, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RobotsAnswer {
    /// Its bytes, without content coding.
    Text(Vec<u8>),
    /// There is none: status 4xx, or too many redirects (RFC 9309, section 2.3.1.3). Everything is allowed.
    Absent,
    /// Status 5xx or 429, or no answer: nothing is allowed. Pages of the origin are dropped for this reason.
    Unreachable(Reason, String),
}

impl fmt::Display for RobotsAnswer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RobotsAnswer::Text(bytes) => write!(to, "has {} bytes", bytes.len()),
            RobotsAnswer::Absent => write!(to, "is absent"),
            RobotsAnswer::Unreachable(reason, detail) => write!(to, "cannot be read: {reason}: {detail}"),
        }
    }
}

/// The rules of an origin (scheme, host and port).
#[derive(Debug)]
pub(crate) enum RobotsRules {
    Read(RobotsTxt),
    AllowAll,
    DisallowAll(Reason, String),
}

impl RobotsRules {
    pub(crate) fn of(answer: &RobotsAnswer) -> RobotsRules {
        match answer {
            RobotsAnswer::Text(text) => RobotsRules::Read(RobotsTxt::parse(text, AGENT)),
            RobotsAnswer::Absent => RobotsRules::AllowAll,
            RobotsAnswer::Unreachable(reason, why) => RobotsRules::DisallowAll(*reason, why.clone()),
        }
    }

    /// Why a URL must not be fetched; `None` if it may be.
    pub(crate) fn refusal(&self, url: &Url) -> Option<(Reason, String)> {
        match self {
            RobotsRules::AllowAll => None,
            RobotsRules::DisallowAll(Reason::AddressRefused, why) => Some((Reason::AddressRefused, why.clone())),
            RobotsRules::DisallowAll(reason, why) => Some((*reason, format!("robots.txt could not be read: {why}"))),
            RobotsRules::Read(robots) => {
                let path = path_of(url);
                let line = robots.disallowed_by(path)?;
                Some((Reason::RobotsDisallowed, format!("robots.txt disallows {path}: {line}")))
            }
        }
    }

    /// Signals in robots.txt against training on a URL's page.
    pub(crate) fn signals(&self, url: &Url) -> Vec<(UsageSignal, String)> {
        match self {
            RobotsRules::Read(robots) => {
                let found = robots.signals(path_of(url)).into_iter();
                found.map(|(signal, line)| (signal, format!("robots.txt: {line}"))).collect()
            }
            RobotsRules::AllowAll | RobotsRules::DisallowAll(..) => Vec::new(),
        }
    }

    /// Minimum time between two requests, by `Crawl-delay`; zero without one.
    pub(crate) fn crawl_delay(&self) -> Duration {
        match self {
            RobotsRules::Read(robots) => robots.crawl_delay().unwrap_or_default(),
            RobotsRules::AllowAll | RobotsRules::DisallowAll(..) => Duration::ZERO,
        }
    }
}

fn path_of(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &RobotsAnswer, path: &str, expected: Option<Reason>) {
        let url = Url::parse("http://a.example/").unwrap().join(path).unwrap();
        assert_eq!(RobotsRules::of(answer).refusal(&url).map(|(reason, _)| reason), expected, "{answer:?} {path}");
    }

    #[test]
    fn an_answer_gives_rules() {
        let text =
            RobotsAnswer::Text(b"User-agent: *\nCrawl-delay: 3\nDisallow: /private\nDisallow: /*?print".to_vec());
        check(&text, "/public", None);
        check(&text, "/private/1", Some(Reason::RobotsDisallowed));
        check(&text, "/public/../%70rivate", Some(Reason::RobotsDisallowed));
        check(&text, "/a?print=1", Some(Reason::RobotsDisallowed));
        check(&text, "/a#?print", None);
        assert_eq!(RobotsRules::of(&text).crawl_delay(), Duration::from_secs(3));
        check(&RobotsAnswer::Absent, "/private", None);
        check(&RobotsAnswer::Unreachable(Reason::TimedOut, "late".into()), "/", Some(Reason::TimedOut));
    }
}
