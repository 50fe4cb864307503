//! The HTTP client of all stores: it retries, and waits for servers that are busy.
//!
//! A request is retried on 408, 429, 5xx, on timeouts and on connections that break, also in the middle of a body. The
//! waits double from the first to the longest, without jitter; `Retry-After` in seconds lengthens a wait. All requests
//! to a server that says it is busy (429, 503) wait together. The store's own retries are off: they use random waits
//! and do not read `Retry-After`.
//!
//! Left out: `Retry-After` as a date, redirects, proxies.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::error::CommonCrawlError;
use crate::settings::CommonCrawlSettings;

/// Longest text of a failed answer that a message quotes.
const MAX_SHOWN_CHARS: usize = 200;

/// Requests and bytes so far, for reports.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) bytes: AtomicU64,
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
pub(super) struct RequestFault {
    pub(super) status: Option<u16>,
    what: String,
    url: String,
}

/// Our own error inside an error of a store.
pub(super) fn fault_of(error: &object_store::Error) -> Option<&RequestFault> {
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
            min_wait: Duration::from_millis(settings.min_backoff_ms),
            max_wait: Duration::from_millis(settings.max_backoff_ms),
            busy_until: Mutex::new(None),
            traffic: Arc::new(Traffic::default()),
        })))
    }

    /// Requests and bytes of this client so far.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
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
            let Failure { what, .. } = &failure;
            tracing::debug!("{}: {what}, try {tried}; the next one in {} ms", request.uri(), wait.as_millis());
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
            what: user_error::chain(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> RetryingHttpClient {
        let settings =
            CommonCrawlSettings { min_backoff_ms: 500, max_backoff_ms: 3000, ..CommonCrawlSettings::default() };
        RetryingHttpClient::new(&settings).unwrap()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u128> = (1..=5).map(|tried| client().0.wait_before(tried).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 3000, 3000]);
        assert_eq!(client().0.wait_before(u32::MAX).as_millis(), 3000);
    }
}
