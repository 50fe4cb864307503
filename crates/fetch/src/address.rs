//! Which addresses may be asked: public ones, looked at after DNS and before the connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The host has no public address.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no public address")]
pub(crate) struct NotPublic {
    host: String,
}

/// Whether an address belongs to a host on the public internet.
///
/// Not: loopback, private, link-local, shared (CGNAT), documentation, benchmarking, multicast and
/// reserved ranges, and IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo), since what
/// they lead to is up to a gateway.
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
    // Only 2000::/3 is given out; in it, Teredo, documentation and 6to4 are not hosts.
    let global = segments[0] & 0xe000 == 0x2000;
    let teredo_and_kin = segments[0] == 0x2001 && segments[1] < 0x200;
    let documentation = (segments[0] == 0x2001 && segments[1] == 0x0db8) || segments[0] == 0x3fff;
    global && !teredo_and_kin && !documentation && segments[0] != 0x2002
}

/// Resolves names and hands on their public addresses alone, so that a connection can go nowhere else.
pub(crate) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic { host }.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
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
    fn ranges() {
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
