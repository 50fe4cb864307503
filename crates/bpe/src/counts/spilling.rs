//! Counts in bounded memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek};

use super::WordCounts;
use super::file::{WordRecords, write_words};
use crate::Splitter;

/// Counts in bounded memory: beyond the bound, counts are written to disk as sorted runs, which are merged at the end.
/// The result is the same as in memory.
pub struct SpillingCounts {
    held: WordCounts,
    memory_bytes: usize,
    runs: Vec<File>,
    splitter: Splitter,
}

impl SpillingCounts {
    /// No words; about `memory_bytes` are held at most before they are written to an unnamed file in the system's
    /// folder for temporary files.
    pub fn new(memory_bytes: usize) -> SpillingCounts {
        SpillingCounts { held: WordCounts::new(), memory_bytes, runs: Vec::new(), splitter: Splitter::default() }
    }

    /// The same for texts that are split in another way.
    pub fn with_splitter(self, splitter: Splitter) -> SpillingCounts {
        SpillingCounts { splitter, ..self }
    }

    /// Counts the pretokens of a text.
    ///
    /// # Errors
    /// When a run cannot be written.
    pub fn add_text(&mut self, text: &str) -> io::Result<()> {
        self.held.add_text_by(&self.splitter, text);
        if self.held.size_bytes() > self.memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 18, tempfile::tempfile()?);
        write_words(std::mem::take(&mut self.held).into_sorted().iter().map(|(w, c)| (w.as_slice(), *c)), &mut file)?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// The distinct words of all sets with their counts, in the order of their bytes.
    ///
    /// # Errors
    /// When a run cannot be read.
    pub fn into_sorted(sets: Vec<SpillingCounts>) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let mut runs: Vec<SortedRun> = Vec::new();
        let mut held = WordCounts::new();
        for set in sets {
            held.merge(set.held);
            runs.extend(
                set.runs
                    .into_iter()
                    .map(|file| Box::new(WordRecords::new(BufReader::with_capacity(1 << 18, file))) as _),
            );
        }
        if runs.is_empty() {
            return Ok(held.into_sorted());
        }
        runs.push(Box::new(held.into_sorted().into_iter().map(Ok)));
        let mut heads = std::collections::BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(word) = run.next() {
                heads.push(std::cmp::Reverse((word?, number)));
            }
        }
        let mut words: Vec<(Vec<u8>, u64)> = Vec::new();
        while let Some(std::cmp::Reverse(((word, count), number))) = heads.pop() {
            match words.last_mut() {
                Some((last, sum)) if *last == word => *sum += count,
                _ => words.push((word, count)),
            }
            if let Some(next) = runs[number].next() {
                heads.push(std::cmp::Reverse((next?, number)));
            }
        }
        Ok(words)
    }
}

/// Words in the order of their bytes.
type SortedRun = Box<dyn Iterator<Item = io::Result<(Vec<u8>, u64)>>>;
