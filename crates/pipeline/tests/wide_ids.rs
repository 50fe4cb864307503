//! A vocabulary of more than 65,536: token files with ids of 32 bits, from the recipe to the reader.

use std::fs;
use std::path::Path;

use bpe::{Tokenizer, formats};
use pipeline::{Options, Recipe, RecipeRun, Selection};

const END_OF_TEXT: u32 = 70_000;

const RECIPE: &str = r#"
[pages]
from = "texts"
paths = ["boats.jsonl"]
only_links = false
[dedup]
exact = false
[shards]
seed = 1
validation_fraction = 0.0
count = 1
tokens = ["nanogpt", "llmc"]
[tokenizer]
use = "tokenizer.json"
[limits]
buckets = 3
"#;

/// The bytes alone, and the end of a text far behind them.
fn write_tokenizer(path: &Path) {
    let bytes = Tokenizer::from_merges(&[], &[bpe::END_OF_TEXT]).expect("no merges");
    let (_, json) =
        formats::files(&bytes).into_iter().find(|(name, _)| *name == "tokenizer.json").expect("it is always there");
    let mut json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    json["added_tokens"][0]["id"] = END_OF_TEXT.into();
    if let Some(id) = json["model"]["vocab"].get_mut(bpe::END_OF_TEXT) {
        *id = END_OF_TEXT.into();
    }
    fs::write(path, json.to_string()).expect("the folder exists");
}

fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|four| u32::from_le_bytes(four.try_into().expect("four bytes"))).collect()
}

#[test]
fn a_large_vocabulary_has_ids_of_32_bits() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_tokenizer(&at("tokenizer.json"));
    let lines =
        (1..=3).map(|n| format!("{{\"text\":\"The boat of number {n}.\",\"url\":\"http://boats.example/{n}\"}}\n"));
    fs::write(at("boats.jsonl"), lines.collect::<String>()).unwrap();
    fs::write(at("recipe.toml"), RECIPE).unwrap();
    let recipe = Recipe::load(&at("recipe.toml"), &[]).unwrap();
    recipe.check_inputs().unwrap();
    let options = Options::quiet().with_threads(2);
    RecipeRun::new(&at("run"), recipe, options).unwrap().run.build(&Selection::default()).unwrap();

    let ids = u32s(&fs::read(at("run/tokens/train.bin")).unwrap());
    let documents: Vec<&[u32]> = ids.split_inclusive(|&id| id == END_OF_TEXT).collect();
    assert_eq!(documents.iter().map(|document| document.len()).collect::<Vec<_>>(), [22, 22, 22]);
    let offsets = fs::read(at("run/tokens/train.offsets")).unwrap();
    assert_eq!(offsets.chunks_exact(8).map(|eight| eight[0]).collect::<Vec<_>>(), [0, 22, 44, 66]);
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(at("run/tokens/train.meta.json")).unwrap()).unwrap();
    assert_eq!(meta, serde_json::json!({"dtype": "uint32", "vocab_size": 70_001, "end_of_text": 70_000, "tokens": 66}));

    let llmc = u32s(&fs::read(at("run/tokens/llmc/train_00000.bin")).unwrap());
    assert_eq!((&llmc[..3], llmc.len()), (&[20_240_801, 7, 66][..], 256 + 66));
    assert_eq!((llmc[256], &llmc[257..278]), (END_OF_TEXT, &documents[0][..21]));
    for file in ["run/tokens/train.bin", "run/tokens/llmc/train_00000.bin"] {
        assert_eq!(gpt2::TokenFiles::open(&[at(file)], 16, 70_001).unwrap().tokens(), 66);
    }
}
