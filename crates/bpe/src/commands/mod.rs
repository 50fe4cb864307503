//! One file per subcommand, and what they share: inputs, threads, progress.

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
use std::sync::atomic::{AtomicBool, Ordering};

use console::{Progress, Stopped, Unit, Usage};
use texts::{Compression, TextFormat};

use crate::input::{Batch, Batches, InputError, InputOptions};
use crate::parallel::map_ordered;

/// Returns a flag that the first Ctrl-C sets.
pub fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    Ok(console::stop_on_ctrl_c("stopping after the batch at hand")?)
}

/// The tokenizer to use.
#[derive(clap::Args)]
pub struct TokenizerName {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(long = "tokenizer", default_value = "gpt2", value_name = "NAME|DIR|FILE")]
    pub name: String,
}

/// Input files and how they are read.
#[derive(clap::Args)]
pub struct Inputs {
    /// Text, JSON Lines or Parquet, by the file's name; also .zst, .xz, .bz2 and .gz. `-` for standard input.
    #[arg(required = true, value_name = "IN")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// The format of the inputs.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum InputFormat {
    /// Plain text.
    Text,
    /// JSON Lines.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// How files are read.
#[derive(Clone, clap::Args)]
pub struct Reading {
    /// Format of the inputs. [default: by their names]
    #[arg(long, value_enum, value_name = "FORMAT")]
    input_format: Option<InputFormat>,
    /// Field of JSON Lines, or column of Parquet, that holds the text.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    /// Split plain text into documents at this string.
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing.
    #[arg(long)]
    lossy: bool,
    /// Threads that process the texts. The result is the same for any number. [default: all cores]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Memory in MiB, at least 64; bounds the longest line and the word counts in memory.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory_mib: usize,
}

impl Reading {
    /// Number of threads.
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

    /// The options for the library.
    pub fn options(&self) -> anyhow::Result<InputOptions> {
        check_usage(self.memory_mib >= 64, "--memory-mib is at least 64")?;
        check_usage(self.separator.as_deref() != Some(""), "--separator is empty")?;
        let mut options = InputOptions::default()
            .with_text_field(&self.text_field)
            .with_lossy(self.lossy)
            .with_max_line_bytes(self.memory_bytes() / 8);
        if let Some(separator) = &self.separator {
            options = options.with_separator(separator);
        }
        if let Some(format) = self.input_format {
            options = options.with_format(match format {
                InputFormat::Text => TextFormat::PlainText,
                InputFormat::Jsonl => TextFormat::JsonLines,
                InputFormat::Parquet => TextFormat::Parquet,
            });
        }
        Ok(options)
    }
}

impl Inputs {
    /// Gives the batches of all files to workers, and the results to `finish` in the order of the batches. Ends with
    /// [`Stopped`] once `stop` is true.
    pub fn map<O, W>(
        &self,
        stop: &AtomicBool,
        worker: impl Fn() -> W + Sync,
        finish: impl FnMut(O) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>
    where
        O: Send,
        W: FnMut(Batch) -> anyhow::Result<O>,
    {
        let options = Arc::new(self.reading.options()?);
        let progress = Progress::start("reading", Unit::Bytes, self.len_bytes());
        let batches = self.paths.iter().flat_map(|path| {
            progress.message(path.display().to_string());
            let (batches, fault) = match Batches::open(path, &options) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(fault)
        });
        let batches = batches.map(|batch: Result<Batch, InputError>| {
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            progress.add(batch.as_ref().map_or(0, Batch::len_bytes) as u64);
            batch.map_err(anyhow::Error::from)
        });
        map_ordered(batches, self.reading.threads(), worker, finish)
    }

    /// Bytes of all texts, if they are known beforehand.
    fn len_bytes(&self) -> Option<u64> {
        let is_plain =
            |path: &PathBuf| Compression::of_name(path).is_none() && TextFormat::of_name(path) != TextFormat::Parquet;
        let is_known = |path: &PathBuf| is_plain(path) && path.is_file();
        let all_known = self.paths.iter().all(is_known);
        all_known.then(|| self.paths.iter().map(|path| std::fs::metadata(path).map_or(0, |file| file.len())).sum())
    }
}

/// Fails with an error of usage unless `is_right`.
pub fn check_usage(is_right: bool, otherwise: &str) -> Result<(), Usage> {
    if is_right { Ok(()) } else { Err(Usage(otherwise.to_owned())) }
}

/// Whether a path is neither a regular file nor a folder.
pub fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A path with an extension added to its whole name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
