//! Compares with datatrove on the same texts: verdict, reason, edited text, and every measure.
//!
//! Needs a Python that has datatrove and spaCy: `WEBTEXT_PEERS` names it. Skips with a printed reason without it.
//! `WEBTEXT_PARITY_TEXTS` names a file of JSON Lines with `text`, and perhaps `url`, to be compared in place of the
//! texts made here.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use filter::{
    About, C4BadWords, C4Dialect, C4Paragraph, C4Quality, DatatroveDialect, Filter, FineWebQuality, GopherQuality,
    GopherRepetition, Judgement, Limit, Pii, RuleSettings, SplitBy, UnigramLogProbability, Url,
};
use serde_json::{Value, json};

#[path = "../../../tests/support/share.rs"]
mod share;
#[path = "../../../tests/support/skip.rs"]
mod skip;
mod texts;

use skip::skip;

#[test]
fn datatrove_says_the_same() {
    let Some(python) = peers("datatrove_says_the_same") else { return };
    let folder = tempfile::tempdir().unwrap();
    write_lists(folder.path());
    let texts = std::env::var_os("WEBTEXT_PARITY_TEXTS").map_or_else(|| folder.path().join("texts"), Into::into);
    if !texts.exists() {
        write_texts(&texts);
    }
    check(&python, folder.path(), &texts);
}

/// With the lists that FineWeb and C4 used: four million hosts, and a list of bad words.
#[test]
fn datatrove_says_the_same_with_published_lists() {
    let test = "datatrove_says_the_same_with_published_lists";
    let Some(python) = peers(test) else { return };
    let naughty_words = python.parent().unwrap().with_file_name("naughty-words").join("package/en.json");
    if !naughty_words.exists() {
        return skip(test, format!("there is no {}, which .ci/run fetches", naughty_words.display()));
    }
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_lists.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(folder.path()).arg(&texts).arg(naughty_words).arg(share::one_in(8).to_string());
    assert!(command.status().unwrap().success());
    check(&python, folder.path(), &texts);
}

/// The Python that has datatrove.
fn peers(test: &str) -> Option<PathBuf> {
    skip::peers(test, &["datatrove", "spacy", "tldextract", "ahocorasick"])
}

/// Compares all rules on these texts, with the lists in the folder.
fn check(python: &Path, folder: &Path, texts: &Path) {
    let verdicts = folder.join("verdicts");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity.py");
    let mut command = Command::new(python);
    command.arg(script).arg(texts).arg(&verdicts).arg(folder);
    assert!(command.status().unwrap().success());

    let (compared, differences) = compare(folder, texts, &verdicts);
    eprintln!("{compared} bytes of text compared");
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

/// Lists made up for the test.
fn write_lists(folder: &Path) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("domains", "# made up\nbad.com\n\nhost.example.org\nblocked.co.uk\nevil.github.io\ngithub.io\n");
    write("urls", "http://example.com/forbidden\n");
    write("banned_words", "gam-bling\nfoo\n");
    write("soft_banned_words", "cheap\nwin\nдурак\nprize\n");
    write("banned_subwords", "casi-no\nwarez\nдурак\nino\n");
    write("bad_words", "darn\nbloody hell\nsm\nheck\n5-pin\nÉtron\nétron\n");
    let unigrams = ["the,23135851162", "of,13151942776", "and,12997637966", "sea,105", "é,7", "the,23135851162"];
    write("unigrams", &format!("word,count\n{}\n", unigrams.join("\n")));
}

fn write_texts(path: &Path) {
    let mut file = File::create(path).unwrap();
    // The texts are of six kinds in turn.
    for (text, url) in texts::all().into_iter().step_by(share::one_in(10)) {
        writeln!(file, "{}", json!({ "text": text, "url": url })).unwrap();
    }
}

/// The rules of parity.py, in its order.
fn rules(folder: &Path) -> Vec<RuleSettings> {
    let list = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let c4 = C4Quality::of_dialect(C4Dialect::Datatrove0_10);
    vec![
        RuleSettings::GopherRepetition(GopherRepetition::default()),
        RuleSettings::GopherQuality(GopherQuality::default()),
        RuleSettings::C4Quality(c4.clone()),
        RuleSettings::C4Quality(C4Quality { require_terminal_punctuation: false, ..c4.clone() }),
        RuleSettings::C4Quality(C4Quality { split_by: SplitBy::Sentences, ..c4.clone() }),
        RuleSettings::C4Quality(C4Quality {
            remove_citations: false,
            require_terminal_punctuation: false,
            min_line_words: Limit::NONE,
            max_word_chars: Limit::NONE,
            remove_javascript_lines: false,
            remove_policy_lines: false,
            ..c4
        }),
        RuleSettings::C4Paragraph(C4Paragraph::default()),
        RuleSettings::C4BadWords(C4BadWords {
            dialect: DatatroveDialect::V0_10,
            list: list("bad_words"),
            language: "en".into(),
            max_bad_words: Limit::at(0.0),
        }),
        RuleSettings::FineWebQuality(FineWebQuality::default()),
        RuleSettings::Url(Url {
            domains: vec![list("domains")],
            urls: vec![list("urls")],
            banned_words: vec![list("banned_words")],
            soft_banned_words: vec![list("soft_banned_words")],
            banned_subwords: vec![list("banned_subwords")],
            ..Url::default()
        }),
        RuleSettings::Pii(Pii::default()),
        RuleSettings::UnigramLogProbability(UnigramLogProbability {
            dialect: DatatroveDialect::V0_10,
            table: list("unigrams"),
            min_mean_log_probability: Limit::at(-10.0),
        }),
    ]
}

/// Compares line by line; returns how many bytes of text, and what differs.
fn compare(folder: &Path, texts: &Path, verdicts: &Path) -> (usize, Vec<String>) {
    let rules = rules(folder);
    let chain = Filter::new(&[0, 1, 3, 8].map(|at: usize| rules[at].clone())).unwrap();
    let alone: Vec<Filter> = rules.iter().map(|rule| Filter::new(std::slice::from_ref(rule)).unwrap()).collect();
    let lines = |path: &Path| BufReader::new(File::open(path).unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines(texts).count(), lines(verdicts).count());
    let (mut compared, mut differences) = (0, Vec::new());
    for (text, verdicts) in lines(texts).zip(lines(verdicts)) {
        let row: Value = serde_json::from_str(&text).unwrap();
        let verdicts: Value = serde_json::from_str(&verdicts).unwrap();
        let (text, url) = (row["text"].as_str().unwrap(), row["url"].as_str().unwrap_or(""));
        let about = About { url, ..About::default() };
        for (at, filter) in alone.iter().enumerate() {
            let judgement = filter.judge(text, about);
            let expected = &verdicts["rules"][at];
            let difference = difference(filter, &judgement, 0, std::slice::from_ref(expected));
            let edited = expected["text"].as_str().is_some_and(|expected| expected != judgement.text);
            if let Some(what) = difference.or(edited.then(|| format!("{:?}, not {}", judgement.text, expected["text"])))
            {
                differences.push(format!("{} ({at}): {what}: {}", rules[at].name(), short(&row)));
            }
        }
        let judgement = chain.judge(text, about);
        if let Some(what) = difference(&chain, &judgement, 0, verdicts["chain"].as_array().unwrap()) {
            differences.push(format!("chain: {what}: {}", short(&row)));
        }
        compared += text.len();
    }
    (compared, differences)
}

fn difference(filter: &Filter, judgement: &Judgement<'_>, from: usize, expected: &[Value]) -> Option<String> {
    let (first, rest) = expected.split_first()?;
    let rule = filter.measures().get(from)?.rule_index;
    let measures = filter.measures()[from..].iter().take_while(|measure| measure.rule_index == rule);
    let mut next = from;
    for (measure, expected) in measures.zip(first["measures"].as_array().unwrap_or(&Vec::new())) {
        let value = judgement.measures[next];
        next += 1;
        let expected = expected.as_f64().unwrap_or(f64::NAN);
        // numpy's logarithm may differ from the system's in the last bit.
        let tolerance = if measure.rule == "unigram_log_probability" { expected.abs() * 1e-12 } else { 0.0 };
        if !((value - expected).abs() <= tolerance || value.is_nan() && expected.is_nan()) {
            return Some(format!("{} = {value}, not {expected}", measure.name()));
        }
    }
    if first["measures"].is_null() {
        next += filter.measures()[from..].iter().take_while(|measure| measure.rule_index == rule).count();
    }
    let upstream = judgement.failures[rule].as_ref().map(|failure| failure.upstream);
    if first["upstream"] != "error" && first["upstream"].as_str() != upstream {
        return Some(format!("{upstream:?}, not {}", first["upstream"]));
    }
    difference(filter, judgement, next, rest)
}

fn short(row: &Value) -> String {
    let row = row.to_string();
    row.chars().take(600).collect()
}
