//! Beam search: an approximation of the most probable continuation.
//!
//! The rules, and thus the texts, are those of Hugging Face's `generate(num_beams=…, do_sample=False)`. Each step takes
//! the 2·width best continuations of all beams by the sum of their log probabilities. Those among the first `width` of
//! them that end become finished texts, with the score sum / length^penalty, the end counted in the length; the best
//! `width` that do not end continue. The search stops when `width` texts are finished and the best beam, at its present
//! length, does not beat the worst of them (`early_stopping=False`), or as soon as `width` texts are finished
//! (`early_stopping=True`).
//!
//! Left out: groups of beams that must differ, sampling within beams, constraints.

use rayon::prelude::*;

use crate::model::Model;
use crate::sample::cache::KeyValueCache;
use crate::sample::choose::top;
use crate::sample::{Sequence, StopReason, advance};

/// How wide a beam search is, and when it ends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BeamOptions {
    /// Number of beams; 1 is greedy.
    pub width: usize,
    /// Tokens that are added at most.
    pub max_tokens: usize,
    /// A text's score is the sum of its log probabilities over its length to this power: 0 prefers short texts, 1
    /// compares means per token, more prefers long texts. Default: 1.
    pub length_penalty: f64,
    /// Stop as soon as `width` texts are finished, although an unfinished one might still score higher. Default: false.
    pub early_stopping: bool,
    /// As [`SampleOptions::vocab_size`](crate::SampleOptions::vocab_size).
    pub vocab_size: usize,
    /// As [`SampleOptions::other_ends`](crate::SampleOptions::other_ends).
    pub other_ends: Vec<u32>,
}

impl BeamOptions {
    /// `width` beams and at most `max_tokens` new tokens; the other options have their defaults.
    pub fn new(width: usize, max_tokens: usize) -> BeamOptions {
        BeamOptions {
            width,
            max_tokens,
            length_penalty: 1.0,
            early_stopping: false,
            vocab_size: usize::MAX,
            other_ends: Vec::new(),
        }
    }
}

/// A finished text.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Its new tokens, without end-of-text.
    pub ids: Vec<u32>,
    /// Sum of its log probabilities in nats, over length^penalty.
    pub score: f64,
    /// [`StopReason::MaxTokens`] or [`StopReason::EndOfText`].
    pub stop: StopReason,
}

/// A beam and one of its continuations.
struct Candidate {
    beam: usize,
    id: u32,
    /// Sum of log probabilities.
    sum: f64,
}

/// The texts after `prompt` with the highest scores, best first: `options.width` of them, or all where there are fewer.
///
/// Time: a pass over the prompt, then a pass over `width` tokens for each position. The window slides as
/// [`sample`](crate::sample()) has it.
///
/// # Panics
/// As [`sample`](crate::sample()); if `options.width` is 0.
pub fn beam_search(model: &Model, prompt: &[u32], end_of_text: Option<u32>, options: &BeamOptions) -> Vec<Hypothesis> {
    let BeamOptions { width, max_tokens, length_penalty, early_stopping, vocab_size, ref other_ends } = *options;
    let is_end = |id: u32| Some(id) == end_of_text || other_ends.contains(&id);
    assert!(width > 0, "at least one beam");
    // Enough that as many go on as there are beams, though a beam may end in each of the tokens that end a text.
    let ends = usize::from(end_of_text.is_some()) + other_ends.iter().filter(|&&id| Some(id) != end_of_text).count();
    let considered = width.saturating_mul(2.max(1 + ends));
    if max_tokens == 0 {
        return vec![Hypothesis { ids: Vec::new(), score: 0.0, stop: StopReason::MaxTokens }];
    }
    let mut cache = KeyValueCache::new(model.config(), width, prompt.len().max(1).saturating_add(max_tokens));
    let first = Sequence::new(&mut cache, 0, prompt, end_of_text);
    let prompt_len = first.ids.len();
    let mut beams = vec![(first, 0.0)];
    let mut finished: Vec<Hypothesis> = Vec::new();
    for len in 1..=max_tokens {
        let normalised = |sum: f64| sum / (len as f64).powf(length_penalty);
        let logits = advance(model, &mut cache, beams.iter_mut().map(|(sequence, _)| sequence));
        let sums: Vec<f64> = beams.iter().map(|&(_, sum)| sum).collect();
        let candidates = best_candidates(&logits, vocab_size, &sums, considered);
        for &Candidate { beam, id, sum } in candidates.iter().take(width) {
            let mut ids = beams[beam].0.ids[prompt_len..].to_vec();
            let stop = if is_end(id) { StopReason::EndOfText } else { StopReason::MaxTokens };
            if stop == StopReason::EndOfText || len == max_tokens {
                ids.extend((stop == StopReason::MaxTokens).then_some(id));
                finished.push(Hypothesis { ids, score: normalised(sum), stop });
            }
        }
        finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        finished.truncate(width);
        let going_on: Vec<&Candidate> =
            candidates.iter().filter(|candidate| !is_end(candidate.id)).take(width).collect();
        let is_beaten = |best: &&Candidate| normalised(best.sum) <= finished[width - 1].score;
        let is_decided = || finished.len() == width && (early_stopping || going_on.first().is_none_or(is_beaten));
        if len == max_tokens || is_decided() {
            break;
        }
        beams = continued(&mut cache, width, &beams, &going_on);
    }
    finished
}

/// The `count` best continuations of all beams with ids below `known`, best first; equal ones by beam and id.
fn best_candidates(logits: &[f32], known: usize, sums: &[f64], count: usize) -> Vec<Candidate> {
    let vocab_size = logits.len() / sums.len();
    let mut candidates: Vec<Candidate> = logits
        .par_chunks(vocab_size)
        .zip(sums)
        .enumerate()
        .flat_map_iter(|(beam, (logits, &sum))| {
            let logits = &logits[..known.clamp(1, vocab_size)];
            let best = top(logits, count);
            let max = logits[best[0] as usize];
            let total: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
            let log_total = total.ln();
            best.into_iter().map(move |id| Candidate {
                beam,
                id,
                sum: sum + f64::from(logits[id as usize] - max) - log_total,
            })
        })
        .collect();
    candidates.sort_by(|a, b| b.sum.total_cmp(&a.sum));
    candidates.truncate(count);
    candidates
}

/// The beams of the next position. The first child of a beam keeps its slot of the cache; others get a copy in the
/// slot of a beam that ends.
fn continued(
    cache: &mut KeyValueCache,
    width: usize,
    beams: &[(Sequence, f64)],
    going_on: &[&Candidate],
) -> Vec<(Sequence, f64)> {
    let is_kept = |slot: &usize| going_on.iter().any(|candidate| beams[candidate.beam].0.slot == *slot);
    let mut free = (0..width).filter(|slot| !is_kept(slot)).collect::<Vec<usize>>().into_iter();
    let mut has_child = vec![false; beams.len()];
    let mut next = Vec::with_capacity(width);
    for &&Candidate { beam, id, sum } in going_on {
        let mut sequence = beams[beam].0.clone();
        if std::mem::replace(&mut has_child[beam], true) {
            let slot = free.next().expect("no more children than slots");
            cache.copy(sequence.slot, slot);
            sequence.slot = slot;
        }
        sequence.ids.push(id);
        next.push((sequence, sum));
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::sample::{SampleOptions, sample};
    use crate::testing::{perturbed, traced_logits};

    /// All texts of at most `tokens` tokens with their sums of log probabilities, the end counted.
    fn all_texts(model: &Model, prompt: &[u32], end: u32, tokens: usize) -> Vec<(Vec<u32>, f64, usize)> {
        let mut texts = Vec::new();
        let mut open = vec![(Vec::new(), 0.0)];
        for len in 1..=tokens {
            let mut longer = Vec::new();
            for (ids, sum) in open {
                let logits = traced_logits(model, &[prompt, &ids].concat());
                let total = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
                for (id, &logit) in logits.iter().enumerate() {
                    let sum = sum + f64::from(logit) - total;
                    if id as u32 == end {
                        texts.push((ids.clone(), sum, len));
                    } else {
                        longer.push(([&ids[..], &[id as u32]].concat(), sum));
                    }
                }
            }
            open = longer;
        }
        texts.extend(open.into_iter().map(|(ids, sum)| (ids, sum, tokens)));
        texts
    }

    #[test]
    fn a_beam_as_wide_as_the_tree_finds_the_best_of_all_texts() {
        for seed in 0..4 {
            let config = ModelConfig::gpt2(1, 2, 8, 12, 5);
            let model = perturbed(&config, 0.3);
            let prompt = [seed, 1];
            for length_penalty in [0.0, 1.0, 2.0] {
                // At most 4⁴ texts are open: nothing is cut off, and the search stops only when no better text is
                // possible.
                let options = BeamOptions { length_penalty, ..BeamOptions::new(625, 4) };
                let found = beam_search(&model, &prompt, Some(4), &options);
                let mut all: Vec<(Vec<u32>, f64)> = all_texts(&model, &prompt, 4, 4)
                    .into_iter()
                    .map(|(ids, sum, len)| (ids, sum / (len as f64).powf(length_penalty)))
                    .collect();
                all.sort_by(|a, b| b.1.total_cmp(&a.1));
                assert_eq!(found.len(), all.len());
                for (found, (ids, score)) in found.iter().zip(&all) {
                    assert!((found.score - score).abs() < 1e-4, "{} {score}", found.score);
                    assert_eq!(found.stop == StopReason::MaxTokens, ids.len() == 4);
                }
                assert_eq!(found[0].ids, all[0].0);
            }
        }
    }

    #[test]
    fn one_beam_is_greedy() {
        let model = perturbed(&ModelConfig::gpt2(2, 2, 16, 24, 40), 0.3);
        let mut greedy = Vec::new();
        sample(&model, &[1, 2], None, &SampleOptions::greedy(60), |id| greedy.push(id));
        let options = BeamOptions::new(1, 60);
        let found = beam_search(&model, &[1, 2], None, &options);
        assert_eq!((found.len(), &found[0].ids), (1, &greedy));
    }

    #[test]
    fn the_best_text_scores_what_the_model_says() {
        let model = perturbed(&ModelConfig::gpt2(2, 2, 16, 32, 40), 0.3);
        for early_stopping in [false, true] {
            let options = BeamOptions { early_stopping, ..BeamOptions::new(4, 20) };
            let found = beam_search(&model, &[3, 4], Some(5), &options);
            assert!(found.is_sorted_by(|a, b| a.score >= b.score) && found.len() == 4);
            for Hypothesis { ids, score, stop } in found {
                let end = (stop == StopReason::EndOfText).then_some(5);
                let ids: Vec<u32> = [3, 4].into_iter().chain(ids).chain(end).collect();
                let scores = &model.score(&ids)[1..];
                let mean =
                    scores.iter().map(|score| f64::from(score.log_probability)).sum::<f64>() / scores.len() as f64;
                assert!((score - mean).abs() < 1e-4, "{score} {mean}");
            }
        }
    }
}
