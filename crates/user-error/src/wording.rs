//! How messages count things, and name the causes of an error.

use std::error::Error;

/// A number with its noun, `1 task` or `12,000 tasks`; the plural is the noun with an `s`.
///
/// ```
/// assert_eq!(user_error::count(0, "task"), "0 tasks");
/// assert_eq!(user_error::count(1, "task"), "1 task");
/// assert_eq!(user_error::count(1_234_567, "task"), "1,234,567 tasks");
/// ```
pub fn count(n: u64, noun: &str) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let ending = if n == 1 { "" } else { "s" };
    format!("{text} {noun}{ending}")
}

/// An error with all its causes, on one line. A cause that the text so far quotes is left out: some errors repeat their
/// source in their own text.
///
/// ```
/// let error = std::io::Error::other("the disk is gone");
/// assert_eq!(user_error::chain(&error), "the disk is gone");
/// ```
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
