//! From what people post as an address to a URL that can be fetched.
//!
//! Text is read as a browser's address bar reads it, by the [WHATWG URL Standard](https://url.spec.whatwg.org/):
//! `http:\\example.com`, `http:example.com` and tabs inside are all one address. On top of the standard are the slips
//! that can mean only one thing: no scheme (`example.com/page`, `www.example.com:8080/`), the scheme twice
//! (`http://http://example.com/`), invisible characters at the ends. Below it are addresses that parse and that no
//! name server can resolve.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use url::{Host, ParseError, Url};

use crate::canonical::UrlFault;

/// Where the links of dumps stand. Those without a host are relative to it.
static POSTED_ON: LazyLock<Url> = LazyLock::new(|| Url::parse("https://www.reddit.com/").expect("it is a URL"));

/// Longest name and longest label that DNS can hold (RFC 1035 §2.3.4), in the form without a dot at the end.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// Schemes that come to light one behind the other; people post one.
const MAX_HIDDEN_SCHEMES: usize = 4;

/// Reads an address. The URL is `http` or `https` and has a host that can exist.
pub(crate) fn read(text: &str) -> Result<Url, UrlFault> {
    let text = without_line_breaks(text.trim_matches(is_invisible));
    let mut url = read_once(&text)?;
    // Parsing can bring the slip to light: `http:http://example.com` and `http://%68ttp//example.com` are
    // `http://http//example.com`.
    for _ in 0..MAX_HIDDEN_SCHEMES {
        match with_one_scheme(url.as_str()) {
            Cow::Owned(text) => url = read_once(&text)?,
            Cow::Borrowed(_) => return Ok(url),
        }
    }
    Err(UrlFault::Malformed)
}

fn read_once(text: &str) -> Result<Url, UrlFault> {
    let text = with_one_scheme(text);
    let slashes = text.len() - text.trim_start_matches(['/', '\\']).len();
    let url = match slashes {
        0 => absolute(&text)?,
        1 => POSTED_ON.join(&text).map_err(|_| UrlFault::Malformed)?,
        _ => with_scheme("https", &text[slashes..]).ok_or(UrlFault::Malformed)?,
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlFault::Scheme);
    }
    // Nothing listens on port 0, which is reserved.
    if can_exist(&url) && url.port() != Some(0) { Ok(url) } else { Err(UrlFault::Malformed) }
}

fn absolute(text: &str) -> Result<Url, UrlFault> {
    match Url::parse(text) {
        // `www.example.com:8080/` parses, with `www.example.com` as its scheme. No registered scheme has a dot.
        Ok(url) if url.scheme().contains('.') => with_scheme("http", text).ok_or(UrlFault::Scheme),
        Ok(url) => Ok(url),
        Err(ParseError::RelativeUrlWithoutBase) => with_scheme("http", text).ok_or(UrlFault::Malformed),
        Err(_) => Err(UrlFault::Malformed),
    }
}

/// The URL of text that begins with a host.
fn with_scheme(scheme: &str, text: &str) -> Option<Url> {
    begins_with_host(text).then(|| Url::parse(&format!("{scheme}://{text}")).ok()).flatten()
}

/// Whether text without a scheme begins with a public host: `example.com/page` and `192.0.2.1` do; `word`, `e.g.`,
/// `3.14` and `someone@example.com` do not.
fn begins_with_host(text: &str) -> bool {
    let authority = text.split(['/', '\\', '?', '#']).next().unwrap_or("");
    let host = match authority.split_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) => return false,
        None => authority,
    };
    let Some((_, last)) = host.strip_suffix('.').unwrap_or(host).rsplit_once('.') else { return false };
    let is_name = || {
        let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        // No top-level domain has one letter or is a number (RFC 3696 §2).
        last.chars().nth(1).is_some() && !last.bytes().all(|b| b.is_ascii_digit()) && host.chars().all(is_letter)
    };
    host.parse::<Ipv4Addr>().is_ok() || is_name()
}

/// Whether a name server can know the host: labels of 1 to 63 bytes, 253 in all, of the letters of host names and `_`,
/// which is common in them. The URL standard accepts more, such as `a..example` and `a,b.example`.
fn can_exist(url: &Url) -> bool {
    let Some(host) = url.host() else { return false };
    let Host::Domain(name) = host else { return true };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label)
}

/// Leaves out tabs and line breaks, as the standard does wherever they are.
fn without_line_breaks(text: &str) -> Cow<'_, str> {
    let is_break = |c: char| matches!(c, '\t' | '\n' | '\r');
    if text.contains(is_break) { Cow::Owned(text.replace(is_break, "")) } else { Cow::Borrowed(text) }
}

/// `http://http://x`, `https://http//x` and `http//x` with the last scheme alone, and with its colon.
fn with_one_scheme(text: &str) -> Cow<'_, str> {
    let Some(mut last) = Scheme::at_start(text) else { return Cow::Borrowed(text) };
    let mut is_slip = !last.has_colon;
    while let Some(next) = Scheme::at_start(last.rest) {
        (last, is_slip) = (next, true);
    }
    if is_slip { Cow::Owned(format!("{}://{}", last.name, last.rest)) } else { Cow::Borrowed(text) }
}

/// `http://`, `https:/` or `http//` at the beginning of a text.
struct Scheme<'a> {
    name: &'a str,
    has_colon: bool,
    rest: &'a str,
}

impl Scheme<'_> {
    fn at_start(text: &str) -> Option<Scheme<'_>> {
        let is_http = |name: &&str| name.eq_ignore_ascii_case("https") || name.eq_ignore_ascii_case("http");
        let name = [5, 4].into_iter().filter_map(|len| text.get(..len)).find(is_http)?;
        let behind = &text[name.len()..];
        let (has_colon, behind) = behind.strip_prefix(':').map_or((false, behind), |behind| (true, behind));
        let rest = behind.trim_start_matches(['/', '\\']);
        let slashes = behind.len() - rest.len();
        (slashes >= if has_colon { 1 } else { 2 }).then_some(Scheme { name, has_colon, rest })
    }
}

/// White space, control characters, and the invisible ones that copying brings along: joiners, directional marks, the
/// byte-order mark.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, UrlFault>) {
        assert_eq!(read(text).as_ref().map(Url::as_str), expected.as_ref().map(|url| *url), "{text:?}");
    }

    #[test]
    fn as_a_browser_reads_them() {
        check("http:///example.com/a", Ok("http://example.com/a"));
        check("http:/example.com/a", Ok("http://example.com/a"));
        check("http:example.com", Ok("http://example.com/"));
        check(r"http:\\example.com\a", Ok("http://example.com/a"));
        check("ht\ntp://exa\tmple.com/a\r\nb", Ok("http://example.com/ab"));
        check("http://0x7f.1/", Ok("http://127.0.0.1/"));
        check("http://2130706433/", Ok("http://127.0.0.1/"));
        check("http://[2001:DB8:0::1]/", Ok("http://[2001:db8::1]/"));
        check("http://ex%61mple%2Ecom/", Ok("http://example.com/"));
        check("http://FAẞ.example/", Ok("http://xn--fa-hia.example/"));
        check("http://example.com:/", Ok("http://example.com/"));
    }

    #[test]
    fn slips_that_mean_one_thing() {
        check("http://http://example.com/a", Ok("http://example.com/a"));
        check("http://https://example.com/a", Ok("https://example.com/a"));
        check("HTTPS://HTTP//example.com/a", Ok("http://example.com/a"));
        check("http//example.com", Ok("http://example.com/"));
        check("http:http://example.com/a", Ok("http://example.com/a"));
        check("http://%68ttp//example.com/a", Ok("http://example.com/a"));
        check("http://httpbin.example/", Ok("http://httpbin.example/"));
        check("http://http:8080/", Ok("http://http:8080/"));
        check("http://example.com/http://b.example/", Ok("http://example.com/http://b.example/"));
        check("\u{feff}\u{200b} http://example.com/a\u{200b}\u{0}", Ok("http://example.com/a"));
        check("example.com", Ok("http://example.com/"));
        check("exam\tple.com/a b", Ok("http://example.com/a%20b"));
        check("www.example.com:8080/", Ok("http://www.example.com:8080/"));
        check("bücher.example?x", Ok("http://xn--bcher-kva.example/?x"));
        check("192.0.2.1/x", Ok("http://192.0.2.1/x"));
        check("//example.com/a", Ok("https://example.com/a"));
        check(r"\\example.com\a", Ok("https://example.com/a"));
        check("/r/rust/", Ok("https://www.reddit.com/r/rust/"));
    }

    #[test]
    fn no_addresses() {
        let long_label = "a".repeat(64);
        let long_name = format!("http://{}example/", "a.".repeat(124));
        for text in [
            "",
            "http://",
            "http:///",
            "http://http://",
            "not a url",
            "word",
            "e.g.",
            "3.14",
            "someone@example.com",
            "//word",
            r"\\server\share",
            "http://a b/",
            "http://exa mple.com",
            "http://a..example/",
            "http://.example.com/",
            "http://example.com../",
            "http://./",
            &format!("http://{long_label}.example/"),
            &long_name,
            "http://a,b.example/",
            "http://*.example/",
            "http://example.com:65536/",
            "http://example.com:0/",
            "http://example.com:8a/",
            "http://256.1.1.1/",
            "http://[::g]/",
            "http://xn--a.example/\u{0}",
            "http://a%00b.example/",
        ] {
            check(text, Err(UrlFault::Malformed));
        }
        for text in ["mailto:a@b.example", "ftp://a.example/", "javascript:void(0)", "data:,x", "a.b:c", "tel:911"] {
            check(text, Err(UrlFault::Scheme));
        }
        check(&format!("http://{}.example/", &long_label[1..]), Ok(&format!("http://{}.example/", &long_label[1..])));
        check("http://a_b-.example./", Ok("http://a_b-.example./"));
    }
}
