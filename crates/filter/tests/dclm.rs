//! Compares with the results of DCLM's published code for the texts of `texts/mod.rs`: `golden/dclm.py` says how it was
//! run.
//!
//! `WEBTEXT_WRITE_TEXTS` names a file to which the texts are written for that.

use std::io::Write;

use filter::{About, Filter, RefinedWebLines, RuleSettings};
use serde_json::{Value, json};

mod texts;

#[test]
fn lines_are_cut_as_dclm_cuts_them() {
    let texts = texts::all();
    if let Some(path) = std::env::var_os("WEBTEXT_WRITE_TEXTS") {
        let mut file = std::fs::File::create(path).unwrap();
        texts.iter().for_each(|(text, _)| writeln!(file, "{}", json!({ "text": text })).unwrap());
    }
    let filter = Filter::new(&[RuleSettings::RefinedWebLines(RefinedWebLines::default())]).unwrap();
    let golden: Vec<Value> = include_str!("golden/dclm.jsonl").lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(golden.len(), texts.len());
    for ((text, _), expected) in texts.iter().zip(&golden) {
        let judgement = filter.judge(text, About::default());
        assert_eq!(judgement.measures[0], expected["removed_words"].as_f64().unwrap(), "{text:?}");
        if let Some(hash) = expected["hash"].as_str() {
            assert_eq!(fnv(&judgement.text), hash, "{text:?} became {:?}", judgement.text);
        }
    }
}

fn fnv(text: &str) -> String {
    let step = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}
