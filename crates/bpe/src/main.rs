//! The binary `bpe`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bpe::cli::main()
}
