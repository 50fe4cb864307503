//! One request of a worker: for a link, or for the robots.txt that comes first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use records::Reason;
use reqwest::Client;
use url::Url;

use crate::address::Names;
use crate::exchange::{self, Page, Refusal, RequestKind, check_url, exchange};
use crate::hosts::{Claim, Fault, host_of};
use crate::network::Network;
use crate::robots::Answer;
use crate::shared::Shared;
use crate::worker::{CROWDED_PAUSE, Job, MAX_SLEEP};

/// A request at its end.
pub(crate) struct CompletedRequest {
    pub(crate) host: Box<str>,
    pub(crate) job: Job,
    pub(crate) end: End,
    pub(crate) took: Duration,
}

impl CompletedRequest {
    pub(crate) fn reachability(&self) -> Reachability {
        match &self.end {
            End::Answered(page) => Reachability::Answered(page.address),
            End::Rules(rules) => rules.reachability,
            End::Failed(refusal) => Reachability::of(refusal),
            End::NotAsked => Reachability::Inconclusive,
        }
    }
}

/// What a request shows of host and network.
#[derive(Clone, Copy)]
pub(crate) enum Reachability {
    /// The host answered, at this address if that is known.
    Answered(Option<SocketAddr>),
    /// Nothing that says anything of either.
    Inconclusive,
    /// There was no answer from anywhere.
    Silent,
}

impl Reachability {
    fn of(refusal: &Refusal) -> Reachability {
        if refusal.is_silence { Reachability::Silent } else { Reachability::Inconclusive }
    }
}

/// How a request ended.
pub(crate) enum End {
    /// Nothing was sent: the address has its share of requests already, or the fetch is to stop.
    NotAsked,
    /// The robots.txt was asked for, which comes first.
    Rules(RulesAnswer),
    /// The host answered for the link.
    Answered(Box<Page>),
    /// The host did not.
    Failed(Refusal),
}

/// What came of asking for a robots.txt.
pub(crate) struct RulesAnswer {
    pub(crate) answer: Answer,
    /// How long the host asks not to be asked.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) reachability: Reachability,
}

impl RulesAnswer {
    fn of_refusal(refusal: Refusal) -> RulesAnswer {
        let reachability = Reachability::of(&refusal);
        RulesAnswer { answer: Answer::Unreachable(refusal.reason, refusal.detail), retry_after: None, reachability }
    }

    fn absent() -> RulesAnswer {
        RulesAnswer { answer: Answer::Absent, retry_after: None, reachability: Reachability::Inconclusive }
    }
}

/// Sends a claimed host one request: for its robots.txt, if that is not known, else for the link.
pub(crate) async fn ask(
    shared: &Shared<'_>,
    client: Client,
    names: Names,
    host: Box<str>,
    job: Job,
) -> CompletedRequest {
    let started = Instant::now();
    let limit = Duration::from_millis(shared.settings.connect_timeout_ms);
    let url = job.url.clone();
    let answer = async {
        let addresses = match names.look_up(url.host_str().unwrap_or(""), limit).await {
            // That holds for all of the host's links: as rules do, so that it is not found out for each of them.
            Err(refusal) if refusal.reason == Reason::AddressRefused => {
                return Ok(End::Rules(RulesAnswer::of_refusal(refusal)));
            }
            other => other?,
        };
        if !shared.hosts.settle_address(&host, addresses[0], shared.limits()) {
            return Ok(End::NotAsked);
        }
        if shared.rules(&url).is_none() {
            return Ok(ask_robots(shared, &client, &names, &url).await?.map_or(End::NotAsked, End::Rules));
        }
        shared.monitor.requests.fetch_add(1, Relaxed);
        let page = exchange(&client, &url, RequestKind::Page, shared.settings, &shared.arriving_bytes).await;
        Ok(End::Answered(Box::new(page.map_err(|refusal| refusal.at(&addresses))?)))
    };
    let end = answer.await.unwrap_or_else(End::Failed);
    CompletedRequest { host, job, end, took: started.elapsed() }
}

/// An origin's robots.txt, redirects followed to any host; none when the fetch is to stop before. An error
/// is this machine's own.
async fn ask_robots(
    shared: &Shared<'_>,
    client: &Client,
    names: &Names,
    url: &Url,
) -> Result<Option<RulesAnswer>, Refusal> {
    let Ok(mut at) = url.join("/robots.txt") else { return Ok(Some(RulesAnswer::absent())) };
    // RFC 9309 asks for at least five redirects, which may lead to other hosts.
    for hop in 0..=5 {
        if hop > 0 && host_of(&at) == host_of(url) {
            tokio::time::sleep(shared.settings.min_delay()).await;
        }
        let page = match ask_robots_at(shared, client, names, url, &at).await {
            Err(refusal) if refusal.own_fault.is_some() => return Err(refusal),
            Err(refusal) => return Ok(Some(RulesAnswer::of_refusal(refusal))),
            Ok(Some(page)) => page,
            Ok(None) => return Ok(None),
        };
        let (retry_after, reachability) = (page.retry_after(), Reachability::Answered(page.address));
        let status = page.status.as_u16();
        let answer = match (status, page.target()) {
            (200..=299, _) => rules_text(page),
            (429 | 500.., _) => Answer::Unreachable(Reason::RobotsDisallowed, format!("status {status}")),
            (300..=399, Some(target)) => {
                at = target;
                continue;
            }
            _ => Answer::Absent,
        };
        return Ok(Some(RulesAnswer { answer, retry_after, reachability }));
    }
    Ok(Some(RulesAnswer::absent()))
}

/// The text of a robots.txt that came: its first half mebibyte, decoded, if no part of that is missing.
fn rules_text(page: Page) -> Answer {
    if let Some(cut) = page.cut {
        // What is missing may forbid what is there allows.
        let reason = if cut == exchange::Cut::Time { Reason::TimedOut } else { Reason::HttpFault };
        return Answer::Unreachable(reason, "it broke off".into());
    }
    // Asked for as it is; some servers compress all the same.
    match warc::http::decode_start(&page.body, &page.coding(), exchange::MAX_ROBOTS_BYTES) {
        Ok(plain) => Answer::Text(plain.unwrap_or(page.body)),
        Err(error) => Answer::Unreachable(Reason::RobotsDisallowed, error.to_string()),
    }
}

/// One hop on the way to a robots.txt; nothing when the fetch is to stop before. Another host is claimed for it, and
/// has its pause; who waits too long for it gives up, since two hosts could be waiting for each other.
async fn ask_robots_at(
    shared: &Shared<'_>,
    client: &Client,
    names: &Names,
    url: &Url,
    at: &Url,
) -> Result<Option<Page>, Refusal> {
    check_url(at)?;
    let limit = Duration::from_millis(shared.settings.connect_timeout_ms);
    let other = (host_of(at) != host_of(url)).then(|| host_of(at).to_owned());
    if let Some(other) = &other {
        let gives_up = Instant::now() + Duration::from_millis(shared.settings.page_timeout_ms);
        loop {
            if shared.is_ending() {
                return Ok(None);
            }
            let now = Instant::now();
            match shared.hosts.claim(other, shared.limits(), now) {
                Claim::Granted => break,
                Claim::Later(when) if when < gives_up => {
                    tokio::time::sleep_until(when.min(now + MAX_SLEEP).into()).await;
                }
                Claim::Crowded if now < gives_up => tokio::time::sleep(CROWDED_PAUSE).await,
                _ => return Err(Refusal::new(Reason::TimedOut, format!("{other}, where it is to be, is busy"))),
            }
        }
    }
    let page = async {
        let addresses = names.look_up(at.host_str().unwrap_or(""), limit).await?;
        shared.monitor.requests.fetch_add(1, Relaxed);
        let page = exchange(client, at, RequestKind::Robots, shared.settings, &shared.arriving_bytes).await;
        page.map_err(|refusal| refusal.at(&addresses))
    };
    let page = page.await;
    if let Some(other) = &other {
        let retry_after = page.as_ref().ok().and_then(Page::retry_after).unwrap_or_default();
        let rest = shared.settings.min_delay().max(retry_after.min(shared.settings.max_delay()));
        shared.hosts.release(other, Instant::now() + rest, Fault::Unknown);
    }
    page.map(Some)
}

/// Finds out whether an address that has answered before takes connections.
pub(crate) async fn probe(network: Arc<Network>, address: SocketAddr, limit: Duration) {
    match tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => network.answered(None),
        // A host that refuses is there.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => network.answered(None),
        _ => network.probe_failed(),
    }
}
