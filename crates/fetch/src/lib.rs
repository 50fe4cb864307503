//! Links → pages, politely, stored as WARC.
//!
//! The rules: robots.txt (RFC 9309) before anything else of a host; one request at a time to a host,
//! with a delay between them that robots.txt, `Retry-After` and slow answers lengthen; no address that
//! is not public, whether named by a URL, by DNS or by a redirect; limits on size, time and redirects; a
//! User-Agent that says whom to write to. Every link ends with exactly one [`ledger::Outcome`].
//!
//! Progress is journalled: after a kill, fetching goes on with the first link without an outcome.
//!
//! Left out: retries, revisits, several files for one task, HTTP/3.

mod address;
mod client;
mod host;
mod journal;

pub use address::is_public;
pub use client::{FetchError, Fetcher};

use serde::{Deserialize, Serialize};

/// How pages are fetched. There is no default for the contact: a fetcher that nobody can write to is
/// not polite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Mail address or page where the owner of a host can complain.
    pub contact: String,
    /// Least time between two requests to a host.
    #[serde(default = "Settings::default_delay_ms")]
    pub delay_ms: u64,
    /// Longest Crawl-delay and Retry-After that are waited for; what is longer counts as this.
    #[serde(default = "Settings::default_delay_max_ms")]
    pub delay_max_ms: u64,
    /// Hosts that are asked side by side, by each task.
    #[serde(default = "Settings::default_hosts_at_once")]
    pub hosts_at_once: usize,
    /// Time for a connection.
    #[serde(default = "Settings::default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Time for a whole page.
    #[serde(default = "Settings::default_page_timeout_ms")]
    pub page_timeout_ms: u64,
    /// Largest body, as sent.
    #[serde(default = "Settings::default_body_max_bytes")]
    pub body_max_bytes: u64,
    /// Most redirects of a page.
    #[serde(default = "Settings::default_redirects_max")]
    pub redirects_max: usize,
    /// Faults in a row after which the rest of a host is left.
    #[serde(default = "Settings::default_faults_in_a_row_max")]
    pub faults_in_a_row_max: u32,
}

impl Settings {
    fn default_delay_ms() -> u64 {
        2_000
    }
    fn default_delay_max_ms() -> u64 {
        300_000
    }
    fn default_hosts_at_once() -> usize {
        64
    }
    fn default_connect_timeout_ms() -> u64 {
        15_000
    }
    fn default_page_timeout_ms() -> u64 {
        60_000
    }
    fn default_body_max_bytes() -> u64 {
        20 << 20
    }
    fn default_redirects_max() -> usize {
        5
    }
    fn default_faults_in_a_row_max() -> u32 {
        10
    }

    /// `webtext/0.1.0 (+contact)`.
    pub fn user_agent(&self) -> String {
        format!("webtext/{} (+{})", env!("CARGO_PKG_VERSION"), self.contact)
    }

    /// The settings with every default, for a contact.
    pub fn for_contact(contact: &str) -> Settings {
        Settings {
            contact: contact.to_owned(),
            delay_ms: Settings::default_delay_ms(),
            delay_max_ms: Settings::default_delay_max_ms(),
            hosts_at_once: Settings::default_hosts_at_once(),
            connect_timeout_ms: Settings::default_connect_timeout_ms(),
            page_timeout_ms: Settings::default_page_timeout_ms(),
            body_max_bytes: Settings::default_body_max_bytes(),
            redirects_max: Settings::default_redirects_max(),
            faults_in_a_row_max: Settings::default_faults_in_a_row_max(),
        }
    }
}
