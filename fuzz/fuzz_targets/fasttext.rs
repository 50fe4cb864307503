//! Any bytes as a fastText model: an error, or a model whose answers are probabilities of its labels.
#![no_main]

use fasttext::Model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::from_bytes(bytes) else { return };
    let label_count = model.labels().len();
    for text in ["", "A ferry, eine Fähre, 渡し船 </s>", "__label__ a b c"] {
        let answers = model.predict(text, 3, 0.0);
        assert!(answers.len() <= label_count.min(3));
        assert!(answers.iter().all(|answer| (0.0..=1.1).contains(&answer.probability)), "{answers:?}");
    }
});
