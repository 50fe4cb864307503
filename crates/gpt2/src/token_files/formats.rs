//! What a file of tokens is by its first bytes: nanoGPT's form, llm.c's, or another format, whose bytes would be read as
//! ids without a word.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::MAX_NARROW_VOCAB;

/// llm.c's headers: the magic number, the version, and the bytes of an id. The second is that of its Llama 3.
const LLMC: [(i32, i32, usize); 2] = [(20_240_520, 1, 2), (20_240_801, 7, 4)];
/// First numbers of llm.c's other files.
const LLMC_OTHER: [(i32, &str); 2] =
    [(20_240_326, "it is a model of llm.c, not tokens"), (20_240_522, "it is an evaluation set of llm.c, not tokens")];
const LLMC_HEADER_BYTES: u64 = 1024;
/// Bytes at the beginning of a file by which other formats are known.
const SAMPLED_BYTES: u64 = 64 << 10;
/// Ids from which on a sample is judged by how its values are distributed.
const MIN_SAMPLED_IDS: usize = 1024;
/// Beginnings of other formats, and what to do with these.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"\x93NUMPY", "it is NumPy's .npy; write its ids alone: numpy.load(FILE).astype('uint16').tofile('FILE.bin')"),
    (b"PK\x03\x04", "it is a ZIP archive, as NumPy's .npz and PyTorch's .pt are; write its ids alone (numpy's tofile)"),
    (b"ARROW1\0\0", "it is an Arrow file; write its ids alone (numpy's tofile)"),
    (b"\x80\x04\x95", "it is a Python pickle; write its ids alone (numpy's tofile)"),
    (b"\x80\x05\x95", "it is a Python pickle; write its ids alone (numpy's tofile)"),
    (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file; write its ids alone (numpy's tofile)"),
    (b"PAR1", "it is Parquet; `bpe encode FILE -o tokens.bin` makes ids of texts"),
    (b"\x1f\x8b", "it is compressed; `bpe encode FILE -o tokens.bin` makes ids of texts"),
    (b"\x28\xb5\x2f\xfd", "it is compressed; `bpe encode FILE -o tokens.bin` makes ids of texts"),
    // What Megatron writes beside its `.bin`.
    (b"MMIDIDX\0\0", "it is the index of Megatron's tokens; give the .bin beside it"),
    (b"version https://git-lfs", "it is a pointer of Git LFS; fetch the file itself (git lfs pull)"),
];

/// Where a file's ids are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) start_bytes: u64,
    /// Bytes of an id: 2 or 4.
    pub(super) width: usize,
    pub(super) tokens: u64,
}

impl Header {
    /// Looks at the beginning of a file. The inner error says what it is instead of ids.
    pub(super) fn read(file: &File, len_bytes: u64, vocab_size: usize) -> std::io::Result<Result<Header, String>> {
        let mut start = vec![0; len_bytes.min(SAMPLED_BYTES) as usize];
        file.read_exact_at(&mut start, 0)?;
        Ok(Header::of_start(&start, len_bytes, vocab_size))
    }

    fn of_start(start: &[u8], len_bytes: u64, vocab_size: usize) -> Result<Header, String> {
        if let Some(header) = llmc(start, len_bytes)? {
            return Ok(header);
        }
        let width = if vocab_size > MAX_NARROW_VOCAB { 4 } else { 2 };
        if let Some(what) = other_format(start, vocab_size) {
            return Err(what.to_owned());
        }
        if !len_bytes.is_multiple_of(width as u64) {
            let bits = 8 * width;
            return Err(format!(
                "its length is no multiple of {width} bytes: it is truncated, or its ids are not {bits} bits wide"
            ));
        }
        Ok(Header { start_bytes: 0, width, tokens: len_bytes / width as u64 })
    }
}

/// The header of a file of llm.c; `None` of other files.
fn llmc(start: &[u8], len_bytes: u64) -> Result<Option<Header>, String> {
    let number = |index: usize| {
        let bytes = start.get(4 * index..4 * index + 4)?;
        Some(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let Some(magic) = number(0) else { return Ok(None) };
    if let Some((_, what)) = LLMC_OTHER.iter().find(|other| other.0 == magic) {
        return Err((*what).to_owned());
    }
    let Some(&(_, version, width)) = LLMC.iter().find(|known| known.0 == magic) else { return Ok(None) };
    let (Some(found), Some(claimed)) = (number(1), number(2).filter(|_| len_bytes >= LLMC_HEADER_BYTES)) else {
        return Err("its header, llm.c's, is cut off".to_owned());
    };
    if found != version {
        return Err(format!("its header, llm.c's {magic}, has the version {found}; known is {version}"));
    }
    let data_bytes = len_bytes - LLMC_HEADER_BYTES;
    let tokens = data_bytes / width as u64;
    if i64::from(claimed) != tokens as i64 || !data_bytes.is_multiple_of(width as u64) {
        let is_short = i64::from(claimed) > tokens as i64;
        let why = if is_short { "it is truncated" } else { "something was appended, or the header is damaged" };
        let noun = if claimed == 1 { "token" } else { "tokens" };
        return Err(format!("its header says {claimed} {noun}, but it has {tokens}: {why}"));
    }
    Ok(Some(Header { start_bytes: LLMC_HEADER_BYTES, width, tokens }))
}

/// What a file is, where its bytes are certainly no ids.
fn other_format(start: &[u8], vocab_size: usize) -> Option<&'static str> {
    if let Some((_, what)) = BEGINNINGS.iter().find(|(beginning, _)| start.starts_with(beginning)) {
        return Some(what);
    }
    if start.starts_with(b"\x80\x02") && start.get(2).is_some_and(|opcode| b"](}c\x8a".contains(opcode)) {
        return Some("it is a Python pickle; write its ids alone (numpy's tofile)");
    }
    if start.len() >= 64 && is_text(start) {
        return Some("it is text; `bpe encode FILE -o tokens.bin` makes ids of it");
    }
    if start.len() >= 128 && is_utf16_text(start, vocab_size) {
        return Some("it is text in UTF-16; iconv -f UTF-16 -t UTF-8 and `bpe encode` make ids of it");
    }
    if vocab_size <= MAX_NARROW_VOCAB && has_ids_of_8_bits(start) {
        return Some(
            "its ids are 8 bits wide, as it seems; write them as 16: numpy.fromfile(FILE, 'uint8').astype('uint16')",
        );
    }
    None
}

/// Largest vocabulary that may have little but single bytes.
const MAX_BYTES_VOCAB: usize = 300;

/// Whether bytes are UTF-16 in either order, with or without a mark. Ids that are bytes look as UTF-16 does, so a
/// vocabulary of little else is not judged.
fn is_utf16_text(start: &[u8], vocab_size: usize) -> bool {
    let units = |of: fn([u8; 2]) -> u16| start.chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect::<Vec<u16>>();
    vocab_size > MAX_BYTES_VOCAB && [u16::from_le_bytes, u16::from_be_bytes].into_iter().any(|of| are_text(&units(of)))
}

/// Whether units of UTF-16 are text: no control character but in the breaks of lines, a blank in fifty, and more than
/// half in one script. In ids of a text, the smallest ones are punctuation or bytes, and those beyond 255 are merges.
fn are_text(units: &[u16]) -> bool {
    let is_break =
        |index: usize| units[index] == 10 || units[index] == 13 && units.get(index + 1).is_none_or(|&n| n == 10);
    let is_control = |unit: u16| unit < 32 || (127..160).contains(&unit);
    if (0..units.len()).any(|index| is_control(units[index]) && units[index] != 9 && !is_break(index)) {
        return false;
    }
    let is_blank = |unit: u16| unit == 32 || unit == 10;
    let (mut blanks, mut latin, mut others) = (0, 0, [0; 256]);
    for &unit in units {
        blanks += usize::from(is_blank(unit));
        match unit {
            32 | 65..=90 | 97..=122 => latin += 1,
            // Greek and what comes behind it; a script has 256 units or few more, but for those of East Asia.
            0x3000..=0x9fff => others[0x30] += 1,
            0x0370.. => others[usize::from(unit >> 8)] += 1,
            _ => {}
        }
    }
    let of_script = others.into_iter().fold(latin, usize::max);
    blanks * 50 > units.len() && of_script * 2 > units.len()
}

/// Whether bytes are UTF-8 without control characters. Of 16-bit ids, those below 2,304 alone have such a byte.
fn is_text(start: &[u8]) -> bool {
    let has_control = |bytes: &[u8]| bytes.iter().any(|&byte| byte < 32 && !matches!(byte, b'\t' | b'\n' | b'\r' | 12));
    let is_utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The sample may end inside a character.
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > start.len(),
    };
    is_utf8 && !has_control(start)
}

/// Whether both bytes of the supposed ids are used alike, as if each were an id: the upper byte of 16-bit ids says in
/// which part of the vocabulary they are, and common ids are in the first part.
fn has_ids_of_8_bits(start: &[u8]) -> bool {
    let pairs = start.len() / 2;
    if pairs < MIN_SAMPLED_IDS {
        return false;
    }
    let mut counts = [[0i64; 256]; 2];
    for pair in start.chunks_exact(2) {
        counts[0][usize::from(pair[0])] += 1;
        counts[1][usize::from(pair[1])] += 1;
    }
    let distance: i64 = counts[0].iter().zip(&counts[1]).map(|(low, high)| (low - high).abs()).sum();
    // Nearly equal, and not as of random numbers: those use all 256 values.
    let used = counts[0].iter().filter(|&&count| count > 0).count();
    // Two samples of one distribution differ by about √(2·pairs·used).
    let noise = ((2 * pairs * used) as f64).sqrt() as i64;
    distance < pairs as i64 / 5 + noise && used < 224
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], vocab_size: usize, expected: Option<&str>) {
        let found = Header::of_start(bytes, bytes.len() as u64, vocab_size).err();
        match expected {
            Some(expected) => assert!(found.clone().is_some_and(|what| what.contains(expected)), "{found:?}"),
            None => assert_eq!(found, None),
        }
    }

    fn pseudo_random(count: u32) -> impl Iterator<Item = u32> {
        (0..count).map(|i| i.wrapping_mul(2_654_435_761) >> 8)
    }

    #[test]
    fn files_of_other_formats_are_named() {
        check(&"A ferry, or café, of 10 pages.\n".repeat(99).into_bytes(), 65536, Some("it is text;"));
        for (beginning, what) in BEGINNINGS {
            check(&[beginning, &[1; 500][..]].concat(), 65536, Some(what));
            check(&[beginning, &[1; 500][..]].concat(), 100_000, Some(what));
        }
        check(b"\x80\x02]q\x00(K\x01K\x02e.", 65536, Some("pickle"));
    }

    #[test]
    fn ids_of_8_bits_are_told_from_those_of_16() {
        for count in [2_500, 20_000] {
            let letters: Vec<u8> = pseudo_random(count).map(|i| (i >> 16) as u8 % 65).collect();
            check(&letters, 65536, Some("8 bits"));
            let wide: Vec<u8> = letters.iter().flat_map(|&id| u16::from(id).to_le_bytes()).collect();
            check(&wide, 65, None);
            check(&wide, 65536, None);
            // Ids of a text: common ones are small.
            let skewed = |i: u32| ((50_000u64 * u64::from(i & 0xfff) * u64::from(i & 0xfff)) >> 24) as u16;
            check(&pseudo_random(count).flat_map(|i| skewed(i).to_le_bytes()).collect::<Vec<u8>>(), 50257, None);
            check(&pseudo_random(count).map(|i| (i >> 15) as u8).collect::<Vec<u8>>(), 65536, None);
        }
    }

    #[test]
    fn utf16_is_told_from_ids() {
        for text in ["A ferry, late; the quay is wet.\n", "Паром опоздал, причал мокрый.\n"] {
            for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes: Vec<u8> = text.repeat(9).encode_utf16().flat_map(to_bytes).collect();
                check(&bytes, 512, Some("UTF-16"));
                check(&bytes, 50257, Some("UTF-16"));
            }
        }
        // Bytes as ids, of a tokenizer that has little else.
        let bytes: Vec<u8> = "A ferry, late.\n".repeat(9).encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&bytes, 257, None);
        // Ids of a small vocabulary: 13 is a full stop, 32 the letter A, those beyond 256 are merges.
        let ids = [32u16, 262, 300, 271, 283, 319, 13, 198];
        check(&ids.repeat(50).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), 320, None);
        let ids = [32u16, 262, 300, 271, 283, 319, 198];
        check(&ids.repeat(50).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), 320, None);
        // GPT-2's ids: 11 is a comma, 13 a full stop.
        let ids = [32u16, 42167, 11, 2739, 13, 198];
        check(&ids.repeat(50).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), 50257, None);
    }

    #[test]
    fn headers_of_llmc_are_judged_by_number_version_and_length() {
        let file = |magic: i32, version: i32, claimed: i32, data_bytes: usize| {
            let mut bytes = vec![0; 1024 + data_bytes];
            for (index, number) in [magic, version, claimed].into_iter().enumerate() {
                bytes[4 * index..4 * index + 4].copy_from_slice(&number.to_le_bytes());
            }
            bytes
        };
        let good = |magic, version, width| {
            let bytes = file(magic, version, 50, 50 * width);
            let header = Header::of_start(&bytes, bytes.len() as u64, 300).unwrap();
            assert_eq!(header, Header { start_bytes: 1024, width, tokens: 50 });
        };
        good(20_240_520, 1, 2);
        good(20_240_801, 7, 4);
        check(&file(20_240_520, 2, 50, 100), 300, Some("has the version 2; known is 1"));
        check(&file(20_240_520, 7, 50, 200), 300, Some("has the version 7; known is 1"));
        check(&file(20_240_801, 1, 50, 100), 300, Some("has the version 1; known is 7"));
        check(&file(20_240_520, 1, 50, 80), 300, Some("says 50 tokens, but it has 40: it is truncated"));
        check(&file(20_240_801, 7, 50, 80), 300, Some("says 50 tokens, but it has 20: it is truncated"));
        check(&file(20_240_520, 1, 50, 120), 300, Some("but it has 60: something was appended"));
        check(&file(20_240_520, 1, 50, 101), 300, Some("something was appended"));
        check(&file(20_240_520, 1, -1, 100), 300, Some("something was appended"));
        check(&file(20_240_520, 1, 50, 100)[..600], 300, Some("is cut off"));
        check(&file(20_240_326, 1, 50, 100), 300, Some("a model of llm.c"));
        check(&file(20_240_522, 1, 50, 100), 300, Some("an evaluation set"));
    }
}
