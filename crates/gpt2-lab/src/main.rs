//! The binary `gpt2`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gpt2_lab::cli::main()
}
