//! The scanner of each known pattern against its regular expressions; and cuts, which must not change pretokens.
#![no_main]

use bpe::twin::{last_cut, pretokens_by_regex};
use bpe::{KnownPattern, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for pattern in KnownPattern::ALL {
        let splitter = Splitter::of_pattern(pattern.name()).expect("a known name");
        let mut pretokens = Vec::new();
        splitter.for_each_pretoken(text, |pretoken| pretokens.push(pretoken.to_vec()));
        let whole = pretokens_by_regex(pattern, text);
        assert_eq!(pretokens, whole, "{pattern}");
        // What follows the last character may be the rest of a text that was cut before it.
        let known = text.char_indices().next_back().map_or(0, |(at, _)| at);
        if let Some(cut) = last_cut(pattern, &text[..known]) {
            let (left, right) = text.split_at(cut);
            let mut parts = pretokens_by_regex(pattern, left);
            parts.extend(pretokens_by_regex(pattern, right));
            assert_eq!(parts, whole, "{pattern} cut at {cut}");
        }
    }
});
