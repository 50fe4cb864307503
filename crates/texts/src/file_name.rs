//! Format and compression by a file's name, for readers and writers that go by names. Case does not matter.

use std::path::Path;

use crate::Error;

/// The form of a file of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// An object of JSON on each line: `.jsonl`, `.ndjson`, `.json`.
    JsonLines,
    /// A table: `.parquet`.
    Parquet,
    /// Any other name.
    PlainText,
}

/// How a file is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `.gz`.
    Gzip,
    /// `.zst`.
    Zstd,
    /// `.xz`.
    Xz,
    /// `.bz2`.
    Bzip2,
}

const COMPRESSIONS: [(&str, Compression); 4] =
    [(".gz", Compression::Gzip), (".zst", Compression::Zstd), (".xz", Compression::Xz), (".bz2", Compression::Bzip2)];

const FORMATS: [(&str, TextFormat); 4] = [
    (".jsonl", TextFormat::JsonLines),
    (".ndjson", TextFormat::JsonLines),
    (".json", TextFormat::JsonLines),
    (".parquet", TextFormat::Parquet),
];

impl TextFormat {
    /// The form that a name ends in, before the ending of a compression.
    ///
    /// ```
    /// use std::path::Path;
    /// use texts::TextFormat;
    /// assert_eq!(TextFormat::of_name(Path::new("a.JSONL.zst")), TextFormat::JsonLines);
    /// assert_eq!(TextFormat::of_name(Path::new("a.txt.gz")), TextFormat::PlainText);
    /// ```
    pub fn of_name(path: &Path) -> TextFormat {
        let name = lower_case(path);
        let name = COMPRESSIONS.iter().find_map(|(ending, _)| name.strip_suffix(ending)).unwrap_or(&name);
        let found = FORMATS.iter().find(|(ending, _)| name.ends_with(ending));
        found.map_or(TextFormat::PlainText, |&(_, format)| format)
    }
}

impl Compression {
    /// The compression that a name ends in. It decides how a file is written; how one is read is decided by its
    /// content, see [`decompress`](crate::decompress()).
    pub fn of_name(path: &Path) -> Option<Compression> {
        let name = lower_case(path);
        COMPRESSIONS.iter().find(|(ending, _)| name.ends_with(ending)).map(|&(_, compression)| compression)
    }
}

/// Checks that a file of no bytes does not end in `.parquet` or a compression: even of no text, such a file has some. What
/// writes or downloads a file often makes it empty first.
///
/// # Errors
/// [`Error::NoHeader`].
///
/// ```
/// use std::path::Path;
/// assert!(texts::check_header(Path::new("a.jsonl.gz"), 0).is_err());
/// assert!(texts::check_header(Path::new("a.jsonl"), 0).is_ok());
/// ```
pub fn check_header(path: &Path, len_bytes: u64) -> Result<(), Error> {
    let has_header = TextFormat::of_name(path) == TextFormat::Parquet || Compression::of_name(path).is_some();
    if has_header && len_bytes == 0 { Err(Error::NoHeader) } else { Ok(()) }
}

fn lower_case(path: &Path) -> String {
    path.to_string_lossy().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, format: TextFormat, compression: Option<Compression>) {
        let path = Path::new(name);
        assert_eq!((TextFormat::of_name(path), Compression::of_name(path)), (format, compression), "{name}");
    }

    #[test]
    fn names() {
        check("a.jsonl", TextFormat::JsonLines, None);
        check("folder.parquet/A.NDJSON.ZST", TextFormat::JsonLines, Some(Compression::Zstd));
        check("a.json.gz", TextFormat::JsonLines, Some(Compression::Gzip));
        check("a.Parquet", TextFormat::Parquet, None);
        check("a.parquet.xz", TextFormat::Parquet, Some(Compression::Xz));
        check("a.txt.bz2", TextFormat::PlainText, Some(Compression::Bzip2));
        check("jsonl", TextFormat::PlainText, None);
        check("-", TextFormat::PlainText, None);
    }
}
