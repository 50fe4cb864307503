//! What a source is that none of the readers here reads, told by its first bytes, so that a message can name it.
//!
//! Two questions are asked, since one reader's text is another's fault: [`ForeignFormat::of_bytes`] knows what holds no
//! text at all, and [`ForeignFormat::of_text`] what is text, but not a record on each line.

use std::fmt;

/// Bytes at the beginning that an answer may depend on.
pub(crate) const HEAD_BYTES: usize = 4096;
/// Bytes that a message shows of a source that is nothing known.
const SHOWN_BYTES: usize = 4;
/// Of so many bytes of a text, one at most is a control character.
const TEXT_BYTES_PER_CONTROL: usize = 10;
/// Length of the header of a file in a tar archive; bytes 148 to 155 are the sum of all others.
const TAR_HEADER_BYTES: usize = 512;

macro_rules! formats {
    ($($variant:ident = $name:literal, $hint:literal;)*) => {
        /// A format that is not read here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ForeignFormat {
            $(#[doc = concat!("It is ", $name, ".")] $variant,)*
            /// It is no text, and nothing that is known here.
            Unknown {
                /// How it begins.
                first_bytes: [u8; SHOWN_BYTES],
            },
        }

        impl ForeignFormat {
            /// What to do with it, as one sentence without a full stop.
            pub fn hint(self) -> Option<&'static str> {
                match self { $(ForeignFormat::$variant => Some($hint),)* ForeignFormat::Unknown { .. } => None }
            }

            fn name(self) -> Option<&'static str> {
                match self { $(ForeignFormat::$variant => Some($name),)* ForeignFormat::Unknown { .. } => None }
            }
        }
    };
}

formats! {
    Zip = "a ZIP archive", "unpack it (unzip), and give the files that are in it";
    Tar = "a tar archive", "unpack it (tar -xf), and give the files that are in it";
    SevenZip = "a 7z archive", "unpack it (7z x), and give the files that are in it";
    Rar = "a RAR archive", "unpack it (unrar x), and give the files that are in it";
    CompressedTwice = "compressed twice", "decompress it once";
    Lz4 = "compressed with LZ4", "decompress it (lz4 -d), or compress it with zstd instead";
    Lzma = "compressed with lzip or as .lzma", "decompress it (lzip -d, xz --format=lzma -d), or compress it with zstd instead";
    Compress = "compressed with compress (.Z)", "decompress it (gzip -d), or compress it with zstd instead";
    Snappy = "compressed with Snappy", "decompress it, or compress it with zstd instead";
    Encrypted = "encrypted", "decrypt it";
    Torrent = "a torrent, which names files and does not hold them", "give it to a program for torrents, and give the files that arrive";
    GitLfsPointer = "a pointer of Git LFS to a file that is elsewhere", "fetch the file itself (git lfs pull)";
    Zeros = "nothing but zeros at its beginning", "a download that has reserved its space looks so before it is finished; download it again";
    Pdf = "a PDF document", "take its text out (pdftotext)";
    Office = "an old Office document", "save it as text or CSV";
    Image = "an image", "name a file of texts";
    Media = "audio or video", "name a file of texts";
    Program = "a program", "name a file of texts";
    ArrowIpc = "an Arrow file (Feather, IPC)", "write it as Parquet instead";
    Orc = "an ORC table", "write it as Parquet instead";
    Avro = "an Avro file", "write it as Parquet or JSON Lines instead";
    Hdf5 = "an HDF5 file", "write it as Parquet instead";
    NumPy = "a NumPy array", "write it as Parquet or JSON Lines instead";
    Pickle = "a Python pickle", "write it as Parquet or JSON Lines instead";
    Sqlite = "an SQLite database", "write the table that is meant as JSON Lines (sqlite3 -json, and jq -c '.[]')";
    DuckDb = "a DuckDB database", "write the table that is meant as Parquet (copy … to 'file.parquet')";
    Utf16 = "text in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8";
    Utf32 = "text in UTF-32", "convert it: iconv -f UTF-32 -t UTF-8";
    Warc = "an archive of web pages (WARC, ARC)", "take the texts of its pages out with webtext extract, or name it in the [pages] of a recipe";
    Html = "a web page (HTML)", "servers send one in place of a file that they do not give: look into it, and download the file again";
    Xml = "XML", "write its records as JSON Lines";
    JsonArray = "one array of JSON rather than a record on each line", "make a line of each entry: jq -c '.[]'";
    JsonDocument = "one JSON document over several lines rather than a record on each", "make a line of each record: jq -c ., or jq -c '.data[]' where they are in \"data\"";
    DelimitedTable = "a table of text (CSV, TSV)", "write it as Parquet: duckdb -c \"copy (from 'table.csv') to 'table.parquet'\"";
}

/// Beginnings that are enough to know a format by.
const BEGINNINGS: &[(&[u8], ForeignFormat)] = &[
    (b"PK\x03\x04", ForeignFormat::Zip),
    (b"PK\x05\x06", ForeignFormat::Zip),
    (b"PK\x07\x08", ForeignFormat::Zip),
    (b"7z\xbc\xaf\x27\x1c", ForeignFormat::SevenZip),
    (b"Rar!\x1a\x07", ForeignFormat::Rar),
    (b"\x1f\x8b", ForeignFormat::CompressedTwice),
    (b"\x28\xb5\x2f\xfd", ForeignFormat::CompressedTwice),
    (b"\xfd7zXZ\x00", ForeignFormat::CompressedTwice),
    (b"\x04\x22\x4d\x18", ForeignFormat::Lz4),
    (b"\x02\x21\x4c\x18", ForeignFormat::Lz4),
    (b"LZIP\x01", ForeignFormat::Lzma),
    (b"\x5d\x00\x00", ForeignFormat::Lzma),
    (b"\x1f\x9d", ForeignFormat::Compress),
    (b"\xff\x06\x00\x00sNaPpY", ForeignFormat::Snappy),
    (b"-----BEGIN PGP MESSAGE", ForeignFormat::Encrypted),
    (b"age-encryption.org/v1", ForeignFormat::Encrypted),
    (b"Salted__", ForeignFormat::Encrypted),
    (b"d8:announce", ForeignFormat::Torrent),
    (b"d10:created by", ForeignFormat::Torrent),
    (b"d13:announce-list", ForeignFormat::Torrent),
    (b"version https://git-lfs.github.com/spec/", ForeignFormat::GitLfsPointer),
    (b"WARC/1.", ForeignFormat::Warc),
    (b"WARC/0.", ForeignFormat::Warc),
    (b"filedesc://", ForeignFormat::Warc),
    (b"%PDF-", ForeignFormat::Pdf),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ForeignFormat::Office),
    (b"\x89PNG\r\n\x1a\n", ForeignFormat::Image),
    (b"\xff\xd8\xff", ForeignFormat::Image),
    (b"GIF87a", ForeignFormat::Image),
    (b"GIF89a", ForeignFormat::Image),
    (b"II*\x00", ForeignFormat::Image),
    (b"MM\x00*", ForeignFormat::Image),
    (b"ID3\x03\x00", ForeignFormat::Media),
    (b"ID3\x04\x00", ForeignFormat::Media),
    (b"OggS\x00", ForeignFormat::Media),
    (b"fLaC\x00", ForeignFormat::Media),
    (b"\x1a\x45\xdf\xa3", ForeignFormat::Media),
    (b"\x7fELF", ForeignFormat::Program),
    (b"MZ\x90\x00", ForeignFormat::Program),
    (b"\xcf\xfa\xed\xfe", ForeignFormat::Program),
    (b"ARROW1\x00\x00", ForeignFormat::ArrowIpc),
    (b"\xff\xff\xff\xff", ForeignFormat::ArrowIpc),
    (b"Obj\x01", ForeignFormat::Avro),
    (b"\x89HDF\r\n\x1a\n", ForeignFormat::Hdf5),
    (b"\x93NUMPY", ForeignFormat::NumPy),
    (b"\x80\x02", ForeignFormat::Pickle),
    (b"\x80\x03", ForeignFormat::Pickle),
    (b"\x80\x04\x95", ForeignFormat::Pickle),
    (b"\x80\x05\x95", ForeignFormat::Pickle),
    (b"SQLite format 3\x00", ForeignFormat::Sqlite),
    (b"\xff\xfe\x00\x00", ForeignFormat::Utf32),
    (b"\x00\x00\xfe\xff", ForeignFormat::Utf32),
    (b"\xff\xfe", ForeignFormat::Utf16),
    (b"\xfe\xff", ForeignFormat::Utf16),
];

/// How HTML begins, in lower case: the tags of the WHATWG standard on sniffing (§7.1) that no XML begins with.
const HTML_BEGINNINGS: [&str; 16] = [
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a ",
    "<style",
    "<title",
    "<body",
    "<br",
    "<p>",
    "<meta",
];

impl ForeignFormat {
    /// What a source is that holds no text, by its beginning; `None` if it may be text in UTF-8 or in a code page.
    ///
    /// ```
    /// use texts::ForeignFormat;
    /// assert_eq!(ForeignFormat::of_bytes(b"PK\x03\x04\x14\0"), Some(ForeignFormat::Zip));
    /// assert_eq!(ForeignFormat::of_bytes(b"The tide is out."), None);
    /// ```
    pub fn of_bytes(head: &[u8]) -> Option<ForeignFormat> {
        let head = &head[..head.len().min(HEAD_BYTES)];
        if let Some((_, format)) = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning)) {
            return Some(*format);
        }
        let at = |place: usize, bytes: &[u8]| head.get(place..).is_some_and(|rest| rest.starts_with(bytes));
        if at(0, b"BZh") && at(4, b"1AY&SY") {
            Some(ForeignFormat::CompressedTwice)
        } else if at(0, b"RIFF") && at(8, b"WEBP") {
            Some(ForeignFormat::Image)
        } else if at(4, b"ftyp") || at(0, b"RIFF") && (at(8, b"WAVE") || at(8, b"AVI ")) {
            Some(ForeignFormat::Media)
        } else if at(0, b"FEA1") && head.contains(&0) {
            Some(ForeignFormat::ArrowIpc) // letters alone may begin a text, too
        } else if at(0, b"ORC") && head.contains(&0) {
            Some(ForeignFormat::Orc)
        } else if at(8, b"DUCK") && head.contains(&0) {
            Some(ForeignFormat::DuckDb)
        } else if is_tar(head) {
            Some(ForeignFormat::Tar)
        } else if head.len() >= 16 && head.iter().all(|&byte| byte == 0) {
            Some(ForeignFormat::Zeros)
        } else if is_utf16(head) {
            Some(ForeignFormat::Utf16)
        } else {
            let mut first_bytes = [0; SHOWN_BYTES];
            let shown = head.len().min(SHOWN_BYTES);
            first_bytes[..shown].copy_from_slice(&head[..shown]);
            (!may_be_text(head)).then_some(ForeignFormat::Unknown { first_bytes })
        }
    }

    /// What a text is, by its beginning, if it is known not to hold a record on each line; `None` for JSON Lines, lists
    /// of URLs, and prose.
    ///
    /// ```
    /// use texts::ForeignFormat;
    /// assert_eq!(ForeignFormat::of_text(b"<!DOCTYPE html><title>404"), Some(ForeignFormat::Html));
    /// assert_eq!(ForeignFormat::of_text(b"url,score\nhttp://a.example/,7\n"), Some(ForeignFormat::DelimitedTable));
    /// assert_eq!(ForeignFormat::of_text(b"{\"url\": \"http://a.example/\"}\n"), None);
    /// ```
    pub fn of_text(head: &[u8]) -> Option<ForeignFormat> {
        let text = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]);
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        match text.as_bytes().first()? {
            b'<' => Some(if is_html(text) { ForeignFormat::Html } else { ForeignFormat::Xml }),
            b'[' if matches!(text[1..].trim_start().as_bytes().first(), Some(b'{' | b'"' | b'[')) => {
                is_json_array(text).then_some(ForeignFormat::JsonArray)
            }
            b'{' => is_json_document(text).then_some(ForeignFormat::JsonDocument),
            _ => is_delimited_table(text).then_some(ForeignFormat::DelimitedTable),
        }
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, ForeignFormat::Unknown { first_bytes }) => {
                f.write_str("no text: it begins with the bytes")?;
                first_bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            (None, _) => f.write_str("unknown"),
        }
    }
}

/// Whether this is the header of a file in a tar archive, of any age: its checksum is right (POSIX.1-1988, `ustar`).
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..TAR_HEADER_BYTES) else { return false };
    let digits: String = header[148..156].iter().map(|&b| char::from(b)).filter(|c| c.is_digit(8)).collect();
    let sum: u64 =
        header.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u64::from(b) }).sum();
    header[0] != 0 && u64::from_str_radix(&digits, 8).is_ok_and(|claimed| claimed == sum)
}

/// Whether this is UTF-16 without a mark: in Latin script every other byte is zero.
fn is_utf16(head: &[u8]) -> bool {
    let pairs = head.len() / 2;
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    pairs >= 4 && even.min(odd) == 0 && even.max(odd) * 2 > pairs
}

/// Whether these bytes may begin a text: no zero, and few control characters. Lines of JSON are judged one by one.
fn may_be_text(head: &[u8]) -> bool {
    if head.trim_ascii_start().starts_with(b"{") {
        return true;
    }
    let is_control = |byte: &&u8| **byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x1e);
    !head.contains(&0) && head.iter().filter(is_control).count() * TEXT_BYTES_PER_CONTROL <= head.len()
}

fn is_html(text: &str) -> bool {
    let mut text = text;
    while let Some(rest) = text.strip_prefix("<!--") {
        // A comment that does not end here is HTML as likely as XML; pages have long ones.
        let Some((_, behind)) = rest.split_once("-->") else { return true };
        text = behind.trim_start();
    }
    let begins_with = |tag: &&str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    HTML_BEGINNINGS.iter().any(begins_with)
}

/// Whether an array goes on behind its first line, or is all there is. A damaged line, or an array of its own, with a
/// record behind it is not taken for that.
fn is_json_array(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let goes_on = lines.next().is_some_and(|line| line.ends_with([',', '[', '{', ':']));
    goes_on || !lines.next().is_some_and(|line| line.starts_with('{'))
}

/// Whether an object goes on behind its first line, as programs indent it for people. A line that was cut off, with
/// whole ones behind it, is not taken for that.
fn is_json_document(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first_two = (lines.next().map(str::as_bytes), lines.next().map(str::as_bytes));
    matches!(first_two, (Some([.., b'{' | b'[']), Some(_)) | (Some([.., b',']), Some([b'"', ..])))
}

/// Whether the lines are the rows of a table: a header of names above rows with as many separators, or URLs with
/// numbers behind them.
fn is_delimited_table(text: &str) -> bool {
    // The last line may be cut off.
    let mut lines: Vec<&str> =
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::trim_end).collect();
    lines.retain(|line| !line.is_empty());
    let Some((first, others)) = lines.split_first() else { return false };
    ['\t', ',', ';', '|'].into_iter().any(|separator| {
        let count = |line: &str| line.matches(separator).count();
        let cells = |line: &str| line.split(separator).all(is_column_name);
        let is_header =
            count(first) > 0 && cells(first) && others.first().is_some_and(|row| count(row) >= count(first));
        let is_row_of_url = |line: &&str| match line.split_once(separator) {
            Some((url, rest)) => {
                url.contains("://") && (separator == '\t' || rest.split(separator).all(is_cell_of_number))
            }
            None => false,
        };
        is_header || lines.len() > 1 && (lines.iter().all(is_row_of_url) || has_column_of_numbers(&lines, separator))
    })
}

/// Whether all lines have as many cells, a URL in the first and numbers in one of the others.
fn has_column_of_numbers(lines: &[&str], separator: char) -> bool {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split(separator).collect()).collect();
    let columns = rows[0].len();
    let has_url = |row: &Vec<&str>| row.len() == columns && row[0].contains("://");
    rows.iter().all(has_url) && (1..columns).any(|column| rows.iter().all(|row| is_cell_of_number(row[column])))
}

fn is_column_name(cell: &str) -> bool {
    let name = cell.trim().trim_matches('"');
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
        && name.split_whitespace().count() <= 3
}

fn is_cell_of_number(cell: &str) -> bool {
    cell.trim().trim_matches('"').parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decompress::tests::in_every_compression;

    fn check_bytes(bytes: &[u8], expected: ForeignFormat) {
        assert_eq!(ForeignFormat::of_bytes(bytes), Some(expected), "{}", bytes.escape_ascii());
    }

    fn check_text(text: &str, expected: Option<ForeignFormat>) {
        assert_eq!(ForeignFormat::of_bytes(text.as_bytes()), None, "{text:?}");
        assert_eq!(ForeignFormat::of_text(text.as_bytes()), expected, "{text:?}");
    }

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    /// A header as `tar` writes it, in the form of 1979 without `ustar`.
    fn tar() -> Vec<u8> {
        let mut header = vec![0; TAR_HEADER_BYTES];
        header[..8].copy_from_slice(b"RS_2016\0");
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(b"00000000012\0");
        header[148..156].copy_from_slice(b"        ");
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header.extend(b"{\"url\": 1}\n");
        header
    }

    #[test]
    fn archives_and_binary_files() {
        check_bytes(b"PK\x03\x04\x14\0\0\0RS_2016-03", ForeignFormat::Zip);
        check_bytes(b"7z\xbc\xaf\x27\x1c\0\x04", ForeignFormat::SevenZip);
        check_bytes(b"Rar!\x1a\x07\x01\0", ForeignFormat::Rar);
        check_bytes(&tar(), ForeignFormat::Tar);
        check_bytes(b"%PDF-1.7\n", ForeignFormat::Pdf);
        check_bytes(b"\x89PNG\r\n\x1a\n", ForeignFormat::Image);
        check_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF", ForeignFormat::Image);
        check_bytes(b"RIFF\x24\0\0\0WEBPVP8 ", ForeignFormat::Image);
        check_bytes(b"\0\0\0\x18ftypmp42", ForeignFormat::Media);
        check_bytes(b"ARROW1\0\0\xff\xff\xff\xff", ForeignFormat::ArrowIpc);
        check_bytes(b"SQLite format 3\0\x10\0", ForeignFormat::Sqlite);
        check_bytes(b"\x93NUMPY\x01\0v\0{", ForeignFormat::NumPy);
        check_bytes(b"\x80\x04\x95\x1a\0", ForeignFormat::Pickle);
        check_bytes(&[0; 5000], ForeignFormat::Zeros);
        check_bytes(b"\x01\x02\x03\0some", ForeignFormat::Unknown { first_bytes: [1, 2, 3, 0] });
        check_bytes(b"d8:announce35:udp://tracker.example", ForeignFormat::Torrent);
        for packed in in_every_compression(b"The tide is out.").into_iter().skip(1) {
            check_bytes(&packed, ForeignFormat::CompressedTwice);
        }
    }

    #[test]
    fn text_in_another_encoding() {
        let text = "http://a.example/\r\nhttp://b.example/";
        check_bytes(&utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), ForeignFormat::Utf16);
        check_bytes(&utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), ForeignFormat::Utf16);
        check_bytes(&utf16(text, u16::to_le_bytes), ForeignFormat::Utf16);
        check_bytes(&utf16("{\"url\": \"http://a.example/\"}", u16::to_be_bytes), ForeignFormat::Utf16);
        check_bytes(b"\xff\xfe\0\0h\0\0\0", ForeignFormat::Utf32);
        // A code page is text: its bytes are judged line by line.
        assert_eq!(ForeignFormat::of_bytes(b"caf\xe9 au lait\n"), None);
    }

    #[test]
    fn pages_and_documents_of_another_form() {
        check_text("\u{feff}\n<!DOCTYPE html>", Some(ForeignFormat::Html));
        check_text("<!-- a\nb --> <HTML lang=en>", Some(ForeignFormat::Html));
        check_text("<h1>502 Bad Gateway</h1>", Some(ForeignFormat::Html));
        check_text("<?xml version=\"1.0\"?><urlset>", Some(ForeignFormat::Xml));
        check_text("<rss version=\"2.0\">", Some(ForeignFormat::Xml));
        check_text("[{\"url\": 1},\n{}]", Some(ForeignFormat::JsonArray));
        check_text("[\n  {\n    \"url\": 1", Some(ForeignFormat::JsonArray));
        check_text("[{\"url\": 1}]", Some(ForeignFormat::JsonArray));
        for damaged in ["[\"http", "[\"http://a.example/\"]", "[{\"url\": 1}]"] {
            check_text(&format!("{damaged}\n{{\"url\": 1}}\n"), None);
        }
        check_text("{\n  \"data\": [", Some(ForeignFormat::JsonDocument));
        check_text("{\"data\": [\n{\"url\": 1},\n{}]}", Some(ForeignFormat::JsonDocument));
        check_text("{\"url\": 1,\n \"score\": 2}\n", Some(ForeignFormat::JsonDocument));
    }

    #[test]
    fn tables_of_text() {
        for table in [
            "url,score\nhttp://a.example/,7\n",
            "\"url\";\"score\"\r\n\"http://a.example/\";7\r\n",
            "score\turl\n7\thttp://a.example/\n",
            "http://a.example/,7\nhttp://b.example/,8\n",
            "http://a.example/;5;a title\nhttp://b.example/;6;another\n",
            "http://a.example/\ta title\nhttp://b.example/\tanother\n",
        ] {
            check_text(table, Some(ForeignFormat::DelimitedTable));
        }
        for other in
            ["http://a.example/x,7\n", "http://a.example/x,y\nhttp://b.example/x,y\n", "url\nhttp://a.example/\n"]
        {
            check_text(other, None);
        }
    }

    #[test]
    fn what_has_a_record_on_each_line_is_not_foreign() {
        for text in [
            "",
            "\n \n",
            "{\"url\": \"http://a.example/\"}\n{\"url\": 1}\n",
            "{\"url\": \"cut off\n{\"url\": 1}\n",
            "{}\n",
            "{\"a\": [",
            "{\"a\": \"\u{1}\0\"}",
            "http://a.example/\nhttp://b.example/?x,y\n",
            "The tide is out.\nThe boats lie on the sand.\n",
            "[1] A note",
            "PKG is no archive",
            "BZh is no archive",
        ] {
            check_text(text, None);
        }
    }

    #[test]
    fn a_message_names_it() {
        assert_eq!(ForeignFormat::Zip.to_string(), "a ZIP archive");
        assert!(ForeignFormat::Zip.hint().is_some_and(|hint| hint.contains("unzip")));
        let unknown = ForeignFormat::of_bytes(b"\x1a\x01\0\x02more").unwrap();
        assert_eq!(unknown.to_string(), "no text: it begins with the bytes 1a 01 00 02");
    }

    proptest! {
        #[test]
        fn any_beginning_is_judged(bytes: Vec<u8>, text in "[\\[{<\",a:/\n ]{0,40}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = (ForeignFormat::of_bytes(bytes), ForeignFormat::of_text(bytes));
            }
        }
    }
}
