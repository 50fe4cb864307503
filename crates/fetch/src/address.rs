//! Which IP addresses may be requested: public ones, checked after the DNS lookup and pinned for the connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupError, SockType};
use records::Reason;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::refusal::Refusal;

/// How long a DNS answer is valid. The system's resolver does not return its time to live.
const PINNED_FOR: Duration = Duration::from_secs(3600);
/// At this number of hosts, and whenever it has doubled, expired answers are removed.
const MAX_PINNED_HOSTS: usize = 50_000;

/// Whether an address belongs to a host on the public internet.
///
/// Not public are loopback, private, link-local, shared (CGNAT), documentation, benchmarking, multicast and reserved
/// ranges, and IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo), since a gateway decides where those
/// lead. The ranges are those of the IANA special-purpose address registries.
///
/// ```
/// assert!(fetch::is_public("93.184.216.34".parse().unwrap()));
/// assert!(!fetch::is_public("169.254.169.254".parse().unwrap()));
/// assert!(!fetch::is_public("::ffff:127.0.0.1".parse().unwrap()));
/// ```
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(matches!(a, 0 | 10 | 127 | 224..)
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Only 2000::/3 is assigned; within it, Teredo, documentation and 6to4 are not hosts.
    let global = segments[0] & 0xe000 == 0x2000;
    let teredo_and_kin = segments[0] == 0x2001 && segments[1] < 0x200;
    let documentation = (segments[0] == 0x2001 && segments[1] == 0x0db8) || segments[0] == 0x3fff;
    global && !teredo_and_kin && !documentation && segments[0] != 0x2002
}

/// Resolver that knows only the public addresses found by [`look_up`](PinnedResolver::look_up). The HTTP client uses it
/// for every connection, so that a second DNS answer cannot lead into a private network (DNS rebinding).
#[derive(Clone, Default)]
pub(crate) struct PinnedResolver {
    pinned: Arc<Mutex<Pinned>>,
}

/// Addresses by host, and when they expire.
#[derive(Default)]
struct Pinned {
    hosts: HashMap<String, (Arc<[IpAddr]>, Instant)>,
    /// The number of hosts at the last sweep.
    swept_at: usize,
}

impl Pinned {
    fn insert(&mut self, host: String, addresses: Arc<[IpAddr]>) {
        let now = Instant::now();
        if self.hosts.len() >= MAX_PINNED_HOSTS.max(2 * self.swept_at) {
            self.hosts.retain(|_, (_, until)| *until > now);
            self.swept_at = self.hosts.len();
        }
        self.hosts.insert(host, (addresses, now + PINNED_FOR));
    }
}

impl PinnedResolver {
    /// The public addresses of a host, from the pinned ones or by DNS within `timeout`. Never an empty list.
    pub(crate) async fn look_up(&self, host: &str, timeout: Duration) -> Result<Arc<[IpAddr]>, Refusal> {
        if let Some((addresses, until)) = self.pinned().hosts.get(host)
            && *until > Instant::now()
        {
            return Ok(addresses.clone());
        }
        let Ok(found) = tokio::time::timeout(timeout, resolve(host.to_owned())).await else {
            let detail = format!("DNS gave no answer for {host} in time");
            return Err(Refusal::new(Reason::ConnectFailed, detail).silence());
        };
        let found = found.map_err(Refusal::of_dns)?;
        let public: Arc<[IpAddr]> = found.iter().copied().filter(|&address| is_public(address)).collect();
        if public.is_empty() {
            let named = found.first().map_or("nothing".to_owned(), IpAddr::to_string);
            return Err(Refusal::new(Reason::AddressRefused, format!("{host} has no public address: it is {named}")));
        }
        self.pinned().insert(host.to_owned(), public.clone());
        Ok(public)
    }

    /// Removes a host that has no links left.
    pub(crate) fn forget(&self, host: &str) {
        self.pinned().hosts.remove(host);
    }

    fn pinned(&self) -> std::sync::MutexGuard<'_, Pinned> {
        self.pinned.lock().expect("no thread panics with it")
    }
}

/// The HTTP client asked for a host that was not looked up before.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no address that was found public")]
pub(crate) struct NotPinned(String);

/// Asks the system's resolver (`/etc/hosts`, DNS, …) for all addresses of a host. Tokio's own lookup would do the same
/// and return an error that tells an unknown name from a silent server by its text alone.
async fn resolve(host: String) -> Result<Vec<IpAddr>, LookupError> {
    let lookup = move || {
        let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
        let found = dns_lookup::getaddrinfo(Some(&host), None, Some(hints))?;
        Ok(found.map(|entry| Ok(entry?.sockaddr.ip())).collect::<io::Result<_>>()?)
    };
    tokio::task::spawn_blocking(lookup).await.expect("a lookup does not panic")
}

impl Resolve for PinnedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let pinned = self.pinned().hosts.get(name.as_str()).map(|(addresses, _)| addresses.clone());
        let answer = pinned.ok_or_else(|| NotPinned(name.as_str().to_owned()));
        Box::pin(async move {
            let sockets: Vec<SocketAddr> = answer?.iter().map(|&address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(sockets.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: bool) {
        assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn public_and_other_ranges() {
        for address in
            ["8.8.8.8", "93.184.216.34", "100.63.0.1", "172.32.0.1", "2606:2800:220:1::1", "2001:4860:4860::8888"]
        {
            check(address, true);
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001::1",
            "2001:db8::1",
            "ff02::1",
        ] {
            check(address, false);
        }
    }
}
