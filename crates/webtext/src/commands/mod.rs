//! One file per subcommand.

pub mod build;
pub mod clean;
pub mod common_crawl;
pub mod dedup;
pub mod diff;
pub mod explain;
pub mod explore;
pub mod extract;
pub mod fetch;
mod file_run;
pub mod filter;
pub mod links;
pub mod overlap;
pub mod report;
mod stage_progress;
pub mod status;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use atomic_file::IoContext as _;
use clap::builder::{PathBufValueParser, TypedValueParser};
use console::Exit;
use records::{Counts, Reason};
use texts::{Compression, DocumentOptions, DocumentRow, NoFields, RowReader, RowWriter, Source, TextFormat};

pub use console::Usage;

/// Lets Ctrl-C end a run between tasks.
fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    console::stop_on_ctrl_c("stopping after what is under way").context("cannot listen for Ctrl-C")
}

/// One thread per core.
fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Raises the limit of open files to the system's maximum for commands that fetch; with fewer they run more slowly.
fn allow_many_files() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Prints the counts: as JSON on standard output, or for people on standard error.
fn print_counts(counts: &Counts, json: bool) -> anyhow::Result<()> {
    if json {
        console::out!("{}", serde_json::to_string(counts)?)?;
        return Ok(());
    }
    tracing::info!("{} read, {} kept", counts.read, counts.kept);
    for (reason, n) in &counts.dropped {
        tracing::info!("  {n:>9} {reason}");
    }
    Ok(())
}

/// Refuses outputs that are folders, and makes the folders that they lie in.
fn prepare_outputs<'p>(outputs: impl IntoIterator<Item = &'p PathBuf>) -> anyhow::Result<()> {
    for output in outputs {
        if output.is_dir() {
            return Err(Usage(format!("{} is a folder; name a file in it", output.display())).into());
        }
        if let Some(folder) = output.parent() {
            std::fs::create_dir_all(folder).at("make", folder)?;
        }
    }
    Ok(())
}

/// Reads the name of a table that is written, which must end in `.parquet`.
fn table_name() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|name| match (TextFormat::of_name(&name), Compression::of_name(&name)) {
        (TextFormat::Parquet, None) => Ok(name),
        _ => Err("a Parquet table is written; end its name in .parquet"),
    })
}

/// Where the texts of rows are.
#[derive(clap::Args)]
pub struct TextField {
    /// Field or column of the text.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
}

/// Which faults of inputs are named now; the others were when the same files were read before.
#[derive(Clone, Copy, PartialEq)]
enum Faults {
    /// Malformed rows, and files that break off.
    Named,
    /// Malformed rows alone.
    RowsNamed,
    /// None.
    Unnamed,
}

/// Unreadable rows of a file that are named one by one.
const MAX_ROWS_NAMED: u64 = 10;

/// Calls `each` with every row of JSON Lines and Parquet files. Counts rows without a text, and files that break off.
fn for_each_row(
    paths: &[PathBuf],
    text: &TextField,
    faults: Faults,
    mut each: impl FnMut(DocumentRow) -> anyhow::Result<()>,
) -> anyhow::Result<UnreadableRows> {
    let mut unreadable = UnreadableRows::default();
    for path in paths {
        unreadable.add(for_each_row_of(path, text, faults, &mut each)?);
    }
    Ok(unreadable)
}

/// Calls `each` with every row of one file.
fn for_each_row_of(
    path: &Path,
    text: &TextField,
    faults: Faults,
    each: &mut dyn FnMut(DocumentRow) -> anyhow::Result<()>,
) -> anyhow::Result<UnreadableRows> {
    let mut unreadable = UnreadableRows::default();
    let is_folder = File::open(path).and_then(|file| Ok(file.metadata()?.is_dir())).at("open", path)?;
    if is_folder {
        return Err(Usage(format!("{} is a folder; name its files", path.display())).into());
    }
    let options = DocumentOptions::new(&text.text_field);
    let file = Source::open_file(path).and_then(|file| RowReader::of_source(file, options));
    for row in file.with_context(|| format!("cannot read {}", path.display()))? {
        match row {
            Ok(Ok(row)) => each(row)?,
            Ok(Err(malformed)) => {
                if faults != Faults::Unnamed && unreadable.rows < MAX_ROWS_NAMED {
                    tracing::warn!("unreadable: {}, {malformed}", path.display());
                }
                unreadable.rows += 1;
            }
            Err(error) => {
                if faults == Faults::Named {
                    tracing::warn!("unreadable: {}: {:#}", path.display(), anyhow::Error::from(error));
                }
                unreadable.files += 1;
            }
        }
    }
    if faults != Faults::Unnamed && unreadable.rows > MAX_ROWS_NAMED {
        let more = console::count(unreadable.rows - MAX_ROWS_NAMED, "row");
        tracing::warn!("unreadable: {more} more of {}", path.display());
    }
    Ok(unreadable)
}

/// Refuses to replace an output by nothing, when no row could be read.
///
/// # Errors
/// When there is an output already.
fn keep_what_is_there(counts: &Counts, output: &Path) -> anyhow::Result<()> {
    let is_there = std::fs::metadata(output).is_ok_and(|found| found.is_file() && found.len() > 0);
    if counts.read == 0 && is_there {
        anyhow::bail!("no row was read, so {} stays as it is", output.display());
    }
    Ok(())
}

/// Writes a row with all its fields, and with another text if it was edited.
fn push_with_text(output: &mut RowWriter<NoFields>, row: &DocumentRow, edited: Option<String>) -> anyhow::Result<()> {
    match edited {
        Some(text) => output.push(&row.with_text(text)?, NoFields {})?,
        None => output.push(row, NoFields {})?,
    }
    Ok(())
}

/// Inputs that could not be read.
#[derive(Default)]
struct UnreadableRows {
    /// Lines and rows without a text.
    rows: u64,
    /// Files that break off.
    files: u64,
}

impl UnreadableRows {
    fn add(&mut self, other: UnreadableRows) {
        self.rows += other.rows;
        self.files += other.files;
    }

    /// Adds the rows to the counts of a command, and returns its exit code.
    fn end(&self, counts: &mut Counts) -> Exit {
        (0..self.rows).for_each(|_| counts.drop(Reason::MalformedRecord));
        if self.rows + self.files == 0 { Exit::Complete } else { Exit::SomeUnreadable }
    }
}

/// The default that the help of a flag ends with.
#[cfg(test)]
fn stated_default<A: clap::Args>(flag: &str) -> String {
    let command = A::augment_args(clap::Command::new("test"));
    let argument = command.get_arguments().find(|argument| argument.get_id().as_str() == flag).expect("a flag");
    let help = argument.get_help().expect("a flag has help").to_string();
    let (_, default) = help.rsplit_once("[default: ").expect("the help ends with a default");
    default.trim_end_matches(']').to_owned()
}

/// The name of a value of a flag.
#[cfg(test)]
fn name_of_value(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}
