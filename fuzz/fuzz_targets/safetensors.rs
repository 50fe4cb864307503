//! Any bytes as the weights of a small model: a model or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

const CONFIG: &str =
    r#"{"n_layer": 1, "n_head": 1, "n_embd": 4, "n_positions": 4, "vocab_size": 8}"#;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("config.json"), CONFIG).expect("room for the shape");
    std::fs::write(folder.path().join("model.safetensors"), bytes).expect("room for the input");
    let _ = gpt2::load_model(folder.path());
});
