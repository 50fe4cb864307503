//! Counts in memory, on disk and in files, against the twin's pretokens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::twin;

fn expected(texts: &[String]) -> Vec<(Vec<u8>, u64)> {
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for pretoken in texts.iter().flat_map(|text| twin::pretokens(text)) {
        *counts.entry(pretoken.as_bytes().to_vec()).or_default() += 1;
    }
    counts.into_iter().collect()
}

proptest! {
    #[test]
    fn counts_are_those_of_the_twin(texts in proptest::collection::vec("([ \\n]?[a-eé]{1,18}){0,40}", 0..6)) {
        let expected = expected(&texts);
        let mut counts = WordCounts::new();
        texts.iter().for_each(|text| counts.add_text(text));
        prop_assert_eq!(counts.len(), expected.len());

        let mut file = Vec::new();
        let sorted = counts.clone().into_sorted();
        write_words(sorted.iter().map(|(word, count)| (word.as_slice(), *count)), &mut file).unwrap();
        prop_assert_eq!(read_words(&file[..]).unwrap().into_sorted(), expected.clone());
        if file.len() > 8 {
            prop_assert!(read_words(&file[..file.len() - 1]).is_err());
        }

        // Every text exceeds so little memory, so each is a run of its own.
        let mut sets = vec![SpillingCounts::new(0), SpillingCounts::new(usize::MAX)];
        for (number, text) in texts.iter().enumerate() {
            sets[number % 2].add_text(text).unwrap();
        }
        prop_assert_eq!(SpillingCounts::into_sorted(sets).unwrap(), expected);
        prop_assert_eq!(counts.into_sorted(), sorted);
    }
}

#[test]
fn a_table_grows() {
    let mut counts = WordCounts::new();
    for i in 0..30_000u32 {
        counts.add(format!("w{}", i % 10_000).as_bytes(), 2);
    }
    let sorted = counts.into_sorted();
    assert_eq!(sorted.len(), 10_000);
    assert!(sorted.iter().all(|&(_, count)| count == 6));
}
