//! The scanner of each known pattern against its regular expressions; and cuts, which must not change pretokens.
#![no_main]

use bpe::twin::pretokens_by_regex;
use bpe::{KnownPattern, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for pattern in KnownPattern::ALL {
        let splitter = Splitter::of_pattern(pattern.name()).expect("a known name");
        let mut pretokens = Vec::new();
        splitter.for_each_pretoken(text, |pretoken| pretokens.push(pretoken.to_vec()));
        assert_eq!(pretokens, pretokens_by_regex(pattern, text), "{pattern}");
    }
});
