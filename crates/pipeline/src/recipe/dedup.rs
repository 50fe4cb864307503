//! `[dedup]`: which documents are duplicates of each other, and which of them stays.

use std::path::Path;

use dedup::{Bands, MAX_PERMUTATIONS};
use serde::{Deserialize, Serialize};

use crate::engine::External;
use crate::error::{Error, Result, Within as _, bail, ensure};

/// Keys of [`Dedup::keep`], at most.
pub const MAX_KEEP_KEYS: usize = 3;
/// The recall without `recall`, `bands` and `rows`: one pair in a hundred at the limit is missed, and fewer above it.
pub(super) const DEFAULT_RECALL: f64 = 0.99;
/// Minimum similarity of near-duplicates where a command is given none: the default of text-dedup, and near the
/// threshold of FineWeb's 14 bands of 8 rows, (1/14)^(1/8) = 0.72. OpenWebText took 0.5.
const DEFAULT_MIN_JACCARD: f64 = 0.7;

/// `[dedup]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// Drop all but one of the documents with the same words.
    pub exact: bool,
    /// Drop documents that are similar to a kept one. Default: none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
    /// Which of two duplicates stays: the first key decides, then the next, and at last the id.
    #[serde(default = "Dedup::default_keep")]
    pub keep: Vec<KeepKey>,
    /// What the documents around a kept one are.
    #[serde(default)]
    pub clusters: ClusterKind,
    /// Folders of earlier runs with fingerprints: documents that are duplicates of theirs are dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
    /// Write fingerprints of the kept documents, for later runs.
    #[serde(default)]
    pub fingerprints: bool,
    /// Cut paragraphs, and drop documents, whose n-grams came before. Default: none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngram_bloom: Option<NgramBloomRule>,
    /// Which parts of the texts that are left are cut out, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpanRule>,
    /// Cut whatever occurs twice in the texts that are left. Default: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substrings: Option<SubstringRule>,
}

/// `[dedup] ngram_bloom = {…}`: DCLM's filter of paragraphs and documents (its `dedup/bff`), in the order of documents
/// files and their rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NgramBloomRule {
    /// Tokens of an n-gram: words of UAX 29.
    #[serde(default = "NgramBloomRule::default_ngram_tokens")]
    pub ngram_tokens: usize,
    /// Fraction of n-grams that came before, from which a paragraph is cut, or a document dropped.
    #[serde(default = "NgramBloomRule::default_max_contained")]
    pub max_contained: f64,
    /// N-grams of all documents, about as many as words: the filter is made for so many.
    pub expected_ngrams: u64,
    /// Fraction of n-grams that the full filter takes for known ones. A tenth of it takes 5 bits more for each.
    #[serde(default = "NgramBloomRule::default_max_false_positive_rate")]
    pub max_false_positive_rate: f64,
}

impl NgramBloomRule {
    fn default_ngram_tokens() -> usize {
        13
    }

    fn default_max_contained() -> f64 {
        0.8
    }

    fn default_max_false_positive_rate() -> f64 {
        0.01
    }

    fn check(&self) -> Result<()> {
        ensure!(self.ngram_tokens > 0, Recipe, "ngram_tokens is at least 1");
        let is_fraction = self.max_contained > 0.0 && self.max_contained <= 1.0;
        ensure!(is_fraction, Recipe, "max_contained lies above 0 and is at most 1");
        ensure!(self.expected_ngrams > 0, Recipe, "expected_ngrams is at least 1: about the words of all documents");
        dedup::bloom::BloomFilter::bytes_for(self.expected_ngrams, self.max_false_positive_rate)
            .map_err(|error| Error::Recipe(format!("in ngram_bloom: {error}")))?;
        Ok(())
    }
}

/// `[dedup] substrings = {…}`: exact substrings by suffix arrays, in the order of documents files and their rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubstringRule {
    /// Minimum number of bytes of a repeated substring. 50 tokens of GPT-2 are about 220 bytes of English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<usize>,
    /// Minimum number of GPT-2's tokens of a repeated substring, in place of bytes. The paper has 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<usize>,
    /// Which occurrences are cut.
    #[serde(default)]
    pub copies: SubstringCopies,
    /// Memory of the search, in MiB.
    #[serde(default = "SubstringRule::default_max_memory_mib")]
    pub max_memory_mib: u64,
}

/// Which occurrences of a substring are cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum SubstringCopies {
    /// All but the first.
    #[default]
    Later,
    /// Every one.
    All,
}

impl SubstringRule {
    /// The memory without `max_memory_mib`.
    pub const DEFAULT_MAX_MEMORY_MIB: u64 = 2048;
    /// More is of no use: the search compares windows of this length.
    pub const MAX_MIN_LENGTH: usize = 65_536;

    fn default_max_memory_mib() -> u64 {
        SubstringRule::DEFAULT_MAX_MEMORY_MIB
    }

    /// Says which setting makes no sense.
    ///
    /// # Errors
    /// A number is out of its range.
    pub fn check(&self) -> Result<()> {
        let lengths = 1..=SubstringRule::MAX_MIN_LENGTH;
        match (self.min_bytes, self.min_tokens) {
            (Some(length), None) | (None, Some(length)) => {
                ensure!(
                    lengths.contains(&length),
                    Recipe,
                    "min_bytes and min_tokens lie between 1 and {}",
                    lengths.end()
                );
            }
            _ => bail!(Recipe, "substrings has either min_bytes or min_tokens"),
        }
        ensure!(self.max_memory_mib > 0, Recipe, "max_memory_mib is at least 1");
        Ok(())
    }
}

impl Dedup {
    /// The stage that writes fingerprints.
    pub(crate) const FINGERPRINTS_STAGE: &str = "dedup.fingerprints";
    /// Its product.
    pub(crate) const FINGERPRINTS: &str = "fingerprints";

    fn default_keep() -> Vec<KeepKey> {
        vec![KeepKey::HighestKarma]
    }

    /// Copies of the same words are dropped, and nothing else.
    pub fn exact() -> Dedup {
        Dedup {
            exact: true,
            near: None,
            keep: Dedup::default_keep(),
            clusters: ClusterKind::Stars,
            against: Vec::new(),
            fingerprints: false,
            ngram_bloom: None,
            spans: Vec::new(),
            substrings: None,
        }
    }

    /// The fingerprints of an earlier run: for each documents file its name and the table.
    ///
    /// # Errors
    /// When the folder is not that of a run, or the run has none.
    pub(crate) fn fingerprints_of(run: &str) -> Result<Vec<(String, External)>> {
        let tables = External::of_run(Path::new(run), Dedup::FINGERPRINTS_STAGE, Dedup::FINGERPRINTS);
        tables.within(|| format!("{run} has no fingerprints; its recipe needs [dedup] fingerprints = true"))
    }

    /// Says which setting makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.keep.len() <= MAX_KEEP_KEYS, Recipe, "keep has at most {MAX_KEEP_KEYS} keys");
        let is_twice = self.keep.iter().enumerate().find(|(at, key)| self.keep[..*at].contains(key));
        ensure!(is_twice.is_none(), Recipe, "keep has a key twice");
        let is_used = self.near.is_some() || self.clusters == ClusterKind::Stars;
        ensure!(is_used, Recipe, "clusters = \"transitive\" needs near");
        let compares = self.exact || self.near.is_some();
        ensure!(compares || self.against.is_empty(), Recipe, "against needs exact = true or near");
        self.spans.iter().try_for_each(SpanRule::check)?;
        self.ngram_bloom.as_ref().map_or(Ok(()), NgramBloomRule::check)?;
        self.substrings.as_ref().map_or(Ok(()), SubstringRule::check)?;
        self.near.as_ref().map_or(Ok(()), Near::check)
    }
}

/// `[[dedup.spans]]`: parts that several texts have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpanRule {
    /// What is compared.
    pub unit: SpanUnit,
    /// Sentences in a row that make one unit, for `unit = "sentence"`.
    #[serde(default = "SpanRule::default_sentences")]
    pub sentences: usize,
    /// Minimum number of words of a unit; shorter ones are never copies. Not in a dialect.
    #[serde(default = "SpanRule::default_min_words")]
    pub min_words: u64,
    /// Where copies are looked for.
    #[serde(default)]
    pub within: SpanScope,
    /// Minimum number of documents with a unit, from which it is cut out of all of them. Without it, it is cut out of
    /// all but the first, wherever it occurs twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_documents: Option<u64>,
    /// Whose code is followed: how texts are divided and cut, and when too little is left. Default: our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<SpanDialect>,
}

/// What is compared with other texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanUnit {
    /// Lines.
    Line,
    /// What blank lines separate.
    Paragraph,
    /// So many sentences in a row.
    Sentence,
}

/// Where copies are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum SpanScope {
    /// In all texts.
    #[default]
    Corpus,
    /// In the texts of the same registrable domain.
    Domain,
}

/// Published code that cuts repeated sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanDialect {
    /// datatrove's sentence dedup.
    #[serde(rename = "datatrove-0.10")]
    Datatrove0_10,
}

impl SpanRule {
    fn default_sentences() -> usize {
        3
    }

    fn default_min_words() -> u64 {
        8
    }

    /// All of one unit, by our own definition, with the other defaults.
    pub fn of(unit: SpanUnit) -> SpanRule {
        let (sentences, min_words) = (SpanRule::default_sentences(), SpanRule::default_min_words());
        SpanRule { unit, sentences, min_words, within: SpanScope::Corpus, min_documents: None, dialect: None }
    }

    /// Says which setting makes no sense.
    ///
    /// # Errors
    /// A number is 0, or the dialect has no such unit.
    pub fn check(&self) -> Result<()> {
        ensure!(self.sentences > 0, Recipe, "sentences is at least 1");
        ensure!(self.min_documents != Some(0), Recipe, "min_documents is at least 1");
        let is_known = self.dialect.is_none() || self.unit != SpanUnit::Paragraph;
        ensure!(is_known, Recipe, "the dialect datatrove-0.10 has no unit \"paragraph\"");
        Ok(())
    }
}

/// What makes one of two duplicates stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepKey {
    /// The one whose link has the higher karma; one without karma comes last.
    #[serde(rename = "highest karma")]
    HighestKarma,
    /// The one that was captured earlier; one without a time comes last.
    #[serde(rename = "earliest capture")]
    EarliestCapture,
    /// The one that was captured later; one without a time comes last.
    #[serde(rename = "latest capture")]
    LatestCapture,
    /// The one with more bytes of text.
    #[serde(rename = "longest text")]
    LongestText,
}

/// Which documents a kept one represents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ClusterKind {
    /// Those that resemble it.
    #[default]
    Stars,
    /// All that pairs connect with it, resembling it or not. Needs memory for every document that is in a pair.
    Transitive,
}

/// `[dedup] near = {…}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "clap", derive(clap::Args), group(skip))]
pub struct Near {
    /// Words of a shingle.
    #[serde(default = "Near::default_shingle_words")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Near::default_shingle_words()))]
    pub shingle_words: usize,
    /// Minimum Jaccard similarity of near-duplicates.
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", default_value_t = DEFAULT_MIN_JACCARD))]
    pub min_jaccard: f64,
    /// Probability of finding a pair that lies exactly at --min-jaccard; bands and rows follow from it. [default: 0.99]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", conflicts_with_all = ["bands", "rows"]))]
    pub recall: Option<f64>,
    /// Bands of a signature, in place of --recall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", requires = "rows"))]
    pub bands: Option<usize>,
    /// Rows of each band, in place of --recall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", requires = "bands"))]
    pub rows: Option<usize>,
}

impl Default for Near {
    fn default() -> Near {
        let shingle_words = Near::default_shingle_words();
        Near { shingle_words, min_jaccard: DEFAULT_MIN_JACCARD, recall: None, bands: None, rows: None }
    }
}

impl Near {
    /// The shingles of FineWeb, OpenWebText and text-dedup.
    const fn default_shingle_words() -> usize {
        5
    }

    /// Says which number makes no sense.
    ///
    /// # Errors
    /// A size is 0, the signature is too long, a fraction does not lie between 0 and 1, or both a recall and a shape
    /// are given.
    pub fn check(&self) -> Result<()> {
        ensure!(self.shingle_words > 0, Recipe, "shingle_words is at least 1");
        self.shape().map(|_| ())
    }

    /// Bands and rows: those that are given, or those that follow from the recall.
    ///
    /// # Errors
    /// As [`Near::check`].
    pub fn shape(&self) -> Result<Bands> {
        let min = self.min_jaccard;
        ensure!(min > 0.0 && min <= 1.0, Recipe, "min_jaccard lies above 0 and is at most 1, and is {min} here");
        let shape = match (self.recall, self.bands, self.rows) {
            (Some(recall), None, None) => {
                ensure!(recall > 0.0 && recall < 1.0, Recipe, "recall lies between 0 and 1, and is {recall} here");
                Bands::for_recall(self.min_jaccard, recall)
            }
            (None, None, None) => Bands::for_recall(self.min_jaccard, DEFAULT_RECALL),
            (None, Some(bands), Some(rows)) => {
                ensure!(bands > 0 && rows > 0, Recipe, "bands and rows are at least 1");
                Some(Bands { bands, rows })
            }
            _ => None,
        };
        let together = || Error::Recipe("bands and rows go together, and take the place of recall".to_owned());
        let shape = shape.ok_or_else(together)?;
        let permutations = shape.bands.saturating_mul(shape.rows);
        ensure!(
            permutations <= MAX_PERMUTATIONS,
            Recipe,
            "bands × rows is {permutations}, and at most {MAX_PERMUTATIONS}"
        );
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_meaning_are_refused() {
        let fault = |text: &str| toml::from_str::<Dedup>(text).unwrap().check().unwrap_err().to_string();
        let near = "exact = true\nnear = { min_jaccard = 0.7 }";
        assert!(fault("exact = true\nclusters = \"transitive\"").contains("needs near"));
        assert!(fault("exact = false\nagainst = [\"runs/1\"]").contains("against needs"));
        let twice = format!("{near}\nkeep = [\"longest text\", \"longest text\"]");
        assert!(fault(&twice).contains("a key twice"));
        for length in ["", "min_bytes = 9, min_tokens = 9", "min_tokens = 0"] {
            assert!(fault(&format!("{near}\nsubstrings = {{ {length} }}")).contains("min_tokens"), "{length}");
        }
        toml::from_str::<Dedup>(&format!("{near}\nsubstrings = {{ min_tokens = 50 }}")).unwrap().check().unwrap();
    }

    fn near(text: &str) -> Near {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn bands_follow_from_recall_or_are_given() {
        let shape = |text: &str| near(text).shape();
        assert_eq!(shape("min_jaccard = 0.7").unwrap(), Bands { bands: 26, rows: 5 });
        assert_eq!(shape("min_jaccard = 0.7\nrecall = 0.99").unwrap(), Bands { bands: 26, rows: 5 });
        assert_eq!(shape("min_jaccard = 0.7\nbands = 14\nrows = 8").unwrap(), Bands { bands: 14, rows: 8 });
        let fault = |text: &str| shape(text).unwrap_err().to_string();
        assert!(fault("min_jaccard = 0.7\nbands = 14").contains("go together"));
        assert!(fault("min_jaccard = 0.7\nrecall = 0.9\nbands = 14\nrows = 8").contains("go together"));
        assert!(fault("min_jaccard = 0.7\nrecall = 1.0").contains("recall lies between"));
        assert!(fault("min_jaccard = 0.0").contains("above 0"));
        assert!(fault("min_jaccard = 0.7\nbands = 70000\nrows = 1").contains("at most 65536"));
        assert!(near("min_jaccard = 0.7\nshingle_words = 0").check().is_err());
    }

    #[cfg(feature = "clap")]
    #[test]
    fn the_help_states_the_default_recall() {
        use clap::Args as _;
        let command = Near::augment_args(clap::Command::new("dedup"));
        let recall = command.get_arguments().find(|argument| argument.get_id().as_str() == "recall").unwrap();
        let help = recall.get_help().unwrap().to_string();
        assert!(help.ends_with(&format!("[default: {DEFAULT_RECALL}]")), "{help}");
    }
}
