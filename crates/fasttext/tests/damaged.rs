//! Damaged models: a named error, or a model that predicts; never a panic, and never an allocation for missing data.

use fasttext::{Model, ReadError};
use proptest::prelude::*;

const MODELS: [&[u8]; 4] = [
    include_bytes!("models/tree-quantised.ftz"),
    include_bytes!("models/negative-sampling.ftz"),
    include_bytes!("models/one-vs-all-ngrams.bin"),
    include_bytes!("models/many-labels-quantised-output.ftz"),
];

fn error_of(bytes: &[u8]) -> ReadError {
    Model::from_bytes(bytes).expect_err("a damaged model")
}

/// A model with a few bytes overwritten.
fn with(model: usize, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut damaged = MODELS[model].to_vec();
    damaged[offset..][..bytes.len()].copy_from_slice(bytes);
    damaged
}

#[test]
fn every_cut_is_named_with_its_byte() {
    for model in MODELS {
        for len in 0..model.len() {
            match error_of(&model[..len]) {
                ReadError::CutOff { len_bytes, .. } => assert_eq!(len_bytes, len as u64),
                other => panic!("cut at {len}: {other}"),
            }
        }
        let longer = [model, b"!"].concat();
        assert!(matches!(error_of(&longer), ReadError::TrailingBytes { offset, .. } if offset == model.len() as u64));
    }
}

#[test]
fn what_is_refused_is_named() {
    let check = |offset: usize, value: i32, expected: &str| {
        assert_eq!(error_of(&with(0, offset, &value.to_le_bytes())).to_string(), expected);
    };
    check(0, 0x2143_4947, "not a fastText model: it begins with 0x21434947, not 0x2f4f16ba");
    check(4, 13, "format version 13; versions 11 and 12 are known");
    check(8, 0, "dim is 0 at byte 8");
    check(32, 9, "loss is 9 at byte 32");
    check(36, 2, "a skip-gram model, not a supervised one");
    check(40, 0, "bucket is 0 at byte 40");
    check(44, -1, "minn is -1 at byte 44");
    check(68, -5, "nwords is -5 at byte 68");
    check(72, 1 << 30, "nlabels is 1073741824 at byte 72");
    let no_labels = [&MODELS[0][..64], &[0; 12]].concat();
    assert_eq!(error_of(&no_labels).to_string(), "the model has no labels");
    let other_dimension = error_of(&with(0, 8, &8i32.to_le_bytes()));
    assert!(
        matches!(other_dimension, ReadError::Dimensions { matrix: "input", columns: 7, expected_columns: 8, .. }),
        "{other_dimension}"
    );
    let weight = error_of(&with(2, MODELS[2].len() - 4, &f32::NAN.to_le_bytes()));
    assert!(matches!(weight, ReadError::Weight { value, .. } if value.is_nan()), "{weight}");
}

#[test]
fn lengths_that_are_claimed_are_not_believed() {
    // Two billion words, labels to match.
    let claims = [(1i32 << 30) + 5, 1 << 30, 5].map(i32::to_le_bytes).concat();
    assert!(matches!(error_of(&with(0, 64, &claims)), ReadError::CutOff { .. }));
    let pruned = with(0, 84, &i64::from(i32::MAX).to_le_bytes());
    assert!(matches!(error_of(&pruned), ReadError::CutOff { .. }));
}

#[test]
fn a_missing_file_is_named() {
    let error = Model::open("/nowhere/lid.176.ftz").unwrap_err();
    assert_eq!(error.to_string(), "cannot read the fastText model /nowhere/lid.176.ftz");
    assert!(matches!(error.source, ReadError::Io(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn damaged_models_answer_or_are_refused(
        model in 0..MODELS.len(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = MODELS[model].to_vec();
        for (index, place, byte) in damages {
            // Most of a model is weights; the numbers that control the reader come first.
            let offset = index.index(if place == 0 { bytes.len() } else { 200 });
            bytes[offset] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(model) = Model::from_bytes(&bytes) {
            for text in ["", "Die Fähre 灯台 __label__x", "a b c d e f"] {
                let answers = model.predict(text, 3, 0.0);
                prop_assert!(answers.iter().all(|answer| (0.0..=1.1).contains(&answer.probability)), "{answers:?}");
            }
        }
    }
}
