//! The commands of docs/gpt2-from-scratch.md run as they stand there, and the model learns what the page says.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::Command;

/// Runs a command of the page in a folder by a shell, with this build's `gpt2`; gives what it prints.
fn run(folder: &Path, command: &str) -> String {
    let own = env!("CARGO_BIN_EXE_gpt2");
    let script = format!("gpt2() {{ '{own}' \"$@\"; }}\n{command}");
    let output = Command::new("bash").args(["-ec", &script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands in the page's blocks of shell.
fn commands(page: &str) -> Vec<&str> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    blocks.flat_map(str::lines).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_command_of_the_course_runs_and_its_model_remembers_the_colour() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("gpt2-from-scratch.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("docs/gpt2-from-scratch");
    std::fs::create_dir_all(&texts).unwrap();
    std::fs::copy(docs.join("gpt2-from-scratch/boats.txt"), texts.join("boats.txt")).unwrap();
    let commands = commands(&page);
    assert!(commands.len() > 10 && commands[0].contains(" train "), "{commands:?}");
    for command in commands {
        run(folder.path(), command);
    }
    for (colour, thing) in [("red", "boat"), ("green", "lamp"), ("black", "hat")] {
        let text = format!("Anna has a {colour} {thing}. The {thing} of Anna is");
        let shown = run(folder.path(), &format!("gpt2 inspect boats-model '{text}'"));
        let next = shown.split("Next token").nth(1).unwrap();
        assert!(next.lines().nth(1).unwrap().contains(&format!("␣{colour}")), "{shown}");
    }
}
