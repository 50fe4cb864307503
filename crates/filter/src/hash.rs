//! A fast hash of short byte strings, the same on every machine and in every run.
//!
//! Left out: protection against crafted collisions. They only make a table slow, since equality is always checked.

/// Odd numbers without a pattern: digits of π.
const KEYS: [u64; 2] = [0x2438_6a88_85a3_08d3, 0x1319_8a2e_0370_7345];

/// A hash of bytes. Up to 16 bytes are covered by two overlapping words.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let (first, last) = match len {
        0 => (0, 0),
        1..=3 => (u64::from(bytes[0]) << 8 | u64::from(bytes[len - 1]), u64::from(bytes[len / 2])),
        4..=7 => (u64::from(u32_at(bytes, 0)), u64::from(u32_at(bytes, len - 4))),
        8..=16 => (u64_at(bytes, 0), u64_at(bytes, len - 8)),
        _ => return xxhash_rust::xxh3::xxh3_64(bytes),
    };
    mix(first ^ KEYS[0], last ^ KEYS[1] ^ len as u64)
}

/// A hash of a pair of numbers.
#[inline]
pub fn hash_pair(first: u32, second: u32) -> u64 {
    mix((u64::from(first) << 32 | u64::from(second)) ^ KEYS[0], KEYS[1])
}

/// A hash of the 12 bytes at a place.
///
/// # Panics
/// If there are fewer than 12 bytes.
#[inline]
pub fn hash_12_bytes_at(bytes: &[u8], at: usize) -> u64 {
    mix(u64_at(bytes, at) ^ KEYS[0], u64::from(u32_at(bytes, at + 8)) ^ KEYS[1])
}

/// Both halves of the product of two words, folded: each bit of the result depends on each of the inputs.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
    u64::from_le_bytes(word)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
    u32::from_le_bytes(word)
}
