//! The parts of the model that are not matrix products, forward and backward.
//!
//! Loops over rows run in parallel; sums over rows are made in chunks of fixed size whose partial sums
//! are added in order, so no result depends on the number of threads.

use rayon::prelude::*;

use crate::matmul::{Matrix, MatrixMut, Threads, multiply};

/// Rows whose partial sum one thread makes.
const CHUNK_ROWS: usize = 32;
/// The paper's ε.
const EPSILON: f32 = 1e-5;

/// eˣ without a call into the C library, so that loops over it become vector code and every machine
/// gives the same bits. Cephes' polynomial; relative error below 2⁻²².
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0; // round to nearest
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let polynomial = 1.987_569_1e-4f32;
    let polynomial = polynomial * r + 1.398_199_9e-3;
    let polynomial = polynomial * r + 8.333_452e-3;
    let polynomial = polynomial * r + 4.166_579_6e-2;
    let polynomial = polynomial * r + 1.666_666_6e-1;
    let polynomial = polynomial * r + 0.5;
    let mantissa = polynomial * r * r + r + 1.0;
    mantissa * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// √(2/π), the constant of GELU's tanh form.
const GELU_SCALE: f32 = 0.797_884_6;

/// GELU in its tanh form, element by element.
pub(crate) fn gelu(x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(4096).zip(x.par_chunks(4096)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = 0.5 * x * (1.0 + tanh(GELU_SCALE * (x + 0.044715 * x * x * x)));
        }
    });
}

/// Turns the gradient of GELU's output into that of its input, in place.
pub(crate) fn gelu_backward(x: &[f32], dy: &mut [f32]) {
    dy.par_chunks_mut(4096).zip(x.par_chunks(4096)).for_each(|(dy, x)| {
        for (dy, &x) in dy.iter_mut().zip(x) {
            let t = tanh(GELU_SCALE * (x + 0.044715 * x * x * x));
            let slope = GELU_SCALE * (1.0 + 3.0 * 0.044715 * x * x);
            *dy *= 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
        }
    });
}

/// Layer norm of each row: `y = (x − mean) / σ · weight + bias`. `x`, `y`: (R, C); `mean`, `rstd`: (R).
pub(crate) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32], mean: &mut [f32], rstd: &mut [f32]) {
    let c = weight.len();
    let rows = x.par_chunks(c).zip(y.par_chunks_mut(c)).zip(mean.par_iter_mut().zip(rstd));
    rows.for_each(|((x, y), (mean, rstd))| {
        let m = x.iter().sum::<f32>() / c as f32;
        let variance = x.iter().map(|x| (x - m) * (x - m)).sum::<f32>() / c as f32;
        let r = 1.0 / (variance + EPSILON).sqrt();
        for (i, y) in y.iter_mut().enumerate() {
            *y = (x[i] - m) * r * weight[i] + bias[i];
        }
        (*mean, *rstd) = (m, r);
    });
}

/// What layer norm's backward pass reads.
pub(crate) struct LayerNormInput<'a> {
    /// (R, C)
    pub(crate) x: &'a [f32],
    /// (C)
    pub(crate) weight: &'a [f32],
    /// (R)
    pub(crate) mean: &'a [f32],
    /// (R)
    pub(crate) rstd: &'a [f32],
}

/// Adds layer norm's gradients: to `dx` (R, C), `dweight` (C), `dbias` (C), from `dy` (R, C).
pub(crate) fn layer_norm_backward(
    input: &LayerNormInput<'_>,
    dy: &[f32],
    dx: &mut [f32],
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    let c = input.weight.len();
    let partial: Vec<Vec<f32>> = dx
        .par_chunks_mut(CHUNK_ROWS * c)
        .enumerate()
        .map(|(chunk, dx)| {
            let mut sums = vec![0.0; 2 * c]; // dweight, then dbias
            let (dweight, dbias) = sums.split_at_mut(c);
            for (i, dx) in dx.chunks_mut(c).enumerate() {
                let row = chunk * CHUNK_ROWS + i;
                let (x, dy) = (&input.x[row * c..][..c], &dy[row * c..][..c]);
                let (mean, rstd) = (input.mean[row], input.rstd[row]);
                let (mut sum, mut sum_hat) = (0.0, 0.0);
                for i in 0..c {
                    let hat = (x[i] - mean) * rstd;
                    let dhat = dy[i] * input.weight[i];
                    sum += dhat;
                    sum_hat += dhat * hat;
                    dweight[i] += dy[i] * hat;
                    dbias[i] += dy[i];
                }
                let (mean_d, mean_dh) = (sum / c as f32, sum_hat / c as f32);
                for i in 0..c {
                    let hat = (x[i] - mean) * rstd;
                    dx[i] += rstd * (dy[i] * input.weight[i] - mean_d - hat * mean_dh);
                }
            }
            sums
        })
        .collect();
    for sums in partial {
        add(dweight, &sums[..c]);
        add(dbias, &sums[c..]);
    }
}

/// `y = x · weight + bias`. `x`: (R, I), `weight`: (I, O), `bias`: (O), `y`: (R, O).
pub(crate) fn linear(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let rows = y.len() / outputs;
    y.par_chunks_mut(outputs).for_each(|y| y.copy_from_slice(bias));
    let (x, weight) = (Matrix::new(x, rows, inputs, inputs), Matrix::new(weight, inputs, outputs, outputs));
    multiply(MatrixMut::new(y, rows, outputs, outputs), true, 1.0, x, weight, Threads::All);
}

/// The gradients of [`linear`]: sets `dx` (R, I), adds to `dweight` (I, O) and `dbias` (O), from `dy` (R, O).
pub(crate) fn linear_backward(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    let outputs = dbias.len();
    let inputs = weight.len() / outputs;
    let rows = dy.len() / outputs;
    let dy_matrix = Matrix::new(dy, rows, outputs, outputs);
    let x = Matrix::new(x, rows, inputs, inputs);
    multiply(MatrixMut::new(dweight, inputs, outputs, outputs), true, 1.0, x.transposed(), dy_matrix, Threads::All);
    let weight = Matrix::new(weight, inputs, outputs, outputs);
    multiply(MatrixMut::new(dx, rows, inputs, inputs), false, 1.0, dy_matrix, weight.transposed(), Threads::All);
    let partial: Vec<Vec<f32>> = dy
        .par_chunks(CHUNK_ROWS * outputs)
        .map(|dy| {
            let mut sums = vec![0.0; outputs];
            dy.chunks(outputs).for_each(|dy| add(&mut sums, dy));
            sums
        })
        .collect();
    partial.iter().for_each(|sums| add(dbias, sums));
}

/// `to += from`, element by element.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Causal self-attention. One task a (batch, head).
///
/// `qkv`: (B, T, 3C), a head's channels side by side; `weights`: (B, H, T, T), zero above the diagonal;
/// `y`: (B, T, C).
pub(crate) fn attention(qkv: &[f32], weights: &mut [f32], y: &mut [f32], heads: usize, t: usize, c: usize) {
    let size = c / heads;
    let scale = 1.0 / (size as f32).sqrt();
    let outputs: Vec<Vec<f32>> = weights
        .par_chunks_mut(t * t)
        .enumerate()
        .map(|(index, weights)| {
            let (batch, head) = (index / heads, index % heads);
            let part = |which: usize| Matrix::new(&qkv[batch * t * 3 * c + which * c + head * size..], t, size, 3 * c);
            multiply(MatrixMut::new(weights, t, t, t), false, scale, part(0), part(1).transposed(), Threads::One);
            for (row, weights) in weights.chunks_mut(t).enumerate() {
                let (past, future) = weights.split_at_mut(row + 1);
                softmax(past);
                future.fill(0.0);
            }
            let mut y = vec![0.0; t * size];
            let weights = Matrix::new(weights, t, t, t);
            multiply(MatrixMut::new(&mut y, t, size, size), false, 1.0, weights, part(2), Threads::One);
            y
        })
        .collect();
    y.par_chunks_mut(t * c).zip(outputs.par_chunks(heads)).for_each(|(y, outputs)| {
        for (head, output) in outputs.iter().enumerate() {
            for (y, output) in y.chunks_mut(c).zip(output.chunks(size)) {
                y[head * size..][..size].copy_from_slice(output);
            }
        }
    });
}

/// Softmax in place.
pub(crate) fn softmax(x: &mut [f32]) {
    let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut().for_each(|x| *x = exp(*x - most));
    let scale = 1.0 / x.iter().sum::<f32>();
    x.iter_mut().for_each(|x| *x *= scale);
}

/// The gradient of [`attention`]: sets `dqkv` (B, T, 3C) from `dy` (B, T, C).
pub(crate) fn attention_backward(
    qkv: &[f32],
    weights: &[f32],
    dy: &[f32],
    dqkv: &mut [f32],
    heads: usize,
    t: usize,
    c: usize,
) {
    let size = c / heads;
    let scale = 1.0 / (size as f32).sqrt();
    let gradients: Vec<[Vec<f32>; 3]> = weights
        .par_chunks(t * t)
        .enumerate()
        .map(|(index, weights)| {
            let (batch, head) = (index / heads, index % heads);
            let part = |which: usize| Matrix::new(&qkv[batch * t * 3 * c + which * c + head * size..], t, size, 3 * c);
            let dy = Matrix::new(&dy[batch * t * c + head * size..], t, size, c);
            let mut dweights = vec![0.0; t * t];
            multiply(MatrixMut::new(&mut dweights, t, t, t), false, 1.0, dy, part(2).transposed(), Threads::One);
            for (row, (d, w)) in dweights.chunks_mut(t).zip(weights.chunks(t)).enumerate() {
                // Softmax: d(score) = w · (d(weight) − Σ w · d(weight)).
                let sum: f32 = d[..=row].iter().zip(w).map(|(d, w)| d * w).sum();
                d[..=row].iter_mut().zip(w).for_each(|(d, w)| *d = w * (*d - sum));
                d[row + 1..].fill(0.0);
            }
            let weights = Matrix::new(weights, t, t, t);
            let scores = Matrix::new(&dweights, t, t, t);
            let product = |scale: f32, a: Matrix<'_>, b: Matrix<'_>| {
                let mut to = vec![0.0; t * size];
                multiply(MatrixMut::new(&mut to, t, size, size), false, scale, a, b, Threads::One);
                to
            };
            [
                product(scale, scores, part(1)),
                product(scale, scores.transposed(), part(0)),
                product(1.0, weights.transposed(), dy),
            ]
        })
        .collect();
    dqkv.par_chunks_mut(t * 3 * c).zip(gradients.par_chunks(heads)).for_each(|(dqkv, gradients)| {
        for (head, parts) in gradients.iter().enumerate() {
            for (which, part) in parts.iter().enumerate() {
                for (dqkv, part) in dqkv.chunks_mut(3 * c).zip(part.chunks(size)) {
                    dqkv[which * c + head * size..][..size].copy_from_slice(part);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exp() {
        for i in -8000..8000 {
            let x = i as f32 / 100.0;
            let relative = (exp(x) - x.exp()).abs() / x.exp();
            assert!(relative < 3e-7, "{x}: {relative}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(exp(0.0), 1.0);
    }
}
