//! `vocab.json` as Hugging Face writes it, and `encoder.json` as OpenAI's Python did.

use crate::byte_order::to_visible;
use crate::tokenizer::TokenKind;
use crate::{TokenId, Tokenizer};

/// Compact JSON, raw UTF-8, in the order of the ids.
pub fn write(tokenizer: &Tokenizer) -> String {
    write_without(tokenizer, &[])
}

/// The same without some of the ids.
pub(super) fn write_without(tokenizer: &Tokenizer, left_out: &[TokenId]) -> String {
    let entries = entries(tokenizer).filter(|(id, _)| !left_out.contains(&TokenId(*id)));
    let entries: Vec<String> = entries.map(|(id, token)| format!("{}:{id}", quoted(&token))).collect();
    format!("{{{}}}", entries.join(","))
}

/// As `json.dumps` writes it: a space after each separator, `\u0120` for what is not ASCII.
pub fn write_encoder_json(tokenizer: &Tokenizer) -> String {
    let ascii = |json: &str| -> String {
        let escape = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) };
        json.chars().map(escape).collect()
    };
    let entries: Vec<String> =
        entries(tokenizer).map(|(id, token)| format!("{}: {id}", ascii(&quoted(&token)))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// The tokens as files write them, with their ids.
pub(crate) fn entries(tokenizer: &Tokenizer) -> impl Iterator<Item = (u32, String)> + '_ {
    (0..tokenizer.vocab_size() as u32).filter_map(|id| Some((id, written(tokenizer, TokenId(id))?)))
}

/// A token as files write it; none for an id without a token.
pub(super) fn written(tokenizer: &Tokenizer, id: TokenId) -> Option<String> {
    match tokenizer.kind(id) {
        TokenKind::Absent => None,
        TokenKind::Bytes => Some(to_visible(tokenizer.token(id))),
        TokenKind::Text => Some(String::from_utf8_lossy(tokenizer.token(id)).into_owned()),
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
