//! Parts of texts that one task finds, in all documents in their order: substrings that occur twice, by suffix arrays,
//! and paragraphs whose n-grams came before, by a Bloom filter. `dedup.substrings` or `dedup.ngrams` (one task) finds
//! their places, and `dedup.cut` (a task per documents file) cuts them.

use std::ops::Range;

use ::dedup::bloom::BloomFilter;
use ::dedup::ngram_bloom::{NgramBloom, NgramLimits};
use ::dedup::spans::{cut_ranges, shrink_to_words};
use ::dedup::substrings::{Copies, SequenceUnit, SubstringSettings, Substrings};
use bpe::{Encoder, Tokenizer};
use records::{CutSpans, EditedText};
use serde::{Deserialize, Serialize};

use super::bucket_of_file;
use super::cut::{CutTexts, CutWriter, InputFile, InputFiles};
use super::documents::KeptDocument;
use super::rows::RangeRow;
use crate::engine::{Bucket, BucketOutput, Buckets, Flow, Product, Table, Task, Wire, Work};
use crate::error::{Result, bail, ensure};
use crate::recipe::{NgramBloomRule, SubstringCopies, SubstringRule};
use crate::stages::only_task;

/// How many times `max_false_positive_rate` a filter may reach before what it cut is not trusted.
const MAX_RATE_EXCESS: f64 = 2.0;

/// Adds the stages that cut repeated substrings. `number` tells the tables of several stages that cut apart.
pub(super) fn add_substrings(flow: &mut Flow, number: usize, rule: &SubstringRule, input: &InputFiles) -> CutTexts {
    let (rule, files, buckets) = (rule.clone(), input.clone(), input.buckets);
    let shrink = if rule.min_tokens.is_some() { Shrink::TokensToWords } else { Shrink::ToWords };
    let find = flow.stage("dedup.substrings", move |plan| {
        let files = files.plan(plan)?.into_iter().map(|(_, file)| file).collect();
        Ok(only_task(FindSubstrings { files, rule: rule.clone(), buckets }))
    });
    add_cut(flow, number, find.product(FindSubstrings::RANGES), shrink, input)
}

/// Adds the stages that cut paragraphs whose n-grams came before.
pub(super) fn add_ngrams(flow: &mut Flow, number: usize, rule: &NgramBloomRule, input: &InputFiles) -> CutTexts {
    let (rule, files, buckets) = (rule.clone(), input.clone(), input.buckets);
    let find = flow.stage("dedup.ngrams", move |plan| {
        let files = files.plan(plan)?.into_iter().map(|(_, file)| file).collect();
        Ok(only_task(FilterNgrams { files, rule: rule.clone(), buckets }))
    });
    add_cut(flow, number, find.product(FilterNgrams::RANGES), Shrink::Nothing, input)
}

fn add_cut(
    flow: &mut Flow,
    number: usize,
    ranges: Wire<Buckets<RangeRow>>,
    shrink: Shrink,
    input: &InputFiles,
) -> CutTexts {
    let (files, buckets) = (input.clone(), input.buckets);
    let cut = flow.stage_of_source("dedup.cut", number, move |plan| {
        let ranges = plan.buckets(ranges, buckets)?;
        let tasks = files.plan(plan)?.into_iter().map(|(name, input)| {
            let ranges = ranges[bucket_of_file(input.file, buckets) as usize].clone();
            (name, CutRanges { input, ranges, shrink })
        });
        Ok(tasks.collect())
    });
    CutTexts { edited: cut.product(CutRanges::EDITED), cut: cut.product(CutRanges::CUT) }
}

fn push_range(
    ranges: &mut BucketOutput<RangeRow>,
    (file, row): (u64, u64),
    range: Range<u64>,
    buckets: u32,
) -> Result<()> {
    ranges.push(bucket_of_file(file, buckets), &RangeRow { file, row, start: range.start, end: range.end })
}

/// Finds the substrings that occur twice.
#[derive(Serialize, Deserialize)]
struct FindSubstrings {
    files: Vec<InputFile>,
    rule: SubstringRule,
    buckets: u32,
}

impl FindSubstrings {
    const RANGES: Product<FindSubstrings, Buckets<RangeRow>> = Product::new("ranges", "work/{stage}/{name}.ranges");
}

impl Task for FindSubstrings {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let (unit, min_units) = match (self.rule.min_bytes, self.rule.min_tokens) {
            (Some(bytes), _) => (SequenceUnit::Byte, bytes),
            (None, Some(tokens)) => (SequenceUnit::Token16, tokens),
            (None, None) => bail!(Bug, "a rule for substrings has no length"),
        };
        let settings = SubstringSettings {
            unit,
            min_units,
            copies: match self.rule.copies {
                SubstringCopies::Later => Copies::Later,
                SubstringCopies::All => Copies::All,
            },
            max_memory_bytes: self.rule.max_memory_mib << 20,
            threads: rayon::current_num_threads(),
        };
        let scratch = work.scratch()?;
        let mut substrings = Substrings::new(&scratch, settings)?;
        let mut places = Vec::new();
        let tokenizer = self.rule.min_tokens.map(|_| Tokenizer::gpt2());
        let mut encoder = tokenizer.as_ref().map(Encoder::new);
        for file in &self.files {
            file.for_each(work, |work, KeptDocument { document, text, .. }| {
                work.counts.keep();
                places.push((document.file, document.row));
                match &mut encoder {
                    None => substrings.push(text.as_bytes())?,
                    Some(encoder) => {
                        // GPT-2's ids fit into 16 bits.
                        let ids = encoder.encode(&text).into_iter();
                        substrings.push(&ids.flat_map(|id| (id.0 as u16).to_le_bytes()).collect::<Vec<u8>>())?;
                    }
                }
                Ok(())
            })?;
        }
        let mut ranges = work.create_buckets(FindSubstrings::RANGES, self.buckets)?;
        for (place, repeated) in places.into_iter().zip(substrings.find()?) {
            repeated?.into_iter().try_for_each(|range| push_range(&mut ranges, place, range, self.buckets))?;
        }
        ranges.finish()
    }
}

/// Finds paragraphs, and whole documents, whose n-grams came before.
#[derive(Serialize, Deserialize)]
struct FilterNgrams {
    files: Vec<InputFile>,
    rule: NgramBloomRule,
    buckets: u32,
}

impl FilterNgrams {
    const RANGES: Product<FilterNgrams, Buckets<RangeRow>> = Product::new("ranges", "work/{stage}/{name}.ranges");
}

impl Task for FilterNgrams {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let NgramBloomRule { ngram_tokens, max_contained, expected_ngrams, max_false_positive_rate } = self.rule;
        let limits = NgramLimits { min_ngram_tokens: ngram_tokens, max_ngram_tokens: ngram_tokens, max_contained };
        let mut seen = NgramBloom::new(limits, BloomFilter::new(expected_ngrams, max_false_positive_rate)?);
        let mut ranges = work.create_buckets(FilterNgrams::RANGES, self.buckets)?;
        for file in &self.files {
            file.for_each(work, |work, KeptDocument { document, text, .. }| {
                work.counts.keep();
                let verdict = seen.judge(&text);
                let place = (document.file, document.row);
                if verdict.is_dropped {
                    return push_range(&mut ranges, place, 0..text.len() as u64, self.buckets);
                }
                let mut cut = verdict.cut.into_iter();
                cut.try_for_each(|cut| push_range(&mut ranges, place, cut.start as u64..cut.end as u64, self.buckets))
            })?;
        }
        let rate = seen.seen().false_positive_rate();
        work.metric("false_positive_rate", rate);
        // An overfull filter takes everything for known.
        let is_overfull = rate > MAX_RATE_EXCESS * max_false_positive_rate;
        ensure!(
            !is_overfull,
            Input,
            "the filter of n-grams is too full: it takes {rate:.3} of new ones for known ones; raise \
             [dedup] ngram_bloom.expected_ngrams, {expected_ngrams}, to the words of all documents"
        );
        ranges.finish()
    }
}

/// What becomes of a range before it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shrink {
    /// It is cut as it is.
    Nothing,
    /// It is shrunk to whole words.
    ToWords,
    /// It counts GPT-2's tokens, at two bytes each, and their bytes are shrunk to whole words.
    TokensToWords,
}

/// Cuts ranges out of the documents of a file.
#[derive(Serialize, Deserialize)]
struct CutRanges {
    input: InputFile,
    ranges: Bucket<RangeRow>,
    shrink: Shrink,
}

impl CutRanges {
    const EDITED: Product<CutRanges, Table<EditedText>> =
        Product::new("edited", "documents/cut{suffix}/{name}.parquet");
    const CUT: Product<CutRanges, Table<CutSpans>> = Product::new("spans", "duplicates/spans{suffix}-{name}.parquet");
}

impl Task for CutRanges {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut writer = CutWriter::new(work.create_table(CutRanges::EDITED)?, work.create_table(CutRanges::CUT)?);
        // Other documents files share the bucket.
        let mut ranges = work.lookup_bucket(&self.ranges)?.peekable();
        self.input.for_each(work, |work, document| {
            let place = (document.document.file, document.document.row);
            let mut cut = Vec::new();
            let is_due = |range: &RangeRow| (range.file, range.row) <= place;
            while let Some(range) = ranges.next_if(|range| range.as_ref().map_or(true, is_due)) {
                let RangeRow { file, row, start, end } = range?;
                if (file, row) == place {
                    cut.push(start as usize..end as usize);
                }
            }
            let mut cut = self.shrunk(&document.text, cut);
            cut.retain(|range| !range.is_empty());
            let edit = (!cut.is_empty()).then(|| cut_ranges(&document.text, cut));
            let is_dropped = edit.as_ref().is_some_and(|edit| edit.text.trim().is_empty());
            writer.push(work, document, edit, is_dropped)
        })?;
        writer.finish(work)
    }
}

impl CutRanges {
    fn shrunk(&self, text: &str, ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
        let ranges = match self.shrink {
            Shrink::Nothing => return ranges,
            Shrink::ToWords => ranges,
            Shrink::TokensToWords if ranges.is_empty() => return ranges,
            Shrink::TokensToWords => {
                let tokenizer = Tokenizer::gpt2();
                let ids = Encoder::new(&tokenizer).encode(text);
                let tokens: Vec<Range<usize>> = tokenizer.offsets(&ids).collect();
                let bytes = |range: Range<usize>| tokens[range.start / 2].start..tokens[range.end / 2 - 1].end;
                ranges.into_iter().map(bytes).collect()
            }
        };
        ranges.into_iter().map(|range| shrink_to_words(text, range)).collect()
    }
}
