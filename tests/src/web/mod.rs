//! A web that follows a script: name server, HTTP over TCP and TLS, and the fetcher that is tried on it.
//!
//! The production rules on addresses run unmodified: the process starts itself again in a network namespace
//! where *every* address, IPv4 and IPv6, lies on the loopback device. Whatever the fetcher connects to, it
//! meets this web, which writes down by which address it was reached; so a connection that must not be made
//! is seen, and not only missed.
//!
//! Left out: HTTP/3, DNS over TCP, packets that get lost (see [`Web::deaf_port`] for a port that does not answer).

mod bodies;
mod client;
mod dns;
mod h2;
mod http;
mod tls;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, UdpSocket};

pub use bodies::{BROTLI_BOMB, gzip, gzip_bomb, html, noise, zstd};
pub use client::{
    Archived, Client, Ended, Running, check_archives, check_oracle, check_oracle_through, check_with_peers,
    cpu_of_children, outcomes, write_links,
};
pub use dns::Answer;
pub use h2::H2;
pub use http::{Script, Step, page, redirect, respond};
pub use tls::Tls;

const INSIDE: &str = "WEBTEXT_TEST_IN_NAMESPACE";
const BINARY: &str = "WEBTEXT_TEST_BINARY";

/// Where the fetcher finds the authority that the good certificates are of.
pub(crate) const AUTHORITY: &str = "authority.pem";

/// All addresses on the loopback device, and the name server of this web for every name.
const PREPARE: &str = r#"
set -e
ip link set lo up
ip route add local default dev lo
ip -6 route add local default dev lo 2>/dev/null || true
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
if [ -e /etc/nsswitch.conf ]; then mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf; fi
shift
exec "$@"
"#;

/// The binary under test: `WEBTEXT_TEST_BINARY` where it is set, as it is inside a namespace; for a program
/// that is no test, the one that was built beside it.
pub fn webtext() -> PathBuf {
    if let Some(binary) = std::env::var_os(BINARY) {
        return binary.into();
    }
    let program = std::env::current_exe().unwrap();
    let is_test = program.parent().unwrap().ends_with("deps");
    if is_test { crate::binary("webtext") } else { program.with_file_name("webtext") }
}

/// Starts this test, of this `module_path!()`, again inside a namespace; `true` when this process is already inside.
///
/// Skips with a printed reason where no namespace can be made ([`crate::run_inside`]).
pub fn inside_namespace(module: &str, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    crate::run_inside(module, test, &mut in_namespace(folder.path()));
    false
}

/// Starts this program again, with its arguments, inside a namespace; returns only there.
///
/// # Panics
/// Where no namespace can be made.
pub fn go_inside_namespace() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let status = in_namespace(folder.path()).args(std::env::args_os().skip(1)).status().unwrap();
    drop(folder);
    std::process::exit(status.code().unwrap_or(1));
}

/// The command that runs this program inside a namespace; `folder` holds what is laid over `/etc`.
fn in_namespace(folder: &std::path::Path) -> Command {
    std::fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n").unwrap();
    std::fs::write(folder.join("hosts"), "").unwrap();
    std::fs::write(folder.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-c", PREPARE, "sh"]).arg(folder);
    command.arg(std::env::current_exe().unwrap()).env(INSIDE, "1").env(BINARY, webtext());
    command
}

/// A request as it arrived, and which one for this page it is.
#[derive(Debug, Clone)]
pub struct Request {
    /// Host header (TLS: the name the client asked the certificate for), without a port.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Requests for this host and path so far, this one counted.
    pub visit: u32,
    /// The address and port by which the client came here.
    pub to: SocketAddr,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// The request's bytes up to the empty line; of HTTP/2, nothing.
    pub head: Vec<u8>,
}

impl Request {
    /// The first label of the host: `bomb` of `bomb.example`.
    pub fn label(&self) -> &str {
        self.host.split('.').next().unwrap_or("")
    }

    /// Whether this asks for robots.txt.
    pub fn is_robots(&self) -> bool {
        self.path == "/robots.txt"
    }
}

/// What the log holds of a request.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The request; its head is empty when the web does not keep heads.
    pub request: Request,
    /// When its last byte had come.
    pub begun: Instant,
    /// When the answer was out, or the client gone.
    pub ended: Option<Instant>,
}

/// What happened so far.
#[derive(Default)]
struct Log {
    visits: Vec<Visit>,
    /// Requests by host and path.
    times: HashMap<(String, String), u32>,
    /// Every connection, with or without a request, by the address that it was made to.
    connections: HashMap<SocketAddr, u64>,
    lookups: HashMap<String, u32>,
}

type Names = dyn Fn(&str) -> Answer + Send + Sync;
type Pages = dyn Fn(&Request) -> Script + Send + Sync;
type Secrets = dyn Fn(&str) -> Tls + Send + Sync;

/// What all connections share.
struct Shared {
    log: Mutex<Log>,
    names: Box<Names>,
    pages: Box<Pages>,
    secrets: Box<Secrets>,
    authority: tls::Authority,
    keeps_heads: bool,
    counts_only: AtomicBool,
}

/// How a web is made. Only the pages have no default.
pub struct Builder {
    names: Box<Names>,
    secrets: Box<Secrets>,
    ports: Vec<u16>,
    keeps_heads: bool,
}

/// A running web; it ends with the process.
pub struct Web {
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
    deaf: Mutex<Vec<std::net::TcpStream>>,
}

impl Builder {
    /// Answers names by this rule; without it, [`numbered`] does.
    pub fn names(mut self, names: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Builder {
        self.names = Box::new(names);
        self
    }

    /// Does TLS by this rule on port 443; without it, all certificates are good.
    pub fn secrets(mut self, secrets: impl Fn(&str) -> Tls + Send + Sync + 'static) -> Builder {
        self.secrets = Box::new(secrets);
        self
    }

    /// Listens to HTTP on these ports beside 80.
    pub fn ports(mut self, ports: &[u16]) -> Builder {
        self.ports.extend(ports);
        self
    }

    /// Does not keep the bytes of requests: for runs of hundreds of thousands.
    pub fn without_heads(mut self) -> Builder {
        self.keeps_heads = false;
        self
    }

    /// Starts the web; `pages` says what each request is answered with.
    pub fn start(self, pages: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Web {
        assert!(std::env::var_os(INSIDE).is_some(), "a web lives in a namespace");
        let folder = tempfile::tempdir().unwrap();
        let authority = tls::Authority::new();
        std::fs::write(folder.path().join(AUTHORITY), authority.certificate_pem()).unwrap();
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            names: self.names,
            pages: Box::new(pages),
            secrets: self.secrets,
            authority,
            keeps_heads: self.keeps_heads,
            counts_only: AtomicBool::new(false),
        });
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (its, ports) = (shared.clone(), self.ports);
        std::thread::Builder::new()
            .name("web".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
                    tokio::spawn(dns::serve(its.clone(), socket));
                    for port in ports {
                        tokio::spawn(http::serve(its.clone(), listener(port)));
                    }
                    tokio::spawn(tls::serve(its.clone(), listener(443)));
                    ready.send(()).unwrap();
                    std::future::pending::<()>().await;
                });
            })
            .unwrap();
        is_ready.recv().unwrap();
        Web { shared, folder, deaf: Mutex::default() }
    }
}

/// A listener on every address of both families, or of IPv4 where a machine has no IPv6.
fn listener(port: u16) -> TcpListener {
    let bound = |socket: std::io::Result<TcpSocket>, any: IpAddr| {
        let socket = socket?;
        socket.set_reuseaddr(true)?;
        socket.bind((any, port).into())?;
        socket.listen(4096)
    };
    bound(TcpSocket::new_v6(), Ipv6Addr::UNSPECIFIED.into())
        .or_else(|_| bound(TcpSocket::new_v4(), Ipv4Addr::UNSPECIFIED.into()))
        .unwrap()
}

impl Web {
    /// A web whose names are [`numbered`], whose certificates are good, on the ports 80 and 443.
    pub fn builder() -> Builder {
        Builder {
            names: Box::new(|name| numbered(name, 1 << 16)),
            secrets: Box::new(|_| Tls::Good),
            ports: vec![80],
            keeps_heads: true,
        }
    }

    /// All requests so far, in the order in which they came.
    pub fn visits(&self) -> Vec<Visit> {
        self.shared.log.lock().unwrap().visits.clone()
    }

    /// How many requests for pages came so far: all but those for robots.txt.
    pub fn pages_asked(&self) -> usize {
        self.shared.log.lock().unwrap().visits.iter().filter(|visit| !visit.request.is_robots()).count()
    }

    /// How often each address and port was connected to.
    pub fn connections(&self) -> HashMap<SocketAddr, u64> {
        self.shared.log.lock().unwrap().connections.clone()
    }

    /// How often the name server was asked for the IPv4 addresses of a name.
    pub fn lookups(&self, name: &str) -> u32 {
        self.shared.log.lock().unwrap().lookups.get(name).copied().unwrap_or(0)
    }

    /// From now on requests are counted and not logged: for measurements of speed.
    pub fn count_only(&self) {
        self.shared.counts_only.store(true, Ordering::Relaxed);
    }

    /// The certificate of the authority, for `SSL_CERT_FILE`.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY)
    }

    /// Makes a port deaf: it takes no connection and refuses none, since its queue is full.
    pub fn deaf_port(&self, port: u16) {
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind((Ipv4Addr::UNSPECIFIED, port).into()).unwrap();
                let _listener = socket.listen(1).unwrap();
                ready.send(()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        is_ready.recv().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            self.deaf.lock().unwrap().push(stream);
        }
    }
}

impl Shared {
    fn connected(&self, to: SocketAddr) {
        *self.log.lock().unwrap().connections.entry(unmapped(to)).or_default() += 1;
    }

    /// Notes a request; returns it with its number, and its place in the log.
    fn arrived(&self, mut request: Request) -> (Request, usize) {
        let begun = Instant::now();
        let mut log = self.log.lock().unwrap();
        if self.counts_only.load(Ordering::Relaxed) {
            request.visit = 1;
            return (request, usize::MAX);
        }
        let times = log.times.entry((request.host.clone(), request.path.clone())).or_default();
        *times += 1;
        request.visit = *times;
        request.to = unmapped(request.to);
        let mut noted = request.clone();
        if !self.keeps_heads {
            noted.head = Vec::new();
        }
        log.visits.push(Visit { request: noted, begun, ended: None });
        (request, log.visits.len() - 1)
    }

    fn ended(&self, place: usize) {
        // What is only counted has no place.
        if let Some(visit) = self.log.lock().unwrap().visits.get_mut(place) {
            visit.ended.get_or_insert_with(Instant::now);
        }
    }
}

/// An IPv4 address that came in an IPv6 one is itself.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Gives the names `h0.example`, `h1.example` … this many addresses in turn, up to 65,536 of them, and other
/// names one by their hash. No name is missing.
pub fn numbered(name: &str, addresses: u32) -> Answer {
    let label = name.split('.').next().unwrap_or("");
    let number = label.strip_prefix('h').and_then(|digits| digits.parse::<u32>().ok());
    let number = number.unwrap_or_else(|| xxhash_rust::xxh3::xxh3_64(name.as_bytes()) as u32);
    let [a, b] = ((number % addresses) as u16).to_be_bytes();
    Answer::addresses([IpAddr::V4(Ipv4Addr::new(151, 101, a, b))])
}

/// The address of a name where each has its own.
pub fn address_of(name: &str) -> IpAddr {
    match numbered(name, 1 << 16) {
        Answer::Addresses(addresses) => addresses[0],
        other => unreachable!("{name}: {other:?}"),
    }
}
