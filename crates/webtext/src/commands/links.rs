//! `webtext links`: dumps to one table of links.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use atomic_file::IoContext;
use console::{Exit, UserError as _};
use links::{DroppedRecord, DumpError, SubmissionRow, merge_rows, read_dump};
use pipeline::recipe;
use records::{Counts, Reason};
use serde_json::json;
use store::sort::Sorter;
use store::table::TableWriter;
use texts::CompressedFile;

/// Memory of the sort that brings the submissions of a link together, in bytes.
const SORT_BYTES: usize = 512 << 20;
/// Malformed records that are shown, and how much of each.
const SAMPLES: u64 = 5;
const SAMPLE_CHARS: usize = 200;

/// Flags of `webtext links`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Reddit dumps or link lists: JSON Lines, Parquet, or a URL per line; also .zst, .xz, .bz2 and .gz.
    #[arg(required = true, value_name = "IN")]
    dumps: Vec<PathBuf>,
    /// Parquet table of links to write, sorted by domain and key.
    #[arg(short, long, value_name = "OUT.parquet", value_parser = super::table_name())]
    output: PathBuf,
    #[command(flatten)]
    kept: recipe::Links,
    /// Records that are no links, with their places and reasons: .jsonl or .jsonl.zst.
    #[arg(long, value_name = "OUT")]
    dropped: Option<PathBuf>,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let outputs = std::iter::once(&arguments.output).chain(&arguments.dropped);
    console::check_outputs(arguments.dumps.iter().map(PathBuf::as_path), outputs.map(PathBuf::as_path))?;
    // All errors of usage are found before an existing output is replaced.
    let mut dumps = Vec::new();
    for path in &arguments.dumps {
        dumps.push((name_of(path), File::open(path).at("open", path)?));
    }
    let (rules, karma) = (arguments.kept.submission_rules()?, arguments.kept.karma());
    let mut reading = Reading::new(arguments)?;
    let mut faults = Vec::new();
    for (name, dump) in dumps {
        tracing::debug!("reading {name}");
        let max_bytes = arguments.kept.max_record_bytes;
        if let Err(error) = read_dump(dump, &name, &rules, max_bytes, |record| reading.take(&name, record)) {
            faults.push(error.downcast::<DumpError>()?);
        }
    }
    // Where nothing could be read, an existing output stays.
    let fatal = if reading.links == 0 { faults.pop() } else { None };
    let ending = if faults.is_empty() { Exit::Complete } else { Exit::SomeUnreadable };
    for fault in faults {
        let hint = fault.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        tracing::warn!("unreadable: {:#}{hint}", anyhow::Error::from(fault));
    }
    if let Some(fatal) = fatal {
        return Err(fatal.into());
    }
    let mut table = TableWriter::create(&arguments.output)?;
    let Reading { sorter, mut counts, dropped, .. } = reading;
    merge_rows(sorter.finish()?, &karma, &mut counts, |link| table.push(link))?;
    table.finish()?;
    dropped.map(CompressedFile::commit).transpose()?;
    super::print_counts(&counts, arguments.json)?;
    if counts.kept == 0 && counts.dropped.contains_key(&Reason::MissingKarma) {
        tracing::warn!("no link is kept, and some have no score; --without-karma keep takes those");
    }
    Ok(ending)
}

/// What has been read of the dumps.
struct Reading {
    sorter: Sorter<SubmissionRow>,
    /// Submissions with a link, which are counted when they are merged.
    links: u64,
    /// Records that are no links.
    counts: Counts,
    /// Where these are written.
    dropped: Option<CompressedFile>,
}

impl Reading {
    fn new(arguments: &Arguments) -> anyhow::Result<Reading> {
        let folder = arguments.output.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Reading {
            sorter: Sorter::new(folder.unwrap_or(Path::new(".")), SORT_BYTES),
            links: 0,
            counts: Counts::default(),
            dropped: arguments.dropped.as_deref().map(CompressedFile::create).transpose()?,
        })
    }

    fn take(&mut self, dump: &str, record: Result<SubmissionRow, DroppedRecord<'_>>) -> anyhow::Result<()> {
        let DroppedRecord { reason, line, url, text } = match record {
            Ok(row) => {
                self.links += 1;
                return Ok(self.sorter.push(row)?);
            }
            Err(dropped) => dropped,
        };
        let malformed = self.counts.dropped.get(&Reason::MalformedRecord).copied().unwrap_or(0);
        if reason == Reason::MalformedRecord && malformed < SAMPLES {
            let start: String = text.chars().take(SAMPLE_CHARS).collect();
            tracing::warn!("{reason}: {dump}:{line}: {start}");
        }
        self.counts.drop(reason);
        if let Some(rows) = &mut self.dropped {
            let row = json!({"dump": dump, "line": line, "reason": reason, "url": url, "text": text});
            writeln!(rows, "{row}").context("cannot write the dropped records")?;
        }
        Ok(())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
