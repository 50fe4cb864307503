//! The key/value cache, and the pass that adds tokens to it.
//!
//! The keys and values of earlier tokens are kept, so a token costs one reading of the weights. Few new tokens (one
//! each for several sequences, or a short prompt) go through `matvec.rs` together; a long prompt goes through matrix
//! products, alone. Either way a sequence's bits do not depend on its neighbours.
//!
//! Left out: gradients, and everything else that only training needs; see `pass/`.

use rayon::prelude::*;

use crate::config::{Family, ModelConfig};
use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::matvec::{self, Rows, add_products};
use crate::model::{Affine, Block, Model};
use crate::ops::{self, Norm};
use crate::pass::Linear;

/// With more new tokens of one sequence than this, a matrix product is faster.
const FEW_TOKENS: usize = 16;
/// Queries of a long prompt that attend together; each looks at all keys up to the last of them.
const QUERY_ROWS: usize = 128;
/// Multiplications of attention below which a second thread does not pay off.
const TASK_PRODUCTS: usize = 1 << 16;

/// Keys and values of several sequences, each at its own length.
///
/// Memory: 8 bytes × layers × C × positions per sequence: 75 MB for GPT-2 small at its whole context.
pub(crate) struct KeyValueCache {
    /// (sequence, layer, H, D, stride): positions are adjacent for each channel, so that a query's products with all
    /// keys are sums of long runs.
    keys: Vec<f32>,
    /// (sequence, layer, H, positions, D)
    values: Vec<f32>,
    /// Positions filled, per sequence.
    lengths: Vec<usize>,
    shape: Shape,
}

#[derive(Clone, Copy)]
struct Shape {
    layers: usize,
    heads: usize,
    /// D: channels of a head.
    size: usize,
    positions: usize,
    /// Positions and a few more: runs that begin a power of two apart would share cache sets.
    stride: usize,
}

/// One new token and its place.
#[derive(Clone, Copy)]
struct NewToken {
    sequence: usize,
    position: usize,
    token: u32,
}

impl KeyValueCache {
    /// An empty cache for `sequences` of at most `positions` tokens, which the context bounds.
    pub(crate) fn new(config: &ModelConfig, sequences: usize, positions: usize) -> KeyValueCache {
        let positions = positions.clamp(1, config.context);
        let (heads, size) = (config.heads, config.head_size());
        let shape =
            Shape { layers: config.layers, heads, size, positions, stride: positions.next_multiple_of(16) + 16 };
        let heads = sequences * shape.layers * heads;
        KeyValueCache {
            keys: vec![0.0; heads * size * shape.stride],
            values: vec![0.0; heads * size * positions],
            lengths: vec![0; sequences],
            shape,
        }
    }

    /// Number of tokens of a sequence.
    pub(crate) fn len(&self, sequence: usize) -> usize {
        self.lengths[sequence]
    }

    /// Maximum number of tokens of a sequence.
    pub(crate) fn positions(&self) -> usize {
        self.shape.positions
    }

    /// Forgets a sequence.
    pub(crate) fn clear(&mut self, sequence: usize) {
        self.lengths[sequence] = 0;
    }

    /// Makes `to` a copy of `from`.
    pub(crate) fn copy(&mut self, from: usize, to: usize) {
        let Shape { layers, heads, size, positions, stride } = self.shape;
        let (len, rows) = (self.lengths[from], layers * heads * size);
        for row in 0..rows {
            let start = (from * rows + row) * stride;
            self.keys.copy_within(start..start + len, (to * rows + row) * stride);
        }
        for head in 0..layers * heads {
            let start = (from * layers * heads + head) * positions * size;
            self.values.copy_within(start..start + len * size, (to * layers * heads + head) * positions * size);
        }
        self.lengths[to] = len;
    }

    /// Keys (D, stride) and values (positions, D) of a head.
    fn head(&self, sequence: usize, layer: usize, head: usize) -> (&[f32], &[f32]) {
        let Shape { layers, heads, size, positions, stride } = self.shape;
        let index = (sequence * layers + layer) * heads + head;
        (
            &self.keys[index * size * stride..][..size * stride],
            &self.values[index * positions * size..][..positions * size],
        )
    }

    /// Stores what `row` contributes to a layer; `qkv`: (3C).
    fn store(&mut self, layer: usize, row: NewToken, qkv: &[f32]) {
        let Shape { layers, heads, size, positions, stride } = self.shape;
        let c = heads * size;
        for head in 0..heads {
            let index = (row.sequence * layers + layer) * heads + head;
            let keys = &mut self.keys[index * size * stride + row.position..];
            let key = &qkv[c + head * size..][..size];
            keys.iter_mut().step_by(stride).zip(key).for_each(|(to, key)| *to = *key);
            let value = &qkv[2 * c + head * size..][..size];
            self.values[(index * positions + row.position) * size..][..size].copy_from_slice(value);
        }
    }
}

impl Model {
    /// Adds tokens to sequences of the cache: (sequence, its new tokens) each, a sequence at most once. Returns the
    /// logits after the last token of each: (inputs, V).
    ///
    /// # Panics
    /// If there are no tokens, or they do not fit into the cache, or are not in the vocabulary.
    pub(crate) fn advance(&self, cache: &mut KeyValueCache, inputs: &[(usize, &[u32])]) -> Vec<f32> {
        // Inside the thread pool, so that the many short loops need not each enter it.
        rayon::scope(|_| {
            let c = self.config().channels;
            let mut last = vec![0.0; inputs.len() * c]; // (inputs, C)
            let (mut together, mut ends) = (Vec::new(), Vec::new());
            for (index, &(sequence, tokens)) in inputs.iter().enumerate() {
                let rows = self.rows(cache, sequence, tokens);
                if tokens.len() <= FEW_TOKENS {
                    together.extend(rows);
                    ends.push((index, together.len() - 1));
                } else {
                    let hidden = Pass { model: self, rows: &rows, is_long: true }.run(cache);
                    last[index * c..][..c].copy_from_slice(&hidden[(rows.len() - 1) * c..]);
                }
            }
            if !together.is_empty() {
                let hidden = Pass { model: self, rows: &together, is_long: false }.run(cache);
                ends.iter().for_each(|&(index, row)| last[index * c..][..c].copy_from_slice(&hidden[row * c..][..c]));
            }
            inputs.iter().for_each(|&(sequence, tokens)| cache.lengths[sequence] += tokens.len());
            matvec::dot_rows(&last, self.wte(), c)
        })
    }

    /// New tokens with their places.
    fn rows(&self, cache: &KeyValueCache, sequence: usize, tokens: &[u32]) -> Vec<NewToken> {
        let start = cache.len(sequence);
        assert!(!tokens.is_empty() && start + tokens.len() <= cache.positions(), "new tokens fit into the cache");
        let vocab_size = self.config().vocab_size;
        let row = |(i, &token): (usize, &u32)| {
            assert!((token as usize) < vocab_size, "id {token} is not in the vocabulary of {vocab_size}");
            NewToken { sequence, position: start + i, token }
        };
        tokens.iter().enumerate().map(row).collect()
    }
}

/// New rows on their way through the model: few of any sequences, or a long run of one.
///
/// Which of the two is decided for each sequence, not by the number of rows that are processed together.
struct Pass<'a> {
    model: &'a Model,
    rows: &'a [NewToken],
    is_long: bool,
}

impl Pass<'_> {
    /// Final hidden states (R, C). Keys and values go into the cache, whose lengths stay.
    fn run(&self, cache: &mut KeyValueCache) -> Vec<f32> {
        let model = self.model;
        let c = model.config().channels;
        let mut x = Vec::with_capacity(self.rows.len() * c); // (R, C)
        for row in self.rows {
            let (token, position) = (&model.wte()[row.token as usize * c..], &model.wpe()[row.position * c..][..c]);
            x.extend(position.iter().zip(token).map(|(position, token)| token + position));
        }
        for (layer, block) in model.layout().blocks.iter().enumerate() {
            x = match model.config().family {
                Family::Gpt2 => self.pre_norm(cache, layer, block, &x),
                Family::Gpt1 => self.post_norm(cache, layer, block, &x),
            };
        }
        match &model.layout().ln_f {
            Some(ln_f) => self.norm(&x, ln_f),
            None => x,
        }
    }

    /// `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
    fn pre_norm(&self, cache: &mut KeyValueCache, layer: usize, block: &Block, x: &[f32]) -> Vec<f32> {
        let mut resid_mid = self.attention(cache, layer, block, &self.norm(x, &block.ln_1));
        ops::add(&mut resid_mid, x);
        let mut out = self.mlp(block, &self.norm(&resid_mid, &block.ln_2));
        ops::add(&mut out, &resid_mid);
        out
    }

    /// `n = ln_1(x + attn(x))`, then `ln_2(n + mlp(n))`.
    fn post_norm(&self, cache: &mut KeyValueCache, layer: usize, block: &Block, x: &[f32]) -> Vec<f32> {
        let mut sum = self.attention(cache, layer, block, x);
        ops::add(&mut sum, x);
        let resid_mid = self.norm(&sum, &block.ln_1);
        let mut sum = self.mlp(block, &resid_mid);
        ops::add(&mut sum, &resid_mid);
        self.norm(&sum, &block.ln_2)
    }

    fn attention(&self, cache: &mut KeyValueCache, layer: usize, block: &Block, x: &[f32]) -> Vec<f32> {
        let qkv = self.linear(x, &block.c_attn); // (R, 3C)
        let width = qkv.len() / self.rows.len();
        self.rows.iter().zip(qkv.chunks(width)).for_each(|(&row, qkv)| cache.store(layer, row, qkv));
        let attn_z = match self.is_long {
            true => attend_in_blocks(cache, layer, self.rows[0], self.rows.len(), &qkv),
            false => attend_by_row(cache, layer, self.rows, &qkv),
        };
        self.linear(&attn_z, &block.c_proj)
    }

    fn mlp(&self, block: &Block, x: &[f32]) -> Vec<f32> {
        let mlp_pre = self.linear(x, &block.c_fc); // (R, 4C)
        let mut mlp_post = vec![0.0; mlp_pre.len()];
        ops::gelu(&mlp_pre, &mut mlp_post);
        self.linear(&mlp_post, &block.mlp_c_proj)
    }

    fn linear(&self, x: &[f32], affine: &Affine) -> Vec<f32> {
        let (weight, bias) = affine.of(&self.model.weights);
        if !self.is_long {
            return matvec::linear(x, weight, bias);
        }
        let mut y = vec![0.0; self.rows.len() * bias.len()];
        Linear::of(self.model, affine, Precision::F32).forward(x, &mut y);
        y
    }

    fn norm(&self, x: &[f32], affine: &Affine) -> Vec<f32> {
        let mut norm = Norm::default();
        norm.resize(self.rows.len(), x.len() / self.rows.len());
        norm.forward(x, affine.of(&self.model.weights));
        norm.y
    }
}

/// Attention (R, C) of each row to its own sequence, one task per (row, head).
fn attend_by_row(cache: &KeyValueCache, layer: usize, rows: &[NewToken], qkv: &[f32]) -> Vec<f32> {
    let Shape { heads, size, stride, .. } = cache.shape;
    let c = heads * size;
    let longest = rows.iter().map(|row| row.position + 1).max().unwrap_or(1);
    let mut y = vec![0.0; rows.len() * c];
    let tasks = y.par_chunks_mut(size).enumerate().with_min_len(TASK_PRODUCTS.div_ceil(longest * size));
    tasks.for_each(|(index, y)| {
        let (row, head) = (index / heads, index % heads);
        let NewToken { sequence, position, .. } = rows[row];
        let (keys, values) = cache.head(sequence, layer, head);
        let query = Rows { data: &qkv[row * 3 * c + head * size..], count: 1, stride: size };
        let mut weights = vec![0.0; position + 1];
        add_products(query, keys, stride, &mut weights, position + 1);
        let scale = 1.0 / (size as f32).sqrt();
        weights.iter_mut().for_each(|weight| *weight *= scale);
        ops::vectorised(|| ops::softmax(&mut weights));
        let weights = Rows { data: &weights, count: 1, stride: position + 1 };
        add_products(weights, &values[..(position + 1) * size], size, y, size);
    });
    y
}

/// Attention (R, C) of `count` rows of one sequence from `first` on, one task per (block of queries, head).
fn attend_in_blocks(cache: &KeyValueCache, layer: usize, first: NewToken, count: usize, qkv: &[f32]) -> Vec<f32> {
    let Shape { heads, size, stride, .. } = cache.shape;
    let c = heads * size;
    let scale = 1.0 / (size as f32).sqrt();
    let tasks = (0..count.div_ceil(QUERY_ROWS) * heads).into_par_iter();
    let outputs: Vec<Vec<f32>> = tasks
        .map(|task| {
            let (start, head) = (task / heads * QUERY_ROWS, task % heads);
            let queries = QUERY_ROWS.min(count - start);
            let (before, seen) = (first.position + start, first.position + start + queries);
            let (keys, values) = cache.head(first.sequence, layer, head);
            let query = Matrix::new(&qkv[start * 3 * c + head * size..], queries, size, 3 * c);
            let mut weights = vec![0.0; queries * seen];
            let to = MatrixMut::of(&mut weights, seen);
            let keys = Matrix::new(keys, size, seen, stride);
            multiply(to, Start::Zero, scale, query, keys, Threads::One, Precision::F32);
            ops::vectorised(|| {
                for (row, weights) in weights.chunks_mut(seen).enumerate() {
                    let (past, future) = weights.split_at_mut(before + row + 1);
                    ops::softmax(past);
                    future.fill(0.0);
                }
            });
            let mut y = vec![0.0; queries * size];
            let weights = Matrix::of(&weights, seen);
            let to = MatrixMut::of(&mut y, size);
            let values = Matrix::new(values, seen, size, size);
            multiply(to, Start::Zero, 1.0, weights, values, Threads::One, Precision::F32);
            y
        })
        .collect();
    let mut y = vec![0.0; count * c];
    y.par_chunks_mut(QUERY_ROWS * c).zip(outputs.par_chunks(heads)).for_each(|(y, outputs)| {
        for (head, output) in outputs.iter().enumerate() {
            for (y, output) in y.chunks_mut(c).zip(output.chunks(size)) {
                y[head * size..][..size].copy_from_slice(output);
            }
        }
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{perturbed, traced_logits};

    fn check(got: &[f32], expected: &[f32]) {
        let max = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4 * max, "{got}, not {expected}");
        }
    }

    /// Logits after each token, fed as `parts` say, are those of a whole pass.
    fn check_parts(model: &Model, tokens: &[u32], parts: &[usize]) {
        let mut cache = KeyValueCache::new(model.config(), 2, tokens.len());
        let mut end = 0;
        for part in parts {
            let logits = model.advance(&mut cache, &[(1, &tokens[end..end + part])]);
            end += part;
            check(&logits, &traced_logits(model, &tokens[..end]));
            assert_eq!(cache.len(1), end);
        }
    }

    #[test]
    fn advancing_by_any_parts_is_a_whole_pass() {
        for config in [ModelConfig::gpt2(2, 3, 24, 200, 61), ModelConfig::gpt1(2, 3, 24, 200, 61)] {
            let model = perturbed(&config, 0.3);
            let tokens: Vec<u32> = (0..170).map(|i| (i * i + 3) % 61).collect();
            check_parts(&model, &tokens[..12], &[1; 12]);
            check_parts(&model, &tokens, &[40, 1, 5, 1, 20, 1]);
            check_parts(&model, &tokens, &[160, 1, 1]);
        }
    }

    #[test]
    fn the_full_pass_agrees() {
        let model = perturbed(&ModelConfig::gpt2(2, 2, 16, 32, 50), 0.3);
        let tokens = [1, 5, 0, 49, 2, 2, 3, 4];
        let mut cache = KeyValueCache::new(model.config(), 1, 32);
        check(&model.advance(&mut cache, &[(0, &tokens)]), &model.next_logits(&tokens));
    }

    #[test]
    fn a_sequence_has_the_same_bits_alone_and_in_a_batch_on_any_number_of_threads() {
        let model = perturbed(&ModelConfig::gpt2(2, 3, 48, 64, 600), 0.3);
        let prompts: Vec<Vec<u32>> = [1, 3, 40, 16, 17, 2, 9, 16, 12, 5, 4, 11, 10, 16, 16, 15, 1, 1]
            .iter()
            .map(|&len| (0..len).map(|i| (i * 37 + len) % 600).collect())
            .collect();
        let together = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut cache = KeyValueCache::new(model.config(), prompts.len(), 64);
                let inputs: Vec<(usize, &[u32])> = prompts.iter().map(Vec::as_slice).enumerate().collect();
                let first = model.advance(&mut cache, &inputs);
                let inputs: Vec<(usize, &[u32])> = (0..prompts.len()).map(|sequence| (sequence, &[7][..])).collect();
                [first, model.advance(&mut cache, &inputs)].concat()
            })
        };
        let one = together(1);
        assert!(one == together(2) && one == together(3));
        for (sequence, prompt) in prompts.iter().enumerate() {
            let mut cache = KeyValueCache::new(model.config(), 1, 64);
            assert_eq!(model.advance(&mut cache, &[(0, prompt)]), one[sequence * 600..][..600]);
            assert_eq!(model.advance(&mut cache, &[(0, &[7])]), one[(prompts.len() + sequence) * 600..][..600]);
        }
    }

    #[test]
    fn a_copied_sequence_goes_on_as_its_origin() {
        let model = perturbed(&ModelConfig::gpt2(2, 2, 16, 32, 50), 0.3);
        let mut cache = KeyValueCache::new(model.config(), 3, 32);
        model.advance(&mut cache, &[(0, &[1, 2, 3]), (2, &[9; 20])]);
        cache.copy(0, 2);
        let logits = model.advance(&mut cache, &[(0, &[4]), (2, &[4])]);
        assert_eq!(logits[..50], logits[50..]);
        cache.clear(2);
        assert_eq!((cache.len(0), cache.len(2)), (4, 0));
    }

    #[test]
    #[should_panic(expected = "new tokens fit")]
    fn a_full_cache_takes_no_more() {
        let model = perturbed(&ModelConfig::gpt2(1, 1, 4, 4, 5), 0.3);
        model.advance(&mut KeyValueCache::new(model.config(), 1, 9), &[(0, &[1; 5])]);
    }
}
