//! What is added to a tokenizer, and other tokenizers made of one.

use std::sync::OnceLock;

use super::{TokenKind, Tokenizer, TokenizerError};
use crate::TokenId;
use crate::encode::model::Model;
use crate::split::added::AddedToken;
use crate::split::text_rules::TextRules;

impl Tokenizer {
    pub(crate) fn push_merge(&mut self, left: TokenId, right: TokenId, joined: &[u8]) {
        self.model = OnceLock::new();
        self.merges.push((left, right, TokenId(self.ends.len() as u32)));
        self.push_token(joined, TokenKind::Bytes);
    }

    fn push_token(&mut self, token: &[u8], kind: TokenKind) {
        self.bytes.extend_from_slice(token);
        self.ends.push(self.bytes.len() as u32);
        self.kinds.push(kind);
    }

    /// Adds special tokens behind all others.
    pub(crate) fn push_specials<'s>(&mut self, specials: impl IntoIterator<Item = &'s str>) {
        for special in specials {
            self.added.push(AddedToken::special(TokenId(self.ends.len() as u32), special));
            self.push_token(special.as_bytes(), TokenKind::Text);
        }
        self.prepare_added();
    }

    /// The same with another way of splitting.
    pub(crate) fn with_rules(mut self, rules: TextRules) -> Tokenizer {
        self.rules = rules;
        self.prepare_added();
        self
    }

    /// The same with the merges that can happen, if those that cannot are known; else as it is.
    pub(crate) fn without_idle_merges(mut self) -> Tokenizer {
        if let Some(merges) = crate::encode::model::without_idle_merges(&self) {
            self.merges = merges;
            self.model = OnceLock::new();
            self.ignores_merges &= Model::new(&self).has_whole();
        }
        self
    }

    /// The same without special tokens.
    pub(crate) fn without_specials(mut self) -> Tokenizer {
        self.added.retain(|added| !added.special);
        self.prepare_added();
        self
    }

    /// The same with another token between documents.
    ///
    /// # Errors
    /// When it is not an added token.
    pub fn with_end_of_text(mut self, content: &str) -> Result<Tokenizer, TokenizerError> {
        let unknown = || TokenizerError::UnknownEnd { token: content.to_owned() };
        self.end_of_text = Some(self.special(content).ok_or_else(unknown)?);
        Ok(self)
    }
}
