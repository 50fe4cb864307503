//! Keys of addresses: the table of pairs that have one key or two, and the same for made addresses.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use links::Canonical;
use proptest::prelude::*;

const PAIRS: &str = include_str!("keys.tsv");

#[test]
fn pairs_are_one_address_or_two() {
    let rows: Vec<&str> = PAIRS.lines().filter(|line| line.contains('\t')).collect();
    assert!(rows.len() >= 200, "{} pairs", rows.len());
    let wrong: Vec<String> = rows.into_iter().filter_map(fault_of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a row of the table.
fn fault_of(row: &str) -> Option<String> {
    let cells: Vec<&str> = row.split('\t').collect();
    let [expected, one, other, reason] = cells[..] else { panic!("{row:?} has not four columns") };
    let key = |cell: &str| {
        let address: String = serde_json::from_str(&format!("\"{cell}\"")).unwrap();
        Canonical::parse(&address).unwrap_or_else(|fault| panic!("{address:?}: {fault}")).key
    };
    let (one_key, other_key) = (key(one), key(other));
    let found = if one_key == other_key { "same" } else { "apart" };
    (found != expected)
        .then(|| format!("{one} and {other} are {found} ({one_key}, {other_key}), not {expected}: {reason}"))
}

/// An address as it is meant, without escapes. Two of them are one page if they are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meant {
    host: String,
    segments: Vec<String>,
    /// Sorted by name.
    parameters: Vec<(String, String)>,
}

/// Text of characters from every class that the rules tell apart, behind a first letter.
fn text_of(first: &str, max_chars: usize) -> impl Strategy<Value = String> + use<> {
    let expression = format!("{first}[a-dA-D0-1._~!$'()*,:@/;?#&=+%\" é語-]{{0,{max_chars}}}");
    prop::string::string_regex(&expression).unwrap()
}

/// Names begin with a letter that no session and no tracker begins with, and segments are never dots.
fn meant() -> impl Strategy<Value = Meant> {
    let segments = prop::collection::vec(text_of("p", 4), 0..4);
    let parameters = prop::collection::vec((text_of("q", 2), text_of("", 4)), 0..4);
    ("[a-c]{1,2}\\.example(:81)?", segments, parameters).prop_map(|(host, segments, mut parameters)| {
        parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
        Meant { host, segments, parameters }
    })
}

impl Meant {
    /// One of its spellings, by a source of choices.
    fn spelled(&self, choices: &mut impl FnMut() -> u8) -> String {
        let scheme = ["http://", "https://", "HTTP://www."][usize::from(choices() % 3)];
        let mut text = format!("{scheme}{}/", self.host);
        for (i, segment) in self.segments.iter().enumerate() {
            let dots = ["", "./", "%2e/", "x/../"][usize::from(choices() % 4)];
            text.push_str(&format!("{}{dots}", if i > 0 { "/" } else { "" }));
            push_spelled(&mut text, segment, "/;?#%\\", choices);
        }
        text.push_str(["", "/"][usize::from(choices() % 2)]);
        let mut parameters: Vec<&(String, String)> = self.parameters.iter().collect();
        if choices().is_multiple_of(2) {
            // Another order of different names; a stable sort keeps that of one name.
            parameters.sort_by(|(a, _), (b, _)| b.cmp(a));
        }
        for (i, (name, value)) in parameters.into_iter().enumerate() {
            text.push(if i == 0 { '?' } else { '&' });
            push_spelled(&mut text, name, "&=#+%", choices);
            text.push('=');
            push_spelled(&mut text, value, "&#+%", choices);
        }
        text.push_str(["", "#top"][usize::from(choices() % 2)]);
        text
    }
}

/// Each character plain or escaped, as the choices have it; delimiters always escaped, and spaces, which would be cut off
/// at the end of the text.
fn push_spelled(text: &mut String, meant: &str, delimiters: &str, choices: &mut impl FnMut() -> u8) {
    for character in meant.chars() {
        let choice = choices();
        if choice.is_multiple_of(3) && character != ' ' && !delimiters.contains(character) {
            text.push(character);
            continue;
        }
        for byte in character.to_string().bytes() {
            text.push_str(&if choice.is_multiple_of(2) { format!("%{byte:02x}") } else { format!("%{byte:02X}") });
        }
    }
}

fn key_of(text: &str) -> String {
    Canonical::parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault}")).key
}

/// Choices out of a list, over and over.
fn choices_of(list: Vec<u8>) -> impl FnMut() -> u8 {
    let mut list = list.into_iter().cycle();
    move || list.next().unwrap_or(0)
}

proptest! {
    #[test]
    fn spellings_of_one_address_agree(
        meant in meant(),
        one in prop::collection::vec(any::<u8>(), 1..40),
        other in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let (one, other) = (meant.spelled(&mut choices_of(one)), meant.spelled(&mut choices_of(other)));
        prop_assert_eq!(key_of(&one), key_of(&other), "{:?} and {:?}", one, other);
    }

    #[test]
    fn other_addresses_never_agree(one in meant(), other in meant(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        prop_assume!(one != other);
        let mut choices = choices_of(choices);
        let (one, other) = (one.spelled(&mut choices), other.spelled(&mut choices));
        prop_assert_ne!(key_of(&one), key_of(&other), "{:?} and {:?}", one, other);
    }

    #[test]
    fn one_changed_part_is_another_address(
        meant in meant(),
        part in 0..3,
        change in text_of("d", 1),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut other = meant.clone();
        match part {
            0 => other.host.insert(0, 'd'),
            1 => match other.segments.last_mut() {
                Some(segment) => segment.push_str(&change),
                None => other.segments.push(format!("p{change}")),
            },
            _ => match other.parameters.last_mut() {
                Some((_, value)) => value.push_str(&change),
                None => other.parameters.push((format!("q{change}"), String::new())),
            },
        }
        let mut choices = choices_of(choices);
        let (one, other) = (meant.spelled(&mut choices), other.spelled(&mut choices));
        prop_assert_ne!(key_of(&one), key_of(&other), "{:?} and {:?}", one, other);
    }

    /// Two segments or parameters are not one with the delimiter in it.
    #[test]
    fn a_meant_delimiter_delimits_nothing(
        meant in meant(),
        part in 0..4,
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let (mut joined, mut parted) = (meant.clone(), meant);
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match part {
            0 => {
                joined.segments.push("pa/pb".to_owned());
                parted.segments.extend(["pa".to_owned(), "pb".to_owned()]);
            }
            1 => {
                joined.segments.push("pa?qb=c".to_owned());
                parted.segments.push("pa".to_owned());
                parted.parameters.insert(0, parameter("qb", "c"));
            }
            2 => {
                joined.parameters.push(parameter("qz", "a&qzz=b"));
                parted.parameters.extend([parameter("qz", "a"), parameter("qzz", "b")]);
            }
            _ => {
                joined.parameters.push(parameter("qz=a", "b"));
                parted.parameters.push(parameter("qz", "a=b"));
            }
        }
        let mut choices = choices_of(choices);
        let (one, other) = (joined.spelled(&mut choices), parted.spelled(&mut choices));
        prop_assert_ne!(key_of(&one), key_of(&other), "{:?} and {:?}", one, other);
    }

    #[test]
    fn reading_what_was_read_changes_nothing(meant in meant(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        let once = Canonical::parse(&meant.spelled(&mut choices_of(choices))).unwrap();
        prop_assert_eq!(Canonical::parse(&once.url).unwrap(), once);
    }
}
