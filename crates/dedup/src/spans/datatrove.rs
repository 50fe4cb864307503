//! datatrove's sentence dedup, to the last byte of the edited text.
//!
//! Follows `SentenceDedupSignature` and `SentenceDedupFilter` of datatrove 0.10 for English, with XXH64 of 64 bits.
//! `SentenceFindDedups`, between them, calls all occurrences of a hash but the first copies: [`CopyRule::AllButFirst`]
//! with documents in the order of their number in their file, then of the file.
//!
//! [`CopyRule::AllButFirst`]: super::CopyRule::AllButFirst
//!
//! **What is not equal.** datatrove fails on a document of more than 65,536 units. In a text with the word `IS_ALPHA` it
//! may delete that word (see the crate `words`). A final sigma beside U+0295 or U+1171E is lower-cased otherwise. What it writes of the cuts (`>>>`, `<<<`) has no counterpart: here are
//! the ranges. SHA-1, hashes of 32 bits, other languages and another `TextNormConfig` are left out.

use std::ops::Range;

use words::python;
use xxhash_rust::xxh64::xxh64;

use super::cut::Edit;
use super::simplify::simplify;
use super::{Cutting, Division, Unit};

/// datatrove's `SentDedupConfig`, with its names and its values. A limit of 0 is none.
///
/// ```
/// use dedup::spans::DatatroveSentences;
/// let text = "One fish. Two fish. Red fish. Blue fish. New fish. ";
/// let division = DatatroveSentences::default().divide(text);
/// assert_eq!(division.units().len(), 3);
/// let edit = division.cut(|unit| unit.number == 0).expect("a copy");
/// assert_eq!(edit.text, "Blue fish. New fish.");
/// assert!(DatatroveSentences::default().too_little(text, &edit.text).is_some());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatatroveSentences {
    /// Sentences, or lines, of a unit; at least 1.
    pub n_sentences: usize,
    /// Whether units are made of sentences; else of lines.
    pub split_sentences: bool,
    /// Minimum words of an edited document.
    pub min_doc_words: u64,
    /// Minimum sentences of an edited document.
    pub min_num_sentences: u64,
    /// Minimum words of the first sentence (or line) of what is cut in one piece: with fewer, that one stays.
    ///
    /// The original means the whole piece; but of the piece it remembers the first sentence alone.
    pub min_words_to_remove_span: u64,
}

impl Default for DatatroveSentences {
    fn default() -> DatatroveSentences {
        DatatroveSentences {
            n_sentences: 3,
            split_sentences: true,
            min_doc_words: 50,
            min_num_sentences: 3,
            min_words_to_remove_span: 0,
        }
    }
}

/// Why datatrove drops a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLittle {
    /// No text, or there was none.
    Nothing,
    /// The edited text has fewer than `min_doc_words`.
    Words,
    /// The edited text has fewer than `min_num_sentences`.
    Sentences,
}

impl DatatroveSentences {
    /// Divides a text into sentences or lines. Time and memory O(bytes).
    ///
    /// A hash is XXH64 of `n_sentences` simplified sentences joined by single spaces.
    ///
    /// # Panics
    /// If `n_sentences` is 0.
    pub fn divide<'t>(&self, text: &'t str) -> Division<'t> {
        assert!(self.n_sentences > 0, "a unit has at least one sentence");
        let parts = if self.split_sentences { sentences(text) } else { python::split_lines(text) };
        // All simplified sentences, joined by spaces, and the place of each.
        let mut simplified = String::with_capacity(text.len());
        let mut places = Vec::with_capacity(parts.len());
        for part in &parts {
            let sentence = &text[part.clone()];
            // A last sentence of white space alone is none for the hashes, though it is one for the edit.
            if self.split_sentences && sentence.chars().all(python::is_space) {
                continue;
            }
            if !places.is_empty() {
                simplified.push(' ');
            }
            let start = simplified.len();
            simplify(sentence, &mut simplified);
            places.push(start..simplified.len());
        }
        let unit = |(number, places): (usize, &[Range<usize>])| {
            let last = places.len() - 1;
            let joined = &simplified[places[0].start..places[last].end];
            let has_content = !joined.trim_matches(python::is_space).is_empty();
            let bytes = parts[number].start..parts[number + last].end;
            has_content.then(|| Unit { hash: xxh64(joined.as_bytes(), 0), number, bytes })
        };
        let units = places.windows(self.n_sentences).enumerate().filter_map(unit).collect();
        Division { text, parts, parts_per_unit: self.n_sentences, units, cutting: Cutting::Datatrove(*self) }
    }

    /// Whether a document is dropped, given its text before and after the cuts. One that is unchanged stays, unless it
    /// is empty.
    pub fn too_little(&self, text: &str, edited: &str) -> Option<TooLittle> {
        if edited.is_empty() {
            return Some(TooLittle::Nothing);
        }
        if edited == text {
            return None;
        }
        if count_words(edited) < self.min_doc_words {
            return Some(TooLittle::Words);
        }
        let mut sentences = 0;
        words::english::for_each_sentence(edited, |_| sentences += 1);
        (sentences < self.min_num_sentences).then_some(TooLittle::Sentences)
    }

    /// `SentenceDedupFilter.remove_dup_sentences`. White space goes at the start of the text, and of sentences at its
    /// end. The ends of lines all become `\n`, which `Edit::cut` does not tell.
    pub(super) fn cut(&self, text: &str, parts: &[Range<usize>], copies: &[usize]) -> Edit {
        if self.split_sentences {
            // Between sentences is at most a space, which belongs to the one after it.
            let ends = parts.iter().map(|part| part.end);
            let starts = std::iter::once(0).chain(ends.clone());
            let pieces: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
            let kept = self.kept(text, &pieces, copies).into_iter().map(|number| pieces[number].clone());
            return keep(text, kept);
        }
        let kept = self.kept(text, parts, copies);
        let blank =
            kept.iter().take_while(|&&number| text[parts[number].clone()].chars().all(python::is_space)).count();
        let joined: Vec<&str> = kept[blank..].iter().map(|&number| &text[parts[number].clone()]).collect();
        // A line with its end, but for the last one.
        let end = |number: usize| parts[number].end + python::line_end_bytes(&text.as_bytes()[parts[number].end..]);
        let last = kept.last();
        let lines = kept[blank..].iter().map(|number| match last {
            Some(last) if last == number => parts[*number].clone(),
            _ => parts[*number].start..end(*number),
        });
        let Edit { cut, .. } = keep(text, lines);
        Edit { text: joined.join("\n").trim_start_matches(python::is_space).to_owned(), cut }
    }

    /// The numbers of the parts that stay, in order.
    fn kept(&self, text: &str, parts: &[Range<usize>], copies: &[usize]) -> Vec<usize> {
        let mut copies = copies.iter().peekable();
        let mut kept = Vec::with_capacity(parts.len());
        let mut cut_until = 0;
        // The first of the parts that are being cut.
        let mut first_cut: Option<usize> = None;
        let stays = |number: &usize| count_words(&text[parts[*number].clone()]) < self.min_words_to_remove_span;
        for number in 0..parts.len() {
            if copies.next_if(|&&copy| copy == number).is_some() {
                cut_until = number + self.n_sentences;
            }
            if number < cut_until {
                first_cut = first_cut.or(Some(number));
            } else {
                kept.extend(first_cut.take().filter(stays));
                kept.push(number);
            }
        }
        kept.extend(first_cut.filter(stays));
        kept
    }
}

/// The text of these ranges, without white space at its start.
fn keep(text: &str, kept: impl Iterator<Item = Range<usize>>) -> Edit {
    let mut cut = Vec::new();
    let mut at = 0;
    let mut has_begun = false;
    for range in kept {
        let indent = if has_begun { 0 } else { leading_space(&text[range.clone()]) };
        has_begun |= indent < range.len();
        cut.push(at..range.start + indent);
        at = range.end;
    }
    cut.push(at..text.len());
    Edit::without(text, cut)
}

/// Bytes of white space at the start.
fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(python::is_space).len()
}

fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    words::english::for_each_sentence(text, |sentence| sentences.push(sentence));
    sentences
}

fn count_words(text: &str) -> u64 {
    let mut count = 0;
    words::english::for_each_word(text, |_| count += 1);
    count
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = " One fish.\nTwo fish. Red fish.\r\nBlue fish. ";

    fn check(settings: DatatroveSentences, copies: &[usize], expected: &str) {
        let division = settings.divide(TEXT);
        let edit = division.cut(|unit| copies.contains(&unit.number)).expect("a copy");
        assert_eq!(edit.text, expected, "{settings:?} {copies:?}");
    }

    #[test]
    fn sentences_go_with_the_space_before_them() {
        let settings = DatatroveSentences { n_sentences: 1, ..DatatroveSentences::default() };
        check(settings, &[0], "Two fish. Red fish.\r\nBlue fish.");
        check(settings, &[1], "One fish. Red fish.\r\nBlue fish.");
        check(settings, &[3], "One fish.\nTwo fish. Red fish.");
        check(settings, &[0, 1, 2, 3], "");
        check(DatatroveSentences::default(), &[1], "One fish.");
        // Of what is cut, the first sentence stays.
        check(
            DatatroveSentences { min_words_to_remove_span: 4, ..DatatroveSentences::default() },
            &[1],
            "One fish.\nTwo fish.",
        );
    }

    #[test]
    fn lines_are_joined_anew() {
        let settings = DatatroveSentences { n_sentences: 1, split_sentences: false, ..DatatroveSentences::default() };
        check(settings, &[0], "Two fish. Red fish.\nBlue fish. ");
        check(settings, &[1], "One fish.\nBlue fish. ");
        check(settings, &[2], "One fish.\nTwo fish. Red fish.");
        check(settings, &[0, 1, 2], "");
    }

    #[test]
    fn documents_are_dropped_only_when_edited() {
        let settings = DatatroveSentences { min_doc_words: 3, min_num_sentences: 2, ..DatatroveSentences::default() };
        let of = |text: &str, edited: &str| settings.too_little(text, edited);
        assert_eq!(of("", ""), Some(TooLittle::Nothing));
        assert_eq!(of("One.", "One."), None);
        assert_eq!(of("One. Two.", "Two."), Some(TooLittle::Words));
        assert_eq!(of("One. Two. Three, four.", "Three, four."), Some(TooLittle::Sentences));
        assert_eq!(of("One. Two. Three. Four.", "Three. Four."), None);
    }

    proptest! {
        /// Against a twin that makes strings, as datatrove does.
        #[test]
        fn what_is_left_is_what_was_not_cut(
            text in "([a-c]{1,3}[.!?]?( |  |\n|\r\n)?|\u{2028}){0,20}",
            chosen: BTreeSet<u8>,
            n_sentences in 1usize..4,
            split_sentences: bool,
            min_words_to_remove_span in 0u64..3,
        ) {
            let settings = DatatroveSentences { n_sentences, split_sentences, min_words_to_remove_span, ..DatatroveSentences::default() };
            let division = settings.divide(&text);
            let is_copy = |unit: &Unit| chosen.contains(&(unit.number as u8 % 32));
            let Some(edit) = division.cut(is_copy) else { return Ok(()) };
            let copies: BTreeSet<usize> = division.units.iter().filter(|u| is_copy(u)).map(|u| u.number).collect();
            prop_assert_eq!(&edit.text, &twin(settings, &text, &copies));
            // The ends of lines are all line feeds now, in the original and in what is left.
            let mut original = Edit::without(&text, edit.cut.clone()).text;
            if split_sentences {
                prop_assert_eq!(&original, &edit.text);
            } else {
                let original = original.replace("\r\n", "\n").replace('\u{2028}', "\n");
                prop_assert_eq!(original, edit.text.replace("\r\n", "\n").replace('\u{2028}', "\n"));
            }
            edit.cut.iter().for_each(|range| original.insert_str(range.start, &text[range.clone()]));
            prop_assert_eq!(original, text);
        }
    }

    /// The readable twin of the edit: pieces of text that are joined again.
    fn twin(settings: DatatroveSentences, text: &str, copies: &BTreeSet<usize>) -> String {
        let mut pieces = Vec::new();
        if settings.split_sentences {
            let mut at = 0;
            words::english::for_each_sentence(text, |sentence| {
                pieces.push(&text[at..sentence.end]);
                at = sentence.end;
            });
        } else {
            pieces.extend(python::split_lines(text).into_iter().map(|line| &text[line]));
        }
        let is_cut = |number: usize| copies.iter().any(|&copy| (copy..copy + settings.n_sentences).contains(&number));
        let mut left = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            let is_first_cut = is_cut(number) && (number == 0 || !is_cut(number - 1));
            if !is_cut(number) || is_first_cut && count_words(piece) < settings.min_words_to_remove_span {
                left.push(*piece);
            }
        }
        let joined = left.join(if settings.split_sentences { "" } else { "\n" });
        joined.trim_start_matches(python::is_space).to_owned()
    }
}
