//! Where in a file its archives lie: the whole file is one, or it is a ZIP file that holds some, such as a WACZ.

use std::io::{self, ErrorKind};
use std::ops::Range;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::raw::Source;

/// Endings of archives in ZIP files. WACZ has them below `archive/`, other tools where they like.
const ARCHIVE_ENDINGS: [&str; 6] = [".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz", ".warc.wet.gz"];

/// Whether a file in a ZIP file is an archive by its name.
pub fn is_archive_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ARCHIVE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The first bytes of a ZIP file.
pub const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// Whether a file with this name that begins so, decompressed, is an archive or a ZIP file, which may hold some. ARC has
/// no signature, unless it begins with a record about itself.
///
/// ```
/// assert!(warc::begins_archive(b"\r\nWARC/1.1\r\nWARC-Type: warcinfo", "crawl"));
/// assert!(!warc::begins_archive(b"<!doctype html>", "page.html"));
/// ```
pub fn begins_archive(start: &[u8], name: &str) -> bool {
    // What stands before the first record of an archive and is none.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    let start = &start[start.iter().take_while(|byte| is_blank(byte)).count()..];
    let begins = |magic: &str| start.get(..magic.len()).is_some_and(|s| s.eq_ignore_ascii_case(magic.as_bytes()));
    let name = name.to_ascii_lowercase();
    start.starts_with(&ZIP_MAGIC)
        || begins("WARC/")
        || begins("filedesc:")
        || [".arc", ".arc.gz"].iter().any(|end| name.ends_with(end))
}

/// The archives in a ZIP file.
#[derive(Default)]
pub(super) struct ZipParts {
    /// The bytes of each, in their order in the file.
    pub(super) stored: Vec<Range<u64>>,
    /// The names of those that the ZIP file compresses once more.
    pub(super) compressed: Vec<String>,
}

/// The archives in a ZIP file, by their names in it.
///
/// A WACZ stores its archives as they are, so that a part of one can be read by its place. Places are given in the ZIP
/// file, so a record is found again without looking at the ZIP's own index.
///
/// # Errors
/// When the ZIP is damaged.
pub(super) fn archives_in_zip(source: &mut dyn Source) -> io::Result<ZipParts> {
    let damaged = |error: ZipError| io::Error::new(ErrorKind::InvalidData, format!("the ZIP file is damaged: {error}"));
    let mut zip = ZipArchive::new(source).map_err(damaged)?;
    let mut parts = ZipParts::default();
    for number in 0..zip.len() {
        let entry = zip.by_index_raw(number).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?;
        if !is_archive_name(&name) {
            continue;
        }
        let start =
            entry.data_start().filter(|_| entry.compression() == CompressionMethod::Stored && !entry.encrypted());
        match start {
            Some(start) => parts.stored.push(start..start + entry.size()),
            None => parts.compressed.push(name.into_owned()),
        }
    }
    parts.stored.sort_by_key(|part| part.start);
    Ok(parts)
}
