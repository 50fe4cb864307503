//! Tokens out of the files that `bpe encode` and `webtext build` write.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::random::{Stream, bits};

/// First number of llm.c's header.
const LLMC_MAGIC: [u8; 4] = 20_240_520i32.to_le_bytes();
const LLMC_HEADER_BYTES: u64 = 1024;

/// A file of tokens could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system refused.
    #[error("cannot read tokens from {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file is no array of 16-bit ids.
    #[error("{} has an odd number of bytes: it is cut off, or its ids are not 16 bits wide", .0.display())]
    OddLength(PathBuf),
    /// Too few tokens for one sequence and its targets.
    #[error("{} holds {tokens} tokens; a context of {context} needs at least {}", path.display(), context + 1)]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Tokens in it.
        tokens: u64,
        /// Length of a sequence.
        context: usize,
    },
    /// An id that the model has no embedding for.
    #[error("{}: token {place} is id {id}, but the vocabulary has {vocab_size}", path.display())]
    UnknownId {
        /// The file.
        path: PathBuf,
        /// Number of the token, from 0.
        place: u64,
        /// The id.
        id: u32,
        /// Size of the model's vocabulary.
        vocab_size: usize,
    },
}

/// A file of 16-bit ids, read piece by piece; nanoGPT's form or llm.c's, told by its first bytes.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    file: File,
    start_bytes: u64,
    tokens: u64,
}

impl TokenFile {
    /// Opens a file that holds at least one sequence of `context` tokens and the token after it.
    pub fn open(path: &Path, context: usize) -> Result<TokenFile, DataError> {
        let io = |source| DataError::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let len_bytes = file.metadata().map_err(io)?.len();
        let mut magic = [0; 4];
        let is_llmc = len_bytes >= LLMC_HEADER_BYTES && {
            file.read_exact_at(&mut magic, 0).map_err(io)?;
            magic == LLMC_MAGIC
        };
        let start_bytes = if is_llmc { LLMC_HEADER_BYTES } else { 0 };
        if !len_bytes.is_multiple_of(2) {
            return Err(DataError::OddLength(path.to_path_buf()));
        }
        let tokens = (len_bytes - start_bytes) / 2;
        if tokens <= context as u64 {
            return Err(DataError::TooShort { path: path.to_path_buf(), tokens, context });
        }
        Ok(TokenFile { path: path.to_path_buf(), file, start_bytes, tokens })
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// XXH3-64 of the whole file; a training is bound to its data by it.
    pub(crate) fn checksum(&self) -> Result<u64, DataError> {
        let io = |source| DataError::Io { path: self.path.clone(), source };
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let n = self.file.read_at(&mut buffer, at).map_err(io)?;
            if n == 0 {
                return Ok(hasher.digest());
            }
            hasher.update(&buffer[..n]);
            at += n as u64;
        }
    }

    /// `t + 1` tokens from `place` on, appended as inputs and as targets one further.
    fn sequence(&self, place: u64, t: usize, vocab_size: usize, batch: &mut Batch) -> Result<(), DataError> {
        let mut bytes = vec![0; 2 * (t + 1)];
        let read = self.file.read_exact_at(&mut bytes, self.start_bytes + 2 * place);
        read.map_err(|source| DataError::Io { path: self.path.clone(), source })?;
        let ids: Vec<u32> = bytes.chunks_exact(2).map(|two| u32::from(u16::from_le_bytes([two[0], two[1]]))).collect();
        if let Some(at) = ids.iter().position(|&id| id as usize >= vocab_size) {
            let path = self.path.clone();
            return Err(DataError::UnknownId { path, place: place + at as u64, id: ids[at], vocab_size });
        }
        batch.inputs.extend_from_slice(&ids[..t]);
        batch.targets.extend_from_slice(&ids[1..]);
        Ok(())
    }

    /// The batch of a training step: sequences at places that depend on (seed, step) alone.
    pub(crate) fn batch(
        &self,
        seed: u64,
        step: u64,
        b: usize,
        t: usize,
        vocab_size: usize,
    ) -> Result<Batch, DataError> {
        let mut batch = Batch::default();
        for i in 0..b as u64 {
            let random = bits(seed, Stream::Batches, step * b as u64 + i);
            let place = ((u128::from(random) * u128::from(self.tokens - t as u64)) >> 64) as u64;
            self.sequence(place, t, vocab_size, &mut batch)?;
        }
        Ok(batch)
    }

    /// Batch `number` of `count` that are spread evenly over the file; the same for every validation.
    pub(crate) fn spread(
        &self,
        number: u64,
        count: u64,
        b: usize,
        t: usize,
        vocab_size: usize,
    ) -> Result<Batch, DataError> {
        let mut batch = Batch::default();
        let sequences = count * b as u64;
        for i in 0..b as u64 {
            let place = (self.tokens - t as u64 - 1) * (number * b as u64 + i) / sequences.max(1);
            self.sequence(place, t, vocab_size, &mut batch)?;
        }
        Ok(batch)
    }
}

/// Inputs and the tokens that follow them, both (B, T).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) inputs: Vec<u32>,
    pub(crate) targets: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn batches_are_functions_of_seed_and_step() {
        let bytes: Vec<u8> = (0..100u16).flat_map(u16::to_le_bytes).collect();
        let file = file(&bytes);
        let tokens = TokenFile::open(file.path(), 8).unwrap();
        let batch = tokens.batch(1, 2, 3, 8, 100).unwrap();
        assert_eq!(batch, tokens.batch(1, 2, 3, 8, 100).unwrap());
        assert_ne!(batch, tokens.batch(1, 3, 3, 8, 100).unwrap());
        assert!(batch.inputs.iter().zip(&batch.targets).all(|(input, target)| input + 1 == *target));
    }

    #[test]
    fn faults() {
        assert!(matches!(TokenFile::open(file(&[0; 7]).path(), 2), Err(DataError::OddLength(_))));
        assert!(matches!(TokenFile::open(file(&[0; 6]).path(), 3), Err(DataError::TooShort { tokens: 3, .. })));
        let wide = file(&[0, 0, 9, 0, 1, 0]);
        let error = TokenFile::open(wide.path(), 2).unwrap().batch(0, 0, 1, 2, 5).unwrap_err();
        assert!(matches!(error, DataError::UnknownId { id: 9, place: 1, .. }), "{error}");
    }
}
