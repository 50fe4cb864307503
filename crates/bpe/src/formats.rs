//! The file formats of tokenizers, read and written byte for byte as the original programs do.
//!
//! | file | reads | writes | used by |
//! | --- | --- | --- | --- |
//! | `merges.txt`, `vocab.bpe` | yes | yes | GPT-2, Hugging Face |
//! | `vocab.json` (compact), `encoder.json` (Python's spacing) | – | yes | Hugging Face; GPT-2 |
//! | `tokenizer.json` | yes | yes | Hugging Face |
//! | `.tiktoken` | yes | yes | tiktoken |
//!
//! Vocabularies follow from merges (see [`Tokenizer`]), so only the merges are read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use user_error::UserError;

use crate::byte_order::{from_visible, to_visible};
use crate::{Tokenizer, TokenizerError};

/// A tokenizer's file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A line does not have the format.
    #[error("line {line}: {what}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The JSON is not a tokenizer that this crate supports.
    #[error("not a byte-level BPE tokenizer.json: {0}")]
    Json(String),
    /// The vocabulary is inconsistent.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// There is no file in a known format.
    #[error("no tokenizer at {}: looked for tokenizer.json, merges.txt, vocab.bpe and tokenizer.tiktoken", .0.display())]
    NotFound(PathBuf),
}

impl UserError for FormatError {
    fn hint(&self) -> Option<String> {
        let is_missing = match self {
            FormatError::NotFound(_) => true,
            FormatError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        };
        is_missing.then(|| "a tokenizer is `gpt2`, a folder that `bpe train` made, or a file of one".to_owned())
    }
}

/// A token as files and messages show it.
pub(crate) fn visible(bytes: &[u8]) -> String {
    to_visible(bytes)
}

/// Loads a tokenizer by name (`gpt2`), from a file of any known format, or from a folder that holds one.
///
/// # Errors
/// When there is none, it cannot be read, or it would give other ids than the original program does.
pub fn load(name: &str) -> Result<Tokenizer, FormatError> {
    let Some(file) = file_of(name)? else { return Ok(Tokenizer::gpt2()) };
    let text = std::fs::read_to_string(&file).map_err(|source| FormatError::Io {
        action: "read",
        path: file.clone(),
        source,
    })?;
    match file.extension().and_then(|e| e.to_str()) {
        Some("json") => tokenizer_json::parse(&text),
        Some("tiktoken") => tiktoken::parse(&text),
        _ => {
            let mut tokenizer = merges::parse(&text)?;
            tokenizer.set_specials(vec![crate::END_OF_TEXT.to_owned()]);
            Ok(tokenizer)
        }
    }
}

/// The file that [`load`] reads for a name; none for `gpt2`, which is compiled in.
///
/// # Errors
/// [`FormatError::NotFound`] for a folder without a tokenizer.
pub fn file_of(name: &str) -> Result<Option<PathBuf>, FormatError> {
    let path = Path::new(name);
    if name == "gpt2" {
        return Ok(None);
    }
    if !path.is_dir() {
        return Ok(Some(path.to_path_buf()));
    }
    let known = ["tokenizer.json", "merges.txt", "vocab.bpe", "tokenizer.tiktoken"];
    let found = known.iter().map(|file| path.join(file)).find(|file| file.is_file());
    found.map(Some).ok_or_else(|| FormatError::NotFound(path.to_path_buf()))
}

/// The files of a tokenizer's folder, by name: `merges.txt`, `vocab.json`, `tokenizer.json`, `tokenizer.tiktoken`.
pub fn files(tokenizer: &Tokenizer) -> Vec<(&'static str, String)> {
    vec![
        ("merges.txt", merges::write(tokenizer)),
        ("vocab.json", vocab_json::write(tokenizer)),
        ("tokenizer.json", tokenizer_json::write(tokenizer)),
        ("tokenizer.tiktoken", tiktoken::write(tokenizer)),
    ]
}

/// `merges.txt` and `vocab.bpe`: a header line, then one merge per line in the order of the ranks.
pub mod merges {
    use super::*;

    /// Reads the file. Only the first line is the header: a merge may itself begin with `#version`.
    ///
    /// # Errors
    /// When a line is no merge, or the merges contradict each other.
    pub fn parse(text: &str) -> Result<Tokenizer, FormatError> {
        let mut lines = text.lines().enumerate().peekable();
        lines.next_if(|(_, line)| line.starts_with("#version"));
        let fault = |line: usize, what: &str| FormatError::Line { line: line + 1, what: what.into() };
        let mut pairs = Vec::new();
        for (number, line) in lines {
            if line.is_empty() {
                continue;
            }
            let (left, right) =
                line.split_once(' ').ok_or_else(|| fault(number, "not two tokens with a space between"))?;
            let bytes = |part| from_visible(part).ok_or_else(|| fault(number, "a character that stands for no byte"));
            pairs.push((bytes(left)?, bytes(right)?));
        }
        from_pairs(&pairs)
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
}

/// A tokenizer from merges given as bytes.
fn from_pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<Tokenizer, FormatError> {
    Tokenizer::check_number(pairs.len())?;
    let mut tokenizer = Tokenizer::bytes_only();
    let mut ids: HashMap<Vec<u8>, u32> =
        (0..256).map(|id| (tokenizer.token(crate::TokenId(id)).to_vec(), id)).collect();
    for (rank, (left, right)) in pairs.iter().enumerate() {
        let id = |part: &Vec<u8>| {
            let known = ids.get(part).copied().map(crate::TokenId);
            known.ok_or_else(|| TokenizerError::UnknownPart { rank, token: to_visible(part) })
        };
        let (a, b) = (id(left)?, id(right)?);
        let joined = [left.as_slice(), right].concat();
        if ids.insert(joined.clone(), 256 + rank as u32).is_some() {
            return Err(TokenizerError::Twice { rank, token: to_visible(&joined) }.into());
        }
        tokenizer.push_merge(a, b, &joined);
    }
    Ok(tokenizer)
}

/// `vocab.json` as Hugging Face writes it, and `encoder.json` as OpenAI's Python did.
pub mod vocab_json {
    use super::*;

    /// Compact JSON, raw UTF-8, in the order of the ids.
    pub fn write(tokenizer: &Tokenizer) -> String {
        let entries: Vec<String> = entries(tokenizer).map(|(id, token)| format!("{}:{id}", quoted(&token))).collect();
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

    fn entries(tokenizer: &Tokenizer) -> impl Iterator<Item = (usize, String)> + '_ {
        let ordinary = tokenizer.vocab_size() - tokenizer.specials().len();
        (0..tokenizer.vocab_size()).map(move |id| {
            let special = id.checked_sub(ordinary).map(|place| tokenizer.specials()[place].clone());
            (id, special.unwrap_or_else(|| to_visible(tokenizer.token(crate::TokenId(id as u32)))))
        })
    }

    pub(super) fn quoted(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }
}

/// tiktoken's files: base64 of a token and its rank per line, no special tokens.
pub mod tiktoken {
    use data_encoding::BASE64;

    use super::*;

    /// Writes the file.
    pub fn write(tokenizer: &Tokenizer) -> String {
        let ordinary = tokenizer.vocab_size() - tokenizer.specials().len();
        let line = |id| format!("{} {id}\n", BASE64.encode(tokenizer.token(crate::TokenId(id))));
        (0..ordinary as u32).map(line).collect()
    }

    /// Reads the file. tiktoken merges by the rank of the joined bytes, so the pair of each merge is what encoding the
    /// token with the lower ranks gives.
    ///
    /// # Errors
    /// When a line is not a token, the ranks or the first 256 tokens are in another order than GPT-2's, or the lower
    /// ranks give more than two parts of a token.
    pub fn parse(text: &str) -> Result<Tokenizer, FormatError> {
        let mut ranks: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut tokens = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let fault = |what: &str| FormatError::Line { line: number + 1, what: what.into() };
            let (token, rank) = line.split_once(' ').ok_or_else(|| fault("not a token and a rank"))?;
            let token = BASE64.decode(token.as_bytes()).map_err(|_| fault("the token is not base64"))?;
            if token.is_empty() {
                return Err(fault("the token is empty"));
            }
            if rank.trim().parse() != Ok(number as u32) {
                return Err(fault("ranks must count up from 0"));
            }
            if number < 256 && token != Tokenizer::bytes_only().token(crate::TokenId(number as u32)) {
                return Err(fault("the first 256 tokens must be the bytes in GPT-2's order"));
            }
            if ranks.insert(token.clone(), number as u32).is_some() {
                return Err(fault("the token is there twice"));
            }
            tokens.push(token);
        }
        if tokens.len() < 256 {
            let what = "the file breaks off before all 256 bytes have a token".into();
            return Err(FormatError::Line { line: tokens.len() + 1, what });
        }
        let mut pairs = Vec::new();
        for (id, token) in tokens.iter().enumerate().skip(256) {
            let mut parts = split_by_lower_ranks(token, &ranks, id as u32);
            match (parts.pop(), parts.pop(), parts.is_empty()) {
                (Some(right), Some(left), true) => pairs.push((left, right)),
                _ => return Err(TokenizerError::Unreachable { id: id as u32, token: to_visible(token) }.into()),
            }
        }
        let mut tokenizer = from_pairs(&pairs)?;
        tokenizer.set_specials(vec![crate::END_OF_TEXT.to_owned()]);
        Ok(tokenizer)
    }

    /// The tokens that the merges of lower rank make of a token's bytes.
    fn split_by_lower_ranks(token: &[u8], ranks: &HashMap<Vec<u8>, u32>, rank: u32) -> Vec<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = token.iter().map(|&byte| vec![byte]).collect();
        loop {
            let joined = |i: usize| ranks.get(&[parts[i].as_slice(), &parts[i + 1]].concat()).copied();
            let pairs = (0..parts.len() - 1).filter_map(|i| Some((joined(i).filter(|&r| r < rank)?, i)));
            let Some((_, at)) = pairs.min() else { return parts };
            let right = parts.remove(at + 1);
            parts[at].extend(right);
        }
    }
}

/// Hugging Face's `tokenizer.json`.
pub mod tokenizer_json {
    use serde_json::{Value, json};

    use super::*;

    /// Writes what `tokenizers` loads: ByteLevel pre-tokenizer and decoder, merges as pairs.
    pub fn write(tokenizer: &Tokenizer) -> String {
        let vocab = vocab_json::write(tokenizer);
        let merges: Vec<[String; 2]> = tokenizer
            .merges()
            .map(|(l, r, _)| [to_visible(tokenizer.token(l)), to_visible(tokenizer.token(r))])
            .collect();
        let first_special = tokenizer.vocab_size() - tokenizer.specials().len();
        let specials: Vec<Value> = tokenizer
            .specials()
            .iter()
            .enumerate()
            .map(|(i, special)| {
                json!({"id": first_special + i, "content": special, "single_word": false, "lstrip": false,
                       "rstrip": false, "normalized": false, "special": true})
            })
            .collect();
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        // The vocabulary is inserted as text: it is in the order of the ids, which a JSON map would not keep.
        format!(
            "{{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":{},\"normalizer\":null,\
             \"pre_tokenizer\":{byte_level},\"post_processor\":{byte_level},\"decoder\":{byte_level},\
             \"model\":{{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":\"\",\
             \"end_of_word_suffix\":\"\",\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\
             \"vocab\":{vocab},\"merges\":{}}}}}\n",
            Value::from(specials),
            json!(merges),
        )
    }

    /// Reads the file; merges may be pairs or strings with a space, ids must be those that merges imply.
    ///
    /// # Errors
    /// When it is not byte-level BPE with GPT-2's pre-tokenizer, or its parts contradict each other.
    pub fn parse(text: &str) -> Result<Tokenizer, FormatError> {
        let fault = |what: &str| FormatError::Json(what.to_owned());
        let json: Value = serde_json::from_str(text).map_err(|error| FormatError::Json(error.to_string()))?;
        let model = &json["model"];
        if model["type"].as_str() != Some("BPE") {
            return Err(fault("the model is not BPE"));
        }
        check_rest(&json)?;
        let merges = model["merges"].as_array().ok_or_else(|| fault("the model has no merges"))?;
        let mut pairs = Vec::with_capacity(merges.len());
        for merge in merges {
            let pair = match merge {
                Value::String(text) => text.split_once(' '),
                Value::Array(parts) => match parts.as_slice() {
                    [Value::String(left), Value::String(right)] => Some((left.as_str(), right.as_str())),
                    _ => None,
                },
                _ => None,
            };
            let (left, right) = pair.ok_or_else(|| fault("a merge is not a pair"))?;
            let bytes =
                |part| from_visible(part).ok_or_else(|| fault("a merge holds a character that stands for no byte"));
            pairs.push((bytes(left)?, bytes(right)?));
        }
        let mut tokenizer = from_pairs(&pairs)?;
        let specials = json["added_tokens"].as_array().cloned().unwrap_or_default();
        let mut specials: Vec<(u64, String)> = specials
            .iter()
            .filter_map(|token| Some((token["id"].as_u64()?, token["content"].as_str()?.to_owned())))
            .collect();
        specials.sort();
        let ordinary = tokenizer.vocab_size() as u64;
        if specials.iter().enumerate().any(|(place, (id, _))| *id != ordinary + place as u64) {
            return Err(FormatError::Json(format!(
                "added tokens must have the ids from {ordinary} on, behind all others"
            )));
        }
        check_ids(&tokenizer, &model["vocab"])?;
        let mut contents: Vec<&[u8]> = specials.iter().map(|(_, text)| text.as_bytes()).collect();
        contents.extend((0..ordinary as u32).map(|id| tokenizer.token(crate::TokenId(id))));
        contents.sort_unstable();
        if let Some(twice) = contents.windows(2).find(|two| two[0] == two[1]) {
            return Err(FormatError::Json(format!("two tokens are {:?}", String::from_utf8_lossy(twice[0]))));
        }
        tokenizer.set_specials(specials.into_iter().map(|(_, text)| text).collect());
        Ok(tokenizer)
    }

    /// Everything beside the merges that changes ids must be GPT-2's; ignoring it would give wrong ids.
    fn check_rest(json: &Value) -> Result<(), FormatError> {
        let refused = |what: &str| Err(FormatError::Json(format!("{what}; only GPT-2's way is known")));
        if !json["normalizer"].is_null() {
            return refused("it has a normalizer");
        }
        let splits = &json["pre_tokenizer"];
        if splits["type"] != "ByteLevel" || splits["add_prefix_space"] == true || splits["use_regex"] == false {
            return refused("its pre-tokenizer is not ByteLevel without a prefix space");
        }
        let model = &json["model"];
        for key in ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"] {
            let value = &model[key];
            if !(value.is_null() || *value == "" || *value == false || *value == 0.0) {
                return refused(&format!("the model's {key} is {value}"));
            }
        }
        Ok(())
    }

    fn check_ids(tokenizer: &Tokenizer, vocab: &Value) -> Result<(), FormatError> {
        let vocab = vocab.as_object().ok_or_else(|| FormatError::Json("the model has no vocab".into()))?;
        let ordinary = tokenizer.vocab_size() - tokenizer.specials().len();
        for id in 0..ordinary as u32 {
            let token = to_visible(tokenizer.token(crate::TokenId(id)));
            if vocab.get(&token).and_then(Value::as_u64) != Some(u64::from(id)) {
                let what = format!("token {token:?} has not id {id}; only GPT-2's order of ids is known");
                return Err(FormatError::Json(what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use sha2::Digest;

    use super::*;
    use crate::TokenId;

    fn small() -> Tokenizer {
        let pair = |a: u32, b: u32| (TokenId(a), TokenId(b));
        let merges = [pair(64, 65), pair(256, 66), pair(220, 257), pair(2, 85)];
        Tokenizer::from_merges(&merges, &[crate::END_OF_TEXT]).unwrap()
    }

    #[test]
    fn every_format_comes_back() {
        for tokenizer in [small(), Tokenizer::gpt2()] {
            let mut from_merges = merges::parse(&merges::write(&tokenizer)).unwrap();
            from_merges.set_specials(vec![crate::END_OF_TEXT.into()]);
            assert!(from_merges == tokenizer);
            assert!(tiktoken::parse(&tiktoken::write(&tokenizer)).unwrap() == tokenizer);
            assert!(tokenizer_json::parse(&tokenizer_json::write(&tokenizer)).unwrap() == tokenizer);
        }
    }

    #[test]
    fn gpt2_files_are_made_byte_for_byte() {
        let gpt2 = Tokenizer::gpt2();
        assert!(merges::write(&gpt2) == include_str!("../assets/gpt2/vocab.bpe"));
        let sha256 = |file: String| HEXLOWER.encode(&sha2::Sha256::digest(file.as_bytes()));
        assert_eq!(sha256(vocab_json::write_encoder_json(&gpt2)), ENCODER_JSON);
        assert_eq!(sha256(tiktoken::write(&gpt2)), R50K_BASE);
    }

    /// OpenAI's encoder.json and r50k_base.tiktoken, as published.
    const ENCODER_JSON: &str = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783";
    const R50K_BASE: &str = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930";

    #[test]
    fn a_merge_that_looks_like_a_header_is_kept() {
        let text = "#version: 0.2\n# v\n#v e\n";
        assert_eq!(merges::parse(text).unwrap().merges().len(), 2);
    }

    #[test]
    fn faults_name_their_place() {
        let check = |result: Result<Tokenizer, FormatError>, message: &str| {
            assert_eq!(result.err().map(|e| e.to_string()).as_deref(), Some(message));
        };
        check(merges::parse("#version: 0.2\nab\n"), "line 2: not two tokens with a space between");
        check(merges::parse("a b\na b\n"), "merge 1 makes \"ab\", which is in the vocabulary already");
        check(merges::parse("a bc\n"), "merge 0 joins \"bc\", which no earlier merge makes");
        let bytes = tiktoken::write(&Tokenizer::bytes_only());
        let half: String = bytes.lines().take(128).map(|line| format!("{line}\n")).collect();
        check(tiktoken::parse(&half), "line 129: the file breaks off before all 256 bytes have a token");
        let json = tokenizer_json::write(&small());
        let with = |from: &str, to: &str| tokenizer_json::parse(&json.replacen(from, to, 1));
        check(
            with("\"ignore_merges\":false", "\"ignore_merges\":true"),
            "not a byte-level BPE tokenizer.json: the model's ignore_merges is true; only GPT-2's way is known",
        );
        check(
            with("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}"),
            "not a byte-level BPE tokenizer.json: it has a normalizer; only GPT-2's way is known",
        );
        check(
            with("\"use_regex\":true", "\"use_regex\":false"),
            "not a byte-level BPE tokenizer.json: its pre-tokenizer is not ByteLevel without a prefix space; only GPT-2's way is known",
        );
        check(
            with("\"content\":\"<|endoftext|>\"", "\"content\":\"a\""),
            "not a byte-level BPE tokenizer.json: two tokens are \"a\"",
        );
        let unreachable = format!("{}YWJj 256\n", tiktoken::write(&Tokenizer::bytes_only()));
        check(tiktoken::parse(&unreachable), "token 256 (\"abc\") cannot be reached by merges of lower rank");
    }
}
