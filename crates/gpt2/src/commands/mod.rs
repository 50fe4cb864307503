//! The subcommands, a file each: its arguments, and `run`.

pub(crate) mod bench;
pub(crate) mod classify;
pub(crate) mod eval;
pub(crate) mod finetune;
pub(crate) mod inspect;
pub(crate) mod plan;
pub(crate) mod sample;
pub(crate) mod train;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use bpe::{Tokenizer, formats};
use gpt2::{Model, load_model};

/// A folder's model and its tokenizer.
pub(crate) fn load(folder: &Path) -> anyhow::Result<(Model, Tokenizer)> {
    let model = load_model(folder)?;
    let tokenizer = formats::load(&folder.to_string_lossy())?;
    check_vocabulary(&tokenizer, model.config().vocab_size)?;
    Ok((model, tokenizer))
}

/// A model may have more ids than its tokenizer, but not fewer.
pub(crate) fn check_vocabulary(tokenizer: &Tokenizer, vocab_size: usize) -> anyhow::Result<()> {
    let tokens = tokenizer.vocab_size();
    ensure!(tokens <= vocab_size, "the tokenizer has {tokens} tokens, the model only {vocab_size}");
    Ok(())
}

/// Set by the first Ctrl-C.
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl-C was pressed since [`stop_on_ctrl_c`].
pub(crate) fn is_stopping() -> bool {
    IS_STOPPING.load(Ordering::Relaxed)
}

/// From now on a first Ctrl-C is only remembered; a second one ends the process.
pub(crate) fn stop_on_ctrl_c() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if IS_STOPPING.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(STOPPED));
        }
        eprintln!("stopping behind the present step; once more to stop at once");
    })
    .context("cannot listen for Ctrl-C")
}

/// The exit code of a run that Ctrl-C has stopped.
pub(crate) const STOPPED: u8 = 130;
