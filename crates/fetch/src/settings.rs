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
    pub delay_ms: u64,
    /// Longest Crawl-delay and Retry-After that are waited for; what is longer counts as this.
    pub delay_max_ms: u64,
    /// Hosts that are under way, by each process or task: their queues are what takes memory.
    pub hosts_at_once: usize,
    /// Requests under way, by each process or task.
    pub requests_at_once: usize,
    /// Requests under way to the hosts of one registrable domain.
    pub requests_a_domain: u32,
    /// Requests under way to one address, whatever names it has.
    pub requests_an_address: u32,
    /// Time for a connection, TLS included.
    pub connect_timeout_ms: u64,
    /// Time from the connection to the first byte of an answer.
    pub first_byte_timeout_ms: u64,
    /// Longest silence in the middle of a body.
    pub idle_timeout_ms: u64,
    /// Time for a whole page.
    pub page_timeout_ms: u64,
    /// A body that comes slower than so many bytes a second, after its first ten seconds, is cut.
    pub rate_min_bytes: u64,
    /// Largest body, as sent.
    pub body_max_bytes: u64,
    /// Largest body, decoded: what grows beyond it is a bomb.
    pub decoded_max_bytes: u64,
    /// Most redirects of a page.
    pub redirects_max: usize,
    /// How often a page is asked for: again after a 429 or 503, a fault or a time-out.
    pub tries_max: u32,
    /// Faults in a row after which the rest of a host is left.
    pub faults_in_a_row_max: u32,
    /// Most pages of one registrable domain, those of the most karma; 0 for no limit.
    pub pages_a_domain_max: u64,
    /// Which signals against use for training are honoured.
    pub honour: Honour,
    /// A WARC file is closed when it has grown to this.
    pub warc_max_bytes: u64,
    /// How many outcomes of a worker may wait to be durable: what a kill loses at most, beside what is under way.
    pub group_pages: usize,
    /// An outcome waits no longer than this before it is written.
    pub group_ms: u64,
}

impl Settings {
    /// Every default, without a contact.
    pub const DEFAULT: Settings = Settings {
        contact: String::new(),
        delay_ms: 2_000,
        delay_max_ms: 300_000,
        hosts_at_once: 8_192,
        requests_at_once: 512,
        requests_a_domain: 2,
        requests_an_address: 4,
        connect_timeout_ms: 15_000,
        first_byte_timeout_ms: 30_000,
        idle_timeout_ms: 20_000,
        page_timeout_ms: 120_000,
        rate_min_bytes: 200,
        body_max_bytes: 20 << 20,
        decoded_max_bytes: 100 << 20,
        redirects_max: 5,
        tries_max: 3,
        faults_in_a_row_max: 10,
        pages_a_domain_max: 0,
        honour: Honour::ALL,
        warc_max_bytes: 1_000_000_000,
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
            ("hosts_at_once", self.hosts_at_once as u64),
            ("requests_at_once", self.requests_at_once as u64),
            ("requests_a_domain", self.requests_a_domain.into()),
            ("requests_an_address", self.requests_an_address.into()),
            ("tries_max", self.tries_max.into()),
            ("faults_in_a_row_max", self.faults_in_a_row_max.into()),
            ("group_pages", self.group_pages as u64),
        ];
        let (name, _) = at_least_one.into_iter().find(|&(_, value)| value == 0)?;
        Some(format!("{name} is 0; nothing would be fetched"))
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    pub(crate) fn delay_max(&self) -> Duration {
        Duration::from_millis(self.delay_max_ms.max(self.delay_ms))
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
