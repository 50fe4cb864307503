//! Bodies: pages, noise that does not compress, and bombs.

use std::io::Write;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// One gigabyte of zeros by `brotli -w 24`.
pub const BROTLI_BOMB: &[u8] = include_bytes!("zeros-1g.br");

/// A page with a title and one sentence that no other page has.
pub fn html(title: &str) -> Vec<u8> {
    format!(
        "<!doctype html><title>{title}</title><p>The ferry to {title} leaves at noon and comes back before dark.</p>"
    )
    .into_bytes()
}

/// Hexadecimal digits that compress to half their length; the same for the same seed.
pub fn noise(seed: u64, len_bytes: usize) -> Vec<u8> {
    let mut noise = Vec::with_capacity(len_bytes + 16);
    let mut counter: u64 = 0;
    while noise.len() < len_bytes {
        let word = xxhash_rust::xxh3::xxh3_64_with_seed(&counter.to_le_bytes(), seed);
        noise.extend_from_slice(format!("{word:016x}").as_bytes());
        counter += 1;
    }
    noise.truncate(len_bytes);
    noise
}

/// A gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zstd frame.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// One gzip member of a gigabyte of zeros, made in the time that one megabyte takes.
///
/// A block that is flushed in full refers to nothing before it and ends with a byte; so it may stand 1,024
/// times behind itself. Only the checksum knows all of them.
pub fn gzip_bomb() -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let mut block = Vec::with_capacity(64 << 10);
    Compress::new(Compression::best(), false).compress_vec(&zeros, &mut block, FlushCompress::Full).unwrap();
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut all, mut one) = (Crc::new(), Crc::new());
    one.update(&zeros);
    for _ in 0..1024 {
        bomb.extend_from_slice(&block);
        all.combine(&one);
    }
    // An empty last block of fixed codes, the checksum and the length.
    bomb.extend([3, 0]);
    bomb.extend(all.sum().to_le_bytes());
    bomb.extend(all.amount().to_le_bytes());
    bomb
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    #[test]
    fn the_bomb_is_one_good_member() {
        let bomb = super::gzip_bomb();
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());
        let mut decoder = flate2::bufread::GzDecoder::new(&bomb[..]);
        let len = std::io::copy(&mut decoder.by_ref(), &mut std::io::sink()).unwrap();
        assert_eq!(len, 1 << 30);
    }
}
