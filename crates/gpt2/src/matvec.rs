//! Products of few rows with a large matrix, whose time is that of reading the matrix once.
//!
//! A matrix product for training packs its operands and divides the result among threads; for one row neither pays off.
//! Here the matrix is read in memory order, in long runs, and is used for all rows while it is in the cache. Every
//! element of a result is summed in one order, whatever the number of rows or of threads, so that a sequence has the
//! same bits alone and in a batch. (The width of the machine's vectors is part of that order in [`dot_rows`] and
//! `dot`.)
//!
//! Left out: products of many rows, which `matmul` computes.

use std::array::from_fn;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::matmul::arch;

/// Parts of a sum that threads compute in parallel. They are added in order; the number is fixed, so that the number of
/// threads changes nothing, and enough for as many cores as a machine's memory can feed.
const SUM_PARTS: usize = 8;
/// Results that one thread computes at a time in [`dot_rows`].
const DOT_OUTPUTS: usize = 256;

/// Rows `x · weight + bias`. `x`: (R, I); `weight`: (I, O); `bias`: (O); the result: (R, O). R is small.
pub(crate) fn linear(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let rows = x.len() / inputs;
    let part = inputs.div_ceil(SUM_PARTS).next_multiple_of(8);
    let mut sums = vec![0.0; inputs.div_ceil(part) * rows * outputs]; // (parts, R, O)
    sums.par_chunks_mut(rows * outputs).zip(weight.par_chunks(part * outputs)).enumerate().for_each(
        |(index, (sums, weight))| {
            let x = Rows { data: &x[index * part..], count: rows, stride: inputs };
            add_products(x, weight, outputs, sums, outputs);
        },
    );
    let mut y = vec![0.0; rows * outputs];
    y.par_chunks_mut(outputs).enumerate().for_each(|(row, y)| {
        y.copy_from_slice(bias);
        for sums in sums.chunks(rows * outputs) {
            y.iter_mut().zip(&sums[row * outputs..]).for_each(|(y, sum)| *y += sum);
        }
    });
    y
}

/// Dot products of each row with each row of a matrix. `x`: (R, C); `matrix`: (O, C); the result: (R, O).
pub(crate) fn dot_rows(x: &[f32], matrix: &[f32], channels: usize) -> Vec<f32> {
    let outputs = matrix.len() / channels;
    let mut y = vec![0.0; x.len() / channels * outputs];
    // A stretch of every row belongs to one thread: (O / DOT_OUTPUTS) of R slices each.
    let mut stretches: Vec<Vec<&mut [f32]>> = (0..outputs.div_ceil(DOT_OUTPUTS)).map(|_| Vec::new()).collect();
    for row in y.chunks_mut(outputs) {
        row.chunks_mut(DOT_OUTPUTS).zip(&mut stretches).for_each(|(part, stretch)| stretch.push(part));
    }
    stretches.par_iter_mut().zip(matrix.par_chunks(DOT_OUTPUTS * channels)).for_each(|(y, matrix)| {
        arch().dispatch(DotRows { x, matrix, channels, y });
    });
    drop(stretches);
    y
}

/// Rows in a slice, one every `stride` elements.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) count: usize,
    pub(crate) stride: usize,
}

/// Adds `x · weight` to `y` (R, O), on this thread alone.
///
/// `weight` has a row every `weight_stride` elements, of which the first O are read; the number of inputs is its length
/// over the stride, rounded up.
pub(crate) fn add_products(x: Rows<'_>, weight: &[f32], weight_stride: usize, y: &mut [f32], outputs: usize) {
    assert!(outputs <= weight_stride && y.len() == x.count * outputs, "shapes fit");
    arch().dispatch(AddProducts { x, weight, weight_stride, y, outputs });
}

struct AddProducts<'a> {
    x: Rows<'a>,
    weight: &'a [f32],
    weight_stride: usize,
    y: &'a mut [f32],
    outputs: usize,
}

impl WithSimd for AddProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let inputs = self.weight.len().div_ceil(self.weight_stride);
        // A single row keeps eight runs of the matrix in flight; for several, registers are better used to
        // multiply what was loaded by four of them.
        let wide = if self.x.count == 1 { inputs / 8 * 8 } else { 0 };
        let narrow = inputs / 4 * 4;
        for input in (0..wide).step_by(8) {
            self.inputs::<S, 8>(simd, input);
        }
        for input in (wide..narrow).step_by(4) {
            self.inputs::<S, 4>(simd, input);
        }
        for input in narrow.max(wide)..inputs {
            self.inputs::<S, 1>(simd, input);
        }
    }
}

impl AddProducts<'_> {
    /// Adds the products of `I` inputs to every row.
    #[inline(always)]
    fn inputs<S: Simd, const I: usize>(&mut self, simd: S, input: usize) {
        let weights = from_fn(|i| &self.weight[(input + i) * self.weight_stride..][..self.outputs]);
        let fours = self.x.count / 4 * 4;
        for row in (0..fours).step_by(4) {
            self.block::<S, I, 4>(simd, input, row, weights);
        }
        for row in fours..self.x.count {
            self.block::<S, I, 1>(simd, input, row, weights);
        }
    }

    /// Adds the products of `I` inputs to `R` rows. An element takes its inputs one after another.
    #[inline(always)]
    fn block<S: Simd, const I: usize, const R: usize>(
        &mut self,
        simd: S,
        input: usize,
        row: usize,
        weights: [&[f32]; I],
    ) {
        let x: [[S::f32s; I]; R] =
            from_fn(|r| from_fn(|i| simd.splat_f32s(self.x.data[(row + r) * self.x.stride + input + i])));
        let mut rows = self.y[row * self.outputs..].chunks_exact_mut(self.outputs);
        let mut rows: [_; R] = from_fn(|_| S::as_mut_simd_f32s(rows.next().expect("y has all rows")));
        let weights = weights.map(S::as_simd_f32s);
        let sum = |sum: S::f32s, x: &[S::f32s; I], weights: &[S::f32s; I]| {
            x.iter().zip(weights).fold(sum, |sum, (x, weight)| simd.mul_add_f32s(*x, *weight, sum))
        };
        for at in 0..weights[0].0.len() {
            let weights = from_fn(|i| weights[i].0[at]);
            for (row, x) in rows.iter_mut().zip(&x) {
                row.0[at] = sum(row.0[at], x, &weights);
            }
        }
        if !weights[0].1.is_empty() {
            let weights = weights.map(|weight| simd.partial_load_f32s(weight.1));
            for (row, x) in rows.iter_mut().zip(&x) {
                let added = sum(simd.partial_load_f32s(row.1), x, &weights);
                simd.partial_store_f32s(row.1, added);
            }
        }
    }
}

struct DotRows<'a, 'y> {
    /// (R, C)
    x: &'a [f32],
    /// (O, C)
    matrix: &'a [f32],
    channels: usize,
    /// R slices of O.
    y: &'a mut [&'y mut [f32]],
}

impl WithSimd for DotRows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let outputs = self.matrix.len() / self.channels;
        let rows = self.y.len();
        let wide = if rows == 1 { outputs / 8 * 8 } else { 0 };
        let narrow = outputs / 4 * 4;
        for output in (0..wide).step_by(8) {
            self.block::<S, 8, 1>(simd, output, 0);
        }
        for output in (wide..narrow).step_by(4) {
            for row in (0..rows / 4 * 4).step_by(4) {
                self.block::<S, 4, 4>(simd, output, row);
            }
            for row in rows / 4 * 4..rows {
                self.block::<S, 4, 1>(simd, output, row);
            }
        }
        for output in narrow..outputs {
            for row in 0..rows {
                self.block::<S, 1, 1>(simd, output, row);
            }
        }
    }
}

impl DotRows<'_, '_> {
    /// `O` results for each of `R` rows, a vector of partial sums each.
    #[inline(always)]
    fn block<S: Simd, const O: usize, const R: usize>(&mut self, simd: S, output: usize, row: usize) {
        let c = self.channels;
        let matrix: [_; O] = from_fn(|o| S::as_simd_f32s(&self.matrix[(output + o) * c..][..c]));
        let x: [_; R] = from_fn(|r| S::as_simd_f32s(&self.x[(row + r) * c..][..c]));
        let mut sums = [[simd.splat_f32s(0.0); O]; R];
        for at in 0..x[0].0.len() {
            let matrix = from_fn(|o| matrix[o].0[at]);
            for (sums, x) in sums.iter_mut().zip(&x) {
                add_each(simd, sums, x.0[at], &matrix);
            }
        }
        if !x[0].1.is_empty() {
            let matrix = matrix.map(|matrix| simd.partial_load_f32s(matrix.1));
            for (sums, x) in sums.iter_mut().zip(&x) {
                add_each(simd, sums, simd.partial_load_f32s(x.1), &matrix);
            }
        }
        for (y, sums) in self.y[row..].iter_mut().zip(sums) {
            for (y, sum) in y[output..].iter_mut().zip(sums) {
                *y = simd.reduce_sum_f32s(sum);
            }
        }
    }
}

/// `sums += x · matrix`, vector by vector.
#[inline(always)]
fn add_each<S: Simd, const O: usize>(simd: S, sums: &mut [S::f32s; O], x: S::f32s, matrix: &[S::f32s; O]) {
    for (sum, matrix) in sums.iter_mut().zip(matrix) {
        *sum = simd.mul_add_f32s(x, *matrix, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, normal};

    fn numbers(len: usize, seed: u64) -> Vec<f32> {
        (0..len).map(|i| normal(seed, Stream::WEIGHTS, i as u64)).collect()
    }

    /// Both products of `rows` rows agree with the definition, and the first row with itself alone.
    fn check(rows: usize, inputs: usize, outputs: usize) {
        let (x, bias) = (numbers(rows * inputs, 1), numbers(outputs, 2));
        let weight = numbers(inputs * outputs, 3); // (I, O)
        let flipped: Vec<f32> = (0..outputs * inputs).map(|i| weight[i % inputs * outputs + i / inputs]).collect();
        let (y, dots) = (linear(&x, &weight, &bias), dot_rows(&x, &flipped, inputs));
        for row in 0..rows {
            for o in 0..outputs {
                let product = |i: usize| f64::from(x[row * inputs + i]) * f64::from(weight[i * outputs + o]);
                let sum = (0..inputs).map(product).sum::<f64>();
                let near = |got: f32, expected: f64| (f64::from(got) - expected).abs() < 1e-5 * (inputs as f64).sqrt();
                assert!(near(dots[row * outputs + o], sum), "{rows} {inputs} {outputs}");
                assert!(near(y[row * outputs + o], sum + f64::from(bias[o])), "{rows} {inputs} {outputs}");
            }
            let alone = &x[row * inputs..][..inputs];
            assert_eq!(linear(alone, &weight, &bias), y[row * outputs..][..outputs]);
            assert_eq!(dot_rows(alone, &flipped, inputs), dots[row * outputs..][..outputs]);
        }
    }

    #[test]
    fn products_agree_with_the_definition_and_rows_do_not_touch() {
        for (inputs, outputs) in [(1, 1), (3, 5), (8, 24), (16, 48), (70, 33), (128, 520)] {
            for rows in [1, 2, 4, 5, 9] {
                check(rows, inputs, outputs);
            }
        }
    }
}
