//! Which URLs are requested: http and https, hosts with names, no user data, no endless paths.

use records::Reason;
use url::{Host, Url};

use crate::refusal::Refusal;

/// Longest URL that a redirect may lead to, as for links.
const MAX_URL_BYTES: usize = 2048;
/// Occurrences of one segment in a path; more of them are a redirect loop.
const MAX_SEGMENT_REPEATS: usize = 3;

/// A URL without user and password, which would be sent and archived.
pub(crate) fn without_user(mut url: Url) -> Url {
    // The setters fail only for URLs that cannot have a user.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

/// Checks that a URL may be requested: http or https, and a host name. An IP address in a URL was never meant for the
/// public.
pub(crate) fn check_url(url: &Url) -> Result<(), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::new(Reason::UnsupportedScheme, format!("{} is not a scheme of pages", url.scheme())));
    }
    match url.host() {
        Some(Host::Domain(_)) => {}
        Some(address) => {
            return Err(Refusal::new(Reason::AddressRefused, format!("the URL names the address {address}")));
        }
        None => return Err(Refusal::new(Reason::MalformedUrl, "the URL has no host")),
    }
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(Refusal::new(Reason::UrlTooLong, format!("{} bytes", url.as_str().len())));
    }
    Ok(())
}

/// Whether a path repeats one of its segments, as redirects without an end do.
pub(crate) fn has_repeated_segments(url: &Url) -> bool {
    let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
    segments.iter().any(|one| segments.iter().filter(|other| one == *other).count() > MAX_SEGMENT_REPEATS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<Reason>) {
        let found = check_url(&Url::parse(url).unwrap()).err().map(|refusal| refusal.reason);
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn urls_that_may_be_requested() {
        check("http://a.example/", None);
        check("ftp://a.example/", Some(Reason::UnsupportedScheme));
        check("file:///etc/passwd", Some(Reason::UnsupportedScheme));
        for address in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "8.8.8.8"] {
            check(&format!("http://{address}/"), Some(Reason::AddressRefused));
        }
        check(&format!("http://a.example/{}", "a".repeat(2100)), Some(Reason::UrlTooLong));
    }

    #[test]
    fn repeated_segments() {
        let check = |path: &str, expected| {
            let url = Url::parse(&format!("http://a.example{path}")).unwrap();
            assert_eq!(has_repeated_segments(&url), expected, "{path}");
        };
        check("/a/b/a/b/a/b", false);
        check("/a/a/a/a", true);
        check("/a//b///", false);
    }
}
