//! The HTTP message inside a record: head, transfer coding, content coding, and what kind of content it is.

use std::borrow::Cow;
use std::io::{self, Read};

/// Content codings of one body that are undone; real servers stack fewer.
const MAX_CODINGS: usize = 4;

/// Bytes of a body in which its first tag is looked for.
const SNIFFED_BYTES: usize = 512;

/// An HTTP response's head, and where its body begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields in their order.
    pub headers: Vec<(String, String)>,
    /// Offset of the body in the message.
    pub body_start: usize,
}

/// What kind of content a body is, as far as text can be taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// HTML or XHTML.
    Html,
    /// Plain text.
    Text,
    /// Anything else, such as images, JSON and PDF.
    Other,
}

/// A body could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The decoded body passed the limit.
    #[error("the body is larger than {max_bytes} bytes when decoded")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The content coding is unknown.
    #[error("the content coding {coding:?} is not known")]
    UnknownCoding {
        /// Its name in the header.
        coding: String,
    },
    /// The coded bytes are damaged and nothing could be decoded.
    #[error("the body is not {coding} as its header says")]
    Damaged {
        /// The name of the coding.
        coding: String,
        /// The decoder's answer.
        #[source]
        source: io::Error,
    },
}

impl Response {
    /// Reads the head of a response; `None` when the bytes are not one.
    ///
    /// ```
    /// let message = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>";
    /// let response = warc::http::Response::parse(message).unwrap();
    /// assert_eq!((response.status, response.header("content-type")), (200, Some("text/html")));
    /// assert_eq!(&message[response.body_start..], b"<p>");
    /// ```
    pub fn parse(message: &[u8]) -> Option<Response> {
        let (line, mut at) = next_line(message, 0)?;
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        if !words.next()?.starts_with("HTTP/") {
            return None;
        }
        let status = words.next()?.parse().ok()?;
        let mut headers: Vec<(String, String)> = Vec::new();
        // A head that is truncated still has status and type.
        while let Some((line, next)) = next_line(message, at) {
            at = next;
            if line.is_empty() {
                break;
            }
            let line = String::from_utf8_lossy(line);
            if line.starts_with([' ', '\t'])
                && let Some((_, value)) = headers.last_mut()
            {
                value.push(' ');
                value.push_str(line.trim());
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Some(Response { status, headers, body_start: at })
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body of `message` without transfer and content coding, at most `max_bytes` long.
    ///
    /// A body whose coded data is truncated gives what could be decoded of it.
    pub fn body<'a>(&self, message: &'a [u8], max_bytes: u64) -> Result<Cow<'a, [u8]>, BodyError> {
        let mut body = Cow::Borrowed(&message[self.body_start.min(message.len())..]);
        let chunked = self.header("Transfer-Encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
        if chunked && let Some(plain) = dechunk(&body) {
            body = Cow::Owned(plain);
        }
        if let Some(codings) = self.header("Content-Encoding") {
            // Codings are listed in the order in which they were applied.
            for coding in codings.rsplit(',').take(MAX_CODINGS) {
                if let Some(plain) = decode(&body, coding.trim(), max_bytes)? {
                    body = Cow::Owned(plain);
                }
            }
        }
        if body.len() as u64 > max_bytes {
            return Err(BodyError::TooLarge { max_bytes });
        }
        Ok(body)
    }
}

/// What kind of content a body is: by its `Content-Type`, parameters aside; by its first bytes where there is none, or
/// one that says that the type is unknown.
///
/// ```
/// use warc::http::{Media, media};
///
/// assert_eq!(media(Some("Text/HTML; charset=utf-8"), b""), Media::Html);
/// assert_eq!(media(None, b"\n<!DOCTYPE html><p>"), Media::Html);
/// assert_eq!(media(Some("image/png"), b"<html>"), Media::Other);
/// ```
pub fn media(content_type: Option<&str>, body_start: &[u8]) -> Media {
    let media_type = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => Media::Html,
        "text/plain" => Media::Text,
        "" | "unknown" | "no-type" | "application/unknown" if begins_as_html(body_start) => Media::Html,
        _ => Media::Other,
    }
}

fn begins_as_html(bytes: &[u8]) -> bool {
    let start = bytes[..bytes.len().min(SNIFFED_BYTES)].trim_ascii_start();
    let begins_with = |tag: &str| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()));
    ["<!doctype html", "<html", "<head", "<body"].into_iter().any(begins_with)
}

/// Removes a content coding, up to `max_bytes` of plain bytes; `None` when the bytes are plain already.
///
/// Archives often hold decoded bodies under the header of the coded one, so the bytes decide first.
pub fn decode(bytes: &[u8], coding: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, BodyError> {
    let plain = decode_start(bytes, coding, max_bytes.saturating_add(1))?;
    if plain.as_ref().is_some_and(|plain| plain.len() as u64 > max_bytes) {
        return Err(BodyError::TooLarge { max_bytes });
    }
    Ok(plain)
}

/// As [`decode`], but gives the first `max_bytes` of a longer body.
pub fn decode_start(bytes: &[u8], coding: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, BodyError> {
    let coding = coding.to_ascii_lowercase();
    let Some(reader) = decoder(bytes, &coding)? else { return Ok(None) };
    let mut plain = Vec::new();
    match reader.take(max_bytes).read_to_end(&mut plain) {
        Err(source) if plain.is_empty() => Err(BodyError::Damaged { coding, source }),
        _ => Ok(Some(plain)),
    }
}

/// Undoes a content coding; none when the bytes are plain already.
fn decoder<'b>(bytes: &'b [u8], coding: &str) -> Result<Option<Box<dyn Read + 'b>>, BodyError> {
    let reader: Box<dyn Read> = match (coding, bytes) {
        ("" | "identity" | "none", _) | (_, []) => return Ok(None),
        ("gzip" | "x-gzip", [0x1f, 0x8b, ..]) => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
        ("zstd", [0x28, 0xb5, 0x2f, 0xfd, ..]) => {
            let decoder = zstd::Decoder::with_buffer(bytes);
            Box::new(decoder.map_err(|source| BodyError::Damaged { coding: coding.to_owned(), source })?)
        }
        ("gzip" | "x-gzip" | "zstd", _) => return Ok(None),
        ("deflate", [head, ..]) if head & 0x0f == 8 => Box::new(flate2::bufread::ZlibDecoder::new(bytes)),
        ("deflate", [b'<', ..]) => return Ok(None),
        ("deflate", _) => Box::new(flate2::bufread::DeflateDecoder::new(bytes)),
        ("br", _) if looks_like_text(bytes) => return Ok(None),
        ("br", _) => Box::new(brotli_decompressor::Decompressor::new(bytes, 1 << 14)),
        _ if looks_like_text(bytes) => return Ok(None),
        _ => return Err(BodyError::UnknownCoding { coding: coding.to_owned() }),
    };
    Ok(Some(reader))
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64)];
    head.iter().all(|&b| b >= 0x20 || matches!(b, b'\t' | b'\r' | b'\n')) && head.is_ascii()
}

/// Removes chunked framing; `None` when the bytes have none (many archives store bodies de-chunked).
fn dechunk(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some((line, next)) = next_line(bytes, at) {
        let size = String::from_utf8_lossy(line.split(|&b| b == b';').next()?).trim().to_owned();
        let Ok(size) = usize::from_str_radix(&size, 16) else {
            return if at == 0 { None } else { Some(plain) };
        };
        if size == 0 {
            return Some(plain);
        }
        let end = next.saturating_add(size).min(bytes.len());
        plain.extend_from_slice(&bytes[next..end]);
        at = (end + 2).min(bytes.len());
    }
    if at == 0 { None } else { Some(plain) }
}

/// The line at `at` without its end, and where the next begins.
fn next_line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let end = memchr::memchr(b'\n', rest)?;
    let mut line = &rest[..end];
    // One is the standard's; a few archives went through tools that added another.
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    Some((line, at + end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, body: &[u8], expected: &[u8]) {
        let message = [format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat();
        let response = Response::parse(&message).unwrap();
        assert_eq!(response.body(&message, 1 << 20).unwrap(), expected, "{head}");
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
        let mut coded = Vec::new();
        encoder.read_to_end(&mut coded).unwrap();
        coded
    }

    #[test]
    fn bodies() {
        check("", b"plain", b"plain");
        check("Content-Encoding: gzip\r\n", &gzip(b"coded"), b"coded");
        check("Content-Encoding: gzip\r\n", b"decoded by the archiver", b"decoded by the archiver");
        check("Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde");
        check("Transfer-Encoding: chunked\r\n", b"<p>de-chunked", b"<p>de-chunked");
        check("Transfer-Encoding: chunked\r\n", b"ffff\r\nbroken off", b"broken off");
        check("Content-Encoding: br\r\n", &[0x0b, 0x02, 0x80, b'a', b'b', b'c', b'd', b'e', 0x03], b"abcde");
    }

    #[test]
    fn a_bomb_is_refused() {
        let message = [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".as_slice(), &gzip(&[0; 1 << 20])].concat();
        let response = Response::parse(&message).unwrap();
        assert!(matches!(response.body(&message, 1000), Err(BodyError::TooLarge { max_bytes: 1000 })));
        // Only its start can be decoded.
        let start = decode_start(&message[response.body_start..], "gzip", 1000).unwrap().unwrap();
        assert_eq!(start, [0; 1000]);
    }

    #[test]
    fn kinds_of_content() {
        let check = |content_type: Option<&str>, body: &[u8], expected| {
            assert_eq!(media(content_type, body), expected, "{content_type:?} {}", String::from_utf8_lossy(body));
        };
        check(Some("text/html"), b"", Media::Html);
        check(Some(" Application/XHTML+XML ;charset=utf-8"), b"", Media::Html);
        check(Some("text/html-sandboxed"), b"<html>", Media::Other);
        check(Some("text/plain; charset=utf-8"), b"<html>", Media::Text);
        check(Some("application/octet-stream"), b"<html>", Media::Other);
        for unknown in
            [None, Some(""), Some("; charset=utf-8"), Some("unknown"), Some("No-Type"), Some("application/unknown")]
        {
            check(unknown, b" \r\n\t<!DocType HTML PUBLIC", Media::Html);
            check(unknown, b"<HTML lang=en>", Media::Html);
            check(unknown, b"<head>", Media::Html);
            check(unknown, b"<body>", Media::Html);
            check(unknown, b"<?xml version='1.0'?><rss>", Media::Other);
            check(unknown, b"some words, and <html>", Media::Other);
            check(unknown, b"<htm", Media::Other);
            check(unknown, &[b" ".repeat(SNIFFED_BYTES), b"<html>".to_vec()].concat(), Media::Other);
        }
    }

    #[test]
    fn heads() {
        assert!(Response::parse(b"").is_none());
        assert!(Response::parse(b"SSH-2.0\r\n").is_none());
        assert_eq!(Response::parse(b"HTTP/1.0 404\n").unwrap().status, 404);
        let folded = Response::parse(b"HTTP/1.1 200 OK\nA: b\n c\n\n").unwrap();
        assert_eq!(folded.header("a"), Some("b c"));
    }
}
