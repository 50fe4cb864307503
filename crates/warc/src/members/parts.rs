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

pub(super) const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// The bytes of the archives in a ZIP file, in their order in it; none if it holds no archive by name.
///
/// A WACZ stores its archives as they are, so that a part of one can be read by its place. Places are given in the ZIP
/// file, so a record is found again without looking at the ZIP's own index.
///
/// # Errors
/// When the ZIP is damaged, or when an archive in it is compressed once more: then no record in it has a place.
pub(super) fn archives_in_zip(source: &mut dyn Source) -> io::Result<Vec<Range<u64>>> {
    let invalid = |what: String| io::Error::new(ErrorKind::InvalidData, what);
    let damaged = |error: ZipError| invalid(format!("the ZIP file is damaged: {error}"));
    let mut zip = ZipArchive::new(source).map_err(damaged)?;
    let mut parts = Vec::new();
    for number in 0..zip.len() {
        let entry = zip.by_index_raw(number).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?;
        if !is_archive_name(&name) {
            continue;
        }
        let start =
            entry.data_start().filter(|_| entry.compression() == CompressionMethod::Stored && !entry.encrypted());
        let Some(start) = start else {
            return Err(invalid(format!("{name} in the ZIP file is compressed once more; take it out of it")));
        };
        parts.push(start..start + entry.size());
    }
    parts.sort_by_key(|part| part.start);
    Ok(parts)
}
