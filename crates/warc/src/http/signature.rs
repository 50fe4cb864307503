//! File formats that the first bytes of a file or a body tell, and whether bytes can be text.

/// Signatures at the start of files: those of the MIME Sniffing standard, and further ones of files that are taken for
/// archives or pages. A format with its signature elsewhere is in [`binary_type`].
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"OggS\0", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"FLV\x01", "video/x-flv"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\0\x01\0\0\0", "font/ttf"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"BZh", "application/x-bzip2"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"\x1f\x9d", "application/x-compress"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\x7fELF", "application/x-elf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
];

/// Bytes after which there is nothing more to test in [`is_text`] (MIME Sniffing, "resource header").
const TESTED_BYTES: usize = 1445;

/// The media type of the binary format that a file or a body begins as; `None` where no signature is known.
///
/// ```
/// assert_eq!(warc::http::binary_type(b"%PDF-1.7"), Some("application/pdf"));
/// assert_eq!(warc::http::binary_type(b"<html>"), None);
/// ```
pub fn binary_type(start: &[u8]) -> Option<&'static str> {
    let found = SIGNATURES.iter().find(|(signature, _)| start.starts_with(signature));
    if let Some((signature, media_type)) = found {
        // Three letters could also be a word.
        let is_word = matches!(*signature, b"ID3" | b"BZh") && is_text(start);
        return (!is_word).then_some(media_type);
    }
    match start {
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] => Some(match form {
            [b'W', b'E', b'B', b'P', ..] => "image/webp",
            [b'W', b'A', b'V', b'E', ..] => "audio/wave",
            [b'A', b'V', b'I', ..] => "video/avi",
            _ => return None,
        }),
        [0, _, _, _, b'f', b't', b'y', b'p', ..] => Some("video/mp4"),
        _ if start.get(257..262) == Some(b"ustar") => Some("application/x-tar"),
        _ => None,
    }
}

/// Whether bytes can be text: they have none of the "binary data bytes" of MIME Sniffing, section 3, or begin with a
/// byte-order mark.
pub(crate) fn is_text(start: &[u8]) -> bool {
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0xb | 0xe..=0x1a | 0x1c..=0x1f);
    let has_mark = start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]);
    has_mark || !start.iter().take(TESTED_BYTES).any(is_binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (signature, media_type) in SIGNATURES {
            let file = [signature, &b"\0\0\0\0"[..]].concat();
            assert_eq!(binary_type(&file), Some(*media_type));
        }
        assert_eq!(binary_type(b"RIFF\0\0\0\0WEBPVP8"), Some("image/webp"));
        assert_eq!(binary_type(b"\0\0\0\x18ftypmp42"), Some("video/mp4"));
        assert_eq!(binary_type(&[&[b'x'; 257][..], b"ustar\0"].concat()), Some("application/x-tar"));
        for text in [&b""[..], b"ID3 is a format", b"BZh", b"RIFFraff", b"<html>", b"GIF", "\u{2014}".as_bytes()] {
            assert_eq!(binary_type(text), None, "{text:?}");
        }
    }

    #[test]
    fn text() {
        assert!(
            is_text(b"a\tb\r\n\x0c\x1b[0m") && is_text("\u{17e}".as_bytes()) && is_text(b"") && is_text(b"\xff\xfea\0")
        );
        assert!(!is_text(b"a\0") && !is_text(b"\x1f\x8b"));
    }
}
