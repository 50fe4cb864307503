//! Codings of a body: the chunks of a transfer, and compression.
//!
//! Archives hold bodies as they came, and bodies that were decoded under a head that still names the coding; servers
//! name codings that they did not apply. So the bytes decide before the names do.

use std::io::{self, Read};

use super::signature::is_text;

/// Codings of one body that are undone; real servers stack fewer.
const MAX_CODINGS: usize = 4;

/// A longer line before a chunk is none: the size is at most sixteen digits, and the rest are extensions.
const MAX_CHUNK_LINE_BYTES: usize = 4096;

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
    /// The coding is one that neither browsers nor this crate read.
    #[error("the content coding {coding:?} is not read")]
    Unsupported {
        /// Its name in the header.
        coding: String,
    },
    /// The coded bytes are damaged, nothing could be decoded, and they are no text either.
    #[error("the body is not {coding} as its header says")]
    Damaged {
        /// The name of the coding.
        coding: String,
        /// The decoder's answer.
        #[source]
        source: io::Error,
    },
}

/// How much of a body is decoded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// All; more than this is an error.
    Whole { max_bytes: u64 },
    /// The first bytes.
    Start { max_bytes: u64 },
}

impl Part {
    /// How much is asked of a decoder: of a whole body a byte more than it may have.
    fn max_read_bytes(self) -> u64 {
        match self {
            Part::Whole { max_bytes } => max_bytes.saturating_add(1),
            Part::Start { max_bytes } => max_bytes,
        }
    }
}

/// Removes content codings, listed in the order in which they were applied (`gzip`, or `deflate, gzip`), up to
/// `max_bytes` of plain bytes, and those that only the bytes themselves show; `None` when the bytes are plain already or
/// nobody knows the codings.
///
/// ```
/// assert!(matches!(warc::http::decode(b"words", "gzip", 100), Ok(None)));
/// assert!(matches!(warc::http::decode(b"words", "utf-8", 100), Ok(None)));
/// ```
pub fn decode(bytes: &[u8], codings: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, BodyError> {
    undo_all(bytes, codings, Part::Whole { max_bytes })
}

/// As [`decode`], but gives the first `max_bytes` of a longer body.
pub fn decode_start(bytes: &[u8], codings: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, BodyError> {
    undo_all(bytes, codings, Part::Start { max_bytes })
}

fn undo_all(bytes: &[u8], codings: &str, part: Part) -> Result<Option<Vec<u8>>, BodyError> {
    let plain = undo(bytes, codings, part)?;
    Ok(undo_unsaid(plain.as_deref().unwrap_or(bytes), part)?.or(plain))
}

/// The names in a list of codings, in lower case, without quotes and parameters.
pub(super) fn names(codings: &str) -> impl DoubleEndedIterator<Item = String> {
    let name = |coding: &str| {
        let name = coding.split(';').next().unwrap_or("");
        name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).to_ascii_lowercase()
    };
    codings.split(',').map(name).filter(|name| !name.is_empty())
}

/// Undoes codings, the last one first.
pub(super) fn undo(bytes: &[u8], codings: &str, part: Part) -> Result<Option<Vec<u8>>, BodyError> {
    let mut plain: Option<Vec<u8>> = None;
    let known = names(codings).rev().filter_map(|name| Some((Coding::named(&name)?, name)));
    for (coding, name) in known.take(MAX_CODINGS) {
        if let Some(decoded) = undo_one(plain.as_deref().unwrap_or(bytes), coding, &name, part)? {
            plain = Some(decoded);
        }
    }
    Ok(plain)
}

/// Undoes codings that no header names, as the bytes tell; `None` when there are none, or none that can be undone.
pub(super) fn undo_unsaid(bytes: &[u8], part: Part) -> Result<Option<Vec<u8>>, BodyError> {
    let mut plain: Option<Vec<u8>> = None;
    for _ in 0..MAX_CODINGS {
        let body = plain.as_deref().unwrap_or(bytes);
        let coding = match body {
            [0x1f, 0x8b, 8, ..] => Coding::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Coding::Zstd,
            [0x78, 0x01 | 0x9c | 0xda, ..] => Coding::Deflate,
            _ => break,
        };
        match undo_one(body, coding, "", part) {
            Ok(Some(decoded)) => plain = Some(decoded),
            Err(error @ BodyError::TooLarge { .. }) => return Err(error),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(plain)
}

/// A coding that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    Compress,
}

impl Coding {
    /// The coding of a name in lower case; `None` for names that stand for none, as in browsers.
    fn named(name: &str) -> Option<Coding> {
        Some(match name.strip_prefix("x-").unwrap_or(name) {
            "gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            "compress" => Coding::Compress,
            _ => return None,
        })
    }
}

/// Undoes one coding; `None` when the bytes are plain already.
fn undo_one(bytes: &[u8], coding: Coding, name: &str, part: Part) -> Result<Option<Vec<u8>>, BodyError> {
    let best = match (coding, bytes) {
        (_, []) => return Ok(None),
        (Coding::Gzip, [0x1f, 0x8b, ..]) => read(flate2::bufread::MultiGzDecoder::new(bytes), part),
        (Coding::Zstd, [0x28, 0xb5, 0x2f, 0xfd, ..]) => match zstd::Decoder::with_buffer(bytes) {
            Ok(decoder) => read(decoder, part),
            Err(error) => Decoded { plain: Vec::new(), error: Some(error) },
        },
        (Coding::Compress, [0x1f, 0x9d, ..]) => return Err(BodyError::Unsupported { coding: name.to_owned() }),
        // Plain, or coded as another signature says, which `undo_unsaid` goes by.
        (Coding::Gzip | Coding::Zstd | Coding::Compress, _)
        | (_, [0x1f, 0x8b, 8, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..]) => return Ok(None),
        (Coding::Deflate, _) => inflate(bytes, part),
        (Coding::Brotli, _) => read(brotli_decompressor::Decompressor::new(bytes, 1 << 14), part),
    };
    let Decoded { plain, error } = best;
    if let Part::Whole { max_bytes } = part
        && plain.len() as u64 > max_bytes
        && !(error.is_some() && is_text(bytes))
    {
        return Err(BodyError::TooLarge { max_bytes });
    }
    match error {
        // A few letters can be a whole stream by chance.
        None if is_text(bytes) && plain.len() < bytes.len() => Ok(None),
        None => Ok(Some(plain)),
        // No decoder takes text to its end, and coded bytes do not look like text for long.
        Some(_) if is_text(bytes) => Ok(None),
        Some(source) if plain.is_empty() => Err(BodyError::Damaged { coding: name.to_owned(), source }),
        Some(_) => Ok(Some(plain)),
    }
}

/// What a decoder gave, and what stopped it before the end or the limit.
struct Decoded {
    plain: Vec<u8>,
    error: Option<io::Error>,
}

fn read(decoder: impl Read, part: Part) -> Decoded {
    let mut plain = Vec::new();
    let error = decoder.take(part.max_read_bytes()).read_to_end(&mut plain).err();
    Decoded { plain, error }
}

/// `deflate` is the zlib format (RFC 9110, section 8.4.1.2); some servers send it without its header.
fn inflate(bytes: &[u8], part: Part) -> Decoded {
    let is_zlib =
        matches!(bytes, [head, flags, ..] if head & 0x0f == 8 && (u16::from(*head) << 8 | u16::from(*flags)) % 31 == 0);
    let with_header = is_zlib.then(|| read(flate2::bufread::ZlibDecoder::new(bytes), part));
    match with_header {
        Some(decoded) if decoded.error.is_none() || !decoded.plain.is_empty() => decoded,
        _ => {
            let mut decoder = flate2::bufread::DeflateDecoder::new(bytes);
            let mut decoded = read(&mut decoder, part);
            // Text can be a short stream by chance, but then most of it is left over.
            if decoded.error.is_none() && decoder.total_in() < bytes.len() as u64 && is_text(bytes) {
                decoded.error = Some(io::ErrorKind::InvalidData.into());
            }
            decoded
        }
    }
}

/// Removes chunked framing; `None` when the bytes have none, as in many archives.
///
/// The first chunk must end where its size says, or reach over the body's end: else its size is a number at the start
/// of a body. After a later size that is none, what came before it counts, as in browsers.
pub(super) fn dechunk(bytes: &[u8], part: Part) -> Option<Vec<u8>> {
    let max_bytes = usize::try_from(part.max_read_bytes()).unwrap_or(usize::MAX);
    let (size, start) = chunk_size(bytes, 0)?;
    let is_framed = match bytes.get(start.saturating_add(size)..) {
        // A number on a line of its own is more likely text if it has not HTTP's line end.
        None => bytes[..start].ends_with(b"\r\n"),
        // The last chunk, and perhaps trailers.
        Some(rest) if size == 0 => !rest.trim_ascii_start().starts_with(b"<"),
        Some(rest) => rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r"),
    };
    if !is_framed {
        return None;
    }
    let mut plain = Vec::with_capacity(bytes.len().min(max_bytes));
    let mut at = 0;
    while let Some((size, start)) = chunk_size(bytes, at) {
        if size == 0 || plain.len() >= max_bytes {
            break;
        }
        let end = start.saturating_add(size).min(bytes.len());
        plain.extend_from_slice(&bytes[start..end]);
        at = end + bytes[end..].iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    }
    plain.truncate(max_bytes);
    Some(plain)
}

/// The size in the line at `at`, and where the chunk begins.
fn chunk_size(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let line_len = memchr::memchr(b'\n', &rest[..rest.len().min(MAX_CHUNK_LINE_BYTES)])?;
    let size = rest[..line_len].split(|&byte| byte == b';').next()?.trim_ascii();
    if size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    // A larger size than can be held reaches over the end as well.
    let size = u64::from_str_radix(str::from_utf8(size).ok()?, 16).unwrap_or(u64::MAX);
    Some((usize::try_from(size).unwrap_or(usize::MAX), at + line_len + 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::{Media, Response};
    use super::*;

    const MAX_BYTES: u64 = 1 << 20;
    const PAGE: &str = "<!DOCTYPE html><title>Ferry \u{2013} \u{444}</title><p>The ferry left the old harbour at noon.";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// A stream of brotli whose bytes are stored (RFC 7932, section 9.2): a window of 16 bits, one meta-block of at
    /// most 65,536 bytes that is not compressed, and an empty last one.
    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let len = bytes.len() as u32 - 1;
        // WBITS 0; ISLAST 0; MNIBBLES 0 (four); MLEN - 1 in sixteen bits; ISUNCOMPRESSED 1.
        let head = (len << 4) | (1 << 20);
        [&head.to_le_bytes()[..3], bytes, &[3]].concat()
    }

    fn message(head: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{head}\r\n").as_bytes(), body].concat()
    }

    fn check(head: &str, body: &[u8], expected: &[u8]) {
        let message = message(head, body);
        let response = Response::parse(&message).unwrap();
        let found = response.body(&message, MAX_BYTES).unwrap();
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(expected), "{head}");
    }

    #[test]
    fn bodies_coded_as_their_head_says() {
        let page = PAGE.as_bytes();
        check("", page, page);
        check("Content-Encoding: gzip\r\n", &gzip(page), page);
        check("Content-Encoding: x-GZIP\r\n", &gzip(page), page);
        check("Content-Encoding: \"gzip\"\r\n", &gzip(page), page);
        check("Content-Encoding: deflate\r\n", &zlib(page), page);
        check("Content-Encoding: deflate\r\n", &raw_deflate(page), page);
        check("Content-Encoding: br\r\n", &brotli(page), page);
        check("Content-Encoding: zstd\r\n", &zstd(page), page);
        check("Content-Encoding: gzip, gzip\r\n", &gzip(&gzip(page)), page);
        check("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", &gzip(&gzip(page)), page);
        check("Content-Encoding: deflate, br, gzip\r\n", &gzip(&brotli(&zlib(page))), page);
        check("Transfer-Encoding: gzip\r\n", &gzip(page), page);
        check("Content-Encoding: br\r\nTransfer-Encoding: gzip\r\n", &gzip(&brotli(page)), page);
        // Two members, and what is no member behind one.
        check("Content-Encoding: gzip\r\n", &[gzip(b"<p>one"), gzip(b", two")].concat(), b"<p>one, two");
        check("Content-Encoding: gzip\r\n", &[gzip(page), b"\r\n".to_vec()].concat(), page);
    }

    #[test]
    fn bodies_coded_otherwise_than_their_head_says() {
        let page = PAGE.as_bytes();
        for name in [
            "UTF-8",
            "none",
            "identity",
            "",
            "text/html",
            "binary",
            "gzip",
            "x-gzip",
            "deflate",
            "br",
            "zstd",
            "compress",
        ] {
            for body in [page, b"", b"x", b"ok", b";", b"<html>", "\u{feff}\u{444}".as_bytes(), b"\xff\xfea\0b\0"] {
                check(&format!("Content-Encoding: {name}\r\n"), body, body);
                check(&format!("Content-Encoding: {name}, {name}\r\n"), body, body);
            }
            // A coding that the bytes show is undone even so.
            for body in [gzip(page), zstd(page), gzip(&zlib(page))] {
                check(&format!("Content-Encoding: {name}\r\n"), &body, page);
            }
        }
        check("", &gzip(page), page);
        check("", &zlib(page), page);
        check("Content-Encoding: gzip, gzip\r\n", &gzip(page), page);
        check("Content-Encoding: gzip\r\n", &gzip(&gzip(page)), page);
        check("Content-Encoding: utf-8, gzip, none\r\n", &gzip(page), page);
    }

    #[test]
    fn a_file_that_is_compressed_is_no_page() {
        for (head, body, expected) in [
            ("Content-Type: application/gzip", gzip(PAGE.as_bytes()), Media::Other),
            ("Content-Type: none", gzip(b"some words"), Media::Other),
            ("Content-Type: none", gzip(PAGE.as_bytes()), Media::Html),
            ("Content-Type: none\r\nContent-Encoding: gzip", gzip(PAGE.as_bytes()), Media::Html),
            ("Content-Type: text/html", gzip(b"%PDF-1.4"), Media::Other),
        ] {
            let message = [format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), &body].concat();
            let response = Response::parse(&message).unwrap();
            assert_eq!(response.media(&message), expected, "{head}");
            let plain = response.body(&message, MAX_BYTES).unwrap();
            assert_eq!(plain != body, expected == Media::Html || head.ends_with("text/html"), "{head}");
        }
    }

    #[test]
    fn damaged_bodies_give_what_they_can() {
        let page = PAGE.repeat(300);
        for (name, coded) in [
            ("gzip", gzip(page.as_bytes())),
            ("deflate", zlib(page.as_bytes())),
            ("deflate", raw_deflate(page.as_bytes())),
            ("br", brotli(page.as_bytes())),
        ] {
            let message = message(&format!("Content-Encoding: {name}\r\n"), &coded[..coded.len() * 2 / 3]);
            let body = Response::parse(&message).unwrap().body(&message, MAX_BYTES).unwrap().into_owned();
            assert!(body.len() > 100 && page.as_bytes().starts_with(&body), "{name}: {} bytes", body.len());
        }
        for (name, coded) in
            [("gzip", &b"\x1f\x8b\x08\0\0\0"[..]), ("br", b"\xff\xff\xff\0"), ("deflate", b"\x06\x01\x02\x03")]
        {
            let error = decode(coded, name, MAX_BYTES).unwrap_err();
            assert!(matches!(&error, BodyError::Damaged { coding, .. } if coding == name), "{name}: {error}");
        }
        let lzw = decode(b"\x1f\x9d\x90abc", "compress", MAX_BYTES).unwrap_err();
        assert!(matches!(lzw, BodyError::Unsupported { .. }));
    }

    #[test]
    fn chunks() {
        let chunked = |body: &[u8], expected: &[u8]| check("Transfer-Encoding: chunked\r\n", body, expected);
        chunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde");
        chunked(b"03  \r\nabc\r\n0002 ; x=\"y\"\r\nde\r\n0\r\nTrailer: x\r\n\r\n", b"abcde");
        chunked(b"3\nabc\n2\nde\n0\n\n", b"abcde");
        chunked(b"3\r\nabc\r\n2\r\nde", b"abcde");
        chunked(b"3\r\nabc\r\n2\r\nd", b"abcd");
        chunked(b"3\r\nabc\r\nzz\r\nde\r\n0\r\n\r\n", b"abc");
        chunked(b"3\r\nabc\r\n-1\r\nde", b"abc");
        chunked(b"ffff\r\nbroken off", b"broken off");
        chunked(b"fffffffffffffffffffff\r\nbroken off", b"broken off");
        chunked(b"0\r\n\r\n", b"");
        chunked(b"", b"");
        for plain in
            [&b"<p>de-chunked"[..], b"42\n<p>of them", b"0\r\n<p>", b"12\r\nmonths have the year", b"\r\n", b"; x\r\n"]
        {
            chunked(plain, plain);
        }
        let page = PAGE.as_bytes();
        let coded = gzip(page);
        let framed = [format!("{:X}\r\n", coded.len()).as_bytes(), &coded, b"\r\n0\r\n\r\n"].concat();
        for head in [
            "Content-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        ] {
            check(head, &framed, page);
            check(head, &coded, page);
        }
    }

    #[test]
    fn a_length_in_the_head_cuts_nothing() {
        check("Content-Length: 3\r\n", PAGE.as_bytes(), PAGE.as_bytes());
        check("Content-Length: 3\r\nContent-Length: 5\r\n", PAGE.as_bytes(), PAGE.as_bytes());
        check("Content-Length: 99999\r\n", PAGE.as_bytes(), PAGE.as_bytes());
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&[b' '; 1 << 20]);
        for (head, body) in [
            ("Content-Encoding: gzip\r\n", bomb.clone()),
            ("Content-Encoding: gzip, gzip\r\n", gzip(&bomb)),
            ("", bomb.clone()),
            ("", gzip(&bomb)),
        ] {
            let message = message(head, &body);
            let response = Response::parse(&message).unwrap();
            assert!(matches!(response.body(&message, 1000), Err(BodyError::TooLarge { max_bytes: 1000 })), "{head}");
        }
        // Only its start can be decoded.
        let start = decode_start(&bomb, "gzip", 1000).unwrap().unwrap();
        assert_eq!(start, [b' '; 1000]);
    }

    proptest! {
        /// Text is never taken for coded bytes, whatever the head says.
        #[test]
        fn text_stays(text in "[ -~\\n\u{400}-\u{44f}]{0,300}", name in prop::sample::select(vec!["gzip", "deflate", "br", "zstd", "x"])) {
            prop_assert_eq!(decode(text.as_bytes(), name, MAX_BYTES).unwrap(), None);
        }

        /// However a body is cut into chunks, and broken off, it is found again.
        #[test]
        fn chunks_are_joined(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6), cut in any::<prop::sample::Index>()) {
            let mut framed = Vec::new();
            for part in &parts {
                framed.extend(format!("{:x}\r\n", part.len()).bytes());
                framed.extend_from_slice(part);
                framed.extend_from_slice(b"\r\n");
            }
            let first_line = memchr::memchr(b'\n', &framed).unwrap() + 1;
            let plain = parts.concat();
            let part = Part::Whole { max_bytes: MAX_BYTES };
            let whole = [&framed[..], b"0\r\n\r\n"].concat();
            prop_assert_eq!(dechunk(&whole, part), Some(plain.clone()));
            let cut = first_line + cut.index(framed.len() - first_line);
            let found = dechunk(&framed[..cut], part).unwrap();
            prop_assert!(plain.starts_with(&found));
        }

        #[test]
        fn any_message_keeps_to_the_limit(head in "[ -~\\r\\n]{0,80}", coding in 0..6_usize, body: Vec<u8>, max_bytes in 0..200_u64) {
            let name = ["gzip", "deflate", "br", "zstd", "gzip, br", "x"][coding];
            let message = message(&format!("Content-Encoding: {name}\r\nTransfer-Encoding: chunked\r\n{head}\r\n"), &body);
            let Some(response) = Response::parse(&message) else { return Ok(()) };
            let _ = response.media(&message);
            if let Ok(body) = response.body(&message, max_bytes) {
                prop_assert!(body.len() as u64 <= max_bytes);
            }
        }
    }
}
