//! `webtext fetch`: a table of links to a folder of WARC files.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use ledger::table::{TableReader, TableWriter};
use ledger::{Counts, Link};

use super::{Usage, stop_on_ctrl_c};
use crate::Ending;

/// Flags of `webtext fetch`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Table of links, as `webtext links` writes it; kept ones are fetched.
    links: PathBuf,
    /// Folder for pages.warc.gz and outcomes.parquet; a second call goes on with it.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Mail address or page where the owner of a host can complain.
    #[arg(long, value_name = "MAIL")]
    contact: String,
    /// Least time between two requests to a host.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    delay_ms: u64,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let settings = fetch::Settings { delay_ms: arguments.delay_ms, ..fetch::Settings::for_contact(&arguments.contact) };
    let fetcher = fetch::Fetcher::new(settings).map_err(|error| Usage(error.to_string()))?;
    let mut links = Vec::new();
    for link in TableReader::<Link>::open(&arguments.links)? {
        let link = link?;
        if link.verdict.is_none() {
            links.push(link);
        }
    }
    let stop = stop_on_ctrl_c()?;
    let warc = arguments.output.join("pages.warc.gz");
    let journal = arguments.output.join("journal.jsonl");
    let outcomes = fetcher.run(links, &warc, "pages.warc.gz", &journal, &|| stop.load(Ordering::Relaxed));
    let outcomes = match outcomes {
        Err(fetch::FetchError::Stopped) => return Err(pipeline::Interrupted.into()),
        other => other?,
    };
    let mut counts = Counts::default();
    let mut table = TableWriter::create(&arguments.output.join("outcomes.parquet"))?;
    for outcome in outcomes {
        counts.record(outcome.verdict);
        table.push(outcome)?;
    }
    table.finish()?;
    super::print_counts(&counts, arguments.json)?;
    Ok(Ending::Complete)
}
