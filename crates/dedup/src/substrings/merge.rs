//! Merges the parts: windows of all parts in the order of their bytes, and equal ones as a group.

use std::{io, ops::Range, thread};

use super::candidates::Candidates;
use super::marks::{Group, Marks};
use super::parts::{Entry, Part, Parts};
use super::plan::Plan;

/// Marks the repeated windows.
///
/// Each thread merges a range of windows in the order of their bytes. Groups are never divided between threads.
pub(super) fn groups(candidates: &Candidates, parts: &Parts, plan: &Plan, marks: &Marks) -> io::Result<()> {
    let text = Text::new(candidates, plan.text_in_memory && parts.len() > 1)?;
    let borders = borders(parts, &text, plan)?;
    thread::scope(|scope| {
        let ranges = borders.windows(2).map(|pair| (&pair[0], &pair[1]));
        let threads: Vec<_> = ranges
            .map(|(from, to)| {
                let cursors = parts.iter().zip(from.iter().zip(to)).map(|(part, (&from, &to))| (part, from..to));
                let cursors: Vec<_> = cursors.collect();
                scope.spawn(|| merge(cursors, parts, &text, plan, Group::new(marks, plan)))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("merging does not panic"))
    })
}

/// Where windows are read from.
enum Text<'a> {
    Memory(Vec<u8>),
    Disk(&'a Candidates),
}

impl Text<'_> {
    fn new(candidates: &Candidates, in_memory: bool) -> io::Result<Text<'_>> {
        if !in_memory {
            return Ok(Text::Disk(candidates));
        }
        let mut text = vec![0; candidates.len_bytes() as usize];
        candidates.read_text(0, &mut text)?;
        Ok(Text::Memory(text))
    }

    fn read(&self, place: u64, window: &mut [u8]) -> io::Result<()> {
        match self {
            Text::Memory(text) => {
                window.copy_from_slice(&text[place as usize..][..window.len()]);
                Ok(())
            }
            Text::Disk(candidates) => candidates.read_text(place, window),
        }
    }
}

/// For each border between the threads' ranges, and for both ends, the entry of each part at which it lies.
fn borders(parts: &Parts, text: &Text<'_>, plan: &Plan) -> io::Result<Vec<Vec<u64>>> {
    let mut borders = vec![vec![0; parts.len()]];
    // The first part stands for all of them: windows that divide it evenly.
    if let Some(first) = parts.iter().next().filter(|part| part.len > 0) {
        let mut window = vec![0; plan.window_bytes];
        for thread in 1..plan.threads as u64 {
            let middle = (u128::from(first.len) * u128::from(thread) / plan.threads as u128) as u64;
            read_window(parts, first, middle, text, &mut window)?;
            borders.push(parts.iter().map(|part| lower_bound(parts, part, text, &window)).collect::<io::Result<_>>()?);
        }
    }
    borders.push(parts.iter().map(|part| part.len).collect());
    Ok(borders)
}

/// The first entry of a part whose window is not smaller.
fn lower_bound(parts: &Parts, part: Part, text: &Text<'_>, window: &[u8]) -> io::Result<u64> {
    let mut here = vec![0; window.len()];
    let Range { start: mut low, end: mut high } = 0..part.len;
    while low < high {
        let middle = low.midpoint(high);
        read_window(parts, part, middle, text, &mut here)?;
        if here.as_slice() < window {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn read_window(parts: &Parts, part: Part, entry: u64, text: &Text<'_>, window: &mut [u8]) -> io::Result<()> {
    let mut entries = Vec::new();
    parts.read(part, entry, 1, &mut Vec::new(), &mut entries)?;
    text.read(part.start + u64::from(entries[0].place), window)
}

fn merge(
    ranges: Vec<(Part, Range<u64>)>,
    parts: &Parts,
    text: &Text<'_>,
    plan: &Plan,
    mut group: Group<'_>,
) -> io::Result<()> {
    // One part alone knows its groups without a look at the text.
    let alone = ranges.len() == 1;
    let mut cursors = Vec::new();
    for (part, range) in ranges {
        let mut cursor = Cursor::new(part, range, parts, (!alone).then_some(text), plan);
        if cursor.fill()? {
            cursors.push(cursor);
        }
    }
    let mut queue = Queue::new(&cursors);
    let mut window = Vec::new();
    while let Some(first) = queue.first() {
        window.clear();
        window.extend_from_slice(cursors[first].window());
        while let Some(first) = queue.first().filter(|&first| cursors[first].window() == window) {
            if cursors[first].take_run(|place| group.add(place))? {
                queue.first_has_grown(&cursors);
            } else {
                queue.first_has_ended(&cursors);
            }
            if alone {
                break;
            }
        }
        group.end();
    }
    Ok(())
}

/// A place in a part's entries, always at the first of equal windows.
struct Cursor<'a> {
    part: Part,
    /// Entries that have not been read.
    left: Range<u64>,
    parts: &'a Parts,
    /// Where windows are read from, if they are compared at all.
    text: Option<&'a Text<'a>>,
    batch: usize,
    window_bytes: usize,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The windows of those entries that do not equal the one before, one behind the other.
    windows: Vec<u8>,
    next_entry: usize,
    /// The number of the next entry's window.
    next_window: usize,
}

impl<'a> Cursor<'a> {
    fn new(part: Part, left: Range<u64>, parts: &'a Parts, text: Option<&'a Text<'a>>, plan: &Plan) -> Cursor<'a> {
        Cursor {
            part,
            left,
            parts,
            text,
            batch: plan.batch,
            window_bytes: if text.is_some() { plan.window_bytes } else { 0 },
            bytes: Vec::new(),
            entries: Vec::new(),
            windows: Vec::new(),
            next_entry: 0,
            next_window: 0,
        }
    }

    /// Reads entries when all have been taken; whether there is one.
    ///
    /// Windows lie all over the text. Read many in a row, they are waited for together.
    fn fill(&mut self) -> io::Result<bool> {
        if self.next_entry < self.entries.len() {
            return Ok(true);
        }
        let len = (self.left.end - self.left.start).min(self.batch as u64) as usize;
        self.parts.read(self.part, self.left.start, len, &mut self.bytes, &mut self.entries)?;
        self.left.start += len as u64;
        self.next_entry = 0;
        self.next_window = 0;
        if let Some(text) = self.text {
            let first = self.entries.iter().filter(|entry| !entry.same);
            self.windows.resize(first.clone().count() * self.window_bytes, 0);
            for (entry, window) in first.zip(self.windows.chunks_exact_mut(self.window_bytes)) {
                text.read(self.part.start + u64::from(entry.place), window)?;
            }
        }
        Ok(len > 0)
    }

    fn window(&self) -> &[u8] {
        &self.windows[self.next_window * self.window_bytes..][..self.window_bytes]
    }

    /// Takes this window and all that equal it, and goes to the next one; whether there is one.
    fn take_run(&mut self, mut take: impl FnMut(u64)) -> io::Result<bool> {
        self.next_window += 1;
        loop {
            take(self.part.start + u64::from(self.entries[self.next_entry].place));
            self.next_entry += 1;
            if !self.fill()? {
                return Ok(false);
            }
            if !self.entries[self.next_entry].same {
                return Ok(true);
            }
        }
    }
}

/// A binary heap of cursors by their windows, whose first can be changed in place.
struct Queue {
    heap: Vec<usize>,
}

impl Queue {
    fn new(cursors: &[Cursor<'_>]) -> Queue {
        let mut heap: Vec<usize> = (0..cursors.len()).collect();
        // A sorted list is a heap.
        heap.sort_by_key(|&cursor| cursors[cursor].window());
        Queue { heap }
    }

    fn first(&self) -> Option<usize> {
        self.heap.first().copied()
    }

    fn first_has_ended(&mut self, cursors: &[Cursor<'_>]) {
        self.heap.swap_remove(0);
        self.first_has_grown(cursors);
    }

    fn first_has_grown(&mut self, cursors: &[Cursor<'_>]) {
        let window = |at: &usize| cursors[*at].window();
        let mut at = 0;
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|&child| child < self.heap.len());
            let Some(least) = children.min_by_key(|&child| window(&self.heap[child])) else { break };
            if window(&self.heap[least]) >= window(&self.heap[at]) {
                break;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }
}
