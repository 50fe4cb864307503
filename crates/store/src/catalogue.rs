//! A header and numbered entries in one object; each entry can be read without the others.
//!
//! Plans and seals are catalogues: to start one task of ninety thousand, one entry is read. Layout (little-endian):
//!
//! ```text
//! "WTCATA01"
//! header    JSON
//! entries   JSON, each with a line end
//! ends      u64 for the header and for each entry: where it ends
//! footer    entries u64, XXH3 of all before the footer u64, "WTCATEND"
//! ```

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{Blob, Condition, Error, Result, Store};

const HEAD: &[u8; 8] = b"WTCATA01";
const TAIL: &[u8; 8] = b"WTCATEND";
const FOOTER_BYTES: u64 = 24;

/// A catalogue that is open for reading.
pub struct Catalogue<H, E> {
    shown: String,
    blob: Box<dyn Blob>,
    header: H,
    len: u64,
    ends_offset: u64,
    checksum: u64,
    entry: PhantomData<fn() -> E>,
}

/// Writes a catalogue; returns its checksum, the same as [`Catalogue::checksum`].
pub fn write<H: Serialize, E: Serialize>(
    store: &dyn Store,
    key: &str,
    header: &H,
    entries: impl IntoIterator<Item = E>,
) -> Result<u64> {
    let shown = store.shown(key);
    let json = |error: serde_json::Error| Error::Row { object: shown.clone(), source: Box::new(error) };
    let mut bytes = HEAD.to_vec();
    serde_json::to_writer(&mut bytes, header).map_err(json)?;
    bytes.push(b'\n');
    let mut ends = vec![bytes.len() as u64];
    for entry in entries {
        serde_json::to_writer(&mut bytes, &entry).map_err(json)?;
        bytes.push(b'\n');
        ends.push(bytes.len() as u64);
    }
    ends.iter().for_each(|end| bytes.extend_from_slice(&end.to_le_bytes()));
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&(ends.len() as u64 - 1).to_le_bytes());
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(TAIL);
    store.put(key, &bytes, Condition::Always)?;
    Ok(checksum)
}

impl<H: DeserializeOwned, E: DeserializeOwned> Catalogue<H, E> {
    /// Opens a catalogue; `None` when there is none. Reads the header and the footer alone.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is cut off, or its header is not one of this type.
    pub fn open(store: &dyn Store, key: &str) -> Result<Option<Catalogue<H, E>>> {
        let blob = match store.open(key) {
            Ok(blob) => blob,
            Err(Error::Io(error)) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Catalogue::read(blob, store.shown(key)).map(Some)
    }

    fn read(blob: Box<dyn Blob>, shown: String) -> Result<Catalogue<H, E>> {
        let damaged = |offset: u64, what: &str| Error::Damaged { object: shown.clone(), offset, what: what.into() };
        let len_bytes = blob.len_bytes();
        let body_bytes = len_bytes.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged(0, "shorter than its footer"))?;
        let footer = read(&*blob, &shown, body_bytes, FOOTER_BYTES)?;
        let (len, checksum) = (read_u64(&footer, 0), read_u64(&footer, 8));
        if &footer[16..] != TAIL {
            return Err(damaged(body_bytes, "it is cut off: its footer is missing"));
        }
        let ends_bytes = len.checked_add(1).and_then(|ends| ends.checked_mul(8));
        let ends_offset = ends_bytes.and_then(|bytes| body_bytes.checked_sub(bytes));
        let ends_offset = ends_offset.ok_or_else(|| damaged(body_bytes, "its footer is not one"))?;
        let header_end = read_u64(&read(&*blob, &shown, ends_offset, 8)?, 0);
        if header_end > ends_offset || header_end < HEAD.len() as u64 {
            return Err(damaged(ends_offset, "its header lies outside it"));
        }
        let head = read(&*blob, &shown, 0, header_end)?;
        let header = head.strip_prefix(HEAD).and_then(|json| serde_json::from_slice(json).ok());
        let header = header.ok_or_else(|| damaged(0, "its header is not one"))?;
        Ok(Catalogue { shown, blob, header, len, ends_offset, checksum, entry: PhantomData })
    }

    /// The header.
    pub fn header(&self) -> &H {
        &self.header
    }

    /// Number of entries.
    #[expect(clippy::len_without_is_empty, reason = "a catalogue is no collection")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// XXH3 of everything in it.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    /// One entry, by its number from 0.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn entry(&self, number: u64) -> Result<E> {
        assert!(number < self.len, "entry {number} of {}", self.len);
        let ends = read(&*self.blob, &self.shown, self.ends_offset + 8 * number, 16)?;
        self.parse(read_u64(&ends, 0), read_u64(&ends, 8))
    }

    fn parse(&self, start: u64, end: u64) -> Result<E> {
        parse(&self.read_entry(start, end)?).ok_or_else(|| self.damaged(start, "an entry is not one"))
    }

    fn read_entry(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        if end < start || end > self.ends_offset {
            return Err(self.damaged(start, "an entry lies outside it"));
        }
        read(&*self.blob, &self.shown, start, end - start)
    }

    /// All entries in order. After the last one the checksum of everything read is compared; if it differs, the last
    /// item is an error. Memory: eight bytes per entry.
    pub fn entries(&self) -> Result<impl Iterator<Item = Result<E>> + '_> {
        let ends = read(&*self.blob, &self.shown, self.ends_offset, 8 * (self.len + 1))?;
        let mut hasher = Xxh3::new();
        hasher.update(&self.read_entry(0, read_u64(&ends, 0))?);
        Ok((0..=self.len as usize).filter_map(move |n| {
            if n as u64 == self.len {
                hasher.update(&ends);
                let is_whole = hasher.digest() == self.checksum;
                return (!is_whole).then(|| Err(self.damaged(0, "its checksum differs")));
            }
            let start = read_u64(&ends, 8 * n);
            let entry = self.read_entry(start, read_u64(&ends, 8 * n + 8));
            Some(entry.and_then(|bytes| {
                hasher.update(&bytes);
                parse(&bytes).ok_or_else(|| self.damaged(start, "an entry is not one"))
            }))
        }))
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::Damaged { object: self.shown.clone(), offset, what: what.into() }
    }
}

fn parse<E: DeserializeOwned>(json: &[u8]) -> Option<E> {
    serde_json::from_slice(json).ok()
}

fn read(blob: &dyn Blob, shown: &str, offset: u64, len_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len_bytes as usize];
    blob.read_at(offset, &mut bytes).map_err(|error| Error::io("read", shown, error))?;
    Ok(bytes)
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalStore;

    #[test]
    fn entries_alone_and_together() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path());
        for n in [0u32, 1, 1000] {
            let entries: Vec<(u32, String)> = (0..n).map(|i| (i, "x".repeat(i as usize % 7))).collect();
            let checksum = write(&store, "c", &("header", n), &entries).unwrap();
            let open = Catalogue::<(String, u32), (u32, String)>::open(&store, "c").unwrap().unwrap();
            assert_eq!((open.header().1, open.len(), open.checksum()), (n, u64::from(n), checksum));
            assert_eq!(open.entries().unwrap().map(|e| e.unwrap()).collect::<Vec<_>>(), entries);
            if n > 0 {
                assert_eq!(open.entry(u64::from(n) - 1).unwrap(), entries[n as usize - 1]);
            }
        }
        assert!(Catalogue::<(), ()>::open(&store, "none").unwrap().is_none());
    }

    #[test]
    fn a_cut_or_changed_catalogue_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path());
        write(&store, "c", &"header", (0..50).map(|i| format!("entry {i}"))).unwrap();
        let whole = std::fs::read(folder.path().join("c")).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(folder.path().join("c"), &whole[..cut]).unwrap();
            let open = Catalogue::<String, String>::open(&store, "c");
            assert!(matches!(open, Err(Error::Damaged { .. })), "cut at {cut}");
        }
        // A changed byte is noticed at the latest when all was read, also where what it makes can be read.
        for (at, by) in (0..whole.len()).flat_map(|at| [(at, 0xff), (at, 1)]) {
            let mut changed = whole.clone();
            changed[at] ^= by;
            std::fs::write(folder.path().join("c"), &changed).unwrap();
            let open = Catalogue::<String, String>::open(&store, "c");
            let read = open.and_then(|open| open.unwrap().entries()?.collect::<Result<Vec<String>>>());
            assert!(matches!(read, Err(Error::Damaged { .. })), "changed at {at}");
        }
    }
}
