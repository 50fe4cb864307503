//! The fast tokenizer against its readable twin: the same pretokens, the same ids, and back to the text.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use bpe::{Encoder, Tokenizer, pretokenize, twin};
use libfuzzer_sys::fuzz_target;

/// GPT-2's first merges: the twin makes tables of all of them for each input.
static FIRST_MERGES: LazyLock<Tokenizer> = LazyLock::new(|| {
    let merges: Vec<_> =
        Tokenizer::gpt2().merges().take(2_000).map(|(left, right, _)| (left, right)).collect();
    Tokenizer::from_merges(&merges, &[]).expect("merges of GPT-2")
});

thread_local! {
    // Kept from input to input, so that its memory of words is part of what is tested.
    static ENCODER: RefCell<Encoder<'static>> = RefCell::new(Encoder::new(&FIRST_MERGES));
}

fuzz_target!(|text: &str| {
    let pretokens: Vec<&str> = pretokenize::pretokens(text).collect();
    assert_eq!(pretokens, twin::pretokens(text));
    let ids = ENCODER.with_borrow_mut(|encoder| encoder.encode(text));
    assert_eq!(ids, twin::encode(&FIRST_MERGES, text));
    assert_eq!(FIRST_MERGES.decode(&ids).expect("ids of the vocabulary"), text.as_bytes());
});
