//! A text that arrives in parts.

use crate::split::pretokenize::last_border;
use crate::{Encoder, Specials, TokenId};

/// The ids of a growing text, each returned as soon as nothing that follows can change it.
///
/// ```
/// use bpe::{Encoder, GrowingText, Tokenizer};
/// let gpt2 = Tokenizer::gpt2();
/// let mut text = GrowingText::new(Encoder::new(&gpt2));
/// let mut ids = Vec::new();
/// for part in ["The ti", "de came", " in"] {
///     text.push(part, &mut ids);
/// }
/// text.finish(&mut ids);
/// assert_eq!(ids, Encoder::new(&gpt2).encode("The tide came in"));
/// ```
pub struct GrowingText<'a> {
    encoder: Encoder<'a>,
    /// The text after the last certain border: its ids may still change.
    rest: String,
}

impl<'a> GrowingText<'a> {
    /// No text yet.
    pub fn new(encoder: Encoder<'a>) -> GrowingText<'a> {
        GrowingText { encoder, rest: String::new() }
    }

    /// Adds text and appends the ids that have become certain. Time linear in what is added, as long as it contains
    /// white space.
    pub fn push(&mut self, text: &str, ids: &mut Vec<TokenId>) {
        self.rest.push_str(text);
        if let Some(border) = last_border(self.rest.as_bytes(), self.encoder.tokenizer.cuts(Specials::Ordinary)) {
            self.encoder.encode_into(&self.rest[..border], ids);
            self.rest.drain(..border);
        }
    }

    /// The ids of the uncertain rest, if the text ended here.
    pub fn uncertain(&mut self) -> Vec<TokenId> {
        self.encoder.encode(&self.rest)
    }

    /// Ends the text and appends the last ids. Another text may follow.
    pub fn finish(&mut self, ids: &mut Vec<TokenId>) {
        self.encoder.encode_into(&self.rest, ids);
        self.rest.clear();
    }
}
