//! Exact and near-duplicates.
//!
//! **Definition.** The [words](NormalizedWords) of a text are its runs of letters and digits, lower-cased. Two
//! texts are exact duplicates when their words are the same, and near-duplicates when the [Jaccard similarity](jaccard)
//! of their sets of *shingles* (n words in a row) reaches a limit.
//!
//! **How pairs are found.** A [MinHash] signature estimates that similarity; texts that agree in a whole band
//! of it become a candidate pair; the similarity of each candidate pair is then computed from the shingles themselves.
//! So no pair is false, but some are missed: with b bands of r rows, a pair of similarity s is found
//! with probability 1 − (1 − sʳ)ᵇ. [`Bands::for_recall`] chooses both for a recall at the limit.
//!
//! **What is kept.** Documents have an order; each is kept unless it resembles a kept one before it ([`Stars`]). Whole
//! [clusters](transitive_clusters) are the other choice. Nothing depends on the order in which texts or pairs arrive.
//!
//! **Parts of texts.** [`spans`] finds and cuts lines, paragraphs and sentences that texts have in common;
//! [`ngram_bloom`] cuts paragraphs whose n-grams came before; [`substrings`] finds whatever occurs twice, by suffix
//! arrays; [`overlap`] compares a corpus with evaluation sets. Bloom filters are in [`bloom`].

mod bands;
pub mod bloom;
mod candidates;
mod minhash;
pub mod ngram_bloom;
mod ngrams;
pub mod overlap;
pub mod spans;
mod stars;
pub mod substrings;
mod words;

pub use bands::Bands;
pub use candidates::BandGroup;
pub use minhash::{BandHash, MinHash, Sketch};
pub use ngrams::for_each_ngram;
pub use stars::{ExactPair, NearPair, Ranked, Represented, Stars, transitive_clusters};
pub use words::{HASH_VERSION, Jaccard, NormalizedWords, jaccard, text_hash};
