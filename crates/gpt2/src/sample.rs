//! Text out of a model, token by token.

use bpe::{TokenId, Tokenizer};

use crate::model::Model;
use crate::random::{Stream, uniform};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// Most tokens to add.
    pub tokens: usize,
    /// 0 takes the likeliest token; 1 follows the model's probabilities.
    pub temperature: f32,
    /// Only the likeliest `top_k` tokens; 0 for all.
    pub top_k: usize,
    /// Seed of the choice.
    pub seed: u64,
}

/// Continues `prompt` (ids), until end-of-text or `options.tokens`; `each` gets every new token.
///
/// An empty prompt begins after end-of-text. Time O(context) forward passes of a sequence a token.
///
/// # Panics
/// If an id of the prompt, or the tokenizer's end-of-text, is not in the model's vocabulary.
pub fn sample(
    model: &Model,
    tokenizer: &Tokenizer,
    prompt: &[TokenId],
    options: &SampleOptions,
    mut each: impl FnMut(TokenId),
) {
    let end_of_text = tokenizer.end_of_text().map(|id| id.0);
    let mut ids: Vec<u32> = prompt.iter().map(|id| id.0).collect();
    if ids.is_empty() {
        ids.push(end_of_text.unwrap_or(0));
    }
    for place in 0..options.tokens {
        let window = &ids[ids.len().saturating_sub(model.config().context)..];
        let id = choose(&model.next_logits(window), options, place as u64);
        if Some(id) == end_of_text {
            return;
        }
        ids.push(id);
        each(TokenId(id));
    }
}

fn choose(logits: &[f32], options: &SampleOptions, place: u64) -> u32 {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
    if options.temperature <= 0.0 {
        return order[0];
    }
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let most = logits[order[0] as usize];
    let weights: Vec<f64> =
        order.iter().map(|&id| f64::from((logits[id as usize] - most) / options.temperature).exp()).collect();
    let mut left = uniform(options.seed, Stream::Samples, place) * weights.iter().sum::<f64>();
    for (&id, weight) in order.iter().zip(weights) {
        left -= weight;
        if left < 0.0 {
            return id;
        }
    }
    order[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(temperature: f32, top_k: usize, seed: u64, allowed: &[u32]) {
        let options = SampleOptions { tokens: 1, temperature, top_k, seed };
        let id = choose(&[1.0, 3.0, 2.0, 3.0], &options, 0);
        assert!(allowed.contains(&id), "{id}");
    }

    #[test]
    fn choices() {
        check(0.0, 0, 1, &[1]);
        for seed in 0..50 {
            check(1.0, 2, seed, &[1, 3]);
            check(1.0, 1, seed, &[1]);
            check(0.01, 0, seed, &[1, 3]);
        }
    }
}
