//! Requests an origin's robots.txt, following redirects to other hosts, each under its own claim and pause.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use records::Reason;
use url::Url;

use crate::address::PinnedResolver;
use crate::exchange::{MAX_ROBOTS_BODY_BYTES, RequestKind, Target, exchange};
use crate::host_queues::{CROWDED_PAUSE, MAX_SLEEP};
use crate::host_registry::{Claim, HostHealth, host_of};
use crate::http_client::{HttpClient, Reading};
use crate::page::{Page, Truncation};
use crate::refusal::Refusal;
use crate::request::Reachability;
use crate::robots::RobotsAnswer;
use crate::shared::Shared;
use crate::target_url::check_url;

/// Redirects that are followed, to any host. RFC 9309, section 2.3.1.2, asks for at least five.
const MAX_REDIRECTS: usize = 5;

/// The result of requesting a robots.txt.
pub(crate) struct RobotsReply {
    pub(crate) answer: RobotsAnswer,
    /// `Retry-After` of a busy host.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) reachability: Reachability,
    /// Whether an answer could not be read, and may be with more leniency.
    pub(crate) is_unreadable: bool,
}

impl RobotsReply {
    pub(crate) fn of_refusal(refusal: Refusal) -> RobotsReply {
        let reachability = Reachability::of(&refusal);
        RobotsReply {
            answer: RobotsAnswer::Unreachable(refusal.reason, refusal.detail),
            retry_after: None,
            reachability,
            is_unreadable: refusal.is_unreadable,
        }
    }

    fn new(answer: RobotsAnswer, retry_after: Option<Duration>, reachability: Reachability) -> RobotsReply {
        RobotsReply { answer, retry_after, reachability, is_unreadable: false }
    }

    fn absent() -> RobotsReply {
        RobotsReply::new(RobotsAnswer::Absent, None, Reachability::Inconclusive)
    }
}

/// Requests the robots.txt of a URL's origin; `None` if the crawl ends before that.
///
/// # Errors
/// Faults of this machine; those of hosts are in the reply.
pub(crate) async fn request_robots(
    shared: &Shared<'_>,
    client: &HttpClient,
    resolver: &PinnedResolver,
    url: &Url,
    reading: Reading,
) -> Result<Option<RobotsReply>, Refusal> {
    let Ok(mut at) = url.join("/robots.txt") else { return Ok(Some(RobotsReply::absent())) };
    for hop in 0..=MAX_REDIRECTS {
        if hop > 0 && host_of(&at) == host_of(url) {
            tokio::time::sleep(shared.settings.min_delay()).await;
        }
        let page = match request_hop(shared, client, resolver, url, Hop { at: &at, reading }).await {
            Err(refusal) if refusal.local_fault.is_some() => return Err(refusal),
            Err(refusal) => return Ok(Some(RobotsReply::of_refusal(refusal))),
            Ok(Some(page)) => page,
            Ok(None) => return Ok(None),
        };
        let (retry_after, reachability) = (page.retry_after(), Reachability::Answered(page.address));
        let status = page.status.as_u16();
        let answer = match (status, page.redirect_target()) {
            (200..=299, _) => rules_text(page),
            (429 | 500.., _) => RobotsAnswer::Unreachable(Reason::RobotsDisallowed, format!("status {status}")),
            (300..=399, Some(target)) => {
                at = target;
                continue;
            }
            _ => RobotsAnswer::Absent,
        };
        return Ok(Some(RobotsReply::new(answer, retry_after, reachability)));
    }
    Ok(Some(RobotsReply::absent()))
}

/// The first half mebibyte of a robots.txt, decoded.
fn rules_text(page: Page) -> RobotsAnswer {
    if let Some(truncation) = page.truncation {
        // The part that is missing may forbid what the rest allows.
        let reason = if truncation == Truncation::Time { Reason::TimedOut } else { Reason::HttpFault };
        return RobotsAnswer::Unreachable(reason, "it broke off".into());
    }
    // It was requested without a content coding, but some servers compress all the same.
    match page.decoded_start(MAX_ROBOTS_BODY_BYTES) {
        Ok(plain) => RobotsAnswer::Text(plain.into_owned()),
        Err(error) => RobotsAnswer::Unreachable(Reason::RobotsDisallowed, error.to_string()),
    }
}

/// One URL on the way to a robots.txt.
#[derive(Clone, Copy)]
struct Hop<'u> {
    at: &'u Url,
    reading: Reading,
}

/// Requests one URL on the way to the robots.txt of `url`; `None` if the crawl ends before that. A host other than that
/// of `url` is claimed for the request.
async fn request_hop(
    shared: &Shared<'_>,
    client: &HttpClient,
    resolver: &PinnedResolver,
    url: &Url,
    hop: Hop<'_>,
) -> Result<Option<Page>, Refusal> {
    let at = hop.at;
    check_url(at)?;
    let other = (host_of(at) != host_of(url)).then(|| host_of(at));
    if let Some(other) = other
        && !claim(shared, other).await?
    {
        return Ok(None);
    }
    let page = send(shared, client, resolver, hop).await;
    if let Some(other) = other {
        let retry_after = page.as_ref().ok().and_then(Page::retry_after).unwrap_or_default();
        let rest = shared.settings.min_delay().max(retry_after.min(shared.settings.max_delay()));
        shared.hosts.release(other, Instant::now() + rest, HostHealth::Unknown);
    }
    page.map(Some)
}

/// Waits for the claim of another host; `false` if the crawl ends before that. The wait is bounded, because two hosts
/// could redirect to each other and wait forever.
async fn claim(shared: &Shared<'_>, host: &str) -> Result<bool, Refusal> {
    let gives_up = Instant::now() + Duration::from_millis(shared.settings.page_timeout_ms);
    loop {
        if shared.is_ending() {
            return Ok(false);
        }
        let now = Instant::now();
        match shared.hosts.claim(host, shared.limits(), now) {
            Claim::Granted => return Ok(true),
            Claim::Later(when) if when < gives_up => {
                tokio::time::sleep_until(when.min(now + MAX_SLEEP).into()).await;
            }
            Claim::Crowded if now < gives_up => tokio::time::sleep(CROWDED_PAUSE).await,
            _ => return Err(Refusal::new(Reason::TimedOut, format!("it redirects to {host}, which is busy"))),
        }
    }
}

async fn send(
    shared: &Shared<'_>,
    client: &HttpClient,
    resolver: &PinnedResolver,
    hop: Hop<'_>,
) -> Result<Page, Refusal> {
    let timeout = Duration::from_millis(shared.settings.connect_timeout_ms);
    let addresses = resolver.look_up(hop.at.host_str().unwrap_or(""), timeout).await?;
    shared.monitor.requests.fetch_add(1, Relaxed);
    let target = Target { url: hop.at, kind: RequestKind::Robots, reading: hop.reading, addresses: &addresses };
    exchange(client, target, shared.settings, &shared.arriving_bytes).await
}
