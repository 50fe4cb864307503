//! Compares with the results of RedPajama's published code for the texts of `texts/mod.rs`: `golden/redpajama.py` says how
//! it was run.

use filter::{About, Filter, RedPajamaSignals, RuleSettings};

mod texts;

#[test]
fn signals_are_those_of_redpajama() {
    let list = |name: &str| Some(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR")));
    let lists = RedPajamaSignals { stop_words: list("stop_words.txt"), bad_words: list("bad_words.txt") };
    let filter = Filter::new(&[RuleSettings::RedPajamaSignals(lists)]).unwrap();
    let texts = texts::all();
    texts::write(&texts);
    let golden: Vec<Vec<Option<f64>>> =
        include_str!("golden/redpajama.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(golden.len(), texts.len());
    for ((text, _), expected) in texts.iter().zip(&golden) {
        let judgement = filter.judge(text, About::default());
        assert_eq!(judgement.failure, None);
        assert_eq!(judgement.measures.len(), expected.len());
        for ((measure, &value), expected) in filter.measures().iter().zip(&judgement.measures).zip(expected) {
            let is_same = expected.map_or(value.is_nan(), |expected| value == expected);
            assert!(is_same, "{} = {value}, not {expected:?}: {text:?}", measure.name());
        }
    }
}
