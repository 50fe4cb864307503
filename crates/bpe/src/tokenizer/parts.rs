//! Makes a tokenizer of what files give.

use std::collections::HashSet;
use std::sync::OnceLock;

use serde_json::Value;

use super::{NO_ID, TokenKind, Tokenizer};
use crate::TokenId;
use crate::byte_order::to_visible;
use crate::split::added::AddedToken;
use crate::split::text_rules::TextRules;

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
    pub(crate) kept: KeptJson,
}

/// What of a `tokenizer.json` has no effect on the ids of texts, and is written as it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeptJson {
    pub(crate) truncation: Value,
    pub(crate) padding: Value,
    pub(crate) post_processor: Option<Value>,
    pub(crate) decoder: Option<Value>,
}

impl Tokenizer {
    pub(crate) fn from_parts(mut parts: Parts) -> Tokenizer {
        let in_vocabulary: HashSet<u32> = parts.tokens.iter().map(|(id, ..)| *id).collect();
        let outside = parts.added.iter().map(|added| added.id).filter(|id| !in_vocabulary.contains(&id.0)).collect();
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
                let is_visible = kinds.last() == Some(&TokenKind::Bytes) && !is_bytes;
                // An added token such as `é` may be a byte as files write it: merges need the byte.
                let is_there = &bytes[start..] == token.as_slice()
                    || is_visible && to_visible(&bytes[start..]).as_bytes() == token.as_slice();
                if is_there {
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
        let Parts { merges, added, rules, ignores_merges, unknown, kept, .. } = parts;
        let mut tokenizer = Tokenizer {
            bytes,
            ends,
            kinds,
            byte_ids,
            merges,
            ignores_merges,
            unknown,
            added,
            outside,
            kept,
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
