//! Pages out of files, folders, archives and standard input, each with where it is from. What a file is, its bytes say.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Context;
use console::count;
use extract::Charset;
use warc::http::{Media, binary_type, media};
use warc::{Event, Kind, NoCapture, ReadError, Reader, Record, begins_archive};

use super::zip_pages::ZipPages;

/// Larger pages, in bytes, are reported as unreadable.
pub(super) const MAX_PAGE_BYTES: u64 = 64 << 20;
/// Bytes at the start of a file by which it is recognised.
const START_BYTES: u64 = 1 << 10;
/// Text has at most one control character in so many.
const MIN_BYTES_PER_ODD: usize = 50;

/// A page that is to be extracted.
pub(super) struct InputPage {
    /// What its file of output is named after.
    pub(super) stem: String,
    pub(super) source: Source,
    pub(super) content: Content,
}

/// What an input holds.
pub(super) enum Content {
    Html {
        bytes: Vec<u8>,
        content_type: Option<String>,
        /// The charset that it is in, if that is known for certain.
        charset: Option<Charset>,
    },
    /// Plain text that was made from a page, as WET archives have it.
    Text(String),
}

/// Where a page is from.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) file: String,
    pub(super) url: Option<String>,
    pub(super) record_id: Option<String>,
}

/// What files and standard input are said to be.
#[derive(Clone, Copy, Default)]
pub(super) struct Said<'a> {
    /// A hint, which the bytes may disprove.
    pub(super) content_type: Option<&'a str>,
    pub(super) charset: Option<Charset>,
}

/// What could not be read, and why.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) what: String,
    pub(super) error: String,
}

pub(super) type Found = Result<InputPage, Unreadable>;

/// Calls `each` with every page of the inputs, in their order, and with what cannot be read.
///
/// # Errors
/// Those of `each`; a folder that cannot be listed.
pub(super) fn each_page(
    inputs: &[PathBuf],
    said: Said,
    each: &mut dyn FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut pages = Pages { said, each };
    for input in inputs {
        if input.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
            pages.bytes("-", "stdin", bytes)?;
        } else if input.is_dir() {
            let (files, others) = pages_below(input)?;
            files.iter().try_for_each(|path| pages.file(path))?;
            if files.is_empty() || !others.is_empty() {
                tracing::warn!(
                    "{}: {} by name or content; left out: {}{}",
                    input.display(),
                    count(files.len() as u64, "page file"),
                    count(others.len() as u64, "file"),
                    others.first().map(|other| format!(", such as {}", other.display())).unwrap_or_default()
                );
            }
        } else {
            pages.file(input)?;
        }
    }
    Ok(())
}

struct Pages<'a> {
    said: Said<'a>,
    each: &'a mut dyn FnMut(Found) -> anyhow::Result<()>,
}

impl Pages<'_> {
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.to_string_lossy();
        tracing::debug!("reading {name}");
        let opened = File::open(path).and_then(|file| start_of(file).map(|start| begins_archive(&start, &name)));
        match opened {
            Err(error) => self.unreadable(&name, &error),
            Ok(true) => match File::open(path).ok().and_then(|file| ZipPages::open(BufReader::new(file))) {
                Some(zip) => self.zip(&name, zip),
                None => self.archive(&name, Reader::open(path, MAX_PAGE_BYTES)),
            },
            Ok(false) => match File::open(path) {
                Ok(file) => self.page(&name, &path.file_stem().unwrap_or_default().to_string_lossy(), file),
                Err(error) => self.unreadable(&name, &error),
            },
        }
    }

    /// What came over a pipe.
    fn bytes(&mut self, name: &str, stem: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        match start_of(Cursor::new(bytes.clone())) {
            Err(error) => self.unreadable(name, &error),
            Ok(start) if begins_archive(&start, name) => match ZipPages::open(Cursor::new(&bytes)) {
                Some(zip) => self.zip(name, zip),
                None => self.archive(name, Reader::new(Cursor::new(bytes), name.to_owned(), MAX_PAGE_BYTES)),
            },
            Ok(_) => self.page(name, stem, Cursor::new(bytes)),
        }
    }

    /// A file that is one page, compressed or not.
    fn page(&mut self, name: &str, stem: &str, source: impl Read + Send + 'static) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let limited = texts::decompress_exactly(source).map(|reader| reader.take(MAX_PAGE_BYTES + 1));
        if let Err(error) = limited.and_then(|mut reader| reader.read_to_end(&mut bytes)) {
            return self.unreadable(name, &error);
        }
        if bytes.len() as u64 > MAX_PAGE_BYTES {
            return self.unreadable(name, &format!("it has more than {} MiB", MAX_PAGE_BYTES >> 20));
        }
        if let Some(what) = not_html(&bytes, self.said) {
            return self.unreadable(name, &format!("it is no page but {what}"));
        }
        let Said { content_type, charset } = self.said;
        let content = Content::Html { bytes, content_type: content_type.map(str::to_owned), charset };
        let source = Source { file: name.to_owned(), ..Source::default() };
        (self.each)(Ok(InputPage { stem: stem.to_owned(), source, content }))
    }

    /// The pages in a ZIP file. Pictures and styles beside them are no pages and are not named.
    fn zip<R: Read + Seek>(&mut self, name: &str, mut zip: ZipPages<R>) -> anyhow::Result<()> {
        let mut pages = 0;
        for (inner, bytes) in zip.files(MAX_PAGE_BYTES) {
            let name = format!("{name}/{inner}");
            match bytes {
                Err(error) => self.unreadable(&name, &error)?,
                Ok(bytes) if is_named_html(Path::new(&inner)) || media(None, &bytes) == Media::Html => {
                    pages += 1;
                    let stem = Path::new(&inner).file_stem().unwrap_or_default().to_string_lossy();
                    self.page(&name, &stem, Cursor::new(bytes))?;
                }
                Ok(_) => {}
            }
        }
        if pages == 0 {
            self.unreadable(name, &"neither a page nor an archive is in the ZIP file")?;
        }
        Ok(())
    }

    fn archive(&mut self, name: &str, reader: Result<Reader, ReadError>) -> anyhow::Result<()> {
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(error) => return self.unreadable(&error.archive, &error.source),
        };
        let file_name = Path::new(name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut number = 0;
        loop {
            let record = match reader.next() {
                Ok(None) if number == 0 => {
                    tracing::warn!("{name}: no page is in the archive");
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                Ok(Some(Event::Record(record))) => record,
                Ok(Some(Event::Malformed { location, fault })) => {
                    self.unreadable(&format!("{name} at {location}"), &fault)?;
                    continue;
                }
                Err(error) => return self.unreadable(&error.archive, &error.source),
            };
            if let Some(fault) = record.fault() {
                self.unreadable(&format!("{name} at {}", record.location), &fault)?;
            }
            let Some(content) = page_of(&record) else { continue };
            number += 1;
            let source = Source {
                file: name.to_owned(),
                url: record.target().map(str::to_owned),
                record_id: record.header("WARC-Record-ID").map(str::to_owned),
            };
            let stem = format!("{file_name}-{number:06}");
            match content {
                Ok(content) => (self.each)(Ok(InputPage { stem, source, content }))?,
                Err(error) => self.unreadable(record.target().unwrap_or("a page without a URL"), &error)?,
            }
        }
    }

    fn unreadable(&mut self, what: &str, error: &dyn std::fmt::Display) -> anyhow::Result<()> {
        (self.each)(Err(Unreadable { what: what.to_owned(), error: error.to_string() }))
    }
}

/// The first bytes of a file, decompressed; those of a ZIP file as they are.
fn start_of(source: impl Read + Send + 'static) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    // Damage is found again by whoever reads the whole.
    let _ = texts::decompress_exactly(source)?.take(START_BYTES).read_to_end(&mut start);
    Ok(start)
}

/// What bytes are that are certainly no page. UTF-32 is refused by whoever extracts it.
fn not_html(bytes: &[u8], said: Said) -> Option<&'static str> {
    if extract::charset::is_utf32(bytes) {
        return None;
    }
    if let Some(media_type) = binary_type(bytes) {
        return Some(media_type);
    }
    // Pages have stray control characters, and UTF-16 has zeros.
    let start = &bytes[..bytes.len().min(START_BYTES as usize)];
    let is_odd = |byte: &&u8| matches!(byte, 1..=8 | 0xb | 0xe..=0x1a | 0x1c..=0x1f | 0x7f);
    if start.iter().filter(is_odd).count() * MIN_BYTES_PER_ODD > start.len() && !is_text(bytes, said) {
        return Some("binary data");
    }
    if has_foreign_root(bytes) {
        return Some("XML that is no page");
    }
    let is_json = bytes.trim_ascii_start().starts_with(b"{") || bytes.trim_ascii_start().starts_with(b"[");
    // JSON Lines are several values; the first two tell.
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>().take(2);
    (is_json && values.all(|value| value.is_ok())).then_some("JSON")
}

/// Whether bytes are text by the charset in which they are extracted: the letters of UTF-16 and the shifts of ISO-2022
/// look like control characters.
fn is_text(bytes: &[u8], said: Said) -> bool {
    let decoded = match said.charset {
        Some(charset) => charset.decode(bytes),
        None => extract::charset::decode(bytes, said.content_type),
    };
    let start = || decoded.text.chars().take(START_BYTES as usize);
    let is_odd = |c: &char| *c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace();
    start().filter(is_odd).count() * MIN_BYTES_PER_ODD <= start().count()
}

/// Whether the first element is the root of a feed, a site map, a drawing or another document that no browser shows as a
/// page.
fn has_foreign_root(bytes: &[u8]) -> bool {
    const ROOTS: [&[u8]; 9] =
        [b"rss", b"feed", b"rdf:rdf", b"urlset", b"sitemapindex", b"svg", b"opml", b"xsl:stylesheet", b"plist"];
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    // The XML declaration, comments and the document type come before.
    while rest.starts_with(b"<?") || rest.starts_with(b"<!") {
        let is_of_page = rest.get(..14).is_some_and(|start| start.eq_ignore_ascii_case(b"<!doctype html"));
        let end: &[u8] = if rest.starts_with(b"<!--") { b"-->" } else { b">" };
        if is_of_page {
            return false;
        }
        let Some(at) = memchr::memmem::find(rest, end) else { return false };
        rest = rest[at + end.len()..].trim_ascii_start();
    }
    let Some(tag) = rest.strip_prefix(b"<") else { return false };
    let name_len = tag.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-')).count();
    ROOTS.contains(&&*tag[..name_len].to_ascii_lowercase())
}

/// Whether nothing in a text could be a tag, whatever its charset.
pub(super) fn has_no_tag(bytes: &[u8]) -> bool {
    let is_tag = |at: usize| {
        bytes[at + 1..]
            .iter()
            .find(|&&byte| byte != 0)
            .is_some_and(|&byte| byte.is_ascii_alphabetic() || matches!(byte, b'!' | b'/' | b'?'))
    };
    !memchr::memchr_iter(b'<', bytes).any(is_tag)
}

/// The page or the text that a record holds, if it holds one.
fn page_of(record: &Record) -> Option<Result<Content, String>> {
    let capture = match record.capture() {
        Err(fault @ NoCapture::MalformedHttp) => return Some(Err(format!("{fault} at {}", record.location))),
        capture => capture.ok()?,
    };
    if capture.status.is_some_and(|status| status != 200) {
        return None;
    }
    let is_text = capture.media == Media::Text && record.kind == Kind::Conversion;
    if !is_text && capture.media != Media::Html {
        return None;
    }
    let content = |body: Cow<'_, [u8]>| match is_text {
        true => Content::Text(String::from_utf8_lossy(&body).trim_end().to_owned()),
        false => Content::Html { bytes: body.into_owned(), content_type: capture.content_type.clone(), charset: None },
    };
    Some(capture.body(MAX_PAGE_BYTES).map(content).map_err(|error| error.to_string()))
}

/// The pages and archives in a folder and below it, and its other files, both by path. A file that is not named as
/// HTML is one by its content. A folder that is reached by several symbolic links is read once.
pub(super) fn pages_below(folder: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_path_buf()];
    let mut seen = HashSet::new();
    while let Some(at) = folders.pop() {
        let entries = at.canonicalize().and_then(|real| Ok((real, std::fs::read_dir(&at)?)));
        let (real, entries) = entries.with_context(|| format!("cannot list {}", at.display()))?;
        if !seen.insert(real) {
            continue;
        }
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", at.display()))?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if is_named_html(&path) || holds_page(&path) => files.push(path),
                false => others.push(path),
            }
        }
    }
    files.sort();
    others.sort();
    Ok((files, others))
}

fn is_named_html(path: &Path) -> bool {
    const ENDS: [&str; 4] = ["html", "htm", "xhtml", "shtml"];
    path.extension().is_some_and(|end| ENDS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// Whether a file is an archive or a page by its first bytes.
fn holds_page(path: &Path) -> bool {
    let start = File::open(path).and_then(start_of).unwrap_or_default();
    begins_archive(&start, &path.to_string_lossy()) || media(None, &start) == Media::Html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_and_drawings_are_no_pages() {
        for start in [
            "<?xml version='1.0'?>\n<!-- a > b --><rss version='2.0'>",
            "\u{feff}<feed xmlns='http://www.w3.org/2005/Atom'>",
            "<?xml version='1.0'?><!DOCTYPE svg PUBLIC 'a' 'b'><svg>",
            "<urlset>",
        ] {
            assert_eq!(not_html(start.as_bytes(), Said::default()), Some("XML that is no page"), "{start}");
        }
        for start in
            ["<?xml version='1.0'?><html>", "<!doctype html><svg></svg><p>x", "<feedback>", "<p>x", "<!--", "<?xml"]
        {
            assert_eq!(not_html(start.as_bytes(), Said::default()), None, "{start}");
        }
    }

    #[test]
    fn charsets_that_look_like_binary_data() {
        let check = |bytes: &[u8], label: Option<&str>, expected: Option<&str>| {
            let charset = label.map(|label| Charset::for_label(label).unwrap());
            assert_eq!(not_html(bytes, Said { charset, ..Said::default() }), expected, "{label:?} {bytes:?}");
        };
        let of_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let korean = b"<meta charset=iso-2022-kr><p>\x1b$)C\x0e5n4kAv1b@G\x0f \x0eA}@:\x0f \x0e5n:R@L\x0f.";
        for label in [None, Some("iso-2022-kr")] {
            check(korean, label, None);
        }
        check(b"<p>\x1b$)A\x0eVPND\x0f \x0eVPND\x0f", None, None);
        check(b"<p>\x0e5n4kAv1b@G\x0f \x0eA}@:\x0f", None, Some("binary data"));
        check(b"<p>\x0e5n4kAv1b@G\x0f \x0eA}@:\x0f", Some("iso-2022-kr"), None);
        check(&of_16("<p>一开始，港口的旧钟停了很多年，最近开始走。</p>"), None, None);
        // Without a tag only who knows the charset can say so.
        let cyrillic = of_16("Паром ходил между берегами каждое утро.");
        check(&cyrillic, None, Some("binary data"));
        check(&cyrillic, Some("utf-16le"), None);
        let noise: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for label in [None, Some("gbk"), Some("windows-1251"), Some("utf-16be")] {
            check(&noise, label, Some("binary data"));
        }
    }
}
