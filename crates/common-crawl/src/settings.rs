//! Settings of a run: how captures are found and copied.

use links::{CanonicalRules, Wrapper};
use records::CaptureChoice;
use serde::{Deserialize, Serialize};

use crate::error::CommonCrawlError;
use crate::remote::is_remote;

/// Root of Common Crawl's public data.
pub const DATA: &str = "https://data.commoncrawl.org";

/// Settings of a run. `index` has no default; `contact` is needed when a server is contacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "clap", derive(clap::Args), group(skip))]
pub struct CommonCrawlSettings {
    /// Mail address or web page where owners of servers can complain; required when index or data are remote.
    #[cfg_attr(feature = "clap", arg(skip = Self::default().contact))]
    pub contact: Option<String>,
    /// Parquet files of the index, folders of them, or lists of them (`cc-index-table.paths.gz`): paths,
    /// `http(s)://` or `s3://` URLs.
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH-OR-URL", num_args = 1..))]
    pub index: Vec<String>,
    /// Root of the archives that the index names: a folder or a URL.
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH-OR-URL", default_value = DATA))]
    pub data: String,
    /// Which capture of a link is copied, among those of the best grade. In a recipe, a key of `[pages]`.
    #[serde(skip)]
    #[cfg_attr(feature = "clap", arg(long, value_name = "WHICH", value_enum, default_value_t = Self::default().capture))]
    pub capture: CaptureChoice,
    /// Wrappers that are read as the page that they lead to, as the links were made with. In a recipe, a key of
    /// `[links]`.
    #[serde(skip)]
    #[cfg_attr(feature = "clap", arg(long, value_name = "WRAPPERS", value_delimiter = ','))]
    pub unwrap: Vec<Wrapper>,
    /// Largest gap between two members that are fetched in one request; its bytes are fetched, too.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::default().max_gap_bytes))]
    pub max_gap_bytes: u64,
    /// Largest request, unless a single member is larger.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::default().max_request_bytes))]
    pub max_request_bytes: u64,
    /// Requests for archives in flight.
    #[cfg_attr(feature = "clap", arg(skip = Self::default().max_concurrent_requests))]
    pub max_concurrent_requests: usize,
    /// Files of the index read at the same time, each by a thread.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::default().max_concurrent_index_files))]
    pub max_concurrent_index_files: usize,
    /// Largest member, compressed and decompressed. In a recipe, a key of `[pages]`.
    #[serde(skip)]
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::default().max_page_bytes))]
    pub max_page_bytes: u64,
    /// Size at which an archive is complete and the next begins.
    #[cfg_attr(feature = "clap", arg(skip = Self::default().max_warc_bytes))]
    pub max_warc_bytes: u64,
    /// Memory of one sort, in bytes. Not a key of recipes, since it depends on the machine.
    #[serde(skip)]
    #[cfg_attr(feature = "clap", arg(skip = Self::default().sort_memory_bytes))]
    pub sort_memory_bytes: usize,
    /// Tries of a request before the run fails.
    #[cfg_attr(feature = "clap", arg(skip = Self::default().max_tries))]
    pub max_tries: u32,
    /// Wait after the first failed try; it doubles with each further one.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::default().min_backoff_ms))]
    pub min_backoff_ms: u64,
    /// Longest wait, including that of `Retry-After`.
    #[cfg_attr(feature = "clap", arg(long, value_name = "MS", default_value_t = Self::default().max_backoff_ms))]
    pub max_backoff_ms: u64,
    /// Time to connect.
    #[cfg_attr(feature = "clap", arg(skip = Self::default().connect_timeout_ms))]
    pub connect_timeout_ms: u64,
    /// Longest time between two chunks of an answer.
    #[cfg_attr(feature = "clap", arg(skip = Self::default().idle_timeout_ms))]
    pub idle_timeout_ms: u64,
}

impl Default for CommonCrawlSettings {
    /// The settings for Common Crawl's own server, without an index.
    fn default() -> CommonCrawlSettings {
        CommonCrawlSettings {
            contact: None,
            index: Vec::new(),
            data: DATA.to_owned(),
            capture: CaptureChoice::Nearest,
            unwrap: Vec::new(),
            // A request costs a server about as much as this many bytes; captures of one site are far apart.
            max_gap_bytes: 256 << 10,
            max_request_bytes: 16 << 20,
            max_concurrent_requests: 8,
            max_concurrent_index_files: 2,
            max_page_bytes: 20 << 20,
            max_warc_bytes: 1_000_000_000,
            sort_memory_bytes: 256 << 20,
            // 1 + 2 + 4 + … + 256 s and then 300 s: about fourteen minutes.
            max_tries: 11,
            min_backoff_ms: 1_000,
            max_backoff_ms: 300_000,
            connect_timeout_ms: 15_000,
            idle_timeout_ms: 60_000,
        }
    }
}

impl CommonCrawlSettings {
    /// The User-Agent header: `webtext/VERSION (+CONTACT)`.
    pub fn user_agent(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("no contact");
        format!("webtext/{} (+{contact})", env!("CARGO_PKG_VERSION"))
    }

    /// What counts as one page.
    pub(crate) fn canonical(&self) -> CanonicalRules {
        CanonicalRules::unwrapping(self.unwrap.iter().copied())
    }

    /// Whether a server is contacted.
    pub fn is_remote(&self) -> bool {
        is_remote(&self.data) || self.index.iter().any(|name| is_remote(name))
    }

    /// Checks that a run can begin under these settings.
    ///
    /// # Errors
    /// [`CommonCrawlError::Settings`] when no index is named, or a server would be contacted without a valid contact.
    pub fn check(&self) -> Result<(), CommonCrawlError> {
        let refuse = |what: String| Err(CommonCrawlError::Settings(what));
        if self.index.is_empty() {
            return refuse("no index is given; name its Parquet files, folders or a list of them".into());
        }
        if self.is_remote() {
            let contact = self.contact.as_deref().unwrap_or("").trim();
            if !(contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://")) {
                return refuse(format!(
                    "the contact {contact:?} is neither a mail address nor a web page; owners of servers must be able to complain"
                ));
            }
            if !contact.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return refuse(format!("the contact {contact:?} has characters that no request header can have"));
            }
        }
        Ok(())
    }
}
