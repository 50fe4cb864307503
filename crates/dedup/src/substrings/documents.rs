//! The corpus on disk: the text of all documents, and their lengths.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::ops::Range;
use std::path::Path;

use super::SubstringSettings;

/// Bytes in which the windows of a segment begin: a whole number of units, and few enough that a hash of each is small
/// beside everything else. In tests, a document of some hundred bytes has several segments.
const SEGMENT_BYTES: usize = if cfg!(test) { 1 << 6 } else { 1 << 14 };

/// Bytes of a batch, about: some milliseconds of work.
const BATCH_BYTES: usize = SEGMENT_BYTES << 4;

/// Documents, one behind the other, in two files: their bytes, and each one's length as a `u64`.
pub(super) struct Documents {
    text: BufWriter<File>,
    lengths: BufWriter<File>,
    len: u64,
    text_bytes: u64,
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

    /// All windows of the corpus, from the beginning.
    pub(super) fn segments(&mut self, settings: &SubstringSettings) -> io::Result<Segments> {
        Ok(Segments {
            text: reader(&mut self.text)?,
            lengths: reader(&mut self.lengths)?,
            documents: 0..self.len,
            unit_bytes: settings.unit.len_bytes(),
            window_bytes: settings.window_bytes(),
            left: 0,
            next: Vec::new(),
            place: SegmentPlace { document: 0, start: 0, len: 0 },
        })
    }
}

/// Neighbouring windows of one document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    /// The document's place in the corpus.
    pub document: u64,
    /// Where the first window begins in the document.
    pub start: u64,
    /// Text from there to the end of the last window; it holds at least one.
    pub bytes: &'a [u8],
}

/// Segments whose texts lie one behind the other.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    places: Vec<SegmentPlace>,
}

#[derive(Debug, Clone, Copy)]
struct SegmentPlace {
    document: u64,
    start: u64,
    len: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let mut rest = self.bytes.as_slice();
        self.places.iter().map(move |&SegmentPlace { document, start, len }| {
            let bytes = rest.split_off(..len).expect("a batch holds the text of its segments");
            Segment { document, start, bytes }
        })
    }
}

/// Reads the windows of a corpus in order; those of a long document come in several segments.
pub(super) struct Segments {
    text: BufReader<File>,
    lengths: BufReader<File>,
    documents: Range<u64>,
    unit_bytes: usize,
    window_bytes: usize,
    /// Bytes of the document that have not been read.
    left: u64,
    /// Text that has been read and is in the next segment too.
    next: Vec<u8>,
    /// Of the next segment.
    place: SegmentPlace,
}

impl Segments {
    /// Replaces a batch by the next one, which is empty at the end of the corpus.
    pub(super) fn read(&mut self, batch: &mut Batch) -> io::Result<()> {
        batch.bytes.clear();
        batch.places.clear();
        while batch.bytes.len() < BATCH_BYTES {
            if self.left > 0 {
                self.read_segment(batch)?;
            } else if let Some(document) = self.documents.next() {
                self.left = read_u64(&mut self.lengths)?;
                self.next.clear();
                self.place = SegmentPlace { document, start: 0, len: 0 };
            } else {
                break;
            }
        }
        Ok(())
    }

    fn read_segment(&mut self, batch: &mut Batch) -> io::Result<()> {
        // The windows that begin in a segment end in the next one.
        let wanted = SEGMENT_BYTES + self.window_bytes - self.unit_bytes - self.next.len();
        let taken = usize::try_from(self.left).map_or(wanted, |left| left.min(wanted));
        let from = batch.bytes.len();
        batch.bytes.extend_from_slice(&self.next);
        batch.bytes.resize(from + self.next.len() + taken, 0);
        self.text.read_exact(&mut batch.bytes[from + self.next.len()..])?;
        self.left -= taken as u64;
        let len = batch.bytes.len() - from;
        if len < self.window_bytes {
            batch.bytes.truncate(from);
            return Ok(());
        }
        let advance = len - self.window_bytes + self.unit_bytes;
        self.next.clear();
        self.next.extend_from_slice(&batch.bytes[from + advance..]);
        batch.places.push(SegmentPlace { len, ..self.place });
        self.place.start += advance as u64;
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
