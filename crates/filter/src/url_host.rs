//! The host of a URL and its registrable domain, as tldextract 5 finds them: leniently, with case and spelling kept.
//!
//! Left out: hosts that are addresses, and suffixes of the private part of the public-suffix list, which tldextract leaves
//! out unless told otherwise.

use public_suffix::{Section, suffix_of};

use words::python;

/// What tldextract returns for a URL.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UrlHost {
    /// With `.` for each of the four full stops that separate labels; empty if there is no registrable domain.
    host: String,
    /// Where the registrable domain starts.
    domain_start: usize,
}

impl UrlHost {
    /// The host of a URL, or of text that resembles one.
    pub fn of(url: &str) -> UrlHost {
        let host = host_of(url).replace(FULL_STOPS, ".");
        let labels: Vec<&str> = host.split('.').collect();
        let suffix_labels = icann_suffix_labels(&labels);
        let domain = labels.len().checked_sub(suffix_labels + 1).filter(|_| suffix_labels > 0);
        match domain {
            Some(domain) if !labels[domain].is_empty() => {
                let domain_start = host.len() - labels[domain..].join(".").len();
                // A host that only has a full stop before its domain is the domain.
                let start = if domain_start == 1 { 1 } else { 0 };
                UrlHost { host: host[start..].to_owned(), domain_start: domain_start - start }
            }
            _ => UrlHost::default(),
        }
    }

    /// The whole host, if it has a known suffix and a label before it.
    pub fn host(&self) -> Option<&str> {
        Some(self.host.as_str()).filter(|host| !host.is_empty())
    }

    /// The suffix with the label before it.
    pub fn registrable_domain(&self) -> Option<&str> {
        self.host().map(|host| &host[self.domain_start..])
    }
}

/// The separators of labels: the full stop and its three ideographic forms.
const FULL_STOPS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The part between `//`, `@` and the port or path. A URL without `//` begins with it.
fn host_of(url: &str) -> &str {
    let authority = without_scheme(url).split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    if host.starts_with('[') && host.contains(']') {
        // An IPv6 address has no domain.
        return "";
    }
    let host = host.split(':').next().unwrap_or("");
    python::strip(host).trim_end_matches(FULL_STOPS)
}

fn without_scheme(url: &str) -> &str {
    let Some((scheme, rest)) = url.split_once("//") else { return url };
    let is_scheme = |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    match scheme.strip_suffix(':') {
        _ if scheme.is_empty() => rest,
        Some(scheme) if !scheme.is_empty() && is_scheme(scheme) => rest,
        _ => url,
    }
}

/// The number of labels of a host's public suffix, private suffixes left out; 0 if it is not on the list.
fn icann_suffix_labels(labels: &[&str]) -> usize {
    let labels: Vec<String> = labels.iter().rev().map(|label| label.to_lowercase()).collect();
    let mut considered = labels.len();
    loop {
        let suffix = suffix_of(&labels[..considered]);
        let bytes_of = |count: usize| labels[..count].iter().map(String::len).sum::<usize>() + count - 1;
        let count = (1..=considered).find(|&count| bytes_of(count) >= suffix.bytes).unwrap_or(0);
        match suffix.section {
            Some(Section::Icann) => return count,
            Some(Section::Private) if count > 1 => considered = count - 1,
            _ => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, host: &str, domain: &str) {
        let found = UrlHost::of(url);
        assert_eq!((found.host().unwrap_or(""), found.registrable_domain().unwrap_or("")), (host, domain), "{url}");
    }

    #[test]
    fn hosts_and_domains() {
        check("http://forums.bbc.co.uk/path", "forums.bbc.co.uk", "bbc.co.uk");
        check("https://me:pw@WWW.Example.COM:80?q", "WWW.Example.COM", "Example.COM");
        check("//a.github.io#x", "a.github.io", "github.io");
        check("example.com", "example.com", "example.com");
        check("http://localhost/", "", "");
        check("http://127.0.0.1/", "", "");
        check("http://[::1]/", "", "");
        check("http://co.uk/", "", "");
        check("http://.example.com./", "example.com", "example.com");
        check("http://a.b.kawasaki.jp/", "a.b.kawasaki.jp", "a.b.kawasaki.jp");
        check("http://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai");
        check("", "", "");
    }
}
