//! The two forms of a URL: the one that is fetched, and the key by which duplicates are found.
//!
//! What is fetched stays close to what was posted: the WHATWG parser's form without the fragment.
//! The key goes further, in the form of a SURT (`com,example)/path?query`): two URLs with the same key count as the same
//! page. It merges these spellings, and no others (`docs/links.md` has the reasons, and what `surt` and `w3lib` do):
//!
//! - **Scheme, user, port.** No scheme, no user, no port that is the scheme's own.
//! - **Host.** In lower case and punycode, an IPv4 address in four numbers, no dot at the end, no `www.`, `www2.` …
//! - **Path.** Dot segments resolved, no slashes at its ends. Empty segments inside stay, and so does the case.
//! - **Escapes.** A character has one spelling, escaped or not: `%7e` is `~`, `%28` is `(`, `%c3%a9` is `é`. Escapes of
//!   `/ ; ? # % \` stay in paths, of `& = + # %` in queries: plain, they would be delimiters. `%2541` is not `%41`.
//! - **Query.** Parameters as forms have them: `+` is `%20`, and nothing between two `&` is nothing. Sorted by name; those
//!   of one name stay in their order.
//! - **Sessions and tracking.** No parameter that is a session id by name and shape, and none of the open list of
//!   tracking parameters (`src/tracking.tsv` of this crate, with its sources).
//! - **Fragment.** Only `#!…`, which names a page.
//!
//! [`CanonicalRules`] has what a recipe may merge on top of that.

use url::Host;

use crate::address;
use crate::key::key_of;
use crate::wrappers::CanonicalRules;

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
    /// # Errors
    /// What is no address of a web page, by its form or because no name server can know its host.
    ///
    /// ```
    /// let a = links::Canonical::parse("HTTP://www.Example.co.uk:80/b/?utm_source=x&z=%7e&a=2#top").unwrap();
    /// assert_eq!(a.url, "http://www.example.co.uk/b/?utm_source=x&z=%7e&a=2");
    /// assert_eq!(a.key, "uk,co,example)/b?a=2&z=~");
    /// assert_eq!(a.domain, "example.co.uk");
    /// ```
    pub fn parse(text: &str) -> Result<Canonical, UrlFault> {
        Canonical::parse_with(text, &CanonicalRules::default())
    }

    /// Parses and canonicalises a URL by rules of a recipe, which may take it for the page that it leads to.
    ///
    /// # Errors
    /// As [`parse`](Canonical::parse). A wrapper of such an address is kept as it is.
    pub fn parse_with(text: &str, rules: &CanonicalRules) -> Result<Canonical, UrlFault> {
        let mut url = rules.unwrapped(address::read(text)?);
        if url.fragment().is_some_and(|fragment| !names_a_page(fragment)) {
            url.set_fragment(None);
        }
        let (host, domain) = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                (name.to_owned(), public_suffix::registrable_domain(name).unwrap_or(name).to_owned())
            }
            Some(address) => (address.to_string(), address.to_string()),
            None => return Err(UrlFault::Malformed),
        };
        let key = key_of(&url, &host, &domain, rules);
        let extension = extension_of(url.path());
        Ok(Canonical { key, extension, host, domain, url: url.into() })
    }
}

/// Whether a fragment is a page's name, in the way of applications before 2015: `#!/page`.
fn names_a_page(fragment: &str) -> bool {
    fragment.len() > 1 && fragment.starts_with('!')
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
    fn keys() {
        check("http://example.com", "com,example)/");
        check("http://example.com:8080/", "com,example:8080)/");
        check("http://m.example.com/A", "com,example,m)/A");
        check("http://example.com/?b=2&a=1&b=1", "com,example)/?a=1&b=2&b=1");
        check("http://example.com/?b=&=&a+b=c%2bd%26=e", "com,example)/?=&a%20b=c%2Bd%26=e&b=");
        check("http://example.com/#!/route", "com,example)/#!/route");
        check("http://example.com/#!", "com,example)/");
        check("http://example.com/%7Ea%2fb%3bc%c3%a9%", "com,example)/~a%2Fb%3Bc%C3%A9%25");
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
