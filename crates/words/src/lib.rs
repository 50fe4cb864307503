#![doc = include_str!("../README.md")]

pub mod english;
pub mod python;

/// Whether a letter belongs to a script that is written without spaces: Thai, kana, or Han with its extension A.
///
/// ```
/// assert!("ฟカ㐀漢".chars().all(words::is_unspaced));
/// assert!(!"fé한ລ、".chars().any(words::is_unspaced));
/// ```
pub fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Words of a text: runs without white space, and half as many more as letters [without spaces](is_unspaced), rounded
/// down. Time O(bytes).
///
/// ```
/// assert_eq!(words::count(" one\n two\u{3000}three "), 3);
/// assert_eq!(words::count("潮 tide 海"), 4);
/// ```
pub fn count(text: &str) -> u64 {
    if text.is_ascii() {
        return count_ascii(text.as_bytes());
    }
    let unspaced = text.chars().filter(|&letter| is_unspaced(letter)).count() as u64;
    text.split_whitespace().count() as u64 + unspaced / 2
}

/// Runs without white space in one pass over bytes, the common case.
fn count_ascii(text: &[u8]) -> u64 {
    let mut words = 0;
    let mut after_space = true;
    for &byte in text {
        // The vertical tab is white space to Unicode, though not to `is_ascii_whitespace`.
        let is_space = matches!(byte, b' ' | b'\t'..=b'\r');
        words += u64::from(after_space && !is_space);
        after_space = is_space;
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: u64) {
        assert_eq!(count(text), expected, "{text:?}");
    }

    #[test]
    fn words_of_every_script() {
        check("", 0);
        check(" \n\t", 0);
        check("The tide is out.", 4);
        check("café  au\u{a0}lait", 3);
        check("潮", 1);
        check("潮が引いた", 3);
        check("ทะเล", 3);
        check("바다가 잔잔하다", 2);
    }

    proptest! {
        #[test]
        fn bytes_are_counted_as_text_is(text in "[ -~\t-\r\u{1c}-\u{1f}]{0,40}") {
            prop_assert_eq!(count(&text), text.split_whitespace().count() as u64);
        }
    }
}
