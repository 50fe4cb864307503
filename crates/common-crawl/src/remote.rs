//! Reads ranges of files on disk, over HTTP and in S3; the last two through a client that retries.
//!
//! A request is retried on 408, 429, 5xx, on timeouts and on connections that break, also in the middle of a body. The
//! waits double from the first to the longest, without jitter; `Retry-After` in seconds lengthens a wait. All requests
//! to a server that says it is busy (429, 503) wait together. The store's own retries are off: they use random waits
//! and do not read `Retry-After`.
//!
//! Left out: `Retry-After` as a date, redirects, proxies, listing over HTTP (there is no such thing).

use std::error::Error as StdError;
use std::path::Path as FsPath;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

use crate::error::CommonCrawlError;
use crate::settings::CommonCrawlSettings;

/// Longest text of a failed answer that a message quotes.
const MAX_SHOWN_CHARS: usize = 200;

/// Whether a name is a URL of a server.
pub(crate) fn is_remote(name: &str) -> bool {
    ["http://", "https://", "s3://"].iter().any(|scheme| name.starts_with(scheme))
}

/// A file that can be read by ranges.
#[derive(Clone)]
pub(crate) struct RangedFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// Name of the file in messages.
    pub(crate) name: String,
    pub(crate) traffic: Arc<Traffic>,
}

/// Requests and bytes so far, for reports.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// Why a range could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file does not exist.
    Missing,
    /// The file ends before the range begins.
    BeyondEnd,
    /// Anything else, after all retries.
    Failed(object_store::Error),
}

impl RangedFile {
    /// Reads a range, which ends at the file's end at the latest.
    pub(crate) async fn read(&self, range: GetRange) -> Result<Bytes, ReadError> {
        let start = if let GetRange::Bounded(range) = &range { range.start } else { 0 };
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let read = async { self.store.get_opts(&self.path, options).await?.bytes().await };
        match read.await {
            Ok(bytes) => {
                self.traffic.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Err(object_store::Error::NotFound { .. }) => Err(ReadError::Missing),
            Err(error) => match fault_of(&error) {
                Some(fault) if fault.status == Some(416) => Err(ReadError::BeyondEnd),
                Some(_) => Err(ReadError::Failed(error)),
                // Files on disk have no status, and the store's own error type is private.
                None => match self.store.head(&self.path).await {
                    Ok(meta) if meta.size <= start => Err(ReadError::BeyondEnd),
                    _ => Err(ReadError::Failed(error)),
                },
            },
        }
    }

    /// Reads a whole file, for lists of files.
    pub(crate) async fn read_whole(&self) -> Result<Bytes, ReadError> {
        let read = async { self.store.get_opts(&self.path, GetOptions::default()).await?.bytes().await };
        read.await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => ReadError::Missing,
            error => ReadError::Failed(error),
        })
    }
}

impl ReadError {
    /// The error for a file that the run cannot do without.
    pub(crate) fn of(self, name: &str) -> CommonCrawlError {
        let source: Box<dyn StdError + Send + Sync> = match self {
            ReadError::Missing => "there is no such file".into(),
            ReadError::BeyondEnd => "the file is empty, or shorter than what lists it says".into(),
            ReadError::Failed(error) => match fault_of(&error) {
                Some(fault) => fault.to_string().into(),
                None => Box::new(error),
            },
        };
        CommonCrawlError::Read { name: name.to_owned(), source }
    }
}

/// A folder, the root of a server, or a bucket.
#[derive(Clone)]
pub(crate) struct Root {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    name: String,
    traffic: Arc<Traffic>,
}

impl Root {
    /// Opens a folder, `http(s)://host/prefix` or `s3://bucket/prefix`.
    pub(crate) fn open(name: &str, client: &RetryingHttpClient) -> Result<Root, CommonCrawlError> {
        let name = name.trim_end_matches('/');
        let failed = |source: Box<dyn StdError + Send + Sync>| CommonCrawlError::Read { name: name.to_owned(), source };
        let no_retries = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        // The client is made by the connector; of these options the store itself reads only one.
        let options = ClientOptions::new().with_allow_http(true);
        let (store, prefix): (Arc<dyn ObjectStore>, Path) = if !is_remote(name) {
            let folder = if name.is_empty() { FsPath::new("/") } else { FsPath::new(name) };
            (Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(|e| failed(Box::new(e)))?), Path::default())
        } else {
            let url = Url::parse(name).map_err(|error| failed(Box::new(error)))?;
            let path = Path::from_url_path(url.path()).map_err(|error| failed(Box::new(error)))?;
            let store: Arc<dyn ObjectStore> = if url.scheme() == "s3" {
                let bucket = url.host_str().ok_or_else(|| failed("an S3 URL is s3://bucket/key".into()))?;
                let built = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_skip_signature(!has_s3_credentials())
                    .with_client_options(options)
                    .with_retry(no_retries)
                    .with_http_connector(client.clone())
                    .build();
                Arc::new(built.map_err(|error| failed(Box::new(error)))?)
            } else {
                let built = HttpBuilder::new()
                    .with_url(&url[..url::Position::BeforePath])
                    .with_client_options(options)
                    .with_retry(no_retries)
                    .with_http_connector(client.clone())
                    .build();
                Arc::new(built.map_err(|error| failed(Box::new(error)))?)
            };
            (store, path)
        };
        Ok(Root { store, prefix, name: name.to_owned(), traffic: client.0.traffic.clone() })
    }

    /// The file at a relative path; `None` for a path that is invalid or leads out of the root.
    pub(crate) fn file(&self, relative: &str) -> Option<RangedFile> {
        let below = Path::parse(relative).ok().filter(|path| !path.as_ref().is_empty())?;
        let path: Path = self.prefix.parts().chain(below.parts()).collect();
        let name = format!("{}/{relative}", self.name);
        Some(RangedFile { store: self.store.clone(), path, name, traffic: self.traffic.clone() })
    }

    /// The names of all files below it, in order. Not for HTTP.
    pub(crate) async fn list(&self) -> Result<Vec<String>, CommonCrawlError> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let listed: Vec<_> = self
            .store
            .list(prefix)
            .try_collect()
            .await
            .map_err(|error| CommonCrawlError::Read { name: self.name.clone(), source: Box::new(error) })?;
        let mut names: Vec<String> = listed
            .into_iter()
            .filter_map(|meta| Some(meta.location.prefix_match(&self.prefix)?.collect::<Path>().to_string()))
            .collect();
        names.sort();
        Ok(names)
    }
}

/// A file named in full: on disk, or by URL.
pub(crate) fn open_file(name: &str, client: &RetryingHttpClient) -> Result<RangedFile, CommonCrawlError> {
    let none = || CommonCrawlError::Read { name: name.to_owned(), source: "this names no file".into() };
    let absolute = if is_remote(name) {
        name.to_owned()
    } else {
        let path = std::path::absolute(name).map_err(|_| none())?;
        path.to_str().ok_or_else(none)?.to_owned()
    };
    let (folder, file) = absolute.rsplit_once('/').ok_or_else(none)?;
    let mut file = Root::open(folder, client)?.file(file).ok_or_else(none)?;
    file.name = name.to_owned();
    Ok(file)
}

/// Whether the environment has what signing S3 requests takes, in the variables of the AWS tools.
fn has_s3_credentials() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// The HTTP client of all stores of one runtime.
#[derive(Debug, Clone)]
pub(crate) struct RetryingHttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: reqwest::Client,
    max_tries: u32,
    min_wait: Duration,
    max_wait: Duration,
    /// No request begins before this time, which a busy server has asked for.
    busy_until: Mutex<Option<Instant>>,
    traffic: Arc<Traffic>,
}

/// Why a request failed, after its last try.
#[derive(Debug, thiserror::Error)]
#[error("{what} ({url})")]
struct RequestFault {
    status: Option<u16>,
    what: String,
    url: String,
}

/// Our own error inside an error of a store.
fn fault_of(error: &object_store::Error) -> Option<&RequestFault> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<RequestFault>() {
            return Some(fault);
        }
        cause = error.source();
    }
    None
}

impl RetryingHttpClient {
    /// The client; its connections live on the runtime that uses it.
    pub(crate) fn new(settings: &CommonCrawlSettings) -> Result<RetryingHttpClient, CommonCrawlError> {
        // If another client in the process has installed a provider, that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(settings.user_agent())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
            .read_timeout(Duration::from_millis(settings.idle_timeout_ms))
            .build()
            .map_err(CommonCrawlError::Client)?;
        Ok(RetryingHttpClient(Arc::new(Inner {
            client,
            max_tries: settings.max_tries.max(1),
            min_wait: Duration::from_millis(settings.min_wait_ms),
            max_wait: Duration::from_millis(settings.max_wait_ms),
            busy_until: Mutex::new(None),
            traffic: Arc::new(Traffic::default()),
        })))
    }

    /// Requests and bytes of this client so far.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }
}

impl HttpConnector for RetryingHttpClient {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for RetryingHttpClient {
    // Expanded by hand from what `#[async_trait]` would write.
    fn call<'life, 'future>(
        &'life self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'future>>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(self.0.answer(request))
    }
}

/// Why a try failed.
struct Failure {
    status: Option<u16>,
    what: String,
    retry_after: Duration,
    is_passing: bool,
}

impl Inner {
    /// Retries until there is an answer that a further try would not change.
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut tried = 0;
        loop {
            self.wait_while_busy().await;
            let failure = match self.try_once(request.clone()).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            tried += 1;
            if !failure.is_passing || tried >= self.max_tries {
                let what = if tried > 1 { format!("{}, {tried} times", failure.what) } else { failure.what };
                let fault = RequestFault { status: failure.status, what, url: request.uri().to_string() };
                return Err(HttpError::new(HttpErrorKind::Unknown, fault));
            }
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
            let wait = self.wait_before(tried).max(failure.retry_after).min(self.max_wait);
            if matches!(failure.status, Some(429 | 503)) {
                let mut until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
                *until = (*until).max(Some(Instant::now() + wait));
            } else {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// The wait before try `tried` + 1: it doubles each time.
    fn wait_before(&self, tried: u32) -> Duration {
        self.min_wait.saturating_mul(1 << (tried - 1).min(20)).min(self.max_wait)
    }

    async fn wait_while_busy(&self) {
        loop {
            let until = *self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until.into()).await,
                _ => return,
            }
        }
    }

    /// Sends one request and reads its body to the end: a body that breaks off is a failure like any other.
    async fn try_once(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let broken = |error: &HttpError| Failure {
            status: None,
            what: chain(error),
            retry_after: Duration::ZERO,
            // A name that is not found, a refused connection and a broken one may all be temporary.
            is_passing: true,
        };
        let response = HttpService::call(&self.client, request).await.map_err(|error| broken(&error))?;
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let body = body.bytes().await.map_err(|error| broken(&error))?;
        if matches!(status, 200..=299 | 404) {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let seconds = parts.headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(Failure {
            status: Some(status),
            what: format!("the server answers with status {status}{}", shown(&body)),
            retry_after: Duration::from_secs(seconds.unwrap_or(0)),
            is_passing: matches!(status, 408 | 429 | 500..),
        })
    }
}

/// An answer's text, if it is one short line.
fn shown(body: &[u8]) -> String {
    match str::from_utf8(body) {
        Ok(text) if !text.trim().is_empty() && !text.trim_start().starts_with('<') => {
            let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            format!(": {}", line.chars().take(MAX_SHOWN_CHARS).collect::<String>())
        }
        _ => String::new(),
    }
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their source in their own text.
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> RetryingHttpClient {
        let settings = CommonCrawlSettings { min_wait_ms: 500, max_wait_ms: 3000, ..CommonCrawlSettings::default() };
        RetryingHttpClient::new(&settings).unwrap()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u128> = (1..=5).map(|tried| client().0.wait_before(tried).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 3000, 3000]);
        assert_eq!(client().0.wait_before(u32::MAX).as_millis(), 3000);
    }

    #[test]
    fn names_lead_below_their_root_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path().to_str().unwrap(), &client()).unwrap();
        for name in ["../secret", "a/../../b", "/etc/passwd", "", "a//b", "."] {
            let file = root.file(name).map(|file| file.path);
            assert!(file.is_none() || file == Some(Path::from("etc/passwd")), "{name}: {file:?}");
        }
        let file = root.file("crawl-data/CC-MAIN-2024-10/x.warc.gz").unwrap();
        assert_eq!(file.path.as_ref(), "crawl-data/CC-MAIN-2024-10/x.warc.gz");
    }

    #[test]
    fn prefixes_of_urls_stay() {
        for (root, expected) in [
            ("https://data.commoncrawl.org/", "crawl-data/x"),
            ("https://mirror.example/cc/", "cc/crawl-data/x"),
            ("s3://commoncrawl", "crawl-data/x"),
            ("s3://mine/copy", "copy/crawl-data/x"),
        ] {
            let file = Root::open(root, &client()).unwrap().file("crawl-data/x").unwrap();
            assert_eq!(file.path.as_ref(), expected, "{root}");
        }
    }

    #[tokio::test]
    async fn ranges_of_files_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"0123456789").unwrap();
        let file = open_file(folder.path().join("file").to_str().unwrap(), &client()).unwrap();
        let read = async |range| file.read(range).await;
        assert_eq!(read(GetRange::Bounded(2..5)).await.unwrap(), "234");
        assert_eq!(read(GetRange::Bounded(8..50)).await.unwrap(), "89");
        assert_eq!(read(GetRange::Suffix(3)).await.unwrap(), "789");
        assert_eq!(read(GetRange::Suffix(30)).await.unwrap(), "0123456789");
        assert!(matches!(read(GetRange::Bounded(10..12)).await, Err(ReadError::BeyondEnd)));
        let none = open_file(folder.path().join("none").to_str().unwrap(), &client()).unwrap();
        assert!(matches!(none.read(GetRange::Bounded(0..1)).await, Err(ReadError::Missing)));
    }
}
