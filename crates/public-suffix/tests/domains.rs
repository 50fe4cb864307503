//! Suffixes and registrable domains by the compiled list.

use public_suffix::{Section, Suffix, registrable_domain, suffix_of};

#[test]
fn suffixes_and_their_sections() {
    assert_eq!(suffix_of(&["uk", "co", "example"]), Suffix { bytes: 5, section: Some(Section::Icann) });
    assert_eq!(suffix_of(&["io", "github", "a"]), Suffix { bytes: 9, section: Some(Section::Private) });
    assert_eq!(suffix_of(&["nosuch"]), Suffix { bytes: 6, section: None });
}

#[test]
fn domains_are_those_of_the_list() {
    for (host, domain) in [
        ("localhost", None),
        ("www.example.co.uk", Some("example.co.uk")),
        ("co.uk", None),
        ("b.a.github.io", Some("a.github.io")),
        // An exception to the rule that any label below `ck` is a suffix.
        ("www.ck", Some("www.ck")),
        ("a.b.ck", Some("a.b.ck")),
        ("a.b.nosuch", Some("b.nosuch")),
        ("www.example.com.", Some("example.com")),
        ("www.münchen.de", Some("münchen.de")),
        ("", None),
    ] {
        assert_eq!(registrable_domain(host), domain, "{host}");
    }
}
