//! Substrings that occur more than once in a corpus, exactly: Lee et al., "Deduplicating Training Data Makes Language
//! Models Better" (2022), section 4.1.
//!
//! **Definition.** A *window* is a stretch of `min_units` units (bytes, or 16-bit token ids) inside one document. It is
//! repeated when an equal window begins elsewhere in the corpus. A document's *spans* are the union of its repeated
//! windows, so each substring of at least `min_units` units that occurs twice is inside one. With [`Copies::Later`] only
//! those windows count that have an equal one which ends before they begin, so that one copy is left.
//!
//! **Consequence.** Only the first `min_units` units of a suffix decide. No comparison reads further, however long a
//! repeat is, and a suffix with less than that to the end of its document does not count. So documents need no separators.
//!
//! **How they are found.**
//! 1. `anchors`: of each window, the substring of half its length with the smallest hash is its *anchor*. Equal windows
//!    have equal anchors, so a window whose anchor occurs once is not repeated. Anchors are counted in a small table, and
//!    what is left (`candidates`) is the *text that may repeat*: a quarter of texts of which a seventh is repeated.
//! 2. `parts`: that text is cut into parts that fit in memory, and the suffix array of each becomes a file.
//! 3. `merge`: the files are merged, and equal windows come out as a group.
//! 4. `marks`: the windows of a group are marked in a bitmap, from which the spans are read, document by document.
//!
//! **Cost.** Time is linear in the corpus for steps 1 and 2. The merge compares windows O(m log p) times for m that may
//! repeat in p parts, and not at all when there is one part. The scratch folder holds the corpus and the text that may
//! repeat; then that text and four bytes for each of its windows.
//!
//! **Departures from the paper's tool** (`dedup_dataset` of google-research/deduplicate-text-datasets). [`Copies::All`]
//! gives the windows inside documents that the tool gives. Two faults of the tool are left out:
//! - It sorts one text, with a separator of two bytes and a number before each document. Where the numbers of two documents
//!   end in the same bytes, a window may begin in the separators, so that 97 equal bytes count as 100.
//! - Its threads leave out the last entries of the suffix array, nearly two for each thread, and the repeats among them.
//!   With separators these are entries of separators; with few documents or none between them, repeats are missed.
//!
//! Not here: formats of documents, and the cut itself. Spans count bytes and may begin or end inside a character;
//! `str::ceil_char_boundary` and `str::floor_char_boundary` make them whole.

mod anchors;
mod candidates;
mod documents;
mod marks;
mod merge;
mod parts;
mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use user_error::UserError;

use candidates::Candidates;
use documents::Documents;
use marks::{Marks, Spans};
use plan::Plan;

/// What a document is a sequence of. Windows begin and end between units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceUnit {
    /// Bytes, for text.
    Byte,
    /// Token ids of 16 bits, two bytes each with the low one first, as in files of GPT-2's tokens.
    Token16,
}

impl SequenceUnit {
    /// Bytes of a unit.
    pub fn len_bytes(self) -> usize {
        match self {
            SequenceUnit::Byte => 1,
            SequenceUnit::Token16 => 2,
        }
    }
}

/// Which occurrences of a repeated window are in the spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Every one, as in the paper's tool: what is repeated can be removed altogether.
    All,
    /// Those that begin at or after the end of the first one, in the order of documents. Each byte of the spans has a copy
    /// further ahead that is in none, so nothing is lost altogether when they are removed. Of one letter a million times,
    /// the first `min_units` stay.
    Later,
}

/// What to look for, and with how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubstringSettings {
    /// What documents consist of.
    pub unit: SequenceUnit,
    /// Units of the shortest repeated substring that counts, from 1 to 65,536. The paper has 50 tokens.
    pub min_units: usize,
    /// Which occurrences are in the spans.
    pub copies: Copies,
    /// Limit on what is allocated at the same time by all threads; buffers of a MiB per thread come on top.
    ///
    /// The least that works is about a bit for each byte of text that may repeat. With less than a byte and a bit for each,
    /// the merge reads windows from disk one by one, which doubles the CPU time of the whole as long as the system caches
    /// them. More than 6 bytes for each is of no use. With less than a third of a byte for each byte of the corpus, more of
    /// it is taken for text that may repeat.
    pub max_memory_bytes: u64,
    /// Threads that work at the same time; the result does not depend on it.
    pub threads: usize,
}

impl SubstringSettings {
    fn window_bytes(&self) -> usize {
        self.min_units * self.unit.len_bytes()
    }
}

/// More than is of use: buffers hold some windows.
const MAX_MIN_UNITS: usize = 1 << 16;
/// More than a machine has.
const MAX_THREADS: usize = 1 << 12;

/// Why repeated substrings could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubstringError {
    /// A setting without sense.
    #[error("{setting} must be from 1 to {max}")]
    OutOfRange {
        /// Its name.
        setting: &'static str,
        /// The largest value.
        max: usize,
    },
    /// The bytes of a document are not whole units.
    #[error("document {document} has {len_bytes} bytes, which is no whole number of 16-bit tokens")]
    HalfToken {
        /// Its place in the corpus, from 0.
        document: u64,
        /// Its length.
        len_bytes: usize,
    },
    /// The corpus cannot be handled in so little memory.
    #[error("{max_memory_bytes} bytes of memory are too few for {candidate_bytes} bytes of text that may repeat")]
    TooLittleMemory {
        /// The limit that was set.
        max_memory_bytes: u64,
        /// Text that may repeat.
        candidate_bytes: u64,
        /// A limit that works.
        needed_bytes: u64,
    },
    /// A scratch file could not be made, written or read.
    #[error("cannot write or read scratch files in {folder}")]
    Scratch {
        /// The scratch folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl UserError for SubstringError {
    fn hint(&self) -> Option<String> {
        match self {
            SubstringError::TooLittleMemory { needed_bytes, .. } => Some(format!("{needed_bytes} bytes suffice")),
            SubstringError::Scratch { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, or choose another scratch folder".to_owned())
            }
            _ => None,
        }
    }
}

/// Collects the documents of a corpus, then finds what is repeated in it.
///
/// Documents are kept in a scratch file until then, so a corpus may be larger than memory.
///
/// ```
/// use dedup::substrings::{Copies, SubstringSettings, Substrings, SequenceUnit};
///
/// let settings = SubstringSettings { unit: SequenceUnit::Byte, min_units: 12, copies: Copies::Later, max_memory_bytes: 1 << 20, threads: 1 };
/// let mut corpus = Substrings::new(&std::env::temp_dir(), settings)?;
/// corpus.push(b"All rights reserved. A fox ran.")?;
/// corpus.push(b"An owl sat. All rights reserved.")?;
/// let spans = corpus.find()?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(spans, [vec![], vec![12..32]]);
/// # Ok::<(), dedup::substrings::SubstringError>(())
/// ```
pub struct Substrings {
    settings: SubstringSettings,
    folder: PathBuf,
    documents: Documents,
}

impl Substrings {
    /// An empty corpus, whose scratch files are in `folder`. They have no name, and are gone when the process ends.
    ///
    /// # Errors
    /// If a setting is out of its range or no file can be made in `folder`.
    pub fn new(folder: &Path, settings: SubstringSettings) -> Result<Substrings, SubstringError> {
        for (setting, value, max) in
            [("min_units", settings.min_units, MAX_MIN_UNITS), ("threads", settings.threads, MAX_THREADS)]
        {
            if !(1..=max).contains(&value) {
                return Err(SubstringError::OutOfRange { setting, max });
            }
        }
        let documents = Documents::new(folder).map_err(in_folder(folder))?;
        Ok(Substrings { settings, folder: folder.to_owned(), documents })
    }

    /// Adds a document, which may be empty.
    ///
    /// # Errors
    /// If it is not whole units or cannot be written.
    pub fn push(&mut self, document: &[u8]) -> Result<(), SubstringError> {
        if !document.len().is_multiple_of(self.settings.unit.len_bytes()) {
            return Err(SubstringError::HalfToken { document: self.documents.len(), len_bytes: document.len() });
        }
        self.documents.push(document).map_err(in_folder(&self.folder))
    }

    /// The spans of each document, in the order in which documents were added.
    ///
    /// # Errors
    /// If the memory does not suffice, or a scratch file cannot be written or read.
    pub fn find(self) -> Result<Repeats, SubstringError> {
        let settings = self.settings.clone();
        self.find_with(|candidate_bytes| Plan::new(&settings, candidate_bytes))
    }

    fn find_with(self, plan: impl FnOnce(u64) -> Result<Plan, SubstringError>) -> Result<Repeats, SubstringError> {
        let Substrings { settings, folder, documents } = self;
        let scratch = |source| SubstringError::Scratch { folder: folder.clone(), source };
        let documents_len = documents.len();
        let text_bytes = documents.text_bytes();
        // The corpus itself is not needed any more, and its file goes.
        let candidates = Candidates::of(documents, &settings, &folder).map_err(scratch)?;
        let plan = plan(candidates.len_bytes())?;
        let parts = parts::sort(&candidates, &plan, &folder).map_err(scratch)?;
        let counts = SubstringCounts {
            documents: documents_len,
            text_bytes,
            candidate_bytes: candidates.len_bytes(),
            parts: parts.len() as u64,
        };
        let marks = Marks::new(candidates.len_bytes());
        merge::groups(&candidates, &parts, &plan, &marks).map_err(scratch)?;
        let spans = Spans::new(candidates, marks, plan.window_bytes).map_err(scratch)?;
        Ok(Repeats { folder, counts, next_document: 0, spans })
    }
}

/// How large the problem was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubstringCounts {
    /// Documents of the corpus.
    pub documents: u64,
    /// Their bytes.
    pub text_bytes: u64,
    /// Bytes of text that may repeat, which were sorted.
    pub candidate_bytes: u64,
    /// Parts in which they were sorted.
    pub parts: u64,
}

/// The spans of each document as byte ranges, in order: sorted, neither overlapping nor touching. Made by
/// [`Substrings::find`].
pub struct Repeats {
    folder: PathBuf,
    counts: SubstringCounts,
    next_document: u64,
    spans: Spans,
}

impl Repeats {
    /// How large the problem was.
    pub fn counts(&self) -> SubstringCounts {
        self.counts
    }
}

impl Iterator for Repeats {
    type Item = Result<Vec<Range<u64>>, SubstringError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_document == self.counts.documents {
            return None;
        }
        let spans = self.spans.of_document(self.next_document).map_err(in_folder(&self.folder));
        self.next_document += 1;
        Some(spans)
    }
}

fn in_folder(folder: &Path) -> impl Fn(io::Error) -> SubstringError {
    move |source| SubstringError::Scratch { folder: folder.to_owned(), source }
}
