//! One request of a worker: for a link, or for the robots.txt that must come first.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use records::Reason;

use crate::address::PinnedResolver;
use crate::exchange::{RequestKind, Target, exchange};
use crate::host_queues::Job;
use crate::http_client::HttpClient;
use crate::network::Network;
use crate::page::Page;
use crate::refusal::Refusal;
use crate::robots_request::{RobotsReply, request_robots};
use crate::shared::Shared;

/// A finished request.
pub(crate) struct CompletedRequest {
    pub(crate) host: Box<str>,
    pub(crate) job: Job,
    pub(crate) end: RequestEnd,
    pub(crate) took: Duration,
}

/// How a request ended.
pub(crate) enum RequestEnd {
    /// Nothing was sent: the address has its maximum of requests in flight, or the crawl is ending.
    NotSent,
    /// The host's robots.txt was requested first.
    Robots(RobotsReply),
    /// The host answered the link's request.
    Answered(Box<Page>),
    /// There was no usable answer.
    Failed(Refusal),
}

impl fmt::Display for RequestEnd {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestEnd::NotSent => write!(to, "not sent"),
            RequestEnd::Robots(reply) => write!(to, "first robots.txt: {}", reply.answer),
            RequestEnd::Answered(page) => write!(to, "status {}, {} bytes", page.status.as_u16(), page.body.len()),
            RequestEnd::Failed(refusal) => write!(to, "{}: {}", refusal.reason, refusal.detail),
        }
    }
}

/// What a request shows about host and network.
#[derive(Clone, Copy)]
pub(crate) enum Reachability {
    /// The host answered, at this address if it is known.
    Answered(Option<SocketAddr>),
    /// Nothing about either.
    Inconclusive,
    /// Nothing answered at all.
    Silent,
}

impl CompletedRequest {
    pub(crate) fn reachability(&self) -> Reachability {
        match &self.end {
            RequestEnd::Answered(page) => Reachability::Answered(page.address),
            RequestEnd::Robots(reply) => reply.reachability,
            RequestEnd::Failed(refusal) => Reachability::of(refusal),
            RequestEnd::NotSent => Reachability::Inconclusive,
        }
    }
}

impl Reachability {
    pub(crate) fn of(refusal: &Refusal) -> Reachability {
        if refusal.is_silence { Reachability::Silent } else { Reachability::Inconclusive }
    }
}

/// Sends a claimed host one request: for its robots.txt if the rules are unknown, otherwise for the link.
pub(crate) async fn request(
    shared: &Shared<'_>,
    client: HttpClient,
    resolver: PinnedResolver,
    host: Box<str>,
    job: Job,
) -> CompletedRequest {
    let started = Instant::now();
    let end = request_link(shared, &client, &resolver, &host, &job).await.unwrap_or_else(RequestEnd::Failed);
    CompletedRequest { host, job, end, took: started.elapsed() }
}

async fn request_link(
    shared: &Shared<'_>,
    client: &HttpClient,
    resolver: &PinnedResolver,
    host: &str,
    job: &Job,
) -> Result<RequestEnd, Refusal> {
    let timeout = Duration::from_millis(shared.settings.connect_timeout_ms);
    let addresses = match resolver.look_up(job.url.host_str().unwrap_or(""), timeout).await {
        // This applies to every link of the host. As rules of its origin, it is found out only once.
        Err(refusal) if refusal.reason == Reason::AddressRefused => {
            return Ok(RequestEnd::Robots(RobotsReply::of_refusal(refusal)));
        }
        other => other?,
    };
    if !shared.hosts.settle_address(host, addresses[0], shared.limits()) {
        return Ok(RequestEnd::NotSent);
    }
    if shared.rules(&job.url).is_none() {
        let reply = request_robots(shared, client, resolver, &job.url, job.reading).await?;
        return Ok(reply.map_or(RequestEnd::NotSent, RequestEnd::Robots));
    }
    shared.monitor.requests.fetch_add(1, Relaxed);
    let target = Target { url: &job.url, kind: RequestKind::Page, reading: job.reading, addresses: &addresses };
    let page = exchange(client, target, shared.settings, &shared.arriving_bytes).await?;
    Ok(RequestEnd::Answered(Box::new(page)))
}

/// Probes the network: tests whether an address that has answered before accepts a connection.
pub(crate) async fn probe(network: Arc<Network>, address: SocketAddr, timeout: Duration) {
    match tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => network.answered(None),
        // A refused connection is an answer, too.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => network.answered(None),
        _ => network.probe_failed(),
    }
}
