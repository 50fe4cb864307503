//! Sort-friendly URIs (SURT): a URL with its host reversed, so that pages of one site sort together.
//!
//! `com,example:8080)/path?query`: the host's labels from the last to the first, a port that is not the scheme's own,
//! the path, and the query's parameters in order. Scheme and user are left out. Which spellings of a URL count as the
//! same is not decided here: [`cdxj::surt`](crate::cdxj::surt) follows the replay tools, and the duplicate keys of
//! links have rules of their own.

/// The parts of a URL, each already spelled as it shall be in the key.
///
/// ```
/// use warc::surt::Parts;
///
/// let parts = Parts {
///     host: "news.example.com",
///     port: Some("8080"),
///     path: "2017/12",
///     parameters: vec!["page=2", "lang=en"],
///     ..Parts::default()
/// };
/// assert_eq!(parts.key(), "com,example,news:8080)/2017/12?lang=en&page=2");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Parts<'a> {
    /// Name or address.
    pub host: &'a str,
    /// Whether the host is an IP address, which is not reversed.
    pub is_address: bool,
    /// The port, unless it is the scheme's own.
    pub port: Option<&'a str>,
    /// The path without its first slash.
    pub path: &'a str,
    /// The query's parameters, in any order.
    pub parameters: Vec<&'a str>,
    /// The fragment, where it names the page.
    pub fragment: Option<&'a str>,
}

impl Parts<'_> {
    /// The key under which the URL is sorted and looked up.
    pub fn key(mut self) -> String {
        let len = self.host.len() + self.path.len() + self.parameters.iter().map(|p| p.len() + 1).sum::<usize>();
        let mut key = String::with_capacity(len + 16);
        if self.is_address {
            key.push_str(self.host);
        } else {
            push_joined(&mut key, self.host.rsplit('.'), ",");
        }
        if let Some(port) = self.port {
            key.push(':');
            key.push_str(port);
        }
        key.push_str(")/");
        key.push_str(self.path);
        if !self.parameters.is_empty() {
            key.push('?');
            self.parameters.sort_unstable();
            push_joined(&mut key, self.parameters.into_iter(), "&");
        }
        if let Some(fragment) = self.fragment {
            key.push('#');
            key.push_str(fragment);
        }
        key
    }
}

fn push_joined<'a>(text: &mut String, parts: impl Iterator<Item = &'a str>, between: &str) {
    for (i, part) in parts.enumerate() {
        if i > 0 {
            text.push_str(between);
        }
        text.push_str(part);
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
