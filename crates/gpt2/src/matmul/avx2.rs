//! [`Lanes`] of AVX2 with FMA: eight lanes of one f32 each. There are no products of bf16, so factors are rounded to it
//! while they are packed, and the kernel is that of f32.

use std::arch::x86_64::*;

use super::lanes::{Base, Lanes, Work};

const WIDTH: usize = 8;

/// Proves that this processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2<const IS_ROUNDED: bool>(());

/// Intel from Haswell, AMD from Zen on.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

impl<const IS_ROUNDED: bool> Avx2<IS_ROUNDED> {
    pub(super) fn new() -> Avx2<IS_ROUNDED> {
        assert!(is_supported(), "this processor has AVX2 and FMA");
        Avx2(())
    }
}

// SAFETY, of all blocks below: the value proves that the processor has the instructions, and lengths are checked right
// before a pointer is read or written. Masked loads and stores do not touch what the mask leaves out.
impl<const IS_ROUNDED: bool> Lanes<4, WIDTH> for Avx2<IS_ROUNDED> {
    type Vector = __m256;
    const PER_LANE: usize = 1;
    // 512 kB of packed rows, which are read in order and so may come from beyond a small L2 cache; with fewer, `b` would
    // be read more often.
    const TASK_ROWS: usize = 512;

    fn compile<W: Work>(self, work: W) -> W::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn inner<W: Work>(work: W) -> W::Output {
            work.run()
        }
        unsafe { inner(work) }
    }

    #[inline(always)]
    fn zero(self) -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn load(self, from: &[u32]) -> __m256 {
        let from = &from[..WIDTH];
        unsafe { _mm256_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u32], vector: __m256) {
        let to = &mut to[..WIDTH];
        unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn store_halves(self, first: &mut [u32], second: &mut [u32], vector: __m256) {
        let (first, second) = (&mut first[..WIDTH / 2], &mut second[..WIDTH / 2]);
        unsafe {
            _mm_storeu_ps(first.as_mut_ptr().cast(), _mm256_castps256_ps128(vector));
            _mm_storeu_ps(second.as_mut_ptr().cast(), _mm256_extractf128_ps::<1>(vector));
        }
    }

    #[inline(always)]
    fn splat(self, lane: u32) -> __m256 {
        unsafe { _mm256_castsi256_ps(_mm256_set1_epi32(lane.cast_signed())) }
    }

    /// Sums and factors need 15 of 16 registers: a second broadcast that the compiler moves up would put a sum into
    /// memory, at a third of the rate.
    #[inline(always)]
    fn splat_in_turn(self, lane: &u32) -> __m256 {
        // SAFETY: it does nothing; the compiler must assume that it writes memory, and reads the lane after it.
        unsafe { std::arch::asm!("", options(nostack, preserves_flags)) };
        self.splat(*lane)
    }

    #[inline(always)]
    fn multiply_add(self, sum: __m256, left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(left, right, sum) }
    }

    #[inline(always)]
    fn across(self, even: &[f32], _odd: &[f32]) -> __m256 {
        self.along(even)
    }

    #[inline(always)]
    fn along(self, run: &[f32]) -> __m256 {
        let vector = match run.len() {
            0..WIDTH => unsafe { _mm256_maskload_ps(run.as_ptr(), mask(run.len())) },
            _ => unsafe { _mm256_loadu_ps(run.as_ptr()) },
        };
        if IS_ROUNDED { unsafe { rounded(vector) } } else { vector }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m256; WIDTH]) {
        unsafe {
            // Four lanes of two rows, then of four, then all eight of eight.
            let mut two = *rows;
            let mut four = *rows;
            for i in 0..4 {
                two[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                two[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            for i in [0, 4] {
                four[i] = _mm256_shuffle_ps::<0b01_00_01_00>(two[i], two[i + 2]);
                four[i + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(two[i], two[i + 2]);
                four[i + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(two[i + 1], two[i + 3]);
                four[i + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(two[i + 1], two[i + 3]);
            }
            for i in 0..4 {
                rows[i] = _mm256_permute2f128_ps::<0x20>(four[i], four[i + 4]);
                rows[i + 4] = _mm256_permute2f128_ps::<0x31>(four[i], four[i + 4]);
            }
        }
    }

    #[inline(always)]
    fn write(self, sum: __m256, scale: f32, base: Base<'_>, to: &mut [f32]) {
        let mut value = unsafe { _mm256_mul_ps(sum, _mm256_set1_ps(scale)) };
        if to.len() >= WIDTH {
            let base = match base {
                Base::Zero => None,
                Base::Present => Some(to.as_ptr()),
                Base::Other(base) => Some(base[..WIDTH].as_ptr()),
            };
            if let Some(base) = base {
                value = unsafe { _mm256_add_ps(value, _mm256_loadu_ps(base)) };
            }
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) };
            return;
        }
        let base = match base {
            Base::Zero => None,
            Base::Present => Some(to.as_ptr()),
            Base::Other(base) => Some(base[..to.len()].as_ptr()),
        };
        let mask = mask(to.len());
        if let Some(base) = base {
            value = unsafe { _mm256_add_ps(value, _mm256_maskload_ps(base, mask)) };
        }
        unsafe { _mm256_maskstore_ps(to.as_mut_ptr(), mask, value) };
    }
}

/// The first lanes.
#[inline(always)]
fn mask(len: usize) -> __m256i {
    const LANES: [i32; 2 * WIDTH] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let lanes = &LANES[WIDTH - len..][..WIDTH];
    // SAFETY: the slice has eight elements; whoever needs a mask has AVX2.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// [`super::round_to_bf16`] of each lane that is a number or the NaN that processors make.
#[inline(always)]
unsafe fn rounded(x: __m256) -> __m256 {
    // SAFETY: the caller has AVX2.
    unsafe {
        let bits = _mm256_castps_si256(x);
        let is_odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), is_odd);
        _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(!0xffff)))
    }
}
