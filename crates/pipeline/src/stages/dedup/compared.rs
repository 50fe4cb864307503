//! What whole documents are compared with each other: those of the run or the files, and those of earlier runs or files,
//! which stay in any case.

use ::dedup::{HASH_VERSION, NormalizedWords};
use records::Fingerprint;
use serde::{Deserialize, Serialize};

use super::documents::{DocumentsFile, DocumentsWire, KeptDocument};
use super::rows::{DocumentRef, EARLIER};
use crate::engine::{External, Planner, Work};
use crate::error::{OrBug as _, Result, ensure};
use crate::recipe::{Dedup, KeepKey};

/// The documents that are compared.
#[derive(Clone)]
pub(super) struct ComparedWire {
    pub(super) documents: DocumentsWire,
    /// Folders of earlier runs.
    pub(super) against: Vec<String>,
    /// Words of a shingle; 0 if only whole texts are compared.
    pub(super) shingle_words: usize,
}

impl ComparedWire {
    /// The files, by name.
    pub(super) fn files(&self, plan: &Planner<'_>) -> Result<Vec<(String, ComparedFile)>> {
        let files = self.documents.files(plan)?.into_iter();
        let mut files: Vec<_> = files.map(|(name, documents)| (name, ComparedFile::Documents(documents))).collect();
        let shingle_words = self.shingle_words;
        for (run, name, table) in earlier_tables(&self.against)? {
            files.push((name, ComparedFile::Earlier(EarlierFile { run, fingerprints: table, shingle_words })));
        }
        Ok(files)
    }
}

/// The tables of fingerprints of earlier runs: the run, a name among the files of this one, and the table.
pub(super) fn earlier_tables(against: &[String]) -> Result<Vec<(String, String, External)>> {
    let mut tables = Vec::new();
    for (number, run) in against.iter().enumerate() {
        for (name, table) in Dedup::fingerprints_of(run)? {
            tables.push((run.clone(), format!("against-{number}-{name}"), table));
        }
    }
    Ok(tables)
}

/// The documents of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum ComparedFile {
    /// Those of an earlier run.
    Earlier(EarlierFile),
    /// Those of this one.
    Documents(DocumentsFile),
}

/// Documents of an earlier run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EarlierFile {
    run: String,
    fingerprints: External,
    shingle_words: usize,
}

/// A document as it is compared.
pub(super) struct ComparedDocument {
    pub(super) document: DocumentRef,
    pub(super) key: String,
    pub(super) content: Content,
}

/// What is compared of a document.
pub(super) enum Content {
    Text(String),
    Hashes { text_hash: u64, shingles: Vec<u64> },
}

impl Content {
    /// The hashes of its shingles, sorted.
    pub(super) fn shingles(self, shingle_words: usize) -> Vec<u64> {
        match self {
            Content::Text(text) => NormalizedWords::of(&text).shingles(shingle_words),
            Content::Hashes { shingles, .. } => shingles,
        }
    }

    pub(super) fn len_bytes(&self) -> usize {
        match self {
            Content::Text(text) => text.len(),
            Content::Hashes { shingles, .. } => std::mem::size_of_val(&shingles[..]),
        }
    }
}

/// The number of a row, the duplicate key of its page, and what is compared of it.
pub(super) type ComparedRow = Result<(u64, String, Content)>;

impl ComparedFile {
    /// Calls `each` with the documents that are compared. Those of earlier runs are not counted: they are no documents of
    /// this one.
    pub(super) fn for_each(
        &self,
        work: &mut Work<'_>,
        file: u64,
        keep: &[KeepKey],
        mut each: impl FnMut(ComparedDocument) -> Result<()>,
    ) -> Result<()> {
        match self {
            ComparedFile::Documents(documents) => documents.for_each_kept(work, file, keep, |work, document| {
                let KeptDocument { document, key, text, .. } = document;
                if !document.is_earlier() {
                    work.counts.keep();
                }
                each(ComparedDocument { document, key, content: Content::Text(text) })
            }),
            ComparedFile::Earlier(earlier) => {
                let mut documents = 0u64;
                for (row, fingerprint) in (0..).zip(earlier.rows()?) {
                    let Fingerprint { id, key, text_hash, shingles, .. } = fingerprint?;
                    let id = u128::from_str_radix(&id, 16).ok().or_bug(|| format!("{id} is no document's id"))?;
                    let document = DocumentRef { rank: EARLIER, id, file, row };
                    each(ComparedDocument { document, key, content: Content::Hashes { text_hash, shingles } })?;
                    documents += 1;
                }
                work.metric("earlier_documents", documents as f64);
                Ok(())
            }
        }
    }

    /// All rows in their order, for looking up some of them.
    pub(super) fn lookup(&self, work: &Work<'_>) -> Result<Box<dyn Iterator<Item = ComparedRow>>> {
        match self {
            ComparedFile::Documents(documents) => {
                let rows = documents.texts(work)?;
                Ok(Box::new(rows.map(|row| row.map(|(number, row)| (number, row.key, Content::Text(row.text))))))
            }
            ComparedFile::Earlier(earlier) => {
                let row = |(number, row): (u64, Result<Fingerprint>)| {
                    let Fingerprint { key, text_hash, shingles, .. } = row?;
                    Ok((number, key, Content::Hashes { text_hash, shingles }))
                };
                Ok(Box::new((0..).zip(earlier.rows()?).map(row)))
            }
        }
    }
}

impl EarlierFile {
    fn rows(&self) -> Result<impl Iterator<Item = Result<Fingerprint>> + use<>> {
        let EarlierFile { run, fingerprints, shingle_words } = self.clone();
        let rows = fingerprints.open_table::<Fingerprint>()?;
        Ok(rows.map(move |row| {
            let row = row?;
            let (theirs, ours) = (row.hash_version, HASH_VERSION);
            ensure!(
                theirs == ours,
                Input,
                "the fingerprints of {run} are of version {theirs}, and this program compares version {ours}; write \
                 them again with its texts"
            );
            let theirs = row.shingle_words as usize;
            ensure!(
                shingle_words == 0 || theirs == shingle_words,
                Input,
                "the fingerprints of {run} have shingles of {}, and [dedup] near.shingle_words is {shingle_words}",
                user_error::count(theirs as u64, "word")
            );
            Ok(row)
        }))
    }
}
