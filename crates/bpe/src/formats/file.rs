//! Finds a tokenizer's file, and reads it by its content.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{FormatError, merges, tiktoken, tokenizer_json};
use crate::split::text_rules::TextRules;
use crate::{AddedToken, Tokenizer};

/// The files that programs look for in a tokenizer's folder.
/// The first four are a tokenizer by themselves, and are looked for in this order.
pub(crate) const FILES_IN_FOLDERS: [&str; 8] = [
    "tokenizer.json",
    "merges.txt",
    "vocab.bpe",
    "tokenizer.tiktoken",
    "vocab.json",
    "encoder.json",
    "added_tokens.json",
    "training.json",
];

/// How a tokenizer is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// By which pattern texts are split: a name or a regular expression. Default: what the file says, or else what it is
    /// recognised as.
    pub pattern: Option<String>,
    /// The added token between documents. Default: the first that is there of `<|endoftext|>` and its like.
    pub end_of_text: Option<String>,
    /// The special tokens of a `.tiktoken` file that is not recognised, which names none. Default: `<|endoftext|>` alone.
    pub specials: Vec<GivenSpecial>,
}

/// A special token that a caller names, with its id; without one it is behind all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenSpecial {
    /// Its text.
    pub content: String,
    /// Its id.
    pub id: Option<u32>,
}

impl std::str::FromStr for GivenSpecial {
    type Err = std::convert::Infallible;

    /// Reads `TOKEN` or `TOKEN=ID`.
    fn from_str(text: &str) -> Result<GivenSpecial, Self::Err> {
        let with_id = text.rsplit_once('=').and_then(|(content, id)| Some((content, id.parse().ok()?)));
        let (content, id) = with_id.map_or((text, None), |(content, id)| (content, Some(id)));
        Ok(GivenSpecial { content: content.to_owned(), id })
    }
}

/// A tokenizer that was loaded, and what its file did not say.
pub struct Loaded {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Whether `<|endoftext|>` was put behind all tokens of a `.tiktoken` file of which no special token is known.
    pub is_end_added: bool,
}

impl From<Tokenizer> for Loaded {
    fn from(tokenizer: Tokenizer) -> Loaded {
        Loaded { tokenizer, is_end_added: false }
    }
}

impl LoadOptions {
    /// The same with a pattern.
    pub fn with_pattern(self, pattern: Option<String>) -> LoadOptions {
        LoadOptions { pattern, ..self }
    }

    /// The same with a token between documents.
    pub fn with_end_of_text(self, end_of_text: Option<String>) -> LoadOptions {
        LoadOptions { end_of_text, ..self }
    }

    /// The same with special tokens.
    pub fn with_specials(self, specials: Vec<GivenSpecial>) -> LoadOptions {
        LoadOptions { specials, ..self }
    }
}

/// Loads a tokenizer by name (`gpt2`), from a file of any known format, or from a folder that holds one.
///
/// # Errors
/// When there is none, it cannot be read, or it would give other ids than the original program does.
pub fn load(name: &str) -> Result<Tokenizer, FormatError> {
    load_with(name, &LoadOptions::default())
}

/// As [`load`], with options.
///
/// # Errors
/// As [`load`]; and when an option does not go with the file.
pub fn load_with(name: &str, options: &LoadOptions) -> Result<Tokenizer, FormatError> {
    Ok(load_with_report(name, options)?.tokenizer)
}

/// As [`load_with`], with what the file did not say.
///
/// # Errors
/// As [`load_with`].
pub fn load_with_report(name: &str, options: &LoadOptions) -> Result<Loaded, FormatError> {
    let loaded: Loaded = match file_of(name)? {
        Some(path) => {
            let loaded = read(&path).and_then(|text| parse(&path, &text, options));
            loaded.map_err(|error| match error {
                error @ (FormatError::Io { .. } | FormatError::InFile { .. }) => error,
                error => FormatError::InFile { path, source: Box::new(error) },
            })?
        }
        None => {
            let gpt2 = Tokenizer::gpt2();
            options.pattern.as_deref().map(|pattern| of_said_pattern(gpt2.rules(), pattern)).transpose()?;
            refuse_specials(options)?;
            gpt2.into()
        }
    };
    Ok(match &options.end_of_text {
        Some(end) => Loaded { tokenizer: loaded.tokenizer.with_end_of_text(end)?, is_end_added: false },
        None => loaded,
    })
}

/// Special tokens are given for a file that names its own, or is known.
fn refuse_specials(options: &LoadOptions) -> Result<(), FormatError> {
    match options.specials.first() {
        Some(GivenSpecial { content, .. }) => Err(FormatError::OwnSpecials { content: content.clone() }),
        None => Ok(()),
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
    let whole = &FILES_IN_FOLDERS[..4];
    if let Some(found) = whole.iter().map(|file| path.join(file)).find(|file| file.is_file()) {
        return Ok(Some(found));
    }
    let mut others = std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let found = others.find(|file| file.extension().is_some_and(|extension| extension == "tiktoken"));
    found.map(Some).ok_or_else(|| FormatError::NotFound(path.to_path_buf()))
}

/// The files that [`load`] reads for a name: that of [`file_of`], and those beside it, unless it is a whole
/// `tokenizer.json`.
///
/// # Errors
/// As [`file_of`].
pub fn files_of(name: &str) -> Result<Vec<PathBuf>, FormatError> {
    let Some(path) = file_of(name)? else { return Ok(Vec::new()) };
    let is_whole = || {
        let text = read(&path).unwrap_or_default();
        text.trim_start().starts_with('{') && serde_json::from_str::<HashMap<String, u32>>(&text).is_err()
    };
    // A pipe has nothing beside it, and is read once.
    if !path.is_file() || is_whole() {
        return Ok(vec![path]);
    }
    // These two are whole by themselves, and not read with others.
    let is_beside = |name: &&&str| !["tokenizer.json", "tokenizer.tiktoken"].contains(name);
    let others =
        FILES_IN_FOLDERS.iter().filter(is_beside).filter_map(|name| beside(&path, name)).filter(|other| *other != path);
    Ok(others.chain([path.clone()]).collect())
}

/// A file's text, without a byte order mark.
fn read(path: &Path) -> Result<String, FormatError> {
    let in_file = |source| FormatError::InFile { path: path.to_path_buf(), source: Box::new(source) };
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| FormatError::Io { action: "read", path: path.to_path_buf(), source })?;
    if is_sentencepiece(&bytes) {
        return Err(in_file(FormatError::SentencePiece));
    }
    match texts::ForeignFormat::of_bytes(&bytes) {
        // A text is decompressed before it is looked at; a tokenizer is not.
        Some(texts::ForeignFormat::CompressedTwice) => return Err(in_file(FormatError::Compressed)),
        Some(format) => return Err(in_file(FormatError::Foreign(format))),
        None => {}
    }
    let text =
        String::from_utf8(bytes).map_err(|error| in_file(FormatError::NoUtf8(error.utf8_error().valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Whether these are the bytes of a SentencePiece model: a protocol buffer whose first field is a piece with its score,
/// and whose first pieces are `<unk>` and the like.
fn is_sentencepiece(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(64)];
    matches!(start, [0x0a, _, 0x0a, ..])
        && start.contains(&0x15)
        && start.windows(2).any(|pair| pair[1] == b'<' && pair[0] < 0x20)
}

/// Reads a file by what it holds: JSON, lines of base64 and ranks, or merges.
fn parse(path: &Path, text: &str, options: &LoadOptions) -> Result<Loaded, FormatError> {
    let pattern = options.pattern.as_deref();
    if text.trim_start().is_empty() {
        return Err(FormatError::Empty);
    }
    if !text.trim_start().starts_with('{') && is_tiktoken(path, text) {
        let training = TrainingRecord::beside(path).unwrap_or_default();
        let tokenizer = match (training.pattern.as_deref(), training.added_tokens) {
            (None, None) => return tiktoken::parse_given(text, pattern, &options.specials),
            // Of a version that had no other special token.
            (Some(said), None) => tiktoken::parse_with(text, Some(said))?,
            (said, Some(added)) => tiktoken::parse_as(text, said.or(pattern), added)?,
        };
        refuse_specials(options)?;
        pattern.map(|pattern| of_said_pattern(tokenizer.rules(), pattern)).transpose()?;
        return Ok(tokenizer.into());
    }
    refuse_specials(options)?;
    let is_json = text.trim_start().starts_with('{');
    let tokenizer = if is_json { parse_json(path, text, pattern)? } else { parse_merges(path, text, pattern)? };
    Ok(tokenizer.into())
}

fn parse_json(path: &Path, text: &str, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    if let Ok(_vocab) = serde_json::from_str::<HashMap<String, u32>>(text) {
        let merges = beside(path, "merges.txt").or_else(|| beside(path, "vocab.bpe"));
        let merges =
            merges.ok_or_else(|| FormatError::Json("it is a vocabulary, and has no merges.txt beside it".into()))?;
        return parse_merges(&merges, &read(&merges)?, pattern);
    }
    let tokenizer = tokenizer_json::parse(text)?;
    match pattern {
        None => Ok(tokenizer),
        Some(given) => Err(own_pattern(tokenizer.rules(), given)),
    }
}

/// Merges, with the ids of the vocabulary beside them if there is one.
fn parse_merges(path: &Path, text: &str, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    let training = TrainingRecord::beside(path).unwrap_or_default();
    let vocab = beside(path, "vocab.json").or_else(|| beside(path, "encoder.json"));
    let tokenizer = match vocab {
        Some(vocab) => {
            let added = beside(path, "added_tokens.json").map(|file| ids_of(&file)).transpose()?;
            merges::parse_as(text, ids_of(&vocab)?, added.unwrap_or_default(), training.added_tokens)?
        }
        None => {
            let mut tokenizer = merges::parse(text)?;
            tokenizer.push_specials([crate::END_OF_TEXT]);
            tokenizer
        }
    };
    match (training.pattern.as_deref(), pattern) {
        (Some(said), given) => {
            let tokenizer = with_pattern(tokenizer, Some(said))?;
            given.map(|given| of_said_pattern(tokenizer.rules(), given)).transpose()?;
            Ok(tokenizer)
        }
        (None, given) => with_pattern(tokenizer, given),
    }
}

/// The pattern that is given for a tokenizer, if it is that which the tokenizer says: by another it would give ids that
/// are nobody's.
pub(super) fn of_said_pattern(said: &TextRules, given: &str) -> Result<TextRules, FormatError> {
    let rules = TextRules::of_pattern(given).map_err(FormatError::Pattern)?;
    match rules == *said {
        true => Ok(rules),
        false => Err(own_pattern(said, given)),
    }
}

fn own_pattern(said: &TextRules, given: &str) -> FormatError {
    let own = said.pattern_source().unwrap_or_else(|| "which is no single one".to_owned());
    FormatError::OwnPattern { given: given.to_owned(), own }
}

pub(super) fn with_pattern(tokenizer: Tokenizer, pattern: Option<&str>) -> Result<Tokenizer, FormatError> {
    Ok(match pattern {
        Some(pattern) => tokenizer.with_rules(TextRules::of_pattern(pattern).map_err(FormatError::Pattern)?),
        None => tokenizer,
    })
}

fn is_tiktoken(path: &Path, text: &str) -> bool {
    let is_line = |line: &str| {
        let parts = line.split_once(' ');
        parts.is_some_and(|(token, rank)| {
            rank.trim().parse::<u32>().is_ok() && data_encoding::BASE64.decode(token.as_bytes()).is_ok()
        })
    };
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tiktoken"))
        || text.lines().take(3).all(is_line) && !text.is_empty()
}

fn ids_of(path: &Path) -> Result<HashMap<String, u32>, FormatError> {
    let ids = serde_json::from_str(&read(path)?);
    ids.map_err(|error| FormatError::Json(format!("{} is no vocabulary: {error}", path.display())))
}

/// A file of this name in the folder of another.
fn beside(path: &Path, name: &str) -> Option<PathBuf> {
    Some(path.with_file_name(name)).filter(|file| file.is_file())
}

/// What `bpe train` writes in `training.json` for the files beside it, which do not say it.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct TrainingRecord {
    /// By which pattern the texts are split; none if no pattern alone says it.
    pub pattern: Option<String>,
    /// The added tokens, as in a `tokenizer.json`. Versions that had only special tokens wrote none.
    pub added_tokens: Option<Vec<AddedToken>>,
}

impl TrainingRecord {
    /// That of a tokenizer.
    pub fn of(tokenizer: &Tokenizer) -> TrainingRecord {
        let added_tokens = Some(tokenizer.added_tokens().to_vec());
        TrainingRecord { pattern: tokenizer.rules().pattern_source(), added_tokens }
    }

    pub(super) fn beside(path: &Path) -> Option<TrainingRecord> {
        let training = std::fs::read_to_string(beside(path, "training.json")?).ok()?;
        let mut training: serde_json::Value = serde_json::from_str(&training).ok()?;
        training.get("vocab_size")?;
        // Versions that knew no other pattern than GPT-2's wrote none.
        training.as_object_mut()?.entry("pattern").or_insert_with(|| "gpt2".into());
        serde_json::from_value(training).ok()
    }
}
