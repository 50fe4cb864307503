//! External merge sort: rows in any order in, rows in order out, in memory that is a setting.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use atomic_file::IoContext;

use crate::{Error, Result};

/// Sorts rows that may be more than fit into memory.
///
/// Rows are held until their serialised size passes `memory_bytes`, then written as one sorted run
/// to an unnamed file in `folder`. Time O(n log n); open files: one for each run.
///
/// ```
/// # fn main() -> store::Result<()> {
/// let mut sorter = store::sort::Sorter::new(std::env::temp_dir(), 1 << 20);
/// for n in [3u32, 1, 2] { sorter.push(n)?; }
/// let sorted: Vec<u32> = sorter.finish()?.collect::<Result<_, _>>()?;
/// assert_eq!(sorted, [1, 2, 3]);
/// # Ok(()) }
/// ```
pub struct Sorter<T> {
    folder: PathBuf,
    memory_bytes: usize,
    rows: Vec<T>,
    rows_bytes: usize,
    runs: Vec<File>,
}

impl<T: Ord + Serialize + DeserializeOwned> Sorter<T> {
    /// A sorter that spills to unnamed files in `folder`.
    pub fn new(folder: impl Into<PathBuf>, memory_bytes: usize) -> Sorter<T> {
        Sorter { folder: folder.into(), memory_bytes, rows: Vec::new(), rows_bytes: 0, runs: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: T) -> Result<()> {
        let row_bytes = postcard::serialize_with_flavor(&row, postcard::ser_flavors::Size::default())
            .map_err(|e| row_error(&self.folder, e))?;
        self.rows_bytes += row_bytes + std::mem::size_of::<T>();
        self.rows.push(row);
        if self.rows_bytes > self.memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        self.rows.sort_unstable();
        let file = unnamed_file(&self.folder)?;
        let mut encoder = zstd::Encoder::new(BufWriter::new(file), 1).at("write", &self.folder)?;
        let mut bytes = Vec::new();
        for row in self.rows.drain(..) {
            bytes.clear();
            bytes = postcard::to_extend(&row, bytes).map_err(|e| row_error(&self.folder, e))?;
            encoder.write_all(&(bytes.len() as u32).to_le_bytes()).at("write", &self.folder)?;
            encoder.write_all(&bytes).at("write", &self.folder)?;
        }
        let writer = encoder.finish().at("write", &self.folder)?;
        let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error).at("write", &self.folder)?;
        file.rewind().at("rewind", &self.folder)?;
        self.runs.push(file);
        self.rows_bytes = 0;
        Ok(())
    }

    /// Ends the input and returns the rows in order.
    pub fn finish(mut self) -> Result<Sorted<T>> {
        self.rows.sort_unstable();
        let mut runs: Vec<Run<T>> = Vec::with_capacity(self.runs.len() + 1);
        for file in self.runs {
            let decoder = zstd::Decoder::new(file).at("read", &self.folder)?;
            runs.push(Run::Spilled(BufReader::new(decoder), PhantomData));
        }
        runs.push(Run::Held(self.rows.into_iter()));
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (i, run) in runs.iter_mut().enumerate() {
            if let Some(row) = run.next(&self.folder)? {
                heads.push(Reverse((row, i)));
            }
        }
        Ok(Sorted { folder: self.folder, runs, heads })
    }
}

/// The rows of a [`Sorter`], smallest first.
pub struct Sorted<T> {
    folder: PathBuf,
    runs: Vec<Run<T>>,
    heads: BinaryHeap<Reverse<(T, usize)>>,
}

impl<T: Ord + DeserializeOwned> Iterator for Sorted<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let Reverse((row, i)) = self.heads.pop()?;
        match self.runs[i].next(&self.folder) {
            Err(error) => return Some(Err(error)),
            Ok(Some(next)) => self.heads.push(Reverse((next, i))),
            Ok(None) => {}
        }
        Some(Ok(row))
    }
}

enum Run<T> {
    Held(std::vec::IntoIter<T>),
    Spilled(BufReader<zstd::Decoder<'static, BufReader<File>>>, PhantomData<T>),
}

impl<T: DeserializeOwned> Run<T> {
    fn next(&mut self, folder: &Path) -> Result<Option<T>> {
        let reader = match self {
            Run::Held(rows) => return Ok(rows.next()),
            Run::Spilled(reader, _) => reader,
        };
        let mut len = [0; 4];
        match reader.read_exact(&mut len) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.at("read a sorted run in", folder)?,
        }
        let mut bytes = vec![0; u32::from_le_bytes(len) as usize];
        reader.read_exact(&mut bytes).at("read a sorted run in", folder)?;
        postcard::from_bytes(&bytes).map(Some).map_err(|e| row_error(folder, e))
    }
}

/// A file without a name: the system frees it when the process ends, however it ends.
pub fn unnamed_file(folder: &Path) -> Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(folder).at("create the folder", folder)?;
    let name =
        format!(".run{}{}-{}", atomic_file::PARTIAL_MARK, std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path).at("create", &path)?;
    std::fs::remove_file(&path).at("unlink", &path)?;
    Ok(file)
}

fn row_error(folder: &Path, source: postcard::Error) -> Error {
    Error::Row { object: folder.display().to_string(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_as_a_vector_does(rows: Vec<(u16, String)>, memory_bytes in 1usize..400) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(folder.path(), memory_bytes);
            for row in rows.iter().cloned() {
                sorter.push(row).unwrap();
            }
            let sorted: Vec<_> = sorter.finish().unwrap().map(|r| r.unwrap()).collect();
            let mut expected = rows;
            expected.sort();
            prop_assert_eq!(sorted, expected);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
