//! The rows of the ledger's tables. A field's documentation is the column's.
//!
//! `verdict` is `None` for what was kept and the [`Reason`]'s name for what was dropped.

use serde::{Deserialize, Serialize};

use crate::Reason;

/// One link: all submissions of one duplicate key. Table `links/*.parquet`, sorted by domain and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Registrable domain, `example.co.uk`; empty for URLs without one.
    pub domain: String,
    /// Duplicate key (SURT): `uk,co,example)/path?query`. For a malformed URL, the URL itself.
    pub key: String,
    /// The URL to fetch.
    pub url: String,
    /// Score by the recipe's policy: the highest of a submission, or the sum.
    pub karma: i64,
    /// Submissions of this link.
    pub submissions: u32,
    /// Subreddit of the submission that decides.
    pub subreddit: Option<String>,
    /// Title that the submission that decides gave to the link.
    pub title: Option<String>,
    /// Seconds since 1970 (UTC) of the earliest submission.
    pub created_utc: Option<i64>,
    /// Where the submission that decides stands: `RS_2016-03.zst:17`, the line counted from 1.
    pub source: String,
    /// Why the link was dropped, if it was.
    pub verdict: Option<Reason>,
}

/// What became of one link or capture. Table `pages/outcomes-*.parquet`, sorted by domain and key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Registrable domain.
    pub domain: String,
    /// Duplicate key of the link, or of the capture when no link asked for it.
    pub key: String,
    /// The URL of the link.
    pub url: String,
    /// The URL that answered, after redirects.
    pub final_url: Option<String>,
    /// HTTP status of the final response.
    pub status: Option<u16>,
    /// Content type as the response names it.
    pub content_type: Option<String>,
    /// Time of the capture, as the archive writes it.
    pub captured: Option<String>,
    /// The WARC file: relative to the run when the run wrote it.
    pub warc: Option<String>,
    /// Offset of the record (its gzip member) in that file.
    pub offset: Option<u64>,
    /// What exactly went wrong, for `explain`.
    pub detail: Option<String>,
    /// Why there is no page, if there is none.
    pub verdict: Option<Reason>,
}

/// The text of one page. Table `documents/*.parquet`, in the order of the archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// 32 hexadecimal digits made from `key`.
    pub id: String,
    /// Duplicate key of the link.
    pub key: String,
    /// URL of the link.
    pub url: String,
    /// Registrable domain.
    pub domain: String,
    /// Karma of the link; none when no link led here.
    pub karma: Option<i64>,
    /// Subreddit of the link.
    pub subreddit: Option<String>,
    /// Title of the page.
    pub title: Option<String>,
    /// Author, as the page names one.
    pub author: Option<String>,
    /// Day of publication, `YYYY-MM-DD`, as the page gives it.
    pub date: Option<String>,
    /// What the page is: `article`, `forum`, `product`, `documentation`, `listing` or `other`; empty when it was
    /// not read.
    pub kind: String,
    /// Main text; paragraphs are separated by blank lines. Kept for dropped documents, too.
    pub text: String,
    /// ISO 639-3 code of the language.
    pub language: Option<String>,
    /// Confidence of the language, 0 to 1.
    pub language_confidence: Option<f32>,
    /// Words in the text.
    pub words: u64,
    /// Name of the charset that the page was decoded with.
    pub charset: String,
    /// U+FFFD in the text: bytes that the charset did not know.
    pub replacement_chars: u64,
    /// Bytes of HTML.
    pub html_bytes: u64,
    /// XXH3-64 of the normalised text, in hexadecimal.
    pub text_hash: String,
    /// The WARC file that the page came from.
    pub warc: String,
    /// Offset of the record in it.
    pub offset: u64,
    /// What exactly led to the verdict.
    pub detail: Option<String>,
    /// Why the document was dropped, if it was.
    pub verdict: Option<Reason>,
}

/// A document that another one represents. Table `duplicates/*.parquet`, sorted by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The dropped document.
    pub id: String,
    /// Its URL's duplicate key.
    pub key: String,
    /// The document that stands for the cluster.
    pub representative_id: String,
    /// Its URL's duplicate key.
    pub representative_key: String,
    /// The neighbour by which this document came into the cluster.
    pub similar_to: String,
    /// Jaccard similarity of the word shingles to that neighbour: 1 for exact duplicates.
    pub jaccard: f32,
    /// `exact_duplicate` or `near_duplicate`.
    pub verdict: Reason,
}
