//! Compares with the results of DCLM's published code for the texts of `texts/mod.rs`: `golden/dclm.py` says how it was
//! run.

use filter::{About, Filter, GopherDialect, GopherQuality, GopherRepetition, RefinedWebLines, RuleSettings};
use serde_json::Value;

mod texts;

#[test]
fn lines_are_cut_as_dclm_cuts_them() {
    let filter = Filter::new(&[RuleSettings::RefinedWebLines(RefinedWebLines::default())]).unwrap();
    for_each_text(include_str!("golden/dclm_lines.jsonl"), |text, expected| {
        let judgement = filter.judge(text, About::default());
        assert_eq!(judgement.measures[0], expected["removed_words"].as_f64().unwrap(), "{text:?}");
        if let Some(hash) = expected["hash"].as_str() {
            assert_eq!(fnv(&judgement.text), hash, "{text:?} became {:?}", judgement.text);
        }
    });
}

#[test]
fn pages_are_measured_as_dclm_measures_them() {
    let dialect = GopherDialect::Dclm;
    let quality = GopherQuality { dialect, ..GopherQuality::default() };
    let repetition = GopherRepetition { dialect, ..GopherRepetition::default() };
    let filter =
        Filter::new(&[RuleSettings::GopherQuality(quality), RuleSettings::GopherRepetition(repetition)]).unwrap();
    for_each_text(include_str!("golden/dclm_gopher.jsonl"), |text, expected| {
        let judgement = filter.judge(text, About::default());
        // DCLM's filters have no such measure; here it finds empty texts.
        let is_compared = |name: &str| name != "gopher_repetition.chars";
        let measures = filter.measures().iter().map(filter::FilterMeasure::name).zip(&judgement.measures);
        let measures: Vec<_> = measures.filter(|(name, _)| is_compared(name)).collect();
        let values = |key: &str| expected[key].as_array().unwrap().clone();
        let expected_values = [values("quality"), values("repetition")].concat();
        assert_eq!(measures.len(), expected_values.len());
        for ((name, value), expected) in measures.iter().zip(&expected_values) {
            // DCLM compares nothing if nothing repeats, or the value is not defined.
            let is_same = expected.as_f64().map_or(value.is_nan() || **value == 0.0, |expected| **value == expected);
            assert!(is_same, "{name} = {value}, not {expected}: {text:?}");
        }
        let keeps: Vec<Value> = judgement.failures.iter().map(|failure| failure.is_none().into()).collect();
        assert_eq!(expected["keeps"], Value::from(keeps), "{text:?}");
    });
}

/// Calls back with each text and its line of the golden file.
fn for_each_text(golden: &str, mut each: impl FnMut(&str, &Value)) {
    let texts = texts::all();
    texts::write(&texts);
    let golden: Vec<Value> = golden.lines().map(|line| line.parse().expect("a line of JSON")).collect();
    assert_eq!(golden.len(), texts.len());
    texts.iter().zip(&golden).for_each(|((text, _), expected)| each(text, expected));
}

fn fnv(text: &str) -> String {
    let step = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}
