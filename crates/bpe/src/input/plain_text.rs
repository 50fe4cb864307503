//! Plain text in batches that end at a separator, or else inside a document where no pretoken lies across.

use std::borrow::Cow;

use super::{BATCH_BYTES, Fault, InputOptions, InvalidUtf8, Reader, read_more};
use crate::split::pretokenize::last_border_from;

/// Bytes without a place for a cut that are held before their last pretoken is cut.
const MIN_HELD_TO_CUT_RUN: usize = 2 * BATCH_BYTES;

/// A part of a plain text.
#[derive(Debug)]
pub(super) struct PlainBatch {
    pub(super) bytes: Vec<u8>,
    /// Offset of its first byte in the file.
    offset: u64,
    /// Offset of the first byte of the document that its first piece belongs to.
    pub(super) place: u64,
    /// Whether its first piece continues a document.
    pub(super) is_continuation: bool,
    /// Whether the file ends with it.
    is_last: bool,
}

impl PlainBatch {
    /// The pieces, and whether each is the last of its document.
    pub(super) fn pieces<'b>(
        &'b self,
        options: &'b InputOptions,
    ) -> impl Iterator<Item = Result<(Cow<'b, str>, bool), Fault>> {
        let separator = separator_of(options);
        let ends = (!separator.is_empty()).then(|| memchr::memmem::find_iter(&self.bytes, separator));
        let mut ends = ends.into_iter().flatten();
        let mut next = Some((0, self.is_continuation));
        std::iter::from_fn(move || {
            let (at, is_continuation) = next.take()?;
            if let Some(end) = ends.next() {
                next = Some((end + separator.len(), false));
                return Some(self.text(at, end, options).map(|text| (text, true)));
            }
            // After the last separator: an empty rest ends a document only if one was begun.
            let is_piece = at < self.bytes.len() || (self.is_last && is_continuation);
            is_piece.then(|| self.text(at, self.bytes.len(), options).map(|text| (text, self.is_last)))
        })
    }

    fn text(&self, at: usize, end: usize, options: &InputOptions) -> Result<Cow<'_, str>, Fault> {
        let bytes = &self.bytes[at..end];
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) if options.lossy => Ok(String::from_utf8_lossy(bytes)),
            Err(error) => {
                let place = self.offset + (at + error.valid_up_to()) as u64;
                Err(Fault::at(format!("byte {place}"), InvalidUtf8))
            }
        }
    }
}

/// Cuts a file into batches.
pub(super) struct PlainBatches {
    reader: Reader,
    held: Vec<u8>,
    /// Offset of the first byte that is held.
    offset: u64,
    /// Held bytes in which no end of a batch was found: they are not searched again.
    searched: usize,
    /// Held bytes in which no word ends at which a batch can be cut.
    searched_for_words: usize,
    /// Whether the held bytes continue a document, which begins at `document`.
    is_continuation: bool,
    document: u64,
    has_ended: bool,
}

impl PlainBatches {
    pub(super) fn new(reader: Reader) -> PlainBatches {
        let (held, has_ended) = (Vec::new(), false);
        let (searched, searched_for_words) = (0, 0);
        PlainBatches {
            reader,
            held,
            offset: 0,
            searched,
            searched_for_words,
            is_continuation: false,
            document: 0,
            has_ended,
        }
    }

    pub(super) fn next(&mut self, options: &InputOptions) -> Result<Option<PlainBatch>, Fault> {
        loop {
            if self.has_ended {
                let is_more = !self.held.is_empty() || self.is_continuation;
                return Ok(is_more.then(|| self.cut(self.held.len(), false, true)));
            }
            if self.held.len() >= BATCH_BYTES {
                if let Some((end, in_document)) = end_of_batch(&self.held, self.searched, options) {
                    return Ok(Some(self.cut(end, in_document, false)));
                }
                if self.held.len() >= MIN_HELD_TO_CUT_RUN && separator_of(options).is_empty() {
                    let cutter = options.run_cutter.as_ref();
                    if let Some(end) = cutter.and_then(|cutter| cutter.cut(&self.held, self.searched_for_words)) {
                        return Ok(Some(self.cut(end, true, false)));
                    }
                    self.searched_for_words = self.held.len();
                }
                self.searched = self.held.len().saturating_sub(separator_of(options).len());
            }
            match read_more(&mut self.reader, &mut self.held) {
                Ok(0) => self.has_ended = true,
                Ok(_) => {}
                Err(error) => return Err(Fault::at(format!("byte {}", self.offset + self.held.len() as u64), error)),
            }
        }
    }

    /// The first `end` bytes that are held. `in_document`: whether the next batch continues the document in which they
    /// end.
    fn cut(&mut self, end: usize, in_document: bool, is_last: bool) -> PlainBatch {
        let rest = self.held.split_off(end);
        (self.searched, self.searched_for_words) = (0, 0);
        let bytes = std::mem::replace(&mut self.held, rest);
        let (offset, is_continuation) = (self.offset, std::mem::replace(&mut self.is_continuation, in_document));
        // A batch that ends in a document holds no other one.
        let place = if is_continuation { self.document } else { offset };
        self.document = place;
        self.offset += bytes.len() as u64;
        PlainBatch { bytes, offset, place, is_continuation, is_last }
    }
}

fn separator_of(options: &InputOptions) -> &[u8] {
    options.separator.as_deref().unwrap_or("").as_bytes()
}

/// Where a batch of text can end, and whether that is inside a document: after the last separator, or else at the last
/// border before anything that may become a separator. `searched`: bytes before which there is neither.
fn end_of_batch(held: &[u8], searched: usize, options: &InputOptions) -> Option<(usize, bool)> {
    let separator = separator_of(options);
    if !separator.is_empty()
        && let Some(found) = memchr::memmem::rfind(&held[searched..], separator)
    {
        return Some((searched + found + separator.len(), false));
    }
    let certain = &held[..held.len().saturating_sub(separator.len())];
    last_border_from(certain, searched, options.cuts).map(|end| (end, true))
}
