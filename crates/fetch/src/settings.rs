//! How pages are fetched: everything that a recipe's `[pages.fetch]` and the flags of `webtext fetch` say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signals::Honour;

/// How pages are fetched. There is no default for the contact: a fetcher that nobody can write to is
/// not polite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Mail address or page where the owner of a host can complain.
    pub contact: String,
    /// Least time between two requests to a host.
    pub min_delay_ms: u64,
    /// Longest Crawl-delay and Retry-After that are waited for; what is longer counts as this.
    pub max_delay_ms: u64,
    /// Hosts under way, per process or task: their queues are what takes memory.
    pub max_concurrent_hosts: usize,
    /// Requests under way, per process or task.
    pub max_concurrent_requests: usize,
    /// Requests under way to the hosts of one registrable domain.
    pub max_requests_per_domain: u32,
    /// Requests under way to one address, whatever names it has.
    pub max_requests_per_address: u32,
    /// Time for a connection, TLS included.
    pub connect_timeout_ms: u64,
    /// Time from the connection to the first byte of an answer.
    pub first_byte_timeout_ms: u64,
    /// Longest silence in the middle of a body.
    pub idle_timeout_ms: u64,
    /// Time for a whole page.
    pub page_timeout_ms: u64,
    /// A body that comes slower than this after its first ten seconds is cut.
    pub min_bytes_per_second: u64,
    /// Largest body, as sent.
    pub max_body_bytes: u64,
    /// Largest body, decoded: what grows beyond it is a bomb.
    pub max_decoded_bytes: u64,
    /// Redirects that are followed to a page.
    pub max_redirects: usize,
    /// How often a page is asked for: again after a 429 or 503, a fault or a time-out.
    pub max_tries: u32,
    /// Faults in a row after which the rest of a host is left.
    pub max_consecutive_faults: u32,
    /// Pages of one registrable domain, those of the most karma; 0 for no limit.
    pub max_pages_per_domain: u64,
    /// Which signals against use for training are honoured.
    pub honour: Honour,
    /// A WARC file is sealed when it has grown to this.
    pub max_warc_bytes: u64,
    /// Outcomes of a worker that may wait to be durable: what a kill loses at most, beside what is under way.
    pub group_pages: usize,
    /// An outcome waits no longer than this before it is written.
    pub group_ms: u64,
}

impl Settings {
    /// Every default, without a contact.
    pub const DEFAULT: Settings = Settings {
        contact: String::new(),
        min_delay_ms: 2_000,
        max_delay_ms: 300_000,
        max_concurrent_hosts: 8_192,
        max_concurrent_requests: 512,
        max_requests_per_domain: 2,
        max_requests_per_address: 4,
        connect_timeout_ms: 15_000,
        first_byte_timeout_ms: 30_000,
        idle_timeout_ms: 20_000,
        page_timeout_ms: 120_000,
        min_bytes_per_second: 200,
        max_body_bytes: 20 << 20,
        max_decoded_bytes: 100 << 20,
        max_redirects: 5,
        max_tries: 3,
        max_consecutive_faults: 10,
        max_pages_per_domain: 0,
        honour: Honour::ALL,
        max_warc_bytes: 1_000_000_000,
        group_pages: 64,
        group_ms: 1_000,
    };

    /// The settings with every default, for a contact.
    pub fn for_contact(contact: &str) -> Settings {
        Settings { contact: contact.to_owned(), ..Settings::DEFAULT }
    }

    /// `webtext/0.1.0 (+contact)`.
    pub fn user_agent(&self) -> String {
        format!("webtext/{} (+{})", env!("CARGO_PKG_VERSION"), self.contact.trim())
    }

    /// What is wrong with the settings, if anything.
    pub fn fault(&self) -> Option<String> {
        let contact = self.contact.trim();
        let is_reachable = contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://");
        if !is_reachable || contact.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Some(format!(
                "the contact {contact:?} is neither a mail address nor a page; hosts must know whom to write to"
            ));
        }
        let at_least_one = [
            ("max_concurrent_hosts", self.max_concurrent_hosts as u64),
            ("max_concurrent_requests", self.max_concurrent_requests as u64),
            ("max_requests_per_domain", self.max_requests_per_domain.into()),
            ("max_requests_per_address", self.max_requests_per_address.into()),
            ("max_tries", self.max_tries.into()),
            ("max_consecutive_faults", self.max_consecutive_faults.into()),
            ("group_pages", self.group_pages as u64),
        ];
        let (name, _) = at_least_one.into_iter().find(|&(_, value)| value == 0)?;
        Some(format!("{name} is 0; nothing would be fetched"))
    }

    pub(crate) fn min_delay(&self) -> Duration {
        Duration::from_millis(self.min_delay_ms)
    }

    pub(crate) fn max_delay(&self) -> Duration {
        Duration::from_millis(self.max_delay_ms.max(self.min_delay_ms))
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_asked_for() {
        let fault = |contact: &str| Settings::for_contact(contact).fault();
        assert_eq!(fault("a@b.example"), None);
        assert_eq!(fault("https://b.example/crawler"), None);
        assert!(fault("").is_some());
        assert!(fault("nobody").is_some());
        assert!(fault("a@b.example\r\nX-Injected: 1").is_some());
    }
}
