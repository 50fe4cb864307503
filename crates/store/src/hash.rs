//! Hashes whose values reach files: all are XXH3 with fixed seeds, so they never change.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use atomic_file::IoContext;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::Result;

/// The bucket, in `0..buckets`, to which `key` belongs.
///
/// # Panics
/// If `buckets` is 0.
pub fn bucket_of(key: &[u8], buckets: u32) -> u32 {
    assert!(buckets > 0, "a run has at least one bucket");
    // The high bits, so that buckets do not correlate with tables that use the low ones.
    ((u128::from(xxh3_64(key)) * u128::from(buckets)) >> 64) as u32
}

/// A checksum as manifests write it: 16 hexadecimal digits.
pub fn checksum_hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// Reads a whole file and returns its length in bytes and its XXH3-64.
pub fn checksum_file(path: &Path) -> Result<(u64, u64)> {
    let mut file = File::open(path).at("open", path)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut len_bytes = 0;
    loop {
        let n = file.read(&mut buffer).at("read", path)?;
        if n == 0 {
            return Ok((len_bytes, hasher.digest()));
        }
        hasher.update(&buffer[..n]);
        len_bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_range_and_even() {
        let mut sizes = [0u32; 7];
        for i in 0..7000u32 {
            sizes[bucket_of(&i.to_le_bytes(), 7) as usize] += 1;
        }
        assert!(sizes.iter().all(|&n| (800..1200).contains(&n)), "{sizes:?}");
    }
}
