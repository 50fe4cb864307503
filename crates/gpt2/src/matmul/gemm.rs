//! Products by the `gemm-f32` crate, for processors that no kernel of this crate is for.

use gemm_common::Parallelism;
use rayon::prelude::*;

use super::{Matrix, MatrixMut, Precision, Start, Threads, round_to_bf16};

/// `to = start + scale · a · b`. For bf16 the factors are rounded beforehand.
pub(super) fn product(
    mut to: MatrixMut<'_>,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
    precision: Precision,
) {
    if precision == Precision::Bf16 {
        let (left, right) = (rounded(a, threads), rounded(b, threads));
        let (a, b) = (like(a, &left), like(b, &right));
        return product(to, start, scale, a, b, threads, Precision::F32);
    }
    if let Start::Bias(bias) = start {
        (0..to.rows).for_each(|row| to.row(row, 0..bias.len()).copy_from_slice(bias));
    }
    let parallelism = if threads == Threads::All { Parallelism::Rayon(0) } else { Parallelism::None };
    // Computed as `toᵀ = bᵀ · aᵀ`: the kernels write columns.
    // SAFETY: the constructors of all three checked that every element lies inside its slice; `to` is
    // borrowed mutably, so it overlaps neither `a` nor `b`; strides are not negative.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            to.columns,
            to.rows,
            a.columns,
            to.as_mut_ptr(),
            to.stride as isize,
            1,
            !matches!(start, Start::Zero),
            b.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            a.as_ptr(),
            a.row_stride as isize,
            a.column_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The elements rounded to bf16, in their order in memory, without what lies between rows.
fn rounded(matrix: Matrix<'_>, threads: Threads) -> Vec<f32> {
    let matrix = if matrix.column_stride == 1 { matrix } else { matrix.transposed() };
    let mut to = vec![0.0; matrix.rows * matrix.columns];
    let round = |(row, to): (usize, &mut [f32])| {
        to.iter_mut().zip(matrix.row(row)).for_each(|(to, &x)| *to = round_to_bf16(x));
    };
    match threads {
        Threads::All => to.par_chunks_mut(matrix.columns.max(1)).enumerate().for_each(round),
        Threads::One => to.chunks_mut(matrix.columns.max(1)).enumerate().for_each(round),
    }
    to
}

/// The matrix of other elements that lie as those of this one do.
fn like<'a>(matrix: Matrix<'_>, data: &'a [f32]) -> Matrix<'a> {
    match matrix.column_stride {
        1 => Matrix::new(data, matrix.rows, matrix.columns, matrix.columns),
        _ => Matrix::new(data, matrix.columns, matrix.rows, matrix.rows).transposed(),
    }
}
