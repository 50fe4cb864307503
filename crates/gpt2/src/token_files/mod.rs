//! Training batches from the files of token ids that `bpe encode` and `webtext build` write.
//!
//! A training sees its tokens in *epochs*. An epoch cuts every shard into sequences of T tokens, beginning at an offset
//! drawn for the epoch, and goes through all sequences of all shards in a shuffled order: each token at most once,
//! without a list of positions in memory. The sequences of a batch are a function of (seed, number of the batch) alone.

mod formats;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use self::formats::Header;
use crate::random::{Stream, bits};

/// Largest vocabulary whose files without a header have 16-bit ids.
const MAX_NARROW_VOCAB: usize = 1 << 16;

/// A file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// The system refused.
    #[error("cannot read tokens from {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file is not an array of ids.
    #[error("{} is not a file of token ids: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// Too few tokens for one sequence and its targets.
    #[error("{} is too short: a context of {context} needs {} tokens, and it has {tokens}", path.display(), context + 1)]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Tokens in it.
        tokens: u64,
        /// Length of a sequence.
        context: usize,
    },
    /// An id that the model has no embedding for.
    #[error("{}: token {index} has the id {id}, but the vocabulary has {vocab_size}", path.display())]
    UnknownId {
        /// The file.
        path: PathBuf,
        /// Number of the token, from 0.
        index: u64,
        /// Its id.
        id: u32,
        /// Ids in the model's vocabulary.
        vocab_size: usize,
    },
    /// An empty list of files.
    #[error("there is no token file")]
    NoFiles,
}

/// Files of token ids, read a batch at a time. Each is in nanoGPT's format or in llm.c's; its first bytes say which.
/// llm.c's header says how wide ids are; without one they have 16 bits where the vocabulary has at most 65,536, else 32.
#[derive(Debug)]
pub struct TokenFiles {
    shards: Vec<Shard>,
    context: usize,
    vocab_size: usize,
    checksum: u64,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    start_bytes: u64,
    /// Bytes of an id: 2 or 4.
    width: usize,
    tokens: u64,
}

/// Inputs and the tokens that follow them, both (B, T), and where they come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) inputs: Vec<u32>,
    pub(crate) targets: Vec<u32>,
    /// The shard and first token of each sequence.
    places: Vec<(usize, u64)>,
}

impl TokenFiles {
    /// Opens files and reads each once, for the checksum and for ids past the vocabulary.
    ///
    /// # Errors
    /// No file; files that cannot be read, are not arrays of ids, are shorter than `context + 1` tokens, or hold an
    /// id of `vocab_size` or more.
    pub fn open(paths: &[PathBuf], context: usize, vocab_size: usize) -> Result<TokenFiles, TokenFileError> {
        let shards: Vec<Shard> =
            paths.iter().map(|path| Shard::open(path, context, vocab_size)).collect::<Result<_, _>>()?;
        if shards.is_empty() {
            return Err(TokenFileError::NoFiles);
        }
        let mut checksum = 0;
        for shard in &shards {
            let of_shard = shard.scan(vocab_size)?;
            checksum = xxhash_rust::xxh3::xxh3_64_with_seed(&of_shard.to_le_bytes(), checksum);
        }
        Ok(TokenFiles { shards, context, vocab_size, checksum })
    }

    /// Number of tokens in all shards.
    pub fn tokens(&self) -> u64 {
        self.shards.iter().map(|shard| shard.tokens).sum()
    }

    /// XXH3-64 over all shards in order; part of a training's fingerprint.
    pub(crate) fn checksum(&self) -> u64 {
        self.checksum
    }

    /// Batch `number` of a training: `b` sequences of the whole context.
    pub(crate) fn batch(&self, seed: u64, number: u64, b: usize) -> Result<Batch, TokenFileError> {
        let mut batch = Batch::default();
        for i in 0..b as u64 {
            let (shard, place) = self.place(seed, number * b as u64 + i);
            self.sequence(shard, place, &mut batch)?;
        }
        Ok(batch)
    }

    /// Where sequence `number` of a training begins: shard and token.
    fn place(&self, seed: u64, number: u64) -> (usize, u64) {
        let t = self.context as u64;
        // Epochs have as many sequences as fit with the largest offset, so that all have one length.
        let of_shard = |shard: &Shard| (shard.tokens - t).div_ceil(t).saturating_sub(1).max(1);
        let sequences: u64 = self.shards.iter().map(of_shard).sum();
        let (epoch, index) = (number / sequences, number % sequences);
        let mut left = permuted(index, sequences, bits(seed, Stream::BATCHES, 2 * epoch));
        for (i, shard) in self.shards.iter().enumerate() {
            let count = of_shard(shard);
            if left < count {
                // Less than the tokens left over in the shard, and less than T, so that offset + count · T tokens
                // exist.
                let spare = shard.tokens - 1 - count * t;
                let offset = bits(seed, Stream::BATCHES, 2 * epoch + 1) % spare.min(t - 1).saturating_add(1);
                return (i, offset + left * t);
            }
            left -= count;
        }
        unreachable!("a permuted index is below the number of sequences")
    }

    /// Batch `number` of `count` that are spread evenly over all tokens; the same for every validation.
    pub(crate) fn spread(&self, number: u64, count: u64, b: usize) -> Result<Batch, TokenFileError> {
        let mut batch = Batch::default();
        let t = self.context as u64;
        let places = |shard: &Shard| shard.tokens - t;
        let all: u64 = self.shards.iter().map(places).sum();
        let sequences = (count * b as u64).max(1);
        for i in 0..b as u64 {
            let at = u128::from(all) * u128::from(number * b as u64 + i) / u128::from(sequences);
            let mut left = at as u64;
            for (index, shard) in self.shards.iter().enumerate() {
                if left < places(shard) {
                    self.sequence(index, left, &mut batch)?;
                    break;
                }
                left -= places(shard);
            }
        }
        Ok(batch)
    }

    /// The sequences of a batch, for a message.
    pub(crate) fn describe(&self, batch: &Batch) -> String {
        let place =
            |&(shard, place): &(usize, u64)| format!("{} from token {place}", self.shards[shard].path.display());
        batch.places.iter().map(place).collect::<Vec<_>>().join(", ")
    }

    /// Appends `T + 1` tokens as inputs and, shifted by one, as targets.
    fn sequence(&self, index: usize, place: u64, batch: &mut Batch) -> Result<(), TokenFileError> {
        let (shard, t) = (&self.shards[index], self.context);
        let mut bytes = vec![0; shard.width * (t + 1)];
        let read = shard.file.read_exact_at(&mut bytes, shard.start_bytes + shard.width as u64 * place);
        read.map_err(|source| TokenFileError::Io { path: shard.path.clone(), source })?;
        let ids: Vec<u32> = ids(&bytes, shard.width).collect();
        // Checked once already, but a file may have changed since.
        if let Some(at) = ids.iter().position(|&id| id as usize >= self.vocab_size) {
            return Err(shard.unknown_id(place + at as u64, ids[at], self.vocab_size));
        }
        batch.inputs.extend_from_slice(&ids[..t]);
        batch.targets.extend_from_slice(&ids[1..]);
        batch.places.push((index, place));
        Ok(())
    }
}

impl Shard {
    fn open(path: &Path, context: usize, vocab_size: usize) -> Result<Shard, TokenFileError> {
        let io = |source| TokenFileError::Io { path: path.to_path_buf(), source };
        let malformed = |what: String| Err(TokenFileError::Malformed { path: path.to_path_buf(), what });
        let file = File::open(path).map_err(io)?;
        let len_bytes = file.metadata().map_err(io)?.len();
        let header = Header::read(&file, len_bytes, vocab_size).map_err(io)?;
        let Header { start_bytes, width, tokens } = match header {
            Ok(header) => header,
            Err(what) => return malformed(what),
        };
        if tokens <= context as u64 {
            return Err(TokenFileError::TooShort { path: path.to_path_buf(), tokens, context });
        }
        Ok(Shard { path: path.to_path_buf(), file, start_bytes, width, tokens })
    }

    /// Reads all of it: its XXH3-64, and whether every id is below `vocab_size`.
    fn scan(&self, vocab_size: usize) -> Result<u64, TokenFileError> {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        let mut buffer = vec![0; 1 << 20];
        let (mut done, mut every_second_is_0) = (0, true);
        while done < self.tokens {
            let width = self.width as u64;
            let n = (width * (self.tokens - done)).min(buffer.len() as u64) as usize;
            let bytes = &mut buffer[..n];
            let read = self.file.read_exact_at(bytes, self.start_bytes + width * done);
            read.map_err(|source| TokenFileError::Io { path: self.path.clone(), source })?;
            every_second_is_0 &=
                bytes.chunks_exact(2 * self.width).all(|two| two[self.width..].iter().all(|&byte| byte == 0));
            let ids = || ids(bytes, self.width);
            if ids().max().is_some_and(|id| id as usize >= vocab_size) {
                let (at, id) = ids().enumerate().find(|&(_, id)| id as usize >= vocab_size).expect("just seen");
                return Err(self.unknown_id(done + at as u64, id, vocab_size));
            }
            hasher.update(bytes);
            done += n as u64 / width;
        }
        if every_second_is_0 && self.tokens >= 64 {
            let what = format!("every second id is 0: its ids are probably {} bits wide", 16 * self.width);
            return Err(TokenFileError::Malformed { path: self.path.clone(), what });
        }
        Ok(hasher.digest())
    }

    fn unknown_id(&self, index: u64, id: u32, vocab_size: usize) -> TokenFileError {
        TokenFileError::UnknownId { path: self.path.clone(), index, id, vocab_size }
    }
}

/// The ids in bytes, each of 2 or 4.
fn ids(bytes: &[u8], width: usize) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(width).map(|id| match *id {
        [a, b] => u32::from(u16::from_le_bytes([a, b])),
        _ => u32::from_le_bytes([id[0], id[1], id[2], id[3]]),
    })
}

/// The position of `index` in a permutation of `0..len` that `key` chooses: a Feistel network over the next power of
/// four, iterated until the result is in the range, which takes at most four steps on average.
fn permuted(index: u64, len: u64, key: u64) -> u64 {
    let half_bits = (64 - (len - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half_bits) - 1;
    let mut at = index;
    loop {
        let (mut left, mut right) = (at >> half_bits, at & mask);
        for round in 0..4 {
            let mixed = bits(key, Stream::BATCHES, right << 2 | round) & mask;
            (left, right) = (right, left ^ mixed);
        }
        at = left << half_bits | right;
        if at < len {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn counting(first: u16, count: u16) -> Vec<u8> {
        (first..first + count).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn batches_are_functions_of_seed_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [file(folder.path(), "a", &counting(0, 100)), file(folder.path(), "b", &counting(200, 50))];
        let tokens = TokenFiles::open(&paths, 8, 300).unwrap();
        let batch = tokens.batch(1, 2, 3).unwrap();
        assert_eq!(batch, tokens.batch(1, 2, 3).unwrap());
        assert_ne!(batch, tokens.batch(1, 3, 3).unwrap());
        assert_ne!(batch, tokens.batch(2, 2, 3).unwrap());
        assert!(batch.inputs.iter().zip(&batch.targets).all(|(input, target)| input + 1 == *target));
    }

    #[test]
    fn an_epoch_sees_each_token_once_and_another_one_in_another_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [file(folder.path(), "a", &counting(0, 101)), file(folder.path(), "b", &counting(200, 51))];
        let tokens = TokenFiles::open(&paths, 8, 300).unwrap();
        let inputs = |epoch: u64| -> Vec<u32> {
            (0..16).flat_map(|i| tokens.batch(5, 16 * epoch + i, 1).unwrap().inputs).collect()
        };
        for epoch in 0..4 {
            let mut seen = inputs(epoch);
            assert_ne!(seen, inputs(epoch + 1));
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 16 * 8, "no token twice");
        }
    }

    #[test]
    fn ids_that_are_wider_than_the_file_says_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let wide: Vec<u8> = (1..200u32).flat_map(u32::to_le_bytes).collect();
        let wider: Vec<u8> = (99_000..99_200u64).flat_map(u64::to_le_bytes).collect();
        for (bytes, vocab_size, bits) in [(wide, 300, 32), (wider, 100_000, 64)] {
            let path = file(folder.path(), "ids.bin", &bytes);
            let error = TokenFiles::open(&[path], 8, vocab_size).unwrap_err().to_string();
            assert!(error.contains(&format!("probably {bits} bits wide")), "{error}");
        }
    }

    #[test]
    fn ids_of_32_bits() {
        let folder = tempfile::tempdir().unwrap();
        let wide: Vec<u8> = (99_000..99_050u32).flat_map(u32::to_le_bytes).collect();
        let mut llmc = vec![0; 1024];
        llmc[..4].copy_from_slice(&20_240_801i32.to_le_bytes());
        llmc[4] = 7;
        llmc[8..12].copy_from_slice(&50i32.to_le_bytes());
        llmc.extend_from_slice(&wide);
        for (name, bytes) in [("nanogpt", wide), ("llmc", llmc)] {
            let tokens = TokenFiles::open(&[file(folder.path(), name, &bytes)], 8, 100_000).unwrap();
            assert_eq!((tokens.tokens(), tokens.spread(0, 1, 1).unwrap().inputs), (50, (99_000..99_008).collect()));
        }
    }

    #[test]
    fn a_file_of_exactly_one_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFiles::open(&[file(folder.path(), "a", &counting(0, 9))], 8, 300).unwrap();
        for number in 0..5 {
            assert_eq!(tokens.batch(1, number, 1).unwrap().inputs, (0..8).collect::<Vec<_>>());
        }
        assert_eq!(tokens.spread(0, 1, 1).unwrap().targets, (1..9).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn an_order_is_one(len in 1u64..300, key: u64) {
            let mut order: Vec<u64> = (0..len).map(|i| permuted(i, len, key)).collect();
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..len));
        }

        #[test]
        fn every_place_is_inside(tokens in 9u16..200, seed: u64, number in 0u64..500) {
            let folder = tempfile::tempdir().unwrap();
            let tokens = TokenFiles::open(&[file(folder.path(), "a", &counting(0, tokens))], 8, 300).unwrap();
            prop_assert!(tokens.batch(seed, number, 2).is_ok());
        }
    }

    #[test]
    fn faults() {
        let folder = tempfile::tempdir().unwrap();
        let check = |bytes: &[u8], context: usize, vocab_size: usize, expected: &str| {
            let path = file(folder.path(), "x", bytes);
            let error = TokenFiles::open(&[path], context, vocab_size).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[0; 7], 2, 10, "no multiple of 2 bytes");
        check(&[0; 10], 2, 100_000, "no multiple of 4 bytes");
        check(&[0; 6], 3, 10, "a context of 3 needs 4 tokens, and it has 3");
        check(&[0, 0, 9, 0, 1, 0], 2, 5, "token 1 has the id 9, but the vocabulary has 5");
        let wide: Vec<u8> = (1..200u32).flat_map(u32::to_le_bytes).collect();
        check(&wide, 8, 300, "32 bits wide");
        // Narrow ids, of a model with a large vocabulary.
        check(&counting(1, 200), 8, 100_000, "token 0 has the id 131073");
        assert!(matches!(TokenFiles::open(&[], 8, 300), Err(TokenFileError::NoFiles)));
    }
}
