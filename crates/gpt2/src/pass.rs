//! The forward pass, the loss and the backward pass, as the papers define them.
//!
//! A [`Pass`] holds every buffer for batches of one shape, allocated once. Shapes use the papers' letters; R is
//! B·T, the rows of a batch. Buffers have the names of `trace.rs`: `attn_z`, `resid_mid`, `mlp_pre`, `mlp_post`,
//! `resid_post`.

use rayon::prelude::*;

use crate::attention::Attention;
use crate::config::{Family, ModelConfig};
use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::model::{Affine, Gradients, Model, ParameterTensor};
use crate::ops::{self, Norm};
use crate::random::Dropout;

/// The target of a row that is left out of the loss, such as padding.
pub const IGNORED: u32 = u32::MAX;

/// Rows whose logits exist at a time. In a trial 512 was 6% faster than 128: the embeddings are read less often.
pub(crate) const LOGIT_ROWS: usize = 512;

/// Which activations a pass keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those of one block at a time: enough for a forward pass alone.
    Nothing,
    /// Those of all blocks, for a backward pass.
    ForBackward,
}

/// The buffers of passes over batches of B sequences of T tokens, for training loops of your own.
///
/// ```
/// use gpt2::{AdamW, AdamWUpdate, Keep, Model, ModelConfig, Pass, Precision};
///
/// let mut model = Model::new(&ModelConfig::gpt2(1, 2, 16, 8, 50), 1);
/// let mut pass = Pass::new(model.config(), Precision::F32, Keep::ForBackward);
/// let (mut gradients, mut optimiser) = (model.zero_gradients(), AdamW::new(model.parameters()));
/// let (inputs, targets) = ([1, 2, 3, 4], [2, 3, 4, 5]); // (B, T): two sequences of two tokens
/// let mut losses = Vec::new();
/// for step in 0..10 {
///     pass.forward(&model, &inputs, 2, None);
///     losses.push(pass.language_model_loss(&model, &targets, 1.0, &mut gradients, false));
///     pass.backward(&model, &inputs, &mut gradients, false);
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
    /// (R, 3C) or more: what a branch or a head makes before it is copied to its buffer.
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
struct BackwardBuffers {
    /// (R, C): the gradient of the residual stream; in the beginning that of the final norm's output.
    d: Vec<f32>,
    /// (R, C): the gradient inside a branch.
    d_branch: Vec<f32>,
    /// (R, 4C), and as (R, 3C) that of queries, keys and values.
    d_wide: Vec<f32>,
}

/// Where dropout applies: to the embeddings, and at three sites per block.
#[derive(Clone, Copy)]
enum DropoutSite {
    Embeddings,
    AttentionWeights(usize),
    Attention(usize),
    Mlp(usize),
}

impl DropoutSite {
    fn number(self) -> u64 {
        match self {
            DropoutSite::Embeddings => 0,
            DropoutSite::AttentionWeights(layer) => 3 * layer as u64 + 1,
            DropoutSite::Attention(layer) => 3 * layer as u64 + 2,
            DropoutSite::Mlp(layer) => 3 * layer as u64 + 3,
        }
    }
}

impl Pass {
    /// Buffers without a size; the first [`Pass::forward`] gives them one.
    ///
    /// Memory: 16·R·C and R·H floats per block (17·R·C in GPT-1) when kept for the backward pass, else of one block;
    /// min(R, 512)·V for logits.
    pub fn new(config: &ModelConfig, precision: Precision, keep: Keep) -> Pass {
        let is_kept = keep == Keep::ForBackward;
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
        self.embed(model, inputs);
        for layer in 0..self.config.layers {
            let mut block = self.take(layer);
            std::mem::swap(&mut block.x, &mut self.x);
            match self.config.family {
                Family::Gpt2 => self.block_forward_gpt2(model, layer, &mut block),
                Family::Gpt1 => self.block_forward_gpt1(model, layer, &mut block),
            }
            self.put_back(layer, block);
        }
        match &model.layout().ln_f {
            Some(ln_f) => self.ln_f.forward(&self.x, ln_f.of(&model.weights)),
            None => self.ln_f.y.copy_from_slice(&self.x),
        }
    }

    /// Hidden states (R, C) after the final norm, of the last [`Pass::forward`].
    pub fn hidden(&self) -> &[f32] {
        &self.ln_f.y
    }

    /// The gradient of [`Pass::hidden`] (R, C): [`Pass::backward`] begins with it.
    ///
    /// # Panics
    /// If the pass was made with [`Keep::Nothing`].
    pub fn d_hidden_mut(&mut self) -> &mut [f32] {
        &mut self.backward_buffers().d
    }

    /// Mean cross-entropy in nats per token of the `targets` (R) that are not [`IGNORED`]; 0 if all are.
    ///
    /// # Panics
    /// If there is not a target for each row, or one is past the vocabulary.
    pub fn loss(&mut self, model: &Model, targets: &[u32]) -> f32 {
        self.cross_entropy(model, targets, None)
    }

    /// The same loss. Sets the gradient of [`Pass::hidden`] and that of `wte`, both times `scale`;
    /// with `accumulate` it adds to the latter.
    ///
    /// # Panics
    /// As [`Pass::loss`], and if the pass was made with [`Keep::Nothing`].
    pub fn language_model_loss(
        &mut self,
        model: &Model,
        targets: &[u32],
        scale: f32,
        gradients: &mut Gradients,
        accumulate: bool,
    ) -> f32 {
        let dwte = &mut gradients.0[model.layout().wte.clone()];
        self.cross_entropy(model, targets, Some((scale, dwte, accumulate)))
    }

    /// From the gradient of [`Pass::hidden`] to those of all weights. With `accumulate` it adds to them, else it
    /// sets them, but for `wte`, to which it adds in any case: [`Pass::language_model_loss`] comes before it.
    ///
    /// # Panics
    /// If the pass was made with [`Keep::Nothing`], or `inputs` are not those of the last [`Pass::forward`].
    pub fn backward(&mut self, model: &Model, inputs: &[u32], gradients: &mut Gradients, accumulate: bool) {
        if !accumulate {
            // What products set needs no zeros; positions, biases and norms are summed up.
            let is_summed = |tensor: &&ParameterTensor| tensor.shape.len() == 1 || tensor.range == model.layout().wpe;
            model.tensors().iter().filter(is_summed).for_each(|tensor| gradients.0[tensor.range.clone()].fill(0.0));
        }
        if let Some(ln_f) = &model.layout().ln_f {
            let buffers = self.backward.as_mut().expect("kept for a backward pass");
            let (weight, _) = ln_f.of(&model.weights);
            let to = (&mut buffers.d_branch[..], false);
            self.ln_f.backward(&self.x, weight, &buffers.d, to, ln_f.of_mut(&mut gradients.0));
            std::mem::swap(&mut buffers.d, &mut buffers.d_branch);
        }
        for layer in (0..self.config.layers).rev() {
            let block = self.take(layer);
            match self.config.family {
                Family::Gpt2 => self.block_backward_gpt2(model, layer, &block, gradients, accumulate),
                Family::Gpt1 => self.block_backward_gpt1(model, layer, &block, gradients, accumulate),
            }
            self.put_back(layer, block);
        }
        self.embed_backward(model, inputs, gradients);
    }

    // ---- embeddings

    /// `x = wte[id] + wpe[place]`
    fn embed(&mut self, model: &Model, inputs: &[u32]) {
        let (c, v, t) = (self.config.channels, self.config.vocab_size, self.t);
        let (wte, wpe) = (model.wte(), model.wpe());
        self.x.par_chunks_mut(c).enumerate().with_min_len(16).for_each(|(row, x)| {
            let id = inputs[row] as usize;
            assert!(id < v, "id {id} is not in the vocabulary of {v}");
            let (token, position) = (&wte[id * c..][..c], &wpe[(row % t) * c..][..c]);
            x.iter_mut().zip(token.iter().zip(position)).for_each(|(x, (token, position))| *x = token + position);
        });
        if let Some(dropout) = self.dropout {
            let mask = dropout.mask(DropoutSite::Embeddings.number());
            ops::masked(&mut self.scratch[..inputs.len() * c], &self.x, mask);
            self.x.copy_from_slice(&self.scratch[..inputs.len() * c]);
        }
    }

    fn embed_backward(&mut self, model: &Model, inputs: &[u32], gradients: &mut Gradients) {
        let (c, t) = (self.config.channels, self.t);
        if let Some(dropout) = self.dropout {
            let mask = dropout.mask(DropoutSite::Embeddings.number());
            let buffers = self.backward_buffers();
            ops::masked(&mut buffers.d_branch, &buffers.d, mask);
            std::mem::swap(&mut buffers.d, &mut buffers.d_branch);
        }
        let (wte, wpe) = (&model.layout().wte, &model.layout().wpe);
        let d = &self.backward_buffers().d;
        // Row by row on one thread: a token may occur in many rows.
        for (row, d) in d.chunks(c).enumerate() {
            ops::add(&mut gradients.0[wte.start + inputs[row] as usize * c..][..c], d);
            ops::add(&mut gradients.0[wpe.start + (row % t) * c..][..c], d);
        }
    }

    // ---- blocks

    /// `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
    fn block_forward_gpt2(&mut self, model: &Model, layer: usize, block: &mut Activations) {
        let weights = &model.layout().blocks[layer];
        block.ln_1.forward(&block.x, weights.ln_1.of(&model.weights));
        self.attention(layer, model, &block.ln_1.y, &mut block.qkv, &mut block.log_sums, &mut block.attn_z);
        let from = (&block.attn_z[..], &block.x[..]);
        self.add_branch(model, &weights.c_proj, from, &mut block.resid_mid, DropoutSite::Attention(layer));
        block.ln_2.forward(&block.resid_mid, weights.ln_2.of(&model.weights));
        linear(model, self.precision, &weights.c_fc, &block.ln_2.y, &mut block.mlp_pre);
        ops::gelu(&block.mlp_pre, &mut block.mlp_post);
        let mut x = std::mem::take(&mut self.x);
        let from = (&block.mlp_post[..], &block.resid_mid[..]);
        self.add_branch(model, &weights.mlp_c_proj, from, &mut x, DropoutSite::Mlp(layer));
        self.x = x;
    }

    /// `n = ln_1(x + attn(x))`, then `ln_2(n + mlp(n))`.
    fn block_forward_gpt1(&mut self, model: &Model, layer: usize, block: &mut Activations) {
        let weights = &model.layout().blocks[layer];
        self.attention(layer, model, &block.x, &mut block.qkv, &mut block.log_sums, &mut block.attn_z);
        let from = (&block.attn_z[..], &block.x[..]);
        self.add_branch(model, &weights.c_proj, from, &mut block.resid_mid, DropoutSite::Attention(layer));
        block.ln_1.forward(&block.resid_mid, weights.ln_1.of(&model.weights));
        linear(model, self.precision, &weights.c_fc, &block.ln_1.y, &mut block.mlp_pre);
        ops::gelu(&block.mlp_pre, &mut block.mlp_post);
        let from = (&block.mlp_post[..], &block.ln_1.y[..]);
        self.add_branch(model, &weights.mlp_c_proj, from, &mut block.resid_post, DropoutSite::Mlp(layer));
        block.ln_2.forward(&block.resid_post, weights.ln_2.of(&model.weights));
        self.x.copy_from_slice(&block.ln_2.y);
    }

    /// Turns `d`, the gradient of a block's output, into that of its input.
    fn block_backward_gpt2(
        &mut self,
        model: &Model,
        layer: usize,
        block: &Activations,
        gradients: &mut Gradients,
        accumulate: bool,
    ) {
        let weights = &model.layout().blocks[layer];
        self.mlp_backward(model, layer, (block, &block.ln_2.y), gradients, accumulate);
        self.norm_backward(model, (&block.ln_2, &weights.ln_2, &block.resid_mid), gradients);
        self.attention_backward(model, layer, (block, &block.ln_1.y), gradients, accumulate);
        self.norm_backward(model, (&block.ln_1, &weights.ln_1, &block.x), gradients);
    }

    fn block_backward_gpt1(
        &mut self,
        model: &Model,
        layer: usize,
        block: &Activations,
        gradients: &mut Gradients,
        accumulate: bool,
    ) {
        let weights = &model.layout().blocks[layer];
        self.norm_backward_through(model, (&block.ln_2, &weights.ln_2, &block.resid_post), gradients);
        self.mlp_backward(model, layer, (block, &block.ln_1.y), gradients, accumulate);
        self.add_d_branch();
        self.norm_backward_through(model, (&block.ln_1, &weights.ln_1, &block.resid_mid), gradients);
        self.attention_backward(model, layer, (block, &block.x), gradients, accumulate);
        self.add_d_branch();
    }

    /// `attn_z = attention(input · c_attn)`
    fn attention(
        &mut self,
        layer: usize,
        model: &Model,
        input: &[f32],
        qkv: &mut [f32],
        log_sums: &mut [f32],
        attn_z: &mut [f32],
    ) {
        linear(model, self.precision, &model.layout().blocks[layer].c_attn, input, qkv);
        let shape = self.attention_shape(layer);
        shape.forward(qkv, attn_z, log_sums, &mut self.scratch[..attn_z.len()]);
    }

    /// From `d` to `d_branch`, the gradient of the attention's input.
    fn attention_backward(
        &mut self,
        model: &Model,
        layer: usize,
        (block, input): (&Activations, &[f32]),
        gradients: &mut Gradients,
        accumulate: bool,
    ) {
        let weights = &model.layout().blocks[layer];
        let from = (&block.attn_z[..], DropoutSite::Attention(layer));
        let mut d_attn_z = self.branch_backward(model, &weights.c_proj, from, gradients, accumulate);
        let mut d_wide = std::mem::take(&mut self.backward_buffers().d_wide);
        let d_qkv = &mut d_wide[..block.qkv.len()];
        let kept = (&block.qkv[..], &block.attn_z[..], &block.log_sums[..]);
        self.attention_shape(layer).backward(kept, &d_attn_z, d_qkv, &mut self.scratch);
        let to = LinearGradients { dx: &mut d_attn_z, flat: &mut gradients.0, accumulate };
        linear_backward(model, self.precision, &weights.c_attn, (input, d_qkv), to);
        let buffers = self.backward_buffers();
        (buffers.d_branch, buffers.d_wide) = (d_attn_z, d_wide);
    }

    /// From `d` to `d_branch`, the gradient of the MLP's input.
    fn mlp_backward(
        &mut self,
        model: &Model,
        layer: usize,
        (block, input): (&Activations, &[f32]),
        gradients: &mut Gradients,
        accumulate: bool,
    ) {
        let weights = &model.layout().blocks[layer];
        let from = (&block.mlp_post[..], DropoutSite::Mlp(layer));
        let mut d_mlp_pre = self.branch_backward(model, &weights.mlp_c_proj, from, gradients, accumulate);
        ops::gelu_backward(&block.mlp_pre, &mut d_mlp_pre);
        let mut d_branch = std::mem::take(&mut self.backward_buffers().d_branch);
        let to = LinearGradients { dx: &mut d_branch, flat: &mut gradients.0, accumulate };
        linear_backward(model, self.precision, &weights.c_fc, (input, &d_mlp_pre), to);
        let buffers = self.backward_buffers();
        (buffers.d_branch, buffers.d_wide) = (d_branch, d_mlp_pre);
    }

    fn attention_shape(&self, layer: usize) -> Attention {
        let mask = self.dropout.map(|dropout| dropout.mask(DropoutSite::AttentionWeights(layer).number()));
        let ModelConfig { heads, channels, .. } = self.config;
        Attention { heads, t: self.t, channels, precision: self.precision, mask }
    }

    // ---- parts of blocks

    /// `to = x + dropout(branch · weight + bias)`: the end of a branch.
    fn add_branch(
        &mut self,
        model: &Model,
        affine: &Affine,
        (branch, x): (&[f32], &[f32]),
        to: &mut [f32],
        site: DropoutSite,
    ) {
        if let Some(dropout) = self.dropout {
            let mut scratch = std::mem::take(&mut self.scratch);
            linear(model, self.precision, affine, branch, &mut scratch[..to.len()]);
            ops::add_masked(to, x, &scratch[..x.len()], dropout.mask(site.number()));
            self.scratch = scratch;
            return;
        }
        let (weight, bias) = affine.of(&model.weights);
        let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
        let rows = branch.len() / inputs;
        ops::add_bias(to, x, bias);
        let branch = Matrix::new(branch, rows, inputs, inputs);
        let weight = Matrix::new(weight, inputs, outputs, outputs);
        let to = MatrixMut::new(to, rows, outputs, outputs);
        multiply(to, Start::Keep, 1.0, branch, weight, Threads::All, self.precision);
    }

    /// The gradients of [`Pass::add_branch`] but for `x`, whose gradient is `d` as it is. Gives that of `branch`,
    /// in the buffer `d_wide` or `d_branch` by its width, which the caller puts back.
    fn branch_backward(
        &mut self,
        model: &Model,
        affine: &Affine,
        (branch, site): (&[f32], DropoutSite),
        gradients: &mut Gradients,
        accumulate: bool,
    ) -> Vec<f32> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let is_wide = branch.len() > self.x.len();
        let buffers = self.backward_buffers();
        let d = std::mem::take(&mut buffers.d);
        let mut d_input = std::mem::take(if is_wide { &mut buffers.d_wide } else { &mut buffers.d_branch });
        let dy = match self.dropout {
            Some(dropout) => {
                ops::masked(&mut scratch[..d.len()], &d, dropout.mask(site.number()));
                &scratch[..d.len()]
            }
            None => &d[..],
        };
        let to = LinearGradients { dx: &mut d_input, flat: &mut gradients.0, accumulate };
        linear_backward(model, self.precision, affine, (branch, dy), to);
        self.scratch = scratch;
        self.backward_buffers().d = d;
        d_input
    }

    /// `d += norm_backward(d_branch)`
    fn norm_backward(&mut self, model: &Model, (norm, affine, x): (&Norm, &Affine, &[f32]), gradients: &mut Gradients) {
        let buffers = self.backward_buffers();
        let to = (&mut buffers.d[..], true);
        let (weight, _) = affine.of(&model.weights);
        norm.backward(x, weight, &buffers.d_branch, to, affine.of_mut(&mut gradients.0));
    }

    /// `d = norm_backward(d)`
    fn norm_backward_through(
        &mut self,
        model: &Model,
        (norm, affine, x): (&Norm, &Affine, &[f32]),
        gradients: &mut Gradients,
    ) {
        let buffers = self.backward_buffers();
        let to = (&mut buffers.d_branch[..], false);
        let (weight, _) = affine.of(&model.weights);
        norm.backward(x, weight, &buffers.d, to, affine.of_mut(&mut gradients.0));
        std::mem::swap(&mut buffers.d, &mut buffers.d_branch);
    }

    /// `d += d_branch`
    fn add_d_branch(&mut self) {
        let BackwardBuffers { d, d_branch, .. } = self.backward_buffers();
        let parts = d.par_chunks_mut(1 << 14).zip(d_branch.par_chunks(1 << 14));
        parts.for_each(|(d, d_branch)| ops::add(d, d_branch));
    }

    // ---- loss

    /// Projection, softmax and both gradients for a few rows at a time, so that the logits of a whole batch
    /// never exist. `gradient` is its scale, that of wte (V, C), and whether to add to that.
    fn cross_entropy(&mut self, model: &Model, targets: &[u32], mut gradient: Option<(f32, &mut [f32], bool)>) -> f32 {
        let ModelConfig { channels: c, vocab_size: v, .. } = self.config;
        let rows = self.ln_f.y.len() / c;
        assert_eq!(rows, targets.len(), "a target for each row");
        let counted = targets.iter().filter(|&&target| target != IGNORED).count();
        let wte = Matrix::new(model.wte(), v, c, c);
        let precision = self.precision;
        self.logits.resize(rows.min(LOGIT_ROWS) * v, 0.0);
        let mut loss = 0.0f64;
        for start in (0..rows).step_by(LOGIT_ROWS) {
            let n = LOGIT_ROWS.min(rows - start);
            let logits = &mut self.logits[..n * v];
            let hidden = Matrix::new(&self.ln_f.y[start * c..], n, c, c);
            let to = MatrixMut::new(logits, n, v, v);
            multiply(to, Start::Zero, 1.0, hidden, wte.transposed(), Threads::All, precision);
            loss += losses(logits, &targets[start..start + n], gradient.is_some());
            if let Some((scale, dwte, accumulate)) = &mut gradient {
                let scale = *scale / counted.max(1) as f32;
                let d_logits = Matrix::new(logits, n, v, v);
                let to = MatrixMut::new(dwte, v, c, c);
                let keep = Start::keep_if(*accumulate || start > 0);
                multiply(to, keep, scale, d_logits.transposed(), hidden, Threads::All, precision);
                let buffers = self.backward.as_mut().expect("kept for a backward pass");
                let to = MatrixMut::new(&mut buffers.d[start * c..], n, c, c);
                multiply(to, Start::Zero, scale, d_logits, wte, Threads::All, precision);
            }
        }
        (loss / counted.max(1) as f64) as f32
    }

    // ---- buffers

    fn backward_buffers(&mut self) -> &mut BackwardBuffers {
        self.backward.as_mut().expect("kept for a backward pass")
    }

    fn take(&mut self, layer: usize) -> Activations {
        let at = layer % self.blocks.len();
        std::mem::take(&mut self.blocks[at])
    }

    fn put_back(&mut self, layer: usize, block: Activations) {
        let at = layer % self.blocks.len();
        self.blocks[at] = block;
    }
}

/// `y = x · weight + bias`. `x`: (R, I); `y`: (R, O).
pub(crate) fn linear(model: &Model, precision: Precision, affine: &Affine, x: &[f32], y: &mut [f32]) {
    let (weight, bias) = affine.of(&model.weights);
    let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
    let rows = x.len() / inputs;
    let x = Matrix::new(x, rows, inputs, inputs);
    let weight = Matrix::new(weight, inputs, outputs, outputs);
    let y = MatrixMut::new(y, rows, outputs, outputs);
    multiply(y, Start::Bias(bias), 1.0, x, weight, Threads::All, precision);
}

/// Where the gradients of a [`linear`] go.
struct LinearGradients<'a> {
    /// (R, I): set.
    dx: &'a mut [f32],
    /// Those of all weights.
    flat: &'a mut [f32],
    /// Whether the weight's is added to; the bias's always is.
    accumulate: bool,
}

/// The gradients of [`linear`] from `dy` (R, O).
fn linear_backward(
    model: &Model,
    precision: Precision,
    affine: &Affine,
    (x, dy): (&[f32], &[f32]),
    to: LinearGradients<'_>,
) {
    let (weight, bias) = affine.of(&model.weights);
    let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
    let rows = x.len() / inputs;
    let (d_weight, d_bias) = affine.of_mut(to.flat);
    let dy_matrix = Matrix::new(dy, rows, outputs, outputs);
    let x = Matrix::new(x, rows, inputs, inputs);
    let d_weight = MatrixMut::new(d_weight, inputs, outputs, outputs);
    let start = Start::keep_if(to.accumulate);
    multiply(d_weight, start, 1.0, x.transposed(), dy_matrix, Threads::All, precision);
    ops::add_column_sums(d_bias, dy);
    let weight = Matrix::new(weight, inputs, outputs, outputs);
    let dx = MatrixMut::new(to.dx, rows, inputs, inputs);
    multiply(dx, Start::Zero, 1.0, dy_matrix, weight.transposed(), Threads::All, precision);
}

/// The sum of all rows' losses; with `with_gradients` their logits (n, V) become gradients, softmax − target.
fn losses(logits: &mut [f32], targets: &[u32], with_gradients: bool) -> f64 {
    let v = logits.len() / targets.len();
    let losses: Vec<f64> = logits
        .par_chunks_mut(v)
        .zip(targets)
        .map(|(row, &target)| {
            if target == IGNORED {
                row.fill(0.0);
                return 0.0;
            }
            let own = f64::from(row[target as usize]);
            let log_sum = ops::vectorised(|| {
                let max = ops::largest(row);
                let total = ops::exp_and_sum(row, max);
                if with_gradients {
                    let scale = 1.0 / total;
                    row.iter_mut().for_each(|x| *x *= scale);
                }
                f64::from(max) + f64::from(total).ln()
            });
            row[target as usize] -= 1.0;
            log_sum - own
        })
        .collect();
    losses.iter().sum()
}

impl Model {
    /// Mean cross-entropy of predicting `targets` after `inputs`, in nats per token. Both: (B, T), row by row.
    ///
    /// # Panics
    /// If the lengths differ or are not a multiple of `t`, if `t` is above the context, or an id past the vocabulary.
    pub fn loss(&self, inputs: &[u32], targets: &[u32], t: usize) -> f32 {
        let mut pass = Pass::new(self.config(), Precision::F32, Keep::Nothing);
        pass.forward(self, inputs, t, None);
        pass.loss(self, targets)
    }

    /// The same loss, and its gradients added to `gradients`.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub fn loss_and_gradients(&self, inputs: &[u32], targets: &[u32], t: usize, gradients: &mut Gradients) -> f32 {
        let mut pass = Pass::new(self.config(), Precision::F32, Keep::ForBackward);
        pass.forward(self, inputs, t, None);
        let loss = pass.language_model_loss(self, targets, 1.0, gradients, true);
        pass.backward(self, inputs, gradients, true);
        loss
    }

    /// Hidden states after the final norm (R, C) of sequences of length `t`.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub(crate) fn hidden(&self, inputs: &[u32], t: usize) -> Vec<f32> {
        let mut pass = Pass::new(self.config(), Precision::F32, Keep::Nothing);
        pass.forward(self, inputs, t, None);
        std::mem::take(&mut pass.ln_f.y)
    }

    /// Logits (R, V) after each of `inputs`, all of them in memory at once.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub fn logits(&self, inputs: &[u32], t: usize) -> Vec<f32> {
        let hidden = self.hidden(inputs, t);
        let (rows, c, v) = (inputs.len(), self.config().channels, self.config().vocab_size);
        let mut logits = vec![0.0; rows * v];
        let to = MatrixMut::new(&mut logits, rows, v, v);
        let wte = Matrix::new(self.wte(), v, c, c).transposed();
        multiply(to, Start::Zero, 1.0, Matrix::new(&hidden, rows, c, c), wte, Threads::All, Precision::F32);
        logits
    }

    /// Logits (V) after the last of `inputs`.
    ///
    /// # Panics
    /// If there is no input, or more than the context.
    pub fn next_logits(&self, inputs: &[u32]) -> Vec<f32> {
        let hidden = self.hidden(inputs, inputs.len());
        let (c, v) = (self.config().channels, self.config().vocab_size);
        let last = Matrix::new(&hidden[(inputs.len() - 1) * c..], 1, c, c);
        let mut logits = vec![0.0; v];
        let to = MatrixMut::new(&mut logits, 1, v, v);
        let wte = Matrix::new(self.wte(), v, c, c).transposed();
        multiply(to, Start::Zero, 1.0, last, wte, Threads::All, Precision::F32);
        logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::perturbed;

    fn shapes() -> [ModelConfig; 2] {
        [ModelConfig::gpt2(2, 2, 8, 6, 11), ModelConfig::gpt1(2, 2, 8, 6, 11)]
    }

    const INPUTS: [u32; 8] = [1, 5, 0, 10, 2, 2, 3, 4];
    const TARGETS: [u32; 8] = [5, 0, 10, 2, 7, 3, IGNORED, 9];

    fn check_gradients(config: &ModelConfig, dropout: Option<Dropout>) {
        let model = perturbed(config, 0.3);
        let mut pass = Pass::new(config, Precision::F32, Keep::ForBackward);
        let mut gradients = model.zero_gradients();
        pass.forward(&model, &INPUTS, 4, dropout);
        pass.language_model_loss(&model, &TARGETS, 1.0, &mut gradients, false);
        pass.backward(&model, &INPUTS, &mut gradients, false);
        for tensor in model.tensors() {
            // Along the gradient itself the slope is its norm, far above the rounding of f32.
            let gradient = &gradients.0[tensor.range.clone()];
            let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
            let step = 3e-3;
            let mut loss_at = |sign: f32| {
                let mut moved = model.clone();
                let weights = &mut moved.weights[tensor.range.clone()];
                weights.iter_mut().zip(gradient).for_each(|(w, g)| *w += sign * step * g / norm.max(1e-12));
                pass.forward(&moved, &INPUTS, 4, dropout);
                f64::from(pass.loss(&moved, &TARGETS))
            };
            let slope = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * f64::from(step));
            let difference = (slope - f64::from(norm)).abs();
            assert!(difference < 0.01 * f64::from(norm) + 2e-4, "{}: {slope} for {norm}", tensor.name);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for config in shapes() {
            check_gradients(&config, None);
            check_gradients(&config, Some(Dropout { probability: 0.2, seed: 1, pass: 7 }));
        }
    }

    #[test]
    fn gradients_of_two_passes_add_up() {
        for config in shapes() {
            let model = perturbed(&config, 0.3);
            let mut pass = Pass::new(&config, Precision::F32, Keep::ForBackward);
            let (mut once, mut twice) = (model.zero_gradients(), model.zero_gradients());
            twice.0.fill(f32::NAN);
            for (is_once, accumulate) in [(true, true), (false, false), (false, true)] {
                let gradients = if is_once { &mut once } else { &mut twice };
                pass.forward(&model, &INPUTS, 4, None);
                pass.language_model_loss(&model, &TARGETS, 0.5, gradients, accumulate);
                pass.backward(&model, &INPUTS, gradients, accumulate);
            }
            for (once, twice) in once.0.iter().zip(&twice.0) {
                assert!((2.0 * once - twice).abs() < 1e-5, "{once}, {twice}");
            }
        }
    }

    #[test]
    fn the_future_is_not_seen() {
        for config in shapes() {
            let model = perturbed(&config, 0.3);
            let (long, short) = (model.hidden(&[1, 2, 3, 9, 9], 5), model.hidden(&[1, 2, 3], 3));
            for (a, b) in long[..3 * 8].iter().zip(&short) {
                assert!((a - b).abs() < 1e-5);
            }
            assert_eq!(model.next_logits(&[1, 2, 3]).len(), 11);
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        for config in [ModelConfig::gpt2(2, 2, 64, 96, 300), ModelConfig::gpt1(2, 2, 64, 96, 300)] {
            let inputs: Vec<u32> = (0..384).map(|i| i * 7 % 300).collect();
            let targets: Vec<u32> = (0..384).map(|i| i * 11 % 300).collect();
            let gradients = |threads, precision| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let model = Model::new(&config, 1);
                    let mut gradients = model.zero_gradients();
                    let mut pass = Pass::new(&config, precision, Keep::ForBackward);
                    let dropout = Dropout { probability: 0.1, seed: 1, pass: 0 };
                    pass.forward(&model, &inputs, 96, Some(dropout));
                    let loss = pass.language_model_loss(&model, &targets, 1.0, &mut gradients, false);
                    pass.backward(&model, &inputs, &mut gradients, false);
                    (loss.to_bits(), gradients.0.iter().map(|g| g.to_bits()).collect::<Vec<_>>())
                })
            };
            for precision in [Precision::F32, Precision::Bf16] {
                let one = gradients(1, precision);
                assert!(one == gradients(2, precision));
                assert!(one == gradients(3, precision));
            }
        }
    }

    #[test]
    fn an_untrained_model_knows_nothing() {
        for config in shapes() {
            let loss = Model::new(&config, 1).loss(&[1, 2, 3], &[2, 3, 4], 3);
            assert!((loss - 11f32.ln()).abs() < 0.3, "{loss}");
        }
    }
}
