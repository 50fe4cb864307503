//! Classes of 64 bytes at a time, with the processor's vector instructions; and the crate's only `unsafe`.
//!
//! Invariants of the `unsafe` here: intrinsics are called in functions that enable their feature; those functions are
//! called only through [`with_kernel`], which detects the processor's features first; and every load is from a
//! reference to an array at least as long as the load.

#![expect(unsafe_code, reason = "vector instructions")]

use std::sync::OnceLock;

/// A bit for each of 64 bytes; the lowest is the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Masks {
    /// ASCII letters.
    pub(crate) letters: u64,
    /// ASCII digits.
    pub(crate) numbers: u64,
    /// ASCII capitals.
    pub(crate) capitals: u64,
    /// ASCII white space.
    pub(crate) spaces: u64,
    /// U+0020 alone.
    pub(crate) blanks: u64,
    /// Line feeds and carriage returns.
    pub(crate) line_ends: u64,
    /// The apostrophe.
    pub(crate) apostrophes: u64,
    /// The slash.
    pub(crate) slashes: u64,
    /// Bytes of characters beyond ASCII.
    pub(crate) wide: u64,
    /// The first bytes of such characters.
    pub(crate) leads: u64,
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

/// Runs code with the best kernel for this processor, or with a lesser one that `BPE_KERNEL` names.
#[inline]
pub(crate) fn with_kernel<W: WithKernel>(work: W) -> W::Output {
    match kernel_name() {
        // SAFETY: the processor has the features that the function enables.
        #[cfg(target_arch = "x86_64")]
        KernelName::Avx512 => unsafe { x86::with_avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        KernelName::Avx2 => unsafe { x86::with_avx2(work) },
        #[cfg(target_arch = "aarch64")]
        KernelName::Neon => work.run::<neon::Neon>(),
        KernelName::Portable => work.run::<Portable>(),
    }
}

/// The kernels that this architecture can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KernelName {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

/// The kernel of this process.
///
/// # Panics
/// When `BPE_KERNEL` names none that the processor has: whoever measures one must not measure another.
#[inline]
fn kernel_name() -> KernelName {
    static NAME: OnceLock<KernelName> = OnceLock::new();
    *NAME.get_or_init(|| {
        let known = [
            #[cfg(target_arch = "x86_64")]
            ("avx512", KernelName::Avx512, has_avx512()),
            #[cfg(target_arch = "x86_64")]
            ("avx2", KernelName::Avx2, has_avx2()),
            #[cfg(target_arch = "aarch64")]
            ("neon", KernelName::Neon, true),
            ("portable", KernelName::Portable, true),
        ];
        let wanted = std::env::var("BPE_KERNEL").ok();
        let mut possible = known
            .into_iter()
            .filter(|(name, _, is_there)| *is_there && wanted.as_ref().is_none_or(|wanted| wanted == name));
        let (_, kernel, _) =
            possible.next().expect("BPE_KERNEL is avx512, avx2, neon or portable, as the processor has");
        kernel
    })
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512f") && has_avx2()
}

/// Byte by byte: the twin of the others, and the kernel of processors without one of their own.
pub(crate) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> Masks {
        let mut masks = Masks::default();
        for (place, &byte) in bytes.iter().enumerate() {
            let bit = |is: bool| u64::from(is) << place;
            masks.letters |= bit(byte.is_ascii_alphabetic());
            masks.numbers |= bit(byte.is_ascii_digit());
            masks.capitals |= bit(byte.is_ascii_uppercase());
            masks.spaces |= bit(matches!(byte, b'\t'..=b'\r' | b' '));
            masks.blanks |= bit(byte == b' ');
            masks.line_ends |= bit(matches!(byte, b'\n' | b'\r'));
            masks.apostrophes |= bit(byte == b'\'');
            masks.slashes |= bit(byte == b'/');
            masks.wide |= bit(byte >= 0x80);
            masks.leads |= bit(byte >= 0xc0);
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
                masks.capitals |= place(part[2]);
                masks.spaces |= place(part[3]);
                masks.blanks |= place(part[4]);
                masks.line_ends |= place(part[5]);
                masks.apostrophes |= place(part[6]);
                masks.slashes |= place(part[7]);
                masks.wide |= place(part[8]);
                masks.leads |= place(part[9]);
            }
            masks
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn classify(bytes: uint8x16_t) -> [u16; 10] {
        let within = |bytes, first: u8, len: u8| vcltq_u8(vsubq_u8(bytes, vdupq_n_u8(first)), vdupq_n_u8(len));
        let is = |byte: u8| vceqq_u8(bytes, vdupq_n_u8(byte));
        let lower = vorrq_u8(bytes, vdupq_n_u8(0x20));
        let blanks = is(b' ');
        [
            movemask(within(lower, b'a', 26)),
            movemask(within(bytes, b'0', 10)),
            movemask(within(bytes, b'A', 26)),
            movemask(vorrq_u8(within(bytes, b'\t', 5), blanks)),
            movemask(blanks),
            movemask(vorrq_u8(is(b'\n'), is(b'\r'))),
            movemask(is(b'\'')),
            movemask(is(b'/')),
            movemask(vcgeq_u8(bytes, vdupq_n_u8(0x80))),
            movemask(vcgeq_u8(bytes, vdupq_n_u8(0xc0))),
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

/// Runs code with every kernel that this processor has, and calls `after` behind each.
#[cfg(test)]
pub(crate) fn each_kernel<W>(work: &mut W, mut after: impl FnMut(&W))
where
    for<'w> &'w mut W: WithKernel<Output = ()>,
{
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            // SAFETY: the processor has the features that the function enables.
            unsafe { x86::with_avx512(&mut *work) };
            after(work);
        }
        if has_avx2() {
            // SAFETY: as above.
            unsafe { x86::with_avx2(&mut *work) };
            after(work);
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        (&mut *work).run::<neon::Neon>();
        after(work);
    }
    work.run::<Portable>();
    after(work);
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
