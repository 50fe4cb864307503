//! The two forms of a URL: the one that is fetched, and the key by which duplicates are found.
//!
//! What is fetched stays close to what was posted: the WHATWG parser's form without the fragment.
//! The key goes further, in the form of a SURT (`com,example)/path?query`): no scheme, no `www.`, no
//! user, no default port, no tracking or session parameters, a sorted query, no slash at the end.
//! Two URLs with the same key count as the same page.

use url::{Host, Url};
use warc::surt::{Parts, without_www};

/// Query parameters that record where a reader came from, not what is read. Left out of keys.
const TRACKING: &[&str] = &[
    "fbclid", "gclid", "gclsrc", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "yclid", "_ga", "ncid", "cmpid",
    "ocid", "smid",
];

/// Query parameters that hold a session id. Left out of keys.
const SESSIONS: &[&str] =
    &["jsessionid", "phpsessid", "sessionid", "session_id", "sid", "cfid", "cftoken", "aspsessionid"];

/// A URL in both forms, with the parts that rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The URL to fetch.
    pub url: String,
    /// The duplicate key.
    pub key: String,
    /// Registrable domain by the public-suffix list; the host itself for addresses and unknown suffixes.
    pub domain: String,
    /// Host in lower case, which is compared with blocked domains.
    pub host: String,
    /// What follows the last dot of the last path segment, in lower case.
    pub extension: Option<String>,
}

/// Why a URL has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// It does not parse, or has no host.
    #[error("the URL does not parse")]
    Malformed,
    /// It is neither http nor https.
    #[error("the URL is neither http nor https")]
    Scheme,
}

impl Canonical {
    /// Parses and canonicalises a URL. Relative URLs are Reddit's own, as the dumps have them.
    ///
    /// ```
    /// let a = links::Canonical::parse("HTTP://www.Example.co.uk:80/b/?utm_source=x&z=1&a=2#top").unwrap();
    /// assert_eq!(a.url, "http://www.example.co.uk/b/?utm_source=x&z=1&a=2");
    /// assert_eq!(a.key, "uk,co,example)/b?a=2&z=1");
    /// assert_eq!(a.domain, "example.co.uk");
    /// ```
    pub fn parse(text: &str) -> Result<Canonical, UrlFault> {
        let text = text.trim();
        let parsed = if text.starts_with('/') && !text.starts_with("//") {
            Url::parse("https://www.reddit.com").and_then(|base| base.join(text))
        } else {
            Url::parse(text)
        };
        let mut url = match parsed {
            Ok(url) => url,
            Err(_) => Url::parse(&format!("http://{text}"))
                .ok()
                .filter(|url| looks_like_host(text) && url.domain().is_some_and(|host| host.contains('.')))
                .ok_or(UrlFault::Malformed)?,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlFault::Scheme);
        }
        if !url.fragment().is_some_and(|fragment| fragment.starts_with('!')) {
            url.set_fragment(None);
        }
        let (host, domain) = match url.host() {
            Some(Host::Domain(host)) => {
                let host = host.trim_end_matches('.');
                (host.to_owned(), psl::domain_str(host).unwrap_or(host).to_owned())
            }
            Some(address) => (address.to_string(), address.to_string()),
            None => return Err(UrlFault::Malformed),
        };
        if host.is_empty() {
            return Err(UrlFault::Malformed);
        }
        let key = key_of(&url, &host);
        let extension = extension_of(url.path());
        Ok(Canonical { key, extension, host, domain, url: url.into() })
    }
}

/// Whether text without a scheme is a URL: `example.com/page` is; `not a url` and `mailto` are not.
fn looks_like_host(text: &str) -> bool {
    let host = text.split(['/', '?', '#']).next().unwrap_or("");
    host.contains('.') && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

fn key_of(url: &Url, host: &str) -> String {
    let is_address = !matches!(url.host(), Some(Host::Domain(_)));
    let port = url.port().map(|port| port.to_string());
    Parts {
        host: if is_address { host } else { site_of(host) },
        is_address,
        port: port.as_deref(),
        path: without_path_session(url.path()).trim_matches('/'),
        parameters: url.query().unwrap_or("").split('&').filter(|parameter| names_the_page(parameter)).collect(),
        fragment: url.fragment(),
    }
    .key()
}

/// The host without `www.`, `www2.` and so on, unless that would leave a public suffix, which is another domain.
fn site_of(host: &str) -> &str {
    without_www(host).filter(|rest| psl::domain_str(rest).is_some()).unwrap_or(host)
}

/// Cuts `;jsessionid=…` off a path.
fn without_path_session(path: &str) -> &str {
    match path.rfind(';') {
        Some(at) if path[at + 1..].to_ascii_lowercase().starts_with("jsessionid=") => &path[..at],
        _ => path,
    }
}

fn names_the_page(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or("");
    let is = |list: &[&str]| list.iter().any(|entry| entry.eq_ignore_ascii_case(name));
    let utm = name.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("utm_"));
    !(parameter.is_empty() || utm || is(TRACKING) || is(SESSIONS))
}

fn extension_of(path: &str) -> Option<String> {
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    let plausible = (1..=8).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    plausible.then(|| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str, key: &str) {
        assert_eq!(Canonical::parse(url).map(|c| c.key).as_deref(), Ok(key), "{url}");
    }

    #[test]
    fn variants_of_one_page_share_a_key() {
        for url in [
            "http://example.com/a",
            "https://example.com/a/",
            "https://www.example.com/a",
            "http://www2.example.com/a",
            "http://EXAMPLE.com:80/a#section",
            "http://user:pw@example.com./a",
            "http://example.com/a?utm_source=reddit&UTM_medium=x&fbclid=1",
            "http://example.com/a;jsessionid=0123",
            "http://example.com/a?PHPSESSID=0123",
            "example.com/a",
            "  http://example.com/x/../a ",
        ] {
            check(url, "com,example)/a");
        }
    }

    #[test]
    fn what_names_a_page_stays() {
        check("http://example.com", "com,example)/");
        check("http://example.com:8080/", "com,example:8080)/");
        check("http://m.example.com/A", "com,example,m)/A");
        check("http://example.com/?b=2&a=1&b=1", "com,example)/?a=1&b=1&b=2");
        check("http://example.com/#!/route", "com,example)/#!/route");
        check("http://www.com/", "com,www)/");
        check("http://www.blogspot.com/", "com,blogspot,www)/");
        check("http://93.184.216.34/x", "93.184.216.34)/x");
        check("http://[2606:2800::1]/x", "[2606:2800::1])/x");
        check("http://bücher.example/", "example,xn--bcher-kva)/");
        check("/r/rust/comments/1/", "com,reddit)/r/rust/comments/1");
    }

    #[test]
    fn domains_follow_the_public_suffix_list() {
        let domain = |url: &str| Canonical::parse(url).unwrap().domain;
        assert_eq!(domain("http://a.b.example.co.uk/"), "example.co.uk");
        assert_eq!(domain("http://user.github.io/"), "user.github.io");
        assert_eq!(domain("http://localhost/"), "localhost");
        assert_eq!(domain("http://10.0.0.1/"), "10.0.0.1");
    }

    #[test]
    fn faults() {
        for url in ["", "http://", "http:///", "not a url", "http://a b/", "https://exa mple.com", "word"] {
            assert_eq!(Canonical::parse(url), Err(UrlFault::Malformed), "{url}");
        }
        for url in ["mailto:a@b.example", "ftp://a.example/", "javascript:void(0)", "data:,x"] {
            assert_eq!(Canonical::parse(url), Err(UrlFault::Scheme), "{url}");
        }
    }

    #[test]
    fn extensions() {
        let extension = |url: &str| Canonical::parse(url).unwrap().extension;
        assert_eq!(extension("http://a.example/x.JPG?size=1"), Some("jpg".into()));
        assert_eq!(extension("http://a.example/x.y/z"), None);
        assert_eq!(extension("http://a.example/"), None);
        assert_eq!(extension("http://a.example/v1.some sentence"), None);
    }

    proptest! {
        #[test]
        fn canonicalising_twice_changes_nothing(text in "(https?://)?[a-z.]{1,12}(:80)?/[ -~]{0,30}") {
            if let Ok(once) = Canonical::parse(&text) {
                prop_assert_eq!(Canonical::parse(&once.url).unwrap(), once);
            }
        }

        #[test]
        fn never_panics(text: String) {
            let _ = Canonical::parse(&text);
        }
    }
}
