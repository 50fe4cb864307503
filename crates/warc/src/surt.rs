//! Sort-friendly URIs (SURT): a URL with its host reversed, so that pages of one site sort together.
//!
//! `com,example:8080)/path?query`: the host's labels from the last to the first, a port that is not the scheme's own,
//! the path and the query. Scheme and user are left out. Which spellings of a URL count as the same is not decided here.
//! Two sets of rules are laid over this form, for two purposes:
//!
//! - [`cdxj::surt`](crate::cdxj::surt) is for replay tools, which look pages up by it. It is what the `surt` package
//!   makes: paths in lower case, `%2F` taken for `/`. It finds more than was asked for, which replay can mend.
//! - The duplicate keys of links and captures (crate `links`) decide whether a page is dropped as a copy of another one.
//!   They merge only what is one address.

/// The parts of a URL, each already spelled as it shall be in the key.
///
/// ```
/// use warc::surt::Parts;
///
/// let parts = Parts {
///     host: "news.example.com",
///     port: Some("8080"),
///     path: "2017/12",
///     query: "lang=en&page=2",
///     ..Parts::default()
/// };
/// assert_eq!(parts.key(), "com,example,news:8080)/2017/12?lang=en&page=2");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Parts<'a> {
    /// Name or address.
    pub host: &'a str,
    /// Whether the host is an address that is not reversed.
    pub is_address: bool,
    /// The port, unless it is the scheme's own.
    pub port: Option<&'a str>,
    /// The path without its first slash.
    pub path: &'a str,
    /// The query, its parameters in the order that they shall have.
    pub query: &'a str,
    /// The fragment, where it names the page.
    pub fragment: Option<&'a str>,
}

impl Parts<'_> {
    /// The key under which the URL is sorted and looked up.
    pub fn key(self) -> String {
        let fragment_len = self.fragment.map_or(0, str::len);
        let mut key = String::with_capacity(self.host.len() + self.path.len() + self.query.len() + fragment_len + 10);
        if self.is_address {
            key.push_str(self.host);
        } else {
            for (i, label) in self.host.rsplit('.').enumerate() {
                if i > 0 {
                    key.push(',');
                }
                key.push_str(label);
            }
        }
        if let Some(port) = self.port {
            key.push(':');
            key.push_str(port);
        }
        key.push_str(")/");
        key.push_str(self.path);
        if !self.query.is_empty() {
            key.push('?');
            key.push_str(self.query);
        }
        if let Some(fragment) = self.fragment {
            key.push('#');
            key.push_str(fragment);
        }
        key
    }
}

/// The host without a first label of `www`, `www2` and the like; `None` if it has none.
///
/// ```
/// use warc::surt::without_www;
///
/// assert_eq!(without_www("www2.example.com"), Some("example.com"));
/// assert_eq!(without_www("wwwhat.example.com"), None);
/// ```
pub fn without_www(host: &str) -> Option<&str> {
    host.strip_prefix("www")?.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('.')
}
