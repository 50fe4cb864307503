//! What is known of each host: its robots.txt, and when it may be asked again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::Reason;
use robotxt::Robots;

/// One host by its name, whatever scheme, port or user a URL gives with it.
pub(crate) struct Host {
    /// The rules of each scheme and port that was asked.
    pub(crate) robots: HashMap<String, RobotsRule>,
    /// Before this moment it is left in peace.
    pub(crate) next_allowed: Instant,
    /// Faults since the last good answer.
    pub(crate) faults_in_a_row: u32,
}

/// What robots.txt leads to (RFC 9309, section 2.3.1).
pub(crate) enum RobotsRule {
    /// It was read.
    Rules(Robots),
    /// There is none: a status of the 400s.
    AllowAll,
    /// It could not be read: a status of the 500s, or no answer. The reason is that of the host's pages.
    DisallowAll(Reason, String),
}

impl RobotsRule {
    /// Why a URL may not be fetched, if it may not.
    pub(crate) fn refusal(&self, url: &url::Url) -> Option<(Reason, String)> {
        match self {
            RobotsRule::AllowAll => None,
            RobotsRule::DisallowAll(reason, why) => Some((*reason, format!("robots.txt could not be read: {why}"))),
            RobotsRule::Rules(robots) => {
                let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
                let refusal = || (Reason::RobotsDisallowed, format!("robots.txt disallows {path}"));
                (!robots.is_allowed(path)).then(refusal)
            }
        }
    }
}

/// The name by which a host is left in peace: without a dot at the end.
pub(crate) fn name_of(url: &url::Url) -> String {
    url.host_str().unwrap_or("").trim_end_matches('.').to_owned()
}

/// All hosts that were met. A host's lock is held while it is asked, so requests to it never overlap.
#[derive(Default)]
pub(crate) struct Hosts {
    hosts: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Host>>>>,
}

impl Hosts {
    /// The host of a URL.
    pub(crate) fn of(&self, url: &url::Url) -> Arc<tokio::sync::Mutex<Host>> {
        let name = name_of(url);
        let mut hosts = self.hosts.lock().expect("no thread panics with it");
        let new = || Host { robots: HashMap::new(), next_allowed: Instant::now(), faults_in_a_row: 0 };
        hosts.entry(name).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(new()))).clone()
    }
}

impl Host {
    /// Waits until the host may be asked.
    pub(crate) async fn wait(&self) {
        tokio::time::sleep_until(self.next_allowed.into()).await;
    }

    /// Leaves the host in peace for a while.
    pub(crate) fn rest(&mut self, delay: Duration) {
        self.next_allowed = self.next_allowed.max(Instant::now() + delay);
    }
}
