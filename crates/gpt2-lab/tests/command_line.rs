//! The binary starts, and its help names its commands.

use std::process::Command;

#[test]
fn help_and_version() {
    for (flag, expected) in [("--help", "Usage: gpt2"), ("--version", concat!("gpt2 ", env!("CARGO_PKG_VERSION")))] {
        let output = Command::new(env!("CARGO_BIN_EXE_gpt2")).arg(flag).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(expected), "{flag}: {text}");
    }
}

#[test]
fn an_unknown_flag_ends_with_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_gpt2")).arg("--no-such-flag").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--no-such-flag"));
}
