//! Input files of the subcommands, and how they are read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use console::{Progress, Stopped, Unit};
use texts::{Compression, TextFormat};

use super::check_usage;
use super::parallel::map_ordered;
use crate::input::{Batch, Batches, ByteSource, InputError, InputOptions};
use crate::split::pretokenize::Cuts;
use crate::{Encoder, Specials};

/// Input files and how they are read.
#[derive(clap::Args)]
pub struct Inputs {
    /// Text, JSON Lines or Parquet, by the name or else the content; also .zst, .xz, .bz2 and .gz. `-` for standard
    /// input; of a folder, all its files.
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

/// What a bad row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BadRowAction {
    /// Ends the run.
    Fail,
    /// Is left out and counted.
    Skip,
}

/// How files are read.
#[derive(Clone, clap::Args)]
pub struct Reading {
    /// Format of the inputs. [default: by their names, or else by their content]
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
    /// What to do with a row that has no text or cannot be read: end the run, or leave it out and count it.
    #[arg(long, value_enum, value_name = "ACTION", default_value = "fail")]
    on_bad_row: BadRowAction,
    /// Threads that process the texts. The result is the same for any number. [default: all cores]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Memory in MiB, at least 64, for the longest line and for word counts. Three things are held as a whole, even if
    /// they are longer: a cell of Parquet; a document, if the tokenizer has a pattern of its own or added tokens that
    /// contain white space; a text without white space, unless it consists of ASCII letters and the tokenizer's merges
    /// are fast (see `bpe info`).
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
        if self.on_bad_row == BadRowAction::Skip {
            options = options.with_bad_rows_skipped();
        }
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

/// Inputs that can be opened.
pub struct OpenedInputs {
    paths: Vec<PathBuf>,
    /// Of each path that is no regular file, what was opened: a pipe can be opened once only.
    pipes: Vec<Mutex<Option<ByteSource>>>,
    options: InputOptions,
    threads: usize,
}

impl Inputs {
    /// Finds the files of folders, and opens each once: what is missing is known before an output is touched.
    pub fn opened(&self, cuts: Cuts) -> anyhow::Result<OpenedInputs> {
        let options = self.reading.options()?.with_cuts(cuts);
        let paths = files_of(&self.paths)?;
        let times_piped = paths.iter().filter(|path| **path == Path::new("-")).count();
        check_usage(times_piped <= 1, "standard input can be read only once")?;
        let mut pipes = Vec::with_capacity(paths.len());
        for path in &paths {
            let source = ByteSource::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            // Files are opened again: there may be more of them than a process may have open.
            pipes.push(Mutex::new(Some(source).filter(|source| matches!(source, ByteSource::Pipe(_)))));
        }
        Ok(OpenedInputs { paths, pipes, options, threads: self.reading.threads() })
    }
}

/// The paths, with the files of each folder in its place.
pub fn files_of(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            add_files(path, &mut files)?;
            check_usage(files.len() > before, &format!("the folder {} has no files", path.display()))?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The files in a folder and those below it, in the order of their names. Hidden ones, and those that a leading
/// underscore marks as no data, are left out, and so is what is neither a file nor a folder, such as a pipe, which may have
/// no end. A link to a folder is followed unless it leads back to one that it is in.
fn add_files(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("cannot read the folder {}", folder.display());
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).with_context(failed)?.collect();
    let mut entries: Vec<PathBuf> = entries.with_context(failed)?.into_iter().map(|entry| entry.path()).collect();
    entries.retain(|path| {
        !path.file_name().is_some_and(|name| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_')))
    });
    entries.sort();
    for path in entries {
        if path.is_dir() {
            let leads_back = path.is_symlink() && folder.canonicalize()?.starts_with(path.canonicalize()?);
            if leads_back {
                tracing::warn!("{} leads back to a folder that it is in, and is left out", path.display());
            } else {
                add_files(&path, files)?;
            }
        } else if super::is_special(&path) {
            tracing::warn!("{} is no file, and is left out", path.display());
        } else {
            files.push(path);
        }
    }
    Ok(())
}

impl OpenedInputs {
    /// The same with long pretokens cut where the encoder allows it.
    pub fn with_encoder(self, encoder: &Encoder<'_>, specials: Specials) -> OpenedInputs {
        OpenedInputs { options: self.options.with_run_cutter(encoder.run_cutter(specials)), ..self }
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// The batches of all files.
    pub fn batches(&self) -> impl Iterator<Item = Result<Batch, InputError>> {
        let options = Arc::new(self.options.clone());
        self.paths.iter().zip(&self.pipes).flat_map(move |(path, pipe)| {
            let pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
            let opened = match pipe {
                Some(source) => Batches::of_source(path, source, &options),
                None => Batches::open(path, &options),
            };
            let (batches, fault) = match opened {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(fault)
        })
    }

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
        let progress = Progress::start("reading", Unit::Bytes, self.len_bytes());
        let batches = self.batches().map(|batch: Result<Batch, InputError>| {
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            progress.add(batch.as_ref().map_or(0, Batch::len_bytes) as u64);
            batch.map_err(anyhow::Error::from)
        });
        map_ordered(batches, self.threads, worker, finish)
    }

    /// Number of rows that were left out, which a warning tells with the first of them; none if they would be errors.
    pub fn warn_of_skipped(&self) -> Option<u64> {
        let skipped = self.options.skipped_rows()?;
        let (rows, first) = (skipped.rows(), skipped.first().unwrap_or_default());
        if rows > 0 {
            tracing::warn!("{} left out; the first: {first}", console::count(rows, "bad row"));
        }
        Some(rows)
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
