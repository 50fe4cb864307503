//! Classes of 64 bytes at a time, with the processor's vector instructions; and the crate's only `unsafe`.
//!
//! Invariants of the `unsafe` here: intrinsics are called in functions that enable their feature; those functions are
//! called only through [`with_kernel`], which detects the processor's features first; and every load is from a
//! reference to an array at least as long as the load.

#![expect(unsafe_code, reason = "vector instructions")]

/// A bit for each of 64 bytes; the lowest is the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Masks {
    /// ASCII letters.
    pub(crate) letters: u64,
    /// ASCII digits.
    pub(crate) numbers: u64,
    /// ASCII white space.
    pub(crate) spaces: u64,
    /// U+0020 alone.
    pub(crate) blanks: u64,
    /// The apostrophe.
    pub(crate) apostrophes: u64,
    /// Bytes of characters beyond ASCII.
    pub(crate) wide: u64,
}

/// A way to classify bytes. Chosen once per text, so that the loop over it is compiled for it.
pub(crate) trait Kernel {
    /// The classes of 64 bytes.
    fn masks(bytes: &[u8; 64]) -> Masks;
}

/// Prefetches the cache line of `value`.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing; SSE is part of the architecture.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    // Other architectures have no stable intrinsic for it, so their loads wait for memory.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Code that is compiled once for every kernel.
pub(crate) trait WithKernel {
    /// Its result.
    type Output;
    /// Runs the code. It must be `#[inline(always)]`, so that it is compiled with the kernel's instructions.
    fn run<K: Kernel>(self) -> Self::Output;
}

/// Runs code with the best kernel for this processor.
#[inline]
pub(crate) fn with_kernel<W: WithKernel>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            // SAFETY: the processor has the features that the function enables.
            return unsafe { x86::with_avx512(work) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2") {
            // SAFETY: as above.
            return unsafe { x86::with_avx2(work) };
        }
    }
    #[cfg(target_arch = "aarch64")]
    return work.run::<neon::Neon>();
    #[cfg(not(target_arch = "aarch64"))]
    work.run::<Portable>()
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

/// Byte by byte: the twin of the others, and the kernel of processors without one of their own.
#[cfg_attr(all(target_arch = "aarch64", not(test)), expect(dead_code, reason = "every 64-bit ARM has NEON"))]
pub(crate) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> Masks {
        let mut masks = Masks::default();
        for (place, &byte) in bytes.iter().enumerate() {
            let bit = |is: bool| u64::from(is) << place;
            masks.letters |= bit(byte.is_ascii_alphabetic());
            masks.numbers |= bit(byte.is_ascii_digit());
            masks.spaces |= bit(matches!(byte, b'\t'..=b'\r' | b' '));
            masks.blanks |= bit(byte == b' ');
            masks.apostrophes |= bit(byte == b'\'');
            masks.wide |= bit(byte >= 128);
        }
        masks
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
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
            spaces: within(bytes, b'\t', 5) | blanks,
            blanks,
            apostrophes: is(b'\''),
            wide: _mm512_movepi8_mask(bytes),
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
        let both = |low, high| {
            u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32
        };
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
            spaces: both(within(low, b'\t', 5), within(high, b'\t', 5)) | blanks,
            blanks,
            apostrophes: both(is(low, b'\''), is(high, b'\'')),
            wide: both(low, high),
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
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Kernel, Masks};

    /// NEON, which every 64-bit ARM has.
    pub(super) struct Neon;

    impl Kernel for Neon {
        #[inline(always)]
        fn masks(bytes: &[u8; 64]) -> Masks {
            let mut masks = Masks::default();
            for quarter in 0..4 {
                // SAFETY: 16 bytes from a multiple of 16 below 64 lie inside the reference; NEON is part of
                // the architecture.
                let part = unsafe { classify(vld1q_u8(bytes.as_ptr().add(16 * quarter))) };
                let place = |bits: u16| u64::from(bits) << (16 * quarter);
                masks.letters |= place(part[0]);
                masks.numbers |= place(part[1]);
                masks.spaces |= place(part[2]);
                masks.blanks |= place(part[3]);
                masks.apostrophes |= place(part[4]);
                masks.wide |= place(part[5]);
            }
            masks
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn classify(bytes: uint8x16_t) -> [u16; 6] {
        let within = |bytes, first: u8, len: u8| vcltq_u8(vsubq_u8(bytes, vdupq_n_u8(first)), vdupq_n_u8(len));
        let is = |byte: u8| vceqq_u8(bytes, vdupq_n_u8(byte));
        let lower = vorrq_u8(bytes, vdupq_n_u8(0x20));
        let blanks = is(b' ');
        [
            movemask(within(lower, b'a', 26)),
            movemask(within(bytes, b'0', 10)),
            movemask(vorrq_u8(within(bytes, b'\t', 5), blanks)),
            movemask(blanks),
            movemask(is(b'\'')),
            movemask(vcgeq_u8(bytes, vdupq_n_u8(128))),
        ]
    }

    /// A bit for each byte that is all ones.
    #[inline]
    #[target_feature(enable = "neon")]
    fn movemask(bytes: uint8x16_t) -> u16 {
        const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        // SAFETY: the constant has 16 bytes.
        let bits = vandq_u8(bytes, unsafe { vld1q_u8(BITS.as_ptr()) });
        u16::from(vaddv_u8(vget_low_u8(bits))) | u16::from(vaddv_u8(vget_high_u8(bits))) << 8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[cfg(target_arch = "x86_64")]
    use x86::tests::kernels;

    #[cfg(target_arch = "aarch64")]
    fn kernels() -> Vec<fn(&[u8; 64]) -> Masks> {
        vec![neon::Neon::masks]
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn kernels() -> Vec<fn(&[u8; 64]) -> Masks> {
        Vec::new()
    }

    fn check(bytes: &[u8; 64]) {
        for kernel in kernels() {
            assert_eq!(kernel(bytes), Portable::masks(bytes), "{bytes:?}");
        }
    }

    /// Every byte in every position: since no kernel looks at two bytes at once, these are all cases.
    #[test]
    fn every_kernel_agrees_with_the_portable_one() {
        for byte in 0..=255 {
            for place in 0..64 {
                let mut bytes = [b'x'; 64];
                bytes[place] = byte;
                check(&bytes);
            }
            check(&[byte; 64]);
        }
    }

    proptest! {
        #[test]
        fn on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 64)) {
            check(bytes.as_slice().try_into().unwrap());
        }
    }
}
