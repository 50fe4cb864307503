//! One file a subcommand, and what they share: inputs, threads, progress.

pub mod bench;
pub mod compare;
pub mod count;
pub mod decode;
pub mod encode;
pub mod info;
pub mod show;
pub mod train;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use bpe::input::{self, Batch, Batches, InputError};
use bpe::parallel::map_ordered;
use indicatif::{ProgressBar, ProgressStyle};

/// Files of texts and how they are read.
#[derive(clap::Args)]
pub struct Inputs {
    /// Text, JSON Lines with a `text` field, or Parquet with a `text` column; also .zst, .xz, .bz2 and .gz.
    #[arg(required = true, value_name = "IN")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// How files are read.
#[derive(Clone, clap::Args)]
pub struct Reading {
    /// Cut plain text into documents at this string.
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing.
    #[arg(long)]
    lossy: bool,
    /// Threads that work on the texts; default: all cores. The result is the same for any number.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Memory to work in, at least 64; bounds the longest line and the counts of words that are held.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory_mib: usize,
    /// No progress on stderr.
    #[arg(short, long)]
    quiet: bool,
}

impl Reading {
    /// Threads that work.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The bound of memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_mib << 20
    }

    /// The same for the library.
    pub fn options(&self) -> anyhow::Result<input::Options> {
        ensure!(self.memory_mib >= 64, "--memory-mib is at least 64");
        ensure!(self.separator.as_deref() != Some(""), "--separator is empty");
        let line_max_bytes = self.memory_bytes() / 8;
        Ok(input::Options { separator: self.separator.clone(), lossy: self.lossy, line_max_bytes })
    }
}

impl Inputs {
    /// Gives the batches of all files to workers, and the results to `finish` in the order of the batches.
    pub fn map<O, W>(
        &self,
        worker: impl Fn() -> W + Sync,
        finish: impl FnMut(O) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>
    where
        O: Send,
        W: FnMut(Batch) -> anyhow::Result<O>,
    {
        let options = Arc::new(self.reading.options()?);
        let progress = self.progress();
        let batches = self.paths.iter().flat_map(|path| {
            progress.set_message(path.display().to_string());
            let (batches, fault) = match Batches::open(path, &options) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(fault)
        });
        let batches = batches.map(|batch: Result<Batch, InputError>| {
            progress.inc(batch.as_ref().map_or(0, Batch::len_bytes) as u64);
            batch.map_err(anyhow::Error::from)
        });
        let result = map_ordered(batches, self.reading.threads(), worker, finish);
        progress.finish_and_clear();
        result
    }

    /// A bar with an ETA where the length of the texts is known, else a rate.
    fn progress(&self) -> ProgressBar {
        if self.reading.quiet {
            return ProgressBar::hidden();
        }
        let is_packed = |path: &PathBuf| {
            path.extension()
                .is_some_and(|end| ["zst", "xz", "bz2", "gz", "parquet"].iter().any(|packed| end == *packed))
        };
        let total: Option<u64> = match self.paths.iter().any(is_packed) {
            true => None,
            false => self.paths.iter().map(|path| Some(std::fs::metadata(path).ok()?.len())).sum(),
        };
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{bar:24} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left  {msg}")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {bytes_per_sec}  {msg}"),
        };
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// Whether something stands at a path that is neither a regular file nor a folder.
pub fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A path with an ending behind its whole name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
