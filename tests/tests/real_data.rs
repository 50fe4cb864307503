//! The same path on real input: dumps, pages and archives of many tools, malformed files among them.
//!
//! Needs the data folder beside the checkout, and the `zstd` and `tar` commands to unpack it; skips with
//! a printed reason without them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use webtext_tests::{binary, check, json, real_data, skip, stage, unpack};

const RECIPE: &str = r#"
[extract]
comments = "drop"
[[filter]]
rule = "wikipedia"
[[filter]]
rule = "length"
min_words = 50
max_words = 100_000
[[filter]]
rule = "language"
keep = "en"
min_confidence = 0.5
[dedup]
exact = true
near = { min_jaccard = 0.7, recall = 0.99 }
[shards]
seed = 2357
validation_fraction = 0.02
count = 2
tokens = ["nanogpt", "llmc"]
[tokenizer]
use = "gpt2"
"#;

/// Runs a recipe and returns its summary by stage.
fn build(folder: &Path, head: &str, code: i32) -> impl Fn(&str) -> Value + use<> {
    let recipe = folder.join("recipe.toml");
    std::fs::write(&recipe, format!("{head}\n{RECIPE}")).unwrap();
    let output = check(
        Command::new(binary("webtext"))
            .arg("build")
            .arg(&recipe)
            .arg("--out")
            .arg(folder.join("run"))
            .args(["-q", "--json"]),
        code,
    );
    let summary = json(&output);
    move |name| stage(&summary, name)
}

#[test]
fn real_dumps_and_real_pages() {
    let Some(data) = real_data("real_dumps_and_real_pages") else { return };
    let folder = tempfile::tempdir().unwrap();
    for set in ["dragnet", "wcxb-dev"] {
        if !unpack(&data.join(format!("extract/{set}.tar.zst")), folder.path()) {
            return skip("real_dumps_and_real_pages", format!("{set} cannot be unpacked"));
        }
        let meta: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join(set).join("meta.json")).unwrap()).unwrap();
        let urls = meta["pages"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(id, page)| Some(format!("{id}.html\t{}\n", page["url"].as_str()?)));
        std::fs::write(folder.path().join(set).join("html/urls.tsv"), urls.collect::<String>()).unwrap();
    }
    let head = format!(
        "[links]\ndumps = [\"{}/links/*.zst\"]\nmin_karma = 3\nkarma_of = \"any submission\"\nover_18 = \"drop\"\n\
         drop_domains = [\"wikipedia.org\", \"reddit.com\", \"redd.it\", \"imgur.com\"]\ndrop_extensions = [\"jpg\", \"png\", \"gif\", \"pdf\"]\n\
         [pages]\nfrom = \"html\"\npaths = [\"dragnet/html\", \"wcxb-dev/html\"]\nonly_links = false\n",
        data.display()
    );
    let stage = build(folder.path(), &head, 0);
    assert_eq!(stage("links.read")["counts"]["read"], 1_252_221);
    assert_eq!(stage("pages.pack")["counts"]["read"], 2_878);
    let documents = stage("documents.filter");
    let kept = documents["counts"]["kept"].as_u64().unwrap();
    assert!((2_500..2_800).contains(&kept), "{documents}");
    assert!(stage("tokens.encode")["metrics"]["tokens"]["sum"].as_f64().unwrap() > 1e6);
}

#[test]
fn archives_of_many_tools() {
    let Some(data) = real_data("archives_of_many_tools") else { return };
    let folder = tempfile::tempdir().unwrap();
    if !unpack(&data.join("warc/samples.tar.zst"), &folder.path().join("samples")) {
        return skip("archives_of_many_tools", "the samples cannot be unpacked");
    }
    let head = "[pages]\nfrom = \"warc\"\npaths = [\"samples/**/*arc*\"]\nonly_links = false\n";
    let stage = build(folder.path(), head, 3);
    let index = stage("pages.index");
    assert!(index["counts"]["kept"].as_u64().unwrap() > 1_400, "{index}");
    // Each file that could not be read to its end is named, with the reason.
    for unreadable in index["unreadable"].as_array().unwrap() {
        assert!(
            unreadable["path"].as_str().unwrap().contains("samples/")
                && !unreadable["error"].as_str().unwrap().is_empty()
        );
    }
    assert!(stage("documents.filter")["counts"]["kept"].as_u64().unwrap() > 100);
}
