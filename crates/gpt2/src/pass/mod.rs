//! The forward pass, the loss and the backward pass, as the papers define them.
//!
//! A [`Pass`] holds every buffer for batches of one shape, allocated once. Shapes use the papers' letters; R is
//! B·T, the rows of a batch. Buffers have the names of `trace.rs`: `attn_z`, `resid_mid`, `mlp_pre`, `mlp_post`,
//! `resid_post`. Here are the buffers and the forward pass; `backward.rs` has the backward pass, `loss.rs` the loss,
//! `linear.rs` the layer that both are made of.

mod backward;
mod linear;
mod loss;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::backward::Backward;
pub(crate) use self::linear::Linear;
pub(crate) use self::loss::LOGIT_ROWS;
use crate::attention::Attention;
use crate::config::{Family, ModelConfig};
use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::model::{Affine, Gradients, Model};
use crate::ops::{self, Norm};
use crate::random::{Dropout, DropoutMask};

/// The target of a row that is left out of the loss, such as padding.
pub const IGNORED: u32 = u32::MAX;

/// Which activations a pass keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptActivations {
    /// Those of one block at a time: enough for a forward pass alone.
    Nothing,
    /// Those of all blocks, for a backward pass.
    ForBackward,
}

/// The buffers of passes over batches of B sequences of T tokens, for training loops of your own.
///
/// ```
/// use gpt2::{AdamW, AdamWUpdate, KeptActivations, Model, ModelConfig, Pass, Precision};
///
/// let mut model = Model::new(&ModelConfig::gpt2(1, 2, 16, 8, 50), 1);
/// let mut pass = Pass::new(model.config(), Precision::F32, KeptActivations::ForBackward);
/// let (mut gradients, mut optimiser) = (model.zero_gradients(), AdamW::new(model.parameters()));
/// let (inputs, targets) = ([1, 2, 3, 4], [2, 3, 4, 5]); // (B, T): two sequences of two tokens
/// let mut losses = Vec::new();
/// for step in 0..10 {
///     gradients.clear();
///     pass.forward(&model, &inputs, 2, None);
///     losses.push(pass.language_model_loss(&model, &targets, 1.0, &mut gradients));
///     pass.backward(&model, &inputs, &mut gradients);
///     optimiser.update_model(&mut model, &gradients, AdamWUpdate::new(step, 0.01));
/// }
/// assert!(losses[9] < losses[0]);
/// ```
pub struct Pass {
    config: ModelConfig,
    precision: Precision,
    t: usize,
    dropout: Option<Dropout>,
    /// One per block, or one for all of them.
    blocks: Vec<Activations>,
    /// (R, C): the residual stream; in the end the input of the final norm.
    x: Vec<f32>,
    ln_f: Norm,
    /// (min(R, LOGIT_ROWS), V)
    logits: Vec<f32>,
    /// (R, 3C): what a branch or a head makes before it goes to its buffer.
    scratch: Vec<f32>,
    backward: Option<BackwardBuffers>,
}

/// What the backward pass of a block reads.
#[derive(Default)]
struct Activations {
    /// (R, C): the block's input.
    x: Vec<f32>,
    ln_1: Norm,
    /// (R, 3C)
    qkv: Vec<f32>,
    /// (B, H, T): logarithms of the sums of the attention weights.
    log_sums: Vec<f32>,
    /// (R, C): the values that each head has mixed, all heads concatenated.
    attn_z: Vec<f32>,
    /// (R, C): after attention. GPT-2: the residual stream; GPT-1: the sum that ln_1 normalises.
    resid_mid: Vec<f32>,
    ln_2: Norm,
    /// (R, 4C): before GELU.
    mlp_pre: Vec<f32>,
    /// (R, 4C): after GELU.
    mlp_post: Vec<f32>,
    /// (R, C): the sum that GPT-1's ln_2 normalises; GPT-2 has none.
    resid_post: Vec<f32>,
}

#[derive(Default)]
pub(crate) struct BackwardBuffers {
    /// (R, C): the gradient of the residual stream; in the beginning that of the final norm's output.
    d: Vec<f32>,
    /// (R, C): the gradient inside a branch.
    d_branch: Vec<f32>,
    /// (R, 4C), and as (R, 3C) that of queries, keys and values.
    d_wide: Vec<f32>,
}

impl Pass {
    /// Buffers without a size; the first [`Pass::forward`] gives them one.
    ///
    /// Memory: 16·R·C and R·H floats per block (17·R·C in GPT-1) when kept for the backward pass, else of one block;
    /// min(R, 512)·V for logits.
    pub fn new(config: &ModelConfig, precision: Precision, keep: KeptActivations) -> Pass {
        let is_kept = keep == KeptActivations::ForBackward;
        Pass {
            config: config.clone(),
            precision,
            t: 1,
            dropout: None,
            blocks: (0..if is_kept { config.layers } else { 1 }).map(|_| Activations::default()).collect(),
            x: Vec::new(),
            ln_f: Norm::default(),
            logits: Vec::new(),
            scratch: Vec::new(),
            backward: is_kept.then(BackwardBuffers::default),
        }
    }

    /// Gives all buffers but the logits the size for this many rows.
    fn resize(&mut self, rows: usize) {
        let ModelConfig { channels: c, heads, family, .. } = self.config;
        if self.x.len() == rows * c {
            return;
        }
        for block in &mut self.blocks {
            let narrow = [&mut block.x, &mut block.attn_z, &mut block.resid_mid];
            narrow.into_iter().for_each(|buffer| buffer.resize(rows * c, 0.0));
            block.qkv.resize(rows * 3 * c, 0.0);
            block.log_sums.resize(rows * heads, 0.0);
            [&mut block.mlp_pre, &mut block.mlp_post].into_iter().for_each(|wide| wide.resize(rows * 4 * c, 0.0));
            block.resid_post.resize(if family == Family::Gpt1 { rows * c } else { 0 }, 0.0);
            [&mut block.ln_1, &mut block.ln_2].into_iter().for_each(|norm| norm.resize(rows, c));
        }
        self.x.resize(rows * c, 0.0);
        self.ln_f.resize(rows, c);
        self.scratch.resize(rows * 3 * c, 0.0);
        if let Some(buffers) = &mut self.backward {
            [&mut buffers.d, &mut buffers.d_branch].into_iter().for_each(|buffer| buffer.resize(rows * c, 0.0));
            buffers.d_wide.resize(rows * 4 * c, 0.0);
        }
    }

    /// Runs embeddings, blocks and final norm over `inputs` (B, T), sequences of `t` tokens. Buffers grow and shrink
    /// with R. With `dropout`, elements are dropped as in training.
    ///
    /// # Panics
    /// If the inputs are not whole sequences, `t` is 0 or above the context, or an id is past the vocabulary.
    pub fn forward(&mut self, model: &Model, inputs: &[u32], t: usize, dropout: Option<Dropout>) {
        assert!(t > 0 && t <= self.config.context, "sequences of 1 to {} tokens, not {t}", self.config.context);
        assert!(inputs.len().is_multiple_of(t), "whole sequences");
        self.t = t;
        self.dropout = dropout.filter(|dropout| dropout.probability > 0.0);
        self.resize(inputs.len());
        let terms = self.terms(model);
        let Pass { blocks, x, ln_f, scratch, .. } = self;
        terms.embed(inputs, x);
        let buffers = blocks.len();
        for layer in 0..model.layout().blocks.len() {
            let block = &mut blocks[layer % buffers];
            std::mem::swap(&mut block.x, x);
            match model.config().family {
                Family::Gpt2 => terms.block_gpt2(layer, block, x, scratch),
                Family::Gpt1 => terms.block_gpt1(layer, block, x, scratch),
            }
        }
        match &model.layout().ln_f {
            Some(affine) => ln_f.forward(x, affine.of(&model.weights)),
            None => ln_f.y.copy_from_slice(x),
        }
    }

    /// Hidden states (R, C) after the final norm, of the last [`Pass::forward`].
    pub fn hidden(&self) -> &[f32] {
        &self.ln_f.y
    }

    /// The gradient of [`Pass::hidden`] (R, C): [`Pass::backward`] begins with it.
    ///
    /// # Panics
    /// If the pass was made with [`KeptActivations::Nothing`].
    pub fn d_hidden_mut(&mut self) -> &mut [f32] {
        &mut self.backward.as_mut().expect(KEPT).d
    }

    /// From the gradient of [`Pass::hidden`] to those of all weights, which it adds to `gradients`.
    ///
    /// # Panics
    /// If the pass was made with [`KeptActivations::Nothing`], or `inputs` are not those of the last [`Pass::forward`].
    pub fn backward(&mut self, model: &Model, inputs: &[u32], gradients: &mut Gradients) {
        let terms = self.terms(model);
        let buffers = self.backward.as_mut().expect(KEPT);
        let mut backward = Backward::new(terms, gradients, buffers, &mut self.scratch);
        if let Some(affine) = &model.layout().ln_f {
            backward.norm_through(affine, &self.ln_f, &self.x);
        }
        for (layer, block) in self.blocks.iter().enumerate().rev() {
            match model.config().family {
                Family::Gpt2 => backward.block_gpt2(layer, block),
                Family::Gpt1 => backward.block_gpt1(layer, block),
            }
        }
        backward.embed(inputs);
    }

    fn terms<'a>(&self, model: &'a Model) -> Terms<'a> {
        Terms { model, precision: self.precision, t: self.t, dropout: self.dropout }
    }
}

/// Why a pass may have no buffers for its backward pass.
const KEPT: &str = "kept for a backward pass";

/// What every part of a pass needs to know.
#[derive(Clone, Copy)]
struct Terms<'a> {
    model: &'a Model,
    precision: Precision,
    t: usize,
    dropout: Option<Dropout>,
}

/// Where dropout applies: to the embeddings, and at three sites per block.
#[derive(Clone, Copy)]
enum DropoutSite {
    Embeddings,
    AttentionWeights(usize),
    Attention(usize),
    Mlp(usize),
}

impl<'a> Terms<'a> {
    fn linear(&self, affine: &Affine) -> Linear<'a> {
        Linear::of(self.model, affine, self.precision)
    }

    /// What is dropped at a site; nothing outside of training.
    fn mask(&self, site: DropoutSite) -> Option<DropoutMask> {
        let number = match site {
            DropoutSite::Embeddings => 0,
            DropoutSite::AttentionWeights(layer) => 3 * layer as u64 + 1,
            DropoutSite::Attention(layer) => 3 * layer as u64 + 2,
            DropoutSite::Mlp(layer) => 3 * layer as u64 + 3,
        };
        self.dropout.map(|dropout| dropout.mask(number))
    }

    fn attention(&self, layer: usize) -> Attention {
        let ModelConfig { heads, channels, .. } = *self.model.config();
        let mask = self.mask(DropoutSite::AttentionWeights(layer));
        Attention { heads, t: self.t, channels, precision: self.precision, mask }
    }

    /// `x = wte[id] + wpe[place]`
    fn embed(&self, inputs: &[u32], x: &mut [f32]) {
        let ModelConfig { channels: c, vocab_size: v, .. } = *self.model.config();
        let (wte, wpe) = (self.model.wte(), self.model.wpe());
        x.par_chunks_mut(c).enumerate().with_min_len(16).for_each(|(row, x)| {
            let id = inputs[row] as usize;
            assert!(id < v, "id {id} is not in the vocabulary of {v}");
            let (token, position) = (&wte[id * c..][..c], &wpe[(row % self.t) * c..][..c]);
            x.iter_mut().zip(token.iter().zip(position)).for_each(|(x, (token, position))| *x = token + position);
        });
        ops::drop_out(x, self.mask(DropoutSite::Embeddings));
    }

    /// `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
    fn block_gpt2(&self, layer: usize, block: &mut Activations, out: &mut [f32], scratch: &mut [f32]) {
        let weights = &self.model.layout().blocks[layer];
        let Activations { x, ln_1, resid_mid, ln_2, .. } = block;
        ln_1.forward(x, weights.ln_1.of(&self.model.weights));
        self.attend(layer, &ln_1.y, &mut block.qkv, &mut block.attn_z, &mut block.log_sums, scratch);
        self.add_branch(&weights.c_proj, DropoutSite::Attention(layer), &block.attn_z, x, resid_mid, scratch);
        ln_2.forward(resid_mid, weights.ln_2.of(&self.model.weights));
        self.linear(&weights.c_fc).forward(&ln_2.y, &mut block.mlp_pre);
        ops::gelu(&block.mlp_pre, &mut block.mlp_post);
        self.add_branch(&weights.mlp_c_proj, DropoutSite::Mlp(layer), &block.mlp_post, resid_mid, out, scratch);
    }

    /// `n = ln_1(x + attn(x))`, then `ln_2(n + mlp(n))`.
    fn block_gpt1(&self, layer: usize, block: &mut Activations, out: &mut [f32], scratch: &mut [f32]) {
        let weights = &self.model.layout().blocks[layer];
        let Activations { x, ln_1, resid_mid, ln_2, resid_post, .. } = block;
        self.attend(layer, x, &mut block.qkv, &mut block.attn_z, &mut block.log_sums, scratch);
        self.add_branch(&weights.c_proj, DropoutSite::Attention(layer), &block.attn_z, x, resid_mid, scratch);
        ln_1.forward(resid_mid, weights.ln_1.of(&self.model.weights));
        self.linear(&weights.c_fc).forward(&ln_1.y, &mut block.mlp_pre);
        ops::gelu(&block.mlp_pre, &mut block.mlp_post);
        self.add_branch(&weights.mlp_c_proj, DropoutSite::Mlp(layer), &block.mlp_post, &ln_1.y, resid_post, scratch);
        ln_2.forward(resid_post, weights.ln_2.of(&self.model.weights));
        out.copy_from_slice(&ln_2.y);
    }

    /// `attn_z = attention(x · c_attn)`
    fn attend(
        &self,
        layer: usize,
        x: &[f32],
        qkv: &mut [f32],
        attn_z: &mut [f32],
        log_sums: &mut [f32],
        scratch: &mut [f32],
    ) {
        self.linear(&self.model.layout().blocks[layer].c_attn).forward(x, qkv);
        let scratch = &mut scratch[..attn_z.len()];
        self.attention(layer).forward(qkv, attn_z, log_sums, scratch);
    }

    /// `out = x + dropout(branch · weight + bias)`: the end of a branch.
    fn add_branch(
        &self,
        affine: &Affine,
        site: DropoutSite,
        branch: &[f32],
        x: &[f32],
        out: &mut [f32],
        scratch: &mut [f32],
    ) {
        let linear = self.linear(affine);
        let Some(mask) = self.mask(site) else { return linear.forward_onto(branch, x, out) };
        let scratch = &mut scratch[..out.len()];
        linear.forward(branch, scratch);
        ops::drop_out(scratch, Some(mask));
        ops::sum_of(out, x, scratch);
    }
}

impl Model {
    /// Mean cross-entropy of predicting `targets` after `inputs`, in nats per token. Both: (B, T), row by row.
    ///
    /// # Panics
    /// If the lengths differ or are not a multiple of `t`, if `t` is above the context, or an id past the vocabulary.
    pub fn loss(&self, inputs: &[u32], targets: &[u32], t: usize) -> f32 {
        let mut pass = Pass::new(self.config(), Precision::F32, KeptActivations::Nothing);
        pass.forward(self, inputs, t, None);
        pass.loss(self, targets)
    }

    /// The same loss, and its gradients added to `gradients`.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub fn loss_and_gradients(&self, inputs: &[u32], targets: &[u32], t: usize, gradients: &mut Gradients) -> f32 {
        let mut pass = Pass::new(self.config(), Precision::F32, KeptActivations::ForBackward);
        pass.forward(self, inputs, t, None);
        let loss = pass.language_model_loss(self, targets, 1.0, gradients);
        pass.backward(self, inputs, gradients);
        loss
    }

    /// Hidden states after the final norm (R, C) of sequences of length `t`.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub(crate) fn hidden(&self, inputs: &[u32], t: usize) -> Vec<f32> {
        let mut pass = Pass::new(self.config(), Precision::F32, KeptActivations::Nothing);
        pass.forward(self, inputs, t, None);
        std::mem::take(&mut pass.ln_f.y)
    }

    /// Logits (R, V) after each of `inputs`, all of them in memory at once.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub fn logits(&self, inputs: &[u32], t: usize) -> Vec<f32> {
        self.unembed(&self.hidden(inputs, t))
    }

    /// Logits (V) after the last of `inputs`.
    ///
    /// # Panics
    /// If there is no input, or more than the context.
    pub fn next_logits(&self, inputs: &[u32]) -> Vec<f32> {
        let hidden = self.hidden(inputs, inputs.len());
        self.unembed(&hidden[(inputs.len() - 1) * self.config().channels..])
    }

    /// Logits (R, V) of hidden states (R, C): the output projection is the token embedding, transposed.
    pub(crate) fn unembed(&self, hidden: &[f32]) -> Vec<f32> {
        let ModelConfig { channels: c, vocab_size: v, .. } = *self.config();
        let mut logits = vec![0.0; hidden.len() / c * v];
        let (to, wte) = (MatrixMut::of(&mut logits, v), Matrix::of(self.wte(), c).transposed());
        multiply(to, Start::Zero, 1.0, Matrix::of(hidden, c), wte, Threads::All, Precision::F32);
        logits
    }
}
