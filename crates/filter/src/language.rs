//! The language of a text, by trigrams of a sample of it.
//!
//! Left out: languages by a model of fastText (`label_model`), and shares of a text (`paragraphs`).

use whatlang::Lang;

/// Bytes from the beginning of a text, and as many from its middle, by which its language is detected.
const LANGUAGE_SAMPLE_BYTES: usize = 1024;

/// The language of a text: its ISO 639-3 code and the confidence from 0 to 1; `None` for a text without letters.
///
/// Takes constant time: 2 KiB of the text are read.
pub fn detect_language(text: &str) -> Option<(&'static str, f32)> {
    let info = whatlang::detect(&sample(text))?;
    Some((info.lang().code(), info.confidence() as f32))
}

/// The first KiB, and one from the middle, so that a menu at the top does not decide alone.
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

/// Whether a recipe's language code, of two letters or three, is one that can be detected.
pub fn is_known_language(code: &str) -> bool {
    Lang::from_code(iso_639_3(code)).is_some()
}

/// ISO 639-1 codes of the languages that can be detected, with those of ISO 639-3.
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

/// The three-letter code of a language, which may be given by its two-letter code.
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
