//! Converts between texts and a model's ids.

use bpe::{Encoder, TokenId, Tokenizer};
use gpt2::{Model, SampleOptions, sample};

/// Ids that a model may have beyond those of its tokenizer: special tokens, and the padding of its matrices.
const MAX_UNNAMED_IDS: usize = 1024;

/// A model has fewer ids than its tokenizer, or so many more that the tokenizer must be another model's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tokenizer has {tokens} tokens, but the model has {vocab_size}: it was trained with another tokenizer")]
#[non_exhaustive]
pub struct VocabularyError {
    /// Tokens of the tokenizer.
    pub tokens: usize,
    /// Ids of the model.
    pub vocab_size: usize,
}

/// Checks that a model with `vocab_size` ids has one for each token, and at most 1,024 others.
///
/// # Errors
/// [`VocabularyError`] if it has fewer or more.
pub fn check_vocabulary(tokenizer: &Tokenizer, vocab_size: usize) -> Result<(), VocabularyError> {
    let tokens = tokenizer.vocab_size();
    if tokens > vocab_size || vocab_size - tokens > MAX_UNNAMED_IDS {
        Err(VocabularyError { tokens, vocab_size })
    } else {
        Ok(())
    }
}

/// The ids of a text.
///
/// ```
/// assert_eq!(gpt2_lab::encode(&bpe::Tokenizer::gpt2(), "Hello world"), [15496, 995]);
/// ```
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    Encoder::new(tokenizer).encode(text).into_iter().map(|TokenId(id)| id).collect()
}

/// The bytes of an id; none for an id that the tokenizer lacks.
pub fn bytes_of(tokenizer: &Tokenizer, id: u32) -> &[u8] {
    if (id as usize) < tokenizer.vocab_size() { tokenizer.token(TokenId(id)) } else { &[] }
}

/// The text of ids. Invalid UTF-8 becomes U+FFFD; ids that the tokenizer lacks have no text.
pub fn decode(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let bytes: Vec<u8> = ids.iter().flat_map(|&id| bytes_of(tokenizer, id)).copied().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `prompt` and its continuation.
///
/// # Panics
/// If the tokenizer has more tokens than the model.
pub fn continue_text(model: &Model, tokenizer: &Tokenizer, prompt: &str, options: &SampleOptions) -> String {
    let mut ids = Vec::new();
    let end_of_text = tokenizer.end_of_text().map(|id| id.0);
    let mut options = options.clone();
    options.vocab_size = tokenizer.vocab_size();
    sample(model, &encode(tokenizer, prompt), end_of_text, &options, |id| ids.push(id));
    format!("{prompt}{}", decode(tokenizer, &ids))
}
