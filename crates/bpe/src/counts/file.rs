//! Word counts in a file.

use std::io::{self, Read, Write};

use super::WordCounts;
use crate::Splitter;

/// First bytes of a file of word counts.
const MAGIC: &[u8; 8] = b"BPEWORDS";

/// Writes words and their counts: `BPEWORDS`, then for each its length as u32, its bytes, its count as u64.
///
/// # Errors
/// When the sink fails.
pub fn write_words<'w>(words: impl Iterator<Item = (&'w [u8], u64)>, to: &mut impl Write) -> io::Result<()> {
    to.write_all(MAGIC)?;
    write_records(words, to)
}

fn write_records<'w>(words: impl Iterator<Item = (&'w [u8], u64)>, to: &mut impl Write) -> io::Result<()> {
    for (word, count) in words {
        to.write_all(&(word.len() as u32).to_le_bytes())?;
        to.write_all(word)?;
        to.write_all(&count.to_le_bytes())?;
    }
    Ok(())
}

/// As [`write_words`]; behind the first bytes is how the words were split: 0 as u32, the length of the text that says it
/// as u32, and the text.
///
/// # Errors
/// When the sink fails.
pub fn write_words_of<'w>(
    splitter: &Splitter,
    words: impl Iterator<Item = (&'w [u8], u64)>,
    to: &mut impl Write,
) -> io::Result<()> {
    let name = splitter.name();
    let mut head = MAGIC.to_vec();
    head.extend(0u32.to_le_bytes());
    head.extend((name.len() as u32).to_le_bytes());
    head.extend(name.as_bytes());
    to.write_all(&head)?;
    write_records(words, to)
}

/// Reads what [`write_words_of`] wrote for the same way of splitting.
///
/// # Errors
/// As [`read_words`]; and for words that were split in another way, or do not say how.
pub fn read_words_of(splitter: &Splitter, from: impl Read) -> io::Result<WordCounts> {
    let (mut counts, mut records) = (WordCounts::new(), WordRecords::new(from));
    while let Some((word, count)) = records.read()? {
        counts.add(&word, count);
    }
    let expected = splitter.name();
    let what = match records.splitters.iter().find(|name| **name != expected) {
        Some(other) => format!("its words were split by {}, and not by {}", shortened(other), shortened(&expected)),
        None if records.splitters.len() < records.files => {
            "it does not say how its words were split, as files of earlier versions do not: count them again".to_owned()
        }
        None => return Ok(counts),
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// The beginning of a name that may be a whole normalizer.
fn shortened(name: &str) -> String {
    const MAX_CHARS: usize = 100;
    let begins: String = name.chars().take(MAX_CHARS).collect();
    if begins.len() < name.len() { format!("{begins}…") } else { begins }
}

/// Reads what [`write_words`] wrote. Words may come in any order, and more than once.
///
/// # Errors
/// When the file is not one of word counts, or breaks off.
pub fn read_words(from: impl Read) -> io::Result<WordCounts> {
    let mut counts = WordCounts::new();
    for word in WordRecords::new(from) {
        let (word, count) = word?;
        counts.add(&word, count);
    }
    Ok(counts)
}

/// The words of a file one by one, after its magic number.
pub(super) struct WordRecords<R> {
    from: R,
    /// Files that were put together so far, and how their words were split, as far as they say it.
    files: usize,
    splitters: Vec<String>,
}

impl<R> WordRecords<R> {
    pub(super) fn new(from: R) -> WordRecords<R> {
        WordRecords { from, files: 0, splitters: Vec::new() }
    }
}

impl<R: Read> WordRecords<R> {
    fn read(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut four = [0; 4];
        let mut have = 0;
        while have < 4 {
            match self.from.read(&mut four[have..])? {
                0 if have == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => have += n,
            }
        }
        if four == MAGIC[..4] {
            // Only the start of the file is allocated: no word is a gigabyte long.
            self.from.read_exact(&mut four)?;
            self.files += 1;
            return if four == MAGIC[4..] { self.read() } else { Err(invalid("not a file of word counts")) };
        }
        if four == [0; 4] && self.splitters.len() < self.files {
            self.from.read_exact(&mut four)?;
            let mut name = String::new();
            self.from.by_ref().take(u64::from(u32::from_le_bytes(four))).read_to_string(&mut name)?;
            self.splitters.push(name);
            return self.read();
        }
        let len = u32::from_le_bytes(four);
        let mut word = Vec::new();
        self.from.by_ref().take(u64::from(len)).read_to_end(&mut word)?;
        if word.len() < len as usize || word.is_empty() {
            return Err(invalid("the file of word counts breaks off, or is none"));
        }
        let mut count = [0; 8];
        self.from.read_exact(&mut count)?;
        Ok(Some((word, u64::from_le_bytes(count))))
    }
}

impl<R: Read> Iterator for WordRecords<R> {
    type Item = io::Result<(Vec<u8>, u64)>;

    fn next(&mut self) -> Option<io::Result<(Vec<u8>, u64)>> {
        self.read().transpose()
    }
}
