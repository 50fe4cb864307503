//! One file a subcommand, and what they share: inputs, batches, progress.

pub mod bench;
pub mod count;
pub mod decode;
pub mod encode;
pub mod train;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bpe::input::{self, Documents};
use bpe::{Encoder, TokenId};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

/// Text of a batch, after which its documents are handed to the threads.
const BATCH_BYTES: usize = 8 << 20;

/// Files of texts and how they are read.
#[derive(clap::Args)]
pub struct Inputs {
    /// Text, JSON Lines with a `text` field, or Parquet with a `text` column; also .zst and .gz.
    #[arg(required = true, value_name = "IN")]
    paths: Vec<PathBuf>,
    /// Cut plain text into documents at this string.
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing.
    #[arg(long)]
    lossy: bool,
    /// Threads; default: all cores.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// No progress on stderr.
    #[arg(short, long)]
    quiet: bool,
}

impl Inputs {
    /// Sets the number of threads of this process.
    pub fn start_threads(&self) -> anyhow::Result<()> {
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build_global().context("cannot start threads")
    }

    /// Calls `each` with batches of documents, in order.
    pub fn for_each_batch(&self, mut each: impl FnMut(Vec<String>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let options = input::Options { separator: self.separator.clone(), lossy: self.lossy };
        let progress = if self.quiet { ProgressBar::hidden() } else { progress_bar() };
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        for path in &self.paths {
            progress.set_message(path.display().to_string());
            for document in Documents::open(path, &options)? {
                let document = document?;
                batch_bytes += document.len();
                batch.push(document);
                if batch_bytes >= BATCH_BYTES {
                    each(std::mem::take(&mut batch))?;
                    progress.inc(batch_bytes as u64);
                    batch_bytes = 0;
                }
            }
        }
        each(batch)?;
        progress.finish_and_clear();
        Ok(())
    }
}

/// Encodes the documents of a batch on all threads; the result is in their order.
pub fn encode_batch(encoder: &Encoder<'_>, batch: &[String]) -> Vec<Vec<TokenId>> {
    batch.par_iter().map_init(|| encoder.clone(), |encoder, document| encoder.encode(document)).collect()
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {bytes} of text, {bytes_per_sec}  {msg}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
