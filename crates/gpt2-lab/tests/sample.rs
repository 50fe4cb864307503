//! `gpt2 sample` on the command line: text token by token, JSON, files of prompts, and named errors.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gpt2::{Model, ModelConfig, save_model};
use serde_json::Value;
use tempfile::TempDir;

/// An untrained model for the compiled-in tokenizer.
fn model() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    save_model(&path, &Model::new(&ModelConfig::gpt2(1, 2, 8, 32, 50257), 1), Some(50256)).unwrap();
    (folder, path)
}

fn run(model: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpt2"));
    command.arg("sample").arg(model).args(["--tokenizer", "gpt2"]).args(arguments).output().unwrap()
}

fn text(model: &Path, arguments: &[&str]) -> String {
    let output = run(model, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_streams_is_what_json_says() {
    let (_folder, model) = model();
    let flags = ["--prompt", "The harbour", "--max-tokens", "50", "--top-p", "0.95", "--seed", "3"];
    let streamed = text(&model, &flags);
    let json: Value = serde_json::from_str(&text(&model, &[&flags[..], &["--json"]].concat())).unwrap();
    assert_eq!(streamed, format!("The harbour{}\n", json["text"].as_str().unwrap()));
    assert_eq!((json["ids"].as_array().unwrap().len(), json["stop"].as_str()), (50, Some("tokens")));
    assert!(json["tokens_per_second"].as_f64().unwrap() > 0.0 && json["prompt_ids"].as_array().unwrap().len() == 2);
    assert_ne!(streamed, text(&model, &[&flags[..6], &["--seed", "4"]].concat()));
}

#[test]
fn a_stop_string_ends_the_text_before_it() {
    let (_folder, model) = model();
    let flags = ["--prompt", "The", "--max-tokens", "30", "--json"];
    let whole: Value = serde_json::from_str(&text(&model, &flags)).unwrap();
    let whole = whole["text"].as_str().unwrap();
    let stop: String = whole.chars().skip(40).take(5).collect();
    let cut: Value = serde_json::from_str(&text(&model, &[&flags[..], &["--stop", &stop]].concat())).unwrap();
    assert_eq!(cut["text"].as_str().unwrap(), whole.split(&stop).next().unwrap());
    assert_eq!(cut["stop"], "stop_string");
}

#[test]
fn texts_of_a_file_come_in_its_order_as_they_are_alone() {
    let (folder, model) = model();
    let lines = folder.path().join("prompts.txt");
    std::fs::write(&lines, "One\n\nThree boats\nFour\n").unwrap();
    let json_lines = folder.path().join("prompts.jsonl");
    std::fs::write(&json_lines, "{\"id\": 7, \"prompt\": \"One\"}\n{\"prompt\": \"\"}\n").unwrap();
    for batch in ["1", "3", "8"] {
        let output = text(&model, &["--prompts", lines.to_str().unwrap(), "--max-tokens", "20", "--batch", batch]);
        let rows: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 4);
        for (row, seed) in rows.iter().zip(1..) {
            let flags = [
                "--prompt",
                row["prompt"].as_str().unwrap(),
                "--max-tokens",
                "20",
                "--seed",
                &format!("{seed}"),
                "--json",
            ];
            let alone: Value = serde_json::from_str(&text(&model, &flags)).unwrap();
            assert_eq!((&row["text"], &row["stop"]), (&alone["text"], &alone["stop"]));
        }
        let output = text(&model, &["--prompts", json_lines.to_str().unwrap(), "--max-tokens", "20", "--batch", batch]);
        let first: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
        assert_eq!((&first["id"], &first["text"]), (&Value::from(7), &rows[0]["text"]));
    }
}

#[test]
fn every_id_of_the_configuration_ends_a_text_and_a_long_prompt_is_named_by_its_line() {
    let (folder, model) = model();
    let flags = ["--prompt", "The", "--max-tokens", "30", "--json", "--seed", "3"];
    let whole: Value = serde_json::from_str(&text(&model, &flags)).unwrap();
    let ids = whole["ids"].as_array().unwrap();
    let config = model.join("config.json");
    let former = std::fs::read_to_string(&config).unwrap();
    let mut json: Value = serde_json::from_str(&former).unwrap();
    json["eos_token_id"] = serde_json::json!([50256, ids[5]]);
    std::fs::write(&config, json.to_string()).unwrap();
    let cut: Value = serde_json::from_str(&text(&model, &flags)).unwrap();
    let end = ids.iter().position(|id| *id == ids[5]).unwrap();
    assert_eq!((cut["ids"].as_array().unwrap(), cut["stop"].as_str()), (&ids[..end].to_vec(), Some("end_of_text")));
    json["eos_token_id"] = serde_json::json!(1_000_000);
    std::fs::write(&config, json.to_string()).unwrap();
    let prompts = folder.path().join("prompts.txt");
    std::fs::write(&prompts, format!("One\n{}\n", "far ".repeat(50))).unwrap();
    let output = run(&model, &["--prompts", prompts.to_str().unwrap(), "--max-tokens", "2"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("eos_token_id of the model's configuration has [1000000]"), "{error}");
    assert!(error.contains("prompts.txt, line 2, has 5"), "{error}");
    let rows = folder.path().join("prompts.jsonl");
    std::fs::write(&rows, "{\"prompt\": \"One\"}\n{\"prompt\": \"Two\", \"stop\": \"my own\"}\n").unwrap();
    let output = run(&model, &["--prompts", rows.to_str().unwrap(), "--max-tokens", "2"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("prompts.jsonl, line 2: its \"stop\" is replaced"), "{error}");
    // The same through standard input.
    let script = "\"$0\" sample \"$1\" --tokenizer gpt2 --prompts - --max-tokens 2 < \"$2\"";
    let own = env!("CARGO_BIN_EXE_gpt2");
    let piped = Command::new("sh").args(["-c", script, own]).arg(&model).arg(&rows).output().unwrap();
    assert!(piped.status.success() && piped.stdout == output.stdout, "{}", String::from_utf8_lossy(&piped.stderr));
}

#[test]
fn beams_give_one_text() {
    let (_folder, model) = model();
    let flags = ["--prompt", "The", "--max-tokens", "8", "--beams", "3", "--json"];
    let json: Value = serde_json::from_str(&text(&model, &flags)).unwrap();
    assert_eq!(json["ids"].as_array().unwrap().len(), 8);
}

#[test]
fn faults_have_names() {
    let (folder, model) = model();
    let broken = folder.path().join("broken.jsonl");
    std::fs::write(&broken, "{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n").unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let output = run(&model, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(expected), "{arguments:?}: {error}");
    };
    check(&["--top-p", "1.5"], "--top-p 1.5");
    check(&["--temperature", "nan"], "--temperature");
    check(&["--stop-repeats", "1"], "--stop-repeats 1");
    check(&["--prompts", "absent.txt"], "absent.txt");
    check(&["--prompts", broken.to_str().unwrap()], "broken.jsonl, line 2");
    check(&["--batch", "0"], "--batch");
    check(&["--beams", "2", "--stop", "x"], "--beams");
    check(&["--length-penalty", "2"], "--beams");
}
