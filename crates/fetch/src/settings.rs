//! Settings of a crawl: the keys of a recipe's `[pages.fetch]` and the flags of `webtext fetch`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::FetchError;
use crate::signals::HonouredSignals;

#[cfg(feature = "clap")]
const POLITENESS: &str = "Politeness";
#[cfg(feature = "clap")]
const LIMITS: &str = "Limits";

/// Settings of a crawl. Every one has a default except the contact: a crawler that nobody can reach is not polite.
///
/// ```
/// let settings = fetch::CrawlSettings { max_pages_per_domain: 100, ..fetch::CrawlSettings::for_contact("me@example.org") };
/// assert!(settings.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "clap", derive(clap::Args), group(skip))]
pub struct CrawlSettings {
    /// Mail address or web page where owners of hosts can complain; sent in the User-Agent.
    #[cfg_attr(feature = "clap", arg(skip = Self::DEFAULT.contact))]
    pub contact: String,
    /// Minimum time between two requests to a host.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.min_delay_ms, help_heading = POLITENESS))]
    pub min_delay_ms: u64,
    /// Maximum of that time: a longer Crawl-delay or Retry-After counts as this.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.max_delay_ms, help_heading = POLITENESS))]
    pub max_delay_ms: u64,
    /// Hosts with links in memory at a time, about 8 KiB each, per process or task.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_concurrent_hosts, help_heading = POLITENESS))]
    pub max_concurrent_hosts: usize,
    /// Requests in flight, per process or task.
    #[cfg_attr(feature = "clap", arg(skip = Self::DEFAULT.max_concurrent_requests))]
    pub max_concurrent_requests: usize,
    /// Requests in flight to the hosts of one registrable domain.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_requests_per_domain, help_heading = POLITENESS))]
    pub max_requests_per_domain: u32,
    /// Requests in flight to one IP address, whatever its hosts are called.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_requests_per_address, help_heading = POLITENESS))]
    pub max_requests_per_address: u32,
    /// Time to connect, TLS included.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.connect_timeout_ms, help_heading = LIMITS))]
    pub connect_timeout_ms: u64,
    /// Time from the connection to the first byte of the answer.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.first_byte_timeout_ms, help_heading = LIMITS))]
    pub first_byte_timeout_ms: u64,
    /// Time between two chunks of a body.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.idle_timeout_ms, help_heading = LIMITS))]
    pub idle_timeout_ms: u64,
    /// Time for a whole page.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.page_timeout_ms, help_heading = LIMITS))]
    pub page_timeout_ms: u64,
    /// Minimum rate of a body after its first ten seconds; a slower one is cut off there.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::DEFAULT.min_bytes_per_second, help_heading = LIMITS))]
    pub min_bytes_per_second: u64,
    /// Largest body, as sent.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::DEFAULT.max_body_bytes, help_heading = LIMITS))]
    pub max_body_bytes: u64,
    /// Largest body, decoded; a larger one counts as a decompression bomb.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::DEFAULT.max_decoded_bytes, help_heading = LIMITS))]
    pub max_decoded_bytes: u64,
    /// Redirects followed for a link.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_redirects, help_heading = LIMITS))]
    pub max_redirects: usize,
    /// Requests for a link: the first, and retries after status 429 or 503, a fault or a timeout.
    #[cfg_attr(feature = "clap", arg(skip = Self::DEFAULT.max_tries))]
    pub max_tries: u32,
    /// Consecutive faults after which a host is given up.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_consecutive_faults, help_heading = POLITENESS))]
    pub max_consecutive_faults: u32,
    /// Pages of one registrable domain, those with the most karma; 0 for no limit.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_pages_per_domain, help_heading = POLITENESS))]
    pub max_pages_per_domain: u64,
    /// Signals against use for training that drop a page: any of noai, tdm-reservation, content-usage, content-signal.
    #[cfg_attr(feature = "clap", arg(long, value_name = "SIGNALS", default_value_t = Self::DEFAULT.honour, help_heading = POLITENESS))]
    pub honour: HonouredSignals,
    /// Size at which a WARC file is complete and the next begins.
    #[cfg_attr(feature = "clap", arg(skip = Self::DEFAULT.max_warc_bytes))]
    pub max_warc_bytes: u64,
    /// Outcomes of a worker that may wait to become durable. A kill loses at most these and the requests in flight.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::DEFAULT.max_group_pages, help_heading = LIMITS))]
    pub max_group_pages: usize,
    /// Longest time that an outcome waits before it is written.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::DEFAULT.max_group_ms, help_heading = LIMITS))]
    pub max_group_ms: u64,
}

impl CrawlSettings {
    /// All defaults, with an empty contact.
    pub const DEFAULT: CrawlSettings = CrawlSettings {
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
        honour: HonouredSignals::ALL,
        max_warc_bytes: 1_000_000_000,
        max_group_pages: 64,
        max_group_ms: 1_000,
    };

    /// All defaults, with this contact.
    pub fn for_contact(contact: &str) -> CrawlSettings {
        CrawlSettings { contact: contact.to_owned(), ..CrawlSettings::DEFAULT }
    }

    /// The User-Agent header: `webtext/VERSION (+CONTACT)`.
    pub fn user_agent(&self) -> String {
        format!("webtext/{} (+{})", env!("CARGO_PKG_VERSION"), self.contact.trim())
    }

    /// Checks that a crawl can run under these settings.
    ///
    /// # Errors
    /// [`FetchError::Settings`] when the contact is neither a mail address nor a web page, or a limit is 0.
    pub fn check(&self) -> Result<(), FetchError> {
        let contact = self.contact.trim();
        let is_reachable = contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://");
        if !is_reachable || contact.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Err(FetchError::Settings(format!(
                "the contact {contact:?} (--contact, or the key contact of [pages.fetch]) is neither a mail address nor a web page; owners \
                 of hosts must be able to complain"
            )));
        }
        let at_least_one = [
            ("max_concurrent_hosts", self.max_concurrent_hosts as u64),
            ("max_concurrent_requests", self.max_concurrent_requests as u64),
            ("max_requests_per_domain", self.max_requests_per_domain.into()),
            ("max_requests_per_address", self.max_requests_per_address.into()),
            ("max_tries", self.max_tries.into()),
            ("max_consecutive_faults", self.max_consecutive_faults.into()),
            ("max_group_pages", self.max_group_pages as u64),
        ];
        match at_least_one.into_iter().find(|&(_, value)| value == 0) {
            Some((name, _)) => Err(FetchError::Settings(format!("{name} is 0; nothing would be fetched"))),
            None => Ok(()),
        }
    }

    pub(crate) fn min_delay(&self) -> Duration {
        Duration::from_millis(self.min_delay_ms)
    }

    pub(crate) fn max_delay(&self) -> Duration {
        Duration::from_millis(self.max_delay_ms.max(self.min_delay_ms))
    }
}

impl Default for CrawlSettings {
    fn default() -> CrawlSettings {
        CrawlSettings::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_required() {
        let check = |contact: &str, expected: bool| {
            assert_eq!(CrawlSettings::for_contact(contact).check().is_ok(), expected, "{contact:?}");
        };
        check("a@b.example", true);
        check("https://b.example/crawler", true);
        check("", false);
        check("nobody", false);
        check("a@b.example\r\nX-Injected: 1", false);
    }
}
