//! ROUGE (Lin 2004), as `rouge-score` computes it without a stemmer.
//!
//! Tokens are runs of ASCII letters and digits in lower case; all else separates. ROUGE-L is over the whole text,
//! which `rouge-score` calls `rougeL`; its `rougeLsum`, which takes each line as a sentence, is left out.

use super::{common, f1};

/// F1 of the sequences of `n` tokens, 0 to 1.
///
/// ```
/// # use gpt2_lab::evaluate::metrics::rouge_n;
/// assert_eq!(rouge_n("The cat sat.", "the cat ran", 2), 0.5);
/// ```
pub fn rouge_n(found: &str, expected: &str, n: usize) -> f64 {
    let (found, expected) = (tokens(found), tokens(expected));
    let sequences = |tokens: &[String]| (tokens.len() + 1).saturating_sub(n) as u64;
    f1(common(&found, &expected, n), sequences(&found), sequences(&expected))
}

/// F1 of the longest common subsequence of tokens, 0 to 1. Time: the product of both lengths.
pub fn rouge_l(found: &str, expected: &str) -> f64 {
    let (found, expected) = (tokens(found), tokens(expected));
    f1(longest_common_subsequence(&found, &expected), found.len() as u64, expected.len() as u64)
}

fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

fn longest_common_subsequence(a: &[String], b: &[String]) -> u64 {
    let mut lengths = vec![0; b.len() + 1]; // of what was read of `a`, and the first tokens of `b`
    for a in a {
        let mut diagonal = 0;
        for (i, b) in b.iter().enumerate() {
            let above = lengths[i + 1];
            lengths[i + 1] = if a == b { diagonal + 1 } else { above.max(lengths[i]) };
            diagonal = above;
        }
    }
    lengths[b.len()]
}
