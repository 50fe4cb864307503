//! Every command, recipe and query of README.md, run as it stands, in its order, in one folder.
//!
//! A block of `sh` is run by `sh -eu`; one of `toml` is saved under the name in its first line; one of `sql` is asked
//! of the quickstart's run, by DuckDB, which the Python of `WEBTEXT_PEERS` may have. A block is skipped, and said to be,
//! where the line before it is `<!-- test: skip: REASON -->`. Other languages are read by people alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use webtext_tests::{binary, check, peers, root};

/// A fenced block.
#[derive(Debug, PartialEq)]
struct Block<'a> {
    /// The word behind the fence: `sh`, `toml`, `sql`.
    language: &'a str,
    text: String,
    /// The line of the fence, from 1.
    line: usize,
    skip: Option<&'a str>,
}

/// The fenced blocks of a Markdown text, in order.
fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    let mut skip = None;
    for (line, text) in (1..).zip(markdown.lines()) {
        match (is_open, text.strip_prefix("```")) {
            (false, Some(language)) => {
                blocks.push(Block { language, text: String::new(), line, skip: skip.take() });
                is_open = true;
            }
            (false, None) => {
                skip = text.strip_prefix("<!-- test: skip: ").and_then(|rest| rest.strip_suffix(" -->"));
            }
            (true, Some(_)) => is_open = false,
            (true, None) => blocks.last_mut().unwrap().text += &format!("{text}\n"),
        }
    }
    assert!(!is_open, "the last block is not closed");
    blocks
}

/// Puts what the README calls yours into a folder, made out of the fixtures.
fn make_inputs(folder: &Path) {
    for name in ["fixtures", "pipelines"] {
        symlink(root().join(name), folder.join(name)).unwrap();
    }
    for name in ["crawl", "site", "corpus", "evals"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let fixtures = root().join("fixtures");
    fs::copy(fixtures.join("links/RS_2016-03.jsonl.zst"), folder.join("RS_2016-03.zst")).unwrap();
    fs::copy(fixtures.join("pages.warc.gz"), folder.join("crawl/pages.warc.gz")).unwrap();

    let truth = fs::read_to_string(fixtures.join("expected.jsonl")).unwrap();
    let rows = truth.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let pages = rows.filter(|row| row["page"] == "html");
    let urls: String = pages.map(|row| format!("{}\n", row["url"].as_str().unwrap())).collect();
    fs::write(folder.join("urls.txt"), urls).unwrap();

    let mut corpus = String::new();
    for (number, text) in english_texts().iter().enumerate() {
        let paragraphs: String = text.lines().map(|line| format!("<p>{line}</p>\n")).collect();
        let name = if number == 0 { "index".to_owned() } else { format!("page-{number}") };
        fs::write(folder.join(format!("site/{name}.html")), format!("<body>{paragraphs}</body>")).unwrap();
        let url = if number == 0 { String::new() } else { name };
        corpus += &format!("{}\n", json!({ "text": text, "url": format!("https://www.example.org/{url}") }));
    }
    let leaked = json!({ "text": english_texts()[0] });
    fs::write(folder.join("evals/lambada.jsonl"), format!("{leaked}\n")).unwrap();
    let corpus = zstd::encode_all(corpus.as_bytes(), 0).unwrap();
    fs::write(folder.join("corpus/part.jsonl.zst"), corpus).unwrap();
}

/// The texts of the fixtures that were written in English, in the order of their names.
fn english_texts() -> Vec<String> {
    let entries = fs::read_dir(root().join("fixtures/texts")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| matches!(path.file_name().unwrap().as_encoded_bytes()[0], b'a' | b'b'));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_block_of_the_readme_runs_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_inputs(folder);
    let binaries = tempfile::tempdir().unwrap();
    for name in ["webtext", "bpe", "gpt2"] {
        std::os::unix::fs::symlink(binary(name), binaries.path().join(name)).unwrap();
    }
    let path = format!("{}:{}", binaries.path().display(), std::env::var("PATH").unwrap());
    // The run that the README begins with, with a model of a few steps.
    let mut quickstart = Command::new(binary("webtext"));
    quickstart.args(["build", "pipelines/quickstart.toml", "-q"]).current_dir(folder);
    check(quickstart.args(["--set", "model.train.steps=6", "--set", "model.train.evaluate_every=3"]), 0);

    let duckdb = peers("the queries of every_block_of_the_readme_runs_as_it_stands", &["duckdb"]);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut ran = 0;
    for block in blocks(&readme) {
        let Block { language, text, line, skip } = block;
        if let Some(reason) = skip {
            eprintln!("skipped: README.md:{line}: {reason}");
            continue;
        }
        match language {
            "toml" => {
                let name = text.strip_prefix("# ").and_then(|rest| rest.split([';', '\n']).next());
                let name = name.unwrap_or_else(|| panic!("README.md:{line}: the first line names no file"));
                fs::write(folder.join(name), text).unwrap();
            }
            "sh" => {
                let mut shell = Command::new("sh");
                shell.args(["-eux", "-c", &text]).env("PATH", &path).current_dir(folder);
                let output = shell.output().unwrap();
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "README.md:{line}: {}\n{text}\n{error}", output.status);
                ran += 1;
            }
            "sql" => {
                // Without it, all queries were said to be skipped above.
                let Some(python) = &duckdb else { continue };
                let ask = "import duckdb, sys; assert duckdb.sql(sys.argv[1]).fetchall(), 'no rows'";
                let mut ask_duckdb = Command::new(python);
                ask_duckdb.args(["-c", ask, &text]).current_dir(folder.join("runs/quickstart"));
                check(&mut ask_duckdb, 0);
                ran += 1;
            }
            "text" => {
                let is_command = |line: &str| ["webtext ", "bpe ", "gpt2 "].iter().any(|name| line.starts_with(name));
                assert!(!text.lines().any(is_command), "README.md:{line}: commands stand in a block of `sh`");
            }
            other => panic!("README.md:{line}: nothing runs a block of `{other}`; say why it is skipped"),
        }
    }
    assert!(ran >= 10, "only {ran} blocks ran");
}

/// Paths of all Rust files in a folder, relative to the repository.
fn rust_files(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
        }
    }
}

#[test]
fn files_that_the_documentation_names_exist() {
    let mut files = Vec::new();
    ["crates", "tests", "benches", "fuzz/fuzz_targets"]
        .iter()
        .for_each(|name| rust_files(&root().join(name), &mut files));
    let documents = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = documents.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let at_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "STYLE.md"].map(|name| root().join(name));
    let mut named = 0;
    // The log is of its days.
    for document in documents.chain(at_root).filter(|path| !path.ends_with("log.md")) {
        let text = fs::read_to_string(&document).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        for name in
            quoted.filter(|name| name.ends_with(".rs") && !name.contains([' ', '*', '{']) && !name.contains("NAME"))
        {
            let is_file = files.iter().any(|file| file == name || file.ends_with(&format!("/{name}")));
            assert!(is_file, "{} names {name}, which is not there", document.display());
            named += 1;
        }
    }
    assert!(named > 100, "{named} names of files were found");
}

#[test]
fn blocks_are_found_with_their_reasons() {
    let markdown = "a\n```sh\none\ntwo\n```\n<!-- test: skip: no network -->\n```sh\nthree\n```\n";
    let block = |text: &str, line, skip| Block { language: "sh", text: text.to_owned(), line, skip };
    assert_eq!(blocks(markdown), [block("one\ntwo\n", 2, None), block("three\n", 7, Some("no network"))]);
}
