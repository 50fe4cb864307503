//! A name server that answers by script: A and AAAA over UDP, without compression or extensions.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::Shared;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// What is said of a name.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These addresses; without one of the family that is asked for, the answer is empty.
    Addresses(Vec<IpAddr>),
    /// The first list for the first question for IPv4 addresses, and so on; the last one stays. Lives no second.
    Turns(Vec<Vec<IpAddr>>),
    /// There is no such name.
    NoSuchName,
    /// The server failed.
    ServerFailed,
    /// Nothing comes back.
    Silence,
}

impl Answer {
    /// These addresses.
    pub fn addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Answer {
        Answer::Addresses(addresses.into_iter().collect())
    }

    /// One address as text.
    ///
    /// # Panics
    /// When it is none.
    pub fn of(address: &str) -> Answer {
        Answer::addresses([address.parse::<IpAddr>().unwrap()])
    }
}

pub(super) async fn serve(shared: Arc<Shared>, socket: UdpSocket) {
    let mut packet = [0; 1500];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut packet).await else { continue };
        if let Some(answer) = answer(&shared, &packet[..len]) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The reply to a question; `None` for what is none, and for silence.
fn answer(shared: &Shared, packet: &[u8]) -> Option<Vec<u8>> {
    let (name, end) = question(packet)?;
    let kind = u16::from_be_bytes(packet.get(end..end + 2)?.try_into().ok()?);
    let mut log = shared.log.lock().unwrap();
    let lookups = log.lookups.entry(name.clone()).or_default();
    *lookups += u32::from(kind == TYPE_A);
    let turn = *lookups;
    drop(log);
    let (code, ttl_s, addresses) = match (shared.names)(&name) {
        Answer::Silence => return None,
        Answer::NoSuchName => (NXDOMAIN, 0, Vec::new()),
        Answer::ServerFailed => (SERVFAIL, 0, Vec::new()),
        Answer::Addresses(addresses) => (0, 60, addresses),
        Answer::Turns(turns) => {
            let turn = (turn.max(1) as usize).min(turns.len()) - 1;
            (0, 0, turns[turn].clone())
        }
    };
    let of_kind = |address: &&IpAddr| matches!((address, kind), (IpAddr::V4(_), TYPE_A) | (IpAddr::V6(_), TYPE_AAAA));
    let addresses: Vec<&IpAddr> = addresses.iter().filter(of_kind).collect();
    let mut reply = packet[..2].to_vec();
    // A response, recursion was asked for and is there; one question, the answers, nothing else.
    reply.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    reply.extend(packet.get(12..end + 4)?);
    for address in addresses {
        // The name is the question's, at offset 12.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend(1_u16.to_be_bytes());
        reply.extend(u32::to_be_bytes(ttl_s));
        match address {
            IpAddr::V4(address) => reply.extend([&[0, 4], &address.octets()[..]].concat()),
            IpAddr::V6(address) => reply.extend([&[0, 16], &address.octets()[..]].concat()),
        }
    }
    Some(reply)
}

/// The name that is asked for, in lower case, and where its type stands.
fn question(packet: &[u8]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), 12);
    loop {
        let len = usize::from(*packet.get(at)?);
        at += 1;
        if len == 0 {
            return Some((name, at));
        }
        if !name.is_empty() {
            name.push('.');
        }
        name += &String::from_utf8_lossy(packet.get(at..at + len)?).to_ascii_lowercase();
        at += len;
    }
}
