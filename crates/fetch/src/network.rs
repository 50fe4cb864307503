//! Whether it is our own network that is down, and not the hosts: nobody is blamed for silence in which nobody else
//! was heard either.
//!
//! Silence is what comes from nowhere: no answer of DNS, no connection, no first byte. When all that is left to hear
//! is silence, the network is looked at: by connections to addresses that have answered before, and where there are
//! none by asking one host after another. Until somebody is heard, nothing is decided about links, and little is asked.
//!
//! Left out: networks that answer for everybody, such as those that want a password first.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

/// Requests in a row without an answer, to whomever, after which the network is looked at.
const SILENT_MAX: u32 = 8;
/// Addresses to look at; each belongs to a host that has answered, the last ones.
const HEARD_MAX: usize = 8;
/// With fewer of them than this, that they are silent says nothing of the network, unless so many hosts are.
const HEARD_AT_LEAST: usize = 4;
const SILENT_HOSTS_AT_LEAST: usize = 30;
/// After a look that was in vain, the next follows when ten pauses of a host are over, or this time.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(30);

/// What is heard of everybody together.
#[derive(Debug)]
pub(crate) struct Network {
    /// The pause that a host is left.
    delay: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When somebody was heard last, and where the last ones were that were heard.
    heard_at: Option<Instant>,
    heard: VecDeque<SocketAddr>,
    /// Since then.
    silent_in_a_row: u32,
    silent_hosts: HashSet<u64>,
    looked_at: Option<Instant>,
    doubt: Option<Doubt>,
}

/// It may be the network.
#[derive(Debug)]
struct Doubt {
    looks_at: Instant,
    looks: u32,
    /// A look was in vain.
    is_out: bool,
}

/// Whose silence it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The host's: others were heard meanwhile.
    Host,
    /// That is being found out.
    Unclear,
    /// The network's.
    Network,
}

/// What a worker is to do about the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing.
    Well,
    /// Nothing but waiting.
    Wait,
    /// Find out whether anybody takes connections there.
    At(SocketAddr),
    /// Ask one host, and say so by [`Network::asks`].
    ByAsking,
}

impl Network {
    /// A network that nothing is known of; hosts are left `delay` between two requests.
    pub(crate) fn new(delay: Duration) -> Network {
        Network { delay, state: Mutex::default() }
    }

    /// Somebody answered, at this address if it is known.
    pub(crate) fn heard(&self, from: Option<SocketAddr>) {
        let mut state = self.state();
        state.heard_at = Some(Instant::now());
        state.silent_in_a_row = 0;
        state.silent_hosts.clear();
        state.doubt = None;
        if let Some(from) = from {
            state.know(from);
        }
    }

    /// Somebody answered an earlier process at this address. Without it, a process that begins among the silent
    /// hosts at the end of a list could not tell them from an outage.
    pub(crate) fn was_heard(&self, from: SocketAddr) {
        self.state().know(from);
    }

    /// A host was silent; so has its link been `since` then. `is_last` when this would decide about either.
    pub(crate) fn silent(&self, host: &str, since: Instant, is_last: bool) -> Silence {
        let mut state = self.state();
        if let Some(doubt) = &state.doubt {
            return if doubt.is_out { Silence::Network } else { Silence::Unclear };
        }
        state.silent_in_a_row += 1;
        if state.silent_hosts.len() < SILENT_HOSTS_AT_LEAST {
            state.silent_hosts.insert(xxh3_64(host.as_bytes()));
        }
        let is_lonely = is_last && state.heard_at.is_none_or(|heard_at| heard_at < since);
        let is_telling = state.heard.len() >= HEARD_AT_LEAST || state.silent_hosts.len() >= SILENT_HOSTS_AT_LEAST;
        if !is_telling || !(is_lonely || state.silent_in_a_row >= SILENT_MAX) {
            return Silence::Host;
        }
        // Those who are looked at are left the pause of a host, too.
        let now = Instant::now();
        let looks_at = state.looked_at.map_or(now, |looked_at| now.max(looked_at + self.delay));
        let is_out = state.heard.is_empty();
        state.doubt = Some(Doubt { looks_at, looks: 0, is_out });
        if is_out { Silence::Network } else { Silence::Unclear }
    }

    /// What is to be done now. An address is given once; after a while comes the next one.
    pub(crate) fn look(&self, now: Instant) -> Look {
        let again = (10 * self.delay).min(LOOK_AGAIN_MAX);
        let mut state = self.state();
        let State { doubt: Some(doubt), heard, looked_at, .. } = &mut *state else { return Look::Well };
        if now < doubt.looks_at {
            return Look::Wait;
        }
        // Those who answered before may be gone; then only asking others tells.
        let address = if doubt.looks.is_multiple_of(2) { heard.pop_front() } else { None };
        let Some(address) = address else { return Look::ByAsking };
        heard.push_back(address);
        (doubt.looks, doubt.looks_at) = (doubt.looks + 1, now + again);
        *looked_at = Some(now);
        Look::At(address)
    }

    /// A host is asked to find out.
    pub(crate) fn asks(&self, now: Instant) {
        let again = (10 * self.delay).min(LOOK_AGAIN_MAX);
        if let Some(doubt) = &mut self.state().doubt {
            (doubt.looks, doubt.looks_at) = (doubt.looks + 1, now + again);
        }
    }

    /// Nobody was at an address that was looked at.
    pub(crate) fn looked_in_vain(&self) {
        if let Some(doubt) = &mut self.state().doubt {
            doubt.is_out = true;
        }
    }

    /// Whether nobody was heard since silence became doubtful.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.state().doubt.is_some()
    }

    /// Whether a look was in vain and nobody was heard since.
    pub(crate) fn is_out(&self) -> bool {
        self.state().doubt.as_ref().is_some_and(|doubt| doubt.is_out)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }
}

impl State {
    fn know(&mut self, address: SocketAddr) {
        if !self.heard.iter().any(|known| known.ip() == address.ip()) {
            self.heard.truncate(HEARD_MAX - 1);
            self.heard.push_front(address);
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

    /// A network on which so many were heard.
    fn network(heard: u8) -> Network {
        let network = Network::new(DELAY);
        (0..heard).for_each(|number| network.heard(Some(address(number))));
        network
    }

    #[test]
    fn who_is_silent_among_others_is_to_blame() {
        let network = network(4);
        let since = Instant::now();
        network.heard(None);
        assert_eq!(network.silent("a.example", since, true), Silence::Host);
        assert_eq!(network.look(Instant::now()), Look::Well);
    }

    #[test]
    fn addresses_of_an_earlier_process_are_looked_at() {
        let network = Network::new(DELAY);
        (0..4).for_each(|number| network.was_heard(address(number)));
        assert_eq!(network.silent("a.example", Instant::now(), true), Silence::Unclear);
        assert!(!network.is_out());
        assert!(matches!(network.look(Instant::now()), Look::At(_)));
    }

    #[test]
    fn silence_of_all_is_looked_into() {
        let network = network(4);
        for number in 1..SILENT_MAX {
            assert_eq!(network.silent(&format!("h{number}.example"), Instant::now(), false), Silence::Host);
        }
        assert_eq!(network.silent("a.example", Instant::now(), false), Silence::Unclear);
        let now = Instant::now();
        assert!(matches!(network.look(now), Look::At(_)));
        assert_eq!(network.look(now), Look::Wait);
        network.looked_in_vain();
        assert!(network.is_out());
        assert_eq!(network.silent("b.example", now, true), Silence::Network);
        // Hosts are asked in turn with addresses.
        assert_eq!(network.look(now + 10 * DELAY), Look::ByAsking);
        network.asks(now + 10 * DELAY);
        assert_eq!(network.look(now + 11 * DELAY), Look::Wait);
        assert!(matches!(network.look(now + 20 * DELAY), Look::At(_)));
        network.heard(None);
        assert!(!network.is_out());
        assert_eq!(network.look(now + 20 * DELAY), Look::Well);
    }

    #[test]
    fn a_last_try_in_silence_is_looked_into() {
        let network = network(4);
        assert_eq!(network.silent("a.example", Instant::now(), true), Silence::Unclear);
        assert!(matches!(network.look(Instant::now()), Look::At(_)));
        network.heard(None);
        // The next look keeps its distance.
        assert_eq!(network.silent("b.example", Instant::now(), true), Silence::Unclear);
        assert_eq!(network.look(Instant::now()), Look::Wait);
        assert!(matches!(network.look(Instant::now() + DELAY), Look::At(_)));
    }

    #[test]
    fn a_few_hosts_say_nothing_of_the_network_and_many_do() {
        for heard in 0..HEARD_AT_LEAST as u8 {
            let network = network(heard);
            for number in 1..SILENT_HOSTS_AT_LEAST {
                let host = format!("h{number}.example");
                assert_eq!(network.silent(&host, Instant::now(), true), Silence::Host, "{heard} {host}");
            }
            assert_ne!(network.silent("a.example", Instant::now(), false), Silence::Host, "{heard}");
            assert_eq!(network.is_out(), heard == 0);
        }
    }
}
