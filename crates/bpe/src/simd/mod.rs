//! Classes of 64 bytes at a time, with the processor's vector instructions; and the crate's only `unsafe`.
//!
//! Invariants of the `unsafe` here: intrinsics are called in functions that enable their feature; those functions are
//! called only through [`with_kernel`], which detects the processor's features first; and every load is from a
//! reference to an array at least as long as the load.

#![expect(unsafe_code, reason = "vector instructions")]

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

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
