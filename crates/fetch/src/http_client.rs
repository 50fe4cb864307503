//! How a worker sends a request: through the HTTP library, or, for servers whose answers that refuses, by `lenient`.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, TRANSFER_ENCODING};
use reqwest::{Client, Response, StatusCode, Version};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use url::Url;

use crate::CrawlSettings;
use crate::address::PinnedResolver;
use crate::error::FetchError;
use crate::exchange::RequestKind;
use crate::lenient::{LenientBody, LenientClient};
use crate::refusal::{Refusal, chain};

/// Header lines of an answer that the HTTP library reads; without this it refuses more than a hundred.
const MAX_HEADER_LINES: usize = 1_000;

/// How an answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reading {
    /// By the HTTP library, with what leniency it offers for header lines.
    #[default]
    Library,
    /// By [`LenientClient`]: a status line in any case, lengths that contradict each other, chunks in HTTP/1.0.
    Lenient,
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) body: Body,
}

/// The body of an answer.
pub(crate) enum Body {
    Library(Response),
    Lenient(LenientBody),
}

/// Why a body breaks off.
pub(crate) struct BodyFault {
    pub(crate) refusal: Refusal,
    /// Whether a TLS connection was closed without notice. For a body that only the end of the connection ends, this is
    /// how many servers end it.
    pub(crate) is_close_without_notice: bool,
}

/// The HTTP client of a worker: no redirects, retries, proxies or referrers, and no addresses but pinned ones.
#[derive(Clone)]
pub(crate) struct HttpClient {
    library: Client,
    lenient: LenientClient,
}

impl HttpClient {
    pub(crate) fn new(settings: &CrawlSettings, resolver: &PinnedResolver) -> Result<HttpClient, FetchError> {
        let mut tls = ClientConfig::with_platform_verifier().map_err(FetchError::Tls)?;
        let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
        let library = Client::builder()
            .user_agent(settings.user_agent())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(resolver.clone()))
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(settings.min_delay() * 2 + Duration::from_secs(5))
            // As browsers and curl read them: a bad header line costs itself, not the page.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_max_headers(MAX_HEADER_LINES)
            .build()
            .map_err(FetchError::Client)?;
        tls.alpn_protocols = vec!["http/1.1".into()];
        let lenient = LenientClient::new(Arc::new(tls), settings.user_agent(), connect_timeout);
        Ok(HttpClient { library, lenient })
    }

    /// Requests a URL from one of the pinned addresses of its host.
    pub(crate) async fn get(
        &self,
        url: &Url,
        kind: RequestKind,
        reading: Reading,
        addresses: &[IpAddr],
    ) -> Result<Answer, Refusal> {
        if reading == Reading::Lenient {
            return self.lenient.get(url, kind, addresses).await;
        }
        let request = self.library.get(url.clone());
        let request = request.header(ACCEPT, kind.accept()).header(ACCEPT_ENCODING, kind.coding());
        let response = request.send().await.map_err(|error| Refusal::of_client(&error))?;
        Ok(Answer {
            status: response.status(),
            version: response.version(),
            headers: response.headers().clone(),
            address: response.remote_addr(),
            body: Body::Library(response),
        })
    }
}

impl Body {
    /// The length that the answer claims, if it claims one.
    pub(crate) fn content_length(&self) -> Option<u64> {
        match self {
            Body::Library(response) => response.content_length(),
            Body::Lenient(body) => body.content_length(),
        }
    }

    /// The next bytes, without transfer coding; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BodyFault> {
        match self {
            Body::Library(response) => {
                let is_close_delimited =
                    response.content_length().is_none() && !response.headers().contains_key(TRANSFER_ENCODING);
                response.chunk().await.map_err(|error| BodyFault {
                    is_close_without_notice: is_close_delimited && is_close_without_notice(&error),
                    refusal: Refusal::of_client(&error),
                })
            }
            Body::Lenient(body) => {
                let is_close_delimited = body.is_close_delimited();
                body.chunk().await.map_err(|error| BodyFault {
                    is_close_without_notice: is_close_delimited && is_close_without_notice(&error),
                    refusal: Refusal::of_answer(&error),
                })
            }
        }
    }
}

/// Whether an error, or one in its chain, is the early end that rustls reports for a connection closed without notice.
fn is_close_without_notice(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    })
}
