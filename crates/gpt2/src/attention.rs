//! Causal self-attention, forward and backward, one task per (sequence, head).
//!
//! A task processes the queries by blocks and reads the keys only up to the block's end, so that half of the scores are
//! never computed. Of the weights (T, T) only each row's log-sum is kept; the backward pass computes them again (Dao et
//! al. 2022, "FlashAttention", section 3.1, without its tiling of the keys: a block's scores fit into the cache).

use rayon::prelude::*;

use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::ops::{drop_out_run, exp, softmax, sum_by, vectorised};
use crate::random::DropoutMask;

/// Queries of a block.
const BLOCK: usize = 64;

/// The shape of an attention, and how it computes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention {
    /// H
    pub(crate) heads: usize,
    /// T
    pub(crate) t: usize,
    /// C
    pub(crate) channels: usize,
    pub(crate) precision: Precision,
    /// Dropout of the weights.
    pub(crate) mask: Option<DropoutMask>,
}

impl Attention {
    /// `y` (B, T, C) and the logarithms of the weights' sums (B, H, T), from `qkv` (B, T, 3C), in which the channels of
    /// a head are adjacent. `scratch`: (B, H, T, C/H).
    pub(crate) fn forward(&self, qkv: &[f32], y: &mut [f32], log_sums: &mut [f32], scratch: &mut [f32]) {
        let Attention { heads, t, channels: c, .. } = *self;
        let size = c / heads;
        scratch.par_chunks_mut(t * size).zip(log_sums.par_chunks_mut(t)).enumerate().for_each(
            |(task, (y, log_sums))| {
                let head = Head::new(self, qkv, task);
                let mut weights = vec![0.0; BLOCK.min(t) * t];
                for block in head.blocks() {
                    let weights = &mut weights[..block.queries * block.keys];
                    head.weights(&block, weights, |row, weights| log_sums[row] = softmax(weights));
                    head.drop_out(&block, weights);
                    let weights = Matrix::new(weights, block.queries, block.keys, block.keys);
                    let values = head.part(2, 0, block.keys);
                    let to = MatrixMut::new(&mut y[block.first * size..], block.queries, size, size);
                    multiply(to, Start::Zero, 1.0, weights, values, Threads::One, self.precision);
                }
            },
        );
        // From heads one after another to heads side by side.
        y.par_chunks_mut(c).enumerate().with_min_len(16).for_each(|(row, y)| {
            let (batch, place) = (row / t, row % t);
            for (head, y) in y.chunks_mut(size).enumerate() {
                y.copy_from_slice(&scratch[((batch * heads + head) * t + place) * size..][..size]);
            }
        });
    }

    /// `dqkv` (B, T, 3C) from `dy` and `y` (B, T, C). `scratch`: (B, H, 3, T, C/H).
    pub(crate) fn backward(
        &self,
        (qkv, y, log_sums): (&[f32], &[f32], &[f32]),
        dy: &[f32],
        dqkv: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Attention { heads, t, channels: c, .. } = *self;
        let size = c / heads;
        scratch.par_chunks_mut(3 * t * size).enumerate().for_each(|(task, parts)| {
            let head = Head::new(self, qkv, task);
            let [dq, rest @ ..] = &mut parts.chunks_mut(t * size).collect::<Vec<_>>()[..] else { return };
            let [dk, dv] = rest else { return };
            head.backward(self.of_head(y, task), self.of_head(dy, task), &log_sums[task * t..], dq, dk, dv);
        });
        dqkv.par_chunks_mut(3 * c).enumerate().with_min_len(16).for_each(|(row, dqkv)| {
            let (batch, place) = (row / t, row % t);
            for (part, dqkv) in dqkv.chunks_mut(size).enumerate() {
                let (which, head) = (part / heads, part % heads);
                let from = ((batch * heads + head) * 3 + which) * t + place;
                dqkv.copy_from_slice(&scratch[from * size..][..size]);
            }
        });
    }

    /// One head's (T, C/H) of an array (B, T, C).
    fn of_head<'a>(&self, x: &'a [f32], task: usize) -> Matrix<'a> {
        let size = self.channels / self.heads;
        let first = task / self.heads * self.t * self.channels + task % self.heads * size;
        Matrix::new(&x[first..], self.t, size, self.channels)
    }
}

/// One task: a head of one sequence.
struct Head<'a> {
    shape: &'a Attention,
    qkv: &'a [f32],
    task: usize,
    size: usize,
    scale: f32,
}

/// Some queries, and the keys that they may attend to.
struct Block {
    first: usize,
    queries: usize,
    keys: usize,
}

impl<'a> Head<'a> {
    fn new(shape: &'a Attention, qkv: &'a [f32], task: usize) -> Head<'a> {
        let size = shape.channels / shape.heads;
        Head { shape, qkv, task, size, scale: 1.0 / (size as f32).sqrt() }
    }

    fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        let t = self.shape.t;
        (0..t).step_by(BLOCK).map(move |first| {
            let queries = BLOCK.min(t - first);
            Block { first, queries, keys: first + queries }
        })
    }

    /// Some rows (n, C/H) of the queries (0), keys (1) or values (2).
    fn part(&self, which: usize, first: usize, rows: usize) -> Matrix<'a> {
        let Attention { heads, t, channels: c, .. } = *self.shape;
        let (batch, head) = (self.task / heads, self.task % heads);
        let start = (batch * t + first) * 3 * c + which * c + head * self.size;
        Matrix::new(&self.qkv[start..], rows, self.size, 3 * c)
    }

    /// The block's weights: `normalise(row, past)` turns the scores of each row's past into weights; those of the
    /// future are 0.
    fn weights(&self, block: &Block, weights: &mut [f32], mut normalise: impl FnMut(usize, &mut [f32])) {
        let (queries, keys) = (self.part(0, block.first, block.queries), self.part(1, 0, block.keys));
        let to = MatrixMut::new(weights, block.queries, block.keys, block.keys);
        multiply(to, Start::Zero, self.scale, queries, keys.transposed(), Threads::One, self.shape.precision);
        vectorised(|| {
            for (i, weights) in weights.chunks_mut(block.keys).enumerate() {
                let (past, future) = weights.split_at_mut(block.first + i + 1);
                normalise(block.first + i, past);
                future.fill(0.0);
            }
        });
    }

    /// Multiplies the block's weights, or their gradients, by the mask of dropout.
    fn drop_out(&self, block: &Block, weights: &mut [f32]) {
        let Some(mask) = self.shape.mask else { return };
        let t = self.shape.t;
        vectorised(|| {
            for (i, weights) in weights.chunks_mut(block.keys).enumerate() {
                let row = (self.task * t + block.first + i) * t;
                drop_out_run(weights, mask, row as u32);
            }
        });
    }

    /// Sets `dq`, `dk` and `dv` (T, C/H) from the head's output and its gradient.
    fn backward(
        &self,
        y: Matrix<'_>,
        dy: Matrix<'_>,
        log_sums: &[f32],
        dq: &mut [f32],
        dk: &mut [f32],
        dv: &mut [f32],
    ) {
        let (t, size, precision) = (self.shape.t, self.size, self.shape.precision);
        let (mut weights, mut dropped) = (vec![0.0; BLOCK.min(t) * t], Vec::new());
        let mut dweights = weights.clone();
        // Later blocks look at all keys of the earlier ones: the last one sets, the others add.
        for block in self.blocks().collect::<Vec<_>>().into_iter().rev() {
            let Block { first, queries, keys } = block;
            let start = if keys < t { Start::Keep } else { Start::Zero };
            let weights = &mut weights[..queries * keys];
            self.weights(&block, weights, |row, past| {
                past.iter_mut().for_each(|score| *score = exp(*score - log_sums[row]));
            });
            let used = if self.shape.mask.is_some() {
                dropped.clear();
                dropped.extend_from_slice(weights);
                self.drop_out(&block, &mut dropped);
                &dropped[..]
            } else {
                &weights[..]
            };
            let used = Matrix::new(used, queries, keys, keys);
            let dy_block = dy.rows(first..first + queries);
            let to = MatrixMut::new(dv, keys, size, size);
            multiply(to, start, 1.0, used.transposed(), dy_block, Threads::One, precision);

            let dweights = &mut dweights[..queries * keys];
            let to = MatrixMut::new(dweights, queries, keys, keys);
            multiply(to, Start::Zero, 1.0, dy_block, self.part(2, 0, keys).transposed(), Threads::One, precision);
            self.drop_out(&block, dweights);
            vectorised(|| {
                for i in 0..queries {
                    // Softmax: d(score) = w · (d(weight) − Σ w · d(weight)), and that sum is y · dy.
                    let (y, dy) = (y.row(first + i), dy.row(first + i));
                    let sum = sum_by(y.len(), |i| y[i] * dy[i]);
                    let row = i * keys..(i + 1) * keys;
                    for (d, w) in dweights[row.clone()].iter_mut().zip(&weights[row]) {
                        *d = w * (*d - sum);
                    }
                }
            });
            let scores = Matrix::new(dweights, queries, keys, keys);
            let to = MatrixMut::new(&mut dq[first * size..], queries, size, size);
            multiply(to, Start::Zero, self.scale, scores, self.part(1, 0, keys), Threads::One, precision);
            let to = MatrixMut::new(dk, keys, size, size);
            multiply(to, start, self.scale, scores.transposed(), self.part(0, first, queries), Threads::One, precision);
        }
    }
}
