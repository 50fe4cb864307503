//! What the tokenizer hands to the builder, and what the builder tells it back.

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
    /// A tag that the source does not hold but the rules ask for.
    pub(super) fn bare(name: Name) -> Tag {
        Tag { name, attributes: Span::EMPTY, self_closing: false }
    }
}

/// How the text after certain start tags is read up to their end tag: the tokenizer's states of the standard whose
/// text holds no markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextState {
    /// Character references count: titles and text areas.
    Rcdata,
    /// As it stands: styles, frames, `noscript`.
    RawText,
    /// As it stands, with the script's own comments.
    ScriptData,
    /// To the end of the page.
    PlainText,
}
