//! The text that may repeat: stretches of documents, one behind the other, with all windows whose anchor occurs twice.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use super::SubstringSettings;
use super::anchors::{AnchorCounts, Anchors, Run};
use super::documents::{Batch, Documents, Segment, read_u64, reader, scratch_file};

/// Bytes of the table for each anchor that is expected: one in 140 that occur once is let through, and with it some 150
/// bytes of text where a window has 100.
const TABLE_BYTES_PER_ANCHOR: u64 = 8;

/// Text that may repeat, on disk.
pub(super) struct Candidates {
    text: File,
    /// A bit for each byte of the text, the lowest of a `u64` first: whether a window begins there.
    starts: File,
    stretches: BufReader<File>,
    stretches_len: u64,
    len_bytes: u64,
}

/// A contiguous piece of a document in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    /// The document's place in the corpus.
    pub document: u64,
    /// Where it lies in the document.
    pub bytes: Range<u64>,
}

impl Candidates {
    pub(super) fn of(mut documents: Documents, settings: &SubstringSettings, folder: &Path) -> io::Result<Candidates> {
        let unit_bytes = settings.unit.len_bytes();
        let expected = Anchors::new(settings).expected(documents.text_bytes() / unit_bytes as u64);
        let table_bytes = expected.saturating_mul(TABLE_BYTES_PER_ANCHOR).min(settings.max_memory_bytes);
        let counts = AnchorCounts::new(table_bytes);
        in_parallel(&mut documents, settings, |runs, _| counts.add(runs), |_, _| Ok(()))?;
        let repeated = |runs: &[Run], ranges: &mut Vec<Range<usize>>| {
            for run in runs.iter().filter(|run| counts.is_repeated(run.anchor)) {
                let range = run.windows.start * unit_bytes..run.windows.end * unit_bytes;
                match ranges.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => ranges.push(range),
                }
            }
        };
        let mut writer = Writer::new(settings, folder)?;
        in_parallel(&mut documents, settings, repeated, |segment, windows| writer.add(&segment, windows))?;
        writer.finish()
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Fills `text` from this place on.
    pub(super) fn read_text(&self, start: u64, text: &mut [u8]) -> io::Result<()> {
        self.text.read_exact_at(text, start)
    }

    /// Where windows begin in the next `len` bytes from a place on that is a multiple of 64.
    pub(super) fn starts(&self, start: u64, len: usize) -> io::Result<Vec<u64>> {
        debug_assert!(start.is_multiple_of(64), "starts are read in words");
        let mut bytes = vec![0; len.div_ceil(64) * 8];
        self.starts.read_exact_at(&mut bytes, start / 8)?;
        Ok(bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect())
    }

    /// The next stretch, in the order of documents and within each.
    pub(super) fn next_stretch(&mut self) -> io::Result<Option<Stretch>> {
        if self.stretches_len == 0 {
            return Ok(None);
        }
        self.stretches_len -= 1;
        let document = read_u64(&mut self.stretches)?;
        let bytes = read_u64(&mut self.stretches)?..read_u64(&mut self.stretches)?;
        Ok(Some(Stretch { document, bytes }))
    }
}

/// Calls `work` with the runs of all segments, several at the same time, and then `take` with each range that it found, in
/// order.
fn in_parallel(
    documents: &mut Documents,
    settings: &SubstringSettings,
    work: impl Fn(&[Run], &mut Vec<Range<usize>>) + Sync,
    mut take: impl FnMut(Segment<'_>, Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut segments = documents.segments(settings)?;
    let mut workers: Vec<Worker> = (0..settings.threads).map(|_| Worker::new(settings)).collect();
    loop {
        for worker in &mut workers {
            segments.read(&mut worker.batch)?;
        }
        if workers.iter().all(|worker| worker.batch.is_empty()) {
            return Ok(());
        }
        thread::scope(|scope| {
            for Worker { batch, anchors, found } in &mut workers {
                let ranges_of = |segment: Segment<'_>| {
                    let mut ranges = Vec::new();
                    work(anchors.runs(segment.bytes), &mut ranges);
                    ranges
                };
                scope.spawn(|| *found = batch.segments().map(ranges_of).collect());
            }
        });
        for Worker { batch, found, .. } in &mut workers {
            for (segment, ranges) in batch.segments().zip(found) {
                ranges.drain(..).try_for_each(|range| take(segment, range))?;
            }
        }
    }
}

struct Worker {
    batch: Batch,
    anchors: Anchors,
    /// What was found in each segment of the batch.
    found: Vec<Vec<Range<usize>>>,
}

impl Worker {
    fn new(settings: &SubstringSettings) -> Worker {
        Worker { batch: Batch::default(), anchors: Anchors::new(settings), found: Vec::new() }
    }
}

struct Writer {
    unit_bytes: usize,
    window_bytes: usize,
    text: BufWriter<File>,
    starts: Bits,
    /// Three `u64` for each: document, start, end.
    stretches: BufWriter<File>,
    stretches_len: u64,
    current: Option<Stretch>,
    len_bytes: u64,
}

impl Writer {
    fn new(settings: &SubstringSettings, folder: &Path) -> io::Result<Writer> {
        Ok(Writer {
            unit_bytes: settings.unit.len_bytes(),
            window_bytes: settings.window_bytes(),
            text: scratch_file(folder)?,
            starts: Bits { file: scratch_file(folder)?, word: 0, len: 0 },
            stretches: scratch_file(folder)?,
            stretches_len: 0,
            current: None,
            len_bytes: 0,
        })
    }

    /// Adds the windows that begin in these bytes of the segment. They come in order.
    fn add(&mut self, segment: &Segment<'_>, windows: Range<usize>) -> io::Result<()> {
        let start = segment.start + windows.start as u64;
        // Windows that overlap are in the same stretch, at the same distance as in the document.
        let continues = |last: &Stretch| last.document == segment.document && start <= last.bytes.end;
        let mut stretch = match self.current.take() {
            Some(last) if continues(&last) => last,
            last => {
                self.end_stretch(last)?;
                Stretch { document: segment.document, bytes: start..start }
            }
        };
        let stretch_place = self.len_bytes - (stretch.bytes.end - stretch.bytes.start);
        self.starts.pad_to(stretch_place + (start - stretch.bytes.start))?;
        for byte in 0..windows.len() {
            self.starts.push(byte.is_multiple_of(self.unit_bytes))?;
        }
        let text = (stretch.bytes.end - segment.start) as usize..windows.end - self.unit_bytes + self.window_bytes;
        self.text.write_all(&segment.bytes[text.clone()])?;
        self.len_bytes += text.len() as u64;
        stretch.bytes.end += text.len() as u64;
        self.current = Some(stretch);
        Ok(())
    }

    fn end_stretch(&mut self, stretch: Option<Stretch>) -> io::Result<()> {
        let Some(Stretch { document, bytes }) = stretch else { return Ok(()) };
        for number in [document, bytes.start, bytes.end] {
            self.stretches.write_all(&number.to_le_bytes())?;
        }
        self.stretches_len += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<Candidates> {
        let last = self.current.take();
        self.end_stretch(last)?;
        self.starts.pad_to(self.len_bytes.next_multiple_of(64))?;
        Ok(Candidates {
            text: self.text.into_inner()?,
            starts: self.starts.file.into_inner()?,
            stretches: reader(&mut self.stretches)?,
            stretches_len: self.stretches_len,
            len_bytes: self.len_bytes,
        })
    }
}

/// Bits on their way to a file, the lowest of a `u64` first.
struct Bits {
    file: BufWriter<File>,
    word: u64,
    len: u64,
}

impl Bits {
    fn push(&mut self, bit: bool) -> io::Result<()> {
        self.word |= u64::from(bit) << (self.len % 64);
        self.len += 1;
        if self.len.is_multiple_of(64) {
            self.file.write_all(&self.word.to_le_bytes())?;
            self.word = 0;
        }
        Ok(())
    }

    fn pad_to(&mut self, len: u64) -> io::Result<()> {
        while self.len < len {
            self.push(false)?;
        }
        Ok(())
    }
}
