//! `webtext dedup`: rows of JSON Lines and Parquet without their duplicates, by the stages of a run.

mod documents;
mod spans;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use console::Exit;
use pipeline::Options;
use pipeline::recipe::{ClusterKind, Near};
use records::Counts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use texts::RowWriter;

use super::stage_progress::StageProgress;
use super::{Usage, stop_on_ctrl_c};

/// Parts into which working files are divided.
const BUCKETS: u32 = 16;

/// Flags of `webtext dedup`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines or Parquet with a `text` field; also .zst and .gz. They are read several times.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Kept rows with all their fields; .jsonl, also .zst and .gz, or .parquet. Working files lie beside it.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Dropped rows with all their fields, the reason, and the file and row of the one that stays; same formats as OUT.
    #[arg(long, value_name = "OUT")]
    dropped: Option<PathBuf>,
    /// What is compared: whole texts, of which copies are dropped, or parts of them, which are cut out.
    #[arg(long, value_name = "UNIT", default_value = "document")]
    by: By,
    #[command(flatten)]
    near: Near,
    /// Drop rows with the same words alone, not similar ones.
    #[arg(long, conflicts_with_all = ["min_jaccard", "recall", "bands", "rows", "shingle_words", "clusters"])]
    exact_only: bool,
    /// Which of two duplicates stays; of equals, the first in the input. [default: first]
    #[arg(long, value_name = "WHICH")]
    keep: Option<Keep>,
    /// Which rows one that stays represents: those that resemble it, or all that similar pairs connect with it.
    /// [default: stars]
    #[arg(long, value_name = "KIND")]
    clusters: Option<ClusterKind>,
    #[command(flatten)]
    parts: spans::Flags,
    /// Threads. The outputs are the same for any number. [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Memory of one sort, of which each thread does one at a time.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    max_sort_memory_mib: u32,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Whole texts.
    Document,
    /// Lines.
    Line,
    /// What blank lines separate.
    Paragraph,
    /// Sentences, several in a row.
    Sentence,
    /// Whatever occurs twice.
    Substring,
}

/// Which of two duplicates stays.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Keep {
    /// The first in the input.
    First,
    /// The one with the longest text.
    Longest,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Arguments { inputs, output, dropped, .. } = arguments;
    if let Some(pipe) = inputs.iter().find(|path| path.exists() && !path.is_file()) {
        return Err(Usage(format!("{} is no file, and inputs are read several times", pipe.display())).into());
    }
    let outputs = std::iter::once(output).chain(dropped).map(PathBuf::as_path);
    console::check_outputs(inputs.iter().map(PathBuf::as_path), outputs)?;
    arguments.check()?;
    super::prepare_outputs(std::iter::once(output).chain(dropped))?;
    let folder = tempfile::Builder::new().prefix(".webtext-dedup-").tempdir_in(folder_of(output));
    let folder = folder.with_context(|| format!("cannot make a folder beside {}", output.display()))?;
    let (counts, exit) = match arguments.by {
        By::Document => documents::run(arguments, folder.path())?,
        By::Line | By::Paragraph | By::Sentence | By::Substring => spans::run(arguments, folder.path())?,
    };
    super::print_counts(&counts, arguments.json)?;
    Ok(exit)
}

impl Arguments {
    /// Refuses flags that have no meaning for what is compared.
    fn check(&self) -> anyhow::Result<()> {
        self.near.check()?;
        self.parts.check(self.by)?;
        let of_documents = self.exact_only || self.keep.is_some() || self.clusters.is_some();
        if self.by != By::Document && (of_documents || self.near.recall.is_some() || self.near.bands.is_some()) {
            let fault = "--exact-only, --keep, --clusters, --recall, --bands and --rows go with --by document";
            return Err(Usage(fault.to_owned()).into());
        }
        Ok(())
    }
}

/// The outputs: kept rows with the fields `K` added or replaced, and dropped ones with the fields `D`.
struct Outputs<K, D> {
    kept: RowWriter<K>,
    dropped: Option<RowWriter<D>>,
    counts: Counts,
}

impl<K: Serialize + DeserializeOwned, D: Serialize + DeserializeOwned> Outputs<K, D> {
    fn create(arguments: &Arguments) -> anyhow::Result<Outputs<K, D>> {
        let kept = RowWriter::create(&arguments.output)?;
        let dropped = arguments.dropped.as_deref().map(RowWriter::create).transpose()?;
        Ok(Outputs { kept, dropped, counts: Counts::default() })
    }

    fn commit(self) -> anyhow::Result<Counts> {
        self.kept.commit()?;
        self.dropped.map(RowWriter::commit).transpose()?;
        Ok(self.counts)
    }
}

/// The folder of a file.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How the stages run.
fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let threads = arguments.threads.map_or_else(super::all_cores, |threads| threads as usize);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    Ok(Options {
        threads,
        sort_memory_bytes: (arguments.max_sort_memory_mib as usize) << 20,
        observer: Arc::new(StageProgress::default()),
        stop: stop_on_ctrl_c()?,
    })
}
