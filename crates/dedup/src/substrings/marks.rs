//! Which windows are in the spans, and the spans of a document.

use std::collections::BinaryHeap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Copies;
use super::candidates::{Candidates, Stretch};
use super::plan::Plan;

/// A bit for each byte of the text that may repeat: whether a window that begins there is in the spans.
pub(super) struct Marks {
    words: Vec<AtomicU64>,
}

impl Marks {
    pub(super) fn new(len: u64) -> Marks {
        Marks { words: (0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    fn set(&self, place: u64) {
        // Threads set bits and none reads them before all have ended.
        self.words[(place / 64) as usize].fetch_or(1 << (place % 64), Ordering::Relaxed);
    }

    /// Marked places of a range, in order.
    fn places(&self, range: Range<u64>) -> impl Iterator<Item = u64> {
        (range.start / 64..range.end.div_ceil(64)).flat_map(move |word| {
            let mut bits = self.words[word as usize].load(Ordering::Relaxed);
            let range = range.clone();
            std::iter::from_fn(move || {
                let place = (bits != 0).then(|| word * 64 + u64::from(bits.trailing_zeros()));
                bits &= bits.wrapping_sub(1);
                place
            })
            .filter(move |place| range.contains(place))
        })
    }
}

/// Takes the places of equal windows, in any order, and marks those that are in the spans.
pub(super) struct Group<'a> {
    marks: &'a Marks,
    copies: Copies,
    window_bytes: u64,
    /// The first place so far.
    first: Option<u64>,
    /// Places of windows that overlap the one at `first`: as many as a window has units, at most.
    overlapping: BinaryHeap<u64>,
}

impl Group<'_> {
    pub(super) fn new<'a>(marks: &'a Marks, plan: &Plan) -> Group<'a> {
        Group {
            marks,
            copies: plan.copies,
            window_bytes: plan.window_bytes as u64,
            first: None,
            overlapping: BinaryHeap::new(),
        }
    }

    pub(super) fn add(&mut self, place: u64) {
        let Some(first) = self.first else {
            self.first = Some(place);
            return;
        };
        match self.copies {
            Copies::All => {
                self.marks.set(first);
                self.marks.set(place);
            }
            Copies::Later => self.add_later(place.max(first), place.min(first)),
        }
    }

    /// Takes a place and the first one so far. The text that may repeat keeps the order of documents, and windows that
    /// overlap in a document are at the same distance in it, so its places can be compared in place of the documents'.
    fn add_later(&mut self, place: u64, first: u64) {
        self.first = Some(first);
        self.overlapping.push(place);
        while let Some(last) = self.overlapping.peek().copied().filter(|last| *last >= first + self.window_bytes) {
            self.marks.set(last);
            self.overlapping.pop();
        }
    }

    pub(super) fn end(&mut self) {
        self.first = None;
        self.overlapping.clear();
    }
}

/// Reads the spans of documents, in order.
pub(super) struct Spans {
    candidates: Candidates,
    marks: Marks,
    window_bytes: u64,
    next: Option<Stretch>,
    /// Where the next stretch begins in the text that may repeat.
    next_place: u64,
}

impl Spans {
    pub(super) fn new(mut candidates: Candidates, marks: Marks, window_bytes: usize) -> io::Result<Spans> {
        let next = candidates.next_stretch()?;
        Ok(Spans { candidates, marks, window_bytes: window_bytes as u64, next, next_place: 0 })
    }

    /// The spans of a document that comes after all that were asked for.
    pub(super) fn of_document(&mut self, document: u64) -> io::Result<Vec<Range<u64>>> {
        let mut spans: Vec<Range<u64>> = Vec::new();
        while let Some(Stretch { bytes, .. }) = self.next.take_if(|stretch| stretch.document == document) {
            let places = self.next_place..self.next_place + (bytes.end - bytes.start);
            for place in self.marks.places(places.clone()) {
                let start = bytes.start + (place - places.start);
                let end = start + self.window_bytes;
                match spans.last_mut() {
                    Some(last) if start <= last.end => last.end = end,
                    _ => spans.push(start..end),
                }
            }
            self.next_place = places.end;
            self.next = self.candidates.next_stretch()?;
        }
        Ok(spans)
    }
}
