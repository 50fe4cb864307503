#![doc = include_str!("../README.md")]

mod text;

pub use text::{TextForm, TextSink};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Which set a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// To train on.
    Train,
    /// To validate on.
    Val,
}

impl Split {
    /// The name in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
        }
    }
}

/// A document's place in the shuffled order: the smaller, the earlier.
pub fn order(id: &str, seed: u64) -> u128 {
    xxh3_128_with_seed(id.as_bytes(), seed)
}

/// The split of a document: validation for a share of all, 0 to 1.
///
/// ```
/// let validation = (0..10_000).filter(|i| shard::split(&i.to_string(), 1, 0.1) == shard::Split::Val).count();
/// assert!((900..1100).contains(&validation));
/// ```
pub fn split(id: &str, seed: u64, validation: f64) -> Split {
    let place = xxh3_64_with_seed(id.as_bytes(), !seed) as f64 / u64::MAX as f64;
    if place < validation { Split::Val } else { Split::Train }
}

/// The shard, in `0..shards`, that holds this place in the order.
pub fn shard_of(order: u128, shards: u32) -> u32 {
    // The high 64 bits decide, so that the product fits.
    (((order >> 64) * u128::from(shards)) >> 64) as u32
}

/// One document of a text shard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardRow {
    /// Main text.
    pub text: String,
    /// 32 hexadecimal digits that identify the document in all tables.
    pub id: String,
    /// Where it was found.
    pub url: String,
    /// Registrable domain.
    pub domain: String,
    /// Title of the page.
    pub title: Option<String>,
    /// ISO 639-3 code of the language.
    pub language: Option<String>,
    /// Time of the capture, RFC 3339 in UTC.
    pub captured: Option<String>,
    /// Karma of the link; none when no link led there.
    pub karma: Option<i64>,
    /// Subreddit of the link.
    pub subreddit: Option<String>,
    /// The archive that the page lies in.
    pub warc: String,
    /// Offset of its record there.
    pub offset: u64,
    /// Documents that were dropped as duplicates of this one.
    pub duplicates: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_ranges_of_the_order() {
        for shards in [1, 3, 7] {
            let mut orders: Vec<u128> = (0..500).map(|i: u32| order(&i.to_string(), 9)).collect();
            orders.sort_unstable();
            let numbers: Vec<u32> = orders.iter().map(|&o| shard_of(o, shards)).collect();
            assert!(numbers.is_sorted() && numbers[0] == 0 && numbers[499] == shards - 1);
        }
        assert_eq!(shard_of(u128::MAX, 5), 4);
    }

    #[test]
    fn seeds_give_other_orders() {
        assert_ne!(order("a", 1) < order("b", 1), order("a", 2) < order("b", 2));
    }
}
