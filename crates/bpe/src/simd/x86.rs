//! Kernels of x86-64: AVX-512 and AVX2.

use std::arch::x86_64::*;

use super::{Kernel, Masks, WithKernel};

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn with_avx512<W: WithKernel>(work: W) -> W::Output {
    work.run::<Avx512>()
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn with_avx2<W: WithKernel>(work: W) -> W::Output {
    work.run::<Avx2>()
}

pub(super) struct Avx512;

impl Kernel for Avx512 {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> Masks {
        // SAFETY: `with_kernel` calls this kernel only on processors with AVX-512.
        unsafe { avx512(bytes) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn avx512(bytes: &[u8; 64]) -> Masks {
    // SAFETY: the reference is to 64 bytes; the load needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
    // Whether each byte lies in a range of `len` values from `first` on.
    let within = |bytes, first: u8, len: u8| {
        let shifted = _mm512_sub_epi8(bytes, _mm512_set1_epi8(first as i8));
        _mm512_cmplt_epu8_mask(shifted, _mm512_set1_epi8(len as i8))
    };
    let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
    let lower = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
    let blanks = is(b' ');
    Masks {
        letters: within(lower, b'a', 26),
        numbers: within(bytes, b'0', 10),
        capitals: within(bytes, b'A', 26),
        spaces: within(bytes, b'\t', 5) | blanks,
        blanks,
        line_ends: is(b'\n') | is(b'\r'),
        apostrophes: is(b'\''),
        slashes: is(b'/'),
        wide: _mm512_movepi8_mask(bytes),
        leads: within(bytes, 0xc0, 0x40),
    }
}

pub(super) struct Avx2;

impl Kernel for Avx2 {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> Masks {
        // SAFETY: `with_kernel` calls this kernel only on processors with AVX2.
        unsafe { avx2(bytes) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn avx2(bytes: &[u8; 64]) -> Masks {
    // SAFETY: both halves are 32 bytes of the reference; the loads need no alignment.
    let (low, high) =
        unsafe { (_mm256_loadu_si256(bytes.as_ptr().cast()), _mm256_loadu_si256(bytes.as_ptr().add(32).cast())) };
    let both =
        |low, high| u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32;
    // There is no unsigned comparison: bytes that are not 0 after subtracting the range's length were outside.
    let within = |bytes, first: u8, len: u8| {
        let shifted = _mm256_sub_epi8(bytes, _mm256_set1_epi8(first as i8));
        let over = _mm256_subs_epu8(shifted, _mm256_set1_epi8(len as i8 - 1));
        _mm256_cmpeq_epi8(over, _mm256_setzero_si256())
    };
    let is = |bytes, byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
    let lower = |bytes| _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    let blanks = both(is(low, b' '), is(high, b' '));
    Masks {
        letters: both(within(lower(low), b'a', 26), within(lower(high), b'a', 26)),
        numbers: both(within(low, b'0', 10), within(high, b'0', 10)),
        capitals: both(within(low, b'A', 26), within(high, b'A', 26)),
        spaces: both(within(low, b'\t', 5), within(high, b'\t', 5)) | blanks,
        blanks,
        line_ends: both(is(low, b'\n'), is(high, b'\n')) | both(is(low, b'\r'), is(high, b'\r')),
        apostrophes: both(is(low, b'\''), is(high, b'\'')),
        slashes: both(is(low, b'/'), is(high, b'/')),
        wide: both(low, high),
        leads: both(within(low, 0xc0, 0x40), within(high, 0xc0, 0x40)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Kernel, Masks};

    /// The kernels that this processor can run.
    pub(in super::super) fn kernels() -> Vec<fn(&[u8; 64]) -> Masks> {
        let mut kernels: Vec<fn(&[u8; 64]) -> Masks> = Vec::new();
        if super::super::has_avx512() {
            kernels.push(super::Avx512::masks);
        }
        if is_x86_feature_detected!("avx2") {
            kernels.push(super::Avx2::masks);
        }
        kernels
    }
}
