//! The fetcher: links of a task in, a WARC file and outcomes out.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use ledger::{Link, Outcome, Reason};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use robotxt::Robots;
use url::{Host, Url};
use warc::{Date, NewRecord, Writer};

use crate::Settings;
use crate::address::{NotPublic, PublicResolver};
use crate::host::{self, Hosts, RobotsRule};
use crate::journal::Journal;

/// robots.txt is read up to here (RFC 9309 asks for at least 500 KiB).
const ROBOTS_MAX_BYTES: u64 = 512 << 10;

/// The fetcher itself could not work; faults of hosts are outcomes.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A setting that no fetcher can have.
    #[error("{0}")]
    Settings(String),
    /// The client could not be made.
    #[error("cannot start the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The archive or its journal could not be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The user asked to stop; everything noted so far is kept.
    #[error("stopped; run the same command again to go on")]
    Stopped,
}

/// Fetches for any number of tasks; what is known of hosts is shared among them.
pub struct Fetcher {
    settings: Settings,
    hosts: Hosts,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Page,
    Robots,
}

/// Why there is no page.
struct Refusal {
    reason: Reason,
    detail: String,
    status: Option<u16>,
    url: Option<Url>,
}

impl Refusal {
    fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal { reason, detail: detail.into(), status: None, url: None }
    }
}

/// A page as it arrived.
struct Page {
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    cut: bool,
}

impl Fetcher {
    /// A fetcher with these settings.
    ///
    /// # Errors
    /// When the contact is no address or page.
    pub fn new(settings: Settings) -> Result<Fetcher, FetchError> {
        let contact = settings.contact.trim();
        if !(contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://")) {
            let what = format!(
                "the contact {contact:?} is neither a mail address nor a page; hosts must know whom to write to"
            );
            return Err(FetchError::Settings(what));
        }
        // A second fetcher in the process finds the provider installed; that is what it wants.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Fetcher { settings, hosts: Hosts::default() })
    }

    /// A client for one task: its connections live on that task's runtime and end with it.
    fn client(&self) -> Result<Client, FetchError> {
        Client::builder()
            .user_agent(self.settings.user_agent())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(PublicResolver))
            .connect_timeout(Duration::from_millis(self.settings.connect_timeout_ms))
            .pool_max_idle_per_host(1)
            .build()
            .map_err(FetchError::Client)
    }

    /// Fetches links into a WARC file, going on where an earlier try with the same files ended.
    ///
    /// Returns one outcome for each link, sorted by domain and key; `warc_name` is what they call the file.
    pub fn run(
        &self,
        links: Vec<Link>,
        warc_path: &Path,
        warc_name: &str,
        journal_path: &Path,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Outcome>, FetchError> {
        let io = |source| FetchError::Io { path: warc_path.to_path_buf(), source };
        let settings = serde_json::to_string(&self.settings).map_err(|error| io(error.into()))?;
        let journal = Journal::open(journal_path, warc_path, &settings).map_err(io)?;
        let client = self.client()?;
        let done: HashSet<String> = journal.done.iter().map(|outcome| outcome.key.clone()).collect();
        let mut by_host: BTreeMap<String, Vec<Link>> = BTreeMap::new();
        for link in links.into_iter().filter(|link| !done.contains(&link.key)) {
            let host = Url::parse(&link.url).map(|url| host::name_of(&url)).unwrap_or_default();
            by_host.entry(host).or_default().push(link);
        }
        let archive =
            RefCell::new(Archive { journal, warc_name: warc_name.to_owned(), user_agent: self.settings.user_agent() });
        archive.borrow_mut().start().map_err(io)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
        let failed = RefCell::new(None);
        let stopped = AtomicBool::new(false);
        runtime.block_on(async {
            let hosts = futures_util::stream::iter(by_host.into_values());
            hosts
                .for_each_concurrent(self.settings.hosts_at_once.max(1), |links| async {
                    for link in links {
                        if stop() {
                            stopped.store(true, Ordering::Relaxed);
                        }
                        if stopped.load(Ordering::Relaxed) || failed.borrow().is_some() {
                            return;
                        }
                        let result = self.page(&client, &link).await;
                        if let Err(error) = archive.borrow_mut().note(&link, result) {
                            failed.borrow_mut().get_or_insert(error);
                        }
                    }
                })
                .await;
        });
        if let Some(source) = failed.into_inner() {
            return Err(io(source));
        }
        if stopped.into_inner() {
            return Err(FetchError::Stopped);
        }
        let mut outcomes = archive.into_inner().journal.done;
        outcomes.sort_by(|a, b| (&a.domain, &a.key).cmp(&(&b.domain, &b.key)));
        Ok(outcomes)
    }

    /// One link: redirects followed by hand, each hop through its own host's rules.
    async fn page(&self, client: &Client, link: &Link) -> Result<Page, Refusal> {
        let mut url = Url::parse(&link.url).map_err(|error| Refusal::new(Reason::MalformedUrl, error.to_string()))?;
        let mut seen = HashSet::new();
        for _ in 0..=self.settings.redirects_max {
            if !seen.insert(url.clone()) {
                return Err(Refusal {
                    url: Some(url),
                    ..Refusal::new(Reason::TooManyRedirects, "the redirects go in a circle")
                });
            }
            let page = self.hop(client, &url).await.map_err(|refusal| Refusal { url: Some(url.clone()), ..refusal })?;
            if !page.status.is_redirection() {
                return self.accepted(page);
            }
            url = target(&page).ok_or_else(|| Refusal {
                status: Some(page.status.as_u16()),
                url: Some(page.url.clone()),
                ..Refusal::new(Reason::HttpStatus, "a redirect to nowhere")
            })?;
        }
        let detail = format!("more than {} redirects", self.settings.redirects_max);
        Err(Refusal { url: Some(url), ..Refusal::new(Reason::TooManyRedirects, detail) })
    }

    /// The policy on what arrived: status, type, opt-out, size.
    fn accepted(&self, page: Page) -> Result<Page, Refusal> {
        let refuse = |reason, detail: String| {
            Err(Refusal {
                status: Some(page.status.as_u16()),
                url: Some(page.url.clone()),
                ..Refusal::new(reason, detail)
            })
        };
        if page.status != StatusCode::OK {
            return refuse(Reason::HttpStatus, format!("status {}", page.status.as_u16()));
        }
        if opts_out(&page.headers) {
            return refuse(Reason::OptedOut, "X-Robots-Tag: noai".into());
        }
        if !is_html(&page.headers) {
            return refuse(Reason::NotHtml, format!("{:?}", page.headers.get(CONTENT_TYPE)));
        }
        Ok(page)
    }

    /// One request, when robots.txt and the host's pace allow it.
    async fn hop(&self, client: &Client, url: &Url) -> Result<Page, Refusal> {
        check_url(url)?;
        let host = self.hosts.of(url);
        let mut host = host.lock().await;
        if host.faults_in_a_row >= self.settings.faults_in_a_row_max {
            return Err(Refusal::new(Reason::HostGivenUp, format!("{} faults in a row", host.faults_in_a_row)));
        }
        let origin = url[..url::Position::BeforePath].to_owned();
        if !host.robots.contains_key(&origin) {
            let rule = self.robots(client, url, &mut host).await;
            if let RobotsRule::Rules(robots) = &rule {
                host.rest(
                    robots.crawl_delay().unwrap_or_default().min(Duration::from_millis(self.settings.delay_max_ms)),
                );
            }
            host.robots.insert(origin.clone(), rule);
        }
        if let Some(refusal) = host.robots.get(&origin).and_then(|rule| rule.refusal(url)) {
            let (reason, detail) = refusal;
            return Err(Refusal::new(reason, detail));
        }
        host.wait().await;
        let started = Instant::now();
        let limit = Duration::from_millis(self.settings.page_timeout_ms);
        let result =
            match tokio::time::timeout(limit, request(client, url, Wanted::Page, self.settings.body_max_bytes)).await {
                Ok(result) => result,
                Err(_) => Err(Refusal::new(Reason::TimedOut, format!("no whole page in {} ms", limit.as_millis()))),
            };
        let delay = self.delay(host.robots.get(&origin), started.elapsed(), result.as_ref().ok());
        host.rest(delay);
        match &result {
            Ok(page) if !page.status.is_server_error() => host.faults_in_a_row = 0,
            _ => host.faults_in_a_row += 1,
        }
        result
    }

    /// How long the host is left in peace: the setting, five times its answer's time, its Crawl-delay, or
    /// the Retry-After of a host that is busy; whichever is longest, up to the limit.
    fn delay(&self, robots: Option<&RobotsRule>, took: Duration, page: Option<&Page>) -> Duration {
        let longest = Duration::from_millis(self.settings.delay_max_ms);
        let crawl_delay = match robots {
            Some(RobotsRule::Rules(robots)) => robots.crawl_delay().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let busy = page.filter(|page| matches!(page.status.as_u16(), 429 | 503));
        let retry_after = busy.map(|page| retry_after(&page.headers, longest)).unwrap_or_default();
        // Slow answers lengthen the pause tenfold at most.
        let settled = Duration::from_millis(self.settings.delay_ms);
        settled.max((5 * took).min(10 * settled)).max(crawl_delay).max(retry_after).min(longest)
    }

    async fn robots(&self, client: &Client, url: &Url, host: &mut host::Host) -> RobotsRule {
        let limit = Duration::from_millis(self.settings.page_timeout_ms);
        let started = Instant::now();
        let Ok(mut at) = url.join("/robots.txt") else { return RobotsRule::AllowAll };
        // RFC 9309 asks for at least five redirects, which may lead to other hosts.
        for _ in 0..=5 {
            if let Err(refusal) = check_url(&at) {
                return RobotsRule::DisallowAll(refusal.reason, refusal.detail);
            }
            // A redirect to another host waits for that host. It is only tried: to wait for its lock while
            // this one is held could be waiting for each other.
            let delay = Duration::from_millis(self.settings.delay_ms);
            let other = (host::name_of(&at) != host::name_of(url)).then(|| self.hosts.of(&at));
            let mut held = match &other {
                None => None,
                Some(other) => Some(loop {
                    match other.try_lock() {
                        Ok(held) => break held,
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                    if started.elapsed() > limit {
                        return RobotsRule::DisallowAll(Reason::TimedOut, "the host it redirects to is busy".into());
                    }
                }),
            };
            let asked = held.as_deref_mut().unwrap_or(&mut *host);
            asked.wait().await;
            let result = tokio::time::timeout(limit, request(client, &at, Wanted::Robots, ROBOTS_MAX_BYTES)).await;
            asked.rest(delay);
            let page = match result {
                Err(_) => return RobotsRule::DisallowAll(Reason::TimedOut, "no answer in time".into()),
                Ok(Err(refusal)) => return RobotsRule::DisallowAll(refusal.reason, refusal.detail),
                Ok(Ok(page)) => page,
            };
            match page.status.as_u16() {
                200..=299 => {
                    // Asked for as it is; some servers compress all the same.
                    let coding = page.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
                    return match warc::http::decode(&page.body, coding, ROBOTS_MAX_BYTES) {
                        Ok(plain) => {
                            RobotsRule::Rules(Robots::parse(plain.as_deref().unwrap_or(&page.body), "webtext"))
                        }
                        Err(error) => RobotsRule::DisallowAll(Reason::RobotsDisallowed, error.to_string()),
                    };
                }
                429 | 500.. => {
                    return RobotsRule::DisallowAll(
                        Reason::RobotsDisallowed,
                        format!("status {}", page.status.as_u16()),
                    );
                }
                300..=399 => {}
                _ => return RobotsRule::AllowAll,
            }
            match target(&page) {
                Some(next) => at = next,
                None => return RobotsRule::AllowAll,
            }
        }
        RobotsRule::AllowAll
    }
}

/// Where a redirect leads. Raw UTF-8 in the header is read as browsers do.
fn target(page: &Page) -> Option<Url> {
    let location = std::str::from_utf8(page.headers.get(LOCATION)?.as_bytes()).ok()?;
    page.url.join(location).ok()
}

/// Sends one request and reads at most `limit_bytes` of the answer's body.
async fn request(client: &Client, url: &Url, wanted: Wanted, limit_bytes: u64) -> Result<Page, Refusal> {
    let (accept, coding) = match wanted {
        Wanted::Page => ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.1", "gzip"),
        Wanted::Robots => ("text/plain,*/*;q=0.1", "identity"),
    };
    let request = client.get(url.clone()).header(ACCEPT, accept).header(ACCEPT_ENCODING, coding);
    let mut response = request.send().await.map_err(|error| refusal_of(&error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut page = Page { url: url.clone(), status, headers, body: Vec::new(), cut: false };
    // What is not going to be kept is not read; the type of a robots.txt is anybody's guess.
    let reads_body = match wanted {
        Wanted::Page => status == StatusCode::OK && is_html(&page.headers),
        Wanted::Robots => status.is_success(),
    };
    if !reads_body {
        return Ok(page);
    }
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // A body that breaks off is kept as far as it came, and marked.
            Err(_) if !page.body.is_empty() => {
                page.cut = true;
                break;
            }
            Err(error) => return Err(refusal_of(&error)),
        };
        page.body.extend_from_slice(&chunk);
        if page.body.len() as u64 > limit_bytes {
            if wanted == Wanted::Robots {
                page.body.truncate(limit_bytes as usize);
                break;
            }
            let detail = format!("the body is larger than {limit_bytes} bytes");
            return Err(Refusal { status: Some(status.as_u16()), ..Refusal::new(Reason::PageTooLarge, detail) });
        }
    }
    Ok(page)
}

/// Only http and https, only names: an address in a URL was never meant for the public.
fn check_url(url: &Url) -> Result<(), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::new(Reason::UnsupportedScheme, format!("{} is no scheme for pages", url.scheme())));
    }
    match url.host() {
        Some(Host::Domain(_)) => Ok(()),
        Some(address) => Err(Refusal::new(Reason::AddressRefused, format!("the URL names the address {address}"))),
        None => Err(Refusal::new(Reason::MalformedUrl, "the URL has no host")),
    }
}

fn refusal_of(error: &reqwest::Error) -> Refusal {
    let mut detail = error.to_string();
    let mut reason = match () {
        () if error.is_timeout() => Reason::TimedOut,
        () if error.is_connect() => Reason::ConnectFailed,
        () => Reason::HttpFault,
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        detail = format!("{detail}: {error}");
        if error.is::<NotPublic>() {
            reason = Reason::AddressRefused;
        }
        cause = error.source();
    }
    Refusal::new(reason, detail)
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("text/html");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "application/xhtml+xml")
}

fn opts_out(headers: &HeaderMap) -> bool {
    let tags = headers.get_all("x-robots-tag").iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tag| tag.split([',', ':'])).any(|word| word.trim().eq_ignore_ascii_case("noai"))
}

/// Retry-After in seconds; a date, which clocks of others would decide about, counts as the longest delay.
fn retry_after(headers: &HeaderMap, longest: Duration) -> Duration {
    match headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) {
        None => Duration::ZERO,
        Some(value) => value.trim().parse().map_or(longest, Duration::from_secs),
    }
}

/// The WARC file under way.
struct Archive {
    journal: Journal,
    warc_name: String,
    user_agent: String,
}

impl Archive {
    /// Writes the file's first record, unless an earlier try has.
    fn start(&mut self) -> std::io::Result<()> {
        if self.journal.warc_len_bytes > 0 || self.journal.warc.metadata()?.len() > 0 {
            return Ok(());
        }
        let info = format!("software: {}\r\nformat: WARC File Format 1.1\r\nrobots: obey\r\n", self.user_agent);
        self.write(&[NewRecord {
            kind: "warcinfo",
            target: None,
            date: &now(),
            content_type: "application/warc-fields",
            headers: &[],
            block: info.as_bytes(),
            payload_start: None,
        }])?;
        Ok(())
    }

    /// Writes records behind what is there; returns the first one's offset and the file's new length.
    fn write(&mut self, records: &[NewRecord<'_>]) -> std::io::Result<(u64, u64)> {
        let len_bytes = std::io::Seek::stream_position(&mut self.journal.warc)?;
        let mut writer = Writer::new(Vec::new(), len_bytes);
        for record in records {
            writer.write(record)?;
        }
        let end = writer.offset();
        self.journal.warc.write_all(&writer.into_inner())?;
        Ok((len_bytes, end))
    }

    /// Stores a page, if there is one, and notes the link's outcome.
    fn note(&mut self, link: &Link, result: Result<Page, Refusal>) -> std::io::Result<()> {
        let mut outcome = Outcome {
            domain: link.domain.clone(),
            key: link.key.clone(),
            url: link.url.clone(),
            final_url: None,
            status: None,
            content_type: None,
            captured: None,
            warc: None,
            offset: None,
            detail: None,
            verdict: None,
        };
        let len_bytes = match result {
            Err(refusal) => {
                outcome.verdict = Some(refusal.reason);
                outcome.detail = Some(refusal.detail);
                outcome.status = refusal.status;
                outcome.final_url = refusal.url.map(Into::into);
                std::io::Seek::stream_position(&mut self.journal.warc)?
            }
            Ok(page) => {
                let date = now();
                let (offset, end) = self.store(&page, &date)?;
                outcome.status = Some(page.status.as_u16());
                outcome.content_type =
                    page.headers.get(CONTENT_TYPE).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
                outcome.final_url = Some(page.url.into());
                outcome.captured = Some(date.0);
                outcome.warc = Some(self.warc_name.clone());
                outcome.offset = Some(offset);
                end
            }
        };
        self.journal.note(outcome, len_bytes)
    }

    /// The response in the form that validators accept: de-chunked, its content coding kept, and its request.
    fn store(&mut self, page: &Page, date: &Date) -> std::io::Result<(u64, u64)> {
        let reason = page.status.canonical_reason().unwrap_or("");
        let mut block = format!("HTTP/1.1 {} {reason}\r\n", page.status.as_u16()).into_bytes();
        for (name, value) in &page.headers {
            if matches!(name.as_str(), "transfer-encoding" | "content-length" | "connection" | "keep-alive") {
                continue;
            }
            block.extend_from_slice(name.as_str().as_bytes());
            block.extend_from_slice(b": ");
            block.extend_from_slice(value.as_bytes());
            block.extend_from_slice(b"\r\n");
        }
        block.extend_from_slice(format!("Content-Length: {}\r\n\r\n", page.body.len()).as_bytes());
        let payload_start = block.len();
        block.extend_from_slice(&page.body);
        let target = page.url.as_str();
        let truncated: &[(&str, &str)] = if page.cut { &[("WARC-Truncated", "disconnect")] } else { &[] };
        let response = NewRecord {
            kind: "response",
            target: Some(target),
            date,
            content_type: "application/http;msgtype=response",
            headers: truncated,
            block: &block,
            payload_start: Some(payload_start),
        };
        let id = warc::record_id(&response);
        let path = &page.url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = &page.url[url::Position::BeforeHost..url::Position::AfterPort];
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\nAccept-Encoding: gzip\r\n\r\n",
            self.user_agent
        );
        let headers = [("WARC-Concurrent-To", id.as_str())];
        let request = NewRecord {
            kind: "request",
            target: Some(target),
            date,
            content_type: "application/http;msgtype=request",
            headers: &headers,
            block: request.as_bytes(),
            payload_start: None,
        };
        self.write(&[response, request])
    }
}

fn now() -> Date {
    Date::from_seconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
