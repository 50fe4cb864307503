//! robots.txt (RFC 9309): what it leads to, and what is kept of it across a restart.

use std::time::Duration;

use records::Reason;
use robotxt::Robots;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

use crate::signals::{Signal, UsageRules};

/// RFC 9309, section 2.4: no longer than a day.
pub(crate) const BELIEVED_FOR: Duration = Duration::from_secs(24 * 3600);
/// The name that groups of robots.txt call this crawler by.
pub(crate) const AGENT: &str = "webtext";

/// How an origin's robots.txt was answered, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Its text, decoded.
    Text(Vec<u8>),
    /// There is none: a status of the 400s, or redirects without an end (RFC 9309, section 2.3.1.3).
    Absent,
    /// A status of the 500s, 429, or no answer. The reason is that of the origin's pages.
    Unreachable(Reason, String),
}

/// The rules of one origin (scheme, host and port).
#[derive(Debug)]
pub(crate) enum Rules {
    Read { robots: Robots, usage: UsageRules },
    AllowAll,
    DisallowAll(Reason, String),
}

impl Rules {
    pub(crate) fn of(answer: &Answer) -> Rules {
        match answer {
            Answer::Text(text) => {
                Rules::Read { robots: Robots::parse(text, AGENT), usage: UsageRules::parse(text, AGENT) }
            }
            Answer::Absent => Rules::AllowAll,
            Answer::Unreachable(reason, why) => Rules::DisallowAll(*reason, why.clone()),
        }
    }

    /// Why a URL may not be fetched, if it may not.
    pub(crate) fn refusal(&self, url: &Url) -> Option<(Reason, String)> {
        match self {
            Rules::AllowAll => None,
            Rules::DisallowAll(Reason::AddressRefused, why) => Some((Reason::AddressRefused, why.clone())),
            Rules::DisallowAll(reason, why) => Some((*reason, format!("robots.txt could not be read: {why}"))),
            Rules::Read { robots, .. } => {
                let path = path_of(url);
                let refusal = || (Reason::RobotsDisallowed, format!("robots.txt disallows {path}"));
                (!robots.is_allowed(path)).then(refusal)
            }
        }
    }

    /// What robots.txt says against the use of a URL's page for training.
    pub(crate) fn signals(&self, url: &Url) -> Vec<(Signal, String)> {
        match self {
            Rules::Read { usage, .. } => usage.of_path(path_of(url)),
            Rules::AllowAll | Rules::DisallowAll(..) => Vec::new(),
        }
    }

    /// Least time between two requests that it asks for.
    pub(crate) fn crawl_delay(&self) -> Duration {
        match self {
            Rules::Read { robots, .. } => robots.crawl_delay().unwrap_or_default(),
            Rules::AllowAll | Rules::DisallowAll(..) => Duration::ZERO,
        }
    }
}

fn path_of(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &Answer, path: &str, expected: Option<Reason>) {
        let url = Url::parse("http://a.example/").unwrap().join(path).unwrap();
        assert_eq!(Rules::of(answer).refusal(&url).map(|(reason, _)| reason), expected, "{answer:?} {path}");
    }

    #[test]
    fn what_an_answer_leads_to() {
        let text = Answer::Text(b"User-agent: *\nCrawl-delay: 3\nDisallow: /private\nDisallow: /*?print".to_vec());
        check(&text, "/public", None);
        check(&text, "/private/1", Some(Reason::RobotsDisallowed));
        check(&text, "/a?print=1", Some(Reason::RobotsDisallowed));
        assert_eq!(Rules::of(&text).crawl_delay(), Duration::from_secs(3));
        check(&Answer::Absent, "/private", None);
        check(&Answer::Unreachable(Reason::TimedOut, "late".into()), "/", Some(Reason::TimedOut));
    }
}
