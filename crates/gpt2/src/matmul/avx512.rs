//! Matrix products on AVX-512: panels are packed so that one small kernel reads them in order.
//!
//! A *lane* is 32 bits: one f32, or two bf16 that are adjacent along the sum. The two precisions differ in how lanes
//! are packed and in one instruction, so one kernel serves both. It holds 8 rows × up to 48 columns of the result in
//! registers; for each lane along the sum it reads 48 lanes of `b` and broadcasts 8 of `a`. `b` is packed by 48 columns
//! right before it is used, `a` once for all columns of a task.
//!
//! Sums go along `Blocks` of fixed length in order, so an element's bits depend on its row, its column
//! and the operands alone: not on the tasks that a product is cut into.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::{Matrix, Start};

/// Rows of the result in registers.
pub(super) const ROWS: usize = 8;
/// Columns of the result in registers: three vectors.
const COLUMNS: usize = 48;
/// Lanes of a vector.
const WIDTH: usize = 16;
/// Maximum number of lanes along the sum that are packed at a time: 48 columns of them stay in the L1 cache.
const SUM_LANES: usize = 256;

/// Whether this processor has what the kernel needs, for f32 as for bf16: AMD from Zen 4, Intel from Cooper Lake on.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// Where one task's part of a product goes.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Its first element.
    pub(super) data: *mut f32,
    /// Elements between rows.
    pub(super) stride: usize,
}

/// `to = start + scale · a · b`, as [`super::multiply`], on one thread.
///
/// # Safety
/// [`is_supported`] has returned true; the operands have passed the checks of their constructors; `to` points to as
/// many rows and columns, which no other thread uses; a bias has as many elements as `b` has columns.
pub(super) unsafe fn product<const BF16: bool>(to: Target, start: Start<'_>, scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
    thread_local! {
        /// Packed lanes of `a` and `b`, kept for the next product.
        static PACKED: RefCell<(Vec<__m512i>, Vec<__m512i>)> = const { RefCell::new((Vec::new(), Vec::new())) };
    }
    PACKED.with_borrow_mut(|(packed_a, packed_b)| {
        let panels = a.rows.div_ceil(2 * ROWS) * 2;
        // SAFETY: a constant without invariants.
        let zero = unsafe { std::mem::zeroed::<__m512i>() };
        if packed_a.len() < panels * ROWS * SUM_LANES / WIDTH {
            packed_a.resize(panels * ROWS * SUM_LANES / WIDTH, zero);
        }
        if packed_b.is_empty() {
            packed_b.resize(COLUMNS * SUM_LANES / WIDTH, zero);
        }
        // SAFETY: the caller's guarantees, and the buffers are as long as the panels of one block.
        unsafe { blocks::<BF16>(to, start, scale, a, b, packed_a.as_mut_ptr().cast(), packed_b.as_mut_ptr().cast()) }
    });
}

/// All blocks along the sum, all panels of `b` in each, all panels of `a` for each of those.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn blocks<const BF16: bool>(
    to: Target,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    packed_a: *mut u32,
    packed_b: *mut u32,
) {
    let (rows, columns) = (a.rows, b.columns);
    // Blocks of nearly equal length: a function of the sum's length alone.
    let per_lane = if BF16 { 2 } else { 1 };
    let sum_lanes = a.columns.div_ceil(per_lane);
    let block_lanes = sum_lanes.div_ceil(sum_lanes.div_ceil(SUM_LANES).max(1)).next_multiple_of(WIDTH);
    let mut first_lane = 0;
    loop {
        let lanes = block_lanes.min(sum_lanes - first_lane);
        let sum = (first_lane * per_lane)..((first_lane + lanes) * per_lane).min(a.columns);
        unsafe { pack_rows::<BF16>(a, sum.clone(), lanes, packed_a) };
        for column in (0..columns).step_by(COLUMNS) {
            let width = COLUMNS.min(columns - column);
            unsafe { pack_columns::<BF16>(b, sum.clone(), lanes, column, width, packed_b) };
            for row in (0..rows).step_by(ROWS) {
                let tile = unsafe { to.data.add(row * to.stride + column) };
                let base = match (first_lane, start) {
                    (0, Start::Zero) => Base { data: std::ptr::null(), stride: 0 },
                    (0, Start::Bias(bias)) => Base { data: unsafe { bias.as_ptr().add(column) }, stride: 0 },
                    _ => Base { data: tile, stride: to.stride },
                };
                let tile = Tile { data: tile, stride: to.stride, rows: ROWS.min(rows - row), columns: width };
                let a = unsafe { packed_a.add(row * lanes) };
                unsafe {
                    match width.div_ceil(WIDTH) {
                        1 => kernel::<BF16, 1>(lanes, a, packed_b, tile, base, scale),
                        2 => kernel::<BF16, 2>(lanes, a, packed_b, tile, base, scale),
                        _ => kernel::<BF16, 3>(lanes, a, packed_b, tile, base, scale),
                    }
                }
            }
        }
        first_lane += lanes;
        if first_lane >= sum_lanes {
            return;
        }
    }
}

/// The part of the result that one kernel call computes.
struct Tile {
    data: *mut f32,
    stride: usize,
    rows: usize,
    columns: usize,
}

/// What a kernel's sums are added to; nothing where `data` is null.
struct Base {
    data: *const f32,
    stride: usize,
}

/// One tile: `tile = base + scale · Σ a · b` over packed lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn kernel<const BF16: bool, const VECTORS: usize>(
    lanes: usize,
    a: *const u32,
    b: *const u32,
    tile: Tile,
    base: Base,
    scale: f32,
) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    let (mut a, mut b) = (a, b);
    for _ in 0..lanes {
        let mut right = [_mm512_setzero_si512(); VECTORS];
        for (vector, right) in right.iter_mut().enumerate() {
            *right = unsafe { _mm512_load_si512(b.add(vector * WIDTH).cast()) };
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let left = _mm512_set1_epi32(unsafe { *a.add(row) } as i32);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = multiply_add::<BF16>(*sum, left, right);
            }
        }
        a = unsafe { a.add(ROWS) };
        b = unsafe { b.add(VECTORS * WIDTH) };
    }
    let scale = _mm512_set1_ps(scale);
    let last = tile.columns - (VECTORS - 1) * WIDTH;
    let last_mask = ((1u32 << last) - 1) as __mmask16;
    for (row, sums) in sums.iter().enumerate().take(tile.rows) {
        for (vector, sum) in sums.iter().enumerate() {
            let mask = if vector == VECTORS - 1 { last_mask } else { !0 };
            let mut value = _mm512_mul_ps(*sum, scale);
            if !base.data.is_null() {
                let data = unsafe { base.data.add(row * base.stride + vector * WIDTH) };
                value = _mm512_add_ps(value, unsafe { _mm512_maskz_loadu_ps(mask, data) });
            }
            unsafe { _mm512_mask_storeu_ps(tile.data.add(row * tile.stride + vector * WIDTH), mask, value) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn multiply_add<const BF16: bool>(sum: __m512, left: __m512i, right: __m512i) -> __m512 {
    if BF16 {
        // SAFETY: 64 bytes are 32 bf16 as much as 16 integers.
        let [left, right] = unsafe { [left, right].map(|x| std::mem::transmute::<__m512i, __m512bh>(x)) };
        _mm512_dpbf16_ps(sum, left, right)
    } else {
        _mm512_fmadd_ps(_mm512_castsi512_ps(left), _mm512_castsi512_ps(right), sum)
    }
}

/// Packs `a` by panels of eight rows: `[panel][lane][row]`. Missing rows become 0.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack_rows<const BF16: bool>(a: Matrix<'_>, sum: std::ops::Range<usize>, lanes: usize, to: *mut u32) {
    // Two panels at a time: sixteen rows are a vector.
    for row in (0..a.rows).step_by(2 * ROWS) {
        let present = (2 * ROWS).min(a.rows - row);
        let first = unsafe { to.add(row * lanes) };
        let second = unsafe { first.add(ROWS * lanes) };
        let put = |lane: usize, rows: __m512i| unsafe {
            _mm256_storeu_si256(first.add(lane * ROWS).cast(), _mm512_castsi512_si256(rows));
            _mm256_storeu_si256(second.add(lane * ROWS).cast(), _mm512_extracti64x4_epi64::<1>(rows));
        };
        unsafe { lanes_of::<BF16>(a.transposed(), sum.clone(), row, present, put) };
    }
}

/// Packs some columns of `b`: `[lane][column]`, in whole vectors. Missing columns become 0.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack_columns<const BF16: bool>(
    b: Matrix<'_>,
    sum: std::ops::Range<usize>,
    _lanes: usize,
    column: usize,
    width: usize,
    to: *mut u32,
) {
    let stride = width.next_multiple_of(WIDTH);
    for part in (0..width).step_by(WIDTH) {
        let present = WIDTH.min(width - part);
        let put = |lane: usize, columns: __m512i| unsafe {
            _mm512_storeu_si512(to.add(lane * stride + part).cast(), columns);
        };
        unsafe { lanes_of::<BF16>(b, sum.clone(), column + part, present, put) };
    }
}

/// Calls `put(lane, columns)` for each lane of `sum` with sixteen columns of `matrix` from `column` on, of which
/// `present` exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn lanes_of<const BF16: bool>(
    matrix: Matrix<'_>,
    sum: std::ops::Range<usize>,
    column: usize,
    present: usize,
    put: impl Fn(usize, __m512i),
) {
    let data = matrix.data.as_ptr();
    if matrix.column_stride == 1 {
        // Columns are adjacent: a row of the matrix is a vector as it is.
        let mask = ((1u32 << present) - 1) as __mmask16;
        let row = |k: usize| unsafe { _mm512_maskz_loadu_ps(mask, data.add(k * matrix.row_stride + column)) };
        if BF16 {
            for (lane, k) in sum.clone().step_by(2).enumerate() {
                let odd = if k + 1 < sum.end { row(k + 1) } else { _mm512_setzero_ps() };
                put(lane, interleaved(row(k), odd));
            }
        } else {
            for (lane, k) in sum.enumerate() {
                put(lane, _mm512_castps_si512(row(k)));
            }
        }
    } else {
        // The sum is contiguous: sixteen columns × sixteen lanes are read along it and transposed.
        debug_assert_eq!(matrix.row_stride, 1);
        let per_lane = if BF16 { 2 } else { 1 };
        for k in sum.clone().step_by(WIDTH * per_lane) {
            let mut square = [_mm512_setzero_si512(); WIDTH];
            for (i, square) in square.iter_mut().enumerate().take(present) {
                let at = unsafe { data.add((column + i) * matrix.column_stride + k) };
                *square = unsafe { along::<BF16>(at, sum.end - k) };
            }
            let square = turned(square);
            let first_lane = (k - sum.start) / per_lane;
            let lanes = WIDTH.min((sum.end - k).div_ceil(per_lane));
            for (i, &columns) in square.iter().enumerate().take(lanes) {
                put(first_lane + i, columns);
            }
        }
    }
}

/// Sixteen adjacent lanes; beyond `present` elements they are 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along<const BF16: bool>(at: *const f32, present: usize) -> __m512i {
    let mask = |present: usize| if present >= WIDTH { !0 } else { ((1u32 << present) - 1) as __mmask16 };
    let low = unsafe { _mm512_maskz_loadu_ps(mask(present), at) };
    if !BF16 {
        return _mm512_castps_si512(low);
    }
    let high = unsafe { _mm512_maskz_loadu_ps(mask(present.saturating_sub(WIDTH)), at.wrapping_add(WIDTH)) };
    // SAFETY: 32 bf16 are sixteen lanes.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Lanes of an even and an odd element each: the even one in the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn interleaved(even: __m512, odd: __m512) -> __m512i {
    // SAFETY: sixteen bf16 are sixteen 16-bit integers.
    let [even, odd] = [even, odd]
        .map(|x| _mm512_cvtepu16_epi32(unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)) }));
    _mm512_or_si512(even, _mm512_slli_epi32::<16>(odd))
}

/// The transposed square of sixteen vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn turned(r: [__m512i; WIDTH]) -> [__m512i; WIDTH] {
    let mut s = [_mm512_setzero_si512(); WIDTH];
    for i in 0..8 {
        s[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        s[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    // Each 128-bit quarter q of t[4 · g + c] holds column 4 · q + c of rows 4 · g to 4 · g + 3.
    let mut t = [_mm512_setzero_si512(); WIDTH];
    for g in 0..4 {
        t[4 * g] = _mm512_unpacklo_epi64(s[4 * g], s[4 * g + 2]);
        t[4 * g + 1] = _mm512_unpackhi_epi64(s[4 * g], s[4 * g + 2]);
        t[4 * g + 2] = _mm512_unpacklo_epi64(s[4 * g + 1], s[4 * g + 3]);
        t[4 * g + 3] = _mm512_unpackhi_epi64(s[4 * g + 1], s[4 * g + 3]);
    }
    let mut out = [_mm512_setzero_si512(); WIDTH];
    for c in 0..4 {
        let low = _mm512_shuffle_i32x4::<0b10_00_10_00>(t[c], t[4 + c]); // quarters 0, 2 of both
        let high = _mm512_shuffle_i32x4::<0b11_01_11_01>(t[c], t[4 + c]); // quarters 1, 3
        let low_2 = _mm512_shuffle_i32x4::<0b10_00_10_00>(t[8 + c], t[12 + c]);
        let high_2 = _mm512_shuffle_i32x4::<0b11_01_11_01>(t[8 + c], t[12 + c]);
        out[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(low, low_2);
        out[8 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(low, low_2);
        out[4 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(high, high_2);
        out[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(high, high_2);
    }
    out
}
