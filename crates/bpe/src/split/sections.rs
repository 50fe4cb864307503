//! A text on its way to pretokens: cut at added tokens, and what is between them normalised.

use super::added::{AddedMatcher, AddedToken, Part};
use super::text_rules::TextRules;
use crate::Specials;

/// A part of a text.
pub(crate) enum Section<'s> {
    /// An added token.
    Added {
        token: &'s AddedToken,
        /// The text that it takes, with white space beside it if it takes that.
        text: &'s str,
        /// Where that begins in the text that was searched.
        at: usize,
    },
    /// What is between two added tokens.
    Text {
        /// As it was; for what is beside an added token that is searched in the normalised text, as `normalized`.
        original: &'s str,
        /// After the normalizer.
        normalized: &'s str,
    },
}

/// Gives `each` the sections of a text in order: added tokens that are searched before and, in what is between,
/// those that are searched after it is normalised. Special tokens are none where they are ordinary text.
///
/// # Errors
/// The first of `each`.
#[inline]
pub(crate) fn for_each_section<E>(
    rules: &TextRules,
    matchers: &[Option<AddedMatcher>; 2],
    text: &str,
    specials: Specials,
    each: &mut impl FnMut(Section<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let [before, after] = matchers
        .each_ref()
        .map(|matcher| matcher.as_ref().filter(|matcher| specials != Specials::Ordinary || matcher.has_ordinary()));
    for_each_part(before, text, specials, each, &mut |text, each| {
        let whole = rules.normalize(text);
        for_each_part(after, &whole, specials, each, &mut |normalized, each| {
            let original = if normalized.len() == whole.len() { text } else { normalized };
            each(Section::Text { original, normalized })
        })
    })
}

/// Passes on added tokens, and what is between them to `between`.
#[inline]
fn for_each_part<E, F: FnMut(Section<'_>) -> Result<(), E>>(
    matcher: Option<&AddedMatcher>,
    text: &str,
    specials: Specials,
    each: &mut F,
    between: &mut impl FnMut(&str, &mut F) -> Result<(), E>,
) -> Result<(), E> {
    let Some(matcher) = matcher else { return between(text, each) };
    for part in matcher.parts(text, specials != Specials::Ordinary) {
        match part {
            Part::Text(bytes) => between(&text[bytes], each)?,
            Part::Token(token, bytes) => {
                each(Section::Added { token, at: bytes.start, text: &text[bytes] })?;
            }
        }
    }
    Ok(())
}
