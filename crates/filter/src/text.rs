//! A text with what several rules measure of it, each measured once.

use std::cell::OnceCell;

use whatlang::Lang;

/// Bytes of a text from which its language is told: the beginning, and as much from the middle.
const LANGUAGE_SAMPLE_BYTES: usize = 1024;

/// A text that is being judged.
pub struct Text<'a> {
    text: &'a str,
    words: OnceCell<u64>,
    language: OnceCell<Option<(&'static str, f32)>>,
}

impl<'a> Text<'a> {
    /// Nothing is measured before a rule asks for it.
    pub fn new(text: &'a str) -> Text<'a> {
        Text { text, words: OnceCell::new(), language: OnceCell::new() }
    }

    /// The text itself.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Words: runs without white space; where no spaces are written, two letters count as a word.
    pub fn words(&self) -> u64 {
        *self.words.get_or_init(|| words::count(self.text))
    }

    /// ISO 639-3 code of the language, and the confidence from 0 to 1; none without letters to tell it from.
    pub fn language(&self) -> Option<(&'static str, f32)> {
        *self.language.get_or_init(|| {
            let info = whatlang::detect(&sample(self.text))?;
            Some((info.lang().code(), info.confidence() as f32))
        })
    }
}

/// The first KiB, and one from the middle: a menu at the top does not decide alone.
fn sample(text: &str) -> String {
    if text.len() <= 2 * LANGUAGE_SAMPLE_BYTES {
        return text.to_owned();
    }
    let cut = |at: usize| (at..).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
    let middle = cut(text.len() / 2);
    let first_end = cut(LANGUAGE_SAMPLE_BYTES).min(middle);
    let second_end = cut((middle + LANGUAGE_SAMPLE_BYTES).min(text.len()));
    format!("{} {}", &text[..first_end], &text[middle..second_end])
}

/// Whether a recipe's language code, of two letters or three, is one that can be told.
pub fn is_known_language(code: &str) -> bool {
    Lang::from_code(iso_639_3(code)).is_some()
}

/// ISO 639-1 codes of the languages that can be told, with those of ISO 639-3.
#[rustfmt::skip]
const TWO_LETTERS: &[(&str, &str)] = &[
    ("af", "afr"), ("ak", "aka"), ("am", "amh"), ("ar", "ara"), ("az", "aze"), ("be", "bel"), ("bg", "bul"),
    ("bn", "ben"), ("ca", "cat"), ("cs", "ces"), ("cy", "cym"), ("da", "dan"), ("de", "deu"), ("el", "ell"),
    ("en", "eng"), ("eo", "epo"), ("es", "spa"), ("et", "est"), ("fa", "pes"), ("fi", "fin"), ("fr", "fra"),
    ("gu", "guj"), ("he", "heb"), ("hi", "hin"), ("hr", "hrv"), ("hu", "hun"), ("hy", "hye"), ("id", "ind"),
    ("it", "ita"), ("ja", "jpn"), ("jv", "jav"), ("ka", "kat"), ("km", "khm"), ("kn", "kan"), ("ko", "kor"),
    ("la", "lat"), ("lt", "lit"), ("lv", "lav"), ("mk", "mkd"), ("ml", "mal"), ("mr", "mar"), ("my", "mya"),
    ("nb", "nob"), ("ne", "nep"), ("nl", "nld"), ("no", "nob"), ("or", "ori"), ("pa", "pan"), ("pl", "pol"),
    ("pt", "por"), ("ro", "ron"), ("ru", "rus"), ("si", "sin"), ("sk", "slk"), ("sl", "slv"), ("sn", "sna"),
    ("sr", "srp"), ("sv", "swe"), ("ta", "tam"), ("te", "tel"), ("th", "tha"), ("tk", "tuk"), ("tl", "tgl"),
    ("tr", "tur"), ("uk", "ukr"), ("ur", "urd"), ("uz", "uzb"), ("vi", "vie"), ("yi", "yid"), ("zh", "cmn"),
    ("zu", "zul"),
];

/// The three-letter code of a language that may be written with two.
pub(crate) fn iso_639_3(code: &str) -> &str {
    TWO_LETTERS.binary_search_by_key(&code, |(two, _)| two).map_or(code, |at| TWO_LETTERS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letter_codes_name_languages_that_can_be_told() {
        assert!(TWO_LETTERS.is_sorted());
        for (two, three) in TWO_LETTERS {
            assert!(is_known_language(two), "{two}");
            assert_eq!(Lang::from_code(*three).map(|lang| lang.code()), Some(*three));
        }
        for lang in Lang::all() {
            assert!(TWO_LETTERS.iter().any(|(_, three)| *three == lang.code()), "{} has no two letters", lang.code());
        }
        assert!(!is_known_language("xx"));
    }
}
