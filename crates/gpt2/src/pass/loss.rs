//! The language model's loss, fused with the output projection, forward and backward.

use rayon::prelude::*;

use super::{IGNORED, KEPT, Pass};
use crate::config::ModelConfig;
use crate::matmul::{Matrix, MatrixMut, Start, Threads, multiply};
use crate::model::{Gradients, Model};
use crate::ops;

/// Rows whose logits exist at a time. In a trial 512 was 6% faster than 128: the embeddings are read less often.
pub(crate) const LOGIT_ROWS: usize = 512;

/// Where the gradient of a loss goes.
struct EmbeddingGradient<'a> {
    /// A factor of all gradients.
    scale: f32,
    /// (V, C)
    d_wte: &'a mut [f32],
    /// What it starts with.
    start: Start<'static>,
}

impl Pass {
    /// Mean cross-entropy in nats per token of the `targets` (R) that are not [`IGNORED`]; 0 if all are.
    ///
    /// # Panics
    /// If there is not a target for each row, or one is past the vocabulary.
    pub fn loss(&mut self, model: &Model, targets: &[u32]) -> f32 {
        self.cross_entropy(model, targets, None)
    }

    /// The same loss. Sets the gradient of [`Pass::hidden`] and adds that of `wte`, both times `scale`.
    ///
    /// # Panics
    /// As [`Pass::loss`], and if the pass was made with [`KeptActivations::Nothing`](super::KeptActivations::Nothing).
    pub fn language_model_loss(
        &mut self,
        model: &Model,
        targets: &[u32],
        scale: f32,
        gradients: &mut Gradients,
    ) -> f32 {
        let start = gradients.begin_embeddings();
        let d_wte = &mut gradients.as_mut_slice()[model.layout().wte.clone()];
        self.cross_entropy(model, targets, Some(EmbeddingGradient { scale, d_wte, start }))
    }

    /// Projection, softmax and both gradients for a few rows at a time, so that the logits of a whole batch
    /// never exist.
    fn cross_entropy(&mut self, model: &Model, targets: &[u32], mut gradient: Option<EmbeddingGradient<'_>>) -> f32 {
        let ModelConfig { channels: c, vocab_size: v, .. } = self.config;
        let rows = self.ln_f.y.len() / c;
        assert_eq!(rows, targets.len(), "a target for each row");
        let counted = targets.iter().filter(|&&target| target != IGNORED).count().max(1);
        let wte = Matrix::of(model.wte(), c);
        let precision = self.precision;
        self.logits.resize(rows.min(LOGIT_ROWS) * v, 0.0);
        let mut loss = 0.0f64;
        for (chunk, targets) in targets.chunks(LOGIT_ROWS).enumerate() {
            let (logits, of_chunk) = (&mut self.logits[..targets.len() * v], chunk * LOGIT_ROWS * c..);
            let hidden = Matrix::of(&self.ln_f.y[of_chunk.clone()][..targets.len() * c], c);
            let to = MatrixMut::of(logits, v);
            multiply(to, Start::Zero, 1.0, hidden, wte.transposed(), Threads::All, precision);
            loss += losses(logits, targets, gradient.is_some());
            let Some(EmbeddingGradient { scale, d_wte, start }) = &mut gradient else { continue };
            let scale = *scale / counted as f32;
            let start = if chunk > 0 { Start::Keep } else { *start };
            let d_logits = Matrix::of(logits, v);
            multiply(MatrixMut::of(d_wte, c), start, scale, d_logits.transposed(), hidden, Threads::All, precision);
            let d = &mut self.backward.as_mut().expect(KEPT).d[of_chunk][..targets.len() * c];
            multiply(MatrixMut::of(d, c), Start::Zero, scale, d_logits, wte, Threads::All, precision);
        }
        (loss / counted as f64) as f32
    }
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
