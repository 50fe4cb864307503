//! `webtext dedup`: rows of JSON Lines and Parquet without their duplicates, by the stages of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use console::Exit;
use pipeline::Options;
use pipeline::recipe::{ClusterKind, Dedup, KeepKey, Near};
use pipeline::stages::{DroppedRow, FileDuplicates, find_in_files};
use records::Counts;
use serde::{Deserialize, Serialize};
use texts::{DocumentRow, NoFields, RowWriter};

use super::stage_progress::StageProgress;
use super::{Faults, UnreadableRows, Usage, for_each_row_of, stop_on_ctrl_c};

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
    /// Dropped rows with all their fields, each with the file and row of the one that stays for it; same formats as OUT.
    #[arg(long, value_name = "OUT")]
    dropped: Option<PathBuf>,
    #[command(flatten)]
    near: Near,
    /// Drop rows with the same words alone, not similar ones.
    #[arg(long, conflicts_with_all = ["min_jaccard", "recall", "bands", "rows", "shingle_words", "clusters"])]
    exact_only: bool,
    /// Which of two duplicates stays. Of equals, the first in the input.
    #[arg(long, value_name = "WHICH", default_value = "first")]
    keep: Keep,
    /// Which rows one that stays represents: those that resemble it, or all that similar pairs connect with it.
    #[arg(long, value_name = "KIND", default_value = "stars")]
    clusters: ClusterKind,
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

/// Which of two duplicates stays.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Keep {
    /// The first in the input.
    First,
    /// The one with the longest text.
    Longest,
}

/// The fields that are added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    verdict: String,
    /// The input with the row that stays.
    representative_file: String,
    /// The number of its line or row, from 1.
    representative_row: u64,
    jaccard: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Arguments { inputs, output, dropped, .. } = arguments;
    if let Some(pipe) = inputs.iter().find(|path| path.exists() && !path.is_file()) {
        return Err(Usage(format!("{} is no file, and inputs are read several times", pipe.display())).into());
    }
    let outputs = std::iter::once(output).chain(dropped).map(PathBuf::as_path);
    console::check_outputs(inputs.iter().map(PathBuf::as_path), outputs)?;
    let mut writers = Writers::create(arguments)?;
    let folder = tempfile::Builder::new().prefix(".webtext-dedup-").tempdir_in(folder_of(output));
    let folder = folder.with_context(|| format!("cannot make a folder beside {}", output.display()))?;
    let found = find(arguments, folder.path())?;
    let unreadable = writers.write_all(inputs, &found)?;
    let mut counts = writers.commit()?;
    let exit = unreadable.end(&mut counts);
    super::print_counts(&counts, arguments.json)?;
    Ok(exit)
}

/// The folder of a file.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn find(arguments: &Arguments, folder: &Path) -> anyhow::Result<FileDuplicates> {
    let threads = arguments.threads.map_or_else(super::all_cores, |threads| threads as usize);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    let keep = match arguments.keep {
        Keep::First => Vec::new(),
        Keep::Longest => vec![KeepKey::LongestText],
    };
    let near = (!arguments.exact_only).then(|| arguments.near.clone());
    let settings = Dedup { exact: true, near, keep, clusters: arguments.clusters };
    let options = Options {
        threads,
        sort_memory_bytes: (arguments.max_sort_memory_mib as usize) << 20,
        observer: Arc::new(StageProgress::default()),
        stop: stop_on_ctrl_c()?,
    };
    Ok(find_in_files(&arguments.inputs, "text", &settings, BUCKETS, folder, options)?)
}

/// The outputs.
struct Writers {
    kept: RowWriter<NoFields>,
    dropped: Option<RowWriter<Dropped>>,
    counts: Counts,
}

impl Writers {
    fn create(arguments: &Arguments) -> anyhow::Result<Writers> {
        let kept = RowWriter::create(&arguments.output)?;
        let dropped = arguments.dropped.as_deref().map(RowWriter::create).transpose()?;
        Ok(Writers { kept, dropped, counts: Counts::default() })
    }

    /// Reads the inputs once more, in step with the dropped rows.
    fn write_all(&mut self, inputs: &[PathBuf], found: &FileDuplicates) -> anyhow::Result<UnreadableRows> {
        let mut dropped = found.dropped()?.peekable();
        let mut unreadable = UnreadableRows::default();
        for (number, input) in inputs.iter().enumerate() {
            let rows = for_each_row_of(input, Faults::RowsNamed, &mut |row| {
                let place = (number, row.place().number());
                let duplicate = dropped.next_if(|next| next.as_ref().map_or(true, |next| next.row == place));
                self.push(inputs, &row, duplicate.transpose()?)
            })?;
            unreadable.add(rows);
        }
        let is_same = dropped.next().is_none()
            && self.counts.read == found.counts.kept
            && unreadable.rows == found.counts.dropped_total();
        anyhow::ensure!(is_same, "an input was changed while it was read");
        Ok(unreadable)
    }

    fn push(&mut self, inputs: &[PathBuf], row: &DocumentRow, duplicate: Option<DroppedRow>) -> anyhow::Result<()> {
        let Some(DroppedRow { representative: (file, representative_row), jaccard, verdict, .. }) = duplicate else {
            self.counts.keep();
            return Ok(self.kept.push(row, NoFields {})?);
        };
        self.counts.drop(verdict);
        if let Some(dropped) = &mut self.dropped {
            let representative_file = inputs[file].display().to_string();
            let (verdict, jaccard) = (verdict.to_string(), f64::from(jaccard));
            dropped.push(row, Dropped { verdict, representative_file, representative_row, jaccard })?;
        }
        Ok(())
    }

    /// Ends the outputs.
    fn commit(self) -> anyhow::Result<Counts> {
        self.kept.commit()?;
        self.dropped.map(RowWriter::commit).transpose()?;
        Ok(self.counts)
    }
}
