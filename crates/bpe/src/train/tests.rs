//! The trainer against its twin.

use proptest::prelude::*;

use super::*;
use crate::formats::Format;
use crate::split::added::AddedToken;
use crate::tokenizer::Parts;
use crate::{Encoder, TokenId, twin};

fn check(words: &[(Vec<u8>, u64)], vocab_size: usize, min_frequency: u64) {
    for ties in [Ties::Gpt2Bytes, Ties::RawBytes] {
        let options =
            TrainingOptions { vocab_size, min_frequency, specials: Vec::new(), ties, splitter: Splitter::default() };
        let mut training = Training::new(words, &options);
        while training.merge_next() {}
        let tokenizer = training.tokenizer(None);
        let merges: Vec<(TokenId, TokenId)> = tokenizer.merges().map(|(l, r, _)| (l, r)).collect();
        assert_eq!(merges, twin::train(words, vocab_size, min_frequency, ties));

        // Interrupted and continued, it ends with the same merges.
        let mut again = Training::new(words, &options);
        assert!(again.replay(&training.merges()[..merges.len() / 2]));
        while again.merge_next() {}
        assert_eq!(again.merges(), training.merges());

        let tokens: u64 = words
            .iter()
            .map(|(word, count)| {
                Encoder::new(&tokenizer).encode(std::str::from_utf8(word).unwrap()).len() as u64 * count
            })
            .sum();
        assert_eq!(training.tokens(merges.len()), tokens);
    }
}

#[test]
fn overlapping_pairs() {
    check(&[(b"aaaaaaa".to_vec(), 3), (b"aabaab".to_vec(), 2), (b"abababa".to_vec(), 5)], 280, 1);
}

#[test]
fn ties_of_bytes_in_either_order() {
    // A space comes before `a` as a byte, and after it in GPT-2's order.
    let words = [(b" a".to_vec(), 2), (b"ab".to_vec(), 2)];
    let first = |ties| {
        let options = TrainingOptions {
            vocab_size: 257,
            min_frequency: 1,
            specials: Vec::new(),
            ties,
            splitter: Splitter::default(),
        };
        train(&words, &options).token(TokenId(256)).to_vec()
    };
    assert_eq!((first(Ties::Gpt2Bytes), first(Ties::RawBytes)), (b"ab".to_vec(), b" a".to_vec()));
}

#[test]
fn foreign_merges_are_not_replayed() {
    let options = TrainingOptions::new(300).with_min_frequency(1);
    assert!(!Training::new(&[(b"abc".to_vec(), 1)], &options).replay(&[(1, 2)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn merges_are_those_of_the_twin(
        words in proptest::collection::btree_map("[abc]{1,9}", 1u64..9, 0..8),
        merges in 0usize..24,
        min_frequency in 0u64..6,
    ) {
        let words: Vec<(Vec<u8>, u64)> = words.into_iter().map(|(w, c)| (w.into_bytes(), c)).collect();
        check(&words, 256 + merges, min_frequency);
    }
}

/// The same tokens and merges with other ids, special tokens first, and gaps; the second special token is a word of
/// the texts, unless a merge makes it.
fn with_ids_of_its_own(trained: &Tokenizer, reversed: bool, shuffle: u64) -> Tokenizer {
    let last = trained.vocab_size() as u32 - 1;
    let id = |TokenId(id)| TokenId(3 + 2 * if reversed { last - id } else { id });
    let mut merges: Vec<_> = trained.merges().map(|(left, right, made)| (id(left), id(right), id(made))).collect();
    // In another order, they are merged by the definition.
    merges.sort_by_cached_key(|(_, _, made)| (u64::from(made.0) + 1).wrapping_mul(shuffle));
    let is_made = trained.vocabulary().any(|(_, token)| token == b"cab");
    let second = if is_made { "<e>" } else { "cab" };
    Tokenizer::from_parts(Parts {
        tokens: trained.vocabulary().map(|(of, bytes)| (id(of).0, bytes.to_vec(), true)).collect(),
        merges,
        added: vec![AddedToken::special(TokenId(0), "<s>"), AddedToken::special(TokenId(1), second)],
        ..Parts::default()
    })
}

/// Tokens of the base in place of each new one.
fn in_tokens_of_the_base(grown: &Tokenizer, base: &Tokenizer, ids: &[TokenId]) -> Vec<TokenId> {
    ids.iter()
        .flat_map(|&id| {
            if (id.0 as usize) < base.vocab_size() {
                return vec![id];
            }
            let (left, right, _) = grown.merges().find(|&(_, _, made)| made == id).expect("a merge makes it");
            in_tokens_of_the_base(grown, base, &[left, right])
        })
        .collect()
}

fn check_from(base: &Tokenizer, words: &[(Vec<u8>, u64)], max_merges: usize, min_frequency: u64) {
    for ties in [Ties::Gpt2Bytes, Ties::RawBytes] {
        let options =
            TrainingOptions::further(base.vocab_size() + max_merges).with_min_frequency(min_frequency).with_ties(ties);
        let mut training = Training::from_tokenizer(base, words, &options).unwrap();
        while training.merge_next() {}
        let grown = training.tokenizer(None);

        let new: Vec<_> = grown.merges().skip(base.merges().len()).map(|(l, r, _)| (l, r)).collect();
        assert_eq!(new, twin::train_from(base, words, max_merges, min_frequency, ties));
        assert!(grown.merges().take(base.merges().len()).eq(base.merges()));
        let ids = (0..base.vocab_size() as u32).map(TokenId);
        ids.for_each(|id| assert_eq!((grown.kind(id), grown.token(id)), (base.kind(id), base.token(id))));
        assert_eq!((grown.added_tokens(), grown.rules()), (base.added_tokens(), base.rules()));
        assert_eq!(Format::TokenizerJson.fault(&grown, &Format::TokenizerJson.write(&grown, "t.json")), None);

        let (mut encoder, mut of_base) = (Encoder::new(&grown), Encoder::new(base));
        let twin = twin::Twin::new(&grown);
        let mut tokens = 0;
        for (word, count) in words {
            let ids = encoder.merge(word);
            assert_eq!(ids, twin.merge(word));
            assert_eq!(in_tokens_of_the_base(&grown, base, &ids), of_base.merge(word));
            tokens += ids.len() as u64 * count;
        }
        assert_eq!(training.tokens(new.len()), tokens);

        let mut again = Training::from_tokenizer(base, words, &options).unwrap();
        assert!(again.replay(&training.merges()[..new.len() / 2]));
        while again.merge_next() {}
        assert_eq!(again.merges(), training.merges());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn merges_behind_a_tokenizer_are_those_of_the_twin(
        choices in proptest::collection::vec((any::<u16>(), any::<u16>()), 0..12),
        more in proptest::collection::vec("[abc]{2,6}", 0..4),
        form in 0usize..4,
        shuffle: u64,
        words in proptest::collection::btree_map("[abc]{1,12}", 1u64..9, 0..10),
        max_merges in 1usize..24,
        min_frequency in 0u64..4,
    ) {
        let trained = crate::encode::merges::tests::tokenizer_of(&choices);
        let base = match form {
            0 => trained,
            1 => with_ids_of_its_own(&trained, false, 1),
            2 => with_ids_of_its_own(&trained, true, shuffle | 1),
            _ => crate::encode::model::tests::with_all_splits(&choices, &more),
        };
        let words: Vec<(Vec<u8>, u64)> = words.into_iter().map(|(w, c)| (w.into_bytes(), c)).collect();
        check_from(&base, &words, max_merges, min_frequency);
    }

    /// A training that is cut in two, with special tokens between the halves, learns the same.
    #[test]
    fn in_two_trainings_as_in_one(
        words in proptest::collection::btree_map("[abc]{1,9}", 1u64..9, 0..8),
        merges in 1usize..16,
        more in 1usize..16,
    ) {
        let words: Vec<(Vec<u8>, u64)> = words.into_iter().map(|(w, c)| (w.into_bytes(), c)).collect();
        for ties in [Ties::Gpt2Bytes, Ties::RawBytes] {
            let options = |size| TrainingOptions::new(size).with_ties(ties);
            let first = train(&words, &options(257 + merges));
            let size = first.vocab_size() + more;
            let second = train_from(&first, &words, &TrainingOptions::further(size).with_ties(ties)).unwrap();
            let at_once = train(&words, &options(size));
            let learnt = |t: &Tokenizer| t.merges().map(|(_, _, id)| t.token(id).to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(learnt(&second), learnt(&at_once));
            prop_assert_eq!(second.end_of_text(), first.end_of_text());
        }
    }
}

#[test]
fn what_cannot_go_on_is_refused() {
    let gpt2 = Tokenizer::gpt2();
    let refused = |size: usize, specials: &[&str]| {
        let specials = specials.iter().map(|&special| special.to_owned()).collect();
        let options = TrainingOptions::further(size).with_specials(specials);
        Training::from_tokenizer(&gpt2, &[], &options).err().map(|error| error.to_string())
    };
    assert_eq!(refused(50_257, &[]).unwrap(), "a vocabulary of 50257 is not larger than the tokenizer's 50257 ids");
    assert!(refused(50_258, &["<a>", "<b>"]).unwrap().ends_with("50257 ids and 2 further special tokens"));
    assert_eq!(refused(50_258, &["<a>"]), None);
    let taken = "the special token \"<|endoftext|>\" is in the vocabulary already";
    assert_eq!(refused(50_300, &["<|endoftext|>"]).unwrap(), taken);
    assert!(refused(50_300, &["Ġthe"]).is_some(), "files write a token so");
    assert!(refused(50_300, &["<a>", "<a>"]).is_some() && refused(50_300, &[""]).is_some());
    assert!(refused(3_000_000, &[]).unwrap().contains("at most 2097153 go on"));
}

#[test]
fn a_special_token_is_never_made_by_merging_as_well() {
    let words = [(b"abab".to_vec(), 9)];
    let options = TrainingOptions::new(258).with_specials(vec!["ab".to_owned()]);
    let tokenizer = train(&words, &options);
    assert_eq!((tokenizer.merges().len(), tokenizer.token(TokenId(256))), (1, &b"ba"[..]));
}
