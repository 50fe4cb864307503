//! Suffix arrays of parts of the text that may repeat, on disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use libsais::SuffixArrayConstruction;

use super::{candidates::Candidates, plan::Plan};

/// Marks an entry whose window equals that of the entry before it. Places in a part have 31 bits.
const SAME: u32 = 1 << 31;

/// Entries that are written at once.
const WRITTEN_ENTRIES: usize = 1 << 12;

/// For each part, the windows that begin in it in the order of their bytes.
///
/// One file has the entries of all parts. Those of a part begin at entry number `start`, as if every byte of the text had
/// one; since not every byte has, the file has holes.
pub(super) struct Parts {
    entries: File,
    parts: Vec<Part>,
}

/// A part of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Where it begins in the text that may repeat.
    pub start: u64,
    /// Windows that begin in it.
    pub len: u64,
}

/// A window of a part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    /// Where it begins in the part.
    pub place: u32,
    /// Whether it equals the window before it.
    pub same: bool,
}

impl Parts {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Part> {
        self.parts.iter().copied()
    }

    /// Replaces `entries` by the `len` entries of a part from its entry number `first` on. `bytes` is scratch memory.
    pub(super) fn read(
        &self,
        part: Part,
        first: u64,
        len: usize,
        bytes: &mut Vec<u8>,
        entries: &mut Vec<Entry>,
    ) -> io::Result<()> {
        bytes.resize(len * 4, 0);
        self.entries.read_exact_at(bytes, (part.start + first) * 4)?;
        entries.clear();
        entries.extend(bytes.as_chunks().0.iter().map(|&four| {
            let entry = u32::from_le_bytes(four);
            Entry { place: entry & !SAME, same: entry & SAME != 0 }
        }));
        Ok(())
    }
}

/// Sorts the text part by part.
pub(super) fn sort(candidates: &Candidates, plan: &Plan, folder: &Path) -> io::Result<Parts> {
    let entries = tempfile::tempfile_in(folder)?;
    let starts: Vec<u64> = (0..candidates.len_bytes()).step_by(plan.part_bytes as usize).collect();
    let next = AtomicU64::new(0);
    // Threads take parts in turn; which one takes which changes nothing.
    let work = |memory: &mut Memory| {
        let mut sorted = Vec::new();
        while let Some(&start) = starts.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            sorted.push(sort_part(candidates, plan, start, memory, &entries)?);
        }
        Ok(sorted)
    };
    let largest = (plan.part_bytes + plan.window_bytes as u64).min(candidates.len_bytes()) as usize;
    let mut memories: Vec<_> = (0..plan.threads.min(starts.len())).map(|_| Memory::new(largest)).collect();
    let sorted: io::Result<Vec<Vec<Part>>> = thread::scope(|scope| {
        let threads: Vec<_> = memories.iter_mut().map(|memory| scope.spawn(|| work(memory))).collect();
        threads.into_iter().map(|thread| thread.join().expect("sorting does not panic")).collect()
    });
    let mut parts = sorted?.concat();
    parts.sort_by_key(|part| part.start);
    Ok(Parts { entries, parts })
}

/// What a thread sorts in, for all of its parts. It comes from the calling thread: an allocator may keep what another one
/// gives back, and then it could not be used for the merge.
struct Memory {
    text: Vec<u8>,
    suffixes: Vec<i32>,
}

impl Memory {
    fn new(part_bytes: usize) -> Memory {
        Memory { text: Vec::with_capacity(part_bytes), suffixes: Vec::with_capacity(part_bytes) }
    }
}

fn sort_part(
    candidates: &Candidates,
    plan: &Plan,
    start: u64,
    Memory { text, suffixes }: &mut Memory,
    entries: &File,
) -> io::Result<Part> {
    let len = plan.part_bytes.min(candidates.len_bytes() - start);
    // The last windows end in the next part.
    let text_len = (len + plan.window_bytes as u64 - 1).min(candidates.len_bytes() - start) as usize;
    text.resize(text_len, 0);
    suffixes.resize(text_len, 0);
    candidates.read_text(start, text)?;
    let starts = candidates.starts(start, len as usize)?;
    let begins_window = |place: usize| starts.get(place / 64).is_some_and(|word| (word >> (place % 64)) & 1 == 1);
    let sort = SuffixArrayConstruction::for_text(text).in_borrowed_buffer(suffixes).single_threaded().run();
    let sorted = sort.map_err(io::Error::other)?;
    let places = sorted.suffix_array().iter().map(|&place| place as usize).filter(|&place| begins_window(place));
    let windows = places.map(|place| (place, &text[place..place + plan.window_bytes]));
    Ok(Part { start, len: write_entries(entries, start, windows)? })
}

/// Writes the entries of windows that come in the order of their bytes, and tells how many.
fn write_entries<'a>(
    entries: &File,
    start: u64,
    mut windows: impl Iterator<Item = (usize, &'a [u8])>,
) -> io::Result<u64> {
    let mut written = 0;
    let mut before: &[u8] = &[];
    let mut batch = Vec::with_capacity(WRITTEN_ENTRIES);
    let mut bytes = Vec::with_capacity(WRITTEN_ENTRIES * 4);
    loop {
        // Windows lie all over the text, and the ends of many are waited for together. Neighbours mostly begin alike, but
        // only those that are equal have the same end. To read the beginnings ahead as well gains nothing.
        batch.clear();
        let some = windows.by_ref().take(WRITTEN_ENTRIES);
        batch.extend(some.map(|(place, window)| (place, window.last_chunk::<8>().copied(), window)));
        if batch.is_empty() {
            return Ok(written);
        }
        bytes.clear();
        for &(place, end, window) in &batch {
            let same = if end == before.last_chunk().copied() && window == before { SAME } else { 0 };
            bytes.extend_from_slice(&(place as u32 | same).to_le_bytes());
            before = window;
        }
        entries.write_all_at(&bytes, (start + written) * 4)?;
        written += batch.len() as u64;
    }
}
