//! Word counts in a file.

use std::io::{self, Read, Write};

use super::WordCounts;

/// First bytes of a file of word counts.
const MAGIC: &[u8; 8] = b"BPEWORDS";

/// Writes words and their counts: `BPEWORDS`, then for each its length as u32, its bytes, its count as u64.
///
/// # Errors
/// When the sink fails.
pub fn write_words<'w>(words: impl Iterator<Item = (&'w [u8], u64)>, to: &mut impl Write) -> io::Result<()> {
    to.write_all(MAGIC)?;
    for (word, count) in words {
        to.write_all(&(word.len() as u32).to_le_bytes())?;
        to.write_all(word)?;
        to.write_all(&count.to_le_bytes())?;
    }
    Ok(())
}

/// Reads what [`write_words`] wrote. Words may come in any order, and more than once.
///
/// # Errors
/// When the file is not one of word counts, or breaks off.
pub fn read_words(from: impl Read) -> io::Result<WordCounts> {
    let mut counts = WordCounts::new();
    for word in WordRecords(from) {
        let (word, count) = word?;
        counts.add(&word, count);
    }
    Ok(counts)
}

/// The words of a file one by one, after its magic number.
pub(super) struct WordRecords<R>(R);

impl<R> WordRecords<R> {
    pub(super) fn new(from: R) -> WordRecords<R> {
        WordRecords(from)
    }
}

impl<R: Read> WordRecords<R> {
    fn read(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut four = [0; 4];
        let mut have = 0;
        while have < 4 {
            match self.0.read(&mut four[have..])? {
                0 if have == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => have += n,
            }
        }
        if four == MAGIC[..4] {
            // Only the start of the file is allocated: no word is a gigabyte long.
            self.0.read_exact(&mut four)?;
            return if four == MAGIC[4..] { self.read() } else { Err(invalid("not a file of word counts")) };
        }
        let len = u32::from_le_bytes(four);
        let mut word = Vec::new();
        self.0.by_ref().take(u64::from(len)).read_to_end(&mut word)?;
        if word.len() < len as usize || word.is_empty() {
            return Err(invalid("the file of word counts breaks off, or is none"));
        }
        let mut count = [0; 8];
        self.0.read_exact(&mut count)?;
        Ok(Some((word, u64::from_le_bytes(count))))
    }
}

impl<R: Read> Iterator for WordRecords<R> {
    type Item = io::Result<(Vec<u8>, u64)>;

    fn next(&mut self) -> Option<io::Result<(Vec<u8>, u64)>> {
        self.read().transpose()
    }
}
