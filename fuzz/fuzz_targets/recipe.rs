//! Any text as a recipe, and as an override of one that is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::Recipe;

fuzz_target!(|text: &str| {
    let _ = Recipe::parse(text, &[]);
    let _ = Recipe::parse(include_str!("../../pipelines/quickstart.toml"), &[text.to_owned()]);
});
