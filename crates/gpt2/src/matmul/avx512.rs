//! [`Lanes`] of AVX-512: sixteen lanes, of one f32 or, where the processor multiplies bf16, of two of these.

use std::arch::x86_64::*;

use super::lanes::{Base, Lanes, Work};

const WIDTH: usize = 16;

/// Lanes are f32.
pub(super) const FLOATS: u8 = 0;
/// Lanes are f32, rounded to bf16 while they are packed.
pub(super) const ROUNDED: u8 = 1;
/// Lanes are two bf16.
pub(super) const PAIRS: u8 = 2;

/// Proves that this processor has AVX-512, for [`PAIRS`] with bf16.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const FORM: u8>(());

/// Intel's servers from Skylake, AMD from Zen 4 on.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Intel's servers from Cooper Lake, AMD from Zen 4 on.
pub(super) fn has_bf16() -> bool {
    is_supported() && is_x86_feature_detected!("avx512bf16")
}

/// Whether products of bf16 are faster than those of f32. On AMD's processors they have twice the rate; on an Intel Xeon
/// with AMX one instruction took four times as long as one for f32, which is half the rate.
pub(super) fn has_fast_bf16() -> bool {
    let vendor = __cpuid(0);
    has_bf16() && [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

impl<const FORM: u8> Avx512<FORM> {
    pub(super) fn new() -> Avx512<FORM> {
        assert!(if FORM == PAIRS { has_bf16() } else { is_supported() }, "this processor has AVX-512");
        Avx512(())
    }
}

// SAFETY, of all blocks below: the value proves that the processor has the instructions, and lengths are checked right
// before a pointer is read or written. Masked loads and stores do not touch what the mask leaves out. Vectors are the
// same 64 bytes whatever their lanes hold.
impl<const FORM: u8> Lanes<8, WIDTH> for Avx512<FORM> {
    type Vector = __m512;
    const PER_LANE: usize = if FORM == PAIRS { 2 } else { 1 };
    // 512 kB of packed rows, of an L2 cache of at least 1 MB.
    const TASK_ROWS: usize = 512;

    fn compile<W: Work>(self, work: W) -> W::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw")]
        fn floats<W: Work>(work: W) -> W::Output {
            work.run()
        }
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        fn pairs<W: Work>(work: W) -> W::Output {
            work.run()
        }
        unsafe { if FORM == PAIRS { pairs(work) } else { floats(work) } }
    }

    #[inline(always)]
    fn zero(self) -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn load(self, from: &[u32]) -> __m512 {
        let from = &from[..WIDTH];
        unsafe { _mm512_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u32], vector: __m512) {
        let to = &mut to[..WIDTH];
        unsafe { _mm512_storeu_ps(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn store_halves(self, first: &mut [u32], second: &mut [u32], vector: __m512) {
        let (first, second) = (&mut first[..WIDTH / 2], &mut second[..WIDTH / 2]);
        unsafe {
            let vector = _mm512_castps_si512(vector);
            _mm256_storeu_si256(first.as_mut_ptr().cast(), _mm512_castsi512_si256(vector));
            _mm256_storeu_si256(second.as_mut_ptr().cast(), _mm512_extracti64x4_epi64::<1>(vector));
        }
    }

    #[inline(always)]
    fn splat(self, lane: u32) -> __m512 {
        unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(lane.cast_signed())) }
    }

    #[inline(always)]
    fn multiply_add(self, sum: __m512, left: __m512, right: __m512) -> __m512 {
        if FORM != PAIRS {
            return unsafe { _mm512_fmadd_ps(left, right, sum) };
        }
        unsafe {
            let [left, right] = [left, right].map(|x| std::mem::transmute::<__m512, __m512bh>(x));
            _mm512_dpbf16_ps(sum, left, right)
        }
    }

    #[inline(always)]
    fn across(self, even: &[f32], odd: &[f32]) -> __m512 {
        match FORM {
            FLOATS => unsafe { floats(even) },
            ROUNDED => unsafe { rounded(floats(even)) },
            // The even element in the lower half.
            _ => unsafe {
                let even =
                    _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(floats(even))));
                let odd =
                    _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(floats(odd))));
                _mm512_castsi512_ps(_mm512_or_si512(even, _mm512_slli_epi32::<16>(odd)))
            },
        }
    }

    #[inline(always)]
    fn along(self, run: &[f32]) -> __m512 {
        match FORM {
            FLOATS => unsafe { floats(run) },
            ROUNDED => unsafe { rounded(floats(run)) },
            _ => unsafe {
                let (low, high) = run.split_at(WIDTH.min(run.len()));
                std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(floats(high), floats(low)))
            },
        }
    }

    #[inline(always)]
    fn transpose(self, square: &mut [__m512; WIDTH]) {
        unsafe {
            let mut r = [_mm512_setzero_si512(); WIDTH];
            let mut s = r;
            let mut t = r;
            for i in 0..WIDTH {
                r[i] = _mm512_castps_si512(square[i]);
            }
            for i in 0..8 {
                s[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
                s[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
            }
            // Each 128-bit quarter q of t[4 · g + c] holds column 4 · q + c of rows 4 · g to 4 · g + 3.
            for g in 0..4 {
                t[4 * g] = _mm512_unpacklo_epi64(s[4 * g], s[4 * g + 2]);
                t[4 * g + 1] = _mm512_unpackhi_epi64(s[4 * g], s[4 * g + 2]);
                t[4 * g + 2] = _mm512_unpacklo_epi64(s[4 * g + 1], s[4 * g + 3]);
                t[4 * g + 3] = _mm512_unpackhi_epi64(s[4 * g + 1], s[4 * g + 3]);
            }
            for c in 0..4 {
                let low = _mm512_shuffle_i32x4::<0b10_00_10_00>(t[c], t[4 + c]); // quarters 0, 2 of both
                let high = _mm512_shuffle_i32x4::<0b11_01_11_01>(t[c], t[4 + c]); // quarters 1, 3
                let low_2 = _mm512_shuffle_i32x4::<0b10_00_10_00>(t[8 + c], t[12 + c]);
                let high_2 = _mm512_shuffle_i32x4::<0b11_01_11_01>(t[8 + c], t[12 + c]);
                r[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(low, low_2);
                r[8 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(low, low_2);
                r[4 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(high, high_2);
                r[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(high, high_2);
            }
            for i in 0..WIDTH {
                square[i] = _mm512_castsi512_ps(r[i]);
            }
        }
    }

    #[inline(always)]
    fn write(self, sum: __m512, scale: f32, base: Base<'_>, to: &mut [f32]) {
        let mask = mask(to.len());
        let base = match base {
            Base::Zero => None,
            Base::Present => Some(to.as_ptr()),
            Base::Other(base) => Some(base[..to.len()].as_ptr()),
        };
        unsafe {
            let mut value = _mm512_mul_ps(sum, _mm512_set1_ps(scale));
            if let Some(base) = base {
                value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, base));
            }
            _mm512_mask_storeu_ps(to.as_mut_ptr(), mask, value);
        }
    }
}

/// The first lanes, at most all.
#[inline(always)]
fn mask(len: usize) -> __mmask16 {
    if len >= WIDTH { !0 } else { ((1u32 << len) - 1) as __mmask16 }
}

/// At most sixteen elements; missing ones are 0.
#[inline(always)]
unsafe fn floats(run: &[f32]) -> __m512 {
    // SAFETY: the caller has AVX-512, and the mask has no more lanes than the slice has elements.
    unsafe { _mm512_maskz_loadu_ps(mask(run.len()), run.as_ptr()) }
}

/// [`super::round_to_bf16`] of each lane that is a number or the NaN that processors make.
#[inline(always)]
unsafe fn rounded(x: __m512) -> __m512 {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let bits = _mm512_castps_si512(x);
        let is_odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), is_odd);
        _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(!0xffff)))
    }
}
