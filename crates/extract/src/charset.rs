//! Bytes to text, as browsers do it: byte-order mark, HTTP header, meta tag, then a guess.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes in which a meta tag is looked for; the standard's 1024 misses pages that begin with long scripts.
const MAX_PRESCAN_BYTES: usize = 4096;

/// A decoded page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text; borrowed when the bytes were UTF-8 already.
    pub text: Cow<'a, str>,
    /// The charset's name in the Encoding standard.
    pub charset: &'static str,
}

/// Decodes a page. Bytes that are invalid in the charset become U+FFFD.
///
/// ```
/// let decoded = extract::charset::decode(b"caf\xe9", Some("text/html; charset=iso-8859-1"));
/// assert_eq!((decoded.text.as_ref(), decoded.charset), ("café", "windows-1252"));
/// ```
pub fn decode<'a>(html: &'a [u8], content_type: Option<&str>) -> Decoded<'a> {
    let encoding = match Encoding::for_bom(html) {
        Some((encoding, _)) => encoding,
        None => declared(html, content_type).unwrap_or_else(|| guess(html)),
    };
    let (text, encoding, _) = encoding.decode(html);
    Decoded { text, charset: encoding.name() }
}

/// The charset that the header or a meta tag declares, unless the bytes disprove it.
fn declared(html: &[u8], content_type: Option<&str>) -> Option<&'static Encoding> {
    let encoding = content_type.and_then(charset_parameter).or_else(|| prescan(html))?;
    // windows-1252 and its aliases are servers' defaults. Valid UTF-8 with a byte over 0x7f is practically never in
    // another charset.
    let is_default = encoding == WINDOWS_1252;
    if is_default && !html.is_ascii() && std::str::from_utf8(html).is_ok() {
        return Some(UTF_8);
    }
    // An invalid page that names UTF-8 may be a legacy page in a new template, or a UTF-8 page with a damaged
    // character. Few faults mean the latter.
    if encoding == UTF_8 && !mostly_utf8(html) {
        return None;
    }
    Some(encoding)
}

fn charset_parameter(content_type: &str) -> Option<&'static Encoding> {
    let lower = content_type.to_ascii_lowercase();
    let value = lower[lower.find("charset=")? + "charset=".len()..].trim_start_matches(['"', '\'', ' ']);
    let end = value.find(['"', '\'', ';', ' ', '>', '/']).unwrap_or(value.len());
    Encoding::for_label(&value.as_bytes()[..end])
}

/// Finds `charset=` inside a `<meta …>` (or an XML declaration's `encoding=`) near the start.
fn prescan(html: &[u8]) -> Option<&'static Encoding> {
    let head = &html[..html.len().min(MAX_PRESCAN_BYTES)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if let Some(declaration) = head.strip_prefix("<?xml") {
        let declaration = &declaration[..declaration.find("?>").unwrap_or(0)];
        if let Some(encoding) = charset_parameter(&declaration.replace("encoding=", "charset=")) {
            return not_utf16(encoding);
        }
    }
    let mut rest = head.as_str();
    while let Some(at) = rest.find("<meta") {
        rest = &rest[at + 5..];
        let tag = &rest[..rest.find('>').unwrap_or(rest.len())];
        let tag: String = tag.split("charset").map(str::trim_start).collect::<Vec<_>>().join("charset");
        if let Some(encoding) = charset_parameter(&tag) {
            return not_utf16(encoding);
        }
    }
    None
}

/// A meta tag that was read as ASCII cannot be right about UTF-16.
fn not_utf16(encoding: &'static Encoding) -> Option<&'static Encoding> {
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

fn mostly_utf8(bytes: &[u8]) -> bool {
    if std::str::from_utf8(bytes).is_ok() {
        return true;
    }
    let mut faults = 0;
    let mut multibyte = 0;
    for chunk in bytes.utf8_chunks() {
        multibyte += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    faults == 0 || faults <= multibyte / 4
}

fn guess(html: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(html).is_ok() {
        return UTF_8;
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(html, true);
    detector
        .guess(None, if mostly_utf8(html) { chardetng::Utf8Detection::Allow } else { chardetng::Utf8Detection::Deny })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &[u8], content_type: Option<&str>, text: &str, charset: &str) {
        let decoded = decode(html, content_type);
        assert_eq!((decoded.text.as_ref(), decoded.charset), (text, charset));
    }

    #[test]
    fn in_the_order_of_browsers() {
        check(b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=koi8-r"), "é", "UTF-8");
        check(b"\xff\xfe\xe9\x00", None, "é", "UTF-16LE");
        check(
            b"\xe9<meta charset=utf-8>",
            Some("text/html; charset=\"latin1\""),
            "é<meta charset=utf-8>",
            "windows-1252",
        );
        check(b"<meta charset='shift_jis'>\x83\x65", None, "<meta charset='shift_jis'>テ", "Shift_JIS");
        let meta = b"<META http-equiv=Content-Type content='text/html; charset=windows-1251'>\xcf";
        check(meta, None, "<META http-equiv=Content-Type content='text/html; charset=windows-1251'>П", "windows-1251");
        check("é".as_bytes(), None, "é", "UTF-8");
    }

    #[test]
    fn what_the_bytes_disprove() {
        check("naïve".as_bytes(), Some("text/html; charset=iso-8859-1"), "naïve", "UTF-8");
        check(b"<meta charset=utf-16>abc", None, "<meta charset=utf-16>abc", "UTF-8");
        check(
            b"un caf\xe9 tr\xe8s noir, s'il vous pla\xeet",
            Some("text/html; charset=utf-8"),
            "un café très noir, s'il vous plaît",
            "windows-1252",
        );
        check(
            "ééééééé\u{fffd}".as_bytes().split_last().unwrap().1,
            Some("a; charset=utf-8"),
            "ééééééé\u{fffd}",
            "UTF-8",
        );
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, header: Option<String>) {
            decode(&bytes, header.as_deref());
        }
    }
}
