//! The plain bytes of a source in any supported compression.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;

/// The largest window that a zstd frame may ask for: 2³¹ bytes, as `zstd --long=31` writes and Reddit's dumps need.
const ZSTD_MAX_WINDOW_LOG: u32 = 31;
/// Buffer of a reader: large enough that a system call costs little beside its bytes.
const BUFFER_BYTES: usize = 1 << 18;
/// UTF-8's byte order mark, which some editors put at the beginning of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The plain bytes of a source. Its first bytes, not its name, tell how it is compressed: zstd (windows of up to 2 GiB),
/// xz, bzip2, gzip, or not at all. Several frames, streams or members in a row are one text, and zeros behind them are
/// padding, as tapes and disks have it. A UTF-8 byte order mark at the beginning of the plain bytes is skipped;
/// [`decompress_exactly`] keeps it.
///
/// Memory: 512 KiB, and the decompressor's window.
///
/// ```
/// use std::io::{Cursor, Read};
/// let packed = zstd::encode_all(&b"The tide is out."[..], 1)?;
/// let mut text = String::new();
/// texts::decompress(Cursor::new(packed))?.read_to_string(&mut text)?;
/// assert_eq!(text, "The tide is out.");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The source's, when not even its first byte can be read. Damage further on, or other bytes behind the compressed ones,
/// is an error of the returned reader, after all bytes that could be decoded.
pub fn decompress(source: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut plain = Peeked::new(decompress_exactly(source)?, BYTE_ORDER_MARK.len())?;
    if plain.head() == BYTE_ORDER_MARK {
        plain.consume(BYTE_ORDER_MARK.len());
    }
    Ok(Box::new(plain))
}

/// As [`decompress`], but keeps a byte order mark: for texts of which every byte counts.
///
/// # Errors
/// As [`decompress`].
pub fn decompress_exactly(source: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let packed = Peeked::new(buffered(source), 6)?;
    Ok(match packed.head() {
        // A frame, or a skippable one, which `pzstd` writes first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(buffered(Members::new(packed, zstd_frame, |zstd| zstd.finish(), &[0x28, 0x50])))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(buffered(Members::new(
            packed,
            |packed| Ok(XzDecoder::new(packed)),
            XzDecoder::into_inner,
            &[0xfd],
        ))),
        [b'B', b'Z', b'h', ..] => {
            Box::new(buffered(Members::new(packed, |packed| Ok(BzDecoder::new(packed)), BzDecoder::into_inner, b"B")))
        }
        [0x1f, 0x8b, ..] => Box::new(buffered(Members::new(
            packed,
            |packed| Ok(GzDecoder::new(packed)),
            GzDecoder::into_inner,
            &[0x1f],
        ))),
        _ => Box::new(packed),
    })
}

fn zstd_frame<R: BufRead>(packed: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut frame = zstd::Decoder::with_buffer(packed)?.single_frame();
    frame.window_log_max(ZSTD_MAX_WINDOW_LOG)?;
    Ok(frame)
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, reader)
}

/// The plain bytes of compressed members, frames or streams, one after the other. Zeros behind a member are padding.
struct Members<R, D> {
    /// `None` only between two steps, or after a fault.
    state: Option<Member<R, D>>,
    open: fn(R) -> io::Result<D>,
    close: fn(D) -> R,
    /// The first byte of a member; those of zstd's skippable frames differ in their low four bits.
    first_bytes: &'static [u8],
}

enum Member<R, D> {
    Next(R),
    Open(D),
}

impl<R: BufRead, D: Read> Members<R, D> {
    fn new(packed: R, open: fn(R) -> io::Result<D>, close: fn(D) -> R, first_bytes: &'static [u8]) -> Members<R, D> {
        Members { state: Some(Member::Next(packed)), open, close, first_bytes }
    }

    /// Opens the next member; none when there is nothing more but padding.
    fn open_next(&self, mut packed: R) -> io::Result<Option<D>> {
        loop {
            let bytes = match packed.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let Some(&first) = bytes.first() else { return Ok(None) };
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            if zeros > 0 {
                packed.consume(zeros);
            } else if self
                .first_bytes
                .iter()
                .any(|&of_member| first == of_member || of_member == 0x50 && first >> 4 == 5)
            {
                return (self.open)(packed).map(Some);
            } else {
                let what = "other bytes follow the end of the compressed ones";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
    }
}

impl<R: BufRead, D: Read> Read for Members<R, D> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state.take() {
                None => return Ok(0),
                Some(Member::Next(packed)) => self.state = self.open_next(packed)?.map(Member::Open),
                Some(Member::Open(mut member)) => match member.read(to) {
                    Ok(0) if !to.is_empty() => self.state = Some(Member::Next((self.close)(member))),
                    result => {
                        self.state = Some(Member::Open(member));
                        return result;
                    }
                },
            }
        }
    }
}

/// A reader whose first bytes have been looked at, and are returned again by the next reads.
pub(crate) struct Peeked<R> {
    head: Cursor<Vec<u8>>,
    /// The error that ended the look early; it is returned after the head, at its place in the source.
    fault: Option<io::Error>,
    rest: R,
}

impl<R: BufRead> Peeked<R> {
    /// Looks at up to `len_bytes`; at fewer only if the reader ends or fails.
    ///
    /// # Errors
    /// The reader's, when it has no byte at all.
    pub(crate) fn new(mut reader: R, len_bytes: usize) -> io::Result<Peeked<R>> {
        let mut head = Vec::new();
        let fault = match reader.by_ref().take(len_bytes as u64).read_to_end(&mut head) {
            Err(fault) if head.is_empty() => return Err(fault),
            other => other.err(),
        };
        Ok(Peeked { head: Cursor::new(head), fault, rest: reader })
    }

    /// The bytes that were looked at.
    pub(crate) fn head(&self) -> &[u8] {
        self.head.get_ref()
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.head.position() < self.head.get_ref().len() as u64 {
            return self.head.fill_buf();
        }
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.rest.fill_buf(),
        }
    }

    fn consume(&mut self, len_bytes: usize) {
        if self.head.position() < self.head.get_ref().len() as u64 {
            self.head.consume(len_bytes);
        } else {
            self.rest.consume(len_bytes);
        }
    }
}

impl<R: BufRead> Read for Peeked<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let len_bytes = self.fill_buf()?.read(to)?;
        self.consume(len_bytes);
        Ok(len_bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"The tide is out.\nThe boats lie on the sand.\n";

    fn check(bytes: Vec<u8>, expected: &[u8]) {
        let mut plain = Vec::new();
        decompress(Cursor::new(bytes)).unwrap().read_to_end(&mut plain).unwrap();
        assert_eq!(plain, expected);
    }

    /// A text in every compression, and in none.
    pub(crate) fn in_every_compression(text: &[u8]) -> Vec<Vec<u8>> {
        // A window as with `zstd --long=27`, which a decoder refuses by default.
        let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zstd.window_log(28).unwrap();
        zstd.write_all(text).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text).unwrap();
        let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz2.write_all(text).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(text).unwrap();
        vec![text.to_vec(), zstd.finish().unwrap(), gz.finish().unwrap(), bz2.finish().unwrap(), xz.finish().unwrap()]
    }

    #[test]
    fn every_compression_gives_the_same_bytes() {
        in_every_compression(TEXT).into_iter().for_each(|bytes| check(bytes, TEXT));
        in_every_compression(b"").into_iter().for_each(|bytes| check(bytes, b""));
    }

    #[test]
    fn frames_members_and_streams_in_a_row_are_one_text() {
        let (one, two) = TEXT.split_at(20);
        for (mut bytes, more) in in_every_compression(one).into_iter().zip(in_every_compression(two)) {
            bytes.extend(more);
            check(bytes, TEXT);
        }
        let skippable = b"\x50\x2a\x4d\x18\x02\x00\x00\x00hi".to_vec();
        check([skippable, zstd::encode_all(TEXT, 1).unwrap()].concat(), TEXT);
    }

    #[test]
    fn zeros_behind_the_end_are_padding_and_other_bytes_an_error() {
        for packed in in_every_compression(TEXT).into_iter().skip(1) {
            // One, a block of a tape, and more than a buffer.
            for zeros in [1, 3, 512, 2 * BUFFER_BYTES] {
                check([&packed[..], &vec![0; zeros]].concat(), TEXT);
                check([&packed[..], &vec![0; zeros], &packed[..]].concat(), &[TEXT, TEXT].concat());
            }
            for more in [&b"x"[..], b"\0\0x", b"</html>", &[0xff; 100]] {
                let mut plain = Vec::new();
                let bytes = [&packed[..], more].concat();
                let error = decompress(Cursor::new(bytes)).unwrap().read_to_end(&mut plain).unwrap_err();
                assert_eq!((&plain[..], error.kind()), (TEXT, io::ErrorKind::InvalidData), "{packed:?} {more:?}");
            }
        }
    }

    #[test]
    fn many_small_members_and_skippable_frames_are_one_text() {
        let members = |compress: &dyn Fn(&[u8]) -> Vec<u8>| TEXT.chunks(3).flat_map(compress).collect::<Vec<u8>>();
        let skippable = b"\x5f\x2a\x4d\x18\x03\x00\x00\x00\0hi";
        let frame = |part: &[u8]| [&skippable[..], &zstd::encode_all(part, 1).unwrap(), skippable].concat();
        check(members(&frame), TEXT);
        check(members(&|part| in_every_compression(part).swap_remove(2)), TEXT);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once_and_only_at_the_beginning() {
        let marked = |text: &[u8]| [BYTE_ORDER_MARK, text].concat();
        in_every_compression(&marked(TEXT)).into_iter().for_each(|bytes| check(bytes, TEXT));
        check(marked(b""), b"");
        check(marked(&marked(b"x")), &marked(b"x"));
        check([b"x", BYTE_ORDER_MARK].concat(), &[b"x", BYTE_ORDER_MARK].concat());
        check(BYTE_ORDER_MARK[..2].to_vec(), &BYTE_ORDER_MARK[..2]);
    }

    #[test]
    fn what_is_cut_off_gives_its_bytes_and_then_an_error() {
        for packed in in_every_compression(TEXT).into_iter().skip(1) {
            let mut plain = Vec::new();
            let cut = Cursor::new(packed[..packed.len() - 3].to_vec());
            let result = decompress(cut).and_then(|mut reader| reader.read_to_end(&mut plain));
            assert!(result.is_err(), "{packed:?}");
            assert!(TEXT.starts_with(&plain));
        }
        // Fewer bytes than the mark is long: the error must come after them.
        let mut packed = zstd::encode_all(&b"ab"[..], 1).unwrap();
        packed.extend(&zstd::encode_all(TEXT, 1).unwrap()[..5]);
        let mut plain = Vec::new();
        decompress(Cursor::new(packed)).unwrap().read_to_end(&mut plain).unwrap_err();
        assert_eq!(plain, b"ab");
    }
}
