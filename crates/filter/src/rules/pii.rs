use std::net::Ipv4Addr;
use std::sync::LazyLock;

use memchr::memchr_iter;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{DatatroveDialect, Edit, Findings, Rule, Settings};
use crate::About;
use crate::list::ListError;
use crate::measure::{Measure, MeasureUnit};
use crate::text::Text;
use words::python;

/// Replaces e-mail and IP addresses, and drops nothing.
///
/// Follows datatrove's `PIIFormatter`. Replacements are used in turn. Here each text begins with the first one; the
/// original continues from one text to the next, so that its result depends on the texts before. Addresses that are not
/// global by Python 3.11's `ipaddress` may be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pii {
    /// The code that is followed.
    pub dialect: DatatroveDialect,
    /// Whether e-mail addresses are replaced.
    pub replace_emails: bool,
    /// Whether IPv4 addresses are replaced.
    pub replace_ips: bool,
    /// Whether only global IP addresses are replaced.
    pub only_public_ips: bool,
    /// Replacements of e-mail addresses, used in turn.
    pub email_replacements: Vec<String>,
    /// Replacements of IP addresses, used in turn.
    pub ip_replacements: Vec<String>,
}

impl Default for Pii {
    fn default() -> Pii {
        let list = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Pii {
            dialect: DatatroveDialect::V0_10,
            replace_emails: true,
            replace_ips: true,
            only_public_ips: true,
            email_replacements: list(&["email@example.com", "firstname.lastname@example.org"]),
            // Addresses that did not answer when datatrove chose them.
            ip_replacements: list(&[
                "22.214.171.124",
                "126.96.36.199",
                "188.8.131.52",
                "184.108.40.206",
                "220.127.116.11",
                "18.104.22.168",
            ]),
        }
    }
}

impl Settings for Pii {
    fn fault(&self) -> Option<String> {
        let is_missing = |replaces: bool, list: &[String]| replaces && list.is_empty();
        if is_missing(self.replace_emails, &self.email_replacements) {
            Some("email_replacements has no entry".to_owned())
        } else if is_missing(self.replace_ips, &self.ip_replacements) {
            Some("ip_replacements has no entry".to_owned())
        } else {
            None
        }
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for Pii {
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new("emails", MeasureUnit::Count, "e-mail addresses that were replaced"),
            Measure::new("ips", MeasureUnit::Count, "IP addresses that were replaced"),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let original = text.as_str();
        let emails = if self.replace_emails { find_emails(original) } else { Vec::new() };
        let without_emails = replaced(original, &emails, &self.email_replacements);
        let text = without_emails.as_deref().unwrap_or(original);
        let ips = if self.replace_ips { self.find_ips(text) } else { Vec::new() };
        let edited = replaced(text, &ips, &self.ip_replacements).or(without_emails);
        let cuts = vec![("emails", emails.len()), ("ips", ips.len())];
        Findings {
            values: vec![emails.len() as f64, ips.len() as f64],
            edit: edited.map(|text| Edit { text, words: None, cuts }),
            ..Findings::default()
        }
    }
}

type Span = std::ops::Range<usize>;

/// The text with parts replaced, in turn; `None` if there is nothing to replace.
fn replaced(text: &str, spans: &[Span], replacements: &[String]) -> Option<String> {
    let mut new = String::with_capacity(text.len());
    let mut from = 0;
    for (span, replacement) in spans.iter().zip(replacements.iter().cycle()) {
        new.push_str(&text[from..span.start]);
        new.push_str(replacement);
        from = span.end;
    }
    new.push_str(&text[from..]);
    (!spans.is_empty()).then_some(new)
}

/// What follows the `@`: a domain, or an address in square brackets.
static EMAIL_DOMAIN: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
    let octet = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
    let literal = format!(r"\[(?:{octet}\.){{3}}(?:{octet}|[A-Za-z0-9-]*[A-Za-z0-9]:)\]");
    Regex::new(&format!(r"\A(?:(?:{label}\.)+{label}|{literal})")).expect("the expression is well-formed")
});

/// Finds e-mail addresses from left to right: atoms separated by full stops, `@`, a domain. Time O(bytes).
///
/// An address begins at the first position after the previous address from which atoms lead to the `@` and at which
/// Python's `\b` matches.
fn find_emails(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut emails: Vec<Span> = Vec::new();
    for at in memchr_iter(b'@', bytes) {
        let from = emails.last().map_or(0, |email| email.end);
        if at < from {
            continue;
        }
        let first = start_of_atoms(bytes, from, at);
        let Some(start) = (first..at).find(|&start| bytes[start] != b'.' && is_word_border(text, start)) else {
            continue;
        };
        if let Some(domain) = EMAIL_DOMAIN.find(&text[at + 1..]) {
            emails.push(start..at + 1 + domain.end());
        }
    }
    emails
}

/// The earliest byte from which atoms, with single full stops between them, lead to `end`; `end` itself for none.
fn start_of_atoms(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut start = end;
    let mut may_be_stop = false;
    while start > from {
        match bytes[start - 1] {
            b'.' if may_be_stop => may_be_stop = false,
            byte if is_atom(byte) => may_be_stop = true,
            _ => break,
        }
        start -= 1;
    }
    start
}

/// Whether a byte may be in an atom of the part before the `@`.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

/// Whether exactly one of the characters around a position is a word character: `\b`.
fn is_word_border(text: &str, at: usize) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(python::is_word);
    is_word(text[..at].chars().next_back()) != is_word(text[at..].chars().next())
}

/// Four numbers up to 255 with full stops between them, anywhere.
static IP: LazyLock<Regex> = LazyLock::new(|| {
    let octet = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
    Regex::new(&format!(r"(?:{octet}\.){{3}}{octet}")).expect("the expression is well-formed")
});

impl Pii {
    fn find_ips(&self, text: &str) -> Vec<Span> {
        // Rust refuses numbers with a leading zero, as Python does.
        let address = |span: &Span| text[span.clone()].parse::<Ipv4Addr>().ok();
        let is_replaced = |span: &Span| address(span).is_some_and(|ip| !self.only_public_ips || is_global(ip));
        IP.find_iter(text).map(|found| found.range()).filter(is_replaced).collect()
    }
}

/// Networks that are not global to Python 3.11.7's `ipaddress`: first address and prefix length.
const NOT_GLOBAL: [([u8; 4], u32); 14] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 29),
    ([192, 0, 0, 170], 31),
    ([192, 0, 2, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([240, 0, 0, 0], 4),
];

fn is_global(ip: Ipv4Addr) -> bool {
    let bits = |octets: [u8; 4]| u32::from_be_bytes(octets);
    !NOT_GLOBAL.iter().any(|&(network, prefix)| (bits(network) ^ bits(ip.octets())) >> (32 - prefix) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let findings = Pii::default().apply(&Text::new(text.into()), About::default());
        assert_eq!(findings.edit.map_or(text.to_owned(), |edit| edit.text), expected);
    }

    #[test]
    fn addresses_are_replaced_in_turn() {
        check("a@b.org, c.d@e-f.org. g@h", "email@example.com, firstname.lastname@example.org. g@h");
        check("..a..b@c.de", "..a..email@example.com");
        check("é#a@b.de-", "éemail@example.com-");
        check("a@b@c.de", "a@email@example.com");
        check("8.8.8.8 and 10.0.0.1 and 08.8.8.8", "22.214.171.124 and 10.0.0.1 and 08.8.8.8");
        check("1.2.3.4567", "22.214.171.12467");
    }

    #[test]
    fn signs_alone_begin_no_address() {
        check("!!!@b.de", "!!!@b.de");
        check("x!!!@b.de", "email@example.com");
    }
}
