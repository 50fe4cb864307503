//! The backward pass through the blocks, in the opposite order of `mod.rs`.

use crate::matmul::Start;
use crate::model::{Affine, Gradients};
use crate::ops::{self, Norm};

use super::{Activations, BackwardBuffers, DropoutSite, Terms};

/// A backward pass on its way. `d` is the gradient of the residual stream, `d_branch` that inside a branch.
pub(super) struct Backward<'a> {
    terms: Terms<'a>,
    /// Of all weights.
    flat: &'a mut [f32],
    /// What the gradients of matrices start with.
    start: Start<'static>,
    /// (R, C)
    d: &'a mut Vec<f32>,
    /// (R, C)
    d_branch: &'a mut Vec<f32>,
    /// (R, 4C), and as (R, 3C) that of queries, keys and values.
    d_wide: &'a mut [f32],
    /// (R, 3C)
    scratch: &'a mut [f32],
}

impl<'a> Backward<'a> {
    pub(super) fn new(
        terms: Terms<'a>,
        gradients: &'a mut Gradients,
        buffers: &'a mut BackwardBuffers,
        scratch: &'a mut [f32],
    ) -> Backward<'a> {
        let start = gradients.begin(terms.model);
        let BackwardBuffers { d, d_branch, d_wide } = buffers;
        Backward { terms, flat: gradients.as_mut_slice(), start, d, d_branch, d_wide, scratch }
    }

    /// Turns `d`, the gradient of a block's output, into that of its input.
    pub(super) fn block_gpt2(&mut self, layer: usize, block: &Activations) {
        let weights = &self.terms.model.layout().blocks[layer];
        self.mlp(layer, block, &block.ln_2.y);
        self.norm_of_branch(&weights.ln_2, &block.ln_2, &block.resid_mid);
        self.attention(layer, block, &block.ln_1.y);
        self.norm_of_branch(&weights.ln_1, &block.ln_1, &block.x);
    }

    /// The same of a block with its norms behind the sums.
    pub(super) fn block_gpt1(&mut self, layer: usize, block: &Activations) {
        let weights = &self.terms.model.layout().blocks[layer];
        self.norm_through(&weights.ln_2, &block.ln_2, &block.resid_post);
        self.mlp(layer, block, &block.ln_1.y);
        ops::add_all(self.d, self.d_branch);
        self.norm_through(&weights.ln_1, &block.ln_1, &block.resid_mid);
        self.attention(layer, block, &block.x);
        ops::add_all(self.d, self.d_branch);
    }

    /// From `d` to `d_branch`, the gradient of the MLP's input.
    fn mlp(&mut self, layer: usize, block: &Activations, input: &[f32]) {
        let weights = &self.terms.model.layout().blocks[layer];
        let dy = dropped(self.terms, DropoutSite::Mlp(layer), self.d, self.scratch);
        let of = weights.mlp_c_proj.of_mut(self.flat);
        self.terms.linear(&weights.mlp_c_proj).backward(&block.mlp_post, dy, self.d_wide, self.start, of);
        ops::gelu_backward(&block.mlp_pre, self.d_wide);
        let of = weights.c_fc.of_mut(self.flat);
        self.terms.linear(&weights.c_fc).backward(input, self.d_wide, self.d_branch, self.start, of);
    }

    /// From `d` to `d_branch`, the gradient of the attention's input.
    fn attention(&mut self, layer: usize, block: &Activations, input: &[f32]) {
        let weights = &self.terms.model.layout().blocks[layer];
        let dy = dropped(self.terms, DropoutSite::Attention(layer), self.d, self.scratch);
        let of = weights.c_proj.of_mut(self.flat);
        self.terms.linear(&weights.c_proj).backward(&block.attn_z, dy, self.d_branch, self.start, of);
        let d_qkv = &mut self.d_wide[..block.qkv.len()];
        let kept = (&block.qkv[..], &block.attn_z[..], &block.log_sums[..]);
        self.terms.attention(layer).backward(kept, self.d_branch, d_qkv, self.scratch);
        let of = weights.c_attn.of_mut(self.flat);
        self.terms.linear(&weights.c_attn).backward(input, d_qkv, self.d_branch, self.start, of);
    }

    /// `d += norm_backward(d_branch)`
    fn norm_of_branch(&mut self, affine: &Affine, norm: &Norm, x: &[f32]) {
        let (weight, _) = affine.of(&self.terms.model.weights);
        norm.backward(x, weight, self.d_branch, (self.d, true), affine.of_mut(self.flat));
    }

    /// `d = norm_backward(d)`
    pub(super) fn norm_through(&mut self, affine: &Affine, norm: &Norm, x: &[f32]) {
        let (weight, _) = affine.of(&self.terms.model.weights);
        norm.backward(x, weight, self.d, (self.d_branch, false), affine.of_mut(self.flat));
        std::mem::swap(self.d, self.d_branch);
    }

    /// Adds `d` to the embeddings of the inputs and of their places.
    pub(super) fn embed(&mut self, inputs: &[u32]) {
        let layout = self.terms.model.layout();
        let c = self.terms.model.config().channels;
        ops::drop_out(self.d, self.terms.mask(DropoutSite::Embeddings));
        // Row by row on one thread: a token may occur in many rows.
        for (row, d) in self.d.chunks(c).enumerate() {
            ops::add(&mut self.flat[layout.wte.start + inputs[row] as usize * c..][..c], d);
            ops::add(&mut self.flat[layout.wpe.start + (row % self.terms.t) * c..][..c], d);
        }
    }
}

/// The gradient of a branch's end from that of the residual stream.
fn dropped<'a>(terms: Terms<'_>, site: DropoutSite, d: &'a [f32], scratch: &'a mut [f32]) -> &'a [f32] {
    let Some(mask) = terms.mask(site) else { return d };
    let scratch = &mut scratch[..d.len()];
    scratch.copy_from_slice(d);
    ops::drop_out(scratch, Some(mask));
    scratch
}
