//! Patterns that split a text into pretokens: those with a scanner, and any other as a regular expression.

use std::fmt;
use std::sync::Arc;

use fancy_regex::Regex;
use user_error::did_you_mean;

use super::oniguruma;

/// A published pattern, for which there is a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KnownPattern {
    /// GPT-2's, also of `r50k_base` and `p50k_base`.
    Gpt2,
    /// GPT-4's, `cl100k_base`, as tiktoken has it: white space at the end of a text is one pretoken.
    Cl100k,
    /// Llama 3's, and GPT-4's as Hugging Face has it.
    Llama3,
    /// Qwen 2's and Qwen 3's: each digit is a pretoken.
    Qwen2,
    /// GPT-4o's, `o200k_base`.
    O200k,
    /// DeepSeek 3's: three patterns in sequence.
    DeepSeek3,
}

/// The names of the known patterns, for messages.
pub const PATTERN_NAMES: &str = "gpt2, cl100k, o200k, llama3, qwen2, deepseek3";

const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
// tiktoken's, written so that Oniguruma reads it alike: `\z` for `$`, and no plus sign after `{1,3}`.
const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++\z|\s*[\r\n]|\s+(?!\S)|\s";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const DEEPSEEK3: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];

/// tiktoken's own patterns, which its engine, Rust's, reads as these. In a `tokenizer.json` they mean something else:
/// Oniguruma reads `{1,3}+` as a repetition, and `$` as the end of a line.
const OF_TIKTOKEN: [(&str, KnownPattern); 2] = [
    (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s", KnownPattern::Gpt2),
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        KnownPattern::Cl100k,
    ),
];

impl KnownPattern {
    /// All of them.
    pub const ALL: [KnownPattern; 6] = [
        KnownPattern::Gpt2,
        KnownPattern::Cl100k,
        KnownPattern::Llama3,
        KnownPattern::Qwen2,
        KnownPattern::O200k,
        KnownPattern::DeepSeek3,
    ];

    /// The pattern of a name, or of the name of a tokenizer that has it.
    pub fn of_name(name: &str) -> Option<KnownPattern> {
        Some(match name.to_ascii_lowercase().replace(['-', '_', '.'], "").as_str() {
            "gpt2" | "r50k" | "r50kbase" | "p50k" | "p50kbase" => KnownPattern::Gpt2,
            "cl100k" | "cl100kbase" | "gpt4" => KnownPattern::Cl100k,
            "o200k" | "o200kbase" | "o200kharmony" | "gpt4o" => KnownPattern::O200k,
            "llama3" => KnownPattern::Llama3,
            "qwen2" | "qwen25" | "qwen3" => KnownPattern::Qwen2,
            "deepseek3" | "deepseekv3" => KnownPattern::DeepSeek3,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            KnownPattern::Gpt2 => "gpt2",
            KnownPattern::Cl100k => "cl100k",
            KnownPattern::Llama3 => "llama3",
            KnownPattern::Qwen2 => "qwen2",
            KnownPattern::O200k => "o200k",
            KnownPattern::DeepSeek3 => "deepseek3",
        }
    }

    /// Its regular expressions: a text is split by the first, what is between and in its matches by the next.
    pub fn regexes(self) -> &'static [&'static str] {
        match self {
            KnownPattern::Gpt2 => &[GPT2],
            KnownPattern::Cl100k => &[CL100K],
            KnownPattern::Llama3 => &[LLAMA3],
            KnownPattern::Qwen2 => &[QWEN2],
            KnownPattern::O200k => &[O200K],
            KnownPattern::DeepSeek3 => &DEEPSEEK3,
        }
    }

    /// The pattern that a person names, or gives as a regular expression; `None` for one that has no name.
    ///
    /// # Errors
    /// For a word that is no name: it would be a regular expression that splits at this word alone.
    pub(crate) fn of_given(given: &str) -> Result<Option<KnownPattern>, String> {
        let of_tiktoken = || OF_TIKTOKEN.iter().find(|(regex, _)| *regex == given).map(|(_, known)| *known);
        if let Some(known) = KnownPattern::of_name(given).or_else(|| KnownPattern::of_regex(given)).or_else(of_tiktoken)
        {
            return Ok(Some(known));
        }
        if given.contains(['\\', '[', '(', '|', '*', '+', '?', '{', '^', '$']) || given == "." {
            return Ok(None);
        }
        let nearest = did_you_mean(given, KnownPattern::ALL.iter().map(|known| known.name()));
        Err(format!(
            "there is no pattern {given:?}{nearest}; known are {PATTERN_NAMES}, and a regular expression has a sign such \
             as \\ or ["
        ))
    }

    /// The known pattern that one regular expression is.
    pub(crate) fn of_regex(regex: &str) -> Option<KnownPattern> {
        KnownPattern::ALL.into_iter().find(|pattern| pattern.regexes() == [regex])
    }
}

impl fmt::Display for KnownPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A regular expression. Equal if it is written alike and read alike.
#[derive(Clone)]
pub(crate) struct SplitRegex {
    source: String,
    /// The same for `fancy-regex`.
    translated: String,
    may_be_empty: bool,
    regex: Arc<Regex>,
}

impl SplitRegex {
    /// Compiles a regular expression as Oniguruma reads it, which Hugging Face's tokenizers use.
    ///
    /// # Errors
    /// What is wrong with it, or what of it is not followed.
    pub(crate) fn new(source: &str) -> Result<SplitRegex, String> {
        let translated = oniguruma::translate(source).map_err(|what| {
            format!("{what} in the pattern {source:?} cannot be followed as Oniguruma reads it, which decides the ids")
        })?;
        SplitRegex::compile(source, translated.pattern, translated.may_be_empty)
    }

    /// Compiles a regular expression as tiktoken reads it: Rust's, with look-around.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of_tiktoken(source: &str) -> Result<SplitRegex, String> {
        let regex = SplitRegex::compile(source, source.to_owned(), false)?;
        let may_be_empty = regex.regex.is_match("").unwrap_or(true);
        Ok(SplitRegex { may_be_empty, ..regex })
    }

    /// A regular expression of Rust's, which some of Hugging Face's steps are.
    pub(crate) fn of_rust(source: &str) -> SplitRegex {
        SplitRegex::compile(source, source.to_owned(), false).expect("a constant pattern")
    }

    /// A regular expression that matches a string.
    pub(crate) fn literal(text: &str) -> SplitRegex {
        let escaped = fancy_regex::escape(text).into_owned();
        SplitRegex::compile(text, escaped, text.is_empty()).expect("an escaped string is a pattern")
    }

    fn compile(source: &str, translated: String, may_be_empty: bool) -> Result<SplitRegex, String> {
        // Backtracking is bounded by the text alone: no text is split otherwise than the pattern says.
        let regex = fancy_regex::RegexBuilder::new(&translated).backtrack_limit(usize::MAX).build();
        let regex = regex.map_err(|error| format!("the pattern {source:?} cannot be read: {error}"))?;
        Ok(SplitRegex { source: source.to_owned(), translated, may_be_empty, regex: Arc::new(regex) })
    }

    /// Whether it may match nothing.
    pub(crate) fn may_be_empty(&self) -> bool {
        self.may_be_empty
    }

    /// The regular expression as it was given.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The matches in a text and, if `keeps_between`, what is between them, without what is empty: one by one, so that
    /// those of a long text need not be held.
    pub(crate) fn pieces(&self, text: &str, keeps_between: bool) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut at = 0;
        let matches = self.find_iter(text).chain(std::iter::once(text.len()..text.len()));
        let both = matches.flat_map(move |found| {
            let between = if keeps_between { at..found.start } else { at..at };
            at = found.end;
            [between, found]
        });
        both.filter(|piece| !piece.is_empty())
    }

    /// The matches in a text.
    pub(crate) fn find_iter(&self, text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.regex.find_iter(text).map(|found| found.expect("backtracking is not limited").range())
    }
}

impl PartialEq for SplitRegex {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, &self.translated) == (&other.source, &other.translated)
    }
}

impl Eq for SplitRegex {}

impl fmt::Debug for SplitRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::split::scan::Scanner;
    use crate::twin::{last_cut, pretokens_by_regex};

    fn check(text: &str) {
        for pattern in KnownPattern::ALL {
            let (scanner, mut at, mut pieces) = (Scanner::new(text), 0, Vec::new());
            while at < text.len() {
                let end = scanner.end(pattern, at);
                pieces.push(&text.as_bytes()[at..end]);
                at = end;
            }
            assert_eq!(pieces, pretokens_by_regex(pattern, text), "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_oniguruma_reads_otherwise_is_refused() {
        for pattern in [r"\p{N}{1,3}+", "[[:alpha:]]+", "(?m).", "("] {
            assert!(SplitRegex::new(pattern).is_err(), "{pattern}");
        }
        assert!(SplitRegex::new(r"\p{L}+|\p{N}{1,3}|.").is_ok());
        assert!(SplitRegex::literal("a+") != SplitRegex::new("a+").unwrap());
    }

    #[test]
    fn names_and_patterns() {
        let check = |given: &str, expected: Result<Option<KnownPattern>, &str>| {
            let found = KnownPattern::of_given(given);
            assert_eq!(found.as_ref().map(|known| *known).map_err(String::as_str), expected, "{given:?}");
        };
        check("Qwen-2.5", Ok(Some(KnownPattern::Qwen2)));
        check(QWEN2, Ok(Some(KnownPattern::Qwen2)));
        for (given, known) in OF_TIKTOKEN {
            check(given, Ok(Some(known)));
        }
        check(r"\w+|\W+", Ok(None));
        check(".", Ok(None));
        let names = "gpt2, cl100k, o200k, llama3, qwen2, deepseek3";
        let message = |given: &str, nearest: &str| {
            format!(
                "there is no pattern {given:?}{nearest}; known are {names}, and a regular expression has a sign such as \\ or ["
            )
        };
        check("llama4", Err(&message("llama4", " (did you mean llama3?)")));
        check("", Err(&message("", "")));
        check("words", Err(&message("words", "")));
        check("o200.k", Ok(Some(KnownPattern::O200k)));
    }

    #[test]
    fn scanners_agree_in_hard_places() {
        for text in [
            "I'LL we'Re DON'T 'ſx '\u{17f} o'clock",
            "12345 1234567 ²³ⅧⅧⅧⅧ",
            "a \n\n  b\r\n\r\n c  \n  ",
            "end.\n\n/path//x\n/!/\n//",
            "HTTPServer eXAMPLE McDonald's ABCdefGHI'd ŽIVOT ǅungla",
            "e\u{301}E\u{301}\u{301}x \u{301}\u{302} 中文ABC日本語のテキスト한국어 ไทย हिन्दी",
            "\0\0a\u{1}\u{200b}中\u{200b} \0 1\0\0",
            "_foo .bar !_x #tag\u{a0}x\u{3000}中\u{3000}\u{3000}ab \t\tx",
            " ",
            "  5  中  a",
            "\u{301}",
            "ªº ʰʰA ʰa ʰ",
            "ペン・ケース゠箱゛\u{3099}か\u{3099}・\n・・\r\nー一1・2",
        ] {
            check(text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn scanners_agree_on_any_text(text: String) {
            check(&text);
        }

        /// Whatever follows the text that a reader has.
        #[test]
        fn parts_of_a_text_have_the_pretokens_of_the_whole(
            text in "[ a'slLrREvedSAZ\n\r1.é/\t\u{17f}\u{301}中・ʰǅ\u{0}\u{a0}_²]{0,40}",
            more in "[ a'sA\n\r1./\t\u{301}中・\u{a0}]{0,4}",
        ) {
            let whole = format!("{text}{more}");
            for pattern in KnownPattern::ALL {
                if let Some(cut) = last_cut(pattern, &text) {
                    let (left, right) = whole.split_at(cut);
                    let parts = [pretokens_by_regex(pattern, left), pretokens_by_regex(pattern, right)].concat();
                    prop_assert_eq!(parts, pretokens_by_regex(pattern, &whole), "{} at {}", pattern, cut);
                }
            }
        }

        #[test]
        fn scanners_agree_on_text_of_few_characters(text in "[ a'slLrREvedSAZ\n\r1.é/\t\u{17f}\u{301}中・ʰǅ\u{0}\u{a0}_²]{0,40}") {
            check(&text);
        }
    }
}
