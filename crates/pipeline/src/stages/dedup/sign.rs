//! `dedup.sign`: the hashes of each document.

use std::borrow::Cow;

use ::dedup::{BandHash, Bands, MinHash, NormalizedWords, Sketch};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use store::bucket_of;

use super::compared::{ComparedDocument, ComparedFile, Content};
use super::rows::{BandRow, ExactRow, KeyedDocument};
use crate::engine::{BucketOutput, Buckets, Product, Task, Work};
use crate::error::Result;
use crate::recipe::KeepKey;

/// Bytes of text that are hashed at once, by all threads.
const BATCH_BYTES: usize = 4 << 20;

/// The shape of signatures: the part of `near` that they depend on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SignatureShape {
    pub(super) shingle_words: usize,
    pub(super) bands: usize,
    pub(super) rows: usize,
}

impl SignatureShape {
    pub(super) fn bands(&self) -> Bands {
        Bands { bands: self.bands, rows: self.rows }
    }
}

/// Hashes the kept documents of a file.
#[derive(Serialize, Deserialize)]
pub(super) struct SignDocuments {
    pub(super) file: u64,
    pub(super) documents: ComparedFile,
    pub(super) keep: Vec<KeepKey>,
    pub(super) near: Option<SignatureShape>,
    pub(super) buckets: u32,
}

impl SignDocuments {
    pub(super) const EXACT: Product<SignDocuments, Buckets<ExactRow>> =
        Product::new("exact", "work/{stage}/{name}.exact");
    pub(super) const BANDS: Product<SignDocuments, Buckets<BandRow>> =
        Product::new("bands", "work/{stage}/{name}.bands");
}

impl Task for SignDocuments {
    const REVISION: u32 = 3; // marks alone are no words, and Greek has one small sigma

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut signer = Signer {
            near: self.near.as_ref().map(|near| (near.shingle_words, MinHash::new(near.bands()))),
            exact: work.create_buckets(SignDocuments::EXACT, self.buckets)?,
            bands: work.create_buckets(SignDocuments::BANDS, self.buckets)?,
            buckets: self.buckets,
            batch: Vec::new(),
            batch_bytes: 0,
        };
        self.documents.for_each(work, self.file, &self.keep, |document| signer.push(document))?;
        signer.finish()
    }
}

/// Hashes batches of documents on all threads, and writes them in their order.
struct Signer {
    near: Option<(usize, MinHash)>,
    exact: BucketOutput<ExactRow>,
    bands: BucketOutput<BandRow>,
    buckets: u32,
    batch: Vec<ComparedDocument>,
    batch_bytes: usize,
}

/// The hashes of a document.
struct Signed {
    text_hash: u64,
    /// None of a text without words, which resembles no other.
    bands: Vec<BandHash>,
    sketch: Sketch,
}

impl Signer {
    fn push(&mut self, document: ComparedDocument) -> Result<()> {
        self.batch_bytes += document.content.len_bytes();
        self.batch.push(document);
        if self.batch_bytes >= BATCH_BYTES { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> Result<()> {
        let near = &self.near;
        let signed: Vec<Signed> =
            self.batch.par_iter().map(|document| sign(&document.content, near.as_ref())).collect();
        for (ComparedDocument { document, key, .. }, Signed { text_hash, bands, sketch }) in
            self.batch.drain(..).zip(signed)
        {
            for band in bands {
                let row = BandRow { band, document: document.clone(), text_hash, sketch: sketch.clone() };
                self.bands.push(bucket_of(&band.to_le_bytes(), self.buckets), &row)?;
            }
            let row = ExactRow { text_hash, document: KeyedDocument { document, key } };
            self.exact.push(bucket_of(&text_hash.to_le_bytes(), self.buckets), &row)?;
        }
        self.batch_bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.write_batch()?;
        self.exact.finish()?;
        self.bands.finish()
    }
}

fn sign(content: &Content, near: Option<&(usize, MinHash)>) -> Signed {
    let (text_hash, shingles) = match content {
        Content::Hashes { text_hash, shingles } => (*text_hash, Cow::Borrowed(shingles)),
        Content::Text(text) => {
            let words = NormalizedWords::of(text);
            let shingles = near.map(|(shingle_words, _)| words.runs(*shingle_words));
            (words.text_hash(), Cow::Owned(shingles.unwrap_or_default()))
        }
    };
    match near.filter(|_| !shingles.is_empty()) {
        None => Signed { text_hash, bands: Vec::new(), sketch: Sketch::default() },
        Some((_, family)) => {
            let signature = family.signature(&shingles);
            Signed { text_hash, bands: family.bands(&signature).collect(), sketch: family.sketch(&signature) }
        }
    }
}
