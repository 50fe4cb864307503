//! CDXJ: the index of an archive, by which replay tools find a page without reading the archive.
//!
//! One line per record: key, time and a JSON object, sorted by bytes. They are the lines that pywb's `cdxj-indexer`
//! writes of the same archive. Left out: reading CDXJ, compressed indexes (ZipNum).

use std::fmt;
use std::io::{self, Write};

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

/// The [SURT](crate::surt) of a URL by pywb's rules: in lower case, without `www.` and fragment, with no more escapes
/// than are needed, and without slashes at the path's end.
///
/// Left out of what the `surt` package of pywb does: session ids are kept.
pub fn surt(url: &str) -> String {
    let url = url.split('#').next().unwrap_or("").trim().to_lowercase();
    let Some((scheme, rest)) = url.split_once("://") else { return url };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.is_empty() {
        return format!("{scheme}:{rest}");
    }
    let (host, port) = host_and_port(authority);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (path, query) = (plainly_escaped(path), plainly_escaped(query));
    Parts {
        host,
        is_address: host.starts_with('[') || host.split('.').all(|part| part.parse::<u8>().is_ok()),
        port: (!matches!((scheme, port), (_, "") | ("http", "80") | ("https", "443"))).then_some(port),
        path: path.strip_prefix('/').unwrap_or(&path).trim_end_matches('/'),
        parameters: if query.is_empty() { Vec::new() } else { query.split('&').collect() },
        fragment: None,
    }
    .key()
}

/// The host without `www.` and a dot at its end, and the port, which may be empty.
fn host_and_port(authority: &str) -> (&str, &str) {
    let host = authority.rsplit('@').next().unwrap_or("");
    let (host, port) = match host.rsplit_once(':') {
        // Not the colons of an IPv6 address.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let host = host.trim_end_matches('.');
    (without_www(host).unwrap_or(host), port)
}

/// Undoes escapes, and escapes of escapes, and escapes again what must be; all in lower case.
fn plainly_escaped(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..MAX_ESCAPE_LAYERS {
        let plain = unescaped(&bytes);
        if plain == bytes {
            break;
        }
        bytes = plain;
    }
    let mut escaped = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte.to_ascii_lowercase() {
            b'#' | b'%' | ..=b' ' | 0x7f.. => escaped.push_str(&format!("%{byte:02x}")),
            byte => escaped.push(char::from(byte)),
        }
    }
    escaped
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|&b| char::from(b).to_digit(16));
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(0), digit(1))
        {
            plain.push((high * 16 + low) as u8);
            rest = &behind[2..];
        } else {
            plain.push(byte);
            rest = behind;
        }
    }
    plain
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
        check("http://192.0.2.1/x", "192.0.2.1)/x");
        check("http://a.example/%7Eb%2520c?%41=%26%C3%A9", "example,a)/~b%20c?%c3%a9&a=");
        check("file:///pages/1.html", "file:/pages/1.html");
        check("dns:a.example", "dns:a.example");
        check("http://www.example/", "example)/");
        check("http://[2001:db8::1]:8080/x", "[2001:db8::1]:8080)/x");
        check("http://a.example//b//", "example,a)//b");
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
