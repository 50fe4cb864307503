//! Matrix products, and the crate's only `unsafe`: packed kernels of its own on AVX-512, the `gemm-f32` crate
//! everywhere else.
//!
//! Invariant: a [`Matrix`] or [`MatrixMut`] only exists when its last element lies inside its slice, so
//! the pointers handed over are valid for all strides and shapes handed over with them.
//!
//! Every element is summed in one order, whatever the number of threads: work is cut by rows and columns
//! of the result, never along the sum.

#![expect(unsafe_code, reason = "kernels read packed panels by pointer, and gemm-f32 takes pointers and strides")]

#[cfg(target_arch = "x86_64")]
mod avx512;

use std::fmt;
use std::str::FromStr;

use gemm_common::Parallelism;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Number format of a product's factors; sums are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// Factors are rounded to bfloat16: 8 bits of mantissa, twice the rate where the processor has `vdpbf16ps`.
    Bf16,
}

impl Precision {
    /// Both formats.
    pub const ALL: [Precision; 2] = [Precision::F32, Precision::Bf16];

    /// `f32` or `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is not the name of a [`Precision`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a precision; write f32 or bf16")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Precision, UnknownPrecision> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

/// A matrix inside a slice, read in place: `rows × columns`, one of the two strides is 1.
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

    /// One row of a row-major matrix.
    pub(crate) fn row(self, row: usize) -> &'a [f32] {
        assert_eq!(self.column_stride, 1, "a row lies side by side");
        &self.data[row * self.row_stride..][..self.columns]
    }

    /// Some of the rows and all columns.
    pub(crate) fn rows(self, rows: std::ops::Range<usize>) -> Matrix<'a> {
        Matrix { data: &self.data[rows.start * self.row_stride..], rows: rows.len(), ..self }
    }

    /// All rows and some of the columns.
    fn columns(self, columns: std::ops::Range<usize>) -> Matrix<'a> {
        Matrix { data: &self.data[columns.start * self.column_stride..], columns: columns.len(), ..self }
    }

    /// The elements rounded to bf16, row by row.
    fn rounded(self) -> Vec<f32> {
        let element = |i: usize| self.data[i / self.columns * self.row_stride + i % self.columns * self.column_stride];
        (0..self.rows * self.columns).map(|i| round_to_bf16(element(i))).collect()
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

/// Whether a product may use all threads, or already runs inside a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    All,
    One,
}

/// What a product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing: the result is overwritten.
    Zero,
    /// The present content of the result.
    Keep,
    /// The same row everywhere.
    Bias(&'a [f32]),
}

impl Start<'_> {
    /// By `accumulate`: add to the result, or overwrite it.
    pub(crate) fn keep_if(accumulate: bool) -> Self {
        if accumulate { Start::Keep } else { Start::Zero }
    }
}

/// `to = start + scale · a · b`.
pub(crate) fn multiply(
    to: MatrixMut<'_>,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
    precision: Precision,
) {
    assert!(a.columns == b.rows && a.rows == to.rows && b.columns == to.columns, "shapes fit");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), to.columns, "a bias for each column");
    }
    if to.rows == 0 || to.columns == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::is_supported() {
        return packed(to, start, scale, a, b, threads, precision);
    }
    portable(to, start, scale, a, b, threads, precision);
}

/// Maximum number of rows of a task: as many rows of packed `a` stay in the L2 cache.
#[cfg(target_arch = "x86_64")]
const TASK_ROWS: usize = 512;

/// A product by the kernels of [`avx512`], cut into tasks.
#[cfg(target_arch = "x86_64")]
fn packed(
    to: MatrixMut<'_>,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
    precision: Precision,
) {
    /// The result, shared among tasks that write different parts of it.
    #[derive(Clone, Copy)]
    struct Shared(avx512::Target);
    // SAFETY: each task writes only its own rows and columns.
    unsafe impl Sync for Shared {}
    let whole = Shared(avx512::Target { data: to.data.as_mut_ptr(), stride: to.stride });

    let wanted = if threads == Threads::All { 2 * rayon::current_num_threads() } else { 1 };
    let (row_step, column_step) = task_shape(to.rows, to.columns, wanted);
    let row_tasks = to.rows.div_ceil(row_step);
    let tasks = row_tasks * to.columns.div_ceil(column_step);
    let task = |number: usize| {
        let whole = &whole;
        let rows = number % row_tasks * row_step..((number % row_tasks + 1) * row_step).min(to.rows);
        let columns = number / row_tasks * column_step..((number / row_tasks + 1) * column_step).min(to.columns);
        let start = match start {
            Start::Bias(bias) => Start::Bias(&bias[columns.clone()]),
            other => other,
        };
        let (a, b) = (a.rows(rows.clone()), b.columns(columns.clone()));
        // SAFETY: the constructors of all three checked that every element lies inside its slice; `to` is
        // borrowed mutably, so it overlaps neither `a` nor `b`, and tasks have different rows or columns.
        unsafe {
            let data = whole.0.data.add(rows.start * whole.0.stride + columns.start);
            let part = avx512::Target { data, stride: whole.0.stride };
            match precision {
                Precision::F32 => avx512::product::<false>(part, start, scale, a, b),
                Precision::Bf16 => avx512::product::<true>(part, start, scale, a, b),
            }
        }
    };
    if tasks == 1 {
        task(0);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Rows and columns of a task: at least as many tasks as wanted, cut so that the fewest bytes are packed. `a` is packed
/// once for each cut of the columns, `b` once for each cut of the rows.
#[cfg(target_arch = "x86_64")]
fn task_shape(rows: usize, columns: usize, wanted: usize) -> (usize, usize) {
    let fewest = rows.div_ceil(TASK_ROWS);
    let most = fewest.max(wanted.min(rows.div_ceil(2 * avx512::ROWS)));
    let cuts = (fewest..=most).map(|row_tasks| (row_tasks, wanted.div_ceil(row_tasks).min(columns.div_ceil(48))));
    let packed = |&(row_tasks, column_tasks): &(usize, usize)| rows * column_tasks + columns * row_tasks;
    let (row_tasks, column_tasks) = cuts.min_by_key(packed).expect("at least one cut");
    let row_step = rows.div_ceil(row_tasks).next_multiple_of(2 * avx512::ROWS);
    (row_step, columns.div_ceil(column_tasks).next_multiple_of(48))
}

/// A product by the `gemm-f32` crate; bf16 is emulated by rounding the factors.
fn portable(
    to: MatrixMut<'_>,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
    precision: Precision,
) {
    if precision == Precision::Bf16 {
        let (left, right) = (a.rounded(), b.rounded());
        let a = Matrix::new(&left, a.rows, a.columns, a.columns);
        let b = Matrix::new(&right, b.rows, b.columns, b.columns);
        return portable(to, start, scale, a, b, threads, Precision::F32);
    }
    if let Start::Bias(bias) = start {
        to.data.chunks_mut(to.stride).take(to.rows).for_each(|row| row[..bias.len()].copy_from_slice(bias));
    }
    let parallelism = if threads == Threads::All { Parallelism::Rayon(0) } else { Parallelism::None };
    // Computed as `toᵀ = bᵀ · aᵀ`: the kernels write columns.
    // SAFETY: the constructors of both types checked that every element lies inside its slice; `to` is
    // borrowed mutably, so it overlaps neither `a` nor `b`; strides are not negative.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            to.columns,
            to.rows,
            a.columns,
            to.data.as_mut_ptr(),
            to.stride as isize,
            1,
            !matches!(start, Start::Zero),
            b.data.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            a.data.as_ptr(),
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

/// Rounds to the nearest f32 of which only the upper 16 bits are set; ties to even.
fn round_to_bf16(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let bits = x.to_bits();
    f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, with sums in f64.
    fn twin(
        rows: usize,
        columns: usize,
        length: usize,
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let element =
            |i: usize| (0..length).map(|k| f64::from(a(i / columns, k)) * f64::from(b(k, i % columns))).sum::<f64>();
        (0..rows * columns).map(element).collect()
    }

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    fn check(rows: usize, columns: usize, length: usize, turn_a: bool, turn_b: bool, precision: Precision) {
        let round = |x: f32| if precision == Precision::Bf16 { round_to_bf16(x) } else { x };
        let (stride_a, stride_b) = (if turn_a { rows } else { length } + 3, if turn_b { length } else { columns } + 1);
        let a = numbers(stride_a * rows.max(length), 1);
        let b = numbers(stride_b * columns.max(length), 2);
        let at_a = |i: usize, k: usize| round(if turn_a { a[k * stride_a + i] } else { a[i * stride_a + k] });
        let at_b = |k: usize, j: usize| round(if turn_b { b[j * stride_b + k] } else { b[k * stride_b + j] });
        let expected = twin(rows, columns, length, at_a, at_b);
        let left = if turn_a {
            Matrix::new(&a, length, rows, stride_a).transposed()
        } else {
            Matrix::new(&a, rows, length, stride_a)
        };
        let right = if turn_b {
            Matrix::new(&b, columns, length, stride_b).transposed()
        } else {
            Matrix::new(&b, length, columns, stride_b)
        };
        let bias = numbers(columns, 3);
        for start in [Start::Zero, Start::Keep, Start::Bias(&bias)] {
            let before = numbers(rows * (columns + 2), 4);
            let base = |i: usize| match start {
                Start::Zero => 0.0,
                Start::Keep => before[i / columns * (columns + 2) + i % columns],
                Start::Bias(bias) => bias[i % columns],
            };
            let mut results = Vec::new();
            for (threads, is_portable) in [(Threads::All, false), (Threads::One, false), (Threads::One, true)] {
                let mut to = before.clone();
                let target = MatrixMut::new(&mut to, rows, columns, columns + 2);
                if is_portable {
                    portable(target, start, 0.5, left, right, threads, precision);
                } else {
                    multiply(target, start, 0.5, left, right, threads, precision);
                }
                for (i, expected) in expected.iter().enumerate() {
                    let got = f64::from(to[i / columns * (columns + 2) + i % columns]);
                    let expected = 0.5 * expected + f64::from(base(i));
                    assert!(
                        (got - expected).abs() < 1e-5 * (length as f64).max(1.0),
                        "element {i}: {got}, not {expected}"
                    );
                }
                for (i, (to, before)) in to.iter().zip(&before).enumerate() {
                    assert!(i % (columns + 2) < columns || to == before, "nothing is written beside the result");
                }
                results.push(to);
            }
            assert!(results[0] == results[1], "the number of tasks changes no bit");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn products_agree_with_the_definition(
            (rows, columns, length) in (1usize..70, 1usize..110, 1usize..90),
            turn_a: bool, turn_b: bool, bf16: bool,
        ) {
            check(rows, columns, length, turn_a, turn_b, if bf16 { Precision::Bf16 } else { Precision::F32 });
        }
    }

    #[test]
    fn long_sums_and_many_tasks() {
        for precision in [Precision::F32, Precision::Bf16] {
            check(70, 200, 1030, false, true, precision);
            check(530, 50, 300, true, false, precision);
        }
    }

    #[test]
    fn rounding_goes_to_the_nearest() {
        for (x, expected) in [(1.0, 1.0), (1.003, 1.0), (1.005, 1.007_812_5), (-3.3, -3.296_875), (0.0, 0.0)] {
            assert_eq!(round_to_bf16(x), expected);
        }
    }
}
