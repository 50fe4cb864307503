//! The readable twin: GPT-2's tokenizer as its paper and code define it, without regard for speed.
//!
//! Every fast path of this crate is compared with these functions, in tests and in fuzzing.

use std::collections::HashMap;
use std::sync::LazyLock;

use fancy_regex::Regex;

use crate::formats::visible;
use crate::split::pattern::SplitRegex;
use crate::split::pretokenize::{Cuts, last_border};
use crate::train::Ties;
use crate::{AddedToken, KnownPattern, TokenId, Tokenizer};

/// GPT-2's pattern as OpenAI published it.
pub const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Pretokens by the regular expression.
pub fn pretokens(text: &str) -> Vec<&str> {
    static REGEX: LazyLock<Regex> = LazyLock::new(|| Regex::new(PATTERN).expect("a constant pattern"));
    REGEX.find_iter(text).map(|found| found.expect("no backtracking limit is reached").as_str()).collect()
}

/// Pretokens by the regular expressions of a known pattern: each splits what the one before it left, and what is between
/// its matches is a pretoken, too.
pub fn pretokens_by_regex(pattern: KnownPattern, text: &str) -> Vec<&[u8]> {
    static REGEXES: LazyLock<Vec<(KnownPattern, Vec<SplitRegex>)>> = LazyLock::new(|| {
        let compile = |source: &&str| SplitRegex::new(source).expect("a constant pattern");
        KnownPattern::ALL.map(|pattern| (pattern, pattern.regexes().iter().map(compile).collect())).into()
    });
    let (_, regexes) = REGEXES.iter().find(|(of, _)| *of == pattern).expect("all are there");
    let mut pieces = vec![text];
    for regex in regexes {
        pieces = pieces.into_iter().flat_map(|piece| isolated(piece, regex)).collect();
    }
    pieces.into_iter().map(str::as_bytes).collect()
}

/// The last place at which readers cut a text of this pattern, whatever follows: both parts have the pretokens of the
/// whole.
pub fn last_cut(pattern: KnownPattern, text: &str) -> Option<usize> {
    last_border(text.as_bytes(), Cuts::of_pattern(pattern))
}

fn isolated<'t>(text: &'t str, regex: &SplitRegex) -> Vec<&'t str> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        pieces.extend([&text[at..found.start], &text[found.clone()]]);
        at = found.end;
    }
    pieces.push(&text[at..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Encodes by the definition.
pub struct Twin {
    /// Pair to rank and token.
    ranks: HashMap<(TokenId, TokenId), (u32, TokenId)>,
    bytes: [TokenId; 256],
    /// What a pretoken becomes whole.
    whole: HashMap<Vec<u8>, TokenId>,
}

impl Twin {
    /// The twin of a tokenizer that has all bytes.
    pub fn new(tokenizer: &Tokenizer) -> Twin {
        let ranks = (0..).zip(tokenizer.merges()).map(|(rank, (left, right, made))| ((left, right), (rank, made)));
        let whole = tokenizer.vocabulary().filter(|_| tokenizer.ignores_merges());
        Twin {
            ranks: ranks.collect(),
            bytes: std::array::from_fn(|byte| tokenizer.id_of_byte(byte as u8)),
            whole: whole.map(|(id, bytes)| (bytes.to_vec(), id)).collect(),
        }
    }

    /// Ids of a text, split by GPT-2's pattern.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        pretokens(text).into_iter().flat_map(|pretoken| self.merge(pretoken.as_bytes())).collect()
    }

    /// Ids of one pretoken: merge the pair of lowest rank, leftmost first, until there is none.
    pub fn merge(&self, pretoken: &[u8]) -> Vec<TokenId> {
        if let Some(&id) = self.whole.get(pretoken) {
            return vec![id];
        }
        let mut word: Vec<TokenId> = pretoken.iter().map(|&byte| self.bytes[byte as usize]).collect();
        loop {
            let pairs = word.windows(2).enumerate();
            let best = pairs.filter_map(|(at, pair)| Some((self.ranks.get(&(pair[0], pair[1]))?, at))).min();
            let Some((&(_, made), at)) = best else { return word };
            word[at] = made;
            word.remove(at + 1);
        }
    }
}

/// Merges of a training from bytes.
pub fn train(words: &[(Vec<u8>, u64)], vocab_size: usize, min_frequency: u64, ties: Ties) -> Vec<(TokenId, TokenId)> {
    train_from(&Tokenizer::bytes_only(), words, vocab_size.saturating_sub(256), min_frequency, ties)
}

/// Merges of a training that goes on from a tokenizer that has all bytes, by recounting everything after each one. A
/// pair whose bytes are a token already is left alone.
pub fn train_from(
    base: &Tokenizer,
    words: &[(Vec<u8>, u64)],
    max_merges: usize,
    min_frequency: u64,
    ties: Ties,
) -> Vec<(TokenId, TokenId)> {
    let twin = Twin::new(base);
    let mut words: Vec<(Vec<TokenId>, u64)> = words.iter().map(|(word, count)| (twin.merge(word), *count)).collect();
    let mut tokens: HashMap<TokenId, Vec<u8>> = base.vocabulary().map(|(id, bytes)| (id, bytes.to_vec())).collect();
    let mut merges = Vec::new();
    while merges.len() < max_merges {
        let mut counts: HashMap<(TokenId, TokenId), u64> = HashMap::new();
        for (word, count) in &words {
            for pair in word.windows(2) {
                *counts.entry((pair[0], pair[1])).or_default() += count;
            }
        }
        let joined = |(left, right): (TokenId, TokenId)| [&tokens[&left][..], &tokens[&right]].concat();
        counts.retain(|&pair, _| {
            let joined = joined(pair);
            let is_written_alike = |added: &AddedToken| added.content == visible(&joined);
            !base.added_tokens().iter().any(is_written_alike) && !tokens.values().any(|token| *token == joined)
        });
        let order = |id: TokenId| match ties {
            Ties::RawBytes if tokens[&id].len() == 1 => (0, u32::from(tokens[&id][0])),
            Ties::RawBytes => (1, id.0),
            Ties::Gpt2Bytes => (0, id.0),
        };
        let best = counts
            .into_iter()
            .max_by_key(|&((left, right), count)| (count, std::cmp::Reverse((order(left), order(right)))));
        let Some((pair, _)) = best.filter(|&(_, count)| count >= min_frequency.max(1)) else { break };
        let id = TokenId((base.vocab_size() + merges.len()) as u32);
        tokens.insert(id, joined(pair));
        merges.push(pair);
        for (word, _) in &mut words {
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == pair {
                    word[at] = id;
                    word.remove(at + 1);
                }
                at += 1;
            }
        }
    }
    merges
}
