//! The share of a language in a page, on a book in 26 languages of which most are translated in part: Debian's
//! administrator's handbook. A paragraph that stands in the English edition word by word is English, so each page's true
//! share is known.
//!
//! Needs the book, which `.ci/run` unpacks beside the Python of `WEBTEXT_PEERS`; skips with a printed reason without it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use filter::{About, Filter, Language, LanguageModel, Limit, MIN_PARAGRAPH_BYTES, RuleSettings};
use webtext_tests::skip;

/// Every ninth section of an edition, as text.
fn sections(edition: &Path) -> Vec<String> {
    let mut pages: Vec<PathBuf> = fs::read_dir(edition).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("sect."));
    pages.sort();
    let text =
        |path: &PathBuf| extract::extract(&fs::read(path).unwrap(), None, &extract::Options::default()).unwrap().text;
    pages.iter().step_by(9).map(text).collect()
}

/// The share of paragraphs of the English edition, by bytes of those that are long enough to tell a language.
fn true_share(text: &str, english: &str) -> Option<f64> {
    let english: HashSet<&str> = english.lines().collect();
    let paragraphs = text.lines().filter(|line| line.len() >= MIN_PARAGRAPH_BYTES);
    let bytes = |of: &mut dyn Iterator<Item = &str>| of.map(str::len).sum::<usize>() as f64;
    let all = bytes(&mut paragraphs.clone());
    (all > 0.0).then(|| bytes(&mut paragraphs.filter(|line| english.contains(line))) / all)
}

#[test]
fn a_page_half_in_another_language_is_seen() {
    let book = std::env::var_os("WEBTEXT_PEERS").and_then(|python| {
        let peers = Path::new(&python).parent()?.parent()?;
        Some(peers.join("debian-handbook/usr/share/doc/debian-handbook/html"))
    });
    let Some(book) = book.filter(|book| book.is_dir()) else {
        return skip("a_page_half_in_another_language_is_seen", "there is no debian-handbook, which .ci/run fetches");
    };
    let language = |min_byte_fraction| {
        let (model, keep) = (LanguageModel::default(), "en".to_owned());
        RuleSettings::Language(Language { model, keep, min_confidence: 0.0, min_byte_fraction })
    };
    let filter = Filter::new(&[language(Limit::at(0.0))]).unwrap();
    let strict = Filter::new(&[language(Limit::at(0.8))]).unwrap();
    let share_at = filter.measures().iter().position(|measure| measure.measure.name == "byte_fraction").unwrap();

    let english = sections(&book.join("en-US"));
    let mut editions: Vec<PathBuf> = fs::read_dir(&book).unwrap().map(|entry| entry.unwrap().path()).collect();
    editions.retain(|path| !path.ends_with("Common_Content"));
    assert_eq!(editions.len(), 26);
    let (mut differences, mut mixed_but_labelled_english, mut mixed_and_kept) = (Vec::new(), 0, 0);
    for edition in editions {
        for (text, english) in sections(&edition).iter().zip(&english) {
            let Some(truth) = true_share(text, english) else { continue };
            let judgement = filter.judge(text, About::default());
            differences.push((judgement.measures[share_at] - truth).abs());
            if judgement.failure.is_none() && truth < 0.6 {
                mixed_but_labelled_english += 1;
                mixed_and_kept += usize::from(strict.judge(text, About::default()).failure.is_none());
            }
        }
    }
    differences.sort_by(f64::total_cmp);
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    let most = differences[differences.len() * 95 / 100];
    println!("{} pages: {mean:.3} off on average, 95% within {most:.3}", differences.len());
    println!("{mixed_but_labelled_english} mixed pages are labelled English, {mixed_and_kept} have a share of 0.8");
    assert!(mean < 0.06 && most < 0.25, "{mean} {most}");
    assert!(mixed_but_labelled_english >= 20 && mixed_and_kept == 0);
}
