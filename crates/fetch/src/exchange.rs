//! One request and its answer, under every limit. Knows nothing of queues and pauses.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use records::Reason;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Version};
use rustix::io::Errno;
use url::{Host, Position, Url};
use warc::http::{Media, media};

use crate::Settings;

/// robots.txt is read up to here (RFC 9309 asks for at least 500 KiB).
pub(crate) const MAX_ROBOTS_BYTES: u64 = 512 << 10;
/// Longest URL that a redirect may lead to, as for links.
const MAX_URL_BYTES: usize = 2048;
/// A path in which one segment stands more often leads round and round.
const MAX_SEGMENT_REPEATS: usize = 3;
/// A body that is not wanted is read to its end, if it is no longer, so that the connection can be used again.
const MAX_DRAINED_BYTES: u64 = 64 << 10;
const MAX_DRAIN_TIME: Duration = Duration::from_secs(2);
/// A body that grows to more than this when it is decoded may grow a hundredfold, not more: real pages do so ten- or
/// twentyfold, bombs a thousandfold.
const DECODED_FREE_BYTES: u64 = 10 << 20;
const MAX_DECODED_RATIO: u64 = 100;
/// A body's rate is judged after this time.
const RATE_AFTER: Duration = Duration::from_secs(10);
/// Room that is kept for a body of unknown length.
const BODY_TYPICAL_BYTES: usize = 64 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Page,
    Robots,
}

impl RequestKind {
    fn accept(self) -> &'static str {
        match self {
            RequestKind::Page => "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            RequestKind::Robots => "text/plain,*/*;q=0.1",
        }
    }

    fn coding(self) -> &'static str {
        match self {
            RequestKind::Page => "gzip",
            RequestKind::Robots => "identity",
        }
    }
}

/// Why there is no page.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) status: Option<u16>,
    /// Whether another try may end in another way.
    pub(crate) is_passing: bool,
    /// What this machine lacks; the host has no part in it.
    pub(crate) own_fault: Option<Errno>,
    /// Nothing came from anywhere: it may be the host, or the network.
    pub(crate) is_silence: bool,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        let is_passing = matches!(reason, Reason::ConnectFailed | Reason::TimedOut | Reason::HttpFault);
        Refusal { reason, detail: detail.into(), status: None, is_passing, own_fault: None, is_silence: false }
    }

    /// DNS has no address, or gave no answer.
    pub(crate) fn of_dns(error: &io::Error) -> Refusal {
        let detail = format!("DNS: {error}");
        // The system's resolver distinguishes the two by its text alone; this is that of glibc and of musl.
        let no_such_name = ["Name or service not known", "No address associated", "Name does not resolve"];
        Refusal {
            own_fault: own_fault(error),
            is_silence: !no_such_name.iter().any(|words| detail.contains(words)),
            ..Refusal::new(Reason::ConnectFailed, detail)
        }
    }

    fn of_client(error: &reqwest::Error) -> Refusal {
        let reason = match () {
            () if error.is_timeout() => Reason::TimedOut,
            () if error.is_connect() => Reason::ConnectFailed,
            () => Reason::HttpFault,
        };
        let connects = error.is_connect();
        // The system's answer in the chain of errors decides whose fault it is.
        let (mut detail, mut own, mut is_silence) = (error.to_string(), None, error.is_timeout());
        let mut is_tls = false;
        let mut cause = error.source();
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            let of_system = error.downcast_ref::<io::Error>();
            own = own.or(of_system.and_then(own_fault));
            is_silence |= of_system.is_some_and(is_silence_of);
            is_tls |= connects && (error.is::<rustls::Error>() || of_system.is_some_and(is_tls_fault));
            cause = error.source();
        }
        if is_tls {
            return Refusal::new(Reason::TlsFault, detail);
        }
        Refusal { own_fault: own, is_silence, ..Refusal::new(reason, detail) }
    }

    /// The same where these addresses were asked. To ask an IPv6 address takes an own one, which a machine without
    /// IPv6 lacks for good; only of IPv4 does it mean that all ports are taken.
    pub(crate) fn at(self, addresses: &[IpAddr]) -> Refusal {
        let lacks_family = self.own_fault == Some(Errno::ADDRNOTAVAIL) && addresses.iter().all(IpAddr::is_ipv6);
        Refusal { own_fault: self.own_fault.filter(|_| !lacks_family), ..self }
    }

    pub(crate) fn silence(self) -> Refusal {
        Refusal { is_silence: true, ..self }
    }

    fn with_status(self, status: StatusCode) -> Refusal {
        Refusal { status: Some(status.as_u16()), ..self }
    }
}

/// What this machine lacks, if that is the fault: a file, here or in the system; a port, or an own address of the
/// kind; memory for a socket.
fn own_fault(error: &io::Error) -> Option<Errno> {
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).filter(|errno| lacks.contains(errno))
}

/// Whether an error was made of one of TLS. The libraries between wrap it more than once, and an `io::Error` does not
/// name as its source what it was made of.
fn is_tls_fault(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>() || inner.downcast_ref::<io::Error>().is_some_and(is_tls_fault))
}

/// Whether nothing came back: no way there, or no answer on it.
fn is_silence_of(error: &io::Error) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    matches!(error.kind(), HostUnreachable | NetworkDown | NetworkUnreachable | TimedOut)
}

/// Why a body is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Disconnect,
    Time,
}

impl Cut {
    /// As `WARC-Truncated` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cut::Disconnect => "disconnect",
            Cut::Time => "time",
        }
    }
}

/// An answer as it arrived.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// As sent, in its content coding.
    pub(crate) body: Vec<u8>,
    pub(crate) cut: Option<Cut>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) took: Duration,
}

impl Page {
    /// Where a redirect leads. Raw UTF-8 in the header is read as browsers do.
    pub(crate) fn target(&self) -> Option<Url> {
        let location = std::str::from_utf8(self.headers.get(LOCATION)?.as_bytes()).ok()?;
        let mut target = self.url.join(location).ok()?;
        target.set_fragment(None);
        Some(without_user(target))
    }

    /// Whether the host has too much to do.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Retry-After of a host that is busy, in seconds or as a date.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if !self.is_busy() {
            return None;
        }
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than a number has are a long time, too.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(std::time::SystemTime::now()).unwrap_or_default())
    }

    /// Content codings of the body in the order in which they were applied, as the head names them, in one line or
    /// several.
    pub(crate) fn coding(&self) -> String {
        let lines = self.headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        lines.collect::<Vec<_>>().join(",")
    }

    /// Content type, as the head names it.
    pub(crate) fn content_type(&self) -> Option<String> {
        self.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

/// A URL without user and password: they would be sent, and archived.
pub(crate) fn without_user(mut url: Url) -> Url {
    // What cannot have a user has none.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

/// Only http and https, only names: an address in a URL was never meant for the public.
pub(crate) fn check_url(url: &Url) -> Result<(), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::new(Reason::UnsupportedScheme, format!("{} is no scheme for pages", url.scheme())));
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

/// Whether a path goes round and round, as redirects without an end do.
pub(crate) fn repeats_itself(url: &Url) -> bool {
    let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
    segments.iter().any(|one| segments.iter().filter(|other| one == *other).count() > MAX_SEGMENT_REPEATS)
}

/// The request as it goes over the wire in HTTP/1.1, for the archive. The client writes the fields in this order.
pub(crate) fn request_bytes(url: &Url, kind: RequestKind, user_agent: &str) -> String {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let (accept, coding) = (kind.accept(), kind.coding());
    format!(
        "GET {path} HTTP/1.1\r\naccept: {accept}\r\naccept-encoding: {coding}\r\nuser-agent: {user_agent}\r\nhost: {host}\r\n\r\n"
    )
}

/// Sends one request and reads the answer, as far as it is wanted and the limits go.
/// `arriving` counts the bytes of bodies that are not whole yet.
pub(crate) async fn exchange(
    client: &Client,
    url: &Url,
    kind: RequestKind,
    settings: &Settings,
    arriving: &AtomicU64,
) -> Result<Page, Refusal> {
    let started = Instant::now();
    let request = client.get(url.clone()).header(ACCEPT, kind.accept()).header(ACCEPT_ENCODING, kind.coding());
    let to_first_byte = Duration::from_millis(settings.connect_timeout_ms + settings.first_byte_timeout_ms);
    let to_end = Duration::from_millis(settings.page_timeout_ms);
    let response = match tokio::time::timeout(to_first_byte.min(to_end), request.send()).await {
        Ok(response) => response.map_err(|error| Refusal::of_client(&error))?,
        Err(_) => {
            let detail = format!("no answer in {} ms", started.elapsed().as_millis());
            return Err(Refusal::new(Reason::TimedOut, detail).silence());
        }
    };
    let mut page = Page {
        url: url.clone(),
        status: response.status(),
        version: response.version(),
        headers: response.headers().clone(),
        body: Vec::new(),
        cut: None,
        address: response.remote_addr(),
        took: started.elapsed(),
    };
    // What is not going to be kept is not stored; the type of a robots.txt is anybody's guess.
    let is_wanted = match kind {
        RequestKind::Page => page.status == StatusCode::OK && is_html(&page.headers, &page.body),
        RequestKind::Robots => page.status.is_success(),
    };
    let limit_bytes = match kind {
        RequestKind::Page => settings.max_body_bytes,
        RequestKind::Robots => MAX_ROBOTS_BYTES,
    };
    if is_wanted {
        let mut arriving = Arriving { all: arriving, len_bytes: 0 };
        read_body(response, &mut page, kind, limit_bytes, started, settings, &mut arriving).await?;
        page.took = started.elapsed();
    } else {
        drain(response, MAX_DRAIN_TIME.min(Duration::from_millis(settings.idle_timeout_ms))).await;
    }
    Ok(page)
}

/// A body's share of the bytes that are arriving, given back when it is whole or given up.
struct Arriving<'c> {
    all: &'c AtomicU64,
    len_bytes: u64,
}

impl Arriving<'_> {
    fn add(&mut self, len_bytes: u64) {
        self.len_bytes += len_bytes;
        self.all.fetch_add(len_bytes, Relaxed);
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.len_bytes, Relaxed);
    }
}

async fn read_body(
    mut response: Response,
    page: &mut Page,
    kind: RequestKind,
    limit_bytes: u64,
    started: Instant,
    settings: &Settings,
    arriving: &mut Arriving<'_>,
) -> Result<(), Refusal> {
    let too_large = |what: String| Err(Refusal::new(Reason::PageTooLarge, what).with_status(page.status));
    if let Some(len_bytes) = response.content_length()
        && len_bytes > limit_bytes
        && kind == RequestKind::Page
    {
        return too_large(format!("the body is said to have {len_bytes} bytes; {limit_bytes} are read"));
    }
    let claimed = response.content_length().map_or(BODY_TYPICAL_BYTES, |len| len as usize);
    page.body.reserve(claimed.min(BODY_TYPICAL_BYTES));
    let idle = Duration::from_millis(settings.idle_timeout_ms);
    let to_end = Duration::from_millis(settings.page_timeout_ms);
    let body_started = Instant::now();
    loop {
        let left = to_end.saturating_sub(started.elapsed());
        let chunk = match tokio::time::timeout(idle.min(left), response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ok(()),
            // A body that breaks off is kept as far as it came, and marked.
            Ok(Err(_)) if !page.body.is_empty() => {
                page.cut = Some(Cut::Disconnect);
                return Ok(());
            }
            Ok(Err(error)) => {
                // There was a head.
                let refusal = Refusal::of_client(&error).with_status(page.status);
                return Err(Refusal { is_silence: false, ..refusal });
            }
            Err(_) if !page.body.is_empty() => {
                page.cut = Some(Cut::Time);
                return Ok(());
            }
            Err(_) => {
                let detail = format!("no body in {} ms", started.elapsed().as_millis());
                return Err(Refusal::new(Reason::TimedOut, detail).with_status(page.status));
            }
        };
        page.body.extend_from_slice(&chunk);
        arriving.add(chunk.len() as u64);
        if page.body.len() as u64 > limit_bytes {
            if kind == RequestKind::Robots {
                page.body.truncate(limit_bytes as usize);
                return Ok(());
            }
            return too_large(format!("the body has more than {limit_bytes} bytes"));
        }
        let took = body_started.elapsed();
        if took > RATE_AFTER && (page.body.len() as f64) < settings.min_bytes_per_second as f64 * took.as_secs_f64() {
            page.cut = Some(Cut::Time);
            return Ok(());
        }
    }
}

/// Reads a short body to its end, if that comes soon; else it costs its connection.
async fn drain(mut response: Response, limit: Duration) {
    if response.content_length().is_none_or(|len_bytes| len_bytes > MAX_DRAINED_BYTES) {
        return;
    }
    // Whatever comes of it, the answer is known already.
    let _ = tokio::time::timeout(limit, async { while let Ok(Some(_)) = response.chunk().await {} }).await;
}

/// Undoes a body's codings under a cap, only to see how large it becomes.
pub(crate) fn check_decoded_size(page: &Page, max_decoded_bytes: u64) -> Result<(), Refusal> {
    let max_ratio_bytes = DECODED_FREE_BYTES.max(MAX_DECODED_RATIO * page.body.len() as u64);
    let max_decoded_bytes = max_decoded_bytes.min(max_ratio_bytes);
    let mut plain: Option<Vec<u8>> = None;
    for coding in page.coding().rsplit(',').take(4) {
        let body = plain.as_deref().unwrap_or(&page.body);
        match warc::http::decode(body, coding.trim(), max_decoded_bytes) {
            Ok(None) => {}
            Ok(Some(decoded)) => plain = Some(decoded),
            Err(error @ warc::http::BodyError::TooLarge { .. }) => {
                let detail = format!("{error}; as sent it has {}", page.body.len());
                return Err(Refusal::new(Reason::PageTooLarge, detail).with_status(page.status));
            }
            // Damaged or unknown: the reader of the archive reports it.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Whether a page is HTML by its headers and what is there of its body. One without a type may be: what is inside
/// decides when it is read.
pub(crate) fn is_html(headers: &HeaderMap, body_start: &[u8]) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_none() || media(content_type, body_start) == Media::Html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<Reason>) {
        let found = check_url(&Url::parse(url).unwrap()).err().map(|refusal| refusal.reason);
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn urls_that_are_asked() {
        check("http://a.example/", None);
        check("ftp://a.example/", Some(Reason::UnsupportedScheme));
        check("file:///etc/passwd", Some(Reason::UnsupportedScheme));
        for address in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "8.8.8.8"] {
            check(&format!("http://{address}/"), Some(Reason::AddressRefused));
        }
        check(&format!("http://a.example/{}", "a".repeat(2100)), Some(Reason::UrlTooLong));
    }

    #[test]
    fn faults_of_tls_in_their_wraps() {
        let fault = || rustls::Error::General("an unknown issuer".into());
        assert!(is_tls_fault(&io::Error::other(fault())));
        assert!(is_tls_fault(&io::Error::other(io::Error::new(io::ErrorKind::InvalidData, fault()))));
        assert!(!is_tls_fault(&io::Error::other("another fault")));
        assert!(!is_tls_fault(&Errno::CONNRESET.into()));
    }

    #[test]
    fn what_this_machine_lacks() {
        let check = |errno: Errno, addresses: &[&str], expected: bool| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let refusal = Refusal::of_dns(&errno.into()).at(&addresses);
            assert_eq!(refusal.own_fault.is_some(), expected, "{errno} {addresses:?}");
        };
        check(Errno::MFILE, &["2606:2800:220::1"], true);
        check(Errno::ADDRNOTAVAIL, &["93.184.216.34"], true);
        check(Errno::ADDRNOTAVAIL, &["2606:2800:220::1", "93.184.216.34"], true);
        check(Errno::ADDRNOTAVAIL, &["2606:2800:220::1"], false);
        check(Errno::CONNREFUSED, &["93.184.216.34"], false);
    }

    #[test]
    fn bodies_that_grow() {
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, bytes).unwrap();
            encoder.finish().unwrap()
        };
        let check = |codings: &[&'static str], body: Vec<u8>, expected: bool| {
            let lines = codings.iter().map(|coding| (CONTENT_ENCODING, coding.parse().unwrap()));
            let page = Page {
                url: Url::parse("http://a.example/").unwrap(),
                status: StatusCode::OK,
                version: Version::HTTP_11,
                headers: lines.collect(),
                body,
                cut: None,
                address: None,
                took: Duration::ZERO,
            };
            let found = check_decoded_size(&page, 100 << 20).map_err(|refusal| refusal.reason);
            assert_eq!(found, if expected { Ok(()) } else { Err(Reason::PageTooLarge) }, "{codings:?}");
        };
        let zeros = |mebibytes: usize| gzip(&vec![0; mebibytes << 20]);
        check(&["gzip"], zeros(9), true);
        check(&["gzip"], zeros(11), false);
        check(&["gzip, gzip"], gzip(&zeros(11)), false);
        check(&["gzip", "gzip"], gzip(&zeros(11)), false);
        // Large and dense: a hundredfold is not reached.
        let noise: Vec<u8> = (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        check(&["gzip"], gzip(&noise), true);
    }

    #[test]
    fn paths_that_go_round() {
        let check = |path: &str, expected| {
            assert_eq!(repeats_itself(&Url::parse(&format!("http://a.example{path}")).unwrap()), expected, "{path}");
        };
        check("/a/b/a/b/a/b", false);
        check("/a/a/a/a", true);
        check("/a//b///", false);
    }
}
