//! `webtext links`: dumps to one table of links.

use std::path::PathBuf;

use records::Counts;
use store::sort::Sorter;
use store::table::TableWriter;
use links::dump::DumpError;
use links::{Karma, KarmaOf, Policy, Row, merge_rows, read_dump};

use crate::Ending;

/// Memory of the sort that brings the submissions of a link together.
const SORT_BYTES: usize = 512 << 20;
/// Longest line of a dump.
const LINE_MAX_BYTES: usize = 16 << 20;

/// Flags of `webtext links`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Reddit dumps or link lists: .zst, .xz, .bz2, .gz or plain JSON Lines.
    #[arg(required = true, value_name = "IN")]
    dumps: Vec<PathBuf>,
    /// The table, Parquet, sorted by domain and key.
    #[arg(short, long, value_name = "OUT.parquet")]
    output: PathBuf,
    /// Least karma.
    #[arg(long, default_value_t = 3)]
    karma: i64,
    /// Take the sum of all submissions of a link rather than the highest score.
    #[arg(long)]
    sum: bool,
    /// Keep links that are marked over 18.
    #[arg(long)]
    keep_over_18: bool,
    /// Drop links to this domain and its subdomains; repeatable.
    #[arg(long, value_name = "DOMAIN", default_values_t = ["wikipedia.org".to_owned(), "reddit.com".to_owned(), "redd.it".to_owned()])]
    drop_domain: Vec<String>,
    /// Drop links whose path ends so; repeatable.
    #[arg(long, value_name = "EXTENSION", default_values_t = ["jpg", "jpeg", "png", "gif", "gifv", "webm", "mp4", "mp3", "pdf", "zip"].map(str::to_owned))]
    drop_extension: Vec<String>,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let of = if arguments.sum { KarmaOf::SumOfSubmissions } else { KarmaOf::AnySubmission };
    let policy = Policy {
        karma: Karma { at_least: arguments.karma, of },
        drop_over_18: !arguments.keep_over_18,
        from: None,
        before: None,
        drop_domains: arguments.drop_domain.iter().map(|d| d.to_ascii_lowercase()).collect(),
        drop_extensions: arguments.drop_extension.iter().map(|e| e.to_ascii_lowercase()).collect(),
        url_len_max_bytes: 2048,
    };
    let folder = arguments.output.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut sorter = Sorter::<Row>::new(folder, SORT_BYTES);
    let mut counts = Counts::default();
    let mut ending = Ending::Complete;
    for (number, dump) in arguments.dumps.iter().enumerate() {
        // Records that are no links are counted here, links when they are merged.
        let read = read_dump(dump, number as u32, &policy, LINE_MAX_BYTES, |line| -> anyhow::Result<()> {
            match line {
                Ok(row) => sorter.push(row)?,
                Err(dropped) => counts.drop(dropped.reason),
            }
            Ok(())
        });
        if let Err(error) = read {
            let error = error.downcast::<DumpError>()?;
            eprintln!("unreadable: {:#}", anyhow::Error::from(error));
            ending = Ending::SomeUnreadable;
        }
    }
    let names: Vec<String> =
        arguments.dumps.iter().map(|d| d.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    let mut table = TableWriter::create(&arguments.output)?;
    merge_rows(sorter.finish()?, &policy, &names, &mut counts, |link| table.push(link))?;
    table.finish()?;
    super::print_counts(&counts, arguments.json)?;
    Ok(ending)
}
