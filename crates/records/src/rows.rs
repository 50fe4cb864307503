//! The rows of the store's tables. A field's documentation is the column's.
//!
//! `verdict` is `None` for what was kept and the [`Reason`]'s name for what was dropped.

use serde::{Deserialize, Serialize};

use crate::Reason;

/// Identifies a page in links, captures and documents.
///
/// Tables have a column for each of its fields; rows between stages hold it as one value. All tables of links and
/// outcomes are sorted by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PageKey {
    /// Registrable domain, `example.co.uk`; empty for addresses without one.
    pub domain: String,
    /// Duplicate key (SURT): `uk,co,example)/path?query`.
    pub key: String,
}

impl PageKey {
    /// The bytes whose hash chooses a bucket: all pages of a domain share one, so that only one task sends requests to
    /// it.
    pub fn bucket_bytes(&self) -> &[u8] {
        if self.domain.is_empty() { self.key.as_bytes() } else { self.domain.as_bytes() }
    }
}

/// One link: all submissions of one duplicate key. Table `links/*.parquet`, sorted by domain and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Registrable domain, `example.co.uk`; empty for URLs without one.
    pub domain: String,
    /// Duplicate key (SURT): `uk,co,example)/path?query`. For a malformed URL, the URL itself.
    pub key: String,
    /// The URL to fetch.
    pub url: String,
    /// Score by the recipe's policy: the highest of a submission, or the sum; none where no submission has one.
    pub karma: Option<i64>,
    /// Submissions of this link.
    pub submissions: u32,
    /// Subreddit of the submission that decides.
    pub subreddit: Option<String>,
    /// Title that the submission that decides gave to the link.
    pub title: Option<String>,
    /// Seconds since 1970 (UTC) of the earliest submission.
    pub created_utc: Option<i64>,
    /// Place of the submission that decides: `RS_2016-03.zst:17`, the line counted from 1.
    pub source: String,
    /// Why the link was dropped, if it was.
    pub verdict: Option<Reason>,
}

/// Which of several captures of a page is taken. The order of records in an archive never decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CaptureChoice {
    /// The first one in time.
    #[default]
    Earliest,
    /// The last one in time.
    Latest,
    /// The one nearest in time to the link's earliest submission; the first where that is not known.
    Nearest,
}

impl CaptureChoice {
    /// Sort key of a capture: the one with the smallest is taken. Times are of one unit, since 1970 (UTC); a capture without
    /// a time comes last.
    ///
    /// ```
    /// use records::CaptureChoice::{Earliest, Latest, Nearest};
    /// let best = |choice: records::CaptureChoice| {
    ///     [100, 200, 900].into_iter().min_by_key(|&time| choice.distance(Some(time), Some(230))).unwrap()
    /// };
    /// assert_eq!([best(Earliest), best(Latest), best(Nearest)], [100, 900, 200]);
    /// ```
    pub fn distance(self, captured_utc: Option<i64>, created_utc: Option<i64>) -> u64 {
        let Some(captured) = captured_utc else { return u64::MAX };
        // Moves the number line so that the order of i64 becomes that of u64.
        let from_the_first = (captured as u64) ^ (1 << 63);
        match (self, created_utc) {
            (CaptureChoice::Latest, _) => !from_the_first,
            (CaptureChoice::Nearest, Some(created)) => captured.abs_diff(created),
            (CaptureChoice::Earliest | CaptureChoice::Nearest, _) => from_the_first,
        }
    }
}

impl Link {
    /// The page that the link leads to.
    pub fn page(&self) -> PageKey {
        PageKey { domain: self.domain.clone(), key: self.key.clone() }
    }

    /// Whether the link sorts after another, by domain, then by key.
    pub fn is_behind(&self, other: &Link) -> bool {
        (&self.domain, &self.key) > (&other.domain, &other.key)
    }

    /// The outcome of this link where there is no page for it.
    pub fn without_page(&self, verdict: Reason, detail: Option<String>) -> Outcome {
        Outcome {
            domain: self.domain.clone(),
            key: self.key.clone(),
            url: self.url.clone(),
            final_url: None,
            status: None,
            content_type: None,
            captured: None,
            warc: None,
            offset: None,
            detail,
            verdict: Some(verdict),
        }
    }
}

/// The outcome of one link or capture. Table `pages/outcomes-*.parquet`, sorted by domain and key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Registrable domain.
    pub domain: String,
    /// Duplicate key of the link, or of the capture when no link leads to it.
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

/// The text of one page, and what the page says of itself. Table `documents/text/*.parquet`, in the order of the
/// archives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentText {
    /// 32 hexadecimal digits made from `key`.
    pub id: String,
    /// Duplicate key of the page's address.
    pub key: String,
    /// The URL that answered.
    pub url: String,
    /// Registrable domain.
    pub domain: String,
    /// Time of the capture, RFC 3339 in UTC; none where the archive has none.
    pub captured: Option<String>,
    /// Title of the page.
    pub title: Option<String>,
    /// What the page says of its site, a line each: the whole `<title>` where `title` leaves a part of it out, the names
    /// of the site, and what stands below the titles of wikis.
    pub site: Option<String>,
    /// All authors that the page names, joined by `; `.
    pub author: Option<String>,
    /// Day of publication, `YYYY-MM-DD`, as the page gives it.
    pub date: Option<String>,
    /// The program that made the page, as `<meta name="generator">` names it.
    pub generator: Option<String>,
    /// What the page was classified as: `article`, `forum`, `product`, `documentation`, `listing` or `other`; `text`
    /// for a document given as text; empty when it was not read.
    pub kind: String,
    /// Main text; paragraphs are separated by blank lines. Kept for documents that rules drop, too.
    pub text: String,
    /// Name of the charset that the page was decoded with.
    pub charset: String,
    /// U+FFFD in the text: bytes that the charset did not know.
    pub replacement_chars: u64,
    /// Bytes of HTML.
    pub html_bytes: u64,
    /// The WARC file that the page came from: relative to the run when the run wrote it.
    pub warc: String,
    /// Offset of the record (its gzip member) in it.
    pub offset: u64,
    /// The file that the page was packed from, if it was.
    pub file: Option<String>,
    /// What exactly led to the verdict.
    pub detail: Option<String>,
    /// Why there is no text, if there is none.
    pub verdict: Option<Reason>,
}

/// The verdict on one document, and the link that led to it. Table `documents/*.parquet`: a row for each row of the
/// text table of the same name, in the same order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The id of the text.
    pub id: String,
    /// Duplicate key of the page's address.
    pub key: String,
    /// URL of the link; if no link leads here, the URL that answered.
    pub url: String,
    /// Registrable domain.
    pub domain: String,
    /// Karma of the link; none when no link leads here, or its source has none.
    pub karma: Option<i64>,
    /// Subreddit of the link.
    pub subreddit: Option<String>,
    /// Seconds since 1970 (UTC) of the link's earliest submission.
    pub created_utc: Option<i64>,
    /// ISO 639-3 code of the language.
    pub language: Option<String>,
    /// Confidence of the language, 0 to 1.
    pub language_confidence: Option<f32>,
    /// Words in the text: of a kept document as the rules left it, of a dropped one as it was extracted.
    pub words: u64,
    /// Bytes of the same text, as UTF-8.
    pub text_bytes: u64,
    /// What exactly led to the verdict.
    pub detail: Option<String>,
    /// Why the document was dropped, if it was: by extraction or by a rule.
    pub verdict: Option<Reason>,
}

/// The text of a kept document that rules edited. Table `documents/edited/*.parquet`, in the order of the text table of
/// the same name; documents that no rule edited have no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditedText {
    /// The row of the text table, from 0.
    pub row: u64,
    /// The id of the text.
    pub id: String,
    /// The text as the last rule left it: what later stages read.
    pub text: String,
}

/// The spans that de-duplication cut out of a document. Table `duplicates/spans-*.parquet`, in the order of the text
/// table of the same name; documents of which nothing was cut have no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutSpans {
    /// The row of the text table, from 0.
    pub row: u64,
    /// The document.
    pub id: String,
    /// Its page's duplicate key.
    pub key: String,
    /// First byte of each span, in the text before the cut.
    pub starts: Vec<u64>,
    /// The byte behind the last one of each span.
    pub ends: Vec<u64>,
    /// `too_little_left` if the document was dropped for it.
    pub verdict: Option<Reason>,
}

/// A document that a list of `[shards] exclude` names. Table `excluded/*.parquet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The document.
    pub id: String,
    /// Its page's duplicate key.
    pub key: String,
    /// `excluded`.
    pub verdict: Reason,
}

/// A document that another one represents. Table `duplicates/*.parquet`, sorted by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The dropped document.
    pub id: String,
    /// Its URL's duplicate key.
    pub key: String,
    /// The document that represents the cluster.
    pub representative_id: String,
    /// Its URL's duplicate key.
    pub representative_key: String,
    /// The folder of the earlier run that has it; none if this run does.
    pub representative_run: Option<String>,
    /// The most similar document that this one was compared with.
    pub similar_to: String,
    /// Jaccard similarity of the word shingles to that neighbour: 1 for exact duplicates.
    pub jaccard: f32,
    /// `exact_duplicate` or `near_duplicate`.
    pub verdict: Reason,
}

/// What identifies the text of a kept document without holding it: a later run compares its documents with these. Table
/// `fingerprints/*.parquet`, in the order of the text table of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The document.
    pub id: String,
    /// Its page's duplicate key.
    pub key: String,
    /// `dedup::HASH_VERSION` of the hashes.
    pub hash_version: u32,
    /// Hash of the text's words.
    pub text_hash: u64,
    /// Words of a shingle; 0 where there are no shingles.
    pub shingle_words: u32,
    /// The hashes of its shingles, sorted.
    pub shingles: Vec<u64>,
}

/// What an evaluation set and the corpus have in common. Table `overlap/sets.parquet`, in the order of the sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapSet {
    /// The file of the set.
    pub set: String,
    /// Its items.
    pub items: u64,
    /// N-grams of the set.
    pub set_ngrams: u64,
    /// Those of them that the corpus holds.
    pub found_in_corpus: u64,
    /// N-grams of the corpus.
    pub corpus_ngrams: u64,
    /// Those of them that the set holds.
    pub found_in_set: u64,
}

/// An evaluation item that a document met, with the longest text that both have. Table `overlap/matches-*.parquet`, in the
/// order of the text table of the same name; documents that met none have no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapMatch {
    /// The row of the text table, from 0.
    pub row: u64,
    /// The document.
    pub id: String,
    /// Its page's duplicate key.
    pub key: String,
    /// The item: file and line, as `evals/lambada.jsonl:17`.
    pub item: String,
    /// First byte of the text that both have, in the text before anything is removed.
    pub start: u64,
    /// The byte behind the last one.
    pub end: u64,
    /// `in_evaluation_set` if the document was dropped.
    pub verdict: Option<Reason>,
}
