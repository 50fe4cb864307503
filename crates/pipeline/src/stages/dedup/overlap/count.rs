//! `overlap.count` and `overlap.sets`: n-grams that documents and evaluation sets have.

use ::dedup::for_each_ngram;
use ::dedup::overlap::{FoundNgrams, NgramFilter, NgramShare};
use records::OverlapSet;
use serde::{Deserialize, Serialize};

use super::sets::{EvaluationSet, index_of};
use crate::engine::{Bucket, BucketOutput, Buckets, External, Product, Table, Task, Work};
use crate::error::Result;
use crate::stages::dedup::cut::InputFile;
use crate::stages::dedup::documents::KeptDocument;
use crate::stages::dedup::rows::{FoundNgram, NgramDocuments, SetShare};

/// Counts what the documents of a file and the sets have in common. Memory: a Bloom filter of each set, the n-grams that
/// both have, and if items are to be found, the index of all items.
#[derive(Serialize, Deserialize)]
pub(super) struct CountOverlap {
    pub(super) input: InputFile,
    pub(super) sets: Vec<External>,
    pub(super) ngram_words: usize,
    pub(super) remove_ngram_words: Option<usize>,
}

impl CountOverlap {
    pub(super) const FOUND: Product<CountOverlap, Buckets<FoundNgram>> =
        Product::new("found", "work/{stage}/{name}.found");
    pub(super) const SHARES: Product<CountOverlap, Buckets<SetShare>> =
        Product::new("shares", "work/{stage}/{name}.shares");
    pub(super) const DOCUMENTS: Product<CountOverlap, Buckets<NgramDocuments>> =
        Product::new("documents", "work/{stage}/{name}.documents");
}

impl Task for CountOverlap {
    const REVISION: u32 = 2; // marks alone are no words, and Greek has one small sigma

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let sets = EvaluationSet::read_all(work, &self.sets)?;
        let filters = sets.iter().map(|set| self.filter_of(set)).collect::<Result<Vec<_>>>()?;
        let index = self.remove_ngram_words.map(|words| index_of(&sets, words));
        drop(sets);
        let mut documents = index.as_ref().map(|index| (index, index.counts()));
        let mut found = FoundNgrams::default();
        let mut shares = vec![NgramShare::default(); filters.len()];
        self.input.for_each(work, |work, KeptDocument { text, .. }| {
            work.counts.keep();
            shares.iter_mut().zip(&filters).for_each(|(share, set)| *share += set.share_noting(&text, &mut found));
            if let Some((index, documents)) = &mut documents {
                documents.add(index, &text);
            }
            Ok(())
        })?;
        write_rows(
            work.create_buckets(CountOverlap::FOUND, 1)?,
            found.sorted().into_iter().map(|hash| FoundNgram { hash }),
        )?;
        let shares = (0..).zip(shares).map(|(set, NgramShare { ngrams, found })| SetShare { set, ngrams, found });
        write_rows(work.create_buckets(CountOverlap::SHARES, 1)?, shares)?;
        let mut counted: Vec<(u64, u64)> =
            documents.iter().flat_map(|(index, documents)| documents.found(index)).collect();
        counted.sort_unstable();
        let counted = counted.into_iter().map(|(hash, documents)| NgramDocuments { hash, documents });
        write_rows(work.create_buckets(CountOverlap::DOCUMENTS, 1)?, counted)
    }
}

impl CountOverlap {
    fn filter_of(&self, set: &EvaluationSet) -> Result<NgramFilter> {
        let mut ngrams = 0;
        set.parts().for_each(|text| for_each_ngram(text, self.ngram_words, |_, _| ngrams += 1));
        let mut filter = NgramFilter::new(self.ngram_words, ngrams, NgramFilter::GPT2_FALSE_POSITIVE_RATE)?;
        for text in set.parts() {
            filter.insert(text);
        }
        Ok(filter)
    }
}

fn write_rows<R: store::buckets::SpillRow>(mut output: BucketOutput<R>, rows: impl Iterator<Item = R>) -> Result<()> {
    for row in rows {
        output.push(0, &row)?;
    }
    output.finish()
}

/// Adds up what was counted in all files.
#[derive(Serialize, Deserialize)]
pub(super) struct JoinCounts {
    pub(super) sets: Vec<External>,
    pub(super) ngram_words: usize,
    pub(super) found: Bucket<FoundNgram>,
    pub(super) shares: Bucket<SetShare>,
    pub(super) documents: Bucket<NgramDocuments>,
}

impl JoinCounts {
    pub(super) const SETS: Product<JoinCounts, Table<OverlapSet>> = Product::new("sets", "overlap/sets.parquet");
    pub(super) const DOCUMENTS: Product<JoinCounts, Buckets<NgramDocuments>> =
        Product::new("documents", "work/{stage}/{name}.documents");
}

impl Task for JoinCounts {
    const REVISION: u32 = 2; // marks alone are no words, and Greek has one small sigma

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        self.write_sets(work)?;
        self.write_documents(work)
    }
}

impl JoinCounts {
    fn write_sets(&self, work: &mut Work<'_>) -> Result<()> {
        let mut found = FoundNgrams::default();
        for row in work.receive(&self.found)? {
            found.insert(row?.hash);
        }
        let mut of_corpus = vec![NgramShare::default(); self.sets.len()];
        for row in work.receive(&self.shares)? {
            let SetShare { set, ngrams, found } = row?;
            of_corpus[set as usize] += NgramShare { ngrams, found };
        }
        let mut table = work.create_table(JoinCounts::SETS)?;
        for (set, of_corpus) in EvaluationSet::read_all(work, &self.sets)?.iter().zip(of_corpus) {
            let mut of_set = NgramShare::default();
            set.parts().for_each(|text| of_set += found.share(text, self.ngram_words));
            table.push(OverlapSet {
                set: set.name.clone(),
                items: set.items.len() as u64,
                set_ngrams: of_set.ngrams,
                found_in_corpus: of_set.found,
                corpus_ngrams: of_corpus.ngrams,
                found_in_set: of_corpus.found,
            })?;
        }
        table.finish()
    }

    fn write_documents(&self, work: &mut Work<'_>) -> Result<()> {
        let mut output = work.create_buckets(JoinCounts::DOCUMENTS, 1)?;
        let mut last: Option<NgramDocuments> = None;
        for row in work.receive(&self.documents)? {
            let row = row?;
            match &mut last {
                Some(last) if last.hash == row.hash => last.documents += row.documents,
                _ => last.replace(row).map_or(Ok(()), |full| output.push(0, &full))?,
            }
        }
        last.map_or(Ok(()), |full| output.push(0, &full))?;
        output.finish()
    }
}
