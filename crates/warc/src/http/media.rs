//! What kind of content a body is: by `Content-Type`, as the WHATWG's Fetch standard reads it, and by the body's first
//! bytes, as its MIME Sniffing standard does, where the type says nothing that can be used.
//!
//! | type | kind |
//! | --- | --- |
//! | `text/html`, `application/xhtml+xml` | HTML, unless the body is a file of a known binary format |
//! | `text/xml`, `application/xml`, `…+xml` | HTML if its root element is `html` |
//! | `text/plain` | text, even where it looks like HTML, as browsers show it; not if the body is binary |
//! | none, `*/*`, `none`, `unknown/unknown` and the like | by the first bytes |
//! | all others, `application/octet-stream` too | other: browsers show an image or a download |
//!
//! Departures from the standards, each for a page that would be lost: quotes around a type and text after it
//! (`text/html charset=utf-8`) are ignored; a byte-order mark does not make HTML text; the tags that tell HTML are also
//! those of Firefox; a tag's name may be followed by any white space.

use std::borrow::Cow;
use std::fmt;

use super::signature::{binary_type, is_text};

/// Bytes of a body in which its kind is looked for (MIME Sniffing, "resource header").
pub(crate) const SNIFFED_BYTES: usize = 1445;

/// What kind of content a body is, as far as text can be taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Media {
    /// HTML or XHTML.
    Html,
    /// Plain text.
    Text,
    /// Anything else, such as images, JSON and PDF.
    Other,
}

/// What kind of content a body is, by its `Content-Type` (several fields joined by commas) and the first 1,445 bytes of
/// it, decoded. [`Response::media`](super::Response::media) does the same for a whole message.
///
/// ```
/// use warc::http::{Media, media};
///
/// assert_eq!(media(Some("Text/HTML charset=utf-8"), b""), Media::Html);
/// assert_eq!(media(None, b"\n<!DOCTYPE html><p>"), Media::Html);
/// assert_eq!(media(Some("image/png"), b"<html>"), Media::Other);
/// assert_eq!(media(Some("text/plain"), b"<html>"), Media::Text);
/// ```
pub fn media(content_type: Option<&str>, body_start: &[u8]) -> Media {
    of(MediaType::of(content_type).as_ref(), body_start)
}

/// Whether a body of this type can be HTML, as far as its type says: for those who have not seen the body yet.
///
/// ```
/// assert!(warc::http::may_be_html(None) && warc::http::may_be_html(Some("text/html, none")));
/// assert!(!warc::http::may_be_html(Some("text/plain")));
/// ```
pub fn may_be_html(content_type: Option<&str>) -> bool {
    let media_type = MediaType::of(content_type);
    !matches!(media_type.map(|media_type| media_type.declares()), Some(Declared::Text | Declared::Other))
}

/// [`media`] of a type that is read already.
pub(super) fn of(media_type: Option<&MediaType>, body_start: &[u8]) -> Media {
    match media_type.map_or(Declared::Unknown, MediaType::declares) {
        Declared::Unknown => sniffed(body_start),
        Declared::Html if binary_type(body_start).is_some() => Media::Other,
        Declared::Html => Media::Html,
        Declared::Xml => if_html(has_html_root(body_start)),
        Declared::Text => {
            let charset = media_type.and_then(|media_type| media_type.charset.as_deref());
            // Only Apache's defaults are doubted (MIME Sniffing, section 7); UTF-16 has bytes that look binary.
            let is_default = charset.is_none_or(|charset| {
                ["utf-8", "iso-8859-1"].iter().any(|default| charset.eq_ignore_ascii_case(default))
            });
            let is_binary = binary_type(body_start).is_some() || is_default && !is_text(body_start);
            if is_binary { Media::Other } else { Media::Text }
        }
        Declared::Other => Media::Other,
    }
}

/// What a type says about a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    Html,
    /// HTML if its root element says so.
    Xml,
    Text,
    Other,
    /// Nothing.
    Unknown,
}

/// A type with the only parameter that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaType {
    /// `type/subtype` in lower case.
    essence: String,
    charset: Option<String>,
}

impl MediaType {
    /// The type that the values of `Content-Type` say together: the last one that is a type (Fetch, "extract a MIME
    /// type"); a charset that an earlier value of the same type names holds for it, too.
    pub(super) fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Option<MediaType> {
        let mut found: Option<MediaType> = None;
        // The standard keeps the charset of the first value of a type, not of the last.
        let mut charset: Option<String> = None;
        for value in values.into_iter().flat_map(split_at_commas) {
            // An apostrophe may be in a token, but then it is a quote.
            let strict = MediaType::parse(value).filter(|media_type| !media_type.essence.starts_with('\''));
            let Some(mut next) = strict.or_else(|| MediaType::parse_leniently(value)) else { continue };
            if next.declares() == Declared::Unknown {
                continue;
            }
            if found.as_ref().is_none_or(|found| found.essence != next.essence) {
                charset.clone_from(&next.charset);
            } else if next.charset.is_none() {
                next.charset.clone_from(&charset);
            }
            found = Some(next);
        }
        found
    }

    pub(super) fn declares(&self) -> Declared {
        match self.essence.as_str() {
            "text/html" | "application/xhtml+xml" => Declared::Html,
            "text/xml" | "application/xml" => Declared::Xml,
            essence if essence.ends_with("+xml") => Declared::Xml,
            "text/plain" => Declared::Text,
            // MIME Sniffing, section 7; the last are what Netscape and Chrome call it, and what some servers send.
            "*/*"
            | "unknown/unknown"
            | "application/unknown"
            | "application/x-unknown-content-type"
            | "content/unknown"
            | "www/unknown" => Declared::Unknown,
            _ => Declared::Other,
        }
    }

    /// MIME Sniffing, "parse a MIME type".
    fn parse(value: &str) -> Option<MediaType> {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let essence = essence.trim_matches(is_http_space);
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        Some(MediaType { essence: essence.to_ascii_lowercase(), charset: charset_among(parameters) })
    }

    /// A type in quotes or before other text, as in `text/html charset=utf-8`.
    fn parse_leniently(value: &str) -> Option<MediaType> {
        let value =
            value.trim_matches(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>'));
        let is_end = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ';' | '"' | '\'' | '(');
        let end = value.find(is_end).unwrap_or(value.len());
        let (essence, rest) = value.split_at(end);
        let mut found = MediaType::parse(essence)?;
        let lower = rest.to_ascii_lowercase();
        found.charset = lower.find("charset").and_then(|at| charset_among(&rest[at..]));
        Some(found)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        match &self.charset {
            Some(charset) => write!(f, ";charset={charset}"),
            None => Ok(()),
        }
    }
}

/// White space of HTTP (Fetch, "HTTP whitespace").
fn is_http_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The values of a field that are separated by commas outside of quotes (Fetch, "get, decode, and split").
fn split_at_commas(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    value.split(move |c: char| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' => return !is_quoted,
            _ => {}
        }
        false
    })
}

/// The first `charset` among parameters; quotes around it are taken off.
fn charset_among(parameters: &str) -> Option<String> {
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim_matches(is_http_space).eq_ignore_ascii_case("charset").then_some(value)
    })?;
    let value = value.trim_matches(|c: char| is_http_space(c) || matches!(c, '"' | '\''));
    is_token(value).then(|| value.to_owned())
}

/// The kind of a body without a type (MIME Sniffing, "rules for identifying an unknown MIME type").
fn sniffed(body: &[u8]) -> Media {
    if begins_as_html(body) || has_html_root(body) {
        return Media::Html;
    }
    let is_xml = after_mark(body).trim_ascii_start().starts_with(b"<?xml");
    if is_xml || binary_type(body).is_some() || !is_text(body) { Media::Other } else { Media::Text }
}

fn if_html(is_html: bool) -> Media {
    if is_html { Media::Html } else { Media::Other }
}

/// Whether a body begins with a comment, a doctype or a tag of HTML.
pub(crate) fn begins_as_html(body: &[u8]) -> bool {
    /// The tags of the standard, and after `br` those that Firefox's decoder of unknown types has, too.
    const TAGS: [&str; 30] = [
        "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body", "p",
        "br", "frameset", "img", "link", "base", "applet", "meta", "center", "form", "isindex", "h2", "h3", "h4", "h5",
        "h6", "pre",
    ];
    let body = after_mark(&body[..body.len().min(SNIFFED_BYTES)]);
    let Some(start) = body.trim_ascii_start().strip_prefix(b"<") else { return false };
    if start.starts_with(b"!--") {
        return true;
    }
    if let Some(doctype) = start.strip_prefix(b"!") {
        let name = without_prefix(doctype, "doctype").map(<[u8]>::trim_ascii_start);
        return name.is_some_and(|name| is_name(name, "html"));
    }
    TAGS.iter().any(|tag| is_name(start, tag))
}

/// Whether the bytes begin with this name in any case, and the name ends there.
fn is_name(bytes: &[u8], name: &str) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    without_prefix(bytes, name).is_some_and(|rest| rest.first().is_some_and(is_end))
}

/// The bytes after a prefix in any case.
fn without_prefix<'b>(bytes: &'b [u8], prefix: &str) -> Option<&'b [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

/// Whether a body is XML whose root element is `html`, in whatever namespace; as far as its first bytes show.
fn has_html_root(body: &[u8]) -> bool {
    let body = after_mark(&body[..body.len().min(SNIFFED_BYTES)]);
    let mut rest = body.trim_ascii_start();
    loop {
        let end = match rest {
            [b'<', b'?', ..] => "?>",
            [b'<', b'!', b'-', b'-', ..] => "-->",
            [b'<', b'!', doctype @ ..] => {
                let name = without_prefix(doctype, "doctype").map(<[u8]>::trim_ascii_start);
                if name.is_some_and(|name| is_name(name, "html")) {
                    return true;
                }
                let ends_first = memchr::memchr2(b'[', b'>', rest).is_some_and(|at| rest[at] == b'[');
                if ends_first { "]>" } else { ">" }
            }
            [b'<', name @ ..] => {
                let name_len = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
                let local = if name.get(name_len) == Some(&b':') { &name[name_len + 1..] } else { name };
                return is_name(local, "html");
            }
            _ => return false,
        };
        let Some(at) = memchr::memmem::find(rest, end.as_bytes()) else { return false };
        rest = rest[at + end.len()..].trim_ascii_start();
    }
}

/// The bytes after a byte-order mark; those of UTF-16 with `?` for what is not ASCII.
fn after_mark(body: &[u8]) -> Cow<'_, [u8]> {
    let ascii = |units: &[u8], from_pair: fn([u8; 2]) -> u16| -> Cow<'_, [u8]> {
        let pairs = units.chunks_exact(2).map(|pair| from_pair([pair[0], pair[1]]));
        pairs.map(|unit| u8::try_from(unit).unwrap_or(b'?')).collect()
    };
    match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => ascii(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => ascii(rest, u16::from_be_bytes),
        _ => Cow::Borrowed(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: Option<&str>, body: &[u8], expected: Media) {
        assert_eq!(media(content_type, body), expected, "{content_type:?} {}", String::from_utf8_lossy(body));
        if expected == Media::Html {
            assert!(may_be_html(content_type), "{content_type:?}");
        }
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn html_by_its_type() {
        for html in [
            "text/html",
            "TEXT/HTML",
            " text/html ",
            " Application/XHTML+XML ;charset=utf-8",
            "text/html; charset=utf-8",
            "text/html;charset=\"utf-8, or so\"",
            "text/html;",
            "text/html; charset",
            "text/html,text/html",
            "text/html, text/html; charset=utf-8",
            "text/html charset=utf-8",
            "text/html\tcharset=utf-8",
            "text/html:charset=utf-8, text/html",
            "\"text/html\"",
            "\"text/html; charset=utf-8\"",
            "'text/html'",
            "<text/html>",
            "text/html (a comment)",
            "text/html\0",
            "text/html, none",
            "text/html, */*",
            "text/plain, text/html",
            "image/png,text/html",
            ", text/html,",
        ] {
            check(Some(html), b"words", Media::Html);
            check(Some(html), PNG, Media::Other);
            check(Some(html), b"%PDF-1.4", Media::Other);
        }
    }

    #[test]
    fn what_is_not_html_by_its_type() {
        for other in [
            "text/html-sandboxed",
            "application/octet-stream",
            "text/html, image/png",
            "application/json",
            "image/svg",
            "text/css",
            "binary/octet-stream",
            "application/force-download",
        ] {
            check(Some(other), b"<html>", Media::Other);
            assert!(!may_be_html(Some(other)));
        }
        check(Some("text/plain; charset=utf-8"), b"<html>", Media::Text);
        check(Some("text/plain"), b"\x01\x02\x03", Media::Other);
        check(Some("text/plain"), PNG, Media::Other);
        check(Some("text/plain;charset=utf-16le"), b"a\0b\0", Media::Text);
        check(Some("text/plain"), b"\xff\xfea\0", Media::Text);
        check(Some("text/html, text/plain"), b"<html>", Media::Text);
    }

    #[test]
    fn xml_is_html_by_its_root() {
        for xml in ["text/xml", "application/xml; charset=utf-8", "application/vnd.wap.xhtml+xml"] {
            check(Some(xml), b"<?xml version='1.0'?>\n<html xmlns='http://www.w3.org/1999/xhtml'>", Media::Html);
            check(Some(xml), b"\xef\xbb\xbf<!-- <rss> --><?x y?><h:html xmlns:h='x'>", Media::Html);
            check(Some(xml), b"<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'x'>", Media::Html);
            check(Some(xml), b"<!DOCTYPE rss [<!ENTITY html '>'>]><rss>", Media::Other);
            check(Some(xml), b"<!DOCTYPE x><html>", Media::Html);
            check(Some(xml), b"<?xml version='1.0'?><rss><html>", Media::Other);
            check(Some(xml), b"<htmlx>", Media::Other);
            check(Some(xml), b"html", Media::Other);
        }
    }

    #[test]
    fn without_a_type_the_first_bytes_tell() {
        let utf16: Vec<u8> = "\u{feff}<!DOCTYPE html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for unknown in [
            None,
            Some(""),
            Some("; charset=utf-8"),
            Some("html"),
            Some("none"),
            Some("*/*"),
            Some("unknown"),
            Some("No-Type"),
            Some("application/unknown"),
            Some("unknown/unknown, none"),
            Some("text\\html"),
            Some("/html"),
            Some("text/"),
        ] {
            for html in [
                &b" \r\n\t<!DocType HTML PUBLIC"[..],
                b"<!DOCTYPE html>",
                b"<HTML lang=en>",
                b"<html\nlang=en>",
                b"<head>",
                b"<body>",
                b"<p>",
                b"<h1 class=x>",
                b"<br/>",
                b"<meta charset=utf-8>",
                b"<!-- made by hand -->",
                b"<?xml version='1.0'?><!DOCTYPE html><html>",
                b"\xef\xbb\xbf<!DOCTYPE html>",
                &utf16,
            ] {
                check(unknown, html, Media::Html);
            }
            for text in [
                &b"some words, and <html>"[..],
                b"<htm",
                b"<htmlx>",
                b"{}",
                b"",
                b"\xef\xbb\xbfwords",
                "\u{17e}".as_bytes(),
            ] {
                check(unknown, text, Media::Text);
            }
            let late = [b" ".repeat(SNIFFED_BYTES), b"<html>".to_vec()].concat();
            check(unknown, &late, Media::Text);
            for other in [
                PNG,
                b"%PDF-1.7",
                b"PK\x03\x04",
                b"\x1f\x8b\x08",
                b"GIF89a",
                b"\x01\x02",
                b"<?xml version='1.0'?><rss>",
            ] {
                check(unknown, other, Media::Other);
            }
        }
    }

    #[test]
    fn types_of_several_fields() {
        let check = |values: &[&str], expected: Option<&str>| {
            let found = MediaType::of(values.iter().copied()).map(|media_type| media_type.to_string());
            assert_eq!(found.as_deref(), expected, "{values:?}");
        };
        // The table of the Fetch standard, "extract a MIME type".
        check(&["text/plain;charset=gbk", "text/html"], Some("text/html"));
        check(&["text/html;charset=gbk;a=b", "text/html;x=y"], Some("text/html;charset=gbk"));
        check(&["text/html;charset=gbk;a=b", "text/html"], Some("text/html;charset=gbk"));
        check(&["text/html;charset=gbk", "x/x", "text/html;x=y"], Some("text/html"));
        check(&["text/html", "cannot-parse"], Some("text/html"));
        check(&["text/html", "*/*"], Some("text/html"));
        check(&["text/html", ""], Some("text/html"));
        check(&["text/html;charset=a, text/html;charset=b, text/html"], Some("text/html;charset=a"));
        check(&["text/html charset=utf-8"], Some("text/html;charset=utf-8"));
        check(&["\"text/html; charset='koi8-r'\""], Some("text/html;charset=koi8-r"));
        check(&["text/html;charset=\"\""], Some("text/html"));
        check(&[], None);
        check(&["html", "none"], None);
    }
}
