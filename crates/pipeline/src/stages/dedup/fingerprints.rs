//! `dedup.fingerprints` (a task per documents file): what a later run needs to compare its documents with the kept ones
//! of this run, without their texts. About as large as the texts, since hashes do not compress.

use ::dedup::{HASH_VERSION, NormalizedWords};
use records::Fingerprint;
use serde::{Deserialize, Serialize};

use super::cut::{InputFile, InputFiles};
use super::documents::KeptDocument;
use crate::engine::{Flow, Product, Table, Task, Work};
use crate::error::Result;
use crate::recipe::Dedup;

/// Adds the stage. `input` has the texts as they were compared.
pub(super) fn add(flow: &mut Flow, settings: &Dedup, input: InputFiles) {
    let shingle_words = settings.near.as_ref().map_or(0, |near| near.shingle_words);
    flow.stage(Dedup::FINGERPRINTS_STAGE, move |plan| {
        let tasks = input.plan(plan)?.into_iter();
        Ok(tasks.map(|(name, input)| (name, WriteFingerprints { input, shingle_words })).collect())
    });
}

/// Writes the fingerprints of a file's documents.
#[derive(Serialize, Deserialize)]
struct WriteFingerprints {
    input: InputFile,
    shingle_words: usize,
}

impl WriteFingerprints {
    const FINGERPRINTS: Product<WriteFingerprints, Table<Fingerprint>> =
        Product::new(Dedup::FINGERPRINTS, "fingerprints/{name}.parquet");
}

impl Task for WriteFingerprints {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut fingerprints = work.create_table(WriteFingerprints::FINGERPRINTS)?;
        self.input.for_each(work, |work, KeptDocument { document, key, text, .. }| {
            work.counts.keep();
            let words = NormalizedWords::of(&text);
            let shingles = if self.shingle_words == 0 { Vec::new() } else { words.shingles(self.shingle_words) };
            fingerprints.push(Fingerprint {
                id: format!("{:032x}", document.id),
                key,
                hash_version: HASH_VERSION,
                text_hash: words.text_hash(),
                shingle_words: self.shingle_words as u32,
                shingles,
            })
        })?;
        fingerprints.finish()
    }
}
