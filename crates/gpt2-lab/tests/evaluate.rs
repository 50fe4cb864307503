//! Zero-shot evaluation through its public interface: every task on its data, errors by file and line, one result for
//! any number of threads.
//!
//! The data lie in `../shared/data/evals`, beside the repository; without them the tests that need them are skipped.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use bpe::Tokenizer;
use gpt2::{Model, ModelConfig, save_model};
use gpt2_lab::evaluate::{EvalError, EvalOptions, EvalReport, EvalTask, evaluate};

/// Each task that has data, and its file.
const DATA: [(EvalTask, &str); 8] = [
    (EvalTask::Perplexity, "wt103.valid.decoded.txt"),
    (EvalTask::Lambada, "lambada_test.jsonl"),
    (EvalTask::Winograd, "winograd_wsc.jsonl"),
    (EvalTask::Winogrande, "winogrande.jsonl"),
    (EvalTask::Hellaswag, "hellaswag_val_full.txt.zst"),
    (EvalTask::Piqa, "piqa.jsonl"),
    (EvalTask::Copa, "copa.jsonl"),
    (EvalTask::Blimp, "blimp.tar.zst"),
];

fn model() -> Model {
    Model::new(&ModelConfig::gpt2(1, 2, 8, 64, 50257), 1)
}

fn data(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/evals").join(file);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn run(task: EvalTask, path: &Path, limit: u64) -> Result<EvalReport, EvalError> {
    let mut options = EvalOptions::default();
    options.limit = Some(limit);
    evaluate(&model(), &Tokenizer::gpt2(), task, path, &options, &mut |_, _| {})
}

#[test]
fn every_task_reads_its_data_whatever_the_number_of_threads() {
    for (task, file) in DATA {
        let Some(path) = data(file) else { return };
        let limit = if task == EvalTask::Perplexity { 200 } else { 2 };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(task, &path, limit).unwrap())
        };
        let report = with(1);
        assert_eq!(report, with(3));
        assert!(!report.metrics.is_empty());
        for metric in &report.metrics {
            assert!(metric.value.is_finite() || metric.n == 0, "{task:?}: {metric:?}");
            assert!(!metric.name.contains("accuracy") || (0.0..=1.0).contains(&metric.value), "{task:?}: {metric:?}");
        }
    }
}

#[test]
fn faults_are_named_by_file_and_line() {
    let check = |task: EvalTask, content: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, content).unwrap();
        let error = run(task, &path, 10).unwrap_err().to_string();
        assert!(error.contains("rows.jsonl") && error.contains(expected), "{task:?}: {error}");
    };
    check(
        EvalTask::Lambada,
        "{\"text\": \"two words\"}\n{\"text\": \"one\"}\n",
        "line 2: the text has fewer than two words",
    );
    check(
        EvalTask::Copa,
        r#"{"query": "a", "choices": ["b", "c"], "gold": 2}"#,
        "line 1: gold is not the index of a choice",
    );
    check(
        EvalTask::Winograd,
        r#"{"context_options": ["a"], "continuation": "b", "gold": 0}"#,
        "line 1: there are fewer than two",
    );
    check(EvalTask::Blimp, "\n{\"sentence_good\": \"a\"}", "line 2: missing field `sentence_bad`");
    check(EvalTask::Summarise, r#"{"text": "a"}"#, r#"expected {"text": "…", "summary": "…"}"#);
    check(EvalTask::Piqa, "not JSON", "line 1: expected ident");
    check(EvalTask::Copa, "", "holds nothing to evaluate on");
    check(EvalTask::Perplexity, "", "holds nothing to evaluate on");
}

#[test]
fn the_command_prints_metrics_and_fails_with_1() {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path(), &model(), Some(50256)).unwrap();
    let rows = folder.path().join("rows.jsonl");
    std::fs::write(&rows, r#"{"query": "It rained, so", "choices": ["I got wet.", "I ate."], "gold": 0}"#).unwrap();
    let eval = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpt2"));
        command.arg("eval").arg(folder.path()).arg("--data").arg(&rows).args(flags);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = eval(&["--task", "copa", "--tokenizer", "gpt2", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["task"], &report["metrics"][0]["n"]), (Some(0), &"copa".into(), &1.into()));
    let (code, _, error) = eval(&["--task", "copa"]);
    assert!(code == Some(1) && error.contains("--tokenizer gpt2"), "{error}");
    let (code, _, error) = eval(&["--task", "lambada", "--tokenizer", "gpt2"]);
    assert!(code == Some(1) && error.contains("line 1: missing field `text`"), "{error}");
    let (code, _, error) = eval(&["--task", "perplexity", "--tokenizer", "gpt2", "--stride", "65"]);
    assert!(code == Some(1) && error.contains("the stride is 65"), "{error}");
    assert_eq!(eval(&["--task", "chess"]).0, Some(2));
}
