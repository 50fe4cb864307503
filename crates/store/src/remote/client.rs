//! Clients of servers: how long requests are tried again, and which warnings are logged meanwhile.
//!
//! Every request of this crate may be made twice: conditional puts compare what is there then, and uploads in parts are
//! marked. So timeouts and broken connections are tried again whatever the request is.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::listing::without_odd_keys;

/// Pauses between tries: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// A pause is at most this many times the one before it, and chosen at random below that: on average 1.5 times.
const MAX_GROWTH: f64 = 4.0;
/// Time after which a request is not tried again, unless [`RETRY_VARIABLE`] has another one.
const RETRY_SECONDS: u64 = 180;
/// Variable with the seconds after which a request is not tried again.
const RETRY_VARIABLE: &str = "WEBTEXT_RETRY_SECONDS";
/// Tries that the pauses never allow: time alone bounds them.
const MAX_RETRIES: usize = 10_000;
/// Time in which a machine's own server of credentials is tried again: elsewhere there is none.
const METADATA_WITHIN: Duration = Duration::from_secs(3);
/// Time without an answer after which a warning is logged, and the time until the next one.
const WARN_AFTER: Duration = Duration::from_secs(10);
const WARN_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Variables that name the server of S3.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"];

/// A bucket of any server.
pub(crate) trait Client: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Client for T {}

/// Time after which a request is not tried again.
static RETRY_TIMEOUT: LazyLock<Duration> = LazyLock::new(|| {
    let given = std::env::var(RETRY_VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.unwrap_or(RETRY_SECONDS))
});

/// Refuses settings of the environment that the library takes, and ends the process for at the first request.
pub(super) fn check_environment() -> Result<(), String> {
    for name in ENDPOINTS {
        let Ok(endpoint) = std::env::var(name) else { continue };
        let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
        let is_url = host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
        if !is_url || endpoint.contains(char::is_whitespace) {
            return Err(format!("{name} is {endpoint:?}, which is no URL such as http://127.0.0.1:9000"));
        }
    }
    match std::env::var(RETRY_VARIABLE) {
        Ok(seconds) if seconds.parse::<u64>().is_err() => {
            Err(format!("{RETRY_VARIABLE} is {seconds:?}, which is no number of seconds"))
        }
        _ => Ok(()),
    }
}

/// A message of the library without limits that time alone sets, and what errors here say twice.
pub(super) fn without_limits(text: &str) -> String {
    let limits = format!(", max_retries: {MAX_RETRIES}, retry_timeout: {:?} ", *RETRY_TIMEOUT);
    text.replace(&limits, "").replace("HTTP error: HTTP error: ", "HTTP error: ")
}

/// The clients so far, by scheme and bucket: a client has its own pool of connections.
pub(super) fn client_of(scheme: &str, bucket: &str) -> object_store::Result<Arc<dyn Client>> {
    static CLIENTS: Mutex<Option<HashMap<String, Arc<dyn Client>>>> = Mutex::new(None);
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let clients = clients.get_or_insert_default();
    let name = format!("{scheme}://{bucket}");
    if let Some(client) = clients.get(&name) {
        return Ok(client.clone());
    }
    let client = new_client(scheme, bucket)?;
    clients.insert(name, client.clone());
    Ok(client)
}

fn new_client(scheme: &str, bucket: &str) -> object_store::Result<Arc<dyn Client>> {
    // If another client in the process has installed a provider, that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: PAUSES[0], max_backoff: PAUSES[1], base: MAX_GROWTH },
        max_retries: MAX_RETRIES,
        retry_timeout: *RETRY_TIMEOUT,
    };
    // An endpoint without TLS is one that somebody wrote down so.
    let is_plain = |name: &str| std::env::var(name).is_ok_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_allow_http(ENDPOINTS.into_iter().any(is_plain))
        .with_connect_timeout(Duration::from_secs(10))
        // A server that never answers is asked twice within the time.
        .with_timeout((*RETRY_TIMEOUT / 2).max(Duration::from_secs(1)));
    macro_rules! build {
        ($builder:expr) => {
            Arc::new($builder.with_client_options(options).with_retry(retry).with_http_connector(Watcher).build()?)
        };
    }
    Ok(match scheme {
        "gs" => build!(object_store::gcp::GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket)),
        "az" => build!(object_store::azure::MicrosoftAzureBuilder::from_env().with_container_name(bucket)),
        _ => build!(object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket)),
    })
}

/// Makes connections that are [`Watched`].
#[derive(Debug)]
struct Watcher;

impl HttpConnector for Watcher {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Watched { inner, health: Mutex::default() }))
    }
}

/// A client that logs a warning when a server has not answered for a while.
#[derive(Debug)]
struct Watched {
    inner: HttpClient,
    health: Mutex<Health>,
}

/// What is known of a server.
#[derive(Debug, Default)]
struct Health {
    /// When it last answered.
    answered: Option<Instant>,
    /// Since when it has failed, if it has not answered since.
    failing_since: Option<Instant>,
    /// When a warning of that was last logged.
    warned: Option<Instant>,
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Watched {
    fn call<'s, 'a>(&'s self, request: HttpRequest) -> Answering<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(self.answer(request))
    }
}

impl Watched {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let server = request.uri().authority().map(|authority| authority.to_string()).unwrap_or_default();
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        let began = Instant::now();
        let (method, address) = (request.method().clone(), request.uri().to_string());
        let mut answering = pin!(self.inner.execute(request));
        let answer = loop {
            match tokio::time::timeout(WARN_AFTER, &mut answering).await {
                Ok(answer) => break answer,
                Err(_) => drop(self.note_failure(&server, began, "it says nothing")),
            }
        };
        let answer = match answer {
            // Read here, so that one that breaks off is asked for again.
            Ok(answer) if is_listing && answer.status().is_success() => listing(answer).await,
            other => other,
        };
        let after_ms = began.elapsed().as_millis();
        match &answer {
            Ok(answer) => {
                tracing::trace!("{method} {address}: status {} after {after_ms} ms", answer.status().as_u16())
            }
            Err(error) => tracing::debug!("{method} {address}: {} after {after_ms} ms", cause_of(error)),
        }
        match answer {
            Ok(answer) if answer.status().is_server_error() => {
                let _ = self.note_failure(&server, began, answer.status().as_str());
                Ok(answer)
            }
            Ok(answer) => {
                self.note_answer(&server);
                Ok(answer)
            }
            Err(error) => {
                let failing = self.note_failure(&server, began, &cause_of(&error));
                Err(again(error, !is_metadata(&server) || failing < METADATA_WITHIN))
            }
        }
    }

    /// Logs a warning if a server has not answered for a while; returns for how long it has not.
    fn note_failure(&self, server: &str, began: Instant, why: &str) -> Duration {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.answered.is_some_and(|answered| answered > began) {
            return Duration::ZERO; // others are answered: this request alone takes long, as of a large part
        }
        let failing = health.failing_since.get_or_insert(began).elapsed();
        let has_warned = health.warned.is_some_and(|warned| warned.elapsed() < WARN_AGAIN_AFTER);
        if failing >= WARN_AFTER && !has_warned && !is_metadata(server) {
            health.warned = Some(Instant::now());
            let (seconds, most) = (failing.as_secs(), RETRY_TIMEOUT.as_secs());
            tracing::warn!(
                "the object storage at {server} has not answered for {seconds} s ({why}); each request is tried for {most} s"
            );
        }
        failing
    }

    fn note_answer(&self, server: &str) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.warned.is_some() {
            tracing::warn!("the object storage at {server} answers again");
        }
        *health = Health { answered: Some(Instant::now()), ..Health::default() };
    }
}

/// A page of a listing without the keys that are no paths.
async fn listing(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (head, body) = answer.into_parts();
    let page = body.bytes().await.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
    Ok(HttpResponse::from_parts(head, without_odd_keys(&String::from_utf8_lossy(&page)).into()))
}

/// An error as one that is tried again whatever the request is, if it is to be and may have been in passing.
fn again(error: HttpError, is_tried: bool) -> HttpError {
    match error.kind() {
        _ if !is_tried => HttpError::new(HttpErrorKind::Unknown, error),
        HttpErrorKind::Timeout | HttpErrorKind::Interrupted => HttpError::new(HttpErrorKind::Request, error),
        _ => error,
    }
}

/// Whether a server is the one of this machine that knows its role.
fn is_metadata(server: &str) -> bool {
    ["169.254.", "[fd00:ec2:", "metadata.google.internal"].iter().any(|own| server.starts_with(own))
}

/// The innermost cause of an error, such as "Connection refused".
fn cause_of(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
