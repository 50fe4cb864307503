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
            // More than a hundred header lines are read leniently: with a higher limit the library clears as much memory for
            // each informational answer, and a server that sends these without end keeps a thread from its other hosts.
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
        if has_unusual_transfer(response.headers()) {
            return Err(Refusal::unreadable("a transfer coding that the HTTP library does not undo"));
        }
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
        // A server whose bytes are always there already does not keep the thread from other hosts.
        tokio::task::consume_budget().await;
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

/// Whether an answer has other transfer codings than chunks alone, which the library would hand on as content.
fn has_unusual_transfer(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter().map(|line| line.as_bytes().trim_ascii());
    let is_usual = |line: &[u8]| line.is_empty() || line.eq_ignore_ascii_case(b"chunked");
    !lines.all(is_usual)
}

/// Whether an error, or one in its chain, is the early end that rustls reports for a connection closed without notice.
fn is_close_without_notice(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    const BODY: &str = "<!doctype html><p>The ferry leaves at noon.";

    /// What is read of an answer, first by the library, then as leniently as a retry would.
    #[derive(Debug, PartialEq, Eq)]
    enum Found {
        /// Status and type, and the body whether or not it breaks off.
        Page {
            status: u16,
            content_type: Option<String>,
            body: String,
            is_whole: bool,
        },
        Nothing,
    }

    /// A server that sends these bytes to every client, and closes.
    fn serve(answer: Vec<u8>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                // A client that refuses the answer may close the connection before its end.
                let _ = stream.write_all(&answer);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                while stream.read(&mut request).is_ok_and(|len| len > 0) {}
            }
        });
        port
    }

    fn fetch(answer: &[u8]) -> Found {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = Url::parse(&format!("http://127.0.0.1:{}/page", serve(answer.to_vec()))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = HttpClient::new(&CrawlSettings::DEFAULT, &PinnedResolver::default()).unwrap();
        let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        runtime.block_on(async {
            let mut answer = client.get(&url, RequestKind::Page, Reading::Library, &addresses).await;
            if answer.as_ref().is_err_and(|refusal| refusal.is_unreadable) {
                answer = client.get(&url, RequestKind::Page, Reading::Lenient, &addresses).await;
            }
            let Ok(mut answer) = answer else { return Found::Nothing };
            let mut body = Vec::new();
            let is_whole = loop {
                match answer.body.chunk().await {
                    Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                    Ok(None) => break true,
                    Err(fault) if fault.refusal.is_unreadable && body.is_empty() => {
                        answer = client.get(&url, RequestKind::Page, Reading::Lenient, &addresses).await.unwrap();
                    }
                    Err(_) => break false,
                }
            };
            if answer.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
                body = warc::http::decode(&body, "gzip", 1 << 20).unwrap().unwrap();
            }
            let content_type = answer.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
            let body = String::from_utf8(body).unwrap();
            Found::Page { status: answer.status.as_u16(), content_type, body, is_whole }
        })
    }

    fn check(answer: impl AsRef<[u8]>, is_whole: bool) {
        let answer = answer.as_ref();
        let expected =
            Found::Page { status: 200, content_type: Some("text/html".to_owned()), body: BODY.to_owned(), is_whole };
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(300)]);
        assert_eq!(fetch(answer), expected, "{shown}");
    }

    /// A head with these lines behind the status line, and the body.
    fn page(status_line: &str, lines: &str) -> String {
        format!("{status_line}\r\nContent-Type: text/html\r\n{lines}\r\n{BODY}")
    }

    fn with_length(status_line: &str) -> String {
        page(status_line, &format!("Content-Length: {}\r\n", BODY.len()))
    }

    fn chunked(status_line: &str, coding: &str, chunks: &str) -> String {
        format!("{status_line}\r\nContent-Type: text/html\r\nTransfer-Encoding: {coding}\r\n\r\n{chunks}")
    }

    #[test]
    fn status_lines_that_curl_reads() {
        for line in [
            "HTTP/1.1 200 OK",
            "HTTP/1.0 200 OK",
            "http/1.1 200 OK",
            "Http/1.1 200 OK",
            "HTTP/2 200",
            "HTTP/2.0 200 OK",
            "HTTP/1.1 200",
            "HTTP/1.1 200 ",
            "HTTP/1.1  200  OK",
            "HTTP/1.1 200 Tr\u{e8}s bien",
            "\r\n\r\nHTTP/1.1 200 OK",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nhttp/1.1 200 OK",
        ] {
            check(with_length(line), true);
        }
    }

    #[test]
    fn header_lines_that_are_none() {
        let length = format!("Content-Length: {}", BODY.len());
        for line in [
            "X: a\u{1}b",
            "no colon here",
            "X : a",
            "X:\r\n folded",
            "X: a\r\n\tfolded\r\n again",
            ": no name",
            "X(y): a",
            "X\u{e9}: a",
            "X y: a",
            "",
        ] {
            let line = if line.is_empty() { String::new() } else { format!("{line}\r\n") };
            check(page("HTTP/1.1 200 OK", &format!("{line}{length}\r\n")), true);
            check(page("http/1.1 200 OK", &format!("{length}\r\n{line}")), true);
        }
        check(format!("HTTP/1.1 200 OK\r\n folded first\r\nContent-Type: text/html\r\n{length}\r\n\r\n{BODY}"), true);
        check(format!("HTTP/1.1 200 OK\r\nContent-Type:\r\n text/html\r\n{length}\r\n\r\n{BODY}"), true);
        check(format!("HTTP/1.1 200 OK\r\nContent-Type : text/html\r\n{length}\r\n\r\n{BODY}"), true);
        check(format!("HTTP/1.1 200 OK\nContent-Type: text/html\n{length}\n\n{BODY}"), true);
        let many: String = (0..5_000).map(|number| format!("X-{number}: y\r\n")).collect();
        check(page("HTTP/1.1 200 OK", &many[..300 * 10]), true);
        check(page("HTTP/1.1 200 OK", &many), true);
    }

    #[test]
    fn lengths() {
        let len = BODY.len();
        for (lines, is_whole) in [
            (format!("Content-Length: {len}\r\nContent-Length: {len}\r\n"), true),
            (format!("Content-Length: {len}, {len}\r\n"), true),
            // Of lengths that differ or are no number, none counts: the body ends with the connection.
            (format!("Content-Length: 7\r\nContent-Length: {len}\r\n"), true),
            (format!("Content-Length: {len}\r\nContent-Length: 7\r\n"), true),
            (format!("Content-Length: +{len}\r\n"), true),
            (format!("Content-Length: {len} bytes\r\n"), true),
            ("Content-Length: many\r\n".to_owned(), true),
            ("Content-Length: -1\r\n".to_owned(), true),
            ("Content-Length:\r\n".to_owned(), true),
            ("Content-Length: 99999999999999999999\r\n".to_owned(), true),
            (String::new(), true),
            // What came of a body that breaks off is kept.
            ("Content-Length: 5000\r\n".to_owned(), false),
        ] {
            check(page("HTTP/1.1 200 OK", &lines), is_whole);
            check(page("http/1.1 200 OK", &lines), is_whole);
        }
    }

    #[test]
    fn chunks() {
        let chunk = format!("{:x}\r\n{BODY}\r\n", BODY.len());
        for (status_line, coding, chunks, is_whole) in [
            ("HTTP/1.1 200 OK", "chunked", format!("{chunk}0\r\n\r\n"), true),
            ("HTTP/1.1 200 OK", "CHUNKED", format!("{chunk}0\r\n\r\n"), true),
            ("HTTP/1.0 200 OK", "chunked", format!("{chunk}0\r\n\r\n"), true),
            ("http/1.1 200 OK", "chunked", format!("{chunk}0\r\n\r\n"), true),
            ("http/1.1 200 OK", "chunked", format!("{chunk}0\r\nTrailer: x\r\n\r\n"), true),
            ("http/1.1 200 OK", "chunked", format!("{:X};a=\"b\"  \r\n{BODY}\r\n0\r\n\r\n", BODY.len()), true),
            ("http/1.1 200 OK", "chunked", format!("{:x}\n{BODY}\n0\n\n", BODY.len()), true),
            // Lines that end as those of text files, and codings beside that of chunks.
            ("HTTP/1.1 200 OK", "chunked", format!("{:x}\n{BODY}\n0\n\n", BODY.len()), true),
            ("HTTP/1.1 200 OK", "chunked", format!("{:x}\n{BODY}\r\n0\r\n\r\n", BODY.len()), true),
            ("HTTP/1.1 200 OK", "chunked, identity", format!("{chunk}0\r\n\r\n"), true),
            ("HTTP/1.1 200 OK", "identity", BODY.to_owned(), true),
            ("http/1.1 200 OK", "chunked", chunk.clone(), false),
            ("http/1.1 200 OK", "chunked", format!("{chunk}zz\r\n"), false),
            ("HTTP/1.1 200 OK", "chunked", format!("{chunk}zz\r\n"), false),
        ] {
            check(chunked(status_line, coding, &chunks), is_whole);
        }
    }

    #[test]
    fn compression_of_the_transfer() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(BODY.as_bytes()).unwrap();
        let coded = encoder.finish().unwrap();
        let chunk = [format!("{:x}\r\n", coded.len()).as_bytes(), &coded, b"\r\n0\r\n\r\n"].concat();
        for (coding, body) in
            [("gzip, chunked", &chunk), ("gzip\r\nTransfer-Encoding: chunked", &chunk), ("gzip", &coded)]
        {
            check([chunked("HTTP/1.1 200 OK", coding, "").as_bytes(), body].concat(), true);
        }
    }

    #[test]
    fn answers_that_are_none() {
        let giant = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{BODY}", "x".repeat(1 << 20));
        for answer in ["", BODY, "SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 20 OK\r\n\r\n", &giant] {
            assert_eq!(fetch(answer.as_bytes()), Found::Nothing, "{}", &answer[..answer.len().min(100)]);
        }
    }
}
