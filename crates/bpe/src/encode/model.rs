//! How the pretokens of a tokenizer are merged: fast where its vocabulary keeps the fast encoder's premises, else by the
//! definition.
//!
//! The premises: each byte is a token; each merge makes a token of its own, from parts that are bytes or made by merges
//! before it; and of several merges of one token, which follow each other, one is the way in which its bytes are
//! encoded. The others of them then never happen: where two tokens of such a pair meet, all merges of lower ranks were
//! done, and they give the one way. Nor does any merge of a token that its own bytes are not encoded as: where a token is
//! made, its bytes were merged in the order in which they are merged alone. Such merges are left out.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::canonical::{CanonicalTokens, PairMemo};
use super::merges::{MAX_MERGES, Merges};
use crate::byte_order::ID_OF_BYTE;
use crate::tokenizer::NO_ID;
use crate::{TokenId, Tokenizer};

/// What encoders of one tokenizer share.
pub(crate) struct Model {
    pub(crate) merging: Merging,
    /// Tokens that a pretoken of the same bytes becomes whole, although merging gives something else.
    whole: HashMap<Box<[u8]>, u32>,
}

/// A way of merging.
pub(crate) enum Merging {
    Fast {
        canonical: Box<CanonicalTokens>,
        /// The tokenizer's id of each id of its merges; none if they are the same.
        outer_ids: Option<Vec<u32>>,
    },
    ByDefinition(DefinedMerges),
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_fast() { "Model(fast)" } else { "Model(by definition)" })
    }
}

impl Model {
    pub(crate) fn new(tokenizer: &Tokenizer) -> Model {
        let merging = match fast_merges(tokenizer) {
            Some((merges, outer_ids)) => Merging::Fast { canonical: Box::new(CanonicalTokens::new(merges)), outer_ids },
            None => Merging::ByDefinition(DefinedMerges::new(tokenizer)),
        };
        let mut model = Model { merging, whole: HashMap::new() };
        if tokenizer.ignores_merges() {
            model.whole = model.tokens_merged_otherwise(tokenizer);
        }
        model
    }

    fn tokens_merged_otherwise(&self, tokenizer: &Tokenizer) -> HashMap<Box<[u8]>, u32> {
        let canonical: HashSet<u32> = self.canonical_ids().collect();
        let others = tokenizer.vocabulary().filter(|(id, _)| !canonical.contains(&id.0));
        let texts = tokenizer.texts_in_vocabulary().map(|(id, bytes)| (bytes.into(), id.0));
        others.map(|(id, bytes)| (bytes.into(), id.0)).chain(texts).collect()
    }

    /// Makes what is made when it is first needed.
    pub(crate) fn prepare(&self) {
        if let Merging::Fast { canonical, .. } = &self.merging {
            canonical.prepare();
        }
    }

    /// Appends the ids of a pretoken.
    pub(crate) fn encode(&self, pretoken: &[u8], memo: &mut PairMemo, ids: &mut Vec<u32>) {
        if let Some(id) = self.whole(pretoken) {
            return ids.push(id);
        }
        match &self.merging {
            Merging::Fast { canonical, outer_ids } => {
                let start = ids.len();
                canonical.encode(pretoken, memo, ids);
                if let Some(outer_ids) = outer_ids {
                    ids[start..].iter_mut().for_each(|id| *id = outer_ids[*id as usize]);
                }
            }
            Merging::ByDefinition(merges) => merges.encode(pretoken, ids),
        }
    }

    /// The merges of the fast encoder, if the vocabulary keeps its premises.
    #[inline(always)]
    pub(crate) fn merges(&self) -> Option<&Merges> {
        match &self.merging {
            Merging::Fast { canonical, .. } => Some(&canonical.merges),
            Merging::ByDefinition(_) => None,
        }
    }

    /// The tokenizer's id of one of the fast encoder's.
    #[inline(always)]
    pub(crate) fn outer_id(&self, id: u32) -> u32 {
        match &self.merging {
            Merging::Fast { outer_ids: Some(outer_ids), .. } => outer_ids[id as usize],
            _ => id,
        }
    }

    /// The id of a pretoken that is one token whatever the merges are.
    #[inline]
    pub(crate) fn whole(&self, pretoken: &[u8]) -> Option<u32> {
        if self.whole.is_empty() { None } else { self.whole.get(pretoken).copied() }
    }

    /// Tokens whose bytes are encoded as themselves, in the order of their ranks. None if merges are followed by the
    /// definition.
    pub(crate) fn canonical_ids(&self) -> impl Iterator<Item = u32> {
        let merges = self.merges();
        let ids = 0..merges.map_or(0, Merges::len) as u32;
        ids.filter(move |&id| merges.is_some_and(|merges| merges.is_canonical(id))).map(|id| self.outer_id(id))
    }

    /// Whether some tokens are not made by merging their bytes.
    pub(crate) fn has_whole(&self) -> bool {
        !self.whole.is_empty()
    }

    /// Whether pretokens are merged fast.
    pub(crate) fn is_fast(&self) -> bool {
        matches!(self.merging, Merging::Fast { .. })
    }
}

/// The merges as the fast encoder takes them, and the tokenizer's ids; `None` if they break a premise.
fn fast_merges(tokenizer: &Tokenizer) -> Option<(Merges, Option<Vec<u32>>)> {
    let all = tokenizer.merge_list();
    let mut inner_ids = vec![NO_ID; tokenizer.vocab_size()];
    let mut outer_ids = vec![NO_ID; 256];
    for byte in 0..=255u8 {
        let (inner, outer) = (u32::from(ID_OF_BYTE[byte as usize]), tokenizer.byte_id(byte)?.0);
        inner_ids[outer as usize] = inner;
        outer_ids[inner as usize] = outer;
    }
    let tokens = all.chunk_by(|a, b| a.2 == b.2).count();
    if tokens > MAX_MERGES {
        return None;
    }
    let mut merges = Merges::with_capacity(tokens);
    let mut by_definition = None;
    for of_one in all.chunk_by(|a, b| a.2 == b.2) {
        let made = of_one[0].2;
        if inner_ids[made.0 as usize] != NO_ID {
            return None;
        }
        let pairs = of_one.iter().map(|&(left, right, _)| (inner_ids[left.0 as usize], inner_ids[right.0 as usize]));
        let mut known = pairs.filter(|&(left, right)| left != NO_ID && right != NO_ID);
        let pair = match of_one.len() {
            1 => known.next(),
            _ => known.find(|&(left, right)| merges.makes_canonical(left, right)),
        };
        let Some((left, right)) = pair else {
            let by_definition = by_definition.get_or_insert_with(|| DefinedMerges::new(tokenizer));
            if by_definition.makes(tokenizer.token(made), made) {
                return None;
            }
            continue;
        };
        inner_ids[made.0 as usize] = merges.len() as u32;
        outer_ids.push(made.0);
        merges.push(left, right);
    }
    let is_same = outer_ids.iter().enumerate().all(|(inner, &outer)| inner as u32 == outer);
    Some((merges, (!is_same).then_some(outer_ids)))
}

/// Whether merges keep the premises, and if so the merges without those that never happen.
pub(crate) fn without_idle_merges(tokenizer: &Tokenizer) -> Option<Vec<(TokenId, TokenId, TokenId)>> {
    let (merges, outer_ids) = fast_merges(tokenizer)?;
    let outer = |id: u32| TokenId(outer_ids.as_ref().map_or(id, |outer| outer[id as usize]));
    Some(merges.all().map(|(left, right, made)| (outer(left), outer(right), outer(made))).collect())
}

/// The merges of any vocabulary, followed by the definition: of all pairs, the one with the lowest rank, leftmost first.
pub(crate) struct DefinedMerges {
    /// By byte; [`NO_ID`] for one that is no token.
    byte_ids: Box<[u32; 256]>,
    /// Instead of bytes that are no tokens, and whether neighbours become one.
    unknown: Option<(u32, bool)>,
    /// The rank and the result of each pair: the left id in the upper half.
    pairs: HashMap<u64, (u32, u32), BuildHasherDefault<PairHasher>>,
}

fn pair_of(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Hashes pairs of ids: the standard hasher costs more than the rest of a merge.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(self.0 ^ u64::from(byte)));
    }
    fn write_u64(&mut self, pair: u64) {
        let product = u128::from(pair) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// No place of a word.
const NO_PLACE: u32 = u32::MAX;

impl DefinedMerges {
    fn new(tokenizer: &Tokenizer) -> DefinedMerges {
        let byte_ids = Box::new(std::array::from_fn(|byte| tokenizer.byte_id(byte as u8).map_or(NO_ID, |id| id.0)));
        let mut pairs = HashMap::with_capacity_and_hasher(tokenizer.merge_list().len(), BuildHasherDefault::default());
        for (rank, &(left, right, made)) in (0u32..).zip(tokenizer.merge_list()) {
            // Of two merges of one pair, the later one counts, as in Hugging Face's reader.
            pairs.insert(pair_of(left.0, right.0), (rank, made.0));
        }
        DefinedMerges { byte_ids, unknown: tokenizer.unknown(), pairs }
    }

    /// The tokens of single bytes.
    fn bytes(&self, word: &[u8]) -> Vec<u32> {
        let mut ids = Vec::with_capacity(word.len());
        let mut after_unknown = false;
        for &byte in word {
            let id = self.byte_ids[byte as usize];
            match self.unknown {
                _ if id != NO_ID => ids.push(id),
                Some((_, true)) if after_unknown => {}
                Some((unknown, _)) => ids.push(unknown),
                // Without a token for what is unknown, nothing stands for it.
                None => {}
            }
            after_unknown = id == NO_ID;
        }
        ids
    }

    /// Whether the bytes of a token are encoded as that token.
    fn makes(&self, bytes: &[u8], token: TokenId) -> bool {
        let mut ids = Vec::new();
        self.encode(bytes, &mut ids);
        ids == [token.0]
    }

    /// Appends the ids of a pretoken. O(n log n).
    pub(crate) fn encode(&self, word: &[u8], ids: &mut Vec<u32>) {
        let mut tokens = self.bytes(word);
        let len = tokens.len() as u32;
        let mut next: Vec<u32> = (1..=len).collect();
        let mut previous: Vec<u32> = (0..len).map(|place| place.wrapping_sub(1)).collect();
        let mut queue = BinaryHeap::new();
        let pair_at = |tokens: &[u32], place: u32, next: u32| {
            let &(rank, made) = self.pairs.get(&pair_of(tokens[place as usize], *tokens.get(next as usize)?))?;
            Some(std::cmp::Reverse((rank, place, next, made)))
        };
        queue.extend((1..len).filter_map(|after| pair_at(&tokens, after - 1, after)));
        while let Some(std::cmp::Reverse((rank, place, after, made))) = queue.pop() {
            let is_current = next[place as usize] == after
                && tokens[place as usize] != NO_ID
                && pair_at(&tokens, place, after) == Some(std::cmp::Reverse((rank, place, after, made)));
            if !is_current {
                continue;
            }
            tokens[place as usize] = made;
            tokens[after as usize] = NO_ID;
            let follows = next[after as usize];
            next[place as usize] = follows;
            if follows < len {
                previous[follows as usize] = place;
                queue.extend(pair_at(&tokens, place, follows));
            }
            let before = previous[place as usize];
            if before != NO_PLACE {
                queue.extend(pair_at(&tokens, before, place));
            }
        }
        ids.extend(tokens.into_iter().filter(|&id| id != NO_ID));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::twin::Twin;

    /// A tokenizer whose merges are all ways to make its tokens of two others, and some tokens more.
    pub(crate) fn with_all_splits(choices: &[(u16, u16)], more: &[String]) -> Tokenizer {
        let trained = crate::encode::merges::tests::tokenizer_of(choices);
        let mut lines = crate::formats::tiktoken::write(&trained);
        let mut rank = trained.vocab_size();
        for token in more {
            let line = data_encoding::BASE64.encode(token.as_bytes());
            if !lines.contains(&format!("{line} ")) {
                lines.push_str(&format!("{line} {rank}\n"));
                rank += 1;
            }
        }
        crate::formats::tiktoken::parse_all_splits(&lines)
    }

    proptest! {
        /// Where the premises are kept, the merges that are left give the same ids as all merges by the definition.
        #[test]
        fn left_out_merges_never_happen(
            choices: Vec<(u16, u16)>,
            more in proptest::collection::vec("[abc]{2,6}", 0..8),
            words in proptest::collection::vec("[abc]{1,60}", 1..8),
        ) {
            let tokenizer = with_all_splits(&choices, &more);
            let by_definition = DefinedMerges::new(&tokenizer);
            let mut encoder = crate::Encoder::new(&tokenizer);
            for word in words {
                let mut expected = Vec::new();
                by_definition.encode(word.as_bytes(), &mut expected);
                if let Some(id) = tokenizer.vocabulary().find(|(_, token)| *token == word.as_bytes()) {
                    expected = vec![id.0.0];
                }
                let ids: Vec<u32> = encoder.merge(word.as_bytes()).iter().map(|id| id.0).collect();
                prop_assert_eq!(ids, expected);
            }
        }

        #[test]
        fn merging_by_definition_agrees_with_the_twin(choices: Vec<(u16, u16)>, word in "[abc]{1,80}") {
            let tokenizer = crate::encode::merges::tests::tokenizer_of(&choices);
            let mut ids = Vec::new();
            DefinedMerges::new(&tokenizer).encode(word.as_bytes(), &mut ids);
            let expected: Vec<u32> = Twin::new(&tokenizer).merge(word.as_bytes()).iter().map(|id| id.0).collect();
            prop_assert_eq!(ids, expected);
        }
    }
}
