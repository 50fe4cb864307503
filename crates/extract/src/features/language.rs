//! Function words of the languages with most pages on the web, beside English.
//!
//! The model was trained on pages in English, nearly all. What it knows of function words holds in other languages when
//! theirs are counted in their place, as many as English would have. `model/function_words.tsv`, which
//! `train/function_words.py` makes, has the words, and how much rarer they are than those of English.
//!
//! Left out: a language per block. A page's language is the one whose words it has most of.

use std::sync::LazyLock;

use words::is_unspaced;

use crate::word_table::{WordTable, packed};

static TABLE: &str = include_str!("../../model/function_words.tsv");

/// With a smaller share of a page's words, function words do not show its language.
const MIN_SHARE: f32 = 0.08;
/// Of this share of English function words, a page is English and no other language is looked for.
const MIN_ENGLISH_SHARE: f32 = 0.2;
/// Characters of the longest word of a script without spaces.
const MAX_UNSPACED_CHARACTERS: usize = 5;

struct Languages {
    /// Bit `n` for the words of language `n`; the first is English.
    words: WordTable,
    /// How much rarer a language's function words are than those of English.
    rarity: Vec<f32>,
}

static LANGUAGES: LazyLock<Languages> = LazyLock::new(|| {
    let rows = TABLE.lines().map(|line| {
        let mut fields = line.split('\t').skip(1);
        let (rarity, words) = (fields.next().expect("a rarity"), fields.next().expect("words"));
        (rarity.parse::<f32>().expect("a number"), words)
    });
    let (rarity, words): (Vec<f32>, Vec<&str>) = rows.unzip();
    Languages { words: WordTable::of_groups(words.into_iter()), rarity }
});

/// A language other than English, by its line in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language(usize);

impl Language {
    /// The language of a page, from its texts, its number of words, and the share of English function words; `None`
    /// for English, for unknown languages, and where there is too little text.
    pub(super) fn of_page<'a>(texts: impl Iterator<Item = &'a str>, words: u32, english: f32) -> Option<Language> {
        if english >= MIN_ENGLISH_SHARE {
            return None;
        }
        let languages = &*LANGUAGES;
        let mut counts = vec![0u32; languages.rarity.len()];
        for text in texts {
            each_word(text, |found| {
                let mut left = found;
                while left != 0 {
                    counts[left.trailing_zeros() as usize] += 1;
                    left &= left - 1;
                }
            });
        }
        let shares = counts.iter().zip(&languages.rarity).map(|(&count, rarity)| count as f32 * rarity / words as f32);
        let (best, share) = shares.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best != 0 && share >= MIN_SHARE && share > english).then_some(Language(best))
    }

    /// The function words of a text, as many as English would have.
    pub(super) fn function_words(self, text: &str) -> u32 {
        let mut count = 0;
        each_word(text, |found| count += found >> self.0 & 1);
        (count as f32 * LANGUAGES.rarity[self.0]) as u32
    }
}

/// Calls `see` with the languages of each word of a text, where it is one of the table's.
fn each_word(text: &str, mut see: impl FnMut(u32)) {
    let table = &LANGUAGES.words;
    let mut bytes = [0; 16];
    let mut word = 0..0;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        if is_unspaced(letter) {
            unspaced(table, &text[at..], &mut see);
        } else if letter.is_alphabetic() || (matches!(letter, '\'' | '’') && !word.is_empty()) {
            if word.is_empty() {
                word.start = at;
            }
            word.end = at + letter.len_utf8();
            continue;
        }
        if let Some(word) = lower_case(&text[word.clone()], &mut bytes) {
            see(table.find(packed(word)));
        }
        word = at..at;
    }
}

/// The words that begin here, of a script without spaces.
fn unspaced(table: &WordTable, text: &str, see: &mut impl FnMut(u32)) {
    let ends = text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]);
    let mut found = 0;
    for end in ends.take(MAX_UNSPACED_CHARACTERS) {
        found |= table.find(packed(&text.as_bytes()[..end]));
    }
    if found != 0 {
        see(found);
    }
}

/// A word in lower case; `None` for the empty one and those longer than the table's.
fn lower_case<'a>(word: &str, to: &'a mut [u8; 16]) -> Option<&'a [u8]> {
    let mut len = 0;
    for letter in word.chars().flat_map(char::to_lowercase) {
        let end = len + letter.len_utf8();
        letter.encode_utf8(to.get_mut(len..end)?);
        len = end;
    }
    (len > 0).then_some(&to[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language_of(text: &str) -> Option<&'static str> {
        let words = u32::try_from(words::count(text)).unwrap();
        let language = Language::of_page([text].into_iter(), words, 0.0)?;
        TABLE.lines().nth(language.0)?.split('\t').next()
    }

    #[test]
    fn languages_are_known_by_their_function_words() {
        assert_eq!(language_of("Der Hund ist nicht in dem Haus, das auf dem Berg steht."), Some("de"));
        assert_eq!(language_of("Он не знал, что это было на самом деле, и не мог сказать."), Some("ru"));
        assert_eq!(language_of("我们在这里的时候，他不是一个人来的。"), Some("zh"));
        assert_eq!(language_of("これは私の本です。あなたはそれを読んでいました。"), Some("ja"));
        assert_eq!(language_of("ฉันไม่ได้อยู่ที่บ้านของฉันและจะไม่ไป"), Some("th"));
        assert_eq!(language_of("The dog is not in the house that is on the hill."), None);
        assert_eq!(language_of("12 34 56 / 78"), None);
    }

    #[test]
    fn function_words_are_counted_as_in_english() {
        let german = Language(TABLE.lines().position(|line| line.starts_with("de")).unwrap());
        // Der, das, ist, nicht: four, and English has a tenth more of such words.
        assert_eq!(german.function_words("Der Mond, das ist nicht Käse"), 4);
        assert_eq!(german.function_words(""), 0);
        assert_eq!(german.function_words("DIE UND DER, DIE: UND! DER DAS IST von zu"), 11);
    }

    #[test]
    fn every_word_of_the_table_can_be_found() {
        for (number, line) in TABLE.lines().enumerate() {
            for word in line.split('\t').nth(2).unwrap().split(' ') {
                let mut found = 0;
                each_word(word, |languages| found |= languages);
                assert!(found >> number & 1 == 1, "{line}: {word}");
            }
        }
    }
}
