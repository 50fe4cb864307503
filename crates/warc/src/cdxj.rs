//! CDXJ: the index of an archive, by which replay tools find a page without reading the archive.
//!
//! One line per record: key, time and a JSON object, sorted by bytes. They are the lines that pywb's `cdxj-indexer`
//! writes of the same archive. Left out: reading CDXJ, compressed indexes (ZipNum).

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::LazyLock;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
use regex::{Regex, RegexBuilder};

use crate::surt::{Parts, without_www};

/// Supplies the missing digits of a shorter date.
const YEAR_ZERO: &str = "00000101000000";

/// How many layers of escapes are undone: `%2541` is `%41` escaped.
const MAX_ESCAPE_LAYERS: usize = 8;

/// A line of the index.
///
/// ```
/// use warc::cdxj::{Entry, surt, timestamp14};
///
/// let entry = Entry {
///     key: surt("https://www.a.example/Page?b=2&a=1"),
///     timestamp14: timestamp14("2017-12-31T23:59:59Z"),
///     url: "https://www.a.example/Page?b=2&a=1".into(),
///     mime: Some("text/html".into()),
///     status: Some(200),
///     digest: Some(warc::payload_digest(b"")),
///     length: 523,
///     offset: 366,
///     filename: "pages.warc.gz".into(),
/// };
/// assert_eq!(
///     entry.to_string(),
///     "example,a)/page?a=1&b=2 20171231235959 {\"url\": \"https://www.a.example/Page?b=2&a=1\", \
///      \"mime\": \"text/html\", \"status\": \"200\", \"digest\": \"sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\", \
///      \"length\": \"523\", \"offset\": \"366\", \"filename\": \"pages.warc.gz\"}"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What lines are sorted and looked up by, made by [`surt`].
    pub key: String,
    /// When the page was fetched, in fourteen digits, as [`timestamp14`] makes them.
    pub timestamp14: String,
    /// The target as the record has it.
    pub url: String,
    /// Type of the payload without parameters; `warc/revisit` for a revisit. `None` leaves the field out.
    pub mime: Option<String>,
    /// HTTP status; `None` for what is no response.
    pub status: Option<u16>,
    /// Digest of the payload, as in the record.
    pub digest: Option<String>,
    /// Bytes of the compressed record in the archive.
    pub length: u64,
    /// Offset of the compressed record in the archive.
    pub offset: u64,
    /// The archive's name, without its folder.
    pub filename: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {{\"url\": {}", self.key, self.timestamp14, Json(&self.url))?;
        if let Some(mime) = &self.mime {
            write!(f, ", \"mime\": {}", Json(mime))?;
        }
        if let Some(status) = self.status {
            write!(f, ", \"status\": \"{status}\"")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, ", \"digest\": {}", Json(digest))?;
        }
        let (length, offset) = (self.length, self.offset);
        write!(f, ", \"length\": \"{length}\", \"offset\": \"{offset}\", \"filename\": {}}}", Json(&self.filename))
    }
}

/// Writes the index of an archive: the lines of all entries, sorted by their bytes.
pub fn write_sorted(entries: &[Entry], mut sink: impl Write) -> io::Result<()> {
    let mut lines: Vec<String> = entries.iter().map(Entry::to_string).collect();
    lines.sort_unstable();
    for line in lines {
        sink.write_all(line.as_bytes())?;
        sink.write_all(b"\n")?;
    }
    Ok(())
}

/// The first fourteen digits of a `WARC-Date`; missing digits of a shorter date are those of its beginning.
///
/// ```
/// assert_eq!(warc::cdxj::timestamp14("2017-12-31T23:59:59.123456Z"), "20171231235959");
/// assert_eq!(warc::cdxj::timestamp14("2017-12"), "20171201000000");
/// ```
pub fn timestamp14(date: &str) -> String {
    let mut digits: String = date.chars().filter(char::is_ascii_digit).take(14).collect();
    digits.push_str(&YEAR_ZERO[digits.len()..]);
    digits
}

/// The [SURT](crate::surt) of a URL as the `surt` package makes it, by which pywb looks pages up: in lower case, without
/// `www.`, fragment and session ids, with no more escapes than are needed, without empty segments.
///
/// Left out: names beyond ASCII are not made punycode, and IPv4 addresses in other forms than four numbers stay as they
/// are. The URL parser does both before a page is fetched.
pub fn surt(url: &str) -> String {
    let url: String = url.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let url = with_scheme(&url);
    let end = url.find('#').unwrap_or(url.len());
    let Some((scheme, rest)) = url[..end].split_once(':') else { return url.to_lowercase() };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = authority_and_path(scheme, rest);
    let query = ordered(&without_query_sessions(plainly_escaped(query).to_ascii_lowercase()));
    if authority.is_empty() {
        let path = plainly_escaped(path).to_ascii_lowercase();
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path);
        let query = if query.is_empty() { query } else { format!("?{query}") };
        return format!("{}:{path}{query}", scheme.to_lowercase());
    }
    let (host, port) = host_and_port(authority);
    let path = without_empty_segments(&unescaped(path));
    let path = PATH_SESSION.replace(&path, "$1$2");
    Parts {
        host: without_www(&host).unwrap_or(&host),
        is_address: false,
        port: (!matches!((scheme, port), (_, "") | ("http" | "HTTP", "80") | ("https" | "HTTPS", "443")))
            .then_some(port),
        path: path.strip_prefix('/').unwrap_or(&path).trim_end_matches('/'),
        query: &query,
        fragment: None,
    }
    .key()
}

/// A URL with one scheme: `http:` where there is none, the last one of `http://https://`.
fn with_scheme(url: &str) -> Cow<'_, str> {
    let (name, _) = url.split_once(':').unwrap_or(("", url));
    let is_scheme = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme {
        return Cow::Owned(format!("http://{url}"));
    }
    let without = |url| ["http://", "https://"].into_iter().find_map(|scheme| str::strip_prefix(url, scheme));
    let mut url = url;
    while let Some(rest) = without(url).filter(|rest| without(rest).is_some()) {
        url = rest;
    }
    Cow::Borrowed(url)
}

/// `//example.com/path` in two; of `http:`, with any number of slashes.
fn authority_and_path<'a>(scheme: &str, rest: &'a str) -> (&'a str, &'a str) {
    let split = |text: &'a str| text.split_at(text.find('/').unwrap_or(text.len()));
    match rest.strip_prefix("//").map(split) {
        Some((authority, path)) if !authority.is_empty() => (authority, path),
        found if scheme.starts_with("http") && !rest.is_empty() => {
            split(found.map_or(rest, |(_, path)| path).trim_start_matches('/'))
        }
        Some((_, path)) => ("", path),
        None => ("", rest),
    }
}

/// The host in lower case, and the port, which may be empty.
fn host_and_port(authority: &str) -> (String, &str) {
    let host = authority.rsplit('@').next().unwrap_or("");
    let (host, port) = match host.rsplit_once(':') {
        // Not the colons of an IPv6 address.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let host = plainly_escaped(host.trim_start_matches('[').trim_end_matches(']')).to_ascii_lowercase();
    (host.replace("..", ".").trim_matches('.').to_owned(), port)
}

/// Resolves dot segments and leaves out empty ones; the result begins with a slash.
fn without_empty_segments(path: &[u8]) -> String {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&b| b == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." if kept.is_empty() => kept.push(segment),
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let last = kept.pop().unwrap_or(b"");
    kept.retain(|segment| !segment.is_empty());
    kept.push(last);
    format!("/{}", escaped(&kept.join(&b'/')).to_ascii_lowercase())
}

/// Session ids in paths and in queries, each with what is kept before and behind it. A name counts at the end of any
/// other one; what decides is the length of the value.
static PATH_SESSION: LazyLock<Regex> =
    LazyLock::new(|| expression(r"^(.*/)\((?:(?:[a-z]\([0-9a-z]{24}\))+|[0-9a-z]{24})\)/([^?]+\.aspx.*)$"));
static QUERY_SESSIONS: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    let ids =
        ["jsessionid=[0-9a-z]{32}", "phpsessid=[0-9a-z]{32}", "sid=[0-9a-z]{32}", "aspsessionid[a-z]{8}=[a-z]{24}"];
    let [servlet, php, other, asp] = ids;
    [servlet, php, other, asp, "cfid=[^&]+&cftoken=[^&]+"].map(|id| expression(&format!("^(.*)(?:{id})(?:&(.*))?$")))
});

fn expression(text: &str) -> Regex {
    RegexBuilder::new(text).case_insensitive(true).build().expect("the expression is valid")
}

fn without_query_sessions(mut query: String) -> String {
    for session in QUERY_SESSIONS.iter() {
        if let Cow::Owned(without) = session.replace(&query, "$1$2") {
            query = without;
        }
    }
    query
}

/// The parameters by name, then by value; one without `=` before those with one.
fn ordered(query: &str) -> String {
    let mut parameters: Vec<&str> = query.split('&').collect();
    parameters.sort_by_key(|parameter| match parameter.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (*parameter, None),
    });
    parameters.join("&")
}

/// Undoes escapes, and escapes of escapes, and escapes again what must be.
fn plainly_escaped(text: &str) -> String {
    escaped(&unescaped(text))
}

/// What is escaped in a SURT: all but the printable characters, `#` and `%`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%');

fn escaped(bytes: &[u8]) -> String {
    percent_encode(bytes, ESCAPED).to_string()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..MAX_ESCAPE_LAYERS {
        let plain: Vec<u8> = percent_decode(&bytes).collect();
        if plain == bytes {
            break;
        }
        bytes = plain;
    }
    bytes
}

/// A JSON string in ASCII, as Python's `json.dumps` writes it.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                ' '..='\u{7f}' => write!(f, "{c}")?,
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(f, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        assert_eq!(surt(url), expected, "{url}");
    }

    #[test]
    fn keys() {
        check("http://example.com", "com,example)/");
        check("http://example.com?example=1", "com,example)/?example=1");
        check("HTTPS://user:word@WWW3.Example.CO.UK:443/A/B/#c", "uk,co,example)/a/b");
        check("http://a.example:8080/?", "example,a:8080)/");
        check("http://a.example/x/?z&y=1", "example,a)/x?y=1&z");
        check("http://192.0.2.1/x", "1,2,0,192)/x");
        check("http://a.example/%7Eb%2520c?%41=%26%C3%A9", "example,a)/~b%20c?%c3%a9&a=");
        check("file:///pages/1.html", "file:/pages/1.html");
        check("dns:a.example", "dns:a.example");
        check("http://www.example/", "example)/");
        check("http://[2001:db8::1]:8080/x", "2001:db8::1:8080)/x");
        check("http://a.example//b//", "example,a)/b");
        check("http://a.example/a/../b/./c/..", "example,a)/b");
        check("http://a.example/x?a-b=1&a=1&a", "example,a)/x?a&a=1&a-b=1");
        check("http://http://a.example/x", "example,a)/x");
        check("a.example/x", "example,a)/x");
        check("http:/a.example/x", "example,a)/x");
        check("http://a.example/?b&jsessionid=0123456789abcdef0123456789ABCDEF&a", "example,a)/?a&b");
        check("http://a.example/?cfid=1&cftoken=2&a", "example,a)/?a");
        check(
            "http://a.example/x;jsessionid=0123456789abcdef0123456789ABCDEF",
            "example,a)/x;jsessionid=0123456789abcdef0123456789abcdef",
        );
        check("http://a.example/(S(hoaxics3t15jocasu05tjxgk))/x.aspx", "example,a)/x.aspx");
        check("http://a.example?&", "example,a)/?&");
    }

    #[test]
    fn lines_are_sorted_by_bytes() {
        let entry = |key: &str, timestamp14: &str, offset| Entry {
            key: key.into(),
            timestamp14: timestamp14.into(),
            url: "http://é😀\"\\\n.example/".into(),
            mime: None,
            status: None,
            digest: None,
            length: 1,
            offset,
            filename: "x.warc.gz".into(),
        };
        let entries = [
            entry("com,b)/", "20170101000000", 1),
            entry("com,b)/", "20160101000000", 2),
            entry("com,b", "20180101000000", 3),
            entry("com,a)/", "20180101000000", 4),
        ];
        let mut bytes = Vec::new();
        write_sorted(&entries, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let heads: Vec<&str> = text.lines().map(|line| line.split_once(" {").unwrap().0).collect();
        assert_eq!(
            heads,
            ["com,a)/ 20180101000000", "com,b 20180101000000", "com,b)/ 20160101000000", "com,b)/ 20170101000000"]
        );
        let json = r#"{"url": "http://\u00e9\ud83d\ude00\"\\\n.example/", "length": "1", "offset": "4", "filename": "x.warc.gz"}"#;
        assert!(text.lines().next().unwrap().ends_with(json), "{text}");
    }
}
