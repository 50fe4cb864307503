//! A linear layer, forward and backward.

use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::model::{Affine, Model};
use crate::ops;

/// `x · weight + bias` from I inputs to O outputs.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    /// (I, O)
    weight: Matrix<'a>,
    /// (O)
    bias: &'a [f32],
    precision: Precision,
}

impl<'a> Linear<'a> {
    /// A layer of a model.
    pub(crate) fn of(model: &'a Model, affine: &Affine, precision: Precision) -> Linear<'a> {
        let (weight, bias) = affine.of(&model.weights);
        Linear { weight: Matrix::of(weight, bias.len()), bias, precision }
    }

    fn inputs(&self) -> usize {
        self.weight.row_count()
    }

    fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `y = x · weight + bias`. `x`: (R, I); `y`: (R, O).
    pub(crate) fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (x, y) = (Matrix::of(x, self.inputs()), MatrixMut::of(y, self.outputs()));
        multiply(y, Start::Bias(self.bias), 1.0, x, self.weight, Threads::All, self.precision);
    }

    /// `y = base + x · weight + bias`. `base`: (R, O).
    pub(super) fn forward_onto(&self, x: &[f32], base: &[f32], y: &mut [f32]) {
        ops::add_bias(y, base, self.bias);
        let (x, y) = (Matrix::of(x, self.inputs()), MatrixMut::of(y, self.outputs()));
        multiply(y, Start::Keep, 1.0, x, self.weight, Threads::All, self.precision);
    }

    /// From `dy` (R, O): sets `dx` (R, I); the weight's gradient starts with what `start` says, the bias's is added to.
    pub(super) fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        start: Start<'_>,
        (d_weight, d_bias): (&mut [f32], &mut [f32]),
    ) {
        ops::add_column_sums(d_bias, dy);
        let (x, dy) = (Matrix::of(x, self.inputs()), Matrix::of(dy, self.outputs()));
        let d_weight = MatrixMut::of(d_weight, self.outputs());
        multiply(d_weight, start, 1.0, x.transposed(), dy, Threads::All, self.precision);
        let dx = MatrixMut::of(dx, self.inputs());
        multiply(dx, Start::Zero, 1.0, dy, self.weight.transposed(), Threads::All, self.precision);
    }
}
