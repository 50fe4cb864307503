//! Where the documents come from: the tables of a run, or the rows of a file.

use std::path::Path;

use ::texts::{DocumentOptions, Documents};
use links::CanonicalRules;
use records::{Document, Reason};
use serde::{Deserialize, Serialize};

use super::rows::{DocumentRef, EARLIER};
use crate::engine::{External, Planner, Table, Wire, Work};
use crate::error::{Error, OrBug as _, Result, Within as _};
use crate::recipe::{KeepKey, MAX_KEEP_KEYS};
use crate::stages::kept_texts::{HasText, KeptTexts, KeptTextsWire};
use crate::stages::side_by_side;
use crate::stages::sources::page_of;

/// The fields of a row that are read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RowFields {
    pub(super) text: String,
    /// The URL, which tells the domain; none if nothing depends on it.
    pub(super) url: Option<String>,
}

/// The documents that are compared with each other.
#[derive(Clone)]
pub(super) enum DocumentsWire {
    /// The kept documents of a run.
    Run { texts: KeptTextsWire, documents: Wire<Table<Document>> },
    /// The rows of these files, of which the first `earlier` are only compared with: theirs stay in any case.
    Rows { files: Vec<External>, earlier: usize, fields: RowFields },
}

impl DocumentsWire {
    /// The documents files, by name.
    pub(super) fn files(&self, plan: &Planner<'_>) -> Result<Vec<(String, DocumentsFile)>> {
        match self {
            DocumentsWire::Run { texts, documents } => {
                let files = texts.tables(plan)?.into_iter().zip(plan.tables(*documents)?);
                Ok(files
                    .map(|((name, texts), (_, documents))| (name, DocumentsFile::Run { texts, documents }))
                    .collect())
            }
            DocumentsWire::Rows { files, earlier, fields } => {
                let rows = |(number, file): (u64, &External)| {
                    let (file, fields, is_earlier) = (file.clone(), fields.clone(), number < *earlier as u64);
                    let rows = DocumentsFile::Rows { file, number, fields, is_earlier };
                    (format!("{number:05}"), rows)
                };
                Ok((0..).zip(files).map(rows).collect())
            }
        }
    }
}

/// The documents of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum DocumentsFile {
    /// The texts of a run, and the verdicts on them.
    Run { texts: KeptTexts, documents: Table<Document> },
    /// JSON Lines or Parquet, the input with this number.
    Rows { file: External, number: u64, fields: RowFields, is_earlier: bool },
}

/// A kept document with its text.
pub(super) struct KeptDocument {
    pub(super) document: DocumentRef,
    pub(super) key: String,
    /// Registrable domain; empty where there is none.
    pub(super) domain: String,
    pub(super) text: String,
}

/// The text of a row, and the duplicate key of its page.
pub(super) type TextOfRow = Result<(u64, TextAndKey)>;

/// What is read of a row to compare it.
#[derive(Serialize, Deserialize)]
pub(super) struct TextAndKey {
    pub(super) key: String,
    pub(super) text: String,
}

impl HasText for TextAndKey {
    fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

impl DocumentsFile {
    /// Calls `each` with the kept documents, and with those of earlier files; the others were counted by the stage that dropped them. `file` identifies
    /// the file.
    pub(super) fn for_each_kept(
        &self,
        work: &mut Work<'_>,
        file: u64,
        keep: &[KeepKey],
        mut each: impl FnMut(&mut Work<'_>, KeptDocument) -> Result<()>,
    ) -> Result<()> {
        match self {
            DocumentsFile::Run { texts, documents } => {
                let texts = texts.rows::<RankedText>(work)?;
                let documents = work.table::<RankedDocument, _>(documents)?;
                for (row, pair) in (0..).zip(side_by_side(texts, documents)) {
                    let (text, document) = pair?;
                    let (text, document) = (text?, document?);
                    if document.verdict.is_none() {
                        let id = u128::from_str_radix(&document.id, 16).ok();
                        let id = id.or_bug(|| format!("{} is no document's id", document.id))?;
                        let rank = rank(keep, document.karma, text.captured.as_deref(), text.text.len());
                        let document = KeptDocument {
                            document: DocumentRef { rank, id, file, row },
                            key: document.key,
                            domain: document.domain,
                            text: text.text,
                        };
                        each(work, document)?;
                    }
                }
                Ok(())
            }
            DocumentsFile::Rows { file: input, number, fields, is_earlier } => {
                let source = work.source(input)?;
                let documents = open(input, source.share()?, fields)?;
                for document in documents {
                    match document {
                        Err(error) => {
                            work.unreadable(&input.url, &error);
                            break;
                        }
                        Ok(Err(malformed)) => {
                            let place = format!("{}:{}", input.url, malformed.place.number());
                            if *is_earlier {
                                tracing::warn!("{place} is not compared: {}", malformed.fault);
                                work.metric(LEFT_OUT, 1.0);
                                continue;
                            }
                            work.counts.drop(Reason::MalformedRecord);
                            work.sample(Reason::MalformedRecord, || place, &malformed.fault.to_string());
                        }
                        Ok(Ok(row)) => {
                            let place = row.place.number();
                            let rank = if *is_earlier { EARLIER } else { rank(keep, None, None, row.text.len()) };
                            let id = u128::from(*number) << 64 | u128::from(place);
                            let document = DocumentRef { rank, id, file, row: place };
                            let page = row.url.as_deref().and_then(|url| page_of(url, &CanonicalRules::default()));
                            let domain = page.map(|(page, _)| page.domain).unwrap_or_default();
                            each(work, KeptDocument { document, key: String::new(), domain, text: row.text })?;
                        }
                    }
                }
                work.finish_source(source)?;
                Ok(())
            }
        }
    }

    /// The texts of all rows in their order, for looking up some of them: not counted as received.
    pub(super) fn texts(&self, work: &Work<'_>) -> Result<Box<dyn Iterator<Item = TextOfRow>>> {
        match self {
            DocumentsFile::Run { texts, .. } => {
                let rows = (0..).zip(texts.lookup::<TextAndKey>(work)?);
                Ok(Box::new(rows.map(|(row, text)| Ok((row, text?)))))
            }
            DocumentsFile::Rows { file, fields, .. } => {
                // What is malformed or breaks off was counted when the file was read first.
                let documents = open(file, work.source(file)?.share()?, fields)?;
                let readable = documents.map_while(|row| row.ok()).filter_map(|row| row.ok());
                let text = |row: ::texts::TextDocument| {
                    (row.place.number(), TextAndKey { key: String::new(), text: row.text })
                };
                Ok(Box::new(readable.map(text).map(Ok)))
            }
        }
    }
}

fn open(input: &External, source: crate::engine::Source, fields: &RowFields) -> Result<Documents> {
    let options = DocumentOptions::new(&fields.text);
    let options = match &fields.url {
        Some(url) => options.with_url_field(url),
        None => options,
    };
    let checked = ::texts::check_header(Path::new(&input.url), input.len_bytes);
    checked.and_then(|()| Documents::open(source, options)).map_err(Error::from).within(|| format!("in {}", input.url))
}

/// The metric of rows to compare with that cannot be read.
pub(super) const LEFT_OUT: &str = "rows_not_compared";

/// What is read of a text's row.
#[derive(Serialize, Deserialize)]
struct RankedText {
    captured: Option<String>,
    text: String,
}

impl HasText for RankedText {
    fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

/// What is read of a document's row.
#[derive(Serialize, Deserialize)]
struct RankedDocument {
    id: String,
    key: String,
    domain: String,
    karma: Option<i64>,
    verdict: Option<Reason>,
}

/// The values of the keys, of which the smaller one is preferred.
fn rank(keep: &[KeepKey], karma: Option<i64>, captured: Option<&str>, text_bytes: usize) -> [i64; MAX_KEEP_KEYS] {
    let captured = captured.and_then(digits);
    let value = |key: &KeepKey| match key {
        KeepKey::HighestKarma => karma.map_or(i64::MAX, i64::saturating_neg),
        KeepKey::EarliestCapture => captured.unwrap_or(i64::MAX),
        KeepKey::LatestCapture => captured.map_or(i64::MAX, i64::saturating_neg),
        KeepKey::LongestText => -i64::try_from(text_bytes).unwrap_or(i64::MAX),
    };
    let mut rank = [0; MAX_KEEP_KEYS];
    rank.iter_mut().zip(keep).for_each(|(place, key)| *place = value(key));
    rank
}

/// A time as archives and tables write it, `2016-03-01T00:00:00Z`, as a number in the order of times.
fn digits(time: &str) -> Option<i64> {
    time.chars().filter(char::is_ascii_digit).take(14).collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_document_has_the_smaller_rank() {
        use KeepKey::*;
        let by = |key, karma, captured, bytes| rank(&[key], karma, captured, bytes);
        assert!(by(HighestKarma, Some(7), None, 0) < by(HighestKarma, Some(-7), None, 0));
        assert!(by(HighestKarma, Some(-7), None, 0) < by(HighestKarma, None, None, 0));
        let (old, new) = (Some("2016-03-01T00:00:00Z"), Some("2017-01-01T00:00:00Z"));
        assert!(by(EarliestCapture, None, old, 0) < by(EarliestCapture, None, new, 0));
        assert!(by(LatestCapture, None, new, 0) < by(LatestCapture, None, old, 0));
        assert!(by(LatestCapture, None, old, 0) < by(LatestCapture, None, None, 0));
        assert!(by(LongestText, None, None, 9) < by(LongestText, None, None, 8));
        assert!(
            rank(&[HighestKarma, LongestText], Some(1), None, 9) < rank(&[HighestKarma, LongestText], Some(1), None, 8)
        );
    }
}
