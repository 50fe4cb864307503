//! Compares with what DCLM's Bloom filter leaves of the texts of `texts/mod.rs`: `golden/bff.py` says how it was run.

use dedup::bloom::BloomFilter;
use dedup::ngram_bloom::{NgramBloom, NgramLimits};
use xxhash_rust::xxh64::xxh64;

mod texts;

#[test]
fn documents_are_judged_as_dclm_judges_them() {
    let texts = texts::all();
    texts::write(&texts);
    let small = NgramLimits { min_ngram_tokens: 3, max_ngram_tokens: 5, max_contained: 0.5 };
    let filter = || BloomFilter::new(2_000_000, 1e-9).expect("a filter of 11 MB");
    let mut blooms = [NgramLimits::default(), small].map(|limits| NgramBloom::new(limits, filter()));
    let golden = include_str!("golden/bff.jsonl");
    assert_eq!(golden.lines().count(), texts.len());
    let mut changed = [0, 0];
    for (text, line) in texts.iter().zip(golden.lines()) {
        let expected: [Option<String>; 2] = serde_json::from_str(line).expect("a line of JSON");
        for (number, (bloom, expected)) in blooms.iter_mut().zip(expected).enumerate() {
            let verdict = bloom.judge(text);
            let left = (!verdict.is_dropped).then(|| verdict.edit(text).text);
            let digest = left.as_ref().map(|left| format!("{:016x}", xxh64(left.as_bytes(), 0)));
            assert_eq!(digest, expected, "by settings {number}, of {text:?} is left {left:?}");
            changed[number] += u64::from(left.is_none_or(|left| left != *text));
        }
    }
    assert!(changed.iter().all(|&changed| changed > 20), "{changed:?} are changed");
}
