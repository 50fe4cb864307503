//! `gpt2 train` is killed many times, and ends with the same weights.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[path = "../../../tests/support/share.rs"]
mod share;

/// Writes tokens, a tokenizer and settings; gives the settings' path.
fn prepare(folder: &Path) -> std::path::PathBuf {
    let ids: Vec<u8> = (0..6000u32).flat_map(|i| ((i * i / 7 % 250) as u16).to_le_bytes()).collect();
    std::fs::write(folder.join("tokens.bin"), ids).unwrap();
    let config = folder.join("train.toml");
    let path = folder.display();
    let text = format!(
        r#"
        [data]
        train = "{path}/tok*.bin"
        validation = ["{path}/tokens.bin"]
        tokenizer = "gpt2"
        output = "{path}/model"
        [model]
        layers = 2
        heads = 2
        channels = 8
        context = 16
        vocab_size = 50257
        [train]
        steps = 14
        batch = 2
        accumulate = 2
        learning_rate = 1e-3
        warmup_steps = 4
        weight_decay = 0.1
        max_gradient_norm = 1.0
        dropout = 0.1
        seed = 1
        evaluate_every = 2
        evaluate_batches = 1
        max_checkpoints = 2
        [samples]
        prompt = "a"
        max_tokens = 3
        "#
    );
    std::fs::write(&config, text).unwrap();
    config
}

fn train(config: &Path, folder: &Path, threads: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpt2"));
    let output = format!("data.output=\"{}\"", folder.display());
    command.arg("train").arg(config).args(["--set", &output, "--threads", threads, "-q"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn run_through(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn killed_at_many_points_it_comes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let config = prepare(folder.path());
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    run_through(train(&config, &whole, "2"));

    // Until it is complete: the n-th process ends a little later than the one before, and by more where a share is tested.
    // Most kills hit the writing of checkpoints, which takes longer than steps of a model this small.
    let (mut lives, mut is_through) = (0u64, false);
    while !is_through && lives < 400 {
        let mut child = train(&config, &killed, if lives.is_multiple_of(2) { "1" } else { "3" }).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(40 + lives * 13 % 150 + 8 * share::one_in(4) as u64 * lives));
        is_through = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        lives += 1;
    }
    assert!(is_through, "{lives} lives were not enough");
    run_through(train(&config, &killed, "1"));
    for name in ["model.safetensors", "best.safetensors", "config.json", "loss.jsonl", "loss.csv", "samples.jsonl"] {
        let [whole, killed] = [&whole, &killed].map(|folder| std::fs::read(folder.join(name)).unwrap());
        assert!(whole == killed, "{name} after {lives} lives");
    }
    println!("killed {} times", lives - 1);
}

#[test]
fn ctrl_c_stops_behind_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let config = prepare(folder.path());
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    run_through(train(&config, &whole, "1"));
    let child = train(&config, &stopped, "1").spawn().unwrap();
    while !stopped.join("checkpoint.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(130) && text.contains("the same command goes on"), "{text}");
    // What was learned so far can be used at once.
    let mut sample = Command::new(env!("CARGO_BIN_EXE_gpt2"));
    sample.arg("sample").arg(&stopped).args(["--prompt", "The", "--max-tokens", "3"]);
    run_through(sample);
    run_through(train(&config, &stopped, "1"));
    let [whole, stopped] = [whole, stopped].map(|folder| std::fs::read(folder.join("model.safetensors")).unwrap());
    assert!(whole == stopped);
}

#[test]
fn a_full_disk_keeps_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let config = prepare(folder.path());
    let model = folder.path().join("model");
    let checkpoint = model.join("checkpoint.safetensors");
    let mut child = train(&config, &model, "1").spawn().unwrap();
    while !checkpoint.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = std::fs::read(&checkpoint).unwrap();

    // A file may not grow past two megabytes, the checkpoint has five: what a full disk looks like to the writer.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""]).arg(env!("CARGO_BIN_EXE_gpt2"));
    let output = limited.args(train(&config, &model, "1").get_args()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("cannot write"), "{text}");
    assert!(std::fs::read(&checkpoint).unwrap() == before, "the last good checkpoint is kept");
    run_through(train(&config, &model, "1"));
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = prepare(folder.path());
    let check_code = |set: &str, code: i32, expected: &str| {
        let output = train(&config, &folder.path().join("x"), "1").args(["--set", set]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && text.contains(expected), "{set}: {text}");
    };
    let check = |set: &str, expected: &str| check_code(set, 1, expected);
    check("model.vocab_size=100", "the tokenizer has 50257 tokens, but the model has 100");
    check_code("model.heads=3", 2, "in [model]: 8 channels cannot be divided among 3 heads");
    check("data.train=nowhere-*.bin", "no file matches nowhere-*.bin");
    check("model.context=6000", "a context of 6000 needs 6001 tokens, and it has 6000");
    check_code("train.stepps=3", 2, "did you mean `steps`?");
    check_code("train.max_gradient_norm=0.0", 2, "in [train]: max_gradient_norm is 0; it must be finite and above 0");
    check_code("train.clip_norm=1.0", 2, "write `max_gradient_norm`");
    check("train.learning_rate=1e30", "the training has diverged");
}
