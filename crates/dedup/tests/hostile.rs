//! Texts that make quadratic code slow: each is half a megabyte of one thing. A pass over all of them takes a second.

use dedup::bloom::BloomFilter;
use dedup::ngram_bloom::{NgramBloom, NgramLimits};
use dedup::overlap::{ItemIndex, NgramFilter};
use dedup::spans::{DatatroveSentences, SpanKind, Spans};

/// Characters of one kind without end, and few words many times.
fn texts() -> Vec<String> {
    let pieces = [
        "a",
        "1",
        ".",
        " ",
        "\n",
        "\r",
        "Σ",
        "\u{301}",
        "\u{302e}",
        "é",
        "潮",
        "。",
        "\0",
        "a ",
        "a. ",
        "Yes! ",
        "It is. ",
        "a\n",
        "a\n\n",
        "***\n",
        "\r\n",
        "1.",
        "1,1 ",
        "’",
        "\u{200d}",
        "a\u{1b44} ",
        "\u{10ffff}",
        "a b c d e f g h i j k l m ",
    ];
    pieces.iter().map(|piece| piece.repeat(500_000 / piece.len())).collect()
}

#[test]
fn units_take_linear_time() {
    let kinds = [SpanKind::Lines, SpanKind::Paragraphs, SpanKind::Sentences { n: 1 }, SpanKind::Sentences { n: 3 }];
    for text in texts() {
        for kind in kinds {
            let division = Spans { kind, min_words: 1 }.divide(&text);
            for every in [1, 2] {
                let edit = division.cut(|unit| unit.number % every == 0);
                assert_eq!(edit.is_some(), !division.units().is_empty());
            }
        }
        for split_sentences in [true, false] {
            let settings =
                DatatroveSentences { split_sentences, min_words_to_remove_span: 3, ..DatatroveSentences::default() };
            if let Some(edit) = settings.divide(&text).cut(|unit| unit.number % 5 == 0) {
                settings.too_little(&text, &edit.text);
            }
        }
    }
}

#[test]
fn ngrams_take_linear_time() {
    let mut bloom = NgramBloom::new(NgramLimits::default(), BloomFilter::new(100_000, 0.01).expect("a small filter"));
    let mut filter = NgramFilter::new(8, 100_000, 1e-8).expect("a small filter");
    let mut index = ItemIndex::new(13);
    texts().iter().enumerate().for_each(|(number, text)| index.add(number, text));
    let mut counts = index.counts();
    for text in texts() {
        bloom.judge(&text);
        let inserted = filter.insert(&text);
        assert_eq!(filter.share(&text).found, inserted);
        counts.add(&index, &text);
        let matches: u64 = index.matches(&text, &counts, u64::MAX).iter().map(|found| found.ngrams).sum();
        assert!(matches <= inserted);
    }
}
