//! Matrix products, and the crate's only `unsafe`: a checked wrapper around the `gemm` crate.
//!
//! Invariant: a [`Matrix`] or [`MatrixMut`] only exists when its last element lies inside its slice, so
//! the pointers handed over are valid for all strides and shapes handed over with them.

#![expect(unsafe_code, reason = "gemm takes pointers and strides")]

use gemm::Parallelism;

/// A matrix inside a slice, read in place: `rows × columns`, an element every `row_stride` and `column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows begin every `stride` elements.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        assert!(
            columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= data.len()),
            "a matrix lies in its slice"
        );
        Matrix { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transposed matrix, in place.
    pub(crate) fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Where a product goes; row-major.
pub(crate) struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A row-major matrix whose rows begin every `stride` elements.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> MatrixMut<'a> {
        assert!(
            columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= data.len()),
            "a matrix lies in its slice"
        );
        MatrixMut { data, rows, columns, stride }
    }
}

/// Whether a product may use all threads or runs inside one already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    All,
    One,
}

/// `to = keep · to + scale · a · b`, where `keep` is 0 or 1.
///
/// Each element is summed in the same order for any number of threads: gemm cuts the work by rows and
/// columns of the result, never along the sum.
pub(crate) fn multiply(
    to: MatrixMut<'_>,
    accumulate: bool,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    assert!(a.columns == b.rows && a.rows == to.rows && b.columns == to.columns, "shapes fit");
    if to.rows == 0 || to.columns == 0 {
        return;
    }
    let parallelism = if threads == Threads::All { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: the constructors of both types checked that every element lies inside its slice; `to` is
    // borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            to.rows,
            to.columns,
            a.columns,
            to.data.as_mut_ptr(),
            1,
            to.stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0f32,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let a: Vec<f32> = (0..35).map(|i| (i % 11) as f32 - 5.0).collect(); // 5 × 6 inside rows of 7
        let b: Vec<f32> = (0..24).map(|i| (i % 7) as f32 - 3.0).collect(); // 6 × 4
        for transposed in [false, true] {
            let mut to = vec![1.0f32; 20];
            let flipped: Vec<f32> = (0..24).map(|i| b[(i % 6) * 4 + i / 6]).collect(); // 4 × 6
            let right = if transposed { Matrix::new(&flipped, 4, 6, 6).transposed() } else { Matrix::new(&b, 6, 4, 4) };
            multiply(MatrixMut::new(&mut to, 5, 4, 4), true, 2.0, Matrix::new(&a, 5, 6, 7), right, Threads::All);
            for row in 0..5 {
                for column in 0..4 {
                    let sum: f32 = (0..6).map(|k| a[row * 7 + k] * b[k * 4 + column]).sum();
                    assert_eq!(to[row * 4 + column], 1.0 + 2.0 * sum);
                }
            }
        }
    }
}
