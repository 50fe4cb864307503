//! Samples text from a model, token by token.
//!
//! Each token costs one pass of that token alone (`cache.rs`), and several sequences share the reading of the weights.
//! The text of a sequence depends on its prompt, the settings and its seed, not on other sequences or on the number of
//! threads.
//!
//! A model sees at most its context. When that is full, the window slides by half: the last context / 2 tokens are read
//! again from position 0, and sampling continues. Of a prompt longer than the context, only the last context tokens are
//! read.
//!
//! Left out: penalties on repeated tokens, and speculative decoding with a smaller model.

mod beam;
mod cache;
mod choose;
mod repeats;
mod text;

use std::ops::ControlFlow;

use rayon::prelude::*;
use serde::Serialize;

pub use self::beam::{BeamOptions, Hypothesis, beam_search};
pub use self::text::TextStream;

use self::cache::KeyValueCache;
use self::choose::choose;
use self::repeats::Repeats;
use crate::model::Model;
use crate::random::{Stream, uniform};

/// How the next token is chosen, and when a text ends.
///
/// ```
/// let mut options = gpt2::SampleOptions::greedy(50);
/// (options.temperature, options.top_k) = (0.8, 40);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SampleOptions {
    /// Maximum number of new tokens.
    pub max_tokens: usize,
    /// 0 takes the most probable token each time (greedy); 1 follows the model's probabilities.
    pub temperature: f32,
    /// Only the `top_k` most probable tokens; 0 for all.
    pub top_k: usize,
    /// Nucleus sampling: of what `top_k` left, only the most probable tokens until their probabilities add up to this;
    /// one at least. 1 for all.
    pub top_p: f32,
    /// Stop when the new tokens end in a cycle of at most 64 tokens that ran this many times; below 2, never.
    pub stop_repeats: usize,
    /// Only ids below this are chosen: those of the tokenizer, where the model has more. All by default.
    pub vocab_size: usize,
    /// Ids beside end-of-text that end a text. None by default.
    pub other_ends: Vec<u32>,
    /// Seed of the choices.
    pub seed: u64,
}

impl SampleOptions {
    /// The most probable token each time, and no stop at repeats.
    pub fn greedy(max_tokens: usize) -> SampleOptions {
        SampleOptions {
            max_tokens,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            stop_repeats: 0,
            vocab_size: usize::MAX,
            other_ends: Vec::new(),
            seed: 0,
        }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// It has [`SampleOptions::max_tokens`]. Serialised as `tokens`.
    #[serde(rename = "tokens")]
    MaxTokens,
    /// The model chose end-of-text.
    EndOfText,
    /// Its end repeats, see [`SampleOptions::stop_repeats`].
    Repeats,
    /// The caller stopped it.
    Caller,
}

/// An event of one of several texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleEvent {
    /// It has a new token; end-of-text does not count as one.
    Token(u32),
    /// It has ended.
    End(StopReason),
}

/// Continues `prompt`, calls `each` with every new token, and says why the text ended.
///
/// An empty prompt begins after `end_of_text` (or after id 0 where there is none), and a text ends when the
/// model chooses it. Time: a pass over the prompt, then one over a single token for each new one.
///
/// ```
/// use gpt2::{Model, ModelConfig, SampleOptions, StopReason, sample};
///
/// let model = Model::new(&ModelConfig::gpt2(1, 2, 8, 16, 50), 1);
/// let mut ids = Vec::new();
/// let stop = sample(&model, &[3, 1, 4], None, &SampleOptions::greedy(20), |id| ids.push(id));
/// assert_eq!((stop, ids.len()), (StopReason::MaxTokens, 20));
/// ```
///
/// # Panics
/// If an id of the prompt, or `end_of_text` after an empty one, is not in the model's vocabulary.
pub fn sample(
    model: &Model,
    prompt: &[u32],
    end_of_text: Option<u32>,
    options: &SampleOptions,
    mut each: impl FnMut(u32),
) -> StopReason {
    let mut last = StopReason::MaxTokens;
    sample_batch(model, &[prompt], end_of_text, options, 1, |_, event| {
        match event {
            SampleEvent::Token(id) => each(id),
            SampleEvent::End(stop) => last = stop,
        }
        ControlFlow::Continue(())
    });
    last
}

/// Continues every prompt, `at_once` of them in parallel, and calls `each` with the index of a prompt and an event of
/// its text.
///
/// Prompt `i` is continued as [`sample`] does with the seed `options.seed + i`, to the bit. When a text ends, the
/// next prompt takes its place. `each` ends the text by [`ControlFlow::Break`].
///
/// Memory beside the model, for each of `at_once`: 8 bytes × layers × C × the longest text, the context at most.
///
/// # Panics
/// As [`sample`]; if `at_once` is 0.
pub fn sample_batch(
    model: &Model,
    prompts: &[impl AsRef<[u32]>],
    end_of_text: Option<u32>,
    options: &SampleOptions,
    at_once: usize,
    mut each: impl FnMut(usize, SampleEvent) -> ControlFlow<()>,
) {
    assert!(at_once > 0, "at least one sequence at a time");
    let longest = prompts.iter().map(|prompt| prompt.as_ref().len()).max().unwrap_or(0);
    let slots = at_once.min(prompts.len());
    let mut cache = KeyValueCache::new(model.config(), slots, longest.max(1).saturating_add(options.max_tokens));
    let mut free: Vec<usize> = (0..slots).rev().collect();
    let mut waiting = prompts.iter().enumerate();
    let mut running: Vec<GrowingText> = Vec::new();
    loop {
        while let Some(&slot) = free.last()
            && let Some((index, prompt)) = waiting.next()
        {
            if options.max_tokens == 0 {
                let _ = each(index, SampleEvent::End(StopReason::MaxTokens));
                continue;
            }
            free.pop();
            let sequence = Sequence::new(&mut cache, slot, prompt.as_ref(), end_of_text);
            running.push(GrowingText { index, sequence, new: 0, repeats: Repeats::new(options.stop_repeats) });
        }
        if running.is_empty() {
            return;
        }
        let logits = advance(model, &mut cache, running.iter_mut().map(|text| &mut text.sequence));
        let chosen: Vec<u32> = running
            .par_iter()
            .zip(logits.par_chunks(model.config().vocab_size))
            .map(|(text, logits)| {
                let known = &logits[..options.vocab_size.clamp(1, logits.len())];
                choose(known, options, text.random(options.seed))
            })
            .collect();
        let mut chosen = chosen.into_iter();
        running.retain_mut(|text| {
            let id = chosen.next().expect("a token for each text");
            let stop = match id {
                id if Some(id) == end_of_text || options.other_ends.contains(&id) => Some(StopReason::EndOfText),
                id => {
                    let flow = each(text.index, SampleEvent::Token(id));
                    text.push(id, flow, options)
                }
            };
            if let Some(stop) = stop {
                let _ = each(text.index, SampleEvent::End(stop));
                free.push(text.sequence.slot);
            }
            stop.is_none()
        });
    }
}

/// One of several texts that are continued in parallel.
struct GrowingText {
    /// Index of its prompt.
    index: usize,
    sequence: Sequence,
    /// Number of new tokens.
    new: usize,
    repeats: Repeats,
}

impl GrowingText {
    /// The random number that chooses its next token.
    fn random(&self, seed: u64) -> f64 {
        uniform(seed.wrapping_add(self.index as u64), Stream::SAMPLES, self.new as u64)
    }

    /// Adds a token, after which the caller may stop the text.
    fn push(&mut self, id: u32, flow: ControlFlow<()>, options: &SampleOptions) -> Option<StopReason> {
        self.sequence.ids.push(id);
        self.new += 1;
        let repeats = self.repeats.push(id);
        match flow {
            ControlFlow::Break(()) => Some(StopReason::Caller),
            ControlFlow::Continue(()) if repeats => Some(StopReason::Repeats),
            ControlFlow::Continue(()) => (self.new == options.max_tokens).then_some(StopReason::MaxTokens),
        }
    }
}

/// The tokens of a sequence, and how many of them are in its slot of the cache.
#[derive(Debug, Clone)]
struct Sequence {
    slot: usize,
    ids: Vec<u32>,
    seen: usize,
}

impl Sequence {
    /// A prompt for an empty slot; an empty one begins after `end_of_text`.
    fn new(cache: &mut KeyValueCache, slot: usize, prompt: &[u32], end_of_text: Option<u32>) -> Sequence {
        cache.clear(slot);
        let ids = if prompt.is_empty() { vec![end_of_text.unwrap_or(0)] } else { prompt.to_vec() };
        // The slot has no room for the beginning of a prompt that is too long.
        let seen = ids.len().saturating_sub(cache.positions());
        Sequence { slot, ids, seen }
    }

    /// The tokens that the slot must read next. If they do not fit, the window slides by half.
    fn unseen(&mut self, cache: &mut KeyValueCache) -> (usize, &[u32]) {
        if cache.len(self.slot) + self.ids.len() - self.seen > cache.positions() {
            cache.clear(self.slot);
            self.seen = self.ids.len() - (cache.positions() / 2).max(1);
        }
        let seen = std::mem::replace(&mut self.seen, self.ids.len());
        (self.slot, &self.ids[seen..])
    }
}

/// Logits (sequences, V) after the last token of each, whose unseen tokens go through the model.
fn advance<'a>(
    model: &Model,
    cache: &mut KeyValueCache,
    sequences: impl Iterator<Item = &'a mut Sequence>,
) -> Vec<f32> {
    let inputs: Vec<(usize, &[u32])> = sequences.map(|sequence| sequence.unseen(cache)).collect();
    model.advance(cache, &inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::testing::{perturbed, traced_logits};

    fn model() -> Model {
        perturbed(&ModelConfig::gpt2(2, 2, 16, 24, 40), 0.3)
    }

    fn options(tokens: usize, seed: u64) -> SampleOptions {
        SampleOptions { temperature: 1.5, top_k: 30, top_p: 0.95, seed, ..SampleOptions::greedy(tokens) }
    }

    fn text(
        model: &Model,
        prompt: &[u32],
        end_of_text: Option<u32>,
        options: &SampleOptions,
    ) -> (Vec<u32>, StopReason) {
        let mut ids = Vec::new();
        let stop = sample(model, prompt, end_of_text, options, |id| ids.push(id));
        (ids, stop)
    }

    #[test]
    fn the_window_slides_by_half() {
        let (model, context) = (model(), 24);
        for prompt_len in [1, 10, 24, 60] {
            let mut ids: Vec<u32> = (0..prompt_len).map(|i| i * 7 % 40).collect();
            let (got, stop) = text(&model, &ids, None, &SampleOptions::greedy(50));
            let mut start = ids.len().saturating_sub(context);
            for &id in &got {
                if ids.len() - start > context {
                    start = ids.len() - context / 2;
                }
                assert_eq!(id, choose::argmax(&traced_logits(&model, &ids[start..])));
                ids.push(id);
            }
            assert_eq!((got.len(), stop), (50, StopReason::MaxTokens));
        }
    }

    #[test]
    fn texts_of_a_batch_are_those_of_their_seeds_alone() {
        let model = model();
        let prompts: Vec<Vec<u32>> = (0..9).map(|i| (0..i * 4).map(|j| (i + j) % 40).collect()).collect();
        let alone: Vec<_> =
            prompts.iter().zip(5..).map(|(prompt, seed)| text(&model, prompt, Some(7), &options(40, seed))).collect();
        for at_once in [1, 2, 4, 20] {
            let mut batch = vec![(Vec::new(), None); prompts.len()];
            sample_batch(&model, &prompts, Some(7), &options(40, 5), at_once, |index, event| {
                match event {
                    SampleEvent::Token(id) => batch[index].0.push(id),
                    SampleEvent::End(stop) => assert!(batch[index].1.replace(stop).is_none()),
                }
                ControlFlow::Continue(())
            });
            let batch: Vec<_> = batch.into_iter().map(|(ids, stop)| (ids, stop.unwrap())).collect();
            assert!(batch == alone, "{at_once}");
        }
        assert!(alone.iter().any(|(_, stop)| *stop == StopReason::EndOfText));
        assert_ne!(text(&model, &[1], None, &options(40, 5)), text(&model, &[1], None, &options(40, 6)));
    }

    #[test]
    fn ids_beyond_the_tokenizer_are_never_chosen() {
        let model = Model::new(&ModelConfig::gpt2(1, 2, 8, 16, 50), 1);
        let mut options = SampleOptions::greedy(200);
        (options.temperature, options.vocab_size) = (5.0, 7);
        let mut ids = Vec::new();
        sample(&model, &[3, 40], None, &options, |id| ids.push(id));
        assert!(ids.len() == 200 && ids.iter().all(|&id| id < 7), "{ids:?}");
        let mut beams = BeamOptions::new(9, 5);
        beams.vocab_size = 7;
        assert!(beam_search(&model, &[3], None, &beams).iter().all(|text| text.ids.iter().all(|&id| id < 7)));
    }

    #[test]
    fn texts_end_for_a_reason() {
        let model = model();
        let (ids, stop) = text(&model, &[1], None, &SampleOptions { stop_repeats: 3, ..SampleOptions::greedy(2000) });
        assert!(stop == StopReason::Repeats && ids.len() < 2000);
        assert_eq!(text(&model, &[1], Some(ids[0]), &SampleOptions::greedy(5)), (vec![], StopReason::EndOfText));
        let other = SampleOptions { other_ends: vec![39, ids[2]], ..SampleOptions::greedy(50) };
        let before = ids.iter().position(|id| other.other_ends.contains(id)).unwrap();
        assert_eq!(text(&model, &[1], None, &other), (ids[..before].to_vec(), StopReason::EndOfText));
        assert_eq!(text(&model, &[1], None, &SampleOptions::greedy(0)), (vec![], StopReason::MaxTokens));
        assert_eq!(text(&model, &[], Some(39), &options(5, 1)), text(&model, &[39], None, &options(5, 1)));
        let mut ends = Vec::new();
        sample_batch(&model, &[[1], [2]], None, &SampleOptions::greedy(5), 2, |index, event| match event {
            SampleEvent::Token(_) if index == 1 => ControlFlow::Break(()),
            SampleEvent::Token(_) => ControlFlow::Continue(()),
            SampleEvent::End(stop) => {
                ends.push((index, stop));
                ControlFlow::Continue(())
            }
        });
        assert_eq!(ends, [(1, StopReason::Caller), (0, StopReason::MaxTokens)]);
    }
}
