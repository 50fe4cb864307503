//! Any bytes as a file of tokens: a training's data or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tokens.bin");
    std::fs::write(&path, bytes).expect("room for the input");
    let _ = gpt2::TokenFiles::open(&[path], 4, 60_000);
});
