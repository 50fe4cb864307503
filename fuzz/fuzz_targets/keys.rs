//! Any text as an address: reading what was read changes nothing, and another spelling of it has the same key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use links::{Canonical, CanonicalRules, Wrapper};

fuzz_target!(|input: (&str, Vec<u8>)| {
    let (text, choices) = input;
    let every = [Wrapper::Search, Wrapper::Redirect, Wrapper::Archive, Wrapper::Amp, Wrapper::Mobile];
    let opened = Canonical::parse_with(text, &CanonicalRules::unwrapping(every));
    let Ok(once) = Canonical::parse(text) else {
        assert!(opened.is_err(), "{text:?}: rules make no address of what is none");
        return;
    };
    assert!(opened.is_ok(), "{text:?}: rules lose no address");
    assert!(once.key.is_ascii() && !once.key.contains([' ', '\n']), "{:?}", once.key);
    assert_eq!(Canonical::parse(&once.url).as_ref(), Ok(&once));
    let other = respelled(&once.url, &choices);
    assert_eq!(Canonical::parse(&other).map(|other| other.key).as_ref(), Ok(&once.key), "{other}");
});

/// The URL with some of its letters and digits behind the host as escapes, and its escapes in another case.
fn respelled(url: &str, choices: &[u8]) -> String {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = authority + url[authority..].find('/').unwrap_or(0);
    let mut text = url[..path].to_owned();
    let mut choices = choices.iter().cycle();
    let mut rest = &url[path..];
    while let Some(character) = rest.chars().next() {
        let choice = choices.next().copied().unwrap_or(0);
        let escape = rest.get(..3).filter(|e| e.starts_with('%') && e[1..].bytes().all(|b| b.is_ascii_hexdigit()));
        let taken = match escape {
            Some(escape) if choice.is_multiple_of(2) => {
                text.push_str(&escape.to_ascii_lowercase());
                3
            }
            Some(escape) => {
                text.push_str(&escape.to_ascii_uppercase());
                3
            }
            None if choice.is_multiple_of(2) && character.is_ascii_alphanumeric() => {
                text.push_str(&format!("%{:02x}", character as u32));
                1
            }
            None => {
                text.push(character);
                character.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    text
}
