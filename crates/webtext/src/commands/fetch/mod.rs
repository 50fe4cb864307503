//! `webtext fetch`: a table of links to a folder of WARC files, from the web or from Common Crawl.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use console::Exit;
use fetch::{Budget, Ended, Fetcher, Frontier, Monitor, Place, Plan, Settings, Signal};
use indicatif::{HumanCount, HumanDuration};
use records::{Counts, Link};
use store::table::{TableReader, TableWriter};

use self::host_report::HostReport;
use self::view::View;
use super::{Usage, allow_many_files, stop_on_ctrl_c};

mod host_report;
mod view;

/// Memory of the sorts before and after.
const SORT_BYTES: usize = 512 << 20;
const DEFAULT: Settings = Settings::DEFAULT;

/// Where pages come from.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// The hosts themselves.
    Web,
    /// Captures of Common Crawl.
    CommonCrawl,
}

/// Flags of `webtext fetch`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Table of links, as `webtext links` writes it; kept ones are fetched.
    links: PathBuf,
    /// Where pages come from.
    #[arg(long, value_enum, default_value = "web", requires_if("common-crawl", "index"))]
    from: From,
    /// Folder for WARC files, journals and tables; a second call goes on with it.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Mail address or page where the owner of a host can complain; sent with every request. Only what asks nobody
    /// goes without.
    #[arg(long, value_name = "MAIL")]
    contact: Option<String>,
    /// Print hosts, pages and how long it will take, and send nothing.
    #[arg(long)]
    plan: bool,
    /// Threads that ask; one core each when there is enough to ask for. All cores by default.
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    shared: SharedLimits,
    /// Stop after so many pages; a later call goes on.
    #[arg(long, value_name = "N", help_heading = "Budget")]
    budget_pages: Option<u64>,
    /// Stop after so many bytes of bodies.
    #[arg(long, value_name = "BYTES", help_heading = "Budget")]
    budget_bytes: Option<u64>,
    /// Stop after so many minutes.
    #[arg(long, value_name = "N", help_heading = "Budget")]
    budget_minutes: Option<f64>,
    /// Events as JSON Lines on standard output; the last holds the counts.
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "With --from common-crawl")]
    common_crawl: super::common_crawl::Arguments,
}

/// How hosts are treated.
#[derive(clap::Args)]
#[command(next_help_heading = "Politeness")]
struct Pace {
    /// Least time between two requests to a host.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.min_delay_ms)]
    min_delay_ms: u64,
    /// Longest Crawl-delay and Retry-After that are waited for.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.max_delay_ms)]
    max_delay_ms: u64,
    /// Hosts under way.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_concurrent_hosts)]
    max_concurrent_hosts: usize,
    /// Requests under way to one registrable domain.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_requests_per_domain)]
    max_requests_per_domain: u32,
    /// Requests under way to one address.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_requests_per_address)]
    max_requests_per_address: u32,
    /// Pages of a registrable domain, those of the most karma; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_pages_per_domain)]
    max_pages_per_domain: u64,
    /// Faults in a row after which the rest of a host is left.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_consecutive_faults)]
    max_consecutive_faults: u32,
    /// Signals against use for training that are honoured: noai, tdm-reservation, content-usage, content-signal; or none.
    #[arg(
        long,
        value_name = "SIGNALS",
        value_delimiter = ',',
        default_value = "noai,tdm-reservation,content-usage,content-signal"
    )]
    honour: Vec<String>,
}

/// What a page may take.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Time for a connection, TLS included.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.connect_timeout_ms)]
    connect_timeout_ms: u64,
    /// Time from the connection to an answer's first byte.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.first_byte_timeout_ms)]
    first_byte_timeout_ms: u64,
    /// Longest silence in the middle of a body.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.idle_timeout_ms)]
    idle_timeout_ms: u64,
    /// Time for a whole page.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.page_timeout_ms)]
    page_timeout_ms: u64,
    /// A body that comes slower than this after its first ten seconds is cut.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.min_bytes_per_second)]
    min_bytes_per_second: u64,
    /// Largest body, as sent.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.max_body_bytes)]
    max_body_bytes: u64,
    /// Largest body, decoded.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.max_decoded_bytes)]
    max_decoded_bytes: u64,
    /// Redirects that are followed to a page.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_redirects)]
    max_redirects: usize,
    /// How many outcomes of a thread may wait to be durable: what a kill loses at most, beside what is under way.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.group_pages)]
    group_pages: usize,
    /// Longest that an outcome waits before it is written.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.group_ms)]
    group_ms: u64,
}

/// Limits of both sources, each of which has defaults of its own.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct SharedLimits {
    /// Requests under way. [default: 512 to the web, 8 to Common Crawl]
    #[arg(long, value_name = "N")]
    pub max_concurrent_requests: Option<usize>,
    /// How often a page is asked for: again after a 429, a 503, a fault or a time-out. [default: 3 from the web, 11
    /// from Common Crawl]
    #[arg(long, value_name = "N")]
    pub max_tries: Option<u32>,
    /// Size at which a WARC file is sealed. [default: 1000000000]
    #[arg(long, value_name = "BYTES")]
    pub max_warc_bytes: Option<u64>,
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Settings> {
        let (pace, limits, shared) = (&self.pace, &self.limits, &self.shared);
        let chosen = pace.honour.iter().filter(|name| *name != "none");
        let signals: Vec<Signal> = chosen.map(|name| name.parse().map_err(Usage)).collect::<Result<_, _>>()?;
        Ok(Settings {
            contact: self.contact.clone().unwrap_or_default(),
            min_delay_ms: pace.min_delay_ms,
            max_delay_ms: pace.max_delay_ms,
            max_concurrent_hosts: pace.max_concurrent_hosts,
            max_concurrent_requests: shared.max_concurrent_requests.unwrap_or(DEFAULT.max_concurrent_requests),
            max_requests_per_domain: pace.max_requests_per_domain,
            max_requests_per_address: pace.max_requests_per_address,
            connect_timeout_ms: limits.connect_timeout_ms,
            first_byte_timeout_ms: limits.first_byte_timeout_ms,
            idle_timeout_ms: limits.idle_timeout_ms,
            page_timeout_ms: limits.page_timeout_ms,
            min_bytes_per_second: limits.min_bytes_per_second,
            max_body_bytes: limits.max_body_bytes,
            max_decoded_bytes: limits.max_decoded_bytes,
            max_redirects: limits.max_redirects,
            max_tries: shared.max_tries.unwrap_or(DEFAULT.max_tries),
            max_consecutive_faults: pace.max_consecutive_faults,
            max_pages_per_domain: pace.max_pages_per_domain,
            honour: signals.into(),
            max_warc_bytes: shared.max_warc_bytes.unwrap_or(DEFAULT.max_warc_bytes),
            group_pages: limits.group_pages,
            group_ms: limits.group_ms,
        })
    }

    fn budget(&self) -> Result<Budget, Usage> {
        let time = |minutes: f64| {
            let time = Duration::try_from_secs_f64(minutes * 60.0);
            time.map_err(|error| Usage(format!("--budget-minutes {minutes}: {error}")))
        };
        Ok(Budget {
            pages: self.budget_pages,
            bytes: self.budget_bytes,
            time: self.budget_minutes.map(time).transpose()?,
        })
    }

    /// The first flag that was given and means nothing for captures of Common Crawl: its pace is its own, and what
    /// it copies was fetched under other limits.
    fn flag_for_the_web(&self) -> anyhow::Result<Option<String>> {
        let given = [
            ("--threads", self.threads.is_some()),
            ("--budget-pages", self.budget_pages.is_some()),
            ("--budget-bytes", self.budget_bytes.is_some()),
            ("--budget-minutes", self.budget_minutes.is_some()),
        ];
        if let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            return Ok(Some(flag.to_owned()));
        }
        // Each of the settings has a flag of its name.
        let flags = |settings: &Settings| serde_json::to_value(settings);
        let (defaults, mut found) = (flags(&DEFAULT)?, flags(&self.settings()?)?);
        for name in ["contact", "max_concurrent_requests", "max_tries", "max_warc_bytes"] {
            found[name] = defaults[name].clone();
        }
        let found = found.as_object().into_iter().flatten().find(|(name, value)| defaults[name.as_str()] != **value);
        Ok(found.map(|(name, _)| format!("--{}", name.replace('_', "-"))))
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.from == From::CommonCrawl {
        if let Some(flag) = arguments.flag_for_the_web()? {
            return Err(Usage(format!("{flag} does nothing with --from common-crawl")).into());
        }
        let _lock = lock(&arguments.output)?;
        let (links, folder, contact) = (&arguments.links, &arguments.output, arguments.contact.as_deref());
        let print =
            super::common_crawl::Print { plan: arguments.plan, json: arguments.json, quiet: console::is_quiet() };
        let (own, shared) = (&arguments.common_crawl, &arguments.shared);
        return super::common_crawl::run(own, shared, links, folder, contact, print);
    }
    // Settings that cannot be meant are refused before the links are sorted, which may take minutes.
    let (settings, budget) = (arguments.settings()?, arguments.budget()?);
    if arguments.plan {
        let _lock = lock(&arguments.output)?;
        let frontier = frontier(arguments, &settings)?;
        print_plan(&fetch::plan(&frontier, &settings)?, &settings, arguments.json)?;
        return Ok(Exit::Complete);
    }
    let fetcher = Fetcher::new(settings)?;
    let _lock = lock(&arguments.output)?;
    let frontier = frontier(arguments, fetcher.settings())?;
    allow_many_files();
    let stop = stop_on_ctrl_c()?;
    let place = Place::folder(&arguments.output);
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32));
    let monitor = Monitor::default();
    let view = View::new(arguments.json, console::is_quiet());
    let ended = std::thread::scope(|scope| {
        let fetching =
            scope.spawn(|| fetcher.run(&frontier, &place, threads, budget, &monitor, &|| stop.load(Ordering::Relaxed)));
        view.watch(&monitor, &|| fetching.is_finished());
        fetching.join().expect("the fetcher does not panic")
    });
    let ended = ended?;
    let left = frontier.links() - monitor.snapshot().done;
    if ended == Ended::Complete {
        let counts = write_tables(&frontier, &place, &arguments.output)?;
        view.finished(&counts, 0)?;
        return Ok(Exit::Complete);
    }
    let now = monitor.snapshot();
    let counts = Counts { read: now.pages + now.dropped.values().sum::<u64>(), kept: now.pages, dropped: now.dropped };
    // A report that cannot be written is no reason to call the fetch failed.
    if let Err(error) = write_hosts(&frontier, &place, &arguments.output) {
        tracing::warn!("no hosts.tsv: {error:#}");
    }
    view.finished(&counts, left)?;
    if !console::is_quiet() {
        eprintln!("{left} links are left; run the same command again to go on");
    }
    if ended == Ended::Stopped { Err(pipeline::Error::Interrupted.into()) } else { Ok(Exit::Complete) }
}

/// Locks the folder for this process, and removes what a killed one was still writing. The lock ends with the file,
/// however the process ends.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let cannot = |what: &str| format!("cannot {what} {}", path.display());
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let file = File::create(&path).with_context(|| cannot("create"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another webtext works in {}\n\nhint: wait for it, or choose another folder",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| cannot("lock")),
    }
    // Other processes may work in the folders below.
    atomic_file::sweep_here(folder)?;
    Ok(file)
}

/// The list of links by host, as it was made before or is made now.
fn frontier(arguments: &Arguments, settings: &Settings) -> anyhow::Result<Frontier> {
    let path = &arguments.links;
    let found = std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?;
    // Size and time, as make does it: to read the table for a checksum takes as long as to sort it.
    let time = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let source = format!("{} bytes of {}", found.len(), time.unwrap_or_default().as_nanos());
    if let Some(frontier) = Frontier::open(&arguments.output, &source, settings.max_pages_per_domain)? {
        return Ok(frontier);
    }
    let links = TableReader::<Link>::open(path)?;
    let kept = links.filter(|link| link.as_ref().map_or(true, |link| link.verdict.is_none()));
    Ok(Frontier::build(kept, &arguments.output, &source, settings.max_pages_per_domain, SORT_BYTES)?)
}

/// `outcomes.parquet` and `hosts.tsv`; the counts of both.
fn write_tables(frontier: &Frontier, place: &Place, folder: &Path) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut table = TableWriter::create(&folder.join("outcomes.parquet"))?;
    let mut hosts = HostReport::create(&folder.join("hosts.tsv"))?;
    for outcome in fetch::outcomes(frontier, place, SORT_BYTES)? {
        let outcome = outcome?;
        counts.record(outcome.verdict);
        hosts.push(&outcome)?;
        table.push(outcome)?;
    }
    table.finish()?;
    hosts.finish()?;
    Ok(counts)
}

/// `hosts.tsv` of a fetch that was stopped: what became of links so far.
fn write_hosts(frontier: &Frontier, place: &Place, folder: &Path) -> anyhow::Result<()> {
    let mut hosts = HostReport::create(&folder.join("hosts.tsv"))?;
    let (_, outcomes) = fetch::outcomes_so_far(frontier, place, SORT_BYTES)?;
    for outcome in outcomes {
        hosts.push(&outcome?)?;
    }
    hosts.finish()
}

fn print_plan(plan: &Plan, settings: &Settings, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(plan)?);
        return Ok(());
    }
    let time = |seconds: u64| HumanDuration(Duration::from_secs(seconds));
    println!("{} pages of {} hosts", HumanCount(plan.pages), HumanCount(plan.hosts as u64));
    if plan.over_budget > 0 {
        println!("{} more links are over their domain's share", HumanCount(plan.over_budget));
    }
    println!("at {} ms between two requests to a host, and half a second for an answer:", settings.min_delay_ms);
    println!("  the longest host takes {}", time(plan.critical_path_s));
    println!("  {} hosts at once take {} for all", HumanCount(settings.max_concurrent_hosts as u64), time(plan.work_s));
    for (cap, seconds) in &plan.capped {
        println!("  with --max-pages-per-domain {cap} the longest takes at most {}", time(*seconds));
    }
    println!("\nhosts with the most links:");
    for (host, links) in &plan.longest {
        println!("  {:>10}  {host}", HumanCount(*links));
    }
    Ok(())
}
