//! Addresses that lead to a page of another address: the table of wrappers, and the forms of a page.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use links::{Canonical, CanonicalRules, Wrapper};

const WRAPPERS: &str = include_str!("wrappers.tsv");

#[test]
fn wrappers_are_opened() {
    let mut wrong = Vec::new();
    for row in WRAPPERS.lines().filter(|line| line.contains('\t')) {
        let cells: Vec<&str> = row.split('\t').collect();
        let [setting, address, target, reason] = cells[..] else { panic!("{row:?} has not four columns") };
        let wrapper: Wrapper = serde_json::from_str(&format!("\"{setting}\"")).unwrap();
        let opened = Canonical::parse_with(address, &CanonicalRules::unwrapping([wrapper])).unwrap();
        let stays = Canonical::parse(address).unwrap();
        let expected = if target == "-" { &stays.url } else { target };
        if opened.url != *expected {
            wrong.push(format!("{address} leads to {}, not {expected}: {reason}", opened.url));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(setting: Wrapper, address: &str, key: &str) {
    let rules = CanonicalRules::unwrapping([setting]);
    let canonical = Canonical::parse_with(address, &rules).unwrap();
    assert_eq!(canonical.key, key, "{address}");
    assert_eq!(canonical.url, Canonical::parse(address).unwrap().url, "{address} is fetched as it is");
}

#[test]
fn forms_of_a_page_have_its_key_and_are_fetched_as_they_are() {
    for address in ["http://m.example.com/a", "http://mobile.example.com/a", "http://www.m.example.com/a"] {
        check(Wrapper::Mobile, address, "com,example)/a");
    }
    check(Wrapper::Mobile, "https://en.m.wikipedia.org/wiki/A", "org,wikipedia,en)/wiki/A");
    check(Wrapper::Mobile, "http://m.com/a", "com,m)/a");
    check(Wrapper::Mobile, "http://m.co.uk/a", "uk,co,m)/a");
    check(Wrapper::Mobile, "http://amp.example.com/a", "com,example,amp)/a");
    for address in [
        "http://amp.example.com/a/b",
        "http://example.com/amp/a/b",
        "http://example.com/a/b/amp/",
        "http://example.com/a/b.amp",
        "http://example.com/a/b?amp=1",
        "http://example.com/a/b?amp",
        "http://example.com/a/b?outputType=amp",
        "http://example.com/a/b?usqp=mq331AQ",
    ] {
        check(Wrapper::Amp, address, "com,example)/a/b");
    }
    check(Wrapper::Amp, "http://example.com/a.amp.html", "com,example)/a.html");
    check(Wrapper::Amp, "http://example.com/amp", "com,example)/amp");
    check(Wrapper::Amp, "http://example.com/?amp=12", "com,example)/?amp=12");
    check(Wrapper::Amp, "http://example.com/amps/a", "com,example)/amps/a");
    check(Wrapper::Amp, "http://m.example.com/a", "com,example,m)/a");
}

#[test]
fn wrappers_in_wrappers_are_opened() {
    let nested =
        "https://web.archive.org/web/2019/https://www.google.com/url?q=https://www.google.com/amp/s/m.b.example/a";
    let rules = CanonicalRules::unwrapping([Wrapper::Archive, Wrapper::Search, Wrapper::Amp, Wrapper::Mobile]);
    let canonical = Canonical::parse_with(nested, &rules).unwrap();
    assert_eq!((canonical.url.as_str(), canonical.key.as_str()), ("https://m.b.example/a", "example,b)/a"));
    assert_eq!(canonical.domain, "b.example");
}

#[test]
fn settings_are_read_as_a_recipe_has_them() {
    let rules: CanonicalRules = serde_json::from_str(r#"{"unwrap":["archive","amp"]}"#).unwrap();
    assert_eq!(rules, CanonicalRules::unwrapping([Wrapper::Amp, Wrapper::Archive]));
    assert_eq!(serde_json::from_str::<CanonicalRules>("{}").unwrap(), CanonicalRules::default());
    assert!(serde_json::from_str::<CanonicalRules>(r#"{"unwrap":["cache"]}"#).is_err());
    assert!(serde_json::from_str::<CanonicalRules>(r#"{"unwraps":[]}"#).is_err());
}
