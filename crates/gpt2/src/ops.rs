//! The parts of the model that are not matrix products, forward and backward.
//!
//! Rows are divided among threads; sums over rows are divided by columns instead, so that every sum has one order and
//! no result depends on the number of threads. Loops run under [`vectorised`]: plain code, compiled for the processor's
//! instructions.

use rayon::prelude::*;

use crate::random::DropoutMask;

/// The papers' ε.
const EPSILON: f32 = 1e-5;
/// Elements of a task of a loop over all elements.
const CHUNK: usize = 1 << 14;
/// Columns of a task that sums over rows: whole cache lines.
const STRIP: usize = 128;

/// Runs a loop compiled for the widest vectors that this processor has.
#[inline]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    crate::matmul::arch().dispatch(work)
}

/// eˣ without a call into the C library, so that loops over it are vectorised and every machine gives the same bits.
/// Cephes' polynomial; relative error below 2⁻²².
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Not `clamp`, whose treatment of NaN prevents vector code.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0; // round to nearest
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let polynomial = 1.987_569_1e-4f32;
    let polynomial = polynomial * r + 1.398_199_9e-3;
    let polynomial = polynomial * r + 8.333_452e-3;
    let polynomial = polynomial * r + 4.166_579_6e-2;
    let polynomial = polynomial * r + 1.666_666_6e-1;
    let polynomial = polynomial * r + 0.5;
    let mantissa = polynomial * r * r + r + 1.0;
    // The exponent is set in the float's own bits: a saturating conversion would prevent vector code.
    let power = ((n + 12_582_912.0).to_bits() << 23).wrapping_add(127 << 23);
    mantissa * f32::from_bits(power)
}

/// √(2/π), the constant of GELU's tanh form.
const GELU_SCALE: f32 = 0.797_884_6;

/// σ(2u) for GELU's u: ½·(1 + tanh u).
#[inline(always)]
fn gate(x: f32) -> f32 {
    1.0 / (1.0 + exp(-2.0 * GELU_SCALE * (x + 0.044715 * x * x * x)))
}

/// GELU in its tanh form, element by element.
pub(crate) fn gelu(x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        vectorised(|| y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * gate(x)));
    });
}

/// Turns the gradient of GELU's output into that of its input, in place.
pub(crate) fn gelu_backward(x: &[f32], dy: &mut [f32]) {
    dy.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(dy, x)| {
        vectorised(|| {
            for (dy, &x) in dy.iter_mut().zip(x) {
                let gate = gate(x);
                let slope = 2.0 * GELU_SCALE * (1.0 + 3.0 * 0.044715 * x * x);
                *dy *= gate + x * gate * (1.0 - gate) * slope;
            }
        });
    });
}

/// A layer norm's output (R, C), means (R) and reciprocal deviations (R).
#[derive(Debug, Default)]
pub(crate) struct Norm {
    pub(crate) y: Vec<f32>,
    mean: Vec<f32>,
    rstd: Vec<f32>,
}

impl Norm {
    pub(crate) fn resize(&mut self, rows: usize, c: usize) {
        self.y.resize(rows * c, 0.0);
        [&mut self.mean, &mut self.rstd].into_iter().for_each(|buffer| buffer.resize(rows, 0.0));
    }

    /// Layer norm of each row: `y = (x − mean) / σ · weight + bias`. `x`: (R, C); `weight`, `bias`: (C).
    pub(crate) fn forward(&mut self, x: &[f32], (weight, bias): (&[f32], &[f32])) {
        let c = weight.len();
        let rows = x.par_chunks(c).zip(self.y.par_chunks_mut(c)).zip(self.mean.par_iter_mut().zip(&mut self.rstd));
        rows.with_min_len(16).for_each(|((x, y), (mean, rstd))| {
            vectorised(|| {
                let m = sum(x, |x| x) / c as f32;
                let variance = sum(x, |x| (x - m) * (x - m)) / c as f32;
                let r = 1.0 / (variance + EPSILON).sqrt();
                for ((y, x), (weight, bias)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
                    *y = (x - m) * r * weight + bias;
                }
                (*mean, *rstd) = (m, r);
            });
        });
    }

    /// From `dy` (R, C): adds to `dx` (R, C) if `add`, else sets it; adds to `dweight` and `dbias` (C).
    pub(crate) fn backward(
        &self,
        x: &[f32],
        weight: &[f32],
        dy: &[f32],
        (dx, add): (&mut [f32], bool),
        (dweight, dbias): (&mut [f32], &mut [f32]),
    ) {
        let c = weight.len();
        dx.par_chunks_mut(c).enumerate().with_min_len(16).for_each(|(row, dx)| {
            let (x, dy, mean, rstd) = (&x[row * c..][..c], &dy[row * c..][..c], self.mean[row], self.rstd[row]);
            vectorised(|| {
                let dhat = |i: usize| dy[i] * weight[i];
                let hat = |i: usize| (x[i] - mean) * rstd;
                let mean_d = sum_by(c, dhat) / c as f32;
                let mean_dh = sum_by(c, |i| dhat(i) * hat(i)) / c as f32;
                for (i, dx) in dx.iter_mut().enumerate() {
                    let before = if add { *dx } else { 0.0 };
                    *dx = before + rstd * (dhat(i) - mean_d - hat(i) * mean_dh);
                }
            });
        });
        let strips = dweight.par_chunks_mut(STRIP).zip(dbias.par_chunks_mut(STRIP)).enumerate();
        strips.for_each(|(strip, (dweight, dbias))| {
            let (first, width) = (strip * STRIP, dweight.len());
            vectorised(|| {
                for (row, (&mean, &rstd)) in self.mean.iter().zip(&self.rstd).enumerate() {
                    let (x, dy) = (&x[row * c + first..][..width], &dy[row * c + first..][..width]);
                    for ((dweight, dbias), (x, dy)) in dweight.iter_mut().zip(dbias.iter_mut()).zip(x.iter().zip(dy)) {
                        *dweight += dy * (x - mean) * rstd;
                        *dbias += dy;
                    }
                }
            });
        });
    }
}

/// Partial sums that are computed in parallel, so that a sum is vector code with one fixed order.
const LANES: usize = 16;

#[inline(always)]
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    sum_by(x.len(), |i| of(x[i]))
}

#[inline(always)]
pub(crate) fn sum_by(len: usize, of: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = len / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += of(start + lane);
        }
    }
    let mut total = lanes.iter().sum::<f32>();
    for i in whole..len {
        total += of(i);
    }
    total
}

/// Adds the sum of all rows of `x` (R, C) to `to` (C).
pub(crate) fn add_column_sums(to: &mut [f32], x: &[f32]) {
    let c = to.len();
    to.par_chunks_mut(STRIP).enumerate().for_each(|(strip, to)| {
        let (first, width) = (strip * STRIP, to.len());
        vectorised(|| x.chunks(c).for_each(|row| add(to, &row[first..first + width])));
    });
}

/// `to += from`, element by element.
#[inline(always)]
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// `to = x + bias`, row by row: what a product is added to where a block adds to the residual stream.
pub(crate) fn add_bias(to: &mut [f32], x: &[f32], bias: &[f32]) {
    let c = bias.len();
    to.par_chunks_mut(c).zip(x.par_chunks(c)).with_min_len(16).for_each(|(to, x)| {
        vectorised(|| to.iter_mut().zip(x.iter().zip(bias)).for_each(|(to, (x, bias))| *to = x + bias));
    });
}

/// `to = a + b`
pub(crate) fn sum_of(to: &mut [f32], a: &[f32], b: &[f32]) {
    let parts = to.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)));
    parts.for_each(|(to, (a, b))| {
        vectorised(|| to.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (a, b))| *to = a + b));
    });
}

/// `to += from`
pub(crate) fn add_all(to: &mut [f32], from: &[f32]) {
    to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| vectorised(|| add(to, from)));
}

/// Multiplies all elements by the mask, if there is one: dropout, and its own gradient.
pub(crate) fn drop_out(x: &mut [f32], mask: Option<DropoutMask>) {
    let Some(mask) = mask else { return };
    x.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, x)| {
        vectorised(|| drop_out_run(x, mask, (chunk * CHUNK) as u32));
    });
}

/// The same of a run whose first element has this number.
#[inline(always)]
pub(crate) fn drop_out_run(x: &mut [f32], mask: DropoutMask, first: u32) {
    for (x, element) in x.iter_mut().zip(first..) {
        *x *= mask.at(element);
    }
}

/// The largest of a row.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for (max, &x) in lanes.iter_mut().zip(x) {
            *max = if x > *max { x } else { *max };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// `x = e^(x − shift)`, and the sum of that.
#[inline(always)]
pub(crate) fn exp_and_sum(x: &mut [f32], shift: f32) -> f32 {
    x.iter_mut().for_each(|x| *x = exp(*x - shift));
    sum(x, |x| x)
}

/// Softmax in place; returns the logarithm of the sum of all eˣ.
#[inline(always)]
pub(crate) fn softmax(x: &mut [f32]) -> f32 {
    let max = largest(x);
    let total = exp_and_sum(x, max);
    let scale = 1.0 / total;
    x.iter_mut().for_each(|x| *x *= scale);
    max + total.ln()
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
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_is_that_of_the_papers_code() {
        let x: Vec<f32> = (-60..60).map(|i| i as f32 / 10.0).collect();
        let mut y = vec![0.0; x.len()];
        gelu(&x, &mut y);
        for (x, y) in x.iter().zip(y) {
            let x = f64::from(*x);
            let expected = 0.5 * x * (1.0 + (f64::from(GELU_SCALE) * (x + 0.044715 * x * x * x)).tanh());
            assert!((f64::from(y) - expected).abs() < 2e-6, "{x}: {y}, not {expected}");
        }
    }

    #[test]
    fn softmax_of_one_row() {
        let mut x: Vec<f32> = (0..37).map(|i| (i % 7) as f32).collect();
        let expected: f32 = x.iter().map(|x| x.exp()).sum::<f32>().ln();
        assert!((softmax(&mut x) - expected).abs() < 1e-5);
        assert!((x.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
