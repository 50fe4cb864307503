//! Text → verdict: language, Wikipedia, length.
//!
//! Each rule answers with a reason and with what exactly led to it. Rules are tried from the surest to
//! the least sure, so that a document's verdict is the one a reader would name first.
//!
//! Left out: learned quality models, and any rule by the clock.

use records::Reason;
use serde::{Deserialize, Serialize};
use whatlang::Lang;

/// Bytes of a text from which its language is told: the beginning, and as much from the middle.
const LANGUAGE_SAMPLE_BYTES: usize = 1024;

/// The rules, as a recipe states them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The language that is kept; none keeps all.
    pub language: Option<LanguageRule>,
    /// Drop copies of Wikipedia.
    pub drop_wikipedia: bool,
    /// Fewest words.
    pub words_at_least: u64,
    /// Most words.
    pub words_at_most: u64,
}

/// Which language is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageRule {
    /// ISO 639-1 or 639-3 code: `en` or `eng`.
    pub keep: String,
    /// The least confidence, 0 to 1.
    pub at_least: f64,
}

/// What a text was judged by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// ISO 639-3 code; none when there are no letters to tell it from.
    pub language: Option<&'static str>,
    /// Confidence of the language, 0 to 1.
    pub confidence: Option<f32>,
    /// Words: runs without white space, of which one in two letters counts where no spaces are written.
    pub words: u64,
    /// Why the text is dropped, and what exactly led to it.
    pub drop: Option<(Reason, String)>,
}

/// What is known of a page beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// Registrable domain of the link.
    pub domain: &'a str,
    /// Title.
    pub title: &'a str,
    /// `<meta name="generator">`.
    pub generator: &'a str,
}

impl Rules {
    /// Judges a text. Time linear in its length; the language is told from 2 KiB of it.
    ///
    /// ```
    /// use filter::{LanguageRule, Rules, Source};
    /// let language = Some(LanguageRule { keep: "en".into(), at_least: 0.5 });
    /// let rules = Rules { language, drop_wikipedia: true, words_at_least: 5, words_at_most: 100_000 };
    /// let judgement = rules.judge("The ferry leaves at noon and comes back before dark.", Source::default());
    /// assert_eq!((judgement.drop, judgement.language), (None, Some("eng")));
    /// ```
    pub fn judge(&self, text: &str, source: Source<'_>) -> Judgement {
        let mut judgement = Judgement { words: count_words(text), ..Judgement::default() };
        if text.trim().is_empty() {
            judgement.drop = Some((Reason::NoText, "the text is empty".into()));
            return judgement;
        }
        if let Some(info) = whatlang::detect(&sample(text)) {
            judgement.language = Some(info.lang().code());
            judgement.confidence = Some(info.confidence() as f32);
        }
        judgement.drop = self
            .wikipedia(text, source)
            // Length before language: of a few words no language can be told with confidence.
            .or_else(|| self.length_verdict(judgement.words))
            .or_else(|| self.language_verdict(&judgement));
        judgement
    }

    fn wikipedia(&self, text: &str, source: Source<'_>) -> Option<(Reason, String)> {
        let found = |what: &str| Some((Reason::Wikipedia, what.to_owned()));
        if !self.drop_wikipedia {
            return None;
        }
        if source.domain == "wikipedia.org" {
            return found("the domain is wikipedia.org");
        }
        let title = source.title.trim_end();
        if ["- Wikipedia", "– Wikipedia", "— Wikipedia", "Wikipedia, the free encyclopedia"]
            .iter()
            .any(|t| title.ends_with(t))
        {
            return found("the title says that it is Wikipedia's");
        }
        let head: String = text.chars().take(600).collect();
        if head.contains("From Wikipedia, the free encyclopedia") {
            return found("the text begins with \"From Wikipedia, the free encyclopedia\"");
        }
        let mediawiki = source.generator.starts_with("MediaWiki");
        if mediawiki && text.contains("Wikipedia") {
            return found("a MediaWiki page that names Wikipedia");
        }
        None
    }

    fn language_verdict(&self, judgement: &Judgement) -> Option<(Reason, String)> {
        let rule = self.language.as_ref()?;
        let confidence = f64::from(judgement.confidence.unwrap_or(0.0));
        match judgement.language {
            Some(code) if code == iso_639_3(&rule.keep) => (confidence < rule.at_least).then(|| {
                let detail = format!("{code} with confidence {confidence:.2}, below {}", rule.at_least);
                (Reason::UncertainLanguage, detail)
            }),
            Some(code) => Some((Reason::OtherLanguage, format!("{code} with confidence {confidence:.2}"))),
            None => Some((Reason::OtherLanguage, "no letters to tell a language from".into())),
        }
    }

    fn length_verdict(&self, words: u64) -> Option<(Reason, String)> {
        if words < self.words_at_least {
            Some((Reason::TooFewWords, format!("{words} words, fewer than {}", self.words_at_least)))
        } else if words > self.words_at_most {
            Some((Reason::TooManyWords, format!("{words} words, more than {}", self.words_at_most)))
        } else {
            None
        }
    }
}

/// Whether a recipe's language code is one that can be told.
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
fn iso_639_3(code: &str) -> &str {
    TWO_LETTERS.binary_search_by_key(&code, |(two, _)| two).map_or(code, |at| TWO_LETTERS[at].1)
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

/// Words of a text, with two letters to a word in scripts that write no spaces (Thai, kana, Han).
pub fn count_words(text: &str) -> u64 {
    let mut words = 0;
    let mut unspaced = 0;
    for word in text.split_whitespace() {
        words += 1;
        if !word.is_ascii() {
            let is_unspaced = |c: &char| matches!(c, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}');
            unspaced += word.chars().filter(is_unspaced).count() as u64;
        }
    }
    words + unspaced / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "The harbour master said that the old crane would be taken down before the winter storms, \
        and that nobody would be asked to pay for it.";

    fn check(text: &str, source: Source<'_>, expected: Option<Reason>) {
        let language = Some(LanguageRule { keep: "en".into(), at_least: 0.5 });
        let rules = Rules { language, drop_wikipedia: true, words_at_least: 10, words_at_most: 1000 };
        assert_eq!(rules.judge(text, source).drop.map(|(reason, _)| reason), expected, "{text}");
    }

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

    #[test]
    fn verdicts() {
        let none = Source::default();
        check(ENGLISH, none, None);
        check(" \n ", none, Some(Reason::NoText));
        check("Only a few English words here.", none, Some(Reason::TooFewWords));
        check(&ENGLISH.repeat(60), none, Some(Reason::TooManyWords));
        check(
            "Der Hafenmeister sagte, dass der alte Kran noch vor den Stürmen des Winters abgebaut werde.",
            none,
            Some(Reason::OtherLanguage),
        );
        check(&"12 34 56 78 ".repeat(5), none, Some(Reason::OtherLanguage));
    }

    #[test]
    fn wikipedia_and_what_only_mentions_it() {
        check(ENGLISH, Source { domain: "wikipedia.org", ..Source::default() }, Some(Reason::Wikipedia));
        check(ENGLISH, Source { title: "Crane - Wikipedia", ..Source::default() }, Some(Reason::Wikipedia));
        check(
            &format!("Crane\n\nFrom Wikipedia, the free encyclopedia\n\n{ENGLISH}"),
            Source::default(),
            Some(Reason::Wikipedia),
        );
        check(
            &format!("{ENGLISH} I read it on Wikipedia."),
            Source { title: "Why I left Wikipedia behind", ..Source::default() },
            None,
        );
        check(ENGLISH, Source { generator: "MediaWiki 1.40", ..Source::default() }, None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, n in 0usize..300) {
            check_any(&text.repeat(n));
        }
    }

    fn check_any(text: &str) {
        let rules = Rules { language: None, drop_wikipedia: true, words_at_least: 0, words_at_most: u64::MAX };
        rules.judge(text, Source::default());
    }
}
