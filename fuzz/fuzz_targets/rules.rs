//! Any text under every rule that reads no file: a value for each measure, a verdict that follows from them, and tokens
//! that make up the text again.
#![no_main]

use filter::{About, Filter, RuleSettings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// All rules without lists and models, in both dialects where there are two.
const RULES: &str = r#"[
    {"rule": "gopher_repetition"}, {"rule": "gopher_repetition", "dialect": "dclm"},
    {"rule": "gopher_quality"}, {"rule": "gopher_quality", "dialect": "dclm"},
    {"rule": "c4_quality", "dialect": "datatrove-0.10"}, {"rule": "c4_quality", "dialect": "tfds"},
    {"rule": "c4_paragraph"}, {"rule": "fineweb_quality"}, {"rule": "redpajama_signals"}, {"rule": "refinedweb_lines"},
    {"rule": "pii"}, {"rule": "url"}, {"rule": "wikipedia"}, {"rule": "length", "min_words": 1, "max_words": 100},
    {"rule": "language", "keep": "en", "min_confidence": 0.5, "min_byte_fraction": 0.5}
]"#;

static FILTER: LazyLock<Filter> = LazyLock::new(|| {
    let rules: Vec<RuleSettings> = serde_json::from_str(RULES).expect("these are rules");
    Filter::new(&rules).expect("none reads a file")
});

fuzz_target!(|text: &str| {
    let judgement = FILTER.judge(text, About { url: text, ..About::default() });
    assert_eq!(judgement.measures.len(), FILTER.measures().len());
    let first = judgement.failures.iter().flatten().next();
    assert_eq!(first, judgement.failure.as_ref());
    let again = FILTER.judge(text, About { url: text, ..About::default() });
    assert_eq!(again.text, judgement.text);
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&again.measures), bits(&judgement.measures));
});
