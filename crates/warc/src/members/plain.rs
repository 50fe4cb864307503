//! The buffer of decoded bytes that both decoders fill.

/// Plain bytes made at once in a stream.
pub(super) const STREAM_BYTES: usize = 64 << 10;

/// Decoded bytes that are not all consumed.
#[derive(Default)]
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether the member has no more bytes.
    pub(super) ended: bool,
}

impl Plain {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves the unconsumed bytes to the front, so that more can be decoded after them.
    pub(super) fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// Makes room for at least this many bytes.
    pub(super) fn reserve(&mut self, len_bytes: usize) {
        if self.bytes.len() < len_bytes {
            self.bytes.resize(len_bytes, 0);
        }
    }

    pub(super) fn end_member(&mut self) {
        (self.start, self.end, self.ended) = (0, 0, true);
    }
}
