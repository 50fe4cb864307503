//! tiktoken's files: base64 of a token and its rank per line, no special tokens.

use std::collections::HashMap;

use data_encoding::BASE64;

use super::FormatError;
use super::file::{GivenSpecial, Loaded, of_said_pattern};
use crate::split::added::AddedToken;
use crate::split::pattern::KnownPattern;
use crate::split::text_rules::TextRules;
use crate::tokenizer::{Parts, TokenKind};
use crate::{TokenId, Tokenizer};

/// An encoding that a file is recognised as.
struct Encoding {
    /// Hash of the tokens and their ranks.
    hash: u64,
    pattern: KnownPattern,
    specials: &'static [(&'static str, u32)],
}

const ENCODINGS: [Encoding; 6] = [
    // gpt2 and r50k_base
    Encoding { hash: 0x3882_4f2c_2063_699b, pattern: KnownPattern::Gpt2, specials: &[("<|endoftext|>", 50256)] },
    // p50k_base
    Encoding { hash: 0x80a0_2f24_d08a_a6b8, pattern: KnownPattern::Gpt2, specials: &[("<|endoftext|>", 50256)] },
    // cl100k_base
    Encoding {
        hash: 0x6fb5_1880_2d59_c138,
        pattern: KnownPattern::Cl100k,
        specials: &[
            ("<|endoftext|>", 100_257),
            ("<|fim_prefix|>", 100_258),
            ("<|fim_middle|>", 100_259),
            ("<|fim_suffix|>", 100_260),
            ("<|endofprompt|>", 100_276),
        ],
    },
    // o200k_base
    Encoding {
        hash: 0xb44b_3fb2_1bd7_171c,
        pattern: KnownPattern::O200k,
        specials: &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)],
    },
    // Llama 3's tokenizer.model
    Encoding {
        hash: 0x1c31_5dc0_9dc1_0f54,
        pattern: KnownPattern::Llama3,
        specials: &[
            ("<|begin_of_text|>", 128_000),
            ("<|end_of_text|>", 128_001),
            ("<|start_header_id|>", 128_006),
            ("<|end_header_id|>", 128_007),
            ("<|eom_id|>", 128_008),
            ("<|eot_id|>", 128_009),
            ("<|python_tag|>", 128_010),
        ],
    },
    // Qwen's qwen.tiktoken
    Encoding {
        hash: 0x4943_0a6d_499d_3834,
        pattern: KnownPattern::Qwen2,
        specials: &[("<|endoftext|>", 151_643), ("<|im_start|>", 151_644), ("<|im_end|>", 151_645)],
    },
];

/// Writes the file: all tokens that are bytes, special tokens left out.
pub fn write(tokenizer: &Tokenizer) -> String {
    let tokens = (0..tokenizer.vocab_size() as u32).filter(|&id| tokenizer.kind(TokenId(id)) == TokenKind::Bytes);
    tokens.map(|id| format!("{} {id}\n", BASE64.encode(tokenizer.token(TokenId(id))))).collect()
}

/// Reads the file with GPT-2's pattern, and `<|endoftext|>` behind all tokens.
///
/// # Errors
/// As [`parse_with`].
pub fn parse(text: &str) -> Result<Tokenizer, FormatError> {
    parse_with(text, Some("gpt2"))
}

/// Reads the file. The pattern is a name or a regular expression; by default that of the encoding which the file is
/// recognised as. Special tokens are those of that encoding, or else `<|endoftext|>` behind all others.
///
/// tiktoken merges the pair whose joined bytes have the lowest rank, so each way to split a token is a merge.
///
/// # Errors
/// When a line is not a token, a byte has no token, or the encoding is not known and no pattern is given.
pub fn parse_with(text: &str, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    Ok(parse_given(text, pattern, &[])?.tokenizer)
}

/// The same with the special tokens that a caller names, and whether `<|endoftext|>` stands in for them.
pub(super) fn parse_given(text: &str, pattern: Option<&str>, specials: &[GivenSpecial]) -> Result<Loaded, FormatError> {
    let file = TiktokenFile::parse(text)?;
    let added = match file.known {
        Some(known) => match specials.first() {
            Some(special) => return Err(FormatError::OwnSpecials { content: special.content.clone() }),
            None => known.specials.iter().map(|&(content, id)| AddedToken::special(TokenId(id), content)).collect(),
        },
        None if specials.is_empty() => vec![AddedToken::special(TokenId(file.next_id()), crate::END_OF_TEXT)],
        None => file.with_ids(specials)?,
    };
    let is_end_added = file.known.is_none() && specials.is_empty();
    Ok(Loaded { tokenizer: file.into_tokenizer(pattern, added, TextRules::of_tiktoken_pattern)?, is_end_added })
}

/// The same with all added tokens known, by a pattern that `bpe train` has written: it is read as in a `tokenizer.json`.
pub(super) fn parse_as(text: &str, pattern: Option<&str>, added: Vec<AddedToken>) -> Result<Tokenizer, FormatError> {
    TiktokenFile::parse(text)?.into_tokenizer(pattern, added, TextRules::of_pattern)
}

/// A file that was read, before its pattern and its added tokens are known.
struct TiktokenFile {
    /// In the order of their ranks.
    tokens: Vec<(u32, Vec<u8>)>,
    known: Option<&'static Encoding>,
}

impl TiktokenFile {
    fn parse(text: &str) -> Result<TiktokenFile, FormatError> {
        let tokens = parse_tokens(text)?;
        let hash = hash_of(&tokens);
        Ok(TiktokenFile { tokens, known: ENCODINGS.iter().find(|encoding| encoding.hash == hash) })
    }

    fn next_id(&self) -> u32 {
        self.tokens.last().map_or(0, |(rank, _)| rank + 1)
    }

    /// Special tokens with their ids: those without one are behind all others, in their order.
    fn with_ids(&self, specials: &[GivenSpecial]) -> Result<Vec<AddedToken>, FormatError> {
        let given = specials.iter().filter_map(|special| special.id);
        let mut next_id = given.map(|id| id.saturating_add(1)).fold(self.next_id(), u32::max);
        let mut added: Vec<AddedToken> = Vec::with_capacity(specials.len());
        for GivenSpecial { content, id } in specials {
            let id = id.unwrap_or(next_id);
            next_id = next_id.max(id.saturating_add(1));
            let is_there = |other: &AddedToken| other.content == *content || other.id == TokenId(id);
            let is_taken = self.has_rank(id) || added.iter().any(is_there);
            if id > super::MAX_ID || content.is_empty() || is_taken {
                return Err(FormatError::GivenSpecial { content: content.clone(), id });
            }
            added.push(AddedToken::special(TokenId(id), content));
        }
        Ok(added)
    }

    fn has_rank(&self, id: u32) -> bool {
        self.tokens.binary_search_by_key(&id, |(rank, _)| *rank).is_ok()
    }

    fn into_tokenizer(
        self,
        pattern: Option<&str>,
        added: Vec<AddedToken>,
        rules_of: fn(&str) -> Result<TextRules, String>,
    ) -> Result<Tokenizer, FormatError> {
        if let Some(AddedToken { content, id, .. }) = added.iter().find(|added| self.has_rank(added.id.0)) {
            return Err(FormatError::OtherTraining { content: content.clone(), id: id.0 });
        }
        let TiktokenFile { tokens, known } = self;
        let rules = match (pattern, known) {
            (Some(pattern), Some(known)) => of_said_pattern(&TextRules::of_known(known.pattern), pattern)?,
            (Some(pattern), None) => rules_of(pattern).map_err(FormatError::Pattern)?,
            (None, Some(known)) => TextRules::of_known(known.pattern),
            (None, None) => return Err(FormatError::UnknownTiktoken { tokens: tokens.len() }),
        };
        let merges = merges_of(&tokens);
        let tokens = tokens.into_iter().map(|(rank, token)| (rank, token, true)).collect();
        // Like tiktoken, a pretoken that is a token is not merged.
        let parts = Parts { tokens, merges, added, rules, ignores_merges: true, ..Parts::default() };
        Ok(Tokenizer::from_parts(parts).without_idle_merges())
    }
}

/// For tests: the tokenizer with all its merges, also those that never happen.
#[cfg(test)]
pub(crate) fn parse_all_splits(text: &str) -> Tokenizer {
    let tokens = parse_tokens(text).expect("a file of the test");
    let merges = merges_of(&tokens);
    let tokens = tokens.into_iter().map(|(rank, token)| (rank, token, true)).collect();
    Tokenizer::from_parts(Parts { tokens, merges, ignores_merges: true, ..Parts::default() })
}

/// The tokens in the order of their ranks.
fn parse_tokens(text: &str) -> Result<Vec<(u32, Vec<u8>)>, FormatError> {
    let (mut tokens, mut lines) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        lines = number;
        let fault = |what: &str| FormatError::Line { line: number, what: what.into() };
        let (token, rank) = line.split_once(' ').ok_or_else(|| fault("not a token and a rank"))?;
        let token = BASE64.decode(token.as_bytes()).map_err(|_| fault("the token is not base64"))?;
        if token.is_empty() {
            return Err(fault("the token is empty"));
        }
        let rank = rank.trim().parse().ok().filter(|&rank: &u32| rank <= super::MAX_ID);
        tokens.push((rank.ok_or_else(|| fault("the rank is not a number, or too large"))?, token));
    }
    tokens.sort();
    let mut seen = HashMap::new();
    for (rank, token) in &tokens {
        if seen.insert(token.as_slice(), rank).is_some() {
            return Err(FormatError::Line { line: lines, what: format!("the token of rank {rank} is there twice") });
        }
    }
    if let Some(two) = tokens.windows(2).find(|two| two[0].0 == two[1].0) {
        return Err(FormatError::Line { line: lines, what: format!("rank {} is there twice", two[0].0) });
    }
    if (0..=255u8).any(|byte| !seen.contains_key(&[byte][..])) {
        let what = "the file breaks off before all 256 bytes have a token".into();
        return Err(FormatError::Line { line: lines + 1, what });
    }
    Ok(tokens)
}

/// All ways to make a token of two others, in the order of the ranks.
fn merges_of(tokens: &[(u32, Vec<u8>)]) -> Vec<(TokenId, TokenId, TokenId)> {
    let ranks: HashMap<&[u8], u32> = tokens.iter().map(|(rank, token)| (token.as_slice(), *rank)).collect();
    let id = |part: &[u8]| ranks.get(part).copied().map(TokenId);
    let mut merges = Vec::with_capacity(2 * tokens.len());
    for (rank, token) in tokens {
        let splits = (1..token.len()).map(|at| token.split_at(at));
        merges.extend(splits.filter_map(|(left, right)| Some((id(left)?, id(right)?, TokenId(*rank)))));
    }
    merges
}

fn hash_of(tokens: &[(u32, Vec<u8>)]) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for (rank, token) in tokens {
        hasher.update(&rank.to_le_bytes());
        hasher.update(&(token.len() as u32).to_le_bytes());
        hasher.update(token);
    }
    hasher.digest()
}
