#![doc = include_str!("../README.md")]

mod bands;
pub mod bloom;
mod candidates;
mod minhash;
pub mod ngram_bloom;
mod ngrams;
pub mod overlap;
#[cfg(test)]
#[path = "../../../tests/support/share.rs"]
mod share;
pub mod spans;
mod stars;
pub mod substrings;
mod words;

pub use bands::Bands;
pub use candidates::BandGroup;
pub use minhash::{BandHash, MAX_PERMUTATIONS, MinHash, Sketch};
pub use ngrams::for_each_ngram;
pub use stars::{ExactPair, NearPair, Ranked, Represented, Stars, transitive_clusters};
pub use words::{HASH_VERSION, Jaccard, NormalizedWords, jaccard, text_hash};
