//! Members of zstd, each a frame, and the dictionary that the first frame may hold.

use std::io::{self, Read};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::DecodeError;
use super::plain::{Plain, STREAM_BYTES};
use crate::fault::RecordFault;
use crate::raw::Raw;

/// The largest zstd dictionary that is accepted, coded or plain; tools make some 100 KB.
const MAX_DICTIONARY_BYTES: u64 = 32 << 20;

pub(super) const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The skippable frame that holds the dictionary of all others (IIPC, "Zstandard WARC", section 3).
const DICTIONARY_MAGIC: &[u8] = &[0x5d, 0x2a, 0x4d, 0x18];

/// The decoder of frames, one after another.
pub(super) struct Unzstd {
    decoder: Decoder<'static>,
    pub(super) plain: Plain,
}

impl Unzstd {
    pub(super) fn new(dictionary: &[u8]) -> io::Result<Unzstd> {
        // A dictionary that zstd refuses counts as none, too.
        let mut decoder = Decoder::with_dictionary(dictionary).or_else(|_| Decoder::new())?;
        decoder.set_parameter(DParameter::WindowLogMax(31))?;
        let mut plain = Plain { ended: true, ..Plain::default() };
        plain.reserve(2 * STREAM_BYTES);
        Ok(Unzstd { decoder, plain })
    }

    pub(super) fn begin(&mut self) -> Result<(), DecodeError> {
        self.plain.end_member();
        self.plain.ended = false;
        // The dictionary stays.
        self.decoder.reinit().map_err(DecodeError::compression)
    }

    /// Decodes until there are `min_bytes` plain bytes or the frame has ended.
    pub(super) fn peek(&mut self, raw: &mut Raw, min_bytes: usize) -> Result<&[u8], DecodeError> {
        let plain = &mut self.plain;
        while plain.len() < min_bytes && !plain.ended {
            plain.compact();
            let mut input = InBuffer::around(raw.peek(1)?);
            let at_end = input.src.is_empty();
            let mut output = OutBuffer::around(&mut plain.bytes[plain.end..]);
            let missing_bytes = self.decoder.run(&mut input, &mut output).map_err(DecodeError::compression)?;
            let made_bytes = output.pos();
            plain.end += made_bytes;
            plain.ended = missing_bytes == 0;
            let taken_bytes = input.pos();
            raw.consume(taken_bytes);
            if at_end && made_bytes == 0 && !plain.ended {
                return Err(RecordFault::ArchiveTruncated.into());
            }
        }
        Ok(plain.unread())
    }
}

/// The dictionary in the archive's first frame, which may itself be compressed; empty when there is none. A damaged
/// one counts as none: decoding the frames that need it then fails with an error about it.
pub(super) fn read_dictionary(raw: &mut Raw) -> io::Result<Vec<u8>> {
    let head = raw.peek(8)?;
    let (true, Some(len)) = (head.starts_with(DICTIONARY_MAGIC), head.get(4..8)) else { return Ok(Vec::new()) };
    let len_bytes = u64::from(u32::from_le_bytes([len[0], len[1], len[2], len[3]]));
    raw.consume(8);
    let mut stored = Vec::new();
    while (stored.len() as u64) < len_bytes.min(MAX_DICTIONARY_BYTES + 1) {
        let bytes = raw.peek(1)?;
        if bytes.is_empty() {
            break;
        }
        let n = bytes.len().min((len_bytes - stored.len() as u64) as usize);
        stored.extend_from_slice(&bytes[..n]);
        raw.consume(n);
    }
    if stored.len() as u64 != len_bytes {
        return Ok(Vec::new());
    }
    if !stored.starts_with(ZSTD_MAGIC) {
        return Ok(stored);
    }
    let mut plain = Vec::new();
    let decoded = zstd::Decoder::with_buffer(&stored[..])
        .and_then(|decoder| decoder.take(MAX_DICTIONARY_BYTES + 1).read_to_end(&mut plain));
    let is_sound = decoded.is_ok() && plain.len() as u64 <= MAX_DICTIONARY_BYTES;
    Ok(if is_sound { plain } else { Vec::new() })
}
