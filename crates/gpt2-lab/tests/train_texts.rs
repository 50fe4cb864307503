//! `gpt2 train` on texts: what goes on, what is refused, and that nothing of others is overwritten.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::{Command, Output};

use gpt2::{Model, ModelConfig, save_model};

const SMALL: [&str; 8] =
    ["--train-tokenizer", "300", "--params", "10k", "--set", "train.steps=2", "--set", "train.evaluate_batches=1"];

fn gpt2(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpt2")).args(arguments).current_dir(folder).output().unwrap()
}

/// Arguments of a small training on a text.
fn on<'a>(text: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[text, "-o", output], more].concat()
}

/// Runs `gpt2 train`, which must end with this code and say this.
#[track_caller]
fn check(folder: &Path, arguments: &[&str], code: i32, expected: &[&str]) {
    let output = gpt2(folder, &[&["train"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    expected.iter().for_each(|expected| assert!(text.contains(expected), "{expected} is not in: {text}"));
}

/// A folder with two texts.
fn texts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| -> String {
        (0..600)
            .map(|i| {
                format!(
                    "The ferry {} leaves {name} at {}.
",
                    i * i % 97,
                    i * 7 % 24
                )
            })
            .collect()
    };
    std::fs::write(folder.path().join("a.txt"), text("Oslo")).unwrap();
    std::fs::write(folder.path().join("b.txt"), text("Bergen")).unwrap();
    folder
}

#[test]
fn other_texts_and_flags_are_not_taken_for_the_former_ones() {
    let folder = texts();
    let folder = folder.path();
    check(
        folder,
        &[&on("a.txt", "run", &SMALL)[..], &["--set", "model.layers=1"]].concat(),
        0,
        &["--params 10,000: the nearest model"],
    );
    // What is written is what was trained, so that the settings alone go on.
    let toml = std::fs::read_to_string(folder.join("run/train.toml")).unwrap();
    assert!(toml.contains("layers = 1\n") && toml.contains("steps = 2\n"), "{toml}");
    check(folder, &on("a.txt", "run", &SMALL), 0, &["going on with run/train.toml", "at step 2, and train.steps is 2"]);
    check(folder, &["run/train.toml", "--set", "train.steps=3"], 0, &["at step 2 of 3: steps was 2, is 3"]);
    check(folder, &["run/train.toml", "--set", "model.layers=2"], 1, &["model.layers was 1, is 2"]);
    check(
        folder,
        &["run/train.toml", "--set", "data.validation=train.bin"],
        1,
        &["the tokens to validate on are others"],
    );
    check(
        folder,
        &["run/train.toml", "--set", "data.tokenizer=gpt2", "--set", "model.vocab_size=50257"],
        2,
        &["is of another tokenizer"],
    );
    let others = ["--train-tokenizer", "400", "--params", "300k"];
    let expected = ["b.txt was not among its texts", "--train-tokenizer was 300, is 400", "--params", "-o"];
    check(folder, &on("b.txt", "run", &others), 2, &expected);
    // A folder that was moved goes on.
    std::fs::rename(folder.join("run"), folder.join("moved")).unwrap();
    check(folder, &["moved/train.toml", "--set", "train.steps=4"], 0, &["at step 3 of 4"]);
    assert!(!folder.join("run").exists());
}

#[test]
fn texts_of_one_name_and_texts_that_hold_nothing() {
    let folder = texts();
    let folder = folder.path();
    for (name, text) in [("x", "a.txt"), ("y", "b.txt")] {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::copy(folder.join(text), folder.join(name).join("a.txt")).unwrap();
    }
    let twice = on("x/a.txt", "run", &[&["y/a.txt"], &SMALL[..]].concat()).to_vec();
    check(folder, &twice, 0, &[]);
    check(folder, &twice, 0, &["going on with run/train.toml"]);
    std::fs::write(folder.join("null.jsonl"), "{\"text\": null}\n".repeat(400)).unwrap();
    check(folder, &["null.jsonl", "--tokenizer", "gpt2"], 1, &["the texts have 0 tokens: there must be 300 at least"]);
    check(folder, &["a.txt", "--train-tokenizer", "300", "--set", "model.context=6000"], 1, &["too few to train on"]);
}

#[test]
fn weights_of_another_tokenizer_are_no_start() {
    let folder = texts();
    let folder = folder.path();
    check(folder, &on("a.txt", "one", &SMALL), 0, &[]);
    let start = format!("data.start_from={}", folder.join("one").display());
    let other = on("b.txt", "two", &[&SMALL[..], &["--set", &start]].concat()).to_vec();
    check(folder, &other, 2, &["are of another tokenizer than [data] tokenizer: id "]);
}

#[test]
fn wrong_usage_writes_nothing() {
    let folder = texts();
    let folder = folder.path();
    std::fs::write(folder.join("my.toml"), "[data]\ntrain = \"x\"\n").unwrap();
    std::fs::write(folder.join("array.json"), "[{\"text\": \"A ferry.\"}]").unwrap();
    std::fs::write(folder.join("short.txt"), "A ferry.").unwrap();
    check(folder, &["my.toml", "a.txt"], 2, &["my.toml is a file of settings"]);
    let flags = ["my.toml", "--minutes", "5", "--params", "1M", "--tokenizer", "gpt2", "--text-field", "t", "-o", "x"];
    check(folder, &flags, 2, &["no effect: --output, --tokenizer, --minutes, --params, --text-field. Change"]);
    check(folder, &["array.json"], 1, &["array.json", "one array of JSON", "jq -c '.[]'"]);
    check(folder, &["a.txt", "--set", "train.stepps=3"], 2, &["stepps"]);
    check(folder, &["a.txt", "--set", "data.output=x"], 2, &["--set data.output", "--output"]);
    check(folder, &["short.txt"], 1, &["300 at least"]);
    check(folder, &["-"], 2, &["cannot come from standard input"]);
    let left: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !["a.txt", "b.txt", "my.toml", "array.json", "short.txt"].contains(&&name[..]))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nothing_of_others_is_overwritten() {
    let folder = texts();
    let folder = folder.path();
    let foreign = folder.join("foreign");
    save_model(&foreign, &Model::new(&ModelConfig::gpt2(1, 2, 8, 32, 50257), 1), Some(50256)).unwrap();
    let before = std::fs::read(foreign.join("model.safetensors")).unwrap();
    std::fs::create_dir(folder.join("tokens")).unwrap();
    std::fs::write(folder.join("tokens/train.bin"), "mine").unwrap();
    check(folder, &on("a.txt", "foreign", &SMALL), 2, &["foreign holds a model that this command did not make"]);
    check(folder, &on("a.txt", "tokens", &SMALL), 2, &["train.bin is not of a training on texts"]);
    for name in ["texts.json", "samples.jsonl", "loss.csv", "best.safetensors", "validation.bin"] {
        let output = format!("beside-{name}");
        std::fs::create_dir(folder.join(&output)).unwrap();
        std::fs::write(folder.join(&output).join(name), "mine").unwrap();
        let others = on("a.txt", &output, &SMALL);
        check(folder, &others, 2, &[name]);
        assert_eq!(std::fs::read_to_string(folder.join(&output).join(name)).unwrap(), "mine");
    }
    check(folder, &on("a.txt", "own", &SMALL), 0, &[]);
    check(folder, &["own"], 2, &["own is the folder of a training", "gpt2 train own/train.toml"]);
    check(folder, &["foreign"], 2, &["foreign is a model", "start_from"]);
    let own = "own/train.toml";
    check(folder, &[own, "--set", "data.output=../foreign"], 2, &["foreign holds a model"]);
    check(folder, &[own, "--set", "data.start_from=."], 2, &["start_from and [data] output"]);
    std::fs::write(folder.join("cola.tsv"), "a\t1\t\tA ferry.\nb\t0\t*\tFerry a.\n".repeat(10)).unwrap();
    let fine_tune = |output: &str| {
        let output = gpt2(folder, &["finetune", "own", "--task", "cola", "--train", "cola.tsv", "-o", output]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = fine_tune("own");
    assert!(code == Some(2) && text.contains("own is the model"), "{text}");
    let (code, text) = fine_tune("foreign");
    assert!(code == Some(2) && text.contains("foreign holds a model"), "{text}");
    let model = "own/model.safetensors";
    for flag in ["--activations", "--html", "--svg"] {
        let output = gpt2(folder, &["inspect", "own", "ferry", flag, model]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains("read as well"), "{text}");
    }
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 2);
    assert!(std::fs::read(foreign.join("model.safetensors")).unwrap() == before);
    assert_eq!(std::fs::read(folder.join("tokens/train.bin")).unwrap(), b"mine");
}

#[test]
fn two_commands_do_not_write_into_one_folder() {
    let folder = texts();
    let folder = folder.path();
    let held = gpt2::TrainingLock::take(&folder.join("run")).unwrap();
    check(folder, &on("a.txt", "run", &SMALL), 1, &["another process trains in run"]);
    let names: Vec<_> =
        std::fs::read_dir(folder.join("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["train.lock"]);
    drop(held);
    check(folder, &on("a.txt", "run", &SMALL), 0, &[]);
    std::fs::write(folder.join("cola.tsv"), "a\t1\t\tA ferry.\nb\t0\t*\tFerry a.\n".repeat(10)).unwrap();
    let _held = gpt2::TrainingLock::take(&folder.join("tuned")).unwrap();
    let output = gpt2(folder, &["finetune", "run", "--task", "cola", "--train", "cola.tsv", "-o", "tuned"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process trains in tuned"));
}

#[test]
fn a_training_that_ends_early_says_why_and_tokens_in_texts_are_told() {
    let folder = texts();
    let folder = folder.path();
    std::fs::write(folder.join("c.txt"), "A ferry, late.<|endoftext|>\n".repeat(300)).unwrap();
    let impatient = [
        "--train-tokenizer=300",
        "--params=10k",
        "--set=train.steps=60",
        "--set=train.learning_rate=0.5",
        "--set=train.warmup_steps=1",
        "--set=train.evaluate_every=1",
        "--set=train.patience=1",
    ];
    let expected = ["no lower validation loss in 1 validation (train.patience): ended at step", "is that of step"];
    let expected = [&expected[..], &["hold <|endoftext|> as ordinary characters, 300 times; --special"]].concat();
    check(folder, &on("c.txt", "run", &impatient), 0, &expected);
    check(folder, &on("c.txt", "run", &[&impatient[..], &["--special"]].concat()), 2, &["--special was not given"]);
}
