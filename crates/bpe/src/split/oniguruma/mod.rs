//! Regular expressions as Oniguruma reads them, written so that `fancy-regex` reads them alike.
//!
//! Hugging Face's tokenizers take the patterns of a `tokenizer.json` for Oniguruma's, in Ruby's syntax, and the two
//! engines differ without a word: in `\w` and `\b`, in line ends, in what ignoring case matches, in the plus sign after
//! braces. So a pattern is read here item by item, and each item becomes one that `fancy-regex` has with the same
//! meaning; no flag is passed on. `pretokenizer/parity.rs` holds them against the original, classes over all code points.
//!
//! Left out, and refused by name: what has another meaning and is found in no tokenizer. POSIX brackets, references,
//! named groups, `\K`, `\G`, `\X`, `\R`, flags other than `i`, case that is ignored beyond ASCII or where Oniguruma takes
//! two letters for one (`ss` for `ß`), and repetition of what may be empty.

mod class;
mod properties;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use properties::NAMES as PROPERTY_NAMES;

use std::iter::Peekable;
use std::str::Chars;

/// Levels of groups: each takes some of the stack.
const MAX_DEPTH: usize = 50;
/// Outside of brackets, these characters below U+0100 are in `\w`, too.
const WORD_OUTSIDE_OF_BRACKETS: &str = r"\u{b2}\u{b3}\u{b9}\u{bc}-\u{be}";
/// Pairs of letters for which, where case is ignored, a character such as `ß` or `ﬁ` may stand.
const PAIRS_OF_ONE_CHARACTER: [(char, char); 5] = [('s', 's'), ('s', 't'), ('f', 'f'), ('f', 'i'), ('f', 'l')];

/// Writes a pattern of Oniguruma's for `fancy-regex`.
///
/// # Errors
/// What of it is wrong, or not followed.
pub(crate) fn translate(source: &str) -> Result<Translated, String> {
    let chars = source.chars().peekable();
    let mut translator = Translator { chars, to: String::new(), ignores_case: false, last_letter: None, depth: 0 };
    let may_be_empty = translator.alternatives()?;
    match translator.chars.next() {
        Some(_) => Err("a closing parenthesis without an opening one".to_owned()),
        None => Ok(Translated { pattern: translator.to, may_be_empty }),
    }
}

/// A pattern as `fancy-regex` reads it.
pub(crate) struct Translated {
    pub(crate) pattern: String,
    /// Whether it may match nothing: a place, or no repetition.
    pub(crate) may_be_empty: bool,
}

struct Translator<'s> {
    chars: Peekable<Chars<'s>>,
    to: String,
    ignores_case: bool,
    /// The letter before, where case is ignored: in string nodes that Oniguruma may put together.
    last_letter: Option<char>,
    depth: usize,
}

/// What an item can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    may_be_empty: bool,
    /// Whether a quantifier may follow.
    is_repeatable: bool,
}

/// An item that matches some characters.
const CHARS: Item = Item { may_be_empty: false, is_repeatable: true };
/// An item that matches a place.
const ASSERTION: Item = Item { may_be_empty: true, is_repeatable: false };

impl Translator<'_> {
    fn takes(&mut self, char: char) -> bool {
        self.chars.next_if_eq(&char).is_some()
    }

    /// Whether what follows begins with `text`, which is then taken.
    fn takes_all(&mut self, text: &str) -> bool {
        let mut ahead = self.chars.clone();
        let is_there = text.chars().all(|char| ahead.next() == Some(char));
        if is_there {
            self.chars = ahead;
        }
        is_there
    }

    /// Alternatives up to the end of their group; returns whether they may match nothing.
    fn alternatives(&mut self) -> Result<bool, String> {
        let ignores_case = self.ignores_case;
        self.takes_leading_flag()?;
        let mut may_be_empty = false;
        loop {
            may_be_empty |= self.sequence()?;
            if !self.takes('|') {
                break;
            }
            self.to.push('|');
            self.last_letter = None;
        }
        self.ignores_case = ignores_case;
        Ok(may_be_empty)
    }

    /// `(?i)`, which holds to the end of its group. Behind other items Oniguruma opens a group of its own for it.
    fn takes_leading_flag(&mut self) -> Result<(), String> {
        self.ignores_case |= self.takes_all("(?i)");
        Ok(())
    }

    fn sequence(&mut self) -> Result<bool, String> {
        let mut may_be_empty = true;
        while let Some(char) = self.chars.next_if(|char| !matches!(char, '|' | ')')) {
            let item = self.item(char)?;
            may_be_empty &= self.quantified(item)?;
        }
        Ok(may_be_empty)
    }

    fn item(&mut self, char: char) -> Result<Item, String> {
        if !matches!(char, '(' | '\\') && !char.is_ascii_alphabetic() {
            self.last_letter = None;
        }
        match char {
            '(' => self.group(),
            '[' => self.class().map(|()| CHARS),
            '\\' => self.escape(),
            '.' => self.push(r"[^\n]", CHARS),
            // Not behind a line end that ends the text.
            '^' => self.push(r"(?:\A|(?<=\n)(?!\z))", ASSERTION),
            '$' => self.push(r"(?:(?=\n)|\z)", ASSERTION),
            '*' | '+' | '?' => Err(format!("the quantifier {char} with nothing before it")),
            '{' if self.interval().is_some() => Err("a quantifier in braces with nothing before it".to_owned()),
            char => self.literal(char),
        }
    }

    fn push(&mut self, text: &str, item: Item) -> Result<Item, String> {
        self.to.push_str(text);
        Ok(item)
    }

    fn literal(&mut self, char: char) -> Result<Item, String> {
        if !self.ignores_case {
            push_char(&mut self.to, char);
            return Ok(CHARS);
        }
        if !char.is_ascii() {
            return Err(format!("ignoring the case of {char:?}"));
        }
        let lower = char.to_ascii_lowercase();
        if let Some(last) = self.last_letter
            && PAIRS_OF_ONE_CHARACTER.contains(&(last, lower))
        {
            return Err(format!("ignoring the case of {last}{lower}, for which one character may stand,"));
        }
        self.last_letter = Some(lower).filter(char::is_ascii_alphabetic);
        self.to.push('[');
        class::push_of_any_case(&mut self.to, char, char);
        self.to.push(']');
        Ok(CHARS)
    }

    fn group(&mut self) -> Result<Item, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("groups nested more than {MAX_DEPTH} levels deep"));
        }
        let ignores_case = self.ignores_case;
        let (opening, is_assertion) = self.opening()?;
        let Some(opening) = opening else { return self.comment() };
        self.to.push_str(opening);
        if is_assertion {
            self.last_letter = None;
        }
        self.depth += 1;
        let may_be_empty = self.alternatives()?;
        self.depth -= 1;
        if !self.takes(')') {
            return Err("a group that does not end".to_owned());
        }
        self.to.push(')');
        self.ignores_case = ignores_case;
        if is_assertion {
            self.last_letter = None;
            return Ok(ASSERTION);
        }
        Ok(Item { may_be_empty, is_repeatable: true })
    }

    /// How a group begins, and whether it is an assertion; none for a comment. Groups capture nothing, since nothing
    /// refers to them.
    fn opening(&mut self) -> Result<(Option<&'static str>, bool), String> {
        if self.chars.peek() == Some(&'*') {
            return Err("(*".to_owned());
        }
        if !self.takes('?') {
            return Ok((Some("(?:"), false));
        }
        for (written, opening, is_assertion) in [
            ("=", "(?=", true),
            ("!", "(?!", true),
            ("<=", "(?<=", true),
            ("<!", "(?<!", true),
            (">", "(?>", false),
            (":", "(?:", false),
        ] {
            if self.takes_all(written) {
                return Ok((Some(opening), is_assertion));
            }
        }
        if self.takes('#') {
            return Ok((None, false));
        }
        self.flags().map(|()| (Some("(?:"), false))
    }

    fn comment(&mut self) -> Result<Item, String> {
        if self.chars.any(|char| char == ')') { Ok(ASSERTION) } else { Err("a comment that does not end".to_owned()) }
    }

    /// The flags of a group, as in `(?i:`.
    fn flags(&mut self) -> Result<(), String> {
        let mut is_on = true;
        loop {
            match self.chars.next() {
                Some('-') => is_on = false,
                Some('i') => self.ignores_case = is_on,
                // They are never on.
                Some('m' | 'x') if !is_on => {}
                Some(':') => return Ok(()),
                Some(')') => return Err("a flag in the middle of a group".to_owned()),
                Some('<' | 'P' | '\'') => return Err("a named group".to_owned()),
                Some(flag) => return Err(format!("(?{flag}")),
                None => return Err("a group that does not end".to_owned()),
            }
        }
    }

    fn escape(&mut self) -> Result<Item, String> {
        let escaped = self.chars.next().ok_or("a backslash at the end")?;
        if escaped.is_ascii_alphanumeric() {
            self.last_letter = None;
        }
        match escaped {
            'b' | 'B' => {
                let [before, after] = if escaped == 'b' { ["(?!", "(?="] } else { ["(?=", "(?!"] };
                let word = format!("[{}{WORD_OUTSIDE_OF_BRACKETS}]", properties::WORD);
                self.push(&format!("(?:(?<={word}){before}{word})|(?<!{word}){after}{word}))"), ASSERTION)
            }
            'A' | 'z' => self.push(&format!("\\{escaped}"), ASSERTION),
            'w' | 'W' => {
                let not = if escaped == 'W' { "^" } else { "" };
                self.push(&format!("[{not}{}{WORD_OUTSIDE_OF_BRACKETS}]", properties::WORD), CHARS)
            }
            'p' | 'P' => {
                let property = self.property(escaped)?;
                let outside = if property.is_word { WORD_OUTSIDE_OF_BRACKETS } else { "" };
                self.push(&format!("[{}{}{outside}]", property.not(), property.class), CHARS)
            }
            _ => match class::of_escape(escaped) {
                Some(class) => self.push(class, CHARS),
                None => {
                    let char = self.escaped_char(escaped)?;
                    self.literal(char)
                }
            },
        }
    }

    /// A quantifier, if there is one; returns whether the item with it may match nothing.
    fn quantified(&mut self, item: Item) -> Result<bool, String> {
        let (min, max) = match self.chars.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.interval() {
                Some(interval) => interval,
                None => return Ok(item.may_be_empty),
            },
            _ => return Ok(item.may_be_empty),
        };
        if !item.is_repeatable {
            return Err("a quantifier of an assertion".to_owned());
        }
        if item.may_be_empty && max.is_none_or(|max| max > 1) {
            return Err("a repetition of what may be empty".to_owned());
        }
        if self.chars.peek() == Some(&'{') {
            self.braces(min, max)?;
        } else {
            self.to.extend(self.chars.next());
            self.to.extend(self.chars.next_if(|char| matches!(char, '?' | '+')));
        }
        let is_repeated = matches!(self.chars.peek(), Some('*' | '+' | '?'))
            || self.chars.peek() == Some(&'{') && self.interval().is_some();
        if is_repeated { Err("a quantifier of a quantifier".to_owned()) } else { Ok(item.may_be_empty || min == 0) }
    }

    /// Writes a quantifier in braces, which [`interval`](Self::interval) found.
    fn braces(&mut self, min: u32, max: Option<u32>) -> Result<(), String> {
        let _ = self.chars.by_ref().find(|&char| char == '}');
        if max.is_some_and(|max| max < min) {
            return Err(format!("{{{min},{}}}", max.unwrap_or_default()));
        }
        if self.ignores_case && matches!(self.last_letter, Some('s' | 'f')) {
            return Err("ignoring the case of a repeated s or f".to_owned());
        }
        self.to.push_str(&format!("{{{min},{}}}", max.map(|max| max.to_string()).unwrap_or_default()));
        match self.chars.peek() {
            Some('+') => Err("a plus sign after a quantifier in braces".to_owned()),
            Some('?') if max == Some(min) => Err("a question mark after a number in braces".to_owned()),
            _ => {
                self.to.extend(self.chars.next_if_eq(&'?'));
                Ok(())
            }
        }
    }

    /// The numbers in the braces that follow, which stay where they are; none if they are no quantifier.
    fn interval(&self) -> Option<(u32, Option<u32>)> {
        let mut ahead = self.chars.clone();
        ahead.next_if_eq(&'{');
        let inside: String = ahead.by_ref().take_while(|&char| char != '}').collect();
        let has_end = self.chars.clone().any(|char| char == '}');
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 6;
        let number = |text: &str| text.parse().ok();
        match inside.split_once(',') {
            _ if !has_end => None,
            None => number(&inside).filter(|_| is_number(&inside)).map(|n| (n, Some(n))),
            Some((min, max)) if !is_number(min) || !is_number(max) || min.is_empty() && max.is_empty() => None,
            Some((min, max)) => Some((number(min).unwrap_or(0), number(max))),
        }
    }

    /// The character that an escape stands for, of which a letter or sign was read.
    fn escaped_char(&mut self, escaped: char) -> Result<char, String> {
        let hex = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        let is_hex = |char: &char| char.is_ascii_hexdigit();
        let what = |digits: &str| format!("\\{escaped}{digits}");
        Ok(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            'x' if self.takes('{') => {
                let digits: String = self.chars.by_ref().take_while(|&char| char != '}').collect();
                hex(&digits).ok_or_else(|| what(&format!("{{{digits}}}")))?
            }
            'x' => {
                // Beyond ASCII, it is a byte and not a character.
                let digits: String = std::iter::from_fn(|| self.chars.next_if(is_hex)).take(2).collect();
                hex(&digits).filter(char::is_ascii).ok_or_else(|| what(&digits))?
            }
            'u' => {
                let digits: String = std::iter::from_fn(|| self.chars.next_if(is_hex)).take(4).collect();
                hex(&digits).filter(|_| digits.len() == 4).ok_or_else(|| what(&digits))?
            }
            other if other.is_ascii_alphanumeric() => return Err(what("")),
            other => other,
        })
    }
}

/// Writes a character that stands for itself, in brackets or not.
fn push_char(to: &mut String, char: char) {
    if char.is_ascii() && !char.is_ascii_alphanumeric() {
        to.push_str(&format!("\\x{{{:x}}}", u32::from(char)));
    } else {
        to.push(char);
    }
}
