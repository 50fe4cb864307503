//! Tells an outage of this machine's network from silent hosts, so that no host is blamed for an outage.
//!
//! A request is *silent* when nothing answers it: no DNS server, no connection, no first byte. When all requests are
//! silent, the network is probed: by connecting to addresses that have answered before, or, where there are none, by
//! requesting one host after another. Until one answers, no link gets an outcome because of silence, and few requests
//! are sent.
//!
//! Left out: captive portals, which answer for every host.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

/// Consecutive silent requests, to any hosts, after which the network is probed.
const MAX_CONSECUTIVE_SILENCES: u32 = 8;
/// Addresses kept for probing: those of the hosts that answered last.
const MAX_ANSWERED_ADDRESSES: usize = 8;
/// With fewer known addresses than this, silence is only conclusive when `MIN_SILENT_HOSTS` hosts are silent.
const MIN_ANSWERED_ADDRESSES: usize = 4;
const MIN_SILENT_HOSTS: usize = 30;
/// Longest time between two probes; otherwise ten times the pause between two requests to a host.
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(30);

/// The state of the network, as the answers of all hosts show it.
#[derive(Debug)]
pub(crate) struct Network {
    /// Minimum time between two requests to a host, and between two probes.
    delay: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When a host answered last, and the addresses of recent answers.
    answered_at: Option<Instant>,
    answered: VecDeque<SocketAddr>,
    /// Silent requests since the last answer.
    consecutive_silences: u32,
    silent_hosts: HashSet<u64>,
    probed_at: Option<Instant>,
    doubt: Option<Doubt>,
}

/// The network may be down, and is probed.
#[derive(Debug)]
struct Doubt {
    probes_at: Instant,
    probes: u32,
    /// Whether a probe has failed.
    is_out: bool,
}

/// Why a request was silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SilenceCause {
    /// The host does not answer: others did meanwhile.
    Host,
    /// The network is being probed.
    Undecided,
    /// The network is down.
    Network,
}

/// What a worker should do next to probe the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkProbe {
    /// Nothing: the network works.
    NotNeeded,
    /// Wait; the next probe is not due.
    Wait,
    /// Connect to this address.
    Connect(SocketAddr),
    /// Send one request to any host, and report it with [`Network::note_request_probe`].
    RequestOneHost,
}

impl Network {
    /// A network about which nothing is known. `delay` is the minimum time between two requests to a host.
    pub(crate) fn new(delay: Duration) -> Network {
        Network { delay, state: Mutex::default() }
    }

    /// Notes that a host answered, at this address if it is known.
    pub(crate) fn answered(&self, from: Option<SocketAddr>) {
        let mut state = self.state();
        state.answered_at = Some(Instant::now());
        state.consecutive_silences = 0;
        state.silent_hosts.clear();
        state.doubt = None;
        if let Some(from) = from {
            state.know(from);
        }
    }

    /// Notes an address that answered an earlier process. Without it, a process that starts among the silent hosts at the
    /// end of a list could not tell them from an outage.
    pub(crate) fn answered_before(&self, from: SocketAddr) {
        self.state().know(from);
    }

    /// Notes a silent request. All tries of its link have been silent since `since`; `is_last` says that one more silence
    /// decides about the link or the host.
    pub(crate) fn silent(&self, host: &str, since: Instant, is_last: bool) -> SilenceCause {
        let mut state = self.state();
        if let Some(doubt) = &state.doubt {
            return if doubt.is_out { SilenceCause::Network } else { SilenceCause::Undecided };
        }
        state.consecutive_silences += 1;
        if state.silent_hosts.len() < MIN_SILENT_HOSTS {
            state.silent_hosts.insert(xxh3_64(host.as_bytes()));
        }
        let is_lonely = is_last && state.answered_at.is_none_or(|answered_at| answered_at < since);
        let is_conclusive =
            state.answered.len() >= MIN_ANSWERED_ADDRESSES || state.silent_hosts.len() >= MIN_SILENT_HOSTS;
        if !is_conclusive || !(is_lonely || state.consecutive_silences >= MAX_CONSECUTIVE_SILENCES) {
            return SilenceCause::Host;
        }
        // Probed addresses get the pause of a host, too.
        let now = Instant::now();
        let probes_at = state.probed_at.map_or(now, |probed_at| now.max(probed_at + self.delay));
        let is_out = state.answered.is_empty();
        state.doubt = Some(Doubt { probes_at, probes: 0, is_out });
        if is_out { SilenceCause::Network } else { SilenceCause::Undecided }
    }

    /// The next probe. Each is returned once; the next is due after a pause.
    pub(crate) fn probe(&self, now: Instant) -> NetworkProbe {
        let again = (10 * self.delay).min(MAX_PROBE_PAUSE);
        let mut state = self.state();
        let State { doubt: Some(doubt), answered, probed_at, .. } = &mut *state else { return NetworkProbe::NotNeeded };
        if now < doubt.probes_at {
            return NetworkProbe::Wait;
        }
        // The hosts that answered before may no longer exist. Every second probe is a request to another host.
        let address = if doubt.probes.is_multiple_of(2) { answered.pop_front() } else { None };
        let Some(address) = address else { return NetworkProbe::RequestOneHost };
        answered.push_back(address);
        (doubt.probes, doubt.probes_at) = (doubt.probes + 1, now + again);
        *probed_at = Some(now);
        NetworkProbe::Connect(address)
    }

    /// Notes that a request to a host was sent as a probe.
    pub(crate) fn note_request_probe(&self, now: Instant) {
        let again = (10 * self.delay).min(MAX_PROBE_PAUSE);
        if let Some(doubt) = &mut self.state().doubt {
            (doubt.probes, doubt.probes_at) = (doubt.probes + 1, now + again);
        }
    }

    /// Notes that a probed address did not answer.
    pub(crate) fn probe_failed(&self) {
        if let Some(doubt) = &mut self.state().doubt {
            doubt.is_out = true;
        }
    }

    /// Whether the network is being probed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.state().doubt.is_some()
    }

    /// Whether a probe failed and no host has answered since.
    pub(crate) fn is_out(&self) -> bool {
        self.state().doubt.as_ref().is_some_and(|doubt| doubt.is_out)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }
}

impl State {
    fn know(&mut self, address: SocketAddr) {
        if !self.answered.iter().any(|known| known.ip() == address.ip()) {
            self.answered.truncate(MAX_ANSWERED_ADDRESSES - 1);
            self.answered.push_front(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(1);

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([93, 184, 216, number], 80))
    }

    /// A network on which this many hosts answered.
    fn network(answered: u8) -> Network {
        let network = Network::new(DELAY);
        (0..answered).for_each(|number| network.answered(Some(address(number))));
        network
    }

    #[test]
    fn one_silent_host_among_others_is_its_own_fault() {
        let network = network(4);
        let since = Instant::now();
        network.answered(None);
        assert_eq!(network.silent("a.example", since, true), SilenceCause::Host);
        assert_eq!(network.probe(Instant::now()), NetworkProbe::NotNeeded);
    }

    #[test]
    fn addresses_of_an_earlier_process_are_probed() {
        let network = Network::new(DELAY);
        (0..4).for_each(|number| network.answered_before(address(number)));
        assert_eq!(network.silent("a.example", Instant::now(), true), SilenceCause::Undecided);
        assert!(!network.is_out());
        assert!(matches!(network.probe(Instant::now()), NetworkProbe::Connect(_)));
    }

    #[test]
    fn silence_of_all_hosts_is_probed() {
        let network = network(4);
        for number in 1..MAX_CONSECUTIVE_SILENCES {
            assert_eq!(network.silent(&format!("h{number}.example"), Instant::now(), false), SilenceCause::Host);
        }
        assert_eq!(network.silent("a.example", Instant::now(), false), SilenceCause::Undecided);
        let now = Instant::now();
        assert!(matches!(network.probe(now), NetworkProbe::Connect(_)));
        assert_eq!(network.probe(now), NetworkProbe::Wait);
        network.probe_failed();
        assert!(network.is_out());
        assert_eq!(network.silent("b.example", now, true), SilenceCause::Network);
        // Requests to hosts and connections to addresses take turns.
        assert_eq!(network.probe(now + 10 * DELAY), NetworkProbe::RequestOneHost);
        network.note_request_probe(now + 10 * DELAY);
        assert_eq!(network.probe(now + 11 * DELAY), NetworkProbe::Wait);
        assert!(matches!(network.probe(now + 20 * DELAY), NetworkProbe::Connect(_)));
        network.answered(None);
        assert!(!network.is_out());
        assert_eq!(network.probe(now + 20 * DELAY), NetworkProbe::NotNeeded);
    }

    #[test]
    fn a_silent_last_try_is_probed() {
        let network = network(4);
        assert_eq!(network.silent("a.example", Instant::now(), true), SilenceCause::Undecided);
        assert!(matches!(network.probe(Instant::now()), NetworkProbe::Connect(_)));
        network.answered(None);
        // The next probe keeps its distance.
        assert_eq!(network.silent("b.example", Instant::now(), true), SilenceCause::Undecided);
        assert_eq!(network.probe(Instant::now()), NetworkProbe::Wait);
        assert!(matches!(network.probe(Instant::now() + DELAY), NetworkProbe::Connect(_)));
    }

    #[test]
    fn a_few_silent_hosts_are_not_conclusive_and_many_are() {
        for answered in 0..MIN_ANSWERED_ADDRESSES as u8 {
            let network = network(answered);
            for number in 1..MIN_SILENT_HOSTS {
                let host = format!("h{number}.example");
                assert_eq!(network.silent(&host, Instant::now(), true), SilenceCause::Host, "{answered} {host}");
            }
            assert_ne!(network.silent("a.example", Instant::now(), false), SilenceCause::Host, "{answered}");
            assert_eq!(network.is_out(), answered == 0);
        }
    }
}
