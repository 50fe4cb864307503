//! The capture in a record of an archive: which page, when, and whether it can be read.

use crate::error::Result;
use ::links::{Canonical, CanonicalRules};
use ::warc::http::Media;
use ::warc::{Kind, NoCapture, Record};
use records::{PageKey, Reason};
use serde::{Deserialize, Serialize};

/// Header field with the file that a record was packed from.
pub(super) const FILE_HEADER: &str = "WARC-Webtext-File";

/// Whether a page is HTML or plain text. The source decides it, not extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) enum PageForm {
    /// HTML, out of which the main text is taken.
    Html,
    /// Plain text, which is taken as it is.
    Text,
}

/// Where the content of a capture comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Origin {
    /// Its own record.
    Itself,
    /// The capture that a revisit means; or none, if none was found. The place of the revisit itself: archive, offset and
    /// offset in the member.
    Revisit(String, u64, u64),
    /// The page that a redirect leads to, which has this capture as its own.
    Redirect,
}

/// A response in an archive, on its way to its bucket; sorted by page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Capture {
    pub(super) page: PageKey,
    /// Why the record holds no readable page, if so.
    pub(super) verdict: Option<Reason>,
    pub(super) archive: String,
    pub(super) offset: u64,
    pub(super) offset_in_member: u64,
    pub(super) url: String,
    pub(super) status: Option<u16>,
    pub(super) content_type: Option<String>,
    /// The time of the capture as the archive writes it, and in seconds since 1970.
    pub(super) captured: Option<String>,
    pub(super) captured_utc: Option<i64>,
    /// The file that the page was made from.
    pub(super) file: Option<String>,
    pub(super) form: PageForm,
    pub(super) origin: Origin,
}

store::spill_rows!(Capture = 3);

/// The capture in a record, with its own verdict; or why the record holds none.
pub(super) fn capture(record: &Record, archive: &str, canonical: &CanonicalRules) -> Result<Capture, Reason> {
    let found = record.capture().map_err(|error| match error {
        NoCapture::Revisit => Reason::Revisit,
        NoCapture::NotAResponse => Reason::NotAResponse,
        _ => Reason::MalformedPage,
    })?;
    let file = record.header(FILE_HEADER).map(str::to_owned);
    // Plain text is a page only if the recipe gave it as one, or if it was made from one, as in WET archives.
    let is_given_as_text = file.is_some() || record.kind == Kind::Conversion;
    let (is_readable, form) = match found.media {
        Media::Html => (true, PageForm::Html),
        Media::Text => (is_given_as_text, PageForm::Text),
        Media::Other => (false, PageForm::Html),
    };
    let verdict = match found.status {
        Some(status) if status != 200 => Some(Reason::HttpStatus),
        _ if !is_readable => Some(Reason::NotHtml),
        // The rest of a page that was written in segments is in other records.
        _ if record.is_cut() || record.segment().is_some() => Some(Reason::PageTooLarge),
        _ => None,
    };
    let located = located(record, archive, canonical)?;
    // A file has no time of capture; its record is dated only because every record must be.
    let captured = located.captured.filter(|_| file.is_none());
    let captured_utc = located.captured_utc.filter(|_| file.is_none());
    let ::warc::Capture { status, content_type, .. } = found;
    Ok(Capture { verdict, status, content_type, captured, captured_utc, file, form, ..located })
}

/// The page, the time and the place of a record, as if it held nothing: a revisit until it is resolved.
pub(super) fn located(record: &Record, archive: &str, canonical: &CanonicalRules) -> Result<Capture, Reason> {
    let target = record.target().ok_or(Reason::MalformedPage)?;
    let (page, url) = page_of(target, canonical).ok_or(Reason::NotAResponse)?;
    let captured = record.header("WARC-Date").map(str::to_owned);
    Ok(Capture {
        page,
        verdict: Some(Reason::Revisit),
        archive: archive.to_owned(),
        offset: record.location.offset,
        offset_in_member: record.location.offset_in_member,
        url,
        status: None,
        content_type: None,
        captured_utc: captured.as_deref().and_then(::warc::unix_seconds),
        captured,
        file: None,
        form: PageForm::Html,
        origin: Origin::Itself,
    })
}

/// Whether a page has no URL but a file's name.
pub(super) fn is_file(page: &PageKey) -> bool {
    page.domain.is_empty() && page.key.starts_with("file)/")
}

/// The page of an archive's URL, and the URL in canonical form; `None` for a target that is not a page (`dns:`,
/// `urn:`).
pub(in crate::stages) fn page_of(target: &str, canonical: &CanonicalRules) -> Option<(PageKey, String)> {
    if let Some(path) = target.strip_prefix("file:///") {
        return Some((PageKey { domain: String::new(), key: format!("file)/{path}") }, target.to_owned()));
    }
    let canonical = Canonical::parse_with(target, canonical).ok()?;
    Some((PageKey { domain: canonical.domain, key: canonical.key }, canonical.url))
}
