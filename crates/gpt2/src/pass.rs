//! Forward and backward passes.

use rayon::prelude::*;

use crate::config::ModelConfig;
use crate::matmul::{Matrix, MatrixMut, Threads, multiply};
use crate::model::{Affine, Block, Gradients, Model};
use crate::ops;

/// Rows for which logits are held at a time: no (R, V) is ever in memory.
const LOGIT_ROWS: usize = 256;

/// What a block's forward pass leaves for its backward pass.
struct Activations {
    /// (R, C): what came in.
    x: Vec<f32>,
    norm_1: Norm,
    /// (R, 3C)
    qkv: Vec<f32>,
    /// (B, H, T, T)
    weights: Vec<f32>,
    /// (R, C): attention's output before its projection.
    attended: Vec<f32>,
    /// (R, C): after attention and its residual.
    middle: Vec<f32>,
    norm_2: Norm,
    /// (R, 4C): before GELU.
    hidden: Vec<f32>,
    /// (R, 4C): after GELU.
    activated: Vec<f32>,
}

/// A layer norm's output (R, C), means (R) and reciprocal deviations (R).
struct Norm {
    y: Vec<f32>,
    mean: Vec<f32>,
    rstd: Vec<f32>,
}

impl Model {
    /// Mean cross-entropy of predicting `targets` after `inputs`, in nats a token. Both: (B, T), row by row.
    ///
    /// # Panics
    /// If the lengths differ or are no multiple of `t`, if `t` passes the context, or an id the vocabulary.
    pub fn loss(&self, inputs: &[u32], targets: &[u32], t: usize) -> f32 {
        let (blocks, out) = self.forward(inputs, t, false);
        drop(blocks);
        self.cross_entropy(&out.y, targets, None).0
    }

    /// The same loss, and its gradients added to `gradients`.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub fn loss_and_gradients(&self, inputs: &[u32], targets: &[u32], t: usize, gradients: &mut Gradients) -> f32 {
        let (blocks, out) = self.forward(inputs, t, true);
        let wte = self.layout().wte.clone();
        let (loss, dy) = self.cross_entropy(&out.y, targets, Some(&mut gradients.0[wte]));
        self.backward(inputs, t, &blocks, &out, &dy, gradients);
        loss
    }

    /// Hidden states after the final norm (R, C) of sequences of length `t`.
    ///
    /// # Panics
    /// As [`Model::loss`].
    pub(crate) fn hidden(&self, inputs: &[u32], t: usize) -> Vec<f32> {
        self.forward(inputs, t, false).1.y
    }

    /// Logits (V) after the last of `inputs`.
    ///
    /// # Panics
    /// If there is no input, or more than the context.
    pub fn next_logits(&self, inputs: &[u32]) -> Vec<f32> {
        let (_, out) = self.forward(inputs, inputs.len(), false);
        let (c, v) = (self.config().channels, self.config().vocab_size);
        let last = &out.y[(inputs.len() - 1) * c..];
        let mut logits = vec![0.0; v];
        let wte = Matrix::new(self.wte(), v, c, c);
        multiply(
            MatrixMut::new(&mut logits, 1, v, v),
            false,
            1.0,
            Matrix::new(last, 1, c, c),
            wte.transposed(),
            Threads::All,
        );
        logits
    }

    /// All blocks and the final norm. Keeps each block's activations when `keep`.
    fn forward(&self, inputs: &[u32], t: usize, keep: bool) -> (Vec<Activations>, Final) {
        let ModelConfig { layers, channels: c, context, vocab_size, .. } = *self.config();
        assert!(t > 0 && t <= context && inputs.len().is_multiple_of(t), "sequences of at most the context");
        let (wte, wpe) = (self.wte(), self.wpe());
        let mut x = vec![0.0; inputs.len() * c]; // (R, C)
        x.par_chunks_mut(c).enumerate().for_each(|(row, x)| {
            let id = inputs[row] as usize;
            assert!(id < vocab_size, "id {id} is not in the vocabulary of {vocab_size}");
            let (token, position) = (&wte[id * c..][..c], &wpe[(row % t) * c..][..c]);
            x.iter_mut().zip(token.iter().zip(position)).for_each(|(x, (token, position))| *x = token + position);
        });
        let mut kept = Vec::with_capacity(if keep { layers } else { 0 });
        for layer in 0..layers {
            let (activations, out) = self.block_forward(&self.layout().blocks[layer], x, t);
            x = out;
            if keep {
                kept.push(activations);
            }
        }
        let norm = self.norm(&x, self.ln_f());
        (kept, Final { x, y: norm.y, mean: norm.mean, rstd: norm.rstd })
    }

    /// `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
    fn block_forward(&self, block: &Block, x: Vec<f32>, t: usize) -> (Activations, Vec<f32>) {
        let ModelConfig { heads, channels: c, .. } = *self.config();
        let rows = x.len() / c;
        let linear = |x: &[f32], affine: &Affine| {
            let (weight, bias) = affine.of(&self.weights);
            let mut y = vec![0.0; rows * bias.len()];
            ops::linear(x, weight, bias, &mut y);
            y
        };
        let norm_1 = self.norm(&x, &block.ln_1);
        let qkv = linear(&norm_1.y, &block.c_attn);
        let mut weights = vec![0.0; rows / t * heads * t * t];
        let mut attended = vec![0.0; rows * c];
        ops::attention(&qkv, &mut weights, &mut attended, heads, t, c);
        let mut middle = linear(&attended, &block.c_proj);
        ops::add(&mut middle, &x);
        let norm_2 = self.norm(&middle, &block.ln_2);
        let hidden = linear(&norm_2.y, &block.c_fc);
        let mut activated = vec![0.0; hidden.len()];
        ops::gelu(&hidden, &mut activated);
        let mut out = linear(&activated, &block.mlp_c_proj);
        ops::add(&mut out, &middle);
        (Activations { x, norm_1, qkv, weights, attended, middle, norm_2, hidden, activated }, out)
    }

    /// Mean loss over all rows of `y` (R, C) and, with `dwte`, the gradient of `y`; adds to `dwte` (V, C).
    ///
    /// Projection, softmax and both gradients are made for a few rows at a time.
    fn cross_entropy(&self, y: &[f32], targets: &[u32], mut dwte: Option<&mut [f32]>) -> (f32, Vec<f32>) {
        let (c, v) = (self.config().channels, self.config().vocab_size);
        let rows = y.len() / c;
        assert_eq!(rows, targets.len(), "a target for each row");
        let wte = Matrix::new(self.wte(), v, c, c);
        let mut dy = vec![0.0; if dwte.is_some() { y.len() } else { 0 }];
        let mut logits = vec![0.0; LOGIT_ROWS.min(rows) * v];
        let mut loss = 0.0f64;
        for start in (0..rows).step_by(LOGIT_ROWS) {
            let n = LOGIT_ROWS.min(rows - start);
            let logits = &mut logits[..n * v];
            let part = Matrix::new(&y[start * c..], n, c, c);
            multiply(MatrixMut::new(logits, n, v, v), false, 1.0, part, wte.transposed(), Threads::All);
            let losses: Vec<f32> = logits
                .par_chunks_mut(v)
                .zip(&targets[start..start + n])
                .map(|(row, &target)| {
                    ops::softmax(row);
                    let probability = row[target as usize];
                    // Not `max`, which would hide the NaN of a training that has diverged.
                    let loss = -if probability < f32::MIN_POSITIVE { f32::MIN_POSITIVE } else { probability }.ln();
                    row[target as usize] -= 1.0;
                    loss
                })
                .collect();
            loss += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
            if let Some(dwte) = &mut dwte {
                let scale = 1.0 / rows as f32;
                let d = Matrix::new(logits, n, v, v);
                multiply(MatrixMut::new(dwte, v, c, c), true, scale, d.transposed(), part, Threads::All);
                multiply(MatrixMut::new(&mut dy[start * c..], n, c, c), false, scale, d, wte, Threads::All);
            }
        }
        ((loss / rows as f64) as f32, dy)
    }

    fn ln_f(&self) -> &Affine {
        self.layout().ln_f.as_ref().expect("GPT-2 has a final norm")
    }

    fn norm(&self, x: &[f32], affine: &Affine) -> Norm {
        let (weight, bias) = affine.of(&self.weights);
        let rows = x.len() / weight.len();
        let mut norm = Norm { y: vec![0.0; x.len()], mean: vec![0.0; rows], rstd: vec![0.0; rows] };
        ops::layer_norm(x, weight, bias, &mut norm.y, &mut norm.mean, &mut norm.rstd);
        norm
    }

    fn backward(
        &self,
        inputs: &[u32],
        t: usize,
        blocks: &[Activations],
        out: &Final,
        dy: &[f32],
        gradients: &mut Gradients,
    ) {
        let c = self.config().channels;
        let mut dx = vec![0.0; out.x.len()]; // (R, C)
        let ln_f = self.ln_f();
        let input =
            ops::LayerNormInput { x: &out.x, weight: ln_f.of(&self.weights).0, mean: &out.mean, rstd: &out.rstd };
        let (dweight, dbias) = ln_f.of_mut(&mut gradients.0);
        ops::layer_norm_backward(&input, dy, &mut dx, dweight, dbias);
        for (layer, activations) in blocks.iter().enumerate().rev() {
            self.block_backward(&self.layout().blocks[layer], activations, t, &mut dx, gradients);
        }
        // The embeddings, row by row: a token may occur in many.
        let (wte, wpe) = (&self.layout().wte, &self.layout().wpe);
        for (row, dx) in dx.chunks(c).enumerate() {
            ops::add(&mut gradients.0[wte.start + inputs[row] as usize * c..][..c], dx);
            ops::add(&mut gradients.0[wpe.start + (row % t) * c..][..c], dx);
        }
    }

    /// Turns `dx`, the gradient of a block's output, into that of its input.
    fn block_backward(&self, block: &Block, kept: &Activations, t: usize, dx: &mut [f32], gradients: &mut Gradients) {
        let ModelConfig { heads, channels: c, .. } = *self.config();
        let linear_backward = |x: &[f32], affine: &Affine, dy: &[f32], gradients: &mut Gradients| {
            let mut dx = vec![0.0; x.len()];
            let (dweight, dbias) = affine.of_mut(&mut gradients.0);
            ops::linear_backward(x, affine.of(&self.weights).0, dy, &mut dx, dweight, dbias);
            dx
        };
        let norm_backward =
            |x: &[f32], norm: &Norm, affine: &Affine, dy: &[f32], dx: &mut [f32], gradients: &mut Gradients| {
                let input =
                    ops::LayerNormInput { x, weight: affine.of(&self.weights).0, mean: &norm.mean, rstd: &norm.rstd };
                let (dweight, dbias) = affine.of_mut(&mut gradients.0);
                ops::layer_norm_backward(&input, dy, dx, dweight, dbias);
            };
        // mlp
        let mut d = linear_backward(&kept.activated, &block.mlp_c_proj, dx, gradients);
        ops::gelu_backward(&kept.hidden, &mut d);
        let d = linear_backward(&kept.norm_2.y, &block.c_fc, &d, gradients);
        norm_backward(&kept.middle, &kept.norm_2, &block.ln_2, &d, dx, gradients);
        // attn
        let d = linear_backward(&kept.attended, &block.c_proj, dx, gradients);
        let mut dqkv = vec![0.0; kept.qkv.len()];
        ops::attention_backward(&kept.qkv, &kept.weights, &d, &mut dqkv, heads, t, c);
        let d = linear_backward(&kept.norm_1.y, &block.c_attn, &dqkv, gradients);
        norm_backward(&kept.x, &kept.norm_1, &block.ln_1, &d, dx, gradients);
    }
}

/// The final norm's input and output, both (R, C), and its statistics (R).
struct Final {
    x: Vec<f32>,
    y: Vec<f32>,
    mean: Vec<f32>,
    rstd: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, normal};

    fn tiny() -> ModelConfig {
        ModelConfig::gpt2(2, 2, 8, 6, 11)
    }

    /// A model whose norms and biases are not at rest, so that every gradient is tried.
    fn shaken() -> Model {
        let mut model = Model::new(&tiny(), 3);
        for (i, weight) in model.weights.iter_mut().enumerate() {
            *weight += 0.3 * normal(5, Stream::Weights, i as u64);
        }
        model
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let model = shaken();
        let inputs = [1, 5, 0, 10, 2, 2, 3, 4];
        let targets = [5, 0, 10, 2, 7, 3, 4, 9];
        let mut gradients = model.zero_gradients();
        model.loss_and_gradients(&inputs, &targets, 4, &mut gradients);
        for tensor in model.tensors() {
            // Along the gradient itself the slope is its norm, far above the rounding of f32.
            let gradient = &gradients.0[tensor.range.clone()];
            let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
            let step = 3e-3;
            let loss_at = |sign: f32| {
                let mut moved = model.clone();
                let weights = &mut moved.weights[tensor.range.clone()];
                weights.iter_mut().zip(gradient).for_each(|(w, g)| *w += sign * step * g / norm.max(1e-12));
                f64::from(moved.loss(&inputs, &targets, 4))
            };
            let slope = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * f64::from(step));
            let difference = (slope - f64::from(norm)).abs();
            assert!(difference < 0.01 * f64::from(norm) + 2e-4, "{}: {slope} for {norm}", tensor.name);
        }
    }

    #[test]
    fn the_future_is_not_seen() {
        let model = shaken();
        let before = model.next_logits(&[1, 2, 3]);
        let (_, out) = model.forward(&[1, 2, 3, 9, 9], 5, false);
        let (_, short) = model.forward(&[1, 2, 3], 3, false);
        for (a, b) in out.y[..3 * 8].iter().zip(&short.y) {
            assert!((a - b).abs() < 1e-5);
        }
        assert_eq!(before.len(), 11);
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let config = ModelConfig::gpt2(2, 2, 64, 64, 300);
        let inputs: Vec<u32> = (0..256).map(|i| i * 7 % 300).collect();
        let targets: Vec<u32> = (0..256).map(|i| i * 11 % 300).collect();
        let gradients = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let model = Model::new(&config, 1);
                let mut gradients = model.zero_gradients();
                let loss = model.loss_and_gradients(&inputs, &targets, 64, &mut gradients);
                (loss.to_bits(), gradients.0.iter().map(|g| g.to_bits()).collect::<Vec<_>>())
            })
        };
        let one = gradients(1);
        assert!(one == gradients(2));
        assert!(one == gradients(3));
    }

    #[test]
    fn an_untrained_model_knows_nothing() {
        let model = Model::new(&tiny(), 1);
        let loss = model.loss(&[1, 2, 3], &[2, 3, 4], 3);
        assert!((loss - 11f32.ln()).abs() < 0.05, "{loss}");
    }
}
