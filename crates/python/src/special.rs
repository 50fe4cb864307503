//! Which special tokens in a text are tokens, which are text and which are an error: tiktoken's `allowed_special` and
//! `disallowed_special`.

use aho_corasick::{AhoCorasick, MatchKind};
use bpe::{Encoder, SpecialInText, Specials, TokenId, Tokenizer};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::of_value;

/// The word `"all"`, or tokens.
pub(crate) enum Chosen {
    All,
    Tokens(Vec<String>),
}

impl<'py> FromPyObject<'_, 'py> for Chosen {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Chosen> {
        if let Ok(word) = object.cast::<PyString>() {
            let word = word.to_str()?;
            let fault = || of_value(format!("special tokens are \"all\" or a collection, such as {{{word:?}}}"));
            return if word == "all" { Ok(Chosen::All) } else { Err(fault()) };
        }
        Ok(Chosen::Tokens(object.try_iter()?.map(|token| token?.extract()).collect::<PyResult<_>>()?))
    }
}

/// How the special tokens in texts are treated.
pub(crate) struct SpecialRules {
    /// How the encoder treats what is between `allowed`.
    specials: Specials,
    /// Those that become their ids, if these are not all or none.
    allowed: Option<(AhoCorasick, Vec<TokenId>)>,
    /// Those that are an error, if these are not all that are not allowed.
    refused: Option<(AhoCorasick, Vec<String>)>,
}

impl SpecialRules {
    /// All special tokens are text.
    pub(crate) const ORDINARY: SpecialRules =
        SpecialRules { specials: Specials::Ordinary, allowed: None, refused: None };

    /// By tiktoken's arguments: without them none is allowed, and all that are not allowed are an error.
    pub(crate) fn new(
        tokenizer: &Tokenizer,
        allowed: Option<Chosen>,
        refused: Option<Chosen>,
    ) -> PyResult<SpecialRules> {
        let known = tokenizer.specials();
        let allowed: Vec<String> = match allowed {
            Some(Chosen::All) => known.to_vec(),
            None => Vec::new(),
            Some(Chosen::Tokens(tokens)) => tokens,
        };
        let refused: Vec<String> = match refused {
            None | Some(Chosen::All) => known.iter().filter(|token| !allowed.contains(token)).cloned().collect(),
            Some(Chosen::Tokens(tokens)) => tokens,
        };
        for token in allowed.iter().chain(&refused) {
            if !known.contains(token) {
                let names = known.join(", ");
                return Err(of_value(format!("{token:?} is no special token of this tokenizer; it has {names}")));
            }
        }
        let has_all = |tokens: &[String]| known.iter().all(|token| tokens.contains(token));
        if has_all(&allowed) && refused.is_empty() {
            return Ok(SpecialRules { specials: Specials::Allowed, ..SpecialRules::ORDINARY });
        }
        if allowed.is_empty() && has_all(&refused) {
            return Ok(SpecialRules { specials: Specials::Refused, ..SpecialRules::ORDINARY });
        }
        let ids = allowed.iter().filter_map(|token| tokenizer.special(token)).collect();
        let allowed = matcher(&allowed)?.map(|matcher| (matcher, ids));
        let refused = matcher(&refused)?.map(|matcher| (matcher, refused));
        Ok(SpecialRules { specials: Specials::Ordinary, allowed, refused })
    }

    /// Appends the ids of a text.
    pub(crate) fn encode(
        &self,
        encoder: &mut Encoder<'_>,
        text: &str,
        ids: &mut Vec<TokenId>,
    ) -> Result<(), SpecialInText> {
        if let Some((matcher, tokens)) = &self.refused
            && let Some(found) = matcher.find(text)
        {
            return Err(SpecialInText { special: tokens[found.pattern().as_usize()].clone(), at: found.start() });
        }
        let mut rest = 0;
        if let Some((matcher, tokens)) = &self.allowed {
            for found in matcher.find_iter(text) {
                encoder.encode_into_with(&text[rest..found.start()], self.specials, ids)?;
                ids.push(tokens[found.pattern().as_usize()]);
                rest = found.end();
            }
        }
        encoder.encode_into_with(&text[rest..], self.specials, ids)
    }
}

/// Finds the first of some tokens, and of those that begin at one place the longest.
fn matcher(tokens: &[String]) -> PyResult<Option<AhoCorasick>> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let matcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(tokens);
    Ok(Some(matcher.map_err(|error| of_value(error.to_string()))?))
}

/// A special token where it is not allowed, with what to do.
pub(crate) fn of_special(error: &SpecialInText, text_number: Option<usize>) -> PyErr {
    let token = &error.special;
    let which = text_number.map(|number| format!("text {number}: ")).unwrap_or_default();
    of_value(format!(
        "{which}{error}\nhint: allowed_special={{{token:?}}} makes it a token; disallowed_special=() makes it ordinary text, \
         as encode_ordinary does"
    ))
}
