//! `webtext links`: dumps to one table of links.

use std::path::PathBuf;

use ledger::sort::Sorter;
use ledger::table::TableWriter;
use ledger::{Counts, Reason};
use links::dump::{Line, Lines};
use links::{Karma, KarmaOf, Policy, Row, Submission};

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
        if let Err(error) = read(dump, number as u32, &policy, &mut sorter, &mut counts) {
            match error.downcast::<links::dump::DumpError>() {
                Ok(error) => {
                    eprintln!("unreadable: {:#}", anyhow::Error::from(error));
                    ending = Ending::SomeUnreadable;
                }
                Err(error) => return Err(error),
            }
        }
    }
    let names: Vec<String> =
        arguments.dumps.iter().map(|d| d.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    let mut table = TableWriter::create(&arguments.output)?;
    let mut same: Vec<Row> = Vec::new();
    let mut rows = sorter.finish()?;
    loop {
        let row = rows.next().transpose()?;
        let ends = row
            .as_ref()
            .is_none_or(|row| same.first().is_some_and(|first| (&first.domain, &first.key) != (&row.domain, &row.key)));
        if ends && !same.is_empty() {
            let link = policy.merge(&same, &names);
            (1..same.len()).for_each(|_| counts.drop(Reason::SameLink));
            counts.record(link.verdict);
            table.push(link)?;
            same.clear();
        }
        match row {
            Some(row) => same.push(row),
            None => break,
        }
    }
    table.finish()?;
    super::print_counts(&counts, arguments.json)?;
    Ok(ending)
}

/// Reads one dump; records that are no links are counted here, links when they are merged.
fn read(
    dump: &std::path::Path,
    number: u32,
    policy: &Policy,
    sorter: &mut Sorter<Row>,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let mut lines = Lines::open(dump, LINE_MAX_BYTES)?;
    while let Some(line) = lines.next()? {
        let row = match line {
            Line::TooLong(_) => Err(Reason::RecordTooLong),
            Line::Whole(bytes) => match Submission::parse(bytes) {
                Err(_) => Err(Reason::MalformedRecord),
                Ok(submission) => policy.submission(&submission, number, 0),
            },
        };
        match row {
            Ok(row) => sorter.push(Row { line: lines.number(), ..row })?,
            Err(reason) => counts.drop(reason),
        }
    }
    Ok(())
}
