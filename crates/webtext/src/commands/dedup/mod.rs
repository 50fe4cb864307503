//! `webtext dedup`: rows of JSON Lines and Parquet without their duplicates, by the stages of a run.

mod documents;
mod spans;

use std::path::PathBuf;

use console::Exit;
use pipeline::recipe::{ClusterKind, Near};
use records::Counts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use texts::{NoFields, RowWriter};

use super::file_run::{RunFlags, check_files, working_folder};
use super::{TextField, Usage};

/// Parts into which working files are divided.
const BUCKETS: u32 = 16;

/// Flags of `webtext dedup`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines or Parquet with a text in each row; also .zst and .gz. They are read several times.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    text: TextField,
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
    /// Drop only rows with the same words, not rows that are similar.
    #[arg(long, conflicts_with_all = ["min_jaccard", "recall", "bands", "rows", "shingle_words", "clusters"])]
    exact_only: bool,
    /// Which of two duplicates stays; of equals, the first in the input. [default: first]
    #[arg(long, value_name = "WHICH")]
    keep: Option<Keep>,
    /// Which rows are dropped for a row that stays: those that resemble it, or all that a chain of similar pairs
    /// connects with it.
    /// [default: stars]
    #[arg(long, value_name = "KIND")]
    clusters: Option<ClusterKind>,
    /// Files whose rows are compared with, and stay: a row of IN that is a duplicate of one of them is dropped.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    against: Vec<PathBuf>,
    #[command(flatten)]
    parts: spans::Flags,
    #[command(flatten)]
    run: RunFlags,
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
    let Arguments { inputs, against, output, dropped, .. } = arguments;
    arguments.check()?;
    check_files(against.iter().chain(inputs), std::iter::once(output).chain(dropped).chain(&arguments.parts.cut))?;
    let folder = working_folder(Some(output))?;
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
        let of_documents = of_documents || !self.against.is_empty() || self.near != Near::default();
        if self.by != By::Document && of_documents {
            let fault = "--exact-only, --keep, --clusters, --against, --shingle-words, --min-jaccard, --recall, --bands and \
                         --rows go with --by document";
            return Err(Usage(fault.to_owned()).into());
        }
        Ok(())
    }
}

/// The outputs: kept rows, and dropped ones with the fields `D`.
struct Outputs<D> {
    kept: RowWriter<NoFields>,
    dropped: Option<RowWriter<D>>,
    counts: Counts,
}

impl<D: Serialize + DeserializeOwned> Outputs<D> {
    fn create(arguments: &Arguments) -> anyhow::Result<Outputs<D>> {
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

#[cfg(test)]
mod tests {
    use super::super::{name_of_value, stated_default};
    use super::*;

    #[test]
    fn the_help_states_the_defaults() {
        assert_eq!(stated_default::<Arguments>("clusters"), name_of_value(&ClusterKind::default()));
    }
}
