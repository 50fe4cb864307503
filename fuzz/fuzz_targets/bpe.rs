//! The fast tokenizer against its readable twin: the same pretokens, the same ids, and back to the text.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use bpe::twin::{self, Twin};
use bpe::{Encoder, Tokenizer, pretokenize};
use libfuzzer_sys::fuzz_target;

static GPT2: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::gpt2);
static TWIN: LazyLock<Twin> = LazyLock::new(|| Twin::new(&GPT2));

thread_local! {
    // Kept from input to input, so that its cache is part of what is tested.
    static ENCODER: RefCell<Encoder<'static>> = RefCell::new(Encoder::new(&GPT2));
}

fuzz_target!(|text: &str| {
    let pretokens: Vec<&str> = pretokenize::pretokens(text).collect();
    assert_eq!(pretokens, twin::pretokens(text));
    let ids = ENCODER.with_borrow_mut(|encoder| encoder.encode(text));
    assert_eq!(ids, TWIN.encode(text));
    assert_eq!(GPT2.decode(&ids).expect("ids of the vocabulary"), text.as_bytes());
});
