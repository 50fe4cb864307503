//! Chooses the documents on the page: those with the smallest ids of each reason.
//!
//! Ids are hashes of addresses, so the smallest are a random sample, and the same one for any order of documents.

use std::collections::{BTreeMap, BinaryHeap};

use records::Reason;

/// Number of a documents file, and of a row in it.
pub type DocumentPlace = (usize, usize);

/// The documents of one reason.
#[derive(Default)]
struct Candidates {
    documents: u64,
    /// The smallest ids with their places; the largest of them is on top.
    smallest: BinaryHeap<(u128, DocumentPlace)>,
}

/// Draws a sample of at most a given number of documents, in strata by reason.
pub struct Draw {
    max_documents: usize,
    strata: BTreeMap<Option<Reason>, Candidates>,
}

/// The sample.
pub struct Drawn {
    /// By reason, `None` for kept: documents offered, and documents drawn.
    pub strata: BTreeMap<Option<Reason>, (u64, u64)>,
    /// The places of those that were drawn, with their reasons.
    pub places: BTreeMap<DocumentPlace, Option<Reason>>,
}

impl Draw {
    pub fn of(max_documents: usize) -> Draw {
        Draw { max_documents, strata: BTreeMap::new() }
    }

    /// Offers a document. Memory: `max_documents` ids per reason.
    pub fn offer(&mut self, id: &str, reason: Option<Reason>, place: DocumentPlace) {
        // Ids are 32 hexadecimal digits.
        let id = u128::from_str_radix(id, 16).unwrap_or(u128::MAX);
        let candidates = self.strata.entry(reason).or_default();
        candidates.documents += 1;
        candidates.smallest.push((id, place));
        if candidates.smallest.len() > self.max_documents {
            candidates.smallest.pop();
        }
    }

    pub fn finish(self) -> Drawn {
        let sizes: Vec<usize> = self.strata.values().map(|candidates| candidates.smallest.len()).collect();
        let has_kept = self.strata.contains_key(&None);
        let mut drawn = Drawn { strata: BTreeMap::new(), places: BTreeMap::new() };
        for ((reason, candidates), share) in self.strata.into_iter().zip(shares(&sizes, has_kept, self.max_documents)) {
            drawn.strata.insert(reason, (candidates.documents, share as u64));
            let smallest = candidates.smallest.into_sorted_vec();
            drawn.places.extend(smallest.into_iter().take(share).map(|(_, place)| (place, reason)));
        }
        drawn
    }
}

/// How many documents each stratum gives: half of them kept ones, which come first, the others in equal parts. What one
/// stratum lacks is divided among the others.
fn shares(sizes: &[usize], has_kept: bool, max_documents: usize) -> Vec<usize> {
    let (kept, dropped) = sizes.split_at(usize::from(has_kept));
    let kept: usize = kept.iter().sum();
    let all_dropped: usize = dropped.iter().sum();
    let half = max_documents / 2;
    let for_kept = kept.min(half.max(max_documents.saturating_sub(all_dropped)));
    let mut rest = max_documents - for_kept;
    let mut shares = vec![0; dropped.len()];
    // The smallest first: each takes no more than an equal part of what is left.
    let mut by_size: Vec<usize> = (0..dropped.len()).collect();
    by_size.sort_by_key(|&at| dropped[at]);
    for (taken, &at) in by_size.iter().enumerate() {
        shares[at] = dropped[at].min(rest / (by_size.len() - taken));
        rest -= shares[at];
    }
    if has_kept {
        shares.insert(0, for_kept);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_reason_does_not_have_goes_to_the_others() {
        let check = |sizes: &[usize], has_kept, expected: &[usize]| {
            assert_eq!(shares(sizes, has_kept, 100), expected, "{sizes:?}");
        };
        check(&[100, 100, 100], true, &[50, 25, 25]);
        check(&[100, 3, 100], true, &[50, 3, 47]);
        check(&[100, 3, 4], true, &[93, 3, 4]);
        check(&[10, 100, 100], true, &[10, 45, 45]);
        check(&[100, 100], false, &[50, 50]);
        check(&[7], true, &[7]);
        check(&[100], true, &[100]);
        check(&[], false, &[]);
    }

    #[test]
    fn the_order_does_not_matter_and_the_smallest_ids_are_drawn() {
        let rule = Some(Reason::of_rule("length", "words"));
        let draw = |order: &mut dyn Iterator<Item = usize>| {
            let mut draw = Draw::of(4);
            for n in order {
                draw.offer(&format!("{n:032x}"), if n % 3 == 0 { rule } else { None }, (0, n));
            }
            draw.finish()
        };
        let (up, down) = (draw(&mut (0..30)), draw(&mut (0..30).rev()));
        assert_eq!(up.places, down.places);
        assert_eq!(up.places.keys().map(|place| place.1).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(up.strata[&None], (20, 2));
        assert_eq!(up.strata[&rule], (10, 2));
    }
}
