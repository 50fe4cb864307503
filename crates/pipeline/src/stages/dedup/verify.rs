//! `dedup.shingles` and `dedup.verify`: the similarity of candidate pairs. The shingles of one document are sent to the
//! task that reads the other one, so that each task reads its own documents files once, in order.

use ::dedup::jaccard;
use serde::{Deserialize, Serialize};

use super::bucket_of_file;
use super::compared::{ComparedFile, ComparedRow, Content};
use super::rows::{ByPlace, Candidate, CandidatePair, KeyedDocument, NearEdge};
use crate::engine::{Bucket, Buckets, Product, Task, Work};
use crate::error::{OrBug as _, Result};

/// A documents file with its number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NumberedFile {
    pub(super) file: u64,
    pub(super) documents: ComparedFile,
}

/// The documents of a bucket of files, read in ascending order of file and row.
struct Reader<'t, 'w, 'r> {
    files: std::slice::Iter<'t, NumberedFile>,
    work: &'w Work<'r>,
    open: Option<(u64, Box<dyn Iterator<Item = ComparedRow>>)>,
    shingle_words: usize,
    last: Option<((u64, u64), Shingled)>,
}

/// A document as it is compared.
struct Shingled {
    key: String,
    shingles: Vec<u64>,
}

impl<'t, 'w, 'r> Reader<'t, 'w, 'r> {
    fn new(work: &'w Work<'r>, files: &'t [NumberedFile], shingle_words: usize) -> Reader<'t, 'w, 'r> {
        Reader { files: files.iter(), work, open: None, shingle_words, last: None }
    }

    fn document(&mut self, place: (u64, u64)) -> Result<&Shingled> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != place) {
            let (key, content) = self.row(place)?;
            let shingles = content.shingles(self.shingle_words);
            self.last = Some((place, Shingled { key, shingles }));
        }
        self.last.as_ref().map(|(_, document)| document).or_bug(|| "no document was read".to_owned())
    }

    fn row(&mut self, (file, row): (u64, u64)) -> Result<(String, Content)> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            let numbered = self.files.find(|numbered| numbered.file == file);
            let numbered = numbered.or_bug(|| "a documents file is missing".to_owned())?;
            self.open = Some((file, numbered.documents.lookup(self.work)?));
        }
        let (_, rows) = self.open.as_mut().or_bug(|| "a file was not opened".to_owned())?;
        for next in rows {
            let (number, key, content) = next?;
            if number == row {
                return Ok((key, content));
            }
        }
        Err(crate::Error::Bug(format!("row {row} of a documents file is missing")))
    }
}

/// Sends the shingles of the first document of each candidate pair to the other one.
#[derive(Serialize, Deserialize)]
pub(super) struct SendShingles {
    pub(super) pairs: Bucket<CandidatePair>,
    pub(super) files: Vec<NumberedFile>,
    pub(super) shingle_words: usize,
    pub(super) buckets: u32,
}

impl SendShingles {
    pub(super) const CANDIDATES: Product<SendShingles, Buckets<Candidate>> =
        Product::new("candidates", "work/{stage}/{name}.candidates");
}

impl Task for SendShingles {
    const REVISION: u32 = 3; // marks alone are no words, and Greek has one small sigma

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let pairs = work.receive(&self.pairs)?;
        let mut candidates = work.create_buckets(SendShingles::CANDIDATES, self.buckets)?;
        let mut reader = Reader::new(work, &self.files, self.shingle_words);
        let mut last: Option<CandidatePair> = None;
        let mut count = 0u64;
        for pair in pairs {
            let pair = pair?;
            // A pair that agrees in several bands occurs several times.
            if last.as_ref() == Some(&pair) {
                continue;
            }
            let CandidatePair { earlier: ByPlace(earlier), later } = &pair;
            let Shingled { key, shingles } = reader.document((earlier.file, earlier.row))?;
            let earlier = KeyedDocument { document: earlier.clone(), key: key.clone() };
            let candidate = Candidate { later: ByPlace(later.clone()), earlier, shingles: shingles.clone() };
            candidates.push(bucket_of_file(later.file, self.buckets), &candidate)?;
            count += 1;
            last = Some(pair);
        }
        work.metric("candidate_pairs", count as f64);
        candidates.finish()
    }
}

/// Compares candidate pairs.
#[derive(Serialize, Deserialize)]
pub(super) struct VerifyPairs {
    pub(super) candidates: Bucket<Candidate>,
    pub(super) files: Vec<NumberedFile>,
    pub(super) shingle_words: usize,
    pub(super) min_jaccard: f64,
}

impl VerifyPairs {
    pub(super) const EDGES: Product<VerifyPairs, Buckets<NearEdge>> =
        Product::new("edges", "work/{stage}/{name}.edges");
}

impl Task for VerifyPairs {
    const REVISION: u32 = 3; // marks alone are no words, and Greek has one small sigma

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let candidates = work.receive(&self.candidates)?;
        let mut edges = work.create_buckets(VerifyPairs::EDGES, 1)?;
        let mut reader = Reader::new(work, &self.files, self.shingle_words);
        let mut verified = 0u64;
        for candidate in candidates {
            let Candidate { later: ByPlace(later), earlier, shingles } = candidate?;
            let document = reader.document((later.file, later.row))?;
            let jaccard = jaccard(&shingles, &document.shingles);
            if jaccard.value() >= self.min_jaccard {
                let later = KeyedDocument { document: later, key: document.key.clone() };
                edges.push(0, &NearEdge { later, earlier, shared: jaccard.shared, either: jaccard.either })?;
                verified += 1;
            }
        }
        work.metric("verified_pairs", verified as f64);
        edges.finish()
    }
}
