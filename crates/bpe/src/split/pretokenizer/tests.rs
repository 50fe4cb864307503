//! What each step makes of a text.

use super::*;

fn check(json: Value, text: &str, expected: &[&str]) {
    let pieces = Pretokenizer::parse(&json, false).unwrap().pieces(text);
    let shown: Vec<_> =
        pieces.ranges.iter().map(|range| String::from_utf8_lossy(&pieces.bytes[range.clone()])).collect();
    assert_eq!(shown, expected, "{json}");
}

fn sequence(steps: Value) -> Value {
    let mut steps: Vec<Value> = steps.as_array().unwrap().clone();
    steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}));
    json!({"type": "Sequence", "pretokenizers": steps})
}

#[test]
fn what_becomes_of_matches() {
    let split = |behavior: &str, invert: bool| {
        sequence(json!([{"type": "Split", "pattern": {"String": "-"}, "behavior": behavior, "invert": invert}]))
    };
    let text = "a--b-c";
    check(split("Removed", false), text, &["a", "b", "c"]);
    check(split("Removed", true), text, &["-", "-", "-"]);
    check(split("Isolated", false), text, &["a", "-", "-", "b", "-", "c"]);
    check(split("MergedWithPrevious", false), text, &["a-", "-", "b-", "c"]);
    check(split("MergedWithNext", false), text, &["a", "-", "-b", "-c"]);
    check(split("Contiguous", false), text, &["a", "--", "b", "-", "c"]);
    check(sequence(json!([{"type": "Digits", "individual_digits": true}])), "a12", &["a", "1", "2"]);
    check(sequence(json!([{"type": "Digits", "individual_digits": false}])), "a12²b", &["a", "12²", "b"]);
    check(sequence(json!([{"type": "Punctuation"}])), "a+b—c", &["a", "+", "b", "—", "c"]);
}

#[test]
fn pieces_of_one_regular_expression_come_one_by_one() {
    for (regex, text) in [("[ab]+|c", "xabbcc d"), ("x*", "axxb"), ("$|b", "a\nbb\n"), ("a", "a"), ("b", "a")] {
        for make in [Pretokenizer::of_regex, Pretokenizer::of_matches] {
            let pretokenizer = make(SplitRegex::new(regex).unwrap());
            let (only, keeps_between) = pretokenizer.only_regex().unwrap();
            let one_by_one: Vec<_> = only.pieces(text, keeps_between).collect();
            assert_eq!(one_by_one, pretokenizer.pieces(text).ranges, "{regex}");
        }
    }
}

#[test]
fn spaces_before_pieces_and_steps_after_bytes() {
    let prefix = json!({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true});
    check(prefix.clone(), "It's", &[" It", "'s"]);
    check(prefix, " It", &[" It"]);
    // The second byte of `ò` is visible as `²`, a number.
    let after =
        json!([{"type": "ByteLevel", "add_prefix_space": false}, {"type": "Digits", "individual_digits": true}]);
    check(json!({"type": "Sequence", "pretokenizers": after}), "xò1", &["x\u{fffd}", "\u{fffd}", "1"]);
}

#[test]
fn what_is_known_is_recognised() {
    for pattern in KnownPattern::ALL {
        let json = Pretokenizer::json_of_known(pattern);
        assert_eq!(Pretokenizer::parse(&json, false).unwrap(), Pretokenizer::Known(pattern));
    }
    let refused = |json: Value| Pretokenizer::parse(&json, false).unwrap_err();
    assert_eq!(refused(json!({"type": "Metaspace"})), "its pre-tokenizer Metaspace is not known");
    assert!(refused(Value::Null).contains("not byte-level"));
}
