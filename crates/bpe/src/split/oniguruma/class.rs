//! Classes in brackets.

use super::properties::{self, Property};
use super::{MAX_DEPTH, Translator, push_char};

/// The class of an escape that is one inside of brackets and outside.
pub(super) fn of_escape(escaped: char) -> Option<&'static str> {
    Some(match escaped {
        'd' => r"\d",
        'D' => r"\D",
        's' => r"\s",
        'S' => r"\S",
        'h' => "[0-9a-fA-F]",
        'H' => "[^0-9a-fA-F]",
        _ => return None,
    })
}

/// Writes a range of ASCII, and what its letters are in the other case: also `ſ` for `s`, and the sign of Kelvin for `k`.
pub(super) fn push_of_any_case(to: &mut String, first: char, last: char) {
    push_range(to, first, last);
    for (a, z, other) in [('a', 'z', 'A'), ('A', 'Z', 'a')] {
        let (from, until) = (first.max(a), last.min(z));
        if from <= until {
            let in_other = |char: char| char::from(char as u8 - a as u8 + other as u8);
            push_range(to, in_other(from), in_other(until));
        }
    }
    let has = |letter: char| [letter, letter.to_ascii_uppercase()].iter().any(|char| (first..=last).contains(char));
    to.extend(has('s').then_some('\u{17f}'));
    to.extend(has('k').then_some('\u{212a}'));
}

fn push_range(to: &mut String, first: char, last: char) {
    push_char(to, first);
    if first < last {
        to.push('-');
        push_char(to, last);
    }
}

impl Translator<'_> {
    /// A class whose opening bracket was read.
    pub(super) fn class(&mut self) -> Result<(), String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("classes nested more than {MAX_DEPTH} levels deep"));
        }
        self.depth += 1;
        self.to.push('[');
        if self.takes('^') {
            self.to.push('^');
        }
        let mut is_empty = true;
        loop {
            let char = self.chars.next().ok_or("a class that does not end")?;
            match char {
                ']' if is_empty => return Err("a ] at the beginning of a class".to_owned()),
                ']' => break,
                '&' if self.takes('&') => {
                    let has_right = !matches!(self.chars.peek(), None | Some(']' | '&'));
                    if is_empty || !has_right || self.ignores_case {
                        return Err("&& in a class".to_owned());
                    }
                    self.to.push_str("&&");
                    is_empty = true;
                    continue;
                }
                '[' => self.nested_class()?,
                '\\' => self.escape_in_class()?,
                '-' if !is_empty && self.chars.peek() != Some(&']') => return Err("a - inside of a class".to_owned()),
                char => self.char_in_class(char)?,
            }
            is_empty = false;
        }
        self.to.push(']');
        self.depth -= 1;
        Ok(())
    }

    fn nested_class(&mut self) -> Result<(), String> {
        match self.chars.peek() {
            Some(':') => Err("a POSIX bracket".to_owned()),
            _ if self.ignores_case => Err(beyond_ascii()),
            _ => self.class(),
        }
    }

    fn escape_in_class(&mut self) -> Result<(), String> {
        let escaped = self.chars.next().ok_or("a backslash at the end")?;
        match escaped {
            'p' | 'P' | 'W' | 'D' | 'S' | 'H' if self.ignores_case => return Err(beyond_ascii()),
            'p' | 'P' => {
                let Property { class, is_negated, is_word } = self.property(escaped)?;
                match (is_negated, is_word) {
                    (true, true) => self.to.push_str(&format!("[^{class}]")),
                    (true, false) => self.to.push_str(&class.replacen("\\p", "\\P", 1)),
                    (false, _) => self.to.push_str(&class),
                }
            }
            'w' => self.to.push_str(properties::WORD),
            'W' => self.to.push_str(&format!("[^{}]", properties::WORD)),
            'b' => return self.char_in_class('\u{8}'),
            _ => match of_escape(escaped) {
                Some(class) => self.to.push_str(class),
                None => {
                    let char = self.escaped_char(escaped)?;
                    return self.char_in_class(char);
                }
            },
        }
        Ok(())
    }

    /// A character, or a range that begins with it.
    fn char_in_class(&mut self, first: char) -> Result<(), String> {
        let mut last = first;
        let mut ahead = self.chars.clone();
        let is_range = ahead.next() == Some('-') && ahead.peek() != Some(&']');
        if is_range {
            self.chars = ahead;
            last = match self.chars.next().ok_or("a class that does not end")? {
                '[' => return Err("a range that ends in a class".to_owned()),
                '&' if self.chars.peek() == Some(&'&') => return Err("&& in a class".to_owned()),
                '\\' => {
                    let escaped = self.chars.next().ok_or("a backslash at the end")?;
                    if of_escape(escaped).is_some() || matches!(escaped, 'p' | 'P' | 'w' | 'W' | 'b') {
                        return Err("a range that ends in a class".to_owned());
                    }
                    self.escaped_char(escaped)?
                }
                char => char,
            };
        }
        if last < first {
            return Err("a range that ends before it begins".to_owned());
        }
        match self.ignores_case {
            true if !last.is_ascii() => return Err(beyond_ascii()),
            true => push_of_any_case(&mut self.to, first, last),
            false => push_range(&mut self.to, first, last),
        }
        Ok(())
    }
}

fn beyond_ascii() -> String {
    "ignoring case in a class of more than ASCII".to_owned()
}
