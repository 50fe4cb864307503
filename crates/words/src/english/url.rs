//! Which texts are URLs, and so one token.
//!
//! spaCy uses a backtracking regular expression. Whether it matches does not depend on the order of its attempts, and
//! no part of it matches white space, so this code accepts the same texts in one pass per candidate host.

use super::tables::{DIGIT, HOST, LOWER, SCHEME, Tables};

/// Whether a text without white space is `[scheme://][user[:password]@]host[:port][path]`, where the host is a public
/// IPv4 address or a name with a top-level domain in lower case. Time O(text): candidates of a host end at the next `@`.
pub fn is_url(tables: &Tables, text: &str) -> bool {
    if !text.contains('.') {
        return false;
    }
    let after_scheme = scheme_len(tables, text).map(|len| &text[len..]);
    // `user@` is any text that is not empty, a scheme included.
    let after_users = text.match_indices('@').filter(|&(at, _)| at > 0).map(|(at, _)| &text[at + 1..]);
    std::iter::once(text).chain(after_scheme).chain(after_users).any(|rest| begins_with_host(tables, rest))
}

/// Length in bytes of `scheme://`, of which the scheme has two characters or more.
fn scheme_len(tables: &Tables, text: &str) -> Option<usize> {
    let len = text.find("://")?;
    let scheme = &text[..len];
    let valid = scheme.chars().all(|char| tables.classes(char) & SCHEME != 0) && scheme.chars().nth(1).is_some();
    valid.then_some(len + "://".len())
}

/// Whether a text is a host, then perhaps a port, then perhaps a path or what else begins with one of `/?#`.
fn begins_with_host(tables: &Tables, text: &str) -> bool {
    let end = text.find([':', '/', '?', '#', '@']).unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    ends_host(tables, rest) && (is_name(tables, host) || is_public_address(tables, host))
}

/// Whether a text, which begins after a host, is empty or a port, a path or both.
fn ends_host(tables: &Tables, rest: &str) -> bool {
    let path = match rest.strip_prefix(':') {
        None => rest,
        Some(port) => {
            let path = port.trim_start_matches(|char| tables.classes(char) & DIGIT != 0);
            let digits = port[..port.len() - path.len()].chars().count();
            if !(2..=5).contains(&digits) {
                return false;
            }
            path
        }
    };
    path.is_empty() || path.starts_with(['/', '?', '#'])
}

/// Labels of 1 to 64 characters, each followed by a period, and a top-level domain of 2 to 63 letters without capitals.
fn is_name(tables: &Tables, host: &str) -> bool {
    let Some((labels, top)) = host.rsplit_once('.') else { return false };
    let is_top = top.chars().all(|char| tables.classes(char) & LOWER != 0);
    is_top && (2..=63).contains(&top.chars().count()) && labels.split('.').all(|label| is_label(tables, label))
}

fn is_label(tables: &Tables, label: &str) -> bool {
    let is_host = |char: char| tables.classes(char) & HOST != 0;
    let inner = label.chars().all(|char| is_host(char) || matches!(char, '-' | '_'));
    inner && label.starts_with(is_host) && label.ends_with(is_host) && label.chars().count() <= 64
}

/// Four numbers with periods between them, outside of the private, loopback and link-local ranges.
///
/// Digits are of any script where the expression has `\d`, and ASCII where it spells them out.
fn is_public_address(tables: &Tables, host: &str) -> bool {
    let mut octets = host.split('.');
    let mut next = || octets.next().unwrap_or("");
    let (first, second, third, fourth) = (next(), next(), next(), next());
    if octets.next().is_some() || is_private(tables, first, second) {
        return false;
    }
    is_octet(tables, first, Octet::First)
        && is_octet(tables, second, Octet::Middle)
        && is_octet(tables, third, Octet::Middle)
        && is_octet(tables, fourth, Octet::Last)
}

fn is_private(tables: &Tables, first: &str, second: &str) -> bool {
    match first {
        "10" | "127" => true,
        "169" => second == "254",
        "192" => second == "168",
        "172" => match second.as_bytes() {
            [b'1', b'6'..=b'9'] | [b'3', b'0' | b'1'] => true,
            [b'2', ..] => is_digits(tables, &second[1..], 1),
            _ => false,
        },
        _ => false,
    }
}

/// Which number of an address.
#[derive(Clone, Copy, PartialEq)]
enum Octet {
    /// 1 to 223, the unicast addresses.
    First,
    /// 0 to 255, with leading zeros.
    Middle,
    /// 1 to 254, without the network's and the broadcast address.
    Last,
}

/// `1…`, `2…` and shorter numbers of the expression.
fn is_octet(tables: &Tables, text: &str, octet: Octet) -> bool {
    let short = match octet {
        Octet::Middle => is_digits(tables, text, 1) || is_digits(tables, text, 2),
        Octet::First | Octet::Last => {
            text.starts_with(|char| matches!(char, '1'..='9')) && (text.len() == 1 || is_digits(tables, &text[1..], 1))
        }
    };
    let hundreds = || {
        let below_256: &[u8] = match octet {
            Octet::First => b"0123",
            Octet::Middle => b"012345",
            Octet::Last => b"01234",
        };
        match text.as_bytes() {
            [b'1', ..] => is_digits(tables, &text[1..], 2),
            [b'2', b'2', last] if octet == Octet::First => below_256.contains(last),
            [b'2', b'5', last] if octet != Octet::First => below_256.contains(last),
            [b'2', b'0'..=b'1', ..] => is_digits(tables, &text[2..], 1),
            [b'2', b'2'..=b'4', ..] if octet != Octet::First => is_digits(tables, &text[2..], 1),
            _ => false,
        }
    };
    short || hundreds()
}

/// Whether a text is this many decimal digits of any script.
fn is_digits(tables: &Tables, text: &str, count: usize) -> bool {
    text.chars().count() == count && text.chars().all(|char| tables.classes(char) & DIGIT != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::tables::tables;

    fn check(expected: bool, texts: &[&str]) {
        for text in texts {
            assert_eq!(is_url(tables(), text), expected, "{text}");
        }
    }

    #[test]
    fn names() {
        check(true, &["a.bc", "www.example.com", "http://a_b.example.com:80/x?y#z", "me@example.org", "straße.de#x"]);
        check(true, &["a@b@example.org", "x://y@example.org", "://y@example.org", "git+ssh://a.bc", "a:b@c.de:65535"]);
        check(false, &["a.b", ".bc", "a..bc", "a.Bc", "-a.bc", "a-.bc", "a.bc:1", "a.bc:123456", "a.bc:80x", "@a.bc@"]);
        check(false, &["x://a.bc", "http:/a.bc", "http://", "a.bc.", "a.b1", "localhost/x"]);
        check(true, &[&format!("{}.de", "a".repeat(64)), &format!("a.{}", "b".repeat(63))]);
        check(false, &[&format!("{}.de", "a".repeat(65)), &format!("a.{}", "b".repeat(64))]);
    }

    #[test]
    fn addresses() {
        check(true, &["1.2.3.4", "223.255.00.254", "http://8.8.8.8:53/", "172.32.0.1", "11.0.0.1", "1.1٣.2.3"]);
        check(false, &["0.1.2.3", "224.1.1.1", "10.1.1.1", "127.0.0.1", "192.168.0.1", "169.254.1.1", "172.16.0.1"]);
        check(false, &["1.2.3.0", "1.2.3.255", "1.2.3", "1.2.3.4.5", "1.256.3.4", "01.2.3.4"]);
    }
}
