//! The hosts and keys of all links in a few bytes each, by which rows of the index are filtered.
//!
//! The index is sorted by its own SURT key, which differs from ours: Common Crawl lowers the case of paths, strips
//! other session ids and sorts the query in another way. Only the part before the `)`, which is the reversed host with
//! its port, is the same in both, but for the forms that [`host_forms`] lists. So hosts decide which part of the index
//! is read, and our own key, computed again from a row's URL, decides which of its rows are taken.
//!
//! Hosts are compared in full, keys by a 64-bit hash. So no wanted row is missed, but rows with a colliding key may
//! pass: the choice among captures compares the keys themselves.

use std::cmp::Ordering;

use links::{Canonical, CanonicalRules};
use records::Link;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::CommonCrawlError;

/// Hosts and keys of the links. Memory: 12 bytes per link and about 30 per host.
pub(crate) struct LinkFilter {
    hosts: Hosts,
    keys: Keys,
    canonical: CanonicalRules,
}

impl LinkFilter {
    /// Reads links, which are numbered from 0 in their order; their keys were made by these rules.
    ///
    /// # Errors
    /// The first error among the links.
    pub(crate) fn read(
        links: impl Iterator<Item = Result<Link, CommonCrawlError>>,
        canonical: CanonicalRules,
    ) -> Result<LinkFilter, CommonCrawlError> {
        let mut builder = Builder::default();
        for link in links {
            let link = link?;
            builder.push(&link.key);
            // Where a form of a page counts as the page (`m.`), captures of the form are found as well.
            if canonical != CanonicalRules::default()
                && let Ok(fetched) = Canonical::parse(&link.url)
            {
                builder.push_host(&fetched.key);
            }
        }
        Ok(builder.finish(canonical))
    }

    /// Makes a filter of keys in any order.
    #[cfg(test)]
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> LinkFilter {
        let mut builder = Builder::default();
        for key in keys {
            builder.push(key);
        }
        builder.finish(CanonicalRules::default())
    }

    /// Number of links.
    pub(crate) fn links(&self) -> usize {
        self.keys.links.len()
    }

    /// Number of hosts, each form of a host counted.
    pub(crate) fn hosts(&self) -> usize {
        self.hosts.starts.len()
    }

    /// Whether a key of the index between `min` and `max` (both included) can belong to a wanted host.
    pub(crate) fn may_lie_between(&self, min: &[u8], max: &[u8]) -> bool {
        self.hosts.may_lie_between(min, max)
    }

    /// Whether the host of a key of the index is wanted.
    pub(crate) fn has_host_of(&self, surt: &[u8]) -> bool {
        host_of(surt).is_some_and(|host| self.hosts.contains(host))
    }

    /// The links that have the key of this URL, or one with the same hash; none for a URL without a key.
    pub(crate) fn links_of(&self, url: &str) -> &[u32] {
        let Ok(canonical) = Canonical::parse_with(url, &self.canonical) else { return &[] };
        self.keys.links_of(xxh3_64(canonical.key.as_bytes()))
    }
}

#[derive(Default)]
struct Builder {
    bytes: Vec<u8>,
    starts: Vec<u64>,
    last_host: Vec<u8>,
    keys: Vec<(u64, u32)>,
}

impl Builder {
    fn push(&mut self, key: &str) {
        let number = u32::try_from(self.keys.len()).expect("fewer than four billion links");
        self.keys.push((xxh3_64(key.as_bytes()), number));
        self.push_host(key);
    }

    fn push_host(&mut self, key: &str) {
        let Some(host) = host_of(key.as_bytes()) else { return };
        // Links of a host are adjacent in a sorted table, so comparing with the last one removes nearly all
        // repetitions.
        if self.last_host == host {
            return;
        }
        self.last_host.clear();
        self.last_host.extend_from_slice(host);
        let Ok(host) = str::from_utf8(host) else { return };
        for form in host_forms(host) {
            self.starts.push(self.bytes.len() as u64);
            self.bytes.extend_from_slice(form.as_bytes());
        }
    }

    fn finish(mut self, canonical: CanonicalRules) -> LinkFilter {
        let bytes = self.bytes;
        self.starts.sort_unstable_by(|&a, &b| host_at(&bytes, a).cmp(host_at(&bytes, b)));
        self.starts.dedup_by(|a, b| host_at(&bytes, *a) == host_at(&bytes, *b));
        self.starts.shrink_to_fit();
        LinkFilter { hosts: Hosts { bytes, starts: self.starts }, keys: Keys::new(self.keys), canonical }
    }
}

/// The host of a SURT key with the `)` that ends it.
fn host_of(surt: &[u8]) -> Option<&[u8]> {
    let end = surt.iter().position(|&byte| byte == b')')?;
    Some(&surt[..=end])
}

/// The forms in which the index may write a host of ours (`com,example,m:8080)`).
///
/// - Common Crawl strips one `www.`, `www2.` … from every host. Our keys keep it if nothing else would be left of the
///   domain (`www.blogspot.com`); a second one may be left after the first is stripped.
/// - It reverses IPv4 addresses like names, and writes IPv6 addresses without brackets.
fn host_forms(host: &str) -> Vec<String> {
    let mut forms = vec![host.to_owned()];
    let name = host.trim_end_matches(')');
    let (name, port) = match name.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            (name, format!(":{port}"))
        }
        _ => (name, String::new()),
    };
    if let Some((rest, label)) = name.rsplit_once(',')
        && label.strip_prefix("www").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    {
        forms.push(format!("{rest}{port})"));
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        let parts: Vec<&str> = name.rsplit('.').collect();
        forms.push(format!("{}{port})", parts.join(",")));
    }
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        forms.push(format!("{address}{port})"));
    } else if host.starts_with('[') {
        // An address whose last group looks like a port: `[2606:2800::1])`.
        forms.push(host.replace(['[', ']'], ""));
    }
    forms
}

/// Sorted hosts, each ending in its `)`.
struct Hosts {
    bytes: Vec<u8>,
    starts: Vec<u64>,
}

fn host_at(bytes: &[u8], start: u64) -> &[u8] {
    let rest = &bytes[start as usize..];
    host_of(rest).unwrap_or(rest)
}

impl Hosts {
    fn contains(&self, host: &[u8]) -> bool {
        self.starts.binary_search_by(|&start| host_at(&self.bytes, start).cmp(host)).is_ok()
    }

    /// A key belongs to a host when it begins with it, so the keys of a host are the interval from the host itself
    /// to its last extension. No host is the beginning of another one (each has one `)`, at its end): the intervals
    /// are disjoint, lie in the order of the hosts, and the first that does not end before `min` decides.
    fn may_lie_between(&self, min: &[u8], max: &[u8]) -> bool {
        let first = self.starts.partition_point(|&start| {
            let host = host_at(&self.bytes, start);
            host.cmp(min) == Ordering::Less && !min.starts_with(host)
        });
        self.starts.get(first).is_some_and(|&start| host_at(&self.bytes, start) <= max)
    }
}

/// Sorted hashes of keys, found by their first bits, with the links that have them.
struct Keys {
    hashes: Vec<u64>,
    links: Vec<u32>,
    /// For each value of the first `bits` bits, the index of the first hash with it.
    begins: Vec<u32>,
    bits: u32,
}

impl Keys {
    fn new(mut pairs: Vec<(u64, u32)>) -> Keys {
        pairs.sort_unstable();
        // About eight hashes for each value.
        let bits = (pairs.len() / 8).max(1).ilog2().min(28);
        let mut begins = vec![0u32; (1 << bits) + 1];
        for &(hash, _) in &pairs {
            begins[Keys::beginning(hash, bits) + 1] += 1;
        }
        for i in 1..begins.len() {
            begins[i] += begins[i - 1];
        }
        let hashes = pairs.iter().map(|pair| pair.0).collect();
        let links = pairs.iter().map(|pair| pair.1).collect();
        Keys { hashes, links, begins, bits }
    }

    fn beginning(hash: u64, bits: u32) -> usize {
        // Shifting a u64 by 64 bits would overflow.
        if bits == 0 { 0 } else { (hash >> (64 - bits)) as usize }
    }

    fn links_of(&self, hash: u64) -> &[u32] {
        let at = Keys::beginning(hash, self.bits);
        let (from, to) = (self.begins[at] as usize, self.begins[at + 1] as usize);
        let near = &self.hashes[from..to];
        let first = from + near.partition_point(|&h| h < hash);
        let last = from + near.partition_point(|&h| h <= hash);
        &self.links[first..last]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str, surt_host: &str) {
        let key = links::Canonical::parse(url).unwrap().key;
        let filter = LinkFilter::of([key.as_str()]);
        let surt = format!("{surt_host}/path?query");
        assert!(filter.has_host_of(surt.as_bytes()), "{url} has the key {key}, whose host should meet {surt}");
        assert!(filter.may_lie_between(surt.as_bytes(), surt.as_bytes()), "{url}");
    }

    #[test]
    fn hosts_meet_those_of_the_index() {
        check("http://example.com/", "com,example)");
        check("https://www.example.com/a", "com,example)");
        check("https://www2.example.com/a", "com,example)");
        check("https://www.www.example.com/a", "com,example,www)");
        check("http://www.blogspot.com/", "com,blogspot)");
        check("http://example.com:8080/", "com,example:8080)");
        check("http://www.blogspot.com:8080/", "com,blogspot:8080)");
        check("http://m.example.co.uk/", "uk,co,example,m)");
        check("http://93.184.216.34/x", "34,216,184,93)");
        check("http://93.184.216.34:81/x", "34,216,184,93:81)");
        check("http://[2606:2800::1]/x", "2606:2800::1)");
        check("http://[2606:2800::1]:81/x", "2606:2800::1:81)");
        check("http://bücher.example/", "example,xn--bcher-kva)");
    }

    #[test]
    fn a_form_of_a_page_is_looked_for_beside_the_page() {
        let rules = CanonicalRules::unwrapping([links::Wrapper::Mobile]);
        let (fetched, page) = ("http://m.example.com/a", "com,example)/a");
        let link = Link {
            domain: "example.com".into(),
            key: page.into(),
            url: fetched.into(),
            karma: None,
            submissions: 1,
            subreddit: None,
            title: None,
            created_utc: None,
            source: String::new(),
            verdict: None,
        };
        let filter = LinkFilter::read([Ok(link)].into_iter(), rules).unwrap();
        assert!(filter.has_host_of(b"com,example)/a") && filter.has_host_of(b"com,example,m)/a"));
        assert_eq!(filter.links_of(fetched), [0]);
        assert_eq!(filter.links_of("http://example.com/a"), [0]);
        assert_eq!(filter.links_of("http://m.example.com/b"), [0; 0]);
    }

    #[test]
    fn neighbours_are_not_asked_for() {
        let filter = LinkFilter::of(["com,example)/b", "com,example,m)/"]);
        for other in ["com,exampl)/", "com,examples)/", "com,example-b)/", "com,example,n)/", "com,example:81)/", "com"]
        {
            assert!(!filter.has_host_of(other.as_bytes()), "{other}");
        }
        assert!(!filter.may_lie_between(b"com,example,n)/", b"com,z)/"));
        assert!(!filter.may_lie_between(b"com,a)/", b"com,example(/"));
        assert!(filter.may_lie_between(b"com,a)/", b"com,example)/"));
        assert!(filter.may_lie_between(b"com,example)/zzz", b"com,example)/zzzz"));
        assert!(filter.may_lie_between(b"a", b"z"));
    }

    proptest! {
        #[test]
        fn as_a_list_would_answer(
            hosts in prop::collection::vec("[a-c]{1,2}(,[a-c-]{1,2}){0,2}(:8)?", 0..12),
            min in "[a-c,)-]{0,6}", more in "[a-c,)-]{0,6}",
        ) {
            let keys: Vec<String> = hosts.iter().map(|host| format!("{host})/p")).collect();
            let filter = LinkFilter::of(keys.iter().map(String::as_str));
            let max = format!("{min}{more}");
            // The naive twin: a host's keys lie from the host to the host and the highest byte.
            let expected = hosts.iter().any(|host| {
                let first = format!("{host})");
                let last = [first.as_bytes(), &[0xff; 8]].concat();
                first.as_bytes() <= max.as_bytes() && min.as_bytes() <= last.as_slice()
            });
            prop_assert_eq!(filter.may_lie_between(min.as_bytes(), max.as_bytes()), expected);
            for (number, key) in keys.iter().enumerate() {
                prop_assert!(filter.has_host_of(key.as_bytes()));
                prop_assert!(filter.keys.links_of(xxh3_64(key.as_bytes())).contains(&(number as u32)));
            }
        }
    }

    proptest! {
        // Each case asks for all keys that there could be.
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn keys_are_found_among_many(numbers: std::collections::HashSet<u16>) {
            let keys: Vec<String> = numbers.iter().map(|n| format!("com,example)/{n}")).collect();
            let filter = LinkFilter::of(keys.iter().map(String::as_str));
            for n in 0..=u16::MAX {
                let found = filter.links_of(&format!("http://example.com/{n}"));
                prop_assert_eq!(found.len(), usize::from(numbers.contains(&n)));
            }
        }
    }
}
