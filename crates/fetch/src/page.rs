//! An HTTP response as it arrived: head, body, and what is missing of it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use records::Reason;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Version};
use url::Url;
use warc::http::{BodyError, Media, decode, decode_start, may_be_html, media};

use crate::http_client::Reading;
use crate::refusal::Refusal;
use crate::target_url::without_user;

/// A body may decode to this size at any ratio. Beyond it, the ratio is limited too: real pages grow ten- or twentyfold,
/// decompression bombs a thousandfold.
const MAX_BYTES_AT_ANY_RATIO: u64 = 10 << 20;
const MAX_DECODED_RATIO: u64 = 100;
/// Decoded bytes by which the type of a body is recognised.
const MAX_SNIFFED_BYTES: u64 = 2 << 10;

/// Why a body is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truncation {
    /// The connection broke.
    Disconnect,
    /// It took too long.
    Time,
}

impl Truncation {
    /// The value of `WARC-Truncated`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Truncation::Disconnect => "disconnect",
            Truncation::Time => "time",
        }
    }
}

/// A response as it arrived.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) reading: Reading,
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// As sent, in its content coding.
    pub(crate) body: Vec<u8>,
    pub(crate) truncation: Option<Truncation>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) took: Duration,
}

impl Page {
    /// The target of a redirect, without fragment and user. The header may have raw UTF-8, as in browsers; other bytes
    /// beyond ASCII are escaped as they are, as in curl.
    pub(crate) fn redirect_target(&self) -> Option<Url> {
        let location = self.headers.get(LOCATION)?.as_bytes();
        let location = match std::str::from_utf8(location) {
            Ok(location) => Cow::Borrowed(location),
            Err(_) => {
                let escaped =
                    |&byte: &u8| if byte.is_ascii() { char::from(byte).into() } else { format!("%{byte:02X}") };
                location.iter().map(escaped).collect::<String>().into()
            }
        };
        let mut target = self.url.join(&location).ok()?;
        target.set_fragment(None);
        Some(without_user(target))
    }

    /// Whether the host says that it is overloaded: status 429 or 503.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// `Retry-After` of a busy host, in seconds or as a date.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if !self.is_busy() {
            return None;
        }
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that overflows is a long time, too.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Content codings of the body in the order of application, from all `Content-Encoding` headers.
    pub(crate) fn coding(&self) -> String {
        let lines = self.headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        lines.collect::<Vec<_>>().join(",")
    }

    /// The `Content-Type` header; several are joined by commas.
    pub(crate) fn content_type(&self) -> Option<String> {
        let values = self.headers.get_all(CONTENT_TYPE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let joined = values.collect::<Vec<_>>().join(", ");
        (!joined.is_empty()).then_some(joined)
    }

    /// Whether this is HTML by its type, or by the start of its body where the type is unknown. A page without a type
    /// may be HTML; the extractor decides.
    pub(crate) fn may_be_html(&self) -> bool {
        let Some(content_type) = self.content_type() else { return true };
        let start = self.decoded_start(MAX_SNIFFED_BYTES);
        media(Some(&content_type), start.as_deref().unwrap_or(&self.body)) == Media::Html
    }

    /// Whether this may be HTML as far as its head says.
    pub(crate) fn may_be_html_by_type(&self) -> bool {
        may_be_html(self.content_type().as_deref())
    }

    /// The first `max_bytes` of the body without its content codings.
    pub(crate) fn decoded_start(&self, max_bytes: u64) -> Result<Cow<'_, [u8]>, BodyError> {
        Ok(decode_start(&self.body, &self.coding(), max_bytes)?.map_or(Cow::Borrowed(&self.body[..]), Cow::Owned))
    }

    /// Decodes the body only to see how large it becomes.
    ///
    /// # Errors
    /// [`Reason::PageTooLarge`] when it exceeds `max_decoded_bytes`, or a hundredfold of its size beyond 10 MiB.
    pub(crate) fn check_decoded_size(&self, max_decoded_bytes: u64) -> Result<(), Refusal> {
        let max_by_ratio = MAX_BYTES_AT_ANY_RATIO.max(MAX_DECODED_RATIO * self.body.len() as u64);
        let max_decoded_bytes = max_decoded_bytes.min(max_by_ratio);
        match decode(&self.body, &self.coding(), max_decoded_bytes) {
            Err(error @ BodyError::TooLarge { .. }) => {
                let detail = format!("{error}; as sent it has {}", self.body.len());
                Err(Refusal::new(Reason::PageTooLarge, detail).with_status(self.status))
            }
            // Damaged or unknown: the reader of the archive reports it.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompression_bombs_are_refused() {
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, bytes).unwrap();
            encoder.finish().unwrap()
        };
        let check = |codings: &[&'static str], body: Vec<u8>, expected: bool| {
            let lines = codings.iter().map(|coding| (CONTENT_ENCODING, coding.parse().unwrap()));
            let page = Page {
                url: Url::parse("http://a.example/").unwrap(),
                reading: Reading::Library,
                status: StatusCode::OK,
                version: Version::HTTP_11,
                headers: lines.collect(),
                body,
                truncation: None,
                address: None,
                took: Duration::ZERO,
            };
            let found = page.check_decoded_size(100 << 20).map_err(|refusal| refusal.reason);
            assert_eq!(found, if expected { Ok(()) } else { Err(Reason::PageTooLarge) }, "{codings:?}");
        };
        let zeros = |mebibytes: usize| gzip(&vec![0; mebibytes << 20]);
        check(&["gzip"], zeros(9), true);
        check(&["gzip"], zeros(11), false);
        check(&["gzip, gzip"], gzip(&zeros(11)), false);
        check(&["gzip", "gzip"], gzip(&zeros(11)), false);
        // Large and dense: the ratio stays small.
        let noise: Vec<u8> = (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        check(&["gzip"], gzip(&noise), true);
    }
}
