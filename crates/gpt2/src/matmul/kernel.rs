//! Which kernel computes the products: the fastest that the processor has, or the one that `GPT2_KERNEL` names.

use std::fmt;
use std::sync::OnceLock;

use user_error::{Exit, UserError};

/// A way to compute matrix products. `GPT2_KERNEL` forces one by its name, for measurements on one machine of what
/// another is like; the loops beside the products then use no wider vectors either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// AVX-512 with products of bf16, which Intel's processors have but compute slowly: chosen on AMD's alone.
    Avx512Bf16,
    /// AVX-512; bf16 is rounding and products of f32.
    Avx512,
    /// AVX2 and FMA; bf16 is rounding and products of f32.
    Avx2,
    /// The `gemm-f32` crate, for processors that no kernel of this crate is for; bf16 is rounding and products of f32.
    Gemm,
}

impl Kernel {
    /// All of them, the fastest first.
    pub const ALL: [Kernel; 4] = [Kernel::Avx512Bf16, Kernel::Avx512, Kernel::Avx2, Kernel::Gemm];

    /// `avx512bf16`, `avx512`, `avx2` or `gemm`.
    pub const fn name(self) -> &'static str {
        match self {
            Kernel::Avx512Bf16 => "avx512bf16",
            Kernel::Avx512 => "avx512",
            Kernel::Avx2 => "avx2",
            Kernel::Gemm => "gemm",
        }
    }

    /// Whether this processor has its instructions.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Bf16 => super::avx512::has_bf16(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => super::avx512::is_supported(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => super::avx2::is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx512Bf16 | Kernel::Avx512 | Kernel::Avx2 => false,
            Kernel::Gemm => true,
        }
    }

    /// Whether it is supported and worth its name: not products of bf16 that are slower than those of f32.
    fn is_worth_it(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self == Kernel::Avx512Bf16 {
            return super::avx512::has_fast_bf16();
        }
        self.is_supported()
    }

    /// The kernel of all products of this process.
    ///
    /// # Errors
    /// `GPT2_KERNEL` names none, or one whose instructions this processor lacks. All products then panic.
    pub fn chosen() -> Result<Kernel, KernelError> {
        static CHOSEN: OnceLock<Result<Kernel, KernelError>> = OnceLock::new();
        CHOSEN.get_or_init(|| by_name(std::env::var("GPT2_KERNEL").ok().as_deref())).clone()
    }

    /// The kernel of all products.
    pub(crate) fn of_process() -> Kernel {
        Kernel::chosen().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `GPT2_KERNEL` cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GPT2_KERNEL is {name}, which {}", if *.is_known { "this processor has no instructions for" } else { "is no kernel" })]
pub struct KernelError {
    /// Its value.
    name: String,
    is_known: bool,
}

impl UserError for KernelError {
    fn hint(&self) -> Option<String> {
        let supported = Kernel::ALL.into_iter().filter(|kernel| kernel.is_supported()).map(Kernel::name);
        Some(format!("unset it, or set it to one of {}", supported.collect::<Vec<_>>().join(", ")))
    }

    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

fn by_name(name: Option<&str>) -> Result<Kernel, KernelError> {
    let Some(name) = name else {
        return Ok(Kernel::ALL.into_iter().find(|kernel| kernel.is_worth_it()).unwrap_or(Kernel::Gemm));
    };
    let known = Kernel::ALL.into_iter().find(|kernel| kernel.name() == name);
    let error = || KernelError { name: name.to_owned(), is_known: known.is_some() };
    known.filter(|kernel| kernel.is_supported()).ok_or_else(error)
}

/// The widest vectors that loops beside the products may use.
pub(crate) fn arch() -> pulp::Arch {
    #[cfg(target_arch = "x86_64")]
    if Kernel::of_process() == Kernel::Avx2
        && let Some(avx2) = pulp::x86::V3::try_new()
    {
        return pulp::Arch::V3(avx2);
    }
    pulp::Arch::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_a_kernel() {
        assert_eq!(by_name(Some("gemm")), Ok(Kernel::Gemm));
        assert!(by_name(None).is_ok_and(Kernel::is_supported));
        let message = by_name(Some("sse")).unwrap_err().to_string();
        assert_eq!(message, "GPT2_KERNEL is sse, which is no kernel");
    }
}
