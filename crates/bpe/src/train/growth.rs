//! The vocabulary that a training begins with, and what it becomes: between the trainer's ids and a tokenizer's.

use std::collections::HashSet;

use super::{Ties, TrainingOptions};
use crate::byte_order::from_visible;
use crate::encode::canonical::PairMemo;
use crate::tokenizer::TokenKind;
use crate::{TokenId, Tokenizer};

/// A vocabulary that grows merge by merge.
pub(super) struct Growth {
    /// What it begins with.
    pub(super) base: Tokenizer,
    /// The base and the merges so far.
    grown: Tokenizer,
    /// Bytes that no new token may have: of the base's tokens of several bytes, and what files would write as an added
    /// token or a special token to come. New tokens never have the bytes of each other: each is what its own bytes are
    /// encoded as.
    taken: HashSet<Vec<u8>>,
    /// The id in a tokenizer of each of the trainer's ids for the base's tokens; later ones are the same.
    outer_ids: Vec<u32>,
}

impl Growth {
    pub(super) fn new(base: Tokenizer, options: &TrainingOptions) -> Growth {
        let added = base.added_tokens().iter().map(|added| &added.content).chain(&options.specials);
        let tokens = base.vocabulary().map(|(_, bytes)| bytes.to_vec());
        let taken = tokens.chain(added.filter_map(|content| from_visible(content))).filter(|bytes| bytes.len() > 1);
        Growth { taken: taken.collect(), outer_ids: outer_ids(&base, options.ties), grown: base.clone(), base }
    }

    fn outer(&self, id: u32) -> TokenId {
        TokenId(self.outer_ids.get(id as usize).copied().unwrap_or(id))
    }

    /// Whether a pair may become a token: no vocabulary has two tokens of the same bytes, or that files write alike; and
    /// what stands for unknown bytes, or is no bytes, is not merged.
    pub(super) fn may_merge(&self, (left, right): (u32, u32)) -> bool {
        let (left, right) = (self.outer(left), self.outer(right));
        let is_bytes = |part: TokenId| {
            let is_unknown = self.base.unknown().is_some_and(|(unknown, _)| unknown == part.0);
            self.grown.kind(part) == TokenKind::Bytes && !is_unknown
        };
        is_bytes(left) && is_bytes(right) && !self.taken.contains(&self.grown.joined(left, right))
    }

    /// Does the merge of a pair; returns the new token's id, which is the same in the trainer and in a tokenizer.
    pub(super) fn merge(&mut self, pair: (u32, u32)) -> u32 {
        let (left, right) = (self.outer(pair.0), self.outer(pair.1));
        push_joined(&mut self.grown, left, right).0
    }

    /// Adds the merge of a pair of the trainer's ids to a tokenizer that has all merges before it.
    pub(super) fn push(&self, (left, right): (u32, u32), tokenizer: &mut Tokenizer) {
        push_joined(tokenizer, self.outer(left), self.outer(right));
    }

    /// The words in the trainer's ids.
    pub(super) fn inner_words(&self, words: &[(Vec<u8>, u64)]) -> Vec<Vec<u32>> {
        let Growth { base, outer_ids, .. } = self;
        let mut inner_ids = vec![0; outer_ids.len()];
        (0..).zip(outer_ids).for_each(|(inner, &outer)| inner_ids[outer as usize] = inner);
        let words = words.iter().map(|(word, _)| word);
        if base.merges().len() == 0 && (0..=255).all(|byte| base.byte_id(byte).is_some()) && !base.ignores_merges() {
            let of_byte: [u32; 256] = std::array::from_fn(|byte| inner_ids[base.id_of_byte(byte as u8).0 as usize]);
            return words.map(|word| word.iter().map(|&byte| of_byte[byte as usize]).collect()).collect();
        }
        let (model, mut memo, mut ids) = (base.model(), PairMemo::new(), Vec::new());
        words
            .map(|word| {
                ids.clear();
                model.encode(word, &mut memo, &mut ids);
                ids.iter().map(|&id| inner_ids[id as usize]).collect()
            })
            .collect()
    }
}

fn push_joined(tokenizer: &mut Tokenizer, left: TokenId, right: TokenId) -> TokenId {
    let made = TokenId(tokenizer.vocab_size() as u32);
    let joined = tokenizer.joined(left, right);
    tokenizer.push_merge(left, right, &joined);
    made
}

/// The tokenizer's id of each of the trainer's, whose order decides between pairs with the same count.
fn outer_ids(base: &Tokenizer, ties: Ties) -> Vec<u32> {
    let ids = 0..base.vocab_size() as u32;
    match ties {
        Ties::Gpt2Bytes => ids.collect(),
        Ties::RawBytes => {
            let bytes: Vec<u32> = (0..=255).filter_map(|byte| base.byte_id(byte)).map(|id| id.0).collect();
            let is_byte: HashSet<u32> = bytes.iter().copied().collect();
            bytes.into_iter().chain(ids.filter(|id| !is_byte.contains(id))).collect()
        }
    }
}
