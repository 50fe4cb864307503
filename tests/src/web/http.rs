//! HTTP/1.1 as the script says: bytes, pauses and ends of connections, good or not.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::{Request, Shared};

/// No client of good will sends a longer head.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// One thing that a server does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes as fast as the client takes them.
    Send(Vec<u8>),
    /// Sends bytes a few at a time.
    Trickle {
        /// What.
        bytes: Vec<u8>,
        /// How many.
        at_a_time: usize,
        /// How often.
        every: Duration,
    },
    /// Sends the same bytes again and again until the client is gone.
    Endless(Vec<u8>),
    /// Does nothing for a while.
    Sleep(Duration),
    /// Sends nothing more, and waits until the client is gone.
    Hang,
    /// Ends the connection by a reset.
    Reset,
    /// Drops the connection without the farewell that TLS asks for.
    Drop,
    /// The answer is complete and the connection stays open for the next request.
    KeepAlive,
}

/// How one request is answered. A script without another end closes the connection.
pub type Script = Vec<Step>;

/// A complete response that closes the connection; `headers` are lines with their ends.
pub fn respond(status: &str, headers: &str, body: &[u8]) -> Script {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// An HTML page.
pub fn page(body: &[u8]) -> Script {
    respond("200 OK", "Content-Type: text/html\r\n", body)
}

/// A redirect.
pub fn redirect(location: &str) -> Script {
    respond("302 Found", &format!("Location: {location}\r\n"), b"")
}

/// A connection with or without TLS.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Connection for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Accepts for ever; a connection is written down before anything of it is read.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    accept(shared, listener, |shared, stream, to| async move {
        answer(&shared, stream, to, None).await;
    })
    .await;
}

pub(super) async fn accept<F, Work>(shared: Arc<Shared>, listener: TcpListener, work: F)
where
    F: Fn(Arc<Shared>, TcpStream, SocketAddr) -> Work,
    Work: Future<Output = ()> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: the ones that are open end sooner or later.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(to) = stream.local_addr() else { continue };
        shared.connected(to);
        let _ = stream.set_nodelay(true);
        tokio::spawn(work(shared.clone(), stream, to));
    }
}

/// How a connection stands after a script.
enum End {
    /// The next request may come.
    Open,
    /// It is to be closed in order.
    Close,
    /// It is cut: nothing more is sent, not even a farewell.
    Cut,
}

/// Answers the requests of one connection; `name` is the one the certificate was asked for.
pub(super) async fn answer(shared: &Shared, mut stream: impl Connection, to: SocketAddr, name: Option<String>) {
    let mut read = Vec::new();
    while let Some(head) = next_head(&mut stream, &mut read).await {
        let Some(request) = parse(head, to, name.as_deref()) else { return };
        let (request, place) = shared.arrived(request);
        let end = play(&mut stream, (shared.pages)(&request)).await;
        if let End::Close = end {
            let _ = stream.shutdown().await;
        }
        shared.ended(place);
        if !matches!(end, End::Open) {
            return;
        }
    }
}

/// The bytes up to an empty line; what was read behind it stays in `read`.
async fn next_head(stream: &mut impl Connection, read: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Some(std::mem::replace(read, rest));
        }
        if read.len() > MAX_HEAD_BYTES || stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse(head: Vec<u8>, to: SocketAddr, name: Option<&str>) -> Option<Request> {
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.split("\r\n");
    let path = lines.next()?.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let host = fields.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.trim()).next()?;
    // An IPv6 literal has colons of its own.
    let host = if host.starts_with('[') { host } else { host.split(':').next()? };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    Some(Request { host, path, visit: 0, to, is_tls: name.is_some(), head })
}

/// Does what the script says.
async fn play(stream: &mut impl Connection, script: Script) -> End {
    for step in script {
        let went_well = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
            Step::Trickle { bytes, at_a_time, every } => trickle(stream, &bytes, at_a_time, every).await,
            Step::Endless(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {
                    // Others get their turn, though the client takes everything.
                    tokio::task::yield_now().await;
                }
                false
            }
            Step::Sleep(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            Step::Hang => {
                let mut ignored = [0; 1024];
                while stream.read(&mut ignored).await.is_ok_and(|len| len > 0) {}
                false
            }
            Step::Reset => {
                let _ = stream.tcp().set_zero_linger();
                false
            }
            Step::Drop => false,
            Step::KeepAlive => return End::Open,
        };
        if !went_well {
            return End::Cut;
        }
    }
    End::Close
}

async fn trickle(stream: &mut impl Connection, bytes: &[u8], at_a_time: usize, every: Duration) -> bool {
    for some in bytes.chunks(at_a_time) {
        if stream.write_all(some).await.is_err() || stream.flush().await.is_err() {
            return false;
        }
        tokio::time::sleep(every).await;
    }
    true
}
