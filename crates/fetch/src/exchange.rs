//! One HTTP request and its response, under every limit. Queues, pauses and rules are decided elsewhere.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use records::Reason;
use reqwest::StatusCode;
use url::{Position, Url};

use crate::CrawlSettings;
use crate::http_client::{Body, HttpClient, Reading};
use crate::page::{Page, Truncation};
use crate::refusal::Refusal;
use crate::robots_txt::MAX_ROBOTS_BYTES;

/// A robots.txt is received up to here: a byte beyond what is read of it shows that it goes on.
pub(crate) const MAX_ROBOTS_BODY_BYTES: u64 = MAX_ROBOTS_BYTES as u64 + 1;
/// A body that is not kept is still read to its end if it is no longer than this, to keep the connection alive.
const MAX_DRAINED_BYTES: u64 = 64 << 10;
const MAX_DRAIN_TIME: Duration = Duration::from_secs(2);
/// The rate of a body is checked after this time.
const RATE_AFTER: Duration = Duration::from_secs(10);
/// Initial capacity for a body, at most.
const MAX_INITIAL_CAPACITY_BYTES: usize = 64 << 10;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Page,
    Robots,
}

impl RequestKind {
    pub(crate) fn accept(self) -> &'static str {
        match self {
            RequestKind::Page => "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            RequestKind::Robots => "text/plain,*/*;q=0.1",
        }
    }

    pub(crate) fn coding(self) -> &'static str {
        match self {
            RequestKind::Page => "gzip",
            RequestKind::Robots => "identity",
        }
    }

    fn max_body_bytes(self, settings: &CrawlSettings) -> u64 {
        match self {
            RequestKind::Page => settings.max_body_bytes,
            RequestKind::Robots => MAX_ROBOTS_BODY_BYTES,
        }
    }

    /// Whether the body of a response is kept. The type of a robots.txt does not matter.
    fn wants_body(self, page: &Page) -> bool {
        match self {
            RequestKind::Page => page.status == StatusCode::OK && page.may_be_html_by_type(),
            RequestKind::Robots => page.status.is_success(),
        }
    }
}

/// The request as sent over HTTP/1.1. The HTTP library writes the fields in this order.
pub(crate) fn request_bytes(url: &Url, kind: RequestKind, reading: Reading, user_agent: &str) -> String {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let (accept, coding) = (kind.accept(), kind.coding());
    let connection = if reading == Reading::Lenient { "connection: close\r\n" } else { "" };
    format!(
        "GET {path} HTTP/1.1\r\naccept: {accept}\r\naccept-encoding: {coding}\r\nuser-agent: {user_agent}\r\nhost: {host}\r\n{connection}\r\n"
    )
}

/// Where and how a request is sent.
#[derive(Clone, Copy)]
pub(crate) struct Target<'c> {
    pub(crate) url: &'c Url,
    pub(crate) kind: RequestKind,
    pub(crate) reading: Reading,
    /// The pinned addresses of the host.
    pub(crate) addresses: &'c [IpAddr],
}

/// Sends one request and reads the response, with its body if that is kept. Redirects are not followed.
/// `arriving_bytes` counts the bytes of all bodies that are not whole yet.
pub(crate) async fn exchange(
    client: &HttpClient,
    target: Target<'_>,
    settings: &CrawlSettings,
    arriving_bytes: &AtomicU64,
) -> Result<Page, Refusal> {
    let started = Instant::now();
    let Target { url, kind, reading, addresses } = target;
    let to_first_byte = Duration::from_millis(settings.connect_timeout_ms + settings.first_byte_timeout_ms);
    let to_end = Duration::from_millis(settings.page_timeout_ms);
    let answer = client.get(url, kind, reading, addresses);
    let answer = match tokio::time::timeout(to_first_byte.min(to_end), answer).await {
        Ok(answer) => answer.map_err(|refusal| refusal.at(addresses))?,
        Err(_) => {
            let detail = format!("no answer in {} ms", started.elapsed().as_millis());
            return Err(Refusal::new(Reason::TimedOut, detail).silence());
        }
    };
    let mut page = Page {
        url: url.clone(),
        reading,
        status: answer.status,
        version: answer.version,
        headers: answer.headers,
        body: Vec::new(),
        truncation: None,
        address: answer.address,
        took: started.elapsed(),
    };
    if kind.wants_body(&page) {
        let arriving = ArrivingBytes { all: arriving_bytes, len_bytes: 0 };
        BodyReader { page: &mut page, kind, settings, started, arriving }.read(answer.body).await?;
        page.took = started.elapsed();
    } else {
        drain(answer.body, MAX_DRAIN_TIME.min(Duration::from_millis(settings.idle_timeout_ms))).await;
    }
    Ok(page)
}

/// Reads a short body to its end, if that comes soon. Any other costs its connection.
async fn drain(mut body: Body, timeout: Duration) {
    if body.content_length().is_none_or(|len_bytes| len_bytes > MAX_DRAINED_BYTES) {
        return;
    }
    // A failure changes nothing: the answer is known already.
    let _ = tokio::time::timeout(timeout, async { while let Ok(Some(_)) = body.chunk().await {} }).await;
}

/// A body's share of all arriving bytes, subtracted when the body is whole or given up.
struct ArrivingBytes<'c> {
    all: &'c AtomicU64,
    len_bytes: u64,
}

impl ArrivingBytes<'_> {
    fn add(&mut self, len_bytes: u64) {
        self.len_bytes += len_bytes;
        self.all.fetch_add(len_bytes, Relaxed);
    }
}

impl Drop for ArrivingBytes<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.len_bytes, Relaxed);
    }
}

/// Reads the body of a page under the limits on size, silence, rate and time.
struct BodyReader<'c> {
    page: &'c mut Page,
    kind: RequestKind,
    settings: &'c CrawlSettings,
    started: Instant,
    arriving: ArrivingBytes<'c>,
}

impl BodyReader<'_> {
    async fn read(mut self, mut body: Body) -> Result<(), Refusal> {
        let max_bytes = self.kind.max_body_bytes(self.settings);
        let claimed_bytes = body.content_length();
        if let Some(claimed_bytes) = claimed_bytes
            && claimed_bytes > max_bytes
            && self.kind == RequestKind::Page
        {
            return Err(self.too_large(format!("the body claims {claimed_bytes} bytes; the limit is {max_bytes}")));
        }
        let capacity = claimed_bytes.map_or(MAX_INITIAL_CAPACITY_BYTES, |len| len as usize);
        self.page.body.reserve(capacity.min(MAX_INITIAL_CAPACITY_BYTES));
        let body_started = Instant::now();
        while let Some(chunk) = self.next_chunk(&mut body).await? {
            self.page.body.extend_from_slice(&chunk);
            self.arriving.add(chunk.len() as u64);
            if self.page.body.len() as u64 > max_bytes {
                if self.kind == RequestKind::Robots {
                    self.page.body.truncate(max_bytes as usize);
                    return Ok(());
                }
                return Err(self.too_large(format!("the body has more than {max_bytes} bytes")));
            }
            if self.is_too_slow(body_started.elapsed()) {
                self.page.truncation = Some(Truncation::Time);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next chunk; `None` at the end of the body. A body that breaks off is kept as far as it came, and marked.
    async fn next_chunk(&mut self, body: &mut Body) -> Result<Option<Bytes>, Refusal> {
        let idle = Duration::from_millis(self.settings.idle_timeout_ms);
        let to_end = Duration::from_millis(self.settings.page_timeout_ms).saturating_sub(self.started.elapsed());
        let has_begun = !self.page.body.is_empty();
        match tokio::time::timeout(idle.min(to_end), body.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            // A page is marked, since what is missing may be much. Rules are used: without them all pages would be lost.
            Ok(Err(fault)) if fault.is_close_without_notice && self.kind == RequestKind::Robots => Ok(None),
            Ok(Err(_)) if has_begun => {
                self.page.truncation = Some(Truncation::Disconnect);
                Ok(None)
            }
            // There was a head, so the host is not silent.
            Ok(Err(fault)) => Err(Refusal { is_silence: false, ..fault.refusal.with_status(self.page.status) }),
            Err(_) if has_begun => {
                self.page.truncation = Some(Truncation::Time);
                Ok(None)
            }
            Err(_) => {
                let detail = format!("no body in {} ms", self.started.elapsed().as_millis());
                Err(Refusal::new(Reason::TimedOut, detail).with_status(self.page.status))
            }
        }
    }

    fn is_too_slow(&self, took: Duration) -> bool {
        let min_bytes = self.settings.min_bytes_per_second as f64 * took.as_secs_f64();
        took > RATE_AFTER && (self.page.body.len() as f64) < min_bytes
    }

    fn too_large(&self, detail: String) -> Refusal {
        Refusal::new(Reason::PageTooLarge, detail).with_status(self.page.status)
    }
}
