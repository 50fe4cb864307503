//! Perplexity of texts, by a window that slides over them.
//!
//! Each document begins after end-of-text, so its first token is predicted too. The first window holds a whole context,
//! and all its tokens are scored. Each later window moves on by `stride` tokens, and only the last `stride` are scored:
//! every token exactly once, and after the first context with at least `context − stride + 1` tokens before it. What
//! stands before a token depends on its position alone, so the last window may be shorter.
//!
//! The sum of all negative log-likelihoods, in nats, is divided by tokens, by words (what white space separates) and by
//! bytes: those by words and bytes compare models with different tokenizers, and the division is exact, as every byte
//! of the text is in one token.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bpe::TokenId;
use gpt2::ScoreRequest;
use texts::{DocumentOptions, Documents, Source};

use super::rows::open;
use super::scorer::{Scorer, log_probability};
use super::{EvalError, EvalMetric, EvalOptions, EvalProgress};

/// Longest text of a line or row, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 30;
/// Windows that are scored between two reports of progress.
const WINDOWS_AT_A_TIME: usize = 32;

/// Sums over the documents that were scored.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    nats: f64,
    tokens: u64,
    words: u64,
    bytes: u64,
}

/// A plain text as one document, or the `text` of each line of JSON Lines or row of Parquet; `limit` is a number of
/// tokens.
pub(super) fn evaluate(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let context = scorer.model.config().context;
    let stride = options.stride.unwrap_or(context.div_ceil(2));
    if stride == 0 || stride > context {
        return Err(EvalError::Stride { stride, context });
    }
    let limit = options.limit.unwrap_or(u64::MAX);
    let mut sums = Sums::default();
    for document in documents(path)? {
        let left = limit - sums.tokens;
        if left == 0 {
            break;
        }
        let before = sums.tokens;
        score_document(scorer, &document?, left, stride, &mut sums, &mut |done| progress(before + done, options.limit));
    }
    if sums.tokens == 0 {
        return Err(EvalError::Empty { path: path.to_path_buf() });
    }
    let Sums { nats, tokens, words, bytes } = sums;
    Ok(vec![
        EvalMetric::new("nats_per_token", nats / tokens as f64, tokens),
        EvalMetric::new("perplexity_per_token", (nats / tokens as f64).exp(), tokens),
        EvalMetric::new("perplexity_per_word", (nats / words as f64).exp(), words),
        EvalMetric::new("bits_per_byte", nats / std::f64::consts::LN_2 / bytes as f64, bytes),
    ])
}

/// The documents of a file. A plain text is read with every byte, a byte order mark included.
fn documents(path: &Path) -> Result<Box<dyn Iterator<Item = Result<String, EvalError>> + '_>, EvalError> {
    let broken = |source| EvalError::Source { path: path.to_path_buf(), source };
    let file = || File::open(path).map_err(|source| EvalError::io(path, source));
    if let Source::PlainText(_) = open(path)? {
        let mut text = String::new();
        let read = texts::decompress_exactly(file()?).and_then(|mut reader| reader.read_to_string(&mut text));
        read.map_err(|source| EvalError::io(path, source))?;
        return Ok(Box::new(std::iter::once(Ok(text))));
    }
    let options = DocumentOptions::default().with_max_text_bytes(MAX_TEXT_BYTES);
    let documents = Documents::open(file()?, options).map_err(broken)?;
    Ok(Box::new(documents.map(move |document| match document.map_err(broken)? {
        Ok(document) => Ok(document.text),
        Err(malformed) => Err(EvalError::row(path, malformed.place.number(), malformed.fault.to_string())),
    })))
}

/// Adds the first `limit` tokens of a document.
fn score_document(
    scorer: &mut Scorer<'_>,
    text: &str,
    limit: u64,
    stride: usize,
    sums: &mut Sums,
    progress: &mut dyn FnMut(u64),
) {
    let mut tokens = scorer.encode(text);
    let whole = tokens.len();
    tokens.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    if tokens.len() < whole {
        // Those of the tokens, since a tokenizer may change characters.
        let bytes: Vec<u8> = tokens.iter().flat_map(|&id| scorer.tokenizer.token(TokenId(id))).copied().collect();
        sums.bytes += bytes.len() as u64;
        sums.words += String::from_utf8_lossy(&bytes).split_whitespace().count() as u64;
    } else {
        sums.bytes += text.len() as u64;
        sums.words += text.split_whitespace().count() as u64;
    }
    sums.tokens += tokens.len() as u64;
    tokens.insert(0, scorer.end_of_text());
    let windows = windows(tokens.len(), scorer.model.config().context, stride);
    let mut done = 0;
    for windows in windows.chunks(WINDOWS_AT_A_TIME) {
        let requests: Vec<ScoreRequest<'_>> = windows
            .iter()
            .map(|window| ScoreRequest {
                tokens: &tokens[window.start..window.end],
                first_scored: window.scored - window.start,
            })
            .collect();
        sums.nats -= scorer.model.score_all(&requests).iter().map(|scores| log_probability(scores)).sum::<f64>();
        done += windows.iter().map(|window| window.end - window.scored).sum::<usize>() as u64;
        progress(done);
    }
}

/// Tokens `start..end`, of which those from `scored` on are scored.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    start: usize,
    scored: usize,
    end: usize,
}

/// The windows over a sequence of `len` tokens, the first of which is end-of-text and not scored.
fn windows(len: usize, context: usize, stride: usize) -> Vec<Window> {
    let mut windows = vec![Window { start: 0, scored: 1, end: len.min(context + 1) }];
    let mut scored = context + 1;
    while scored < len {
        // As many inputs as the context holds, were the window full.
        windows.push(Window { start: scored + stride - context - 1, scored, end: len.min(scored + stride) });
        scored += stride;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_scored_once_with_enough_before_it() {
        for context in 1..8 {
            for stride in 1..=context {
                for len in 1..30 {
                    let mut next = 1;
                    for window in windows(len, context, stride) {
                        assert_eq!(window.scored, next);
                        assert!(window.end - window.start <= context + 1);
                        let before = window.scored - window.start;
                        assert!(window.start == 0 || before > context - stride, "{window:?}");
                        next = window.end;
                    }
                    assert_eq!(next, len.max(1), "{context} {stride} {len}");
                }
            }
        }
    }
}
