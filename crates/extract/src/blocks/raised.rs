//! Superscripts and subscripts in plain text: `10^6`, `x_2`, and what stays as it is: `2nd`, `CO2`. Marks of footnotes
//! are no text.
//!
//! Left out: Unicode's raised digits, which pages that mean them write themselves.

use super::furniture::is_mark;

/// How a raised or lowered piece is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// As it is.
    Plain,
    /// Behind this sign; in brackets if it is several signs long.
    Behind(char),
    /// Behind this sign, which belongs to a number: the point of a price, the colon of a time, the space before a fraction.
    InNumber(char),
    /// As the sign of degrees.
    Degree,
    /// Behind a space, as the mark of a footnote that no link shows to be one.
    Apart,
    /// Not at all.
    Dropped,
}

/// Longest exponent or index, in characters.
const MAX_CHARS: usize = 12;
const UNITS: [&str; 24] = [
    "m", "km", "cm", "mm", "dm", "nm", "ft", "in", "yd", "mi", "s", "sec", "min", "h", "hr", "kg", "g", "mol", "cc",
    "sq", "rad", "Hz", "px", "pc",
];
const CURRENCIES: [char; 8] = ['$', '€', '£', '¥', '₽', '₹', '₩', '¢'];
const HOURS: [&str; 11] = ["uhr", "h", "hs", "hrs", "uur", "am", "pm", "a", "p", "ч", "год"];
const FUNCTIONS: [&str; 12] = ["sin", "cos", "tan", "cot", "sinh", "cosh", "tanh", "log", "ln", "exp", "lim", "max"];
/// Elements whose symbol is one letter; of the others, a capital and a small letter are enough.
const ELEMENTS: &str = "BCFHIKNOPSUVWY";

/// Decides about `<sup>` from the text before it in its block and behind it, and whether a link to a note is in or around
/// it.
pub(super) fn superscript(before: &str, raised: &str, after: &str, links_to_note: bool) -> Written {
    let raised = raised.trim();
    if let Some(written) = part_of_number(before, raised, after) {
        return written;
    }
    let bracketed = raised.starts_with('[') && raised.ends_with(']');
    if bracketed || links_to_note && is_mark(raised) {
        return Written::Dropped;
    }
    let Some(last) = before.chars().next_back() else { return Written::Plain };
    if raised.is_empty() || raised.chars().count() > MAX_CHARS || last.is_whitespace() {
        return Written::Plain;
    }
    let word = last_word(before);
    let is_number = is_signed_number(raised);
    if is_number && is_sentence_word(before, word, last) {
        return if is_mark(raised) { Written::Apart } else { Written::Plain };
    }
    let has_letter_base = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let has_base = last.is_ascii_digit()
        || has_letter_base
        || matches!(last, ')' | ']' | '}')
        || UNITS.contains(&word)
        || FUNCTIONS.contains(&word);
    let is_power = is_number || is_formula(raised, has_letter_base || last.is_ascii_digit() || last == ')');
    if is_power && (has_base || is_number) { Written::Behind('^') } else { Written::Plain }
}

/// How a piece is written that is raised for its looks: of a fraction, a price, a time, or a temperature.
fn part_of_number(before: &str, raised: &str, after: &str) -> Option<Written> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let are_two_digits = raised.len() == 2 && is_digits(raised);
    let last = before.chars().next_back().unwrap_or(' ');
    let next = after.trim_start();
    if after.starts_with(['/', '⁄']) && is_digits(raised) && raised.len() <= 2 {
        return Some(if last.is_ascii_digit() { Written::InNumber(' ') } else { Written::Plain });
    }
    if matches!(raised, "o" | "0" | "°" | "º") && last.is_ascii_digit() {
        let is_scale = next.starts_with(['C', 'F']) && !next[1..].starts_with(char::is_alphanumeric);
        return is_scale.then_some(Written::Degree);
    }
    if last.is_ascii_digit() && is_fraction(raised) && is_counted(after) {
        return Some(Written::InNumber(' '));
    }
    let number = &before[before.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ',' | '.')).len()..];
    if !are_two_digits || !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let price = before[..before.len() - number.len()].trim_end().ends_with(CURRENCIES) || next.starts_with(CURRENCIES);
    let is_hour = number.parse::<u8>().is_ok_and(|hour| hour <= 24) && raised < "60";
    let word = next.split(|c: char| !c.is_alphabetic()).next().unwrap_or("").to_lowercase();
    match () {
        () if price && last.is_ascii_digit() => Some(Written::InNumber('.')),
        () if price => Some(Written::Plain),
        () if is_hour && HOURS.contains(&&*word) => Some(Written::InNumber(':')),
        () => None,
    }
}

/// `1/2`, with a denominator that people measure in.
fn is_fraction(text: &str) -> bool {
    text.split_once(['/', '⁄']).is_some_and(|(above, below)| {
        matches!(below, "2" | "3" | "4" | "5" | "8" | "16" | "32")
            && above.parse::<u8>().is_ok_and(|above| (1..32).contains(&above))
    })
}

/// Whether what follows is counted by the number before, as cups and inches are; a power is followed by other words.
fn is_counted(after: &str) -> bool {
    const NOT_COUNTED: [&str; 12] =
        ["is", "and", "or", "as", "if", "for", "in", "of", "to", "times", "where", "equals"];
    if after.starts_with(['"', '″', '”', '\'', '′', '’', '-']) {
        return true;
    }
    let word = after.trim_start().split(|c: char| !c.is_alphabetic()).next().unwrap_or("");
    after.starts_with(char::is_whitespace) && word.chars().count() >= 2 && !NOT_COUNTED.contains(&word)
}

/// Decides about `<sub>`.
pub(super) fn subscript(before: &str, lowered: &str) -> Written {
    let lowered = lowered.trim();
    let Some(last) = before.chars().next_back() else { return Written::Plain };
    if lowered.is_empty() || lowered.chars().count() > MAX_CHARS || lowered.contains(char::is_whitespace) {
        return Written::Plain;
    }
    let is_base = last.is_alphanumeric() || matches!(last, ')' | ']' | '}');
    let is_count = lowered.bytes().all(|byte| byte.is_ascii_digit());
    if !is_base || is_count && (matches!(last, ')' | ']') || ends_with_element(before)) {
        return Written::Plain;
    }
    Written::Behind('_')
}

/// Writes a piece behind its base.
pub(super) fn push_behind(to: &mut String, sign: char, piece: &str) {
    let piece = piece.trim();
    let inner = piece.trim_start_matches(['+', '-', '−', '–']);
    let inner = inner.strip_suffix(['+', '-', '−', '–']).unwrap_or(inner);
    let is_single = inner.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | ',' | '/' | '\'' | '′'));
    to.push(sign);
    if is_single || piece.starts_with('(') && piece.ends_with(')') {
        to.push_str(piece);
    } else {
        to.push('(');
        to.push_str(piece);
        to.push(')');
    }
}

fn last_word(text: &str) -> &str {
    let start = text.char_indices().rev().take_while(|(_, c)| c.is_alphabetic()).last();
    start.map_or("", |(at, _)| &text[at..])
}

fn is_signed_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-', '−', '–']);
    let digits = digits.strip_suffix(['+', '-', '−', '–']).unwrap_or(digits);
    let is_sign = digits.is_empty() && !text.is_empty();
    is_sign || digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/' | b','))
}

/// A word or the end of a sentence, which has no exponent.
fn is_sentence_word(before: &str, word: &str, last: char) -> bool {
    let is_end = matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '"' | '”' | '’' | '»' | '…' | '。' | '，' | '、');
    let is_word =
        word.chars().count() >= 3 && !UNITS.contains(&word) && !FUNCTIONS.contains(&word) && !ends_with_element(before);
    is_end || is_word || matches!(last, ')') && before.contains(". ")
}

/// `n`, `n+1`, `2n`, `−x`; of single letters only those that are common in formulas, since `1<sup>e</sup>` is an ordinal.
fn is_formula(text: &str, has_base: bool) -> bool {
    const VARIABLES: &str = "nxkijmpqyztNTαβγθλμπ";
    let has_operator = text.chars().any(|c| matches!(c, '+' | '-' | '−' | '*' | '×' | '/' | '='));
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let are_variables = text.chars().filter(|c| c.is_alphabetic()).all(|c| VARIABLES.contains(c));
    has_base && ((letters <= 2 && are_variables && letters > 0) || has_operator && letters <= 3)
}

/// Whether a chemical symbol or a bracket stands before a count.
fn ends_with_element(text: &str) -> bool {
    let mut letters = text.chars().rev();
    match letters.next() {
        Some(last) if last.is_ascii_uppercase() => ELEMENTS.contains(last),
        Some(last) if last.is_ascii_lowercase() => {
            letters.next().is_some_and(|c| c.is_ascii_uppercase())
                && !letters.next().is_some_and(|c| c.is_ascii_lowercase())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_and_what_is_none() {
        let check = |before, raised, links, expected| {
            assert_eq!(superscript(before, raised, "", links), expected, "{before}{raised}")
        };
        for (before, raised) in [
            ("10", "6"),
            ("area of 9 m", "2"),
            ("x", "n+1"),
            ("(a+b)", "2"),
            ("SO4", "2−"),
            ("10", "−9"),
            ("e", "x"),
            ("2", "n"),
        ] {
            check(before, raised, false, Written::Behind('^'));
        }
        for (before, raised) in
            [("2", "nd"), ("1", "er"), ("M", "me"), ("Brand", "TM"), ("n", "o"), ("XX", "e"), ("", "14"), ("so ", "1")]
        {
            check(before, raised, false, Written::Plain);
        }
        check("so it ended.", "3", true, Written::Dropped);
        check("so it ended", "[3]", false, Written::Dropped);
        check("so it ended", "[citation needed]", true, Written::Dropped);
        check("so it ended.", "3", false, Written::Apart);
        check("of the harbour", "3", false, Written::Apart);
    }

    #[test]
    fn pieces_of_numbers() {
        let check = |before, raised, after, expected| {
            assert_eq!(superscript(before, raised, after, false), expected, "{before}{raised}{after}")
        };
        check("1", "1", "/", Written::InNumber(' '));
        check("add ", "3", "⁄", Written::Plain);
        check("3", "1/2", " cups of flour", Written::InNumber(' '));
        check("2", "1/2", " is no fraction", Written::Behind('^'));
        check("2", "1/2", "", Written::Behind('^'));
        check("only £5", "99", ".", Written::InNumber('.'));
        check("12", "95", " €", Written::InNumber('.'));
        check("3,", "49", " €", Written::Plain);
        check("ab 19", "00", " Uhr", Written::InNumber(':'));
        check("at 7", "30", "pm", Written::InNumber(':'));
        check("at 37", "o", "C", Written::Degree);
        check("at 99", "0", " F.", Written::Degree);
        check("in 1990,", "12", " he", Written::Apart);
        check("10", "12", " metres", Written::Behind('^'));
    }

    #[test]
    fn indices_and_counts() {
        for (before, lowered) in
            [("CO", "2"), ("CaCO", "3"), ("Al", "2"), ("Ca(OH)", "2"), ("vitamin B", "12"), ("x ", "foot")]
        {
            assert_eq!(subscript(before, lowered), Written::Plain, "{before}{lowered}");
        }
        for (before, lowered) in [("x", "2"), ("T", "0"), ("a", "ij"), ("v", "max"), ("log", "2")] {
            assert_eq!(subscript(before, lowered), Written::Behind('_'), "{before}{lowered}");
        }
    }

    #[test]
    fn pieces_of_several_signs_stand_in_brackets() {
        for (piece, expected) in
            [("6", "^6"), ("−6", "^−6"), ("2−", "^2−"), ("n+1", "^(n+1)"), ("(n)", "^(n)"), ("1/2", "^1/2")]
        {
            let mut to = String::new();
            push_behind(&mut to, '^', piece);
            assert_eq!(to, expected);
        }
    }
}
