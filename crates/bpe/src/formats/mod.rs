//! The file formats of tokenizers, read as the original programs read them and written byte for byte as they do.
//!
//! | file | reads | writes | used by |
//! | --- | --- | --- | --- |
//! | `tokenizer.json` | yes | yes | Hugging Face |
//! | `merges.txt`, `vocab.bpe` | yes | yes | GPT-2, Hugging Face |
//! | `vocab.json` (compact), `encoder.json` (Python's spacing) | beside merges | yes | Hugging Face; GPT-2 |
//! | `.tiktoken` | yes | yes | tiktoken |
//!
//! Only `tokenizer.json` says how a text is split. Merges alone are split by GPT-2's pattern; `.tiktoken` files by the
//! pattern of the encoding that they are recognised as. A pattern that is given goes before both.

mod conversion;
mod file;
pub mod merges;
pub mod tiktoken;
pub mod tokenizer_json;
pub mod vocab_json;

use std::collections::HashMap;
use std::path::PathBuf;

use user_error::UserError;

use crate::byte_order::{from_visible, to_visible};
use crate::tokenizer::Parts;
use crate::{PATTERN_NAMES, TokenId, Tokenizer, TokenizerError};

pub use conversion::Format;
#[cfg(feature = "cli")]
pub(crate) use file::FILES_IN_FOLDERS;
pub use file::{
    GivenSpecial, LoadOptions, Loaded, TrainingRecord, file_of, files_of, load, load_with, load_with_report,
};

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
    /// A file without a byte, or with blanks alone.
    #[error("the file is empty")]
    Empty,
    /// A model of SentencePiece, whose tokens are of characters.
    #[error("it is a model of SentencePiece, not a byte-level BPE")]
    SentencePiece,
    /// A compressed file.
    #[error("it is compressed")]
    Compressed,
    /// A file of another format, which holds no tokenizer.
    #[error("it is {0}")]
    Foreign(texts::ForeignFormat),
    /// A file that is not text.
    #[error("it is no text: invalid UTF-8 at byte {0}")]
    NoUtf8(usize),
    /// The vocabulary is inconsistent.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A `.tiktoken` file of an encoding that is not recognised: it does not say how texts are split.
    #[error(
        "the file has {tokens} tokens of no encoding that is known, and does not say by which pattern texts are split"
    )]
    UnknownTiktoken {
        /// Its number of tokens.
        tokens: usize,
    },
    /// A `training.json` that is beside the files of another tokenizer.
    #[error(
        "training.json beside it is of another tokenizer: it has {content:?} with the id {id}, which is another token's"
    )]
    OtherTraining {
        /// An added token of it.
        content: String,
        /// The token's id.
        id: u32,
    },
    /// A pattern that is given for a tokenizer that says its own.
    #[error("the pattern {given:?} is given, and the tokenizer says its own: {own}")]
    OwnPattern {
        /// What is given.
        given: String,
        /// The tokenizer's.
        own: String,
    },
    /// A tokenizer that no `tokenizer.json` holds.
    #[error("its pattern is read as tiktoken reads it, and would be another one in a tokenizer.json")]
    OnlyTiktoken,
    /// Special tokens that are given for a tokenizer that names its own.
    #[error("the tokenizer has its own special tokens, and {content:?} is given beside them")]
    OwnSpecials {
        /// The first that is given.
        content: String,
    },
    /// A special token that cannot have its id.
    #[error(
        "{content:?} cannot be a special token with the id {id}: there is one of that text or id, or it is too large"
    )]
    GivenSpecial {
        /// The token that is given.
        content: String,
        /// Its id.
        id: u32,
    },
    /// An `added_tokens.json` that gives a token the id of another one, or a second id.
    #[error("added_tokens.json contradicts the vocabulary: it has {content:?} with the id {id}")]
    OtherAdded {
        /// An added token of it.
        content: String,
        /// Its id there.
        id: u32,
    },
    /// A pattern that cannot be used.
    #[error("{0}")]
    Pattern(String),
    /// A file, and what is wrong with it.
    #[error("cannot read the tokenizer {}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<FormatError>,
    },
    /// There is no file in a known format.
    #[error("no tokenizer at {}: looked for tokenizer.json, merges.txt, vocab.bpe and tokenizer.tiktoken", .0.display())]
    NotFound(PathBuf),
}

impl UserError for FormatError {
    fn hint(&self) -> Option<String> {
        let patterns = || format!("give --pattern: one of {PATTERN_NAMES}, or a regular expression");
        let is_missing = match self {
            FormatError::InFile { source, .. } => return source.hint(),
            FormatError::UnknownTiktoken { .. } => return Some(patterns()),
            FormatError::OwnPattern { .. } => return Some("leave out --pattern".to_owned()),
            FormatError::OwnSpecials { .. } => {
                return Some("leave out --special-token: it is for .tiktoken files, which name none".to_owned());
            }
            FormatError::OtherTraining { .. } => return Some("move training.json to its own tokenizer".to_owned()),
            FormatError::SentencePiece => {
                return Some(
                    "a tokenizer.json beside it may be a byte-level one, as of Llama 3 and later models".to_owned(),
                );
            }
            FormatError::Compressed => return Some("decompress it".to_owned()),
            FormatError::NotFound(_) => true,
            FormatError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            FormatError::Foreign(_) | FormatError::NoUtf8(_) => true,
            _ => false,
        };
        is_missing.then(|| {
            "a tokenizer is `gpt2`, a file (tokenizer.json, .tiktoken, merges.txt) or a folder with one; none is fetched by \
             its name"
                .to_owned()
        })
    }
}

/// A token as files and messages show it.
pub(crate) fn visible(bytes: &[u8]) -> String {
    to_visible(bytes)
}

/// The files of a tokenizer's folder, by name: `tokenizer.json`, and of `merges.txt` with `vocab.json` and
/// `tokenizer.tiktoken` those that give the same ids when they are read without it.
pub fn files(tokenizer: &Tokenizer) -> NamedFiles {
    let mut files = Vec::new();
    for (format, name) in FORMATS {
        let of_format = format.write(tokenizer, name);
        if format == Format::TokenizerJson || format.fault(tokenizer, &of_format).is_none() {
            files.extend(of_format);
        }
    }
    files
}

/// The files of a training, those beside `tokenizer.json` to be read together with a `training.json` that holds the
/// tokenizer's [`TrainingRecord`]; and which are left out, with the reason: they would give other ids.
pub fn files_of_training(tokenizer: &Tokenizer) -> (NamedFiles, Vec<(&'static str, String)>) {
    let record = TrainingRecord::of(tokenizer);
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for (format, name) in FORMATS {
        let of_format = format.write(tokenizer, name);
        match format.fault_beside(tokenizer, &of_format, &record) {
            Some(why) if format != Format::TokenizerJson => {
                left_out.extend(of_format.into_iter().map(|(name, _)| (name, why.clone())));
            }
            _ => files.extend(of_format),
        }
    }
    (files, left_out)
}

/// Refuses a tokenizer that would be another one in a `tokenizer.json`.
///
/// # Errors
/// [`FormatError::OnlyTiktoken`].
pub fn check_json(tokenizer: &Tokenizer) -> Result<(), FormatError> {
    if tokenizer.rules().are_the_same_in_json() { Ok(()) } else { Err(FormatError::OnlyTiktoken) }
}

/// Contents by the names of their files.
pub type NamedFiles = Vec<(&'static str, String)>;

const FORMATS: [(Format, &str); 3] = [
    (Format::Merges, "merges.txt"),
    (Format::TokenizerJson, "tokenizer.json"),
    (Format::Tiktoken, "tokenizer.tiktoken"),
];

/// A tokenizer from merges given as bytes, in GPT-2's order of ids.
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

/// Tokens and merges as files write them.
struct Written {
    vocab: HashMap<String, u32>,
    merges: Vec<(String, String)>,
}

impl Written {
    /// The ids of merges, and the tokens: bytes, if all characters stand for some and it is not one of `texts`, which no
    /// merge makes.
    ///
    /// # Errors
    /// When a merge joins or makes what is not in the vocabulary, or two tokens have one id.
    fn into_parts(self, is_text: impl Fn(&str) -> bool) -> Result<Parts, FormatError> {
        Tokenizer::check_number(self.merges.len())?;
        if self.vocab.is_empty() {
            return Err(FormatError::Json("the vocabulary is empty".into()));
        }
        let mut merges = Vec::with_capacity(self.merges.len());
        let mut is_made = std::collections::HashSet::new();
        for (rank, (left, right)) in self.merges.iter().enumerate() {
            let id = |token: &str| {
                let known = self.vocab.get(token).copied().map(TokenId);
                known.ok_or_else(|| TokenizerError::NotInVocabulary { rank, token: token.to_owned() })
            };
            let made = id(&format!("{left}{right}"))?;
            is_made.insert(made);
            merges.push((id(left)?, id(right)?, made));
        }
        let mut ids = std::collections::HashSet::new();
        let mut tokens = Vec::with_capacity(self.vocab.len());
        for (token, id) in self.vocab {
            if id > MAX_ID || !ids.insert(id) {
                let what = if id > MAX_ID { "is too large" } else { "is the id of another token, too" };
                return Err(FormatError::Json(format!("{id}, the id of {token:?}, {what}")));
            }
            match from_visible(&token) {
                Some(bytes) if bytes.len() == 1 || is_made.contains(&TokenId(id)) || !is_text(&token) => {
                    tokens.push((id, bytes, true));
                }
                _ => tokens.push((id, token.into_bytes(), false)),
            }
        }
        Ok(Parts { tokens, merges, ..Parts::default() })
    }
}

/// Largest id that is read: a file with a larger one would take all memory.
pub(crate) const MAX_ID: u32 = 1 << 24;

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
            from_merges.push_specials([crate::END_OF_TEXT]);
            assert!(from_merges == tokenizer);
            assert!(tiktoken::parse(&tiktoken::write(&tokenizer)).unwrap() == tokenizer);
            assert!(tokenizer_json::parse(&tokenizer_json::write(&tokenizer)).unwrap() == tokenizer);
        }
    }

    #[test]
    fn gpt2_files_are_made_byte_for_byte() {
        let gpt2 = Tokenizer::gpt2();
        assert!(merges::write(&gpt2) == include_str!("../../assets/gpt2/vocab.bpe"));
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
        let wrong = "not a byte-level BPE tokenizer.json: ";
        check(
            with("\"normalizer\":null", "\"normalizer\":{\"type\":\"Nmt\"}"),
            &format!("{wrong}its normalizer Nmt is not known"),
        );
        check(
            with("\"dropout\":null", "\"dropout\":0.1"),
            &format!("{wrong}the model has a dropout: its ids are random"),
        );
        check(
            with("\"end_of_word_suffix\":\"\"", "\"end_of_word_suffix\":\"</w>\""),
            &format!("{wrong}the model's end_of_word_suffix is \"</w>\", which byte-level BPE has not"),
        );
        check(
            with("\"content\":\"<|endoftext|>\"", "\"content\":\"a\""),
            &format!("{wrong}the added token \"a\" has id 260, and id 64 in the vocabulary"),
        );
        check(
            tiktoken::parse_with(&tiktoken::write(&small()), None),
            "the file has 260 tokens of no encoding that is known, and does not say by which pattern texts are split",
        );
    }

    /// Ids of a text by a tokenizer.
    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        crate::Encoder::new(tokenizer).encode(text).iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_token_that_no_merge_makes_is_found_whole_as_tiktoken_does() {
        let bytes = tiktoken::write(&Tokenizer::bytes_only());
        let tokenizer = tiktoken::parse(&format!("{bytes}YWJj 256\n")).unwrap();
        assert_eq!(ids(&tokenizer, "abc abc"), [256, 220, 64, 65, 66]);
    }

    #[test]
    fn ids_are_those_of_the_vocabulary() {
        let vocab: HashMap<String, u32> =
            (0..256u32).map(|id| (to_visible(Tokenizer::bytes_only().token(TokenId(id))), 300 - id)).collect();
        let mut vocab = vocab;
        vocab.extend([("ab".to_owned(), 7), ("<s>".to_owned(), 0)]);
        let tokenizer = merges::parse_with_vocab("a b\n", vocab, HashMap::new()).unwrap();
        assert_eq!(ids(&tokenizer, "abc<s>"), [7, 300 - 66, 300 - 27, 300 - 82, 300 - 29]);
        assert_eq!(tokenizer.special("<s>"), Some(TokenId(0)));
        assert_eq!(tokenizer.decode(&[TokenId(7), TokenId(0)]).unwrap(), b"ab<s>");
        assert!(tokenizer.decode(&[TokenId(1)]).is_err(), "an id of no token");
    }
}
