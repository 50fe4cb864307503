//! The rules as data: classes of characters, special cases, quantities. Read once from the files that
//! `tables/english.py` writes.
//!
//! Left out: the meaning of the rules, which is in [`super::affixes`] and [`super::phrases`].

use std::collections::HashSet;
use std::sync::LazyLock;

use super::lexicon::Lexicon;

/// A set of classes of characters, one bit for each, in the order of `CLASSES` in `tables/english.py`.
pub type Classes = u16;

/// White space, as Python's `str.isspace` has it.
pub const SPACE: Classes = 1 << 0;
/// Split off the front as a single character.
pub const PREFIX: Classes = 1 << 1;
/// Split off the end as a single character, whatever is before it.
pub const SUFFIX: Classes = 1 << 2;
/// A token of its own anywhere: symbols and the ellipsis.
pub const INFIX: Classes = 1 << 3;
/// A letter of the alphabets that spaCy lists.
pub const ALPHA: Classes = 1 << 4;
/// A lower-case one, or one without case.
pub const LOWER: Classes = 1 << 5;
/// An upper-case one, or one without case.
pub const UPPER: Classes = 1 << 6;
/// A quotation mark or a bracket of East Asia.
pub const QUOTE: Classes = 1 << 7;
/// A period after it is split off the end.
pub const BEFORE_PERIOD: Classes = 1 << 8;
/// In the scheme of a URL.
pub const SCHEME: Classes = 1 << 9;
/// In the name of a host; hyphen and underscore are added inside one.
pub const HOST: Classes = 1 << 10;
/// A decimal digit of any script.
pub const DIGIT: Classes = 1 << 11;
/// Punctuation to Unicode.
pub const PUNCTUATION: Classes = 1 << 12;
/// Ends a sentence.
pub const SENTENCE_END: Classes = 1 << 13;

/// The tokens of a special case: length in bytes and identifier of each.
pub type SpecialCase = Vec<(usize, PhraseToken)>;

/// Identifies a token that is part of a phrase; 0 for all others.
pub type PhraseToken = u16;

/// A special case that is searched among tokens.
pub struct Phrase {
    /// Its tokens when the text is split without special cases; at least two.
    pub tokens: Vec<PhraseToken>,
    /// Number of the special case that it becomes.
    pub special_case: usize,
}

/// Words of a set of tokens of phrases, of which there are some 250.
const FOLLOWER_WORDS: usize = 5;

/// All tables.
pub struct Tables {
    classes: CharClasses,
    /// Special cases and tokens of phrases by their text.
    pub lexicon: Lexicon,
    /// Special cases, as an entry counts them.
    pub special_cases: Vec<SpecialCase>,
    /// Phrases, by their first token.
    phrases: Vec<Vec<Phrase>>,
    /// For each token of a phrase, a set of those that follow it in some phrase.
    followers: Vec<[u64; FOLLOWER_WORDS]>,
    /// Tokens of the longest phrase.
    pub max_phrase_tokens: usize,
    /// What follows a digit at the end of a token and is split off: units, currencies, a plus.
    quantities: HashSet<&'static str>,
    /// Length in bytes of the longest quantity.
    pub max_quantity_bytes: usize,
}

/// The tables, read at first use (some 0.3 ms).
pub fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);
    &TABLES
}

impl Tables {
    fn read() -> Self {
        let quantities: HashSet<_> = include_str!("../../tables/english/quantities.txt").lines().collect();
        let max_quantity_bytes = quantities.iter().map(|quantity| quantity.len()).max().unwrap_or(0);
        let mut tables = Self {
            classes: CharClasses::read(include_str!("../../tables/english/classes.tsv")),
            lexicon: Lexicon::default(),
            special_cases: Vec::new(),
            phrases: vec![Vec::new()],
            followers: vec![Default::default()],
            max_phrase_tokens: 0,
            quantities,
            max_quantity_bytes,
        };
        // Identifiers of the tokens of phrases come first: special cases are made of such tokens, too.
        let lines = include_str!("../../tables/english/special_cases.tsv").lines();
        let lines: Vec<(&str, Option<&str>)> = lines
            .map(|line| line.split_once('\t').map_or((line, None), |(tokens, phrase)| (tokens, Some(phrase))))
            .collect();
        for (special_case, phrase) in lines.iter().enumerate().filter_map(|(n, line)| Some((n, line.1?))) {
            tables.add_phrase(special_case, phrase);
        }
        for (tokens, _) in lines {
            tables.add_special_case(tokens);
        }
        tables.lexicon.freeze();
        tables
    }

    fn add_phrase(&mut self, special_case: usize, phrase: &'static str) {
        let tokens: Vec<PhraseToken> = phrase.split(' ').map(|token| self.phrase_token(token)).collect();
        for pair in tokens.windows(2) {
            let (word, bit) = (usize::from(pair[1] / 64), pair[1] % 64);
            self.followers[usize::from(pair[0])][word] |= 1 << bit;
        }
        self.max_phrase_tokens = self.max_phrase_tokens.max(tokens.len());
        self.phrases[usize::from(tokens[0])].push(Phrase { tokens, special_case });
    }

    /// The identifier of a token of a phrase, a new one if it has none yet.
    fn phrase_token(&mut self, token: &'static str) -> PhraseToken {
        let entry = self.lexicon.entry(token);
        if entry.phrase_token == 0 {
            entry.phrase_token = self.phrases.len() as PhraseToken;
            self.phrases.push(Vec::new());
            self.followers.push(Default::default());
        }
        entry.phrase_token
    }

    fn add_special_case(&mut self, tokens: &str) {
        let of = |token: &str| (token.len(), self.lexicon.get(token).phrase_token);
        self.special_cases.push(tokens.split(' ').map(of).collect());
        let number = u16::try_from(self.special_cases.len()).expect("some thousand special cases");
        self.lexicon.entry(&tokens.replace(' ', "")).special_case = number;
    }

    /// The classes of a character. Constant time.
    #[inline]
    pub fn classes(&self, char: char) -> Classes {
        self.classes.get(char)
    }

    /// The phrases that begin with a token.
    #[inline]
    pub fn phrases(&self, first: PhraseToken) -> &[Phrase] {
        &self.phrases[usize::from(first)]
    }

    /// Whether some phrase has these two tokens in a row.
    #[inline]
    pub fn may_follow(&self, first: PhraseToken, second: PhraseToken) -> bool {
        self.followers[usize::from(first)][usize::from(second / 64)] >> (second % 64) & 1 == 1
    }

    /// Whether a text is split off the end after a digit.
    pub fn is_quantity(&self, text: &str) -> bool {
        self.quantities.contains(text)
    }
}

/// Classes by code point in pages: most of the million code points share a few of them.
struct CharClasses {
    /// Where the page of a code point begins, by its upper bits.
    starts: Vec<u16>,
    pages: Vec<Classes>,
}

/// Code points per page: classes of ASCII are one.
const PAGE: usize = 128;

impl CharClasses {
    /// Reads ranges: first, last, classes, hexadecimal.
    fn read(ranges: &str) -> Self {
        let mut flat = vec![0; 0x11_0000];
        for line in ranges.lines() {
            let mut numbers =
                line.split('\t').map(|number| u32::from_str_radix(number, 16).expect("a table of hexadecimal numbers"));
            let mut next = || numbers.next().expect("three columns") as usize;
            let (first, last, classes) = (next(), next(), next());
            flat[first..=last].fill(classes as Classes);
        }
        let (mut starts, mut pages) = (Vec::new(), Vec::<Classes>::new());
        for page in flat.chunks(PAGE) {
            let known = pages.chunks(PAGE).position(|known| known == page).unwrap_or_else(|| {
                pages.extend_from_slice(page);
                pages.len() / PAGE - 1
            });
            starts.push((known * PAGE) as u16);
        }
        Self { starts, pages }
    }

    #[inline]
    fn get(&self, char: char) -> Classes {
        let code = char as usize;
        self.pages[usize::from(self.starts[code / PAGE]) + code % PAGE]
    }
}
