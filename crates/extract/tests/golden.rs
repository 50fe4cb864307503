//! Pages written for the project in the style of many templates, each with its exact main text (`golden/README.md`
//! describes each).
//!
//! A learned model is not right to the word everywhere, so the test has two floors: how similar each text must be to
//! the expected one, and how many must be equal. Raise them when the extractor gets better.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use extract::{Options, extract};

/// Twice the shared words over all words: 1 for the same words.
fn likeness(found: &str, expected: &str) -> f64 {
    fn counts(text: &str) -> HashMap<&str, i64> {
        let mut counts = HashMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word).or_default() += 1;
        }
        counts
    }
    let (found, expected) = (counts(found), counts(expected));
    let both: i64 = found.iter().map(|(word, &times)| times.min(expected.get(word).copied().unwrap_or(0))).sum();
    let all = found.values().sum::<i64>() + expected.values().sum::<i64>();
    if all == 0 { 1.0 } else { 2.0 * both as f64 / all as f64 }
}

#[test]
fn golden_pages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "html"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() > 50);
    let (mut exact, mut sum, mut report) = (0, 0.0, String::new());
    for name in &names {
        let html = fs::read(folder.join(format!("{name}.html"))).unwrap();
        let expected = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let page = extract(&html, None, &Options::default()).unwrap();
        let likeness = likeness(&page.text, &expected);
        exact += usize::from(page.text == expected);
        sum += likeness;
        report += &format!("{likeness:.3} {} {name} ({})\n", page.text == expected, page.kind.name());
    }
    let mean = sum / names.len() as f64;
    assert!(mean >= MIN_MEAN_LIKENESS && exact >= MIN_EXACT_PAGES, "mean {mean:.3}, {exact} exact\n{report}");
}

const MIN_MEAN_LIKENESS: f64 = 0.98;
const MIN_EXACT_PAGES: usize = 45;
