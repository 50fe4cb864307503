//! HTTP/1.1 for servers whose answers the HTTP library refuses, as curl and browsers read them.
//!
//! It is used where an answer of the host could not be read. The status line may be in any case and of any version, of
//! several lengths none counts unless they agree, chunks may come in HTTP/1.0, and trailers are not read. Each request has
//! a connection of its own. Left out: HTTP/0.9, which curl refuses, too.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use records::Reason;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Version};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use warc::http::Response;

use crate::exchange::{RequestKind, request_bytes};
use crate::http_client::{Answer, Body, Reading};
use crate::refusal::Refusal;

/// Bytes of heads, those of informational answers included. curl reads 300 KB.
const MAX_HEAD_BYTES: usize = 300_000;
/// Bytes of the line with a chunk's size.
const MAX_CHUNK_LINE_BYTES: usize = 4 << 10;
/// What a status line begins with, in any case.
const PROTOCOL: &[u8] = b"HTTP/";
/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// A client without a pool.
#[derive(Clone)]
pub(crate) struct LenientClient {
    tls: Arc<ClientConfig>,
    user_agent: String,
    connect_timeout: Duration,
}

/// The body of an answer, and the connection that it comes from.
pub(crate) struct LenientBody {
    connection: Connection,
    framing: Framing,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// After these bytes.
    Length(u64),
    /// After the last chunk; these bytes of the current one are left.
    Chunks(u64),
    /// With the connection.
    Close,
}

/// A connection and what was read ahead.
struct Connection {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl LenientClient {
    pub(crate) fn new(tls: Arc<ClientConfig>, user_agent: String, connect_timeout: Duration) -> LenientClient {
        LenientClient { tls, user_agent, connect_timeout }
    }

    /// Requests a URL from the first of the addresses that accepts a connection.
    pub(crate) async fn get(&self, url: &Url, kind: RequestKind, addresses: &[IpAddr]) -> Result<Answer, Refusal> {
        let (mut stream, address) = self.connect(url, addresses).await?;
        let request = request_bytes(url, kind, Reading::Lenient, &self.user_agent);
        stream.write_all(request.as_bytes()).await.map_err(|error| Refusal::of_answer(&error))?;
        let mut connection = Connection { stream, buffer: BytesMut::new() };
        let head = connection.read_head().await.map_err(|error| Refusal::of_answer(&error))?;
        let (status, headers) = read_head(head)
            .ok_or_else(|| Refusal::new(Reason::HttpFault, "the answer does not begin as one of HTTP"))?;
        let framing = framing_of(status, &headers);
        let body = Body::Lenient(LenientBody { connection, framing });
        Ok(Answer { status, version: Version::HTTP_11, headers, address: Some(address), body })
    }

    async fn connect(&self, url: &Url, addresses: &[IpAddr]) -> Result<(Box<dyn Stream>, SocketAddr), Refusal> {
        let port = url.port_or_known_default().unwrap_or(80);
        let mut refusal = Refusal::new(Reason::ConnectFailed, "the host has no address");
        for &address in addresses {
            let address = SocketAddr::new(address, port);
            match tokio::time::timeout(self.connect_timeout, self.connect_to(url, address)).await {
                Ok(Ok(stream)) => return Ok((stream, address)),
                Ok(Err(error)) => refusal = Refusal::of_connection(&error),
                Err(_) => refusal = Refusal::new(Reason::TimedOut, format!("no connection to {address}")).silence(),
            }
        }
        Err(refusal)
    }

    async fn connect_to(&self, url: &Url, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        let host = url.host_str().unwrap_or("").trim_end_matches('.').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(self.tls.clone()).connect(name, stream).await?))
    }
}

impl Connection {
    /// Reads more; `false` at the end of the connection.
    async fn read(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Takes the head of the first answer that is not informational. One that breaks off is complete enough.
    async fn read_head(&mut self) -> io::Result<Bytes> {
        let mut len_bytes = 0;
        loop {
            let blank_lines = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.advance(blank_lines);
            let (end, is_whole) = match end_of_head(&self.buffer) {
                Some(end) => (end, true),
                None if len_bytes + self.buffer.len() > MAX_HEAD_BYTES => {
                    return Err(io::Error::other(format!("the head has more than {MAX_HEAD_BYTES} bytes")));
                }
                None if self.read().await? => continue,
                None => (self.buffer.len(), false),
            };
            let mut head = self.buffer.split_to(end);
            // The protocol's name is in capitals, for a parser that insists on them.
            if head.get(..PROTOCOL.len()).is_some_and(|start| start.eq_ignore_ascii_case(PROTOCOL)) {
                head[..PROTOCOL.len()].make_ascii_uppercase();
            }
            let head = head.freeze();
            let is_informational = Response::parse(&head).is_some_and(|head| (100..200).contains(&head.status));
            if !is_informational || !is_whole {
                return Ok(head);
            }
            len_bytes += end;
        }
    }

    /// Takes a line, without its end.
    async fn read_line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                return Ok(line.slice(..line.trim_ascii_end().len()));
            }
            if self.buffer.len() > MAX_CHUNK_LINE_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the size of a chunk is too long"));
            }
            if !self.read().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes up to `max_bytes`; nothing at the end of the connection.
    async fn read_bytes(&mut self, max_bytes: u64) -> io::Result<Bytes> {
        if self.buffer.is_empty() && !self.read().await? {
            return Ok(Bytes::new());
        }
        let len_bytes = self.buffer.len().min(usize::try_from(max_bytes).unwrap_or(usize::MAX));
        Ok(self.buffer.split_to(len_bytes).freeze())
    }
}

impl LenientBody {
    pub(crate) fn content_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(len_bytes) => Some(len_bytes),
            Framing::Chunks(_) | Framing::Close => None,
        }
    }

    pub(crate) fn is_close_delimited(&self) -> bool {
        self.framing == Framing::Close
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let left = match &mut self.framing {
            Framing::Close => {
                let bytes = self.connection.read_bytes(u64::MAX).await?;
                return Ok(Some(bytes).filter(|bytes| !bytes.is_empty()));
            }
            Framing::Length(0) => return Ok(None),
            Framing::Chunks(left @ 0) => {
                *left = self.connection.read_chunk_size().await?;
                if *left == 0 {
                    self.framing = Framing::Length(0);
                    return Ok(None);
                }
                left
            }
            Framing::Length(left) | Framing::Chunks(left) => left,
        };
        let bytes = self.connection.read_bytes(*left).await?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= bytes.len() as u64;
        Ok(Some(bytes))
    }
}

impl Connection {
    /// Reads the line with the size of the next chunk, behind the end of the chunk before.
    async fn read_chunk_size(&mut self) -> io::Result<u64> {
        let mut line = self.read_line().await?;
        if line.is_empty() {
            line = self.read_line().await?;
        }
        let line = String::from_utf8_lossy(&line);
        let size = line.split(';').next().unwrap_or("").trim();
        u64::from_str_radix(size, 16).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Where the empty line ends that ends a head.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if bytes[line_start..at].iter().all(|&byte| byte == b'\r') && line_start > 0 {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

/// Status and header fields of a head. Fields that the library's types cannot hold are left out, control characters too.
fn read_head(head: Bytes) -> Option<(StatusCode, HeaderMap)> {
    let head = Response::parse(&head)?;
    let status = StatusCode::from_u16(head.status).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in head.headers {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    // What the transfer was compressed with is undone by whoever undoes the content's coding; chunks are undone here.
    let transfer: Vec<String> =
        values(&headers, "transfer-encoding").split(',').map(|name| name.trim().to_owned()).collect();
    for name in transfer.iter().filter(|name| !["", "chunked", "identity"].contains(&name.as_str())) {
        if let Ok(name) = HeaderValue::try_from(name) {
            headers.append(CONTENT_ENCODING, name);
        }
    }
    Some((status, headers))
}

/// All values of a field, as if they were written as one, in lower case.
fn values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",").to_ascii_lowercase()
}

fn framing_of(status: StatusCode, headers: &HeaderMap) -> Framing {
    if matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Framing::Length(0);
    }
    if values(headers, "transfer-encoding").contains("chunked") {
        return Framing::Chunks(0);
    }
    let lengths = values(headers, "content-length");
    let mut lengths = lengths.split(',').map(|length| length.trim().parse::<u64>().ok());
    match lengths.next() {
        Some(Some(first)) if lengths.all(|length| length == Some(first)) => Framing::Length(first),
        _ => Framing::Close,
    }
}
