//! The hosts being crawled: when each may be requested again, whether a request is in flight, and its rules.
//!
//! All workers of a process share the registry, and so do the tasks of a pipeline. A caller claims a host before each
//! request, so that two requests to it never overlap, whatever list or redirect led there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use url::{Position, Url};

use crate::robots::RobotsRules;

/// After this many hosts have no links left, idle ones are removed.
const MAX_LEFT_HOSTS: usize = 20_000;

/// The host name under which requests are paced, whatever the scheme, port or user of the URL; without a final dot.
pub(crate) fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or("").trim_end_matches('.')
}

/// Scheme, host and port: the scope of a robots.txt.
pub(crate) fn origin_of(url: &Url) -> &str {
    // A user in the URL is no part of an origin, but such URLs are rare and cost one more robots.txt at worst.
    &url[..Position::BeforePath]
}

/// Registrable domain, by the public-suffix list.
fn domain_of(host: &str) -> &str {
    public_suffix::registrable_domain(host).unwrap_or(host)
}

#[derive(Debug)]
struct Host {
    /// Workers that have links of it.
    queues: u32,
    is_claimed: bool,
    next_allowed: Instant,
    consecutive_faults: u32,
    address: Option<IpAddr>,
    rules: HashMap<Box<str>, (Arc<RobotsRules>, Instant)>,
}

/// The registry's content.
#[derive(Default)]
struct Known {
    hosts: HashMap<Box<str>, Host>,
    /// Requests in flight, by domain and by address.
    domains: HashMap<Box<str>, u32>,
    addresses: HashMap<IpAddr, u32>,
    left_since_sweep: usize,
    /// No host may be requested before this time.
    opens_at: Option<Instant>,
}

/// The hosts of a process.
#[derive(Default)]
pub(crate) struct HostRegistry {
    known: Mutex<Known>,
}

/// The result of a claim.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The caller may send one request, and must then release the host.
    Granted,
    /// The host may be claimed from this time on.
    Later(Instant),
    /// The host, its domain or its address has the maximum number of requests in flight.
    Crowded,
    /// The host has had this many consecutive faults and is given up.
    GivenUp(u32),
}

/// Limits on requests in flight, and on the faults of a host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostLimits {
    pub(crate) max_requests_per_domain: u32,
    pub(crate) max_requests_per_address: u32,
    pub(crate) max_consecutive_faults: u32,
}

impl HostRegistry {
    /// Claims the right to send a host one request.
    pub(crate) fn claim(&self, name: &str, limits: HostLimits, now: Instant) -> Claim {
        let mut known = self.known();
        let Known { hosts, domains, addresses, opens_at, .. } = &mut *known;
        if let Some(opens_at) = opens_at.filter(|opens_at| *opens_at > now) {
            return Claim::Later(opens_at);
        }
        let host = hosts.entry(name.into()).or_insert_with(|| Host::new(now));
        if host.consecutive_faults >= limits.max_consecutive_faults {
            return Claim::GivenUp(host.consecutive_faults);
        }
        if host.next_allowed > now {
            return Claim::Later(host.next_allowed);
        }
        if host.is_claimed {
            return Claim::Crowded;
        }
        let domain = domain_of(name);
        let of_domain = domains.get(domain).copied().unwrap_or(0);
        let of_address = host.address.and_then(|address| addresses.get(&address).copied()).unwrap_or(0);
        if of_domain >= limits.max_requests_per_domain || of_address >= limits.max_requests_per_address {
            return Claim::Crowded;
        }
        *domains.entry(domain.into()).or_default() += 1;
        if let Some(address) = host.address {
            *addresses.entry(address).or_default() += 1;
        }
        host.is_claimed = true;
        Claim::Granted
    }

    /// Notes the address of a claimed host. Returns `false` if the address has its maximum of requests already; the claim
    /// must then be released and made again later.
    pub(crate) fn settle_address(&self, name: &str, address: IpAddr, limits: HostLimits) -> bool {
        let mut known = self.known();
        let Known { hosts, addresses, .. } = &mut *known;
        let host = hosts.get_mut(name).expect("a claimed host is known");
        if host.address == Some(address) {
            return true;
        }
        if let Some(before) = host.address.replace(address) {
            decrement(addresses, &before);
        }
        let count = addresses.entry(address).or_default();
        *count += 1;
        *count <= limits.max_requests_per_address
    }

    /// Ends a claim: the host may not be requested before `next_allowed`. Returns its consecutive faults.
    pub(crate) fn release(&self, name: &str, next_allowed: Instant, health: HostHealth) -> u32 {
        let mut known = self.known();
        let Known { hosts, domains, addresses, .. } = &mut *known;
        let host = hosts.get_mut(name).expect("a claimed host is known");
        host.is_claimed = false;
        host.next_allowed = host.next_allowed.max(next_allowed);
        match health {
            HostHealth::Good => host.consecutive_faults = 0,
            HostHealth::Failed => host.consecutive_faults += 1,
            HostHealth::Unknown => {}
        }
        decrement(domains, domain_of(name));
        if let Some(address) = host.address {
            decrement(addresses, &address);
        }
        host.consecutive_faults
    }

    /// Faults of a host since its last good answer.
    pub(crate) fn consecutive_faults(&self, name: &str) -> u32 {
        self.known().hosts.get(name).map_or(0, |host| host.consecutive_faults)
    }

    /// Lets no host be requested before this time: an earlier process may have requested any of them just before it
    /// ended.
    pub(crate) fn open_at(&self, moment: Instant) {
        self.known().opens_at = Some(moment);
    }

    /// Restores when a host may be requested, and its consecutive faults, from an earlier process.
    pub(crate) fn restore(&self, name: &str, next_allowed: Instant, consecutive_faults: u32) {
        let mut known = self.known();
        if !known.hosts.contains_key(name) && consecutive_faults == 0 && next_allowed <= Instant::now() {
            return;
        }
        let host = known.hosts.entry(name.into()).or_insert_with(|| Host::new(next_allowed));
        host.next_allowed = host.next_allowed.max(next_allowed);
        host.consecutive_faults = consecutive_faults;
    }

    /// The rules of a URL's origin, if they are known and still valid.
    pub(crate) fn rules(&self, url: &Url) -> Option<Arc<RobotsRules>> {
        let known = self.known();
        let (rules, until) = known.hosts.get(host_of(url))?.rules.get(origin_of(url))?;
        (*until > Instant::now()).then(|| rules.clone())
    }

    /// Sets the rules of a URL's origin, valid until this time.
    pub(crate) fn set_rules(&self, url: &Url, rules: RobotsRules, until: Instant) {
        let mut known = self.known();
        let host = known.hosts.entry(host_of(url).into()).or_insert_with(|| Host::new(Instant::now()));
        host.rules.insert(origin_of(url).into(), (Arc::new(rules), until));
    }

    /// Notes that a worker has links of a host, which keeps the host in the registry.
    pub(crate) fn enter(&self, name: &str) {
        self.known().hosts.entry(name.into()).or_insert_with(|| Host::new(Instant::now())).queues += 1;
    }

    /// Notes that a worker has no more links of a host. Now and then this removes idle hosts, whose names it returns; if a
    /// redirect leads to one again, its robots.txt is requested again.
    pub(crate) fn leave(&self, name: &str) -> Vec<Box<str>> {
        let mut known = self.known();
        if let Some(host) = known.hosts.get_mut(name) {
            host.queues -= 1;
        }
        known.left_since_sweep += 1;
        if known.left_since_sweep < MAX_LEFT_HOSTS {
            return Vec::new();
        }
        known.left_since_sweep = 0;
        let now = Instant::now();
        let is_idle = |host: &Host| host.queues == 0 && !host.is_claimed && host.next_allowed <= now;
        let idle = known.hosts.extract_if(|_, host| is_idle(host));
        idle.map(|(name, _)| name).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no thread panics with it")
    }
}

/// What a request shows of its host's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostHealth {
    /// The host works.
    Good,
    /// The host had a fault.
    Failed,
    /// Nothing: no request was sent, or it was a retry of a link that failed before.
    Unknown,
}

impl Host {
    fn new(next_allowed: Instant) -> Host {
        Host { queues: 0, is_claimed: false, next_allowed, consecutive_faults: 0, address: None, rules: HashMap::new() }
    }
}

/// Counts one request less; an entry without requests is removed.
fn decrement<K: std::hash::Hash + Eq + std::borrow::Borrow<Q>, Q: std::hash::Hash + Eq + ?Sized>(
    counts: &mut HashMap<K, u32>,
    key: &Q,
) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: HostLimits =
        HostLimits { max_requests_per_domain: 2, max_requests_per_address: 3, max_consecutive_faults: 2 };

    /// `g` granted, `l` later, `x` given up.
    fn claims(hosts: &HostRegistry, names: &[&str], now: Instant) -> String {
        let letter = |name: &&str| match hosts.claim(name, LIMITS, now) {
            Claim::Granted => 'g',
            Claim::Later(_) | Claim::Crowded => 'l',
            Claim::GivenUp(_) => 'x',
        };
        names.iter().map(letter).collect()
    }

    #[test]
    fn a_host_has_one_claim_and_a_pause() {
        let (hosts, now) = (HostRegistry::default(), Instant::now());
        assert_eq!(claims(&hosts, &["a.com", "a.com"], now), "gl");
        hosts.release("a.com", now + Duration::from_secs(2), HostHealth::Good);
        assert_eq!(claims(&hosts, &["a.com"], now + Duration::from_secs(1)), "l");
        assert_eq!(claims(&hosts, &["a.com"], now + Duration::from_secs(2)), "g");
    }

    #[test]
    fn domains_and_addresses_have_limits() {
        let (hosts, now) = (HostRegistry::default(), Instant::now());
        assert_eq!(claims(&hosts, &["x.a.com", "y.a.com", "z.a.com", "b.com"], now), "gglg");
        hosts.release("x.a.com", now, HostHealth::Good);
        assert_eq!(claims(&hosts, &["z.a.com"], now), "g");
        let address: IpAddr = "93.184.216.34".parse().unwrap();
        let settled: Vec<bool> =
            ["y.a.com", "z.a.com", "b.com"].iter().map(|name| hosts.settle_address(name, address, LIMITS)).collect();
        assert_eq!(settled, [true, true, true]);
        assert_eq!(claims(&hosts, &["c.com"], now), "g");
        assert!(!hosts.settle_address("c.com", address, LIMITS));
        hosts.release("c.com", now, HostHealth::Unknown);
        // Its address is known now, and limits the claim itself.
        assert_eq!(claims(&hosts, &["c.com"], now), "l");
        hosts.release("b.com", now, HostHealth::Good);
        assert_eq!(claims(&hosts, &["c.com"], now), "g");
    }

    #[test]
    fn a_host_with_too_many_faults_is_given_up() {
        let (hosts, now) = (HostRegistry::default(), Instant::now());
        for _ in 0..2 {
            assert_eq!(claims(&hosts, &["a.com"], now), "g");
            hosts.release("a.com", now, HostHealth::Failed);
        }
        assert_eq!(claims(&hosts, &["a.com"], now), "x");
    }

    #[test]
    fn rules_belong_to_an_origin_and_expire() {
        let hosts = HostRegistry::default();
        let url = |text: &str| Url::parse(text).unwrap();
        let soon = Instant::now() + Duration::from_secs(60);
        hosts.set_rules(&url("http://a.com/x"), RobotsRules::AllowAll, soon);
        assert!(hosts.rules(&url("http://a.com/y")).is_some());
        assert!(hosts.rules(&url("https://a.com/y")).is_none());
        assert!(hosts.rules(&url("http://a.com:81/y")).is_none());
        hosts.set_rules(&url("http://a.com/x"), RobotsRules::AllowAll, Instant::now());
        assert!(hosts.rules(&url("http://a.com/y")).is_none());
    }
}
