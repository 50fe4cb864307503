//! `webtext fetch`: a table of links to a folder of WARC files, from the web or from Common Crawl.

mod arguments;
mod host_report;
mod plan;
mod tables;
mod view;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::Context;
use atomic_file::FileLock;
use console::Exit;
use fetch::{CrawlBudget, CrawlEnd, CrawlPaths, CrawlSettings, Fetcher, Frontier, Monitor};
use records::{Counts, Link};
use store::table::TableReader;

use self::arguments::PagesFrom;
pub use self::arguments::{Arguments, SharedLimits};
use self::view::View;
use super::common_crawl::{self, Print};
use super::{Usage, allow_many_files, stop_on_ctrl_c};

/// Memory of one sort, before the crawl and after it.
const SORT_BYTES: usize = 512 << 20;

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    check_links(&arguments.links)?;
    if arguments.from == PagesFrom::CommonCrawl {
        return copy_from_common_crawl(arguments);
    }
    // Checked before the links are sorted, which may take minutes.
    let (settings, budget) = (arguments.settings(), arguments.budget()?);
    if arguments.plan {
        console::end_quietly_with_reader(); // no connection is opened
        let _lock = lock(&arguments.output)?;
        let frontier = open_frontier(arguments, &settings)?;
        plan::print(&fetch::plan(&frontier, &settings)?, &settings, arguments.json)?;
        return Ok(Exit::Complete);
    }
    let fetcher = Fetcher::new(settings)?;
    let _lock = lock(&arguments.output)?;
    let frontier = open_frontier(arguments, fetcher.settings())?;
    crawl(arguments, &fetcher, &frontier, budget)
}

/// Refuses what is no table of links, and says how one is made.
fn check_links(path: &Path) -> anyhow::Result<()> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let table = TableReader::<Link>::open(path).map(drop);
    table.with_context(|| {
        let shown = path.display();
        format!("{shown} is no table of links; webtext links {shown} -o links.parquet makes one of a dump or a list")
    })
}

fn copy_from_common_crawl(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(flag) = arguments.flag_for_the_web()? {
        return Err(Usage(format!("{flag} does nothing with --from common-crawl")).into());
    }
    let _lock = lock(&arguments.output)?;
    let (links, folder, contact) = (&arguments.links, &arguments.output, arguments.contact.as_deref());
    let print = Print { plan: arguments.plan, json: arguments.json };
    common_crawl::run(&arguments.common_crawl, &arguments.shared, links, folder, contact, print)
}

/// Crawls until every link has its outcome, the budget is spent or Ctrl-C is pressed.
fn crawl(arguments: &Arguments, fetcher: &Fetcher, frontier: &Frontier, budget: CrawlBudget) -> anyhow::Result<Exit> {
    allow_many_files();
    let stop = stop_on_ctrl_c()?;
    let paths = CrawlPaths::in_folder(&arguments.output);
    let threads = arguments.threads.unwrap_or_else(|| super::all_cores() as u32);
    let monitor = Monitor::default();
    let view = View::new(arguments.json);
    let end = std::thread::scope(|scope| {
        let crawling =
            scope.spawn(|| fetcher.run(frontier, &paths, threads, budget, &monitor, &|| stop.load(Ordering::Relaxed)));
        view.watch(&monitor, &|| crawling.is_finished());
        crawling.join().expect("the fetcher does not panic")
    });
    if end? == CrawlEnd::Complete {
        let counts = tables::write_tables(frontier, &paths, &arguments.output)?;
        view.finished(&counts, 0)?;
        return Ok(Exit::Complete);
    }
    report_unfinished(arguments, frontier, &paths, &monitor, &view)?;
    if stop.load(Ordering::Relaxed) { Err(pipeline::Error::Interrupted.into()) } else { Ok(Exit::Complete) }
}

/// Reports a crawl that has links left.
fn report_unfinished(
    arguments: &Arguments,
    frontier: &Frontier,
    paths: &CrawlPaths,
    monitor: &Monitor,
    view: &View,
) -> anyhow::Result<()> {
    let now = monitor.snapshot();
    let left = frontier.links() - now.done;
    let counts = Counts { read: now.pages + now.dropped.values().sum::<u64>(), kept: now.pages, dropped: now.dropped };
    // The crawl has not failed only because its report cannot be written.
    if let Err(error) = tables::write_hosts(frontier, paths, &arguments.output) {
        tracing::warn!("no hosts.tsv: {error:#}");
    }
    view.finished(&counts, left)?;
    let verb = if left == 1 { "is" } else { "are" };
    tracing::info!("{} {verb} left; run the same command again to continue", console::count(left, "link"));
    Ok(())
}

/// Locks the folder for this process, and removes temporary files of killed ones.
fn lock(folder: &Path) -> anyhow::Result<FileLock> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let Some(lock) = FileLock::try_take(&folder.join("lock"))? else {
        anyhow::bail!("another webtext works in {}\n\nhint: wait for it, or choose another folder", folder.display())
    };
    // Other processes may work in the folders below this one.
    atomic_file::sweep_here(folder)?;
    Ok(lock)
}

/// Opens the frontier in the output folder, or makes it from the table of links.
fn open_frontier(arguments: &Arguments, settings: &CrawlSettings) -> anyhow::Result<Frontier> {
    let path = &arguments.links;
    let found = std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?;
    // Identified by size and time, as in make: reading the table for a checksum would take as long as sorting it.
    let time = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let source = format!("{} bytes of {}", found.len(), time.unwrap_or_default().as_nanos());
    if let Some(frontier) = Frontier::open(&arguments.output, &source, settings.max_pages_per_domain)? {
        return Ok(frontier);
    }
    let links = TableReader::<Link>::open(path)?;
    let kept = links.filter(|link| link.as_ref().map_or(true, |link| link.verdict.is_none()));
    Ok(Frontier::build(kept, &arguments.output, &source, settings.max_pages_per_domain, SORT_BYTES)?)
}
