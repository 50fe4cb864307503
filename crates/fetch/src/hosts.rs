//! What is known of each host that is under way: when it may be asked again, who is asking it now, its rules.
//!
//! All workers of a process share it, and so do tasks of a pipeline: a caller claims a host before it asks it,
//! so two requests to it never overlap, whatever list or redirect led there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use url::{Position, Url};

use crate::robots::Rules;

/// After so many hosts were left, those whose pause is over are forgotten.
const MAX_LEFT_HOSTS: usize = 20_000;

/// The name under which a host has its pause, whatever scheme, port or user a URL gives with it: without a dot at
/// the end.
pub(crate) fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or("").trim_end_matches('.')
}

/// Scheme, host and port: what a robots.txt speaks for.
pub(crate) fn origin_of(url: &Url) -> &str {
    // A user in the URL is no part of an origin; such URLs are few, and the worst is one more robots.txt.
    &url[..Position::BeforePath]
}

/// Registrable domain, by the public-suffix list.
fn domain_of(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

#[derive(Debug)]
struct Host {
    /// Workers that have links for it.
    queues: u32,
    is_asked: bool,
    next_allowed: Instant,
    consecutive_faults: u32,
    address: Option<IpAddr>,
    rules: HashMap<Box<str>, (Arc<Rules>, Instant)>,
}

/// What the workers know together.
#[derive(Default)]
struct Known {
    hosts: HashMap<Box<str>, Host>,
    /// Requests under way.
    domains: HashMap<Box<str>, u32>,
    addresses: HashMap<IpAddr, u32>,
    left_since_sweep: usize,
    /// Before this moment no host is asked.
    opens_at: Option<Instant>,
}

/// The hosts of a process.
#[derive(Default)]
pub(crate) struct Hosts {
    known: Mutex<Known>,
}

/// The answer to a claim.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The host is the caller's until it is released.
    Granted,
    /// It is to be asked for again at this time.
    Later(Instant),
    /// It is being asked, or its domain or address has its share of requests.
    Crowded,
    /// It has failed so often that it is not asked any more.
    GivenUp(u32),
}

/// How many requests may be under way, and after how many faults a host is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostLimits {
    pub(crate) max_requests_per_domain: u32,
    pub(crate) max_requests_per_address: u32,
    pub(crate) max_consecutive_faults: u32,
}

impl Hosts {
    /// Asks for the right to send a host one request.
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
        if host.is_asked {
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
        host.is_asked = true;
        Claim::Granted
    }

    /// Notes the address that a claimed host turned out to have; `false` when the address has its share of requests
    /// already: then the claim is to be released, and asked for again.
    pub(crate) fn settle_address(&self, name: &str, address: IpAddr, limits: HostLimits) -> bool {
        let mut known = self.known();
        let Known { hosts, addresses, .. } = &mut *known;
        let host = hosts.get_mut(name).expect("a claimed host is known");
        if host.address == Some(address) {
            return true;
        }
        if let Some(before) = host.address.replace(address) {
            leave(addresses, &before);
        }
        let count = addresses.entry(address).or_default();
        *count += 1;
        *count <= limits.max_requests_per_address
    }

    /// Ends a claim: the host rests until `next_allowed`, and has failed so often in a row.
    pub(crate) fn release(&self, name: &str, next_allowed: Instant, fault: Fault) -> u32 {
        let mut known = self.known();
        let Known { hosts, domains, addresses, .. } = &mut *known;
        let host = hosts.get_mut(name).expect("a claimed host is known");
        host.is_asked = false;
        host.next_allowed = host.next_allowed.max(next_allowed);
        match fault {
            Fault::None => host.consecutive_faults = 0,
            Fault::One => host.consecutive_faults += 1,
            Fault::Unknown => {}
        }
        leave(domains, domain_of(name));
        if let Some(address) = host.address {
            leave(addresses, &address);
        }
        host.consecutive_faults
    }

    /// How often a host has failed since its last good answer.
    pub(crate) fn consecutive_faults(&self, name: &str) -> u32 {
        self.known().hosts.get(name).map_or(0, |host| host.consecutive_faults)
    }

    /// No host is asked before this moment: an earlier process may have asked any of them a moment ago.
    pub(crate) fn open_at(&self, moment: Instant) {
        self.known().opens_at = Some(moment);
    }

    /// When a host may be asked, and how often it has failed, as an earlier process has left it.
    pub(crate) fn restore(&self, name: &str, next_allowed: Instant, consecutive_faults: u32) {
        let mut known = self.known();
        if !known.hosts.contains_key(name) && consecutive_faults == 0 && next_allowed <= Instant::now() {
            return;
        }
        let host = known.hosts.entry(name.into()).or_insert_with(|| Host::new(next_allowed));
        host.next_allowed = host.next_allowed.max(next_allowed);
        host.consecutive_faults = consecutive_faults;
    }

    /// The rules of a URL's origin, if they are known and not too old.
    pub(crate) fn rules(&self, url: &Url) -> Option<Arc<Rules>> {
        let known = self.known();
        let (rules, until) = known.hosts.get(host_of(url))?.rules.get(origin_of(url))?;
        (*until > Instant::now()).then(|| rules.clone())
    }

    /// Notes the rules of a URL's origin, to be believed until then.
    pub(crate) fn set_rules(&self, url: &Url, rules: Rules, until: Instant) {
        let mut known = self.known();
        let host = known.hosts.entry(host_of(url).into()).or_insert_with(|| Host::new(Instant::now()));
        host.rules.insert(origin_of(url).into(), (Arc::new(rules), until));
    }

    /// A worker has links for a host: what is known of it is kept.
    pub(crate) fn enter(&self, name: &str) {
        self.known().hosts.entry(name.into()).or_insert_with(|| Host::new(Instant::now())).queues += 1;
    }

    /// A worker has no more links for a host. Once many are known, those that rest no longer are forgotten, and
    /// named to the caller; if a redirect leads to one again, its robots.txt is asked for again.
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
        let is_idle = |host: &Host| host.queues == 0 && !host.is_asked && host.next_allowed <= now;
        let idle = known.hosts.extract_if(|_, host| is_idle(host));
        idle.map(|(name, _)| name).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no thread panics with it")
    }
}

/// What a request says of its host's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It answered.
    None,
    /// It failed.
    One,
    /// Nothing was asked in the end.
    Unknown,
}

impl Host {
    fn new(next_allowed: Instant) -> Host {
        Host { queues: 0, is_asked: false, next_allowed, consecutive_faults: 0, address: None, rules: HashMap::new() }
    }
}

/// One request fewer is under way; what has none takes no memory.
fn leave<K: std::hash::Hash + Eq + std::borrow::Borrow<Q>, Q: std::hash::Hash + Eq + ?Sized>(
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
    fn claims(hosts: &Hosts, names: &[&str], now: Instant) -> String {
        let letter = |name: &&str| match hosts.claim(name, LIMITS, now) {
            Claim::Granted => 'g',
            Claim::Later(_) | Claim::Crowded => 'l',
            Claim::GivenUp(_) => 'x',
        };
        names.iter().map(letter).collect()
    }

    #[test]
    fn a_host_has_one_caller_and_a_pause() {
        let (hosts, now) = (Hosts::default(), Instant::now());
        assert_eq!(claims(&hosts, &["a.com", "a.com"], now), "gl");
        hosts.release("a.com", now + Duration::from_secs(2), Fault::None);
        assert_eq!(claims(&hosts, &["a.com"], now + Duration::from_secs(1)), "l");
        assert_eq!(claims(&hosts, &["a.com"], now + Duration::from_secs(2)), "g");
    }

    #[test]
    fn domains_and_addresses_have_shares() {
        let (hosts, now) = (Hosts::default(), Instant::now());
        assert_eq!(claims(&hosts, &["x.a.com", "y.a.com", "z.a.com", "b.com"], now), "gglg");
        hosts.release("x.a.com", now, Fault::None);
        assert_eq!(claims(&hosts, &["z.a.com"], now), "g");
        let address: IpAddr = "93.184.216.34".parse().unwrap();
        let settled: Vec<bool> =
            ["y.a.com", "z.a.com", "b.com"].iter().map(|name| hosts.settle_address(name, address, LIMITS)).collect();
        assert_eq!(settled, [true, true, true]);
        assert_eq!(claims(&hosts, &["c.com"], now), "g");
        assert!(!hosts.settle_address("c.com", address, LIMITS));
        hosts.release("c.com", now, Fault::Unknown);
        // Its address is known now, and the claim itself waits for a share.
        assert_eq!(claims(&hosts, &["c.com"], now), "l");
        hosts.release("b.com", now, Fault::None);
        assert_eq!(claims(&hosts, &["c.com"], now), "g");
    }

    #[test]
    fn a_host_that_fails_too_often_is_left() {
        let (hosts, now) = (Hosts::default(), Instant::now());
        for _ in 0..2 {
            assert_eq!(claims(&hosts, &["a.com"], now), "g");
            hosts.release("a.com", now, Fault::One);
        }
        assert_eq!(claims(&hosts, &["a.com"], now), "x");
    }

    #[test]
    fn rules_are_those_of_an_origin_and_grow_old() {
        let hosts = Hosts::default();
        let url = |text: &str| Url::parse(text).unwrap();
        let soon = Instant::now() + Duration::from_secs(60);
        hosts.set_rules(&url("http://a.com/x"), Rules::AllowAll, soon);
        assert!(hosts.rules(&url("http://a.com/y")).is_some());
        assert!(hosts.rules(&url("https://a.com/y")).is_none());
        assert!(hosts.rules(&url("http://a.com:81/y")).is_none());
        hosts.set_rules(&url("http://a.com/x"), Rules::AllowAll, Instant::now());
        assert!(hosts.rules(&url("http://a.com/y")).is_none());
    }
}
