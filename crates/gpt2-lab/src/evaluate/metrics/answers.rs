//! Exact match and F1 of an answer, as SQuAD's script has them (Rajpurkar et al. 2016).
//!
//! Answers are compared in lower case, without ASCII punctuation, without the words "a", "an" and "the", and with
//! single blanks.

use super::{common, f1};

/// Whether two answers are the same, but for case, punctuation and articles.
///
/// ```
/// assert!(gpt2_lab::evaluate::metrics::exact_match("The Eiffel Tower.", "eiffel tower"));
/// ```
pub fn exact_match(found: &str, expected: &str) -> bool {
    words(found) == words(expected)
}

/// F1 of the words that both answers have, 0 to 1; of two without words 1, as in the script of SQuAD 2.
pub fn token_f1(found: &str, expected: &str) -> f64 {
    let (found, expected) = (words(found), words(expected));
    if found.is_empty() && expected.is_empty() {
        return 1.0;
    }
    f1(common(&found, &expected, 1), found.len() as u64, expected.len() as u64)
}

fn words(text: &str) -> Vec<String> {
    let bare: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    // Articles are removed wherever they are between characters that belong to no word; those characters are kept.
    let mut kept = String::with_capacity(bare.len());
    let mut rest = bare.as_str();
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (run, later) = rest.split_at(end);
        kept.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = later;
    }
    kept.split_whitespace().map(str::to_owned).collect()
}
