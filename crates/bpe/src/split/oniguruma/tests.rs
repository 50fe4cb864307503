//! What becomes of each item.

use super::*;

fn check(source: &str, expected: Result<&str, &str>) {
    let found = translate(source).map(|translated| translated.pattern);
    assert_eq!(found.as_deref().map_err(String::as_str), expected, "{source}");
}

#[test]
fn what_both_have() {
    check(r"\p{L}+|\p{N}{1,3}", Ok(r"[\p{l}]+|[\p{n}]{1,3}"));
    check(r"[^\r\n\p{L}]?+(a|b)*?", Ok(r"[^\x{d}\x{a}\p{l}]?+(?:a|b)*?"));
    check(r" ?[^\s\p{L}]++[\r\n/]*\z", Ok(r"\x{20}?[^\s\p{l}]++[\x{d}\x{a}\x{2f}]*\z"));
    check("(?i:'s)(?#note)é", Ok("(?:[\\x{27}][sS\u{17f}])é"));
    check("(?i)k|[a-ck]", Ok("[kK\u{212a}]|[a-cA-CkK\u{212a}]"));
    check(r"a{,2}b{", Ok(r"a{0,2}b\x{7b}"));
    check(r"[\p{Lu}\p{^M}&&[^\p{Han}]-]", Ok(r"[\p{lu}\P{m}&&[^\p{han}]\x{2d}]"));
}

#[test]
fn what_differs_is_refused_by_name() {
    for (source, what) in [
        ("[[:alpha:]]", "a POSIX bracket"),
        ("(?m).", "(?m"),
        (r"\p{N}{1,3}+", "a plus sign after a quantifier in braces"),
        (r"\d{3}?", "a question mark after a number in braces"),
        ("(?i:ss)", "ignoring the case of ss, for which one character may stand,"),
        ("(?i:x(?:s)t)", "ignoring the case of st, for which one character may stand,"),
        ("(?i:s{2})", "ignoring the case of a repeated s or f"),
        ("(?i:ß)", "ignoring the case of 'ß'"),
        ("(?i)[é]", "ignoring case in a class of more than ASCII"),
        (r"(?i)[\p{Lu}]", "ignoring case in a class of more than ASCII"),
        ("a(?i)b", "a flag in the middle of a group"),
        (r"\p{Graph}", r"\p{Graph}"),
        (r"\p{Script=Han}", r"\p{Script=Han}"),
        (r"\pL", r"\p without braces"),
        (r"(a)\1", r"\1"),
        (r"a\Z", r"\Z"),
        (r"\X", r"\X"),
        (r"\xe9", r"\xe9"),
        ("(?<a>b)", "a named group"),
        ("(?:a*)+", "a repetition of what may be empty"),
        ("a**", "a quantifier of a quantifier"),
        ("^*", "a quantifier of an assertion"),
        ("+", "the quantifier + with nothing before it"),
        ("(", "a group that does not end"),
        (")", "a closing parenthesis without an opening one"),
        ("[a", "a class that does not end"),
        ("[]a]", "a ] at the beginning of a class"),
        (r"[a-\d]", "a range that ends in a class"),
        ("[z-a]", "a range that ends before it begins"),
    ] {
        check(source, Err(what));
    }
    assert!(translate(&"(".repeat(100_000)).is_err());
}
