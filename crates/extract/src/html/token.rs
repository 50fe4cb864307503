//! What the tokenizer passes to the builder, and what the builder returns.

use super::names::Name;
use super::tree::Span;

/// A start tag, or an end tag with nothing but its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag {
    pub(super) name: Name,
    pub(super) attributes: Span,
    pub(super) self_closing: bool,
}

impl Tag {
    /// A tag that is not in the source but that the rules imply.
    pub(super) fn bare(name: Name) -> Tag {
        Tag { name, attributes: Span::EMPTY, self_closing: false }
    }
}

/// How the text after certain start tags is tokenized up to their end tag: the states of the standard whose text has no
/// markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextState {
    /// With character references: titles and text areas.
    Rcdata,
    /// Without character references: styles, frames, `noscript`.
    RawText,
    /// As raw text, with the script's own comments.
    ScriptData,
    /// To the end of the page.
    PlainText,
}
