use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};

use super::{DatatroveDialect, Findings, Rule, Settings};
use crate::About;
use crate::list::{self, ListError};
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;
use words::python;

/// Drops texts with words of a list: the rule of C4 (<https://jmlr.org/papers/v21/20-074.html>, section 2.2).
///
/// Follows datatrove's `C4BadWordsFilter`: a word of the list occurs in the lower-cased text with no letter, number or
/// underscore beside it; in languages that are written without spaces, anywhere. C4 was made with the list of LDNOOBW
/// (<https://github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words>), one word per line. Left out is
/// `keep_fraction`, by which the original keeps some texts at random, in the order in which they come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct C4BadWords {
    /// The code that is followed.
    #[serde(default)]
    pub dialect: DatatroveDialect,
    /// The file of words.
    pub list: String,
    /// ISO 639-1 code of the list's language.
    #[serde(default = "english")]
    pub language: String,
    /// Maximum number of occurrences. Default: 0.
    #[serde(default = "no_word")]
    pub max_bad_words: Limit,
}

fn english() -> String {
    "en".to_owned()
}

fn no_word() -> Limit {
    Limit::at(0.0)
}

/// Languages in which words are found without borders around them.
const UNSPACED: [&str; 3] = ["ja", "th", "zh"];
/// Words of the lists that are parts of common words, which the original allows in all languages.
const ALLOWED: [&str; 4] = ["sm", "グロ", "女の子", "性"];

impl Settings for C4BadWords {
    fn paths(&mut self) -> Vec<&mut String> {
        vec![&mut self.list]
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        let text = list::read(&self.list)?;
        let words: Vec<&str> = text.lines().map(python::strip).filter(|word| !ALLOWED.contains(word)).collect();
        let malformed = |error: aho_corasick::BuildError| ListError::Malformed {
            path: self.list.clone(),
            line: words.len(),
            what: error.to_string(),
        };
        let words = AhoCorasick::new(&words).map_err(malformed)?;
        let needs_borders = !UNSPACED.contains(&self.language.as_str());
        Ok(Box::new(OpenC4BadWords { words, needs_borders, max_bad_words: self.max_bad_words }))
    }
}

/// The rule with its list read.
struct OpenC4BadWords {
    words: AhoCorasick,
    needs_borders: bool,
    max_bad_words: Limit,
}

impl Rule for OpenC4BadWords {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new("bad_words", MeasureUnit::Count, "places at which a word of the list stands")
                .max("max_bad_words", self.max_bad_words, "too_many_bad_words", "document_removed_with_badwords"),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let text = text.as_str().to_lowercase();
        let is_border = |c: Option<char>| !c.is_some_and(python::is_word);
        let stands_alone = |start: usize, end: usize| {
            text.is_char_boundary(start)
                && text.is_char_boundary(end)
                && is_border(text[..start].chars().next_back())
                && is_border(text[end..].chars().next())
        };
        let found = self.words.find_overlapping_iter(&text);
        let count = found.filter(|found| !self.needs_borders || stands_alone(found.start(), found.end())).count();
        Findings::of(vec![count as f64])
    }
}
