//! Hugging Face's `tokenizer.json`, of byte-level BPE.
//!
//! Post-processors, decoders, truncation and padding have no effect on the ids that are given here, and are written as
//! they were read.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{FormatError, Written, vocab_json};
use crate::split::added::AddedToken;
use crate::split::text_rules::TextRules;
use crate::tokenizer::{KeptJson, Parts};
use crate::{TokenId, Tokenizer};

/// Writes what `tokenizers` loads: ByteLevel decoder, merges as pairs.
pub fn write(tokenizer: &Tokenizer) -> String {
    let outside = outside_of_vocabulary(tokenizer);
    let vocab = vocab_json::write_without(tokenizer, outside);
    let written = |id| vocab_json::written(tokenizer, id).unwrap_or_default();
    let merges: Vec<[String; 2]> = tokenizer.merges().map(|(l, r, _)| [written(l), written(r)]).collect();
    let added: Vec<Value> = tokenizer
        .added_tokens()
        .iter()
        .map(|added| {
            json!({"id": added.id.0, "content": added.content, "single_word": added.single_word, "lstrip": added.lstrip,
                   "rstrip": added.rstrip, "normalized": added.normalized, "special": added.special})
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let KeptJson { truncation, padding, post_processor, decoder } = tokenizer.kept_json();
    let (post_processor, decoder) =
        (post_processor.as_ref().unwrap_or(&byte_level), decoder.as_ref().unwrap_or(&byte_level));
    let [normalizer, pre_tokenizer] = tokenizer.rules().json();
    let (unk_token, fuse_unk) = match tokenizer.unknown() {
        Some((id, fuses)) => (json!(written(TokenId(id))), fuses),
        None => (Value::Null, false),
    };
    // The vocabulary is inserted as text: it is in the order of the ids, which a JSON map would not keep.
    format!(
        "{{\"version\":\"1.0\",\"truncation\":{truncation},\"padding\":{padding},\"added_tokens\":{},\"normalizer\":{normalizer},\
         \"pre_tokenizer\":{pre_tokenizer},\"post_processor\":{post_processor},\"decoder\":{decoder},\
         \"model\":{{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":{unk_token},\"continuing_subword_prefix\":\"\",\
         \"end_of_word_suffix\":\"\",\"fuse_unk\":{fuse_unk},\"byte_fallback\":false,\"ignore_merges\":{},\
         \"vocab\":{vocab},\"merges\":{}}}}}\n",
        Value::from(added),
        tokenizer.ignores_merges(),
        json!(merges),
    )
}

/// The added tokens that are left out of the model's vocabulary, as they were: those that get the same ids from Hugging
/// Face's reader, which numbers them behind the vocabulary. Else all are in it.
fn outside_of_vocabulary(tokenizer: &Tokenizer) -> &[TokenId] {
    let outside = tokenizer.outside();
    let in_vocabulary = vocab_json::entries(tokenizer).count() - outside.len();
    let mut expected = (in_vocabulary as u32..).map(TokenId);
    let is_sorted = tokenizer.added_tokens().iter().filter(|added| outside.contains(&added.id));
    let is_same = is_sorted.map(|added| added.id).all(|id| expected.next() == Some(id));
    if is_same { outside } else { &[] }
}

/// What is read of the file.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    /// Files of long ago have none.
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Option<Vocab>,
    merges: Option<Vec<Merge>>,
    dropout: Option<f64>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vocab {
    Ids(HashMap<String, u32>),
    /// Of other models.
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    /// Two tokens with a space between.
    Text(String),
    Pair(String, String),
}

fn fault(what: impl Into<String>) -> FormatError {
    FormatError::Json(what.into())
}

/// Reads the file as Hugging Face's tokenizers do.
///
/// # Errors
/// When it is not byte-level BPE, something in it is not known, or its parts contradict each other.
pub fn parse(text: &str) -> Result<Tokenizer, FormatError> {
    let file: File = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    let model = file.model;
    if model.kind.as_deref().is_some_and(|kind| kind != "BPE") {
        return Err(fault(format!("the model is not BPE but {}", model.kind.unwrap_or_default())));
    }
    model.check()?;
    let rules = TextRules::parse(&file.normalizer, &file.pre_tokenizer).map_err(fault)?;
    let Some(Vocab::Ids(vocab)) = model.vocab else { return Err(fault("the model has no vocab")) };
    let added = added_tokens(file.added_tokens, &vocab)?;
    check_normalized(&added, &rules).map_err(fault)?;
    let merges = model.merges.ok_or_else(|| fault("the model has no merges"))?;
    let merges = merges.into_iter().map(|merge| match merge {
        Merge::Pair(left, right) => Ok((left, right)),
        Merge::Text(text) => match text.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(fault(format!("the merge {text:?} is not a pair"))),
        },
    });
    let merges = merges.collect::<Result<_, _>>()?;
    let unknown = model.unk_token.map(|token| {
        let id = vocab.get(&token).copied();
        id.map(|id| (id, model.fuse_unk == Some(true)))
            .ok_or_else(|| fault(format!("the unk_token {token:?} has no id")))
    });
    let is_added = |token: &str| added.iter().any(|added| added.content == token);
    let parts = Written { vocab, merges }.into_parts(is_added)?;
    let has_all_bytes = parts.tokens.iter().filter(|(_, token, is_bytes)| *is_bytes && token.len() == 1).count() == 256;
    if model.byte_fallback == Some(true) && !has_all_bytes {
        return Err(fault("the model has byte_fallback, and no tokens for some bytes"));
    }
    // Nothing is unknown where each byte has a token.
    let unknown = if has_all_bytes { None } else { unknown.transpose()? };
    let ignores_merges = model.ignore_merges == Some(true);
    let kept = KeptJson {
        truncation: file.truncation,
        padding: file.padding,
        post_processor: Some(file.post_processor),
        decoder: Some(file.decoder),
    };
    Ok(Tokenizer::from_parts(Parts { added, rules, ignores_merges, unknown, kept, ..parts }))
}

/// What of the added tokens that are looked for in normalised text is not followed.
fn check_normalized(added: &[AddedToken], rules: &TextRules) -> Result<(), String> {
    let mut texts = HashMap::new();
    for token in added.iter().filter(|added| added.normalized) {
        let (content, text) = (&token.content, rules.normalize(&token.content).into_owned());
        // Hugging Face then finds it between all characters, and cuts texts into these.
        if text.is_empty() {
            return Err(format!("its normalizer leaves nothing of the added token {content:?}"));
        }
        // There, blanks are letters, and what is beside a token is judged by that.
        if rules.normalizes_to_bytes() && (token.single_word || token.lstrip || token.rstrip) {
            return Err(format!(
                "the added token {content:?} is looked for behind the normalizer ByteLevel, with single_word, lstrip or rstrip"
            ));
        }
        // Hugging Face's program takes one or the other, by chance.
        if let Some(other) = texts.insert(text, content) {
            return Err(format!("its normalizer makes the added tokens {other:?} and {content:?} the same"));
        }
    }
    Ok(())
}

impl Model {
    /// What is not followed is refused by name.
    fn check(&self) -> Result<(), FormatError> {
        if self.dropout.is_some_and(|dropout| dropout != 0.0) {
            return Err(fault("the model has a dropout: its ids are random"));
        }
        let affixes = [
            ("continuing_subword_prefix", &self.continuing_subword_prefix),
            ("end_of_word_suffix", &self.end_of_word_suffix),
        ];
        match affixes.into_iter().find(|(_, affix)| affix.as_deref().is_some_and(|affix| !affix.is_empty())) {
            Some((key, affix)) => Err(fault(format!(
                "the model's {key} is {affix:?}, which byte-level BPE has not",
                affix = affix.as_deref().unwrap_or("")
            ))),
            None => Ok(()),
        }
    }
}

/// The added tokens, if they do not contradict the vocabulary and Hugging Face's reader gives them the same ids. It leaves
/// out empty ones, and of several with one text takes the last.
fn added_tokens(added: Vec<AddedToken>, vocab: &HashMap<String, u32>) -> Result<Vec<AddedToken>, FormatError> {
    let ids: HashMap<u32, &str> = vocab.iter().map(|(token, id)| (*id, token.as_str())).collect();
    let mut tokens: Vec<AddedToken> = Vec::with_capacity(added.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    // It does not read the ids: what is not in the vocabulary is numbered behind the number of its tokens.
    let mut next_id = vocab.len() as u32;
    for token in added.into_iter().filter(|token| !token.content.is_empty()) {
        let AddedToken { id: TokenId(id), content, .. } = &token;
        if *id > super::MAX_ID {
            return Err(fault(format!("{id}, the id of {content:?}, is too large")));
        }
        if let Some(other) = vocab.get(content).filter(|other| *other != id) {
            return Err(fault(format!("the added token {content:?} has id {id}, and id {other} in the vocabulary")));
        }
        if let Some(other) = ids.get(id).filter(|other| *other != content) {
            return Err(fault(format!("id {id} is both {other:?} and {content:?}")));
        }
        let place = *places.entry(content.clone()).or_insert(tokens.len());
        let given = match tokens.get(place) {
            Some(before) => before.id.0,
            None if vocab.contains_key(content) => *id,
            None => {
                next_id += 1;
                next_id - 1
            }
        };
        if given != *id {
            return Err(fault(format!(
                "the added token {content:?} has id {id}, and Hugging Face's tokenizers, which number such tokens in \
                 their order behind the {} of the vocabulary, give it id {given}",
                vocab.len()
            )));
        }
        match tokens.get_mut(place) {
            Some(before) => *before = token,
            None => tokens.push(token),
        }
    }
    Ok(tokens)
}
