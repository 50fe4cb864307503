//! `merges.txt` and `vocab.bpe`: a header line, then one merge per line in the order of the ranks.

use super::{FormatError, Written, from_pairs};
use crate::TokenId;
use crate::Tokenizer;
use crate::byte_order::{from_visible, to_visible};
use crate::split::added::AddedToken;
use std::collections::HashMap;

/// Reads the file. Only the first line is the header: a merge may itself begin with `#version`.
///
/// # Errors
/// When a line is no merge, or the merges contradict each other.
pub fn parse(text: &str) -> Result<Tokenizer, FormatError> {
    let mut pairs = Vec::new();
    for (line, left, right) in lines(text)? {
        let bytes = |part| {
            let what = || FormatError::Line { line, what: "a character that stands for no byte".into() };
            from_visible(part).ok_or_else(what)
        };
        pairs.push((bytes(left)?, bytes(right)?));
    }
    from_pairs(&pairs)
}

/// Reads the file with the ids of a `vocab.json`. Its tokens in brackets that no merge makes are special tokens.
///
/// # Errors
/// As [`parse`]; and when the vocabulary lacks a token of the merges.
pub fn parse_with_vocab(
    text: &str,
    vocab: HashMap<String, u32>,
    added: HashMap<String, u32>,
) -> Result<Tokenizer, FormatError> {
    parse_as(text, vocab, added, None)
}

/// The same with the added tokens of the vocabulary, if they are known.
pub(super) fn parse_as(
    text: &str,
    vocab: HashMap<String, u32>,
    more_added: HashMap<String, u32>,
    known: Option<Vec<AddedToken>>,
) -> Result<Tokenizer, FormatError> {
    if let Some(AddedToken { content, id, .. }) =
        known.iter().flatten().find(|added| vocab.get(&added.content) != Some(&added.id.0))
    {
        return Err(FormatError::OtherTraining { content: content.clone(), id: id.0 });
    }
    let taken: HashMap<u32, &str> = vocab.iter().map(|(content, id)| (*id, &**content)).collect();
    for (content, id) in &more_added {
        let there = vocab.get(content).copied();
        let is_of_other = taken.get(id).is_some_and(|token| token != content);
        if is_of_other || there.is_some_and(|there| there != *id) {
            return Err(FormatError::OtherAdded { content: content.clone(), id: *id });
        }
    }
    let merges = lines(text)?.into_iter().map(|(_, left, right)| (left.to_owned(), right.to_owned())).collect();
    let is_special = |token: &str| match &known {
        Some(known) => known.iter().any(|added| added.content == token),
        None => {
            let (first, last) = (token.chars().next(), token.chars().next_back());
            token.len() > 2 && matches!((first, last), (Some('<'), Some('>')) | (Some('['), Some(']')))
        }
    };
    let mut parts = Written { vocab, merges }.into_parts(is_special)?;
    let texts = parts.tokens.iter().filter(|(_, _, is_bytes)| !is_bytes);
    let texts = texts.filter_map(|(id, token, _)| Some((*id, std::str::from_utf8(token).ok()?)));
    let special = |(id, token)| AddedToken::special(TokenId(id), token);
    let in_vocab = || texts.filter(|(_, token)| is_special(token)).map(special).collect();
    parts.added = known.clone().unwrap_or_else(in_vocab);
    let is_known = |content: &str| parts.added.iter().any(|added| added.content == content);
    let more: Vec<_> = more_added.into_iter().filter(|(content, _)| !is_known(content)).collect();
    parts.added.extend(more.into_iter().map(|(content, id)| AddedToken::special(TokenId(id), content)));
    Ok(Tokenizer::from_parts(parts))
}

/// The merges, each with the number of its line, from 1.
fn lines(text: &str) -> Result<Vec<(usize, &str, &str)>, FormatError> {
    let mut lines = (1..).zip(text.lines()).peekable();
    lines.next_if(|(_, line)| line.starts_with("#version"));
    let merges = lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
        let what = || FormatError::Line { line: number, what: "not two tokens with a space between".into() };
        line.split_once(' ').map(|(left, right)| (number, left, right)).ok_or_else(what)
    });
    merges.collect()
}

/// Writes the file as OpenAI's readers need it: with the header and with a newline at the end.
pub fn write(tokenizer: &Tokenizer) -> String {
    let mut text = String::from("#version: 0.2\n");
    for (left, right, _) in tokenizer.merges() {
        text.push_str(&to_visible(tokenizer.token(left)));
        text.push(' ');
        text.push_str(&to_visible(tokenizer.token(right)));
        text.push('\n');
    }
    text
}
