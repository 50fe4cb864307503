//! Matrix products, and the crate's only `unsafe`.
//!
//! [`multiply`] takes matrices whose constructors checked that they lie in their slices (`matrix.rs`), and hands them to
//! the kernel of this process (`kernel.rs`): the loops of `packed.rs` over the vectors of AVX-512 or AVX2 (`lanes.rs`,
//! `avx512.rs`, `avx2.rs`), or elsewhere the crate `gemm-f32` (`gemm.rs`).
//!
//! Every element is summed in one order, whatever the number of threads: work is cut by rows and columns
//! of the result, never along the sum.

#![expect(
    unsafe_code,
    reason = "vector instructions, parts of one matrix for several threads, and gemm-f32's pointers"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod gemm;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod matrix;
#[cfg(target_arch = "x86_64")]
mod packed;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::kernel::arch;
pub use self::kernel::{Kernel, KernelError};
pub(crate) use self::matrix::{Matrix, MatrixMut};
#[cfg(target_arch = "x86_64")]
use self::{avx2::Avx2, avx512::Avx512};

/// Number format of a product's factors; sums are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// Factors are rounded to bfloat16, 8 bits of mantissa: twice the rate where the processor multiplies these, and that
    /// of f32 elsewhere.
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

/// `to = start + scale · a · b`, by the kernel of this process.
pub(crate) fn multiply(
    to: MatrixMut<'_>,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
    precision: Precision,
) {
    multiply_by(Kernel::of_process(), to, start, scale, a, b, threads, precision);
}

/// The same by any kernel that the processor has.
#[expect(clippy::too_many_arguments, reason = "one more than the function for everybody")]
pub(crate) fn multiply_by(
    kernel: Kernel,
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
    match (kernel, precision) {
        (Kernel::Avx512Bf16, Precision::Bf16) => {
            return packed::product(Avx512::<{ avx512::PAIRS }>::new(), to, start, scale, a, b, threads);
        }
        (Kernel::Avx512Bf16 | Kernel::Avx512, Precision::F32) => {
            return packed::product(Avx512::<{ avx512::FLOATS }>::new(), to, start, scale, a, b, threads);
        }
        (Kernel::Avx512, Precision::Bf16) => {
            return packed::product(Avx512::<{ avx512::ROUNDED }>::new(), to, start, scale, a, b, threads);
        }
        (Kernel::Avx2, Precision::F32) => {
            return packed::product(Avx2::<false>::new(), to, start, scale, a, b, threads);
        }
        (Kernel::Avx2, Precision::Bf16) => {
            return packed::product(Avx2::<true>::new(), to, start, scale, a, b, threads);
        }
        (Kernel::Gemm, _) => (),
    }
    gemm::product(to, start, scale, a, b, threads, precision);
}

/// The rate in GFLOP/s at which all threads multiply and add in registers, without any memory: what the processor could
/// do at most. None for a kernel that is not of this crate.
pub(crate) fn peak_gflops(kernel: Kernel, precision: Precision) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    return match (kernel, precision) {
        (Kernel::Avx512Bf16, Precision::Bf16) => Some(packed::peak_gflops(Avx512::<{ avx512::PAIRS }>::new())),
        (Kernel::Avx512Bf16 | Kernel::Avx512, _) => Some(packed::peak_gflops(Avx512::<{ avx512::FLOATS }>::new())),
        (Kernel::Avx2, _) => Some(packed::peak_gflops(Avx2::<false>::new())),
        (Kernel::Gemm, _) => None,
    };
    #[cfg(not(target_arch = "x86_64"))]
    None
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
            let kernels = Kernel::ALL.into_iter().filter(|kernel| kernel.is_supported());
            for (kernel, threads) in kernels.flat_map(|kernel| [(kernel, Threads::All), (kernel, Threads::One)]) {
                let mut to = before.clone();
                let target = MatrixMut::new(&mut to, rows, columns, columns + 2);
                multiply_by(kernel, target, start, 0.5, left, right, threads, precision);
                for (i, expected) in expected.iter().enumerate() {
                    let got = f64::from(to[i / columns * (columns + 2) + i % columns]);
                    let expected = 0.5 * expected + f64::from(base(i));
                    assert!(
                        (got - expected).abs() < 1e-5 * (length as f64).max(1.0),
                        "{kernel}, element {i}: {got}, not {expected}"
                    );
                }
                for (i, (to, before)) in to.iter().zip(&before).enumerate() {
                    assert!(i % (columns + 2) < columns || to == before, "nothing is written beside the result");
                }
                results.push(to);
            }
            for pair in results.chunks(2) {
                assert!(pair[0] == pair[1], "the number of tasks changes no bit");
            }
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
