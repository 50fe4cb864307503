//! Any text as each of the tokenizer's files; what is accepted is written and read again unchanged.
#![no_main]

use bpe::formats::{merges, tiktoken, tokenizer_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(tokenizer) = merges::parse(text) {
        let again = merges::parse(&merges::write(&tokenizer)).expect("a file of our own");
        assert!(again == tokenizer, "merges.txt does not come back");
    }
    if let Ok(tokenizer) = tiktoken::parse(text) {
        let again = tiktoken::parse(&tiktoken::write(&tokenizer)).expect("a file of our own");
        assert!(again == tokenizer, "tokenizer.tiktoken does not come back");
    }
    if let Ok(tokenizer) = tokenizer_json::parse(text) {
        let again =
            tokenizer_json::parse(&tokenizer_json::write(&tokenizer)).expect("a file of our own");
        assert!(again == tokenizer, "tokenizer.json does not come back");
        assert_eq!(again.template().ok(), tokenizer.template().ok());
    }
});
