//! How captures are found and copied.

use records::CaptureChoice;
use serde::{Deserialize, Serialize};

use crate::error::CommonCrawlError;
use crate::remote::is_remote;

/// Where Common Crawl publishes its data for everyone.
pub const DATA: &str = "https://data.commoncrawl.org";

/// How captures are found and copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Mail address or page where the owner of a server can complain; needed when index or data are remote.
    pub contact: Option<String>,
    /// Parquet files of the index, folders of them, or lists of them (`cc-index-table.paths.gz`): paths,
    /// `http(s)://` or `s3://` URLs.
    pub index: Vec<String>,
    /// The root below which the index names archives: a folder or a URL.
    pub data: String,
    /// Which of several captures of a link is copied, among those of the best grade. In a recipe, a key of `[pages]`.
    #[serde(skip)]
    pub capture: CaptureChoice,
    /// Bytes between two members that are fetched along rather than left out by a further request.
    pub max_gap_bytes: u64,
    /// Longest request, unless one member is longer.
    pub max_request_bytes: u64,
    /// Requests for archives under way.
    pub max_concurrent_requests: usize,
    /// Files of the index that are read at the same time, each by a thread of its own.
    pub max_concurrent_index_files: usize,
    /// Longest member, stored and inflated. In a recipe, a key of `[pages]`.
    #[serde(skip)]
    pub max_page_bytes: u64,
    /// An archive is sealed when it has grown to this.
    pub max_warc_bytes: u64,
    /// Memory of one sort; whoever runs it decides, not a recipe.
    #[serde(skip)]
    pub sort_memory_bytes: usize,
    /// Tries of a request before the run stops.
    pub max_tries: u32,
    /// Wait after the first try; it doubles with every further one.
    pub min_wait_ms: u64,
    /// Longest wait, that of `Retry-After` included.
    pub max_wait_ms: u64,
    /// Time for a connection.
    pub connect_timeout_ms: u64,
    /// Longest silence in an answer.
    pub idle_timeout_ms: u64,
}

impl Default for Settings {
    /// The settings for Common Crawl's own server, without an index.
    fn default() -> Settings {
        Settings {
            contact: None,
            index: Vec::new(),
            data: DATA.to_owned(),
            capture: CaptureChoice::Nearest,
            // A request costs a server about as much as this many bytes; captures of a site lie far apart.
            max_gap_bytes: 256 << 10,
            max_request_bytes: 16 << 20,
            max_concurrent_requests: 8,
            max_concurrent_index_files: 2,
            max_page_bytes: 20 << 20,
            max_warc_bytes: 1_000_000_000,
            sort_memory_bytes: 256 << 20,
            // 1 + 2 + 4 + … + 256 s and then 300 s: about fourteen minutes.
            max_tries: 11,
            min_wait_ms: 1_000,
            max_wait_ms: 300_000,
            connect_timeout_ms: 15_000,
            idle_timeout_ms: 60_000,
        }
    }
}

impl Settings {
    /// `webtext/0.1.0 (+contact)`.
    pub fn user_agent(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("no contact");
        format!("webtext/{} (+{contact})", env!("CARGO_PKG_VERSION"))
    }

    /// Whether anything is asked of a server.
    pub fn is_remote(&self) -> bool {
        is_remote(&self.data) || self.index.iter().any(|name| is_remote(name))
    }

    /// Refuses settings under which no run can begin.
    ///
    /// # Errors
    /// [`CommonCrawlError::Settings`] when no index is named, or a server is to be asked without a contact.
    pub fn check(&self) -> Result<(), CommonCrawlError> {
        let refuse = |what: String| Err(CommonCrawlError::Settings(what));
        if self.index.is_empty() {
            return refuse("no index is given; name its Parquet files, folders or a list of them".into());
        }
        if self.is_remote() {
            let contact = self.contact.as_deref().unwrap_or("").trim();
            if !(contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://")) {
                return refuse(format!(
                    "the contact {contact:?} is neither a mail address nor a page; servers must know whom to write to"
                ));
            }
            if !contact.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return refuse(format!("the contact {contact:?} has characters that no request header can have"));
            }
        }
        Ok(())
    }
}
