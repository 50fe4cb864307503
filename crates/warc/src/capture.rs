//! What a record says about a page: the capture in it, or the capture to which it refers.

use std::borrow::Cow;

use crate::date::unix_seconds;
use crate::digest::Digest;
use crate::http::{BodyError, Media, Response, media};
use crate::record::{Kind, Record};

/// The page that a record holds, as it was sent.
#[derive(Debug, Clone)]
pub struct Capture<'r> {
    /// HTTP status; `None` for what was not captured over HTTP, such as files, and the texts of WET archives.
    pub status: Option<u16>,
    /// The content's type, with its charset where one is named; `None` where nothing usable is said. See
    /// [`Response::content_type`].
    pub content_type: Option<String>,
    /// What kind of content it is.
    pub media: Media,
    block: &'r [u8],
    response: Option<Response>,
}

/// Why a record holds no page of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoCapture {
    /// A request, the archive's description, a note, or a part of another record.
    #[error("the record is no response")]
    NotAResponse,
    /// Only refers to another capture: see [`Record::revisit`].
    #[error("the record refers to another capture")]
    Revisit,
    /// A response without an HTTP head.
    #[error("no HTTP response is in the record")]
    MalformedHttp,
}

impl Capture<'_> {
    /// The content without its codings, at most `max_bytes` long. See [`Response::body`].
    pub fn body(&self, max_bytes: u64) -> Result<Cow<'_, [u8]>, BodyError> {
        match &self.response {
            Some(response) => response.body(self.block, max_bytes),
            None if self.block.len() as u64 > max_bytes => Err(BodyError::TooLarge { max_bytes }),
            None => Ok(Cow::Borrowed(self.block)),
        }
    }

    /// Where a redirect leads; see [`Response::redirect_target`].
    pub fn redirect_target(&self) -> Option<&str> {
        self.response.as_ref()?.redirect_target()
    }
}

/// The capture to which a `revisit` record refers.
///
/// Where it does not say which, as in WARC/1.0, it is an earlier one of the same URL with the same digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revisit<'r> {
    /// `WARC-Profile`, by its last part: `identical-payload-digest`, `server-not-modified`.
    pub profile: &'r str,
    /// `WARC-Refers-To-Target-URI`: the URL of the capture that has the content.
    pub target: Option<&'r str>,
    /// `WARC-Refers-To-Date`: when that was captured, in seconds since 1970.
    pub captured_utc: Option<i64>,
    /// `WARC-Refers-To`: its record's id, without angle brackets.
    pub record_id: Option<&'r str>,
    /// `WARC-Payload-Digest`: that of the content that both have.
    pub payload_digest: Option<Digest>,
}

impl Record {
    /// The page in a response, a resource, or a conversion such as the texts of WET archives; or why there is none.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use warc::http::Media;
    /// use warc::{Event, Reader};
    ///
    /// let wet = "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nWords\r\n\r\n";
    /// let mut reader = Reader::new(Cursor::new(wet), "a.warc.wet".into(), 1000)?;
    /// let Some(Event::Record(record)) = reader.next()? else { panic!() };
    /// let capture = record.capture()?;
    /// assert_eq!((capture.media, capture.status), (Media::Text, None));
    /// assert_eq!(capture.body(1000)?, b"Words".as_slice());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capture(&self) -> Result<Capture<'_>, NoCapture> {
        match self.kind {
            Kind::Response => self.response(),
            Kind::Resource | Kind::Conversion => Ok(self.content()),
            Kind::Revisit => Err(NoCapture::Revisit),
            Kind::Warcinfo | Kind::Request | Kind::Metadata | Kind::Continuation | Kind::Other => {
                Err(NoCapture::NotAResponse)
            }
        }
    }

    /// The HTTP message in the block. A block without a head counts, too, if it is a page: HTTP/0.9 had no heads, and
    /// some writers left them out.
    fn response(&self) -> Result<Capture<'_>, NoCapture> {
        if let Some(response) = Response::parse(&self.body) {
            return Ok(Capture {
                status: Some(response.status),
                content_type: response.content_type(),
                media: response.media(&self.body),
                block: &self.body,
                response: Some(response),
            });
        }
        let content = self.content();
        let is_message =
            self.header("Content-Type").is_some_and(|value| value.trim_start().starts_with("application/http"));
        let media = if is_message { media(None, &self.body) } else { content.media };
        match media {
            Media::Html => Ok(Capture { media, content_type: content.content_type.filter(|_| !is_message), ..content }),
            Media::Text | Media::Other => Err(NoCapture::MalformedHttp),
        }
    }

    /// The block as content of the record's own type.
    fn content(&self) -> Capture<'_> {
        let content_type = self.header("Content-Type");
        Capture {
            status: None,
            content_type: content_type.map(str::to_owned),
            media: media(content_type, &self.body),
            block: &self.body,
            response: None,
        }
    }

    /// The URLs from which redirects led to this record's target, as crawlers note them in `metadata` records: `via` if
    /// the last of `hopsFromSeed` is a redirect (`R`), and `seed` if all of them are.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use warc::{Event, Reader};
    ///
    /// let fields = "via: http://b.example/\r\nhopsFromSeed: RR\r\nseed: http://a.example/\r\n";
    /// let head = "WARC/1.1\r\nWARC-Type: metadata\r\nWARC-Target-URI: http://c.example/\r\nContent-Length: 65\r\n\r\n";
    /// let mut reader = Reader::new(Cursor::new(format!("{head}{fields}\r\n\r\n")), "a.warc".into(), 1000)?;
    /// let Some(Event::Record(record)) = reader.next()? else { panic!() };
    /// assert_eq!(record.redirected_from().collect::<Vec<_>>(), ["http://b.example/", "http://a.example/"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redirected_from(&self) -> impl Iterator<Item = &str> {
        let body = if self.kind == Kind::Metadata { &self.body[..] } else { b"" };
        // Other lines need not be UTF-8.
        let lines = || body.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
        let field = |name: &str| {
            let mut fields = lines().filter_map(|line| line.split_once(':'));
            fields.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let hops = field("hopsFromSeed").unwrap_or("");
        let via = if hops.ends_with('R') { field("via") } else { None };
        let seed = if !hops.is_empty() && hops.bytes().all(|hop| hop == b'R') { field("seed") } else { None };
        via.into_iter().chain(seed.filter(|&seed| via != Some(seed)))
    }

    /// The head of the answer in a `revisit` record, with which the server sent the content again, or said that it had not
    /// changed.
    pub fn revisit_head(&self) -> Option<Response> {
        (self.kind == Kind::Revisit).then(|| Response::parse(&self.body)).flatten()
    }

    /// The capture to which this record refers; `None` if it is no `revisit`.
    ///
    /// The block of a revisit may have the head that came this time; the content, and its type, are the other
    /// capture's. To find it among the captures of an input: one of `target` (of this record's URL without one) at
    /// `captured_utc`; else the nearest earlier one of that URL with the same `payload_digest`; else the nearest
    /// earlier one of any URL with that digest.
    pub fn revisit(&self) -> Option<Revisit<'_>> {
        if self.kind != Kind::Revisit {
            return None;
        }
        let profile = self.header("WARC-Profile").unwrap_or("").trim_end_matches('/');
        Some(Revisit {
            profile: profile.rsplit('/').next().unwrap_or(profile),
            target: self.header("WARC-Refers-To-Target-URI").map(without_brackets),
            captured_utc: self.header("WARC-Refers-To-Date").and_then(unix_seconds),
            record_id: self.header("WARC-Refers-To").map(without_brackets),
            payload_digest: self.payload_digest(),
        })
    }

    /// `WARC-Payload-Digest`, if it is one.
    pub fn payload_digest(&self) -> Option<Digest> {
        self.header("WARC-Payload-Digest").and_then(Digest::parse)
    }

    /// When it was captured, in seconds since 1970 (UTC): `WARC-Date`, or the date of an ARC record.
    pub fn captured_utc(&self) -> Option<i64> {
        self.header("WARC-Date").and_then(unix_seconds)
    }

    /// Why the archive's writer cut the block: `WARC-Truncated`, such as `length`, `time` or `disconnect`.
    pub fn truncated(&self) -> Option<&str> {
        self.header("WARC-Truncated")
    }

    /// The number of this part of a record that was written in segments, from 1; `None` for a whole one. The further
    /// parts are of [`Kind::Continuation`].
    pub fn segment(&self) -> Option<u64> {
        self.header("WARC-Segment-Number")?.parse().ok()
    }
}

/// A value without the angle brackets that some writers copied from the examples in WARC/1.0.
pub(crate) fn without_brackets(value: &str) -> &str {
    value.trim_start_matches('<').trim_end_matches('>').trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Location;

    fn record(kind: Kind, headers: &[(&str, &str)], block: &[u8]) -> Record {
        Record {
            location: Location { offset: 0, offset_in_member: 0 },
            kind,
            headers: headers.iter().copied().collect(),
            body: block.to_vec(),
            len_bytes: block.len() as u64,
            has_wrong_length: false,
            is_truncated: false,
        }
    }

    fn check(
        kind: Kind,
        content_type: Option<&str>,
        block: &[u8],
        expected: Result<(Option<u16>, Media, &[u8]), NoCapture>,
    ) {
        let headers: Vec<_> = content_type.map(|value| ("Content-Type", value)).into_iter().collect();
        let record = record(kind, &headers, block);
        let capture = record.capture();
        let found = capture.as_ref().map(|c| (c.status, c.media, c.body(1000).unwrap())).map_err(|error| *error);
        let expected = expected.map(|(status, media, body)| (status, media, Cow::Borrowed(body)));
        assert_eq!(found, expected, "{kind:?} {content_type:?}");
    }

    #[test]
    fn captures() {
        let http = Some("application/http; msgtype=response");
        let page: &[u8] = b"<html><p>A page";
        let message = [b"http/1.0 404 Gone\nContent-Type: html\n\n", page].concat();
        check(Kind::Response, http, &message, Ok((Some(404), Media::Html, page)));
        check(Kind::Response, None, &message, Ok((Some(404), Media::Html, page)));
        // HTTP/0.9, or a writer that kept no heads.
        check(Kind::Response, http, page, Ok((None, Media::Html, page)));
        check(Kind::Response, None, page, Ok((None, Media::Html, page)));
        check(Kind::Response, Some("text/html"), b"words", Ok((None, Media::Html, b"words")));
        check(Kind::Response, http, b"words", Err(NoCapture::MalformedHttp));
        check(Kind::Response, Some("text/dns"), b"20170601\na. 1 IN A 1.2.3.4", Err(NoCapture::MalformedHttp));
        check(Kind::Resource, Some("text/html"), page, Ok((None, Media::Html, page)));
        check(Kind::Resource, None, page, Ok((None, Media::Html, page)));
        check(Kind::Conversion, Some("text/plain"), b"words", Ok((None, Media::Text, b"words")));
        check(Kind::Conversion, Some("image/png"), b"\x89PNG", Ok((None, Media::Other, b"\x89PNG")));
        check(Kind::Revisit, http, &message, Err(NoCapture::Revisit));
        for kind in [Kind::Warcinfo, Kind::Request, Kind::Metadata, Kind::Continuation, Kind::Other] {
            check(kind, Some("text/html"), page, Err(NoCapture::NotAResponse));
        }
    }

    #[test]
    fn revisits() {
        let headers = [
            ("WARC-Profile", "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"),
            ("WARC-Refers-To-Target-URI", "<http://a.example/>"),
            ("WARC-Refers-To-Date", "2017-12-31T23:59:59Z"),
            ("WARC-Refers-To", "<urn:uuid:1>"),
            ("WARC-Payload-Digest", "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"),
        ];
        let whole = record(Kind::Revisit, &headers, b"");
        let revisit = whole.revisit().unwrap();
        assert_eq!((revisit.profile, revisit.target), ("identical-payload-digest", Some("http://a.example/")));
        assert_eq!((revisit.captured_utc, revisit.record_id), (Some(1_514_764_799), Some("urn:uuid:1")));
        assert_eq!(revisit.payload_digest, Digest::parse("sha1:DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"));
        assert_eq!(record(Kind::Response, &headers, b"").revisit(), None);
        let bare = record(Kind::Revisit, &headers[..1], b"");
        let revisit = bare.revisit().unwrap();
        assert_eq!((revisit.target, revisit.captured_utc, revisit.payload_digest), (None, None, None));
    }
}
