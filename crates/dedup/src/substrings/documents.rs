//! The corpus on disk: the text of all documents, and their lengths.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::Path,
};

use super::Settings;

/// Bytes of the windows' beginnings in a segment: a whole number of units, and few enough that a hash of each is small
/// beside everything else.
const SEGMENT_BYTES: usize = 1 << 14;

/// Documents, one behind the other, in two files: their bytes, and each one's length as a `u64`.
pub(super) struct Documents {
    text: BufWriter<File>,
    lengths: BufWriter<File>,
    len: u64,
    text_bytes: u64,
}

/// Neighbouring windows of one document.
pub(super) struct Segment<'a> {
    /// The document's place in the corpus.
    pub document: u64,
    /// Where the first window begins in the document.
    pub start: u64,
    /// Text from there to the end of the last window; it holds at least one.
    pub bytes: &'a [u8],
}

impl Documents {
    pub(super) fn new(folder: &Path) -> io::Result<Documents> {
        Ok(Documents { text: scratch_file(folder)?, lengths: scratch_file(folder)?, len: 0, text_bytes: 0 })
    }

    pub(super) fn push(&mut self, document: &[u8]) -> io::Result<()> {
        self.text.write_all(document)?;
        self.lengths.write_all(&(document.len() as u64).to_le_bytes())?;
        self.len += 1;
        self.text_bytes += document.len() as u64;
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Calls `take` with each window of the corpus once; those of a long document come in several segments.
    pub(super) fn for_each_segment(
        &mut self,
        settings: &Settings,
        mut take: impl FnMut(Segment<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let unit_bytes = settings.unit.len_bytes();
        let window_bytes = settings.window_bytes();
        let mut text = reader(&mut self.text)?;
        let mut lengths = reader(&mut self.lengths)?;
        let mut bytes = Vec::new();
        for document in 0..self.len {
            let mut left = read_u64(&mut lengths)?;
            let mut start = 0;
            bytes.clear();
            while left > 0 {
                let held = bytes.len();
                // The windows that begin in a segment end in the next one.
                let wanted = SEGMENT_BYTES + window_bytes - unit_bytes - held;
                let taken = usize::try_from(left).map_or(wanted, |left| left.min(wanted));
                bytes.resize(held + taken, 0);
                text.read_exact(&mut bytes[held..])?;
                left -= taken as u64;
                if bytes.len() >= window_bytes {
                    take(Segment { document, start, bytes: &bytes })?;
                    let next = bytes.len() - window_bytes + unit_bytes;
                    start += next as u64;
                    bytes.drain(..next);
                }
            }
        }
        Ok(())
    }
}

/// A file without a name.
pub(super) fn scratch_file(folder: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(1 << 16, tempfile::tempfile_in(folder)?))
}

/// Reads what was written to a file, from the beginning.
pub(super) fn reader(file: &mut BufWriter<File>) -> io::Result<BufReader<File>> {
    file.flush()?;
    let mut file = file.get_ref().try_clone()?;
    file.rewind()?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

pub(super) fn read_u64(reader: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
