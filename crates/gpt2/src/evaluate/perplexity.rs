//! Perplexity of texts, by a window that slides over them.
//!
//! Each document stands behind end-of-text, so its first token is predicted too. The first window holds a whole
//! context, and all its tokens are judged. Each later window moves on by `stride` tokens, and only the last `stride`
//! are judged: every token exactly once, and after the first context with at least `context − stride + 1` tokens
//! before it. What stands before a token depends on its place alone, so the last window may be shorter.
//!
//! The sum of all surprises, in nats, is divided by tokens, by words (what white space separates) and by bytes:
//! figures by words and bytes compare models with different tokenizers, and the division is exact, as every byte of
//! the text is in one token.

use std::path::Path;

use bpe::TokenId;
use bpe::input::{InputOptions, WholeDocuments};

use super::passages::{Judge, log_probability};
use super::{EvaluateError, EvaluateOptions, Metric, Progress};
use crate::score::Span;

/// Windows that are judged between two reports of progress.
const WINDOWS_AT_A_TIME: usize = 32;

/// Sums over the documents that were judged.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    nats: f64,
    tokens: u64,
    words: u64,
    bytes: u64,
}

/// A text as a whole, or the `text` of each line of JSON Lines; `limit` is a number of tokens.
pub(super) fn evaluate(
    judge: &mut Judge<'_>,
    path: &Path,
    options: &EvaluateOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<Metric>, EvaluateError> {
    let context = judge.model.config().context;
    let stride = options.stride.unwrap_or(context.div_ceil(2));
    if stride == 0 || stride > context {
        return Err(EvaluateError::Stride { stride, context });
    }
    let limit = options.limit.unwrap_or(u64::MAX);
    let mut sums = Sums::default();
    for document in WholeDocuments::open(path, &InputOptions::default())? {
        let left = limit - sums.tokens;
        if left == 0 {
            break;
        }
        let before = sums.tokens;
        judge_document(judge, &document?, left, stride, &mut sums, &mut |done| progress(before + done, options.limit));
    }
    if sums.tokens == 0 {
        return Err(EvaluateError::Empty { path: path.to_path_buf() });
    }
    let Sums { nats, tokens, words, bytes } = sums;
    Ok(vec![
        Metric::new("nats_per_token", nats / tokens as f64, tokens),
        Metric::new("perplexity_per_token", (nats / tokens as f64).exp(), tokens),
        Metric::new("perplexity_per_word", (nats / words as f64).exp(), words),
        Metric::new("bits_per_byte", nats / std::f64::consts::LN_2 / bytes as f64, bytes),
    ])
}

/// Adds the first `limit` tokens of a document.
fn judge_document(
    judge: &mut Judge<'_>,
    text: &str,
    limit: u64,
    stride: usize,
    sums: &mut Sums,
    progress: &mut dyn FnMut(u64),
) {
    let mut tokens = judge.encode(text);
    let whole = tokens.len();
    tokens.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    if tokens.len() < whole {
        let bytes: usize = tokens.iter().map(|&id| judge.tokenizer.token(TokenId(id)).len()).sum();
        sums.bytes += bytes as u64;
        sums.words += String::from_utf8_lossy(&text.as_bytes()[..bytes]).split_whitespace().count() as u64;
    } else {
        sums.bytes += text.len() as u64;
        sums.words += text.split_whitespace().count() as u64;
    }
    sums.tokens += tokens.len() as u64;
    tokens.insert(0, judge.end_of_text());
    let windows = windows(tokens.len(), judge.model.config().context, stride);
    let mut done = 0;
    for windows in windows.chunks(WINDOWS_AT_A_TIME) {
        let spans: Vec<Span<'_>> = windows
            .iter()
            .map(|window| Span { tokens: &tokens[window.start..window.end], from: window.judged - window.start })
            .collect();
        sums.nats -= judge.model.score_all(&spans).iter().map(|scores| log_probability(scores)).sum::<f64>();
        done += windows.iter().map(|window| window.end - window.judged).sum::<usize>() as u64;
        progress(done);
    }
}

/// Tokens `start..end`, of which those from `judged` on are judged.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    start: usize,
    judged: usize,
    end: usize,
}

/// The windows over a sequence of `len` tokens, the first of which is end-of-text and not judged.
fn windows(len: usize, context: usize, stride: usize) -> Vec<Window> {
    let mut windows = vec![Window { start: 0, judged: 1, end: len.min(context + 1) }];
    let mut judged = context + 1;
    while judged < len {
        // As many inputs as the context holds, were the window full.
        windows.push(Window { start: judged + stride - context - 1, judged, end: len.min(judged + stride) });
        judged += stride;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_judged_once_with_enough_before_it() {
        for context in 1..8 {
            for stride in 1..=context {
                for len in 1..30 {
                    let mut next = 1;
                    for window in windows(len, context, stride) {
                        assert_eq!(window.judged, next);
                        assert!(window.end - window.start <= context + 1);
                        let before = window.judged - window.start;
                        assert!(window.start == 0 || before > context - stride, "{window:?}");
                        next = window.end;
                    }
                    assert_eq!(next, len.max(1), "{context} {stride} {len}");
                }
            }
        }
    }
}
