//! The kernel of 64-bit ARM.

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
