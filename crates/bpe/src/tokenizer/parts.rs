//! Makes a tokenizer of what files give.

use std::sync::OnceLock;

use super::{NO_ID, TokenKind, Tokenizer};
use crate::TokenId;
use crate::added::AddedToken;
use crate::text_rules::TextRules;

/// What a tokenizer is made of, as files give it.
#[derive(Default)]
pub(crate) struct Parts {
    /// Ids with their bytes, in any order.
    pub(crate) tokens: Vec<(u32, Vec<u8>, bool)>,
    pub(crate) merges: Vec<(TokenId, TokenId, TokenId)>,
    pub(crate) added: Vec<AddedToken>,
    pub(crate) rules: TextRules,
    pub(crate) ignores_merges: bool,
    pub(crate) unknown: Option<(u32, bool)>,
}

impl Tokenizer {
    pub(crate) fn from_parts(mut parts: Parts) -> Tokenizer {
        parts.tokens.extend(parts.added.iter().map(|added| (added.id.0, added.content.clone().into_bytes(), false)));
        // Stable: an added token replaces the entry of the vocabulary that has its id.
        parts.tokens.sort_by_key(|(id, ..)| *id);
        parts.added.sort_by_key(|added| added.id);
        let (mut bytes, mut ends, mut kinds) = (Vec::new(), Vec::<u32>::new(), Vec::new());
        let mut byte_ids = [NO_ID; 256];
        for (id, token, is_bytes) in &parts.tokens {
            if let (true, &[byte]) = (*is_bytes, token.as_slice()) {
                byte_ids[byte as usize] = *id;
            }
            if ends.len() > *id as usize {
                let start = ends.len().checked_sub(2).map_or(0, |before| ends[before] as usize);
                if &bytes[start..] == token.as_slice() {
                    continue;
                }
                bytes.truncate(start);
                ends.pop();
                kinds.pop();
            }
            ends.resize(*id as usize, bytes.len() as u32);
            kinds.resize(*id as usize, TokenKind::Absent);
            bytes.extend_from_slice(token);
            ends.push(bytes.len() as u32);
            kinds.push(if *is_bytes { TokenKind::Bytes } else { TokenKind::Text });
        }
        let Parts { merges, added, rules, ignores_merges, unknown, .. } = parts;
        let mut tokenizer = Tokenizer {
            bytes,
            ends,
            kinds,
            byte_ids,
            merges,
            ignores_merges,
            unknown,
            added,
            specials: Vec::new(),
            end_of_text: None,
            rules,
            matchers: [None, None],
            model: OnceLock::new(),
        };
        tokenizer.prepare_added();
        tokenizer
    }
}
