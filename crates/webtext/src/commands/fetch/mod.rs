//! `webtext fetch`: a table of links to a folder of WARC files, from the web or from Common Crawl.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use fetch::{Budget, Ended, FetchError, Fetcher, Frontier, Monitor, Place, Plan, Settings, Signal};
use indicatif::{HumanCount, HumanDuration};
use store::table::{TableReader, TableWriter};
use records::{Counts, Link};

use self::host_report::HostReport;
use self::view::View;
use super::{Usage, allow_many_files, stop_on_ctrl_c};
use crate::Ending;

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
    /// No progress.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten, next_help_heading = "With --from common-crawl")]
    common_crawl: super::common_crawl::Arguments,
}

/// How hosts are treated.
#[derive(clap::Args)]
#[command(next_help_heading = "Politeness")]
struct Pace {
    /// Least time between two requests to a host.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.delay_ms)]
    delay_ms: u64,
    /// Longest Crawl-delay and Retry-After that are waited for.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.delay_max_ms)]
    delay_max_ms: u64,
    /// Hosts under way.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.hosts_at_once)]
    hosts_at_once: usize,
    /// Requests under way.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.requests_at_once)]
    requests_at_once: usize,
    /// Requests under way to one registrable domain.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.requests_a_domain)]
    requests_a_domain: u32,
    /// Requests under way to one address.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.requests_an_address)]
    requests_an_address: u32,
    /// Most pages of a registrable domain, those of the most karma; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.pages_a_domain_max)]
    pages_a_domain_max: u64,
    /// Faults in a row after which the rest of a host is left.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.faults_in_a_row_max)]
    faults_in_a_row_max: u32,
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
    /// Bytes a second below which a body is cut, after its first ten seconds.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.rate_min_bytes)]
    rate_min_bytes: u64,
    /// Largest body, as sent.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.body_max_bytes)]
    body_max_bytes: u64,
    /// Largest body, decoded.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.decoded_max_bytes)]
    decoded_max_bytes: u64,
    /// Most redirects of a page.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.redirects_max)]
    redirects_max: usize,
    /// How often a page is asked for: again after a 429, a 503, a fault or a time-out.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.tries_max)]
    tries_max: u32,
    /// Size at which a WARC file is closed.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.warc_max_bytes)]
    warc_max_bytes: u64,
    /// How many outcomes of a thread may wait to be durable: what a kill loses at most, beside what is under way.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.group_pages)]
    group_pages: usize,
    /// Longest that an outcome waits before it is written.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.group_ms)]
    group_ms: u64,
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Settings> {
        let (pace, limits) = (&self.pace, &self.limits);
        let chosen = pace.honour.iter().filter(|name| *name != "none");
        let signals: Vec<Signal> = chosen.map(|name| name.parse().map_err(Usage)).collect::<Result<_, _>>()?;
        Ok(Settings {
            contact: self.contact.clone().unwrap_or_default(),
            delay_ms: pace.delay_ms,
            delay_max_ms: pace.delay_max_ms,
            hosts_at_once: pace.hosts_at_once,
            requests_at_once: pace.requests_at_once,
            requests_a_domain: pace.requests_a_domain,
            requests_an_address: pace.requests_an_address,
            connect_timeout_ms: limits.connect_timeout_ms,
            first_byte_timeout_ms: limits.first_byte_timeout_ms,
            idle_timeout_ms: limits.idle_timeout_ms,
            page_timeout_ms: limits.page_timeout_ms,
            rate_min_bytes: limits.rate_min_bytes,
            body_max_bytes: limits.body_max_bytes,
            decoded_max_bytes: limits.decoded_max_bytes,
            redirects_max: limits.redirects_max,
            tries_max: limits.tries_max,
            faults_in_a_row_max: pace.faults_in_a_row_max,
            pages_a_domain_max: pace.pages_a_domain_max,
            honour: signals.into(),
            warc_max_bytes: limits.warc_max_bytes,
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
        found["contact"] = defaults["contact"].clone();
        let found = found.as_object().into_iter().flatten().find(|(name, value)| defaults[name.as_str()] != **value);
        Ok(found.map(|(name, _)| format!("--{}", name.replace('_', "-"))))
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    if arguments.from == From::CommonCrawl {
        if let Some(flag) = arguments.flag_for_the_web()? {
            return Err(Usage(format!("{flag} does nothing with --from common-crawl")).into());
        }
        let _lock = lock(&arguments.output)?;
        let (links, folder, contact) = (&arguments.links, &arguments.output, arguments.contact.as_deref());
        let print = super::common_crawl::Print { plan: arguments.plan, json: arguments.json, quiet: arguments.quiet };
        return super::common_crawl::run(&arguments.common_crawl, links, folder, contact, print);
    }
    // What cannot be meant is said before the links are sorted, which may take minutes.
    let (settings, budget) = (arguments.settings()?, arguments.budget()?);
    if arguments.plan {
        let _lock = lock(&arguments.output)?;
        let frontier = frontier(arguments, &settings)?;
        print_plan(&fetch::plan(&frontier, &settings)?, &settings, arguments.json)?;
        return Ok(Ending::Complete);
    }
    let fetcher = Fetcher::new(settings).map_err(in_words)?;
    let _lock = lock(&arguments.output)?;
    let frontier = frontier(arguments, fetcher.settings())?;
    allow_many_files();
    let stop = stop_on_ctrl_c()?;
    let place = Place::folder(&arguments.output);
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32));
    let monitor = Monitor::default();
    let view = View::new(arguments.json, arguments.quiet);
    let ended = std::thread::scope(|scope| {
        let fetching =
            scope.spawn(|| fetcher.run(&frontier, &place, threads, budget, &monitor, &|| stop.load(Ordering::Relaxed)));
        view.watch(&monitor, &|| fetching.is_finished());
        fetching.join().expect("the fetcher does not panic")
    });
    let ended = ended.map_err(in_words)?;
    let left = frontier.links() - monitor.snapshot().done;
    if ended == Ended::Complete {
        let counts = write_tables(&frontier, &place, &arguments.output)?;
        view.finished(&counts, 0)?;
        return Ok(Ending::Complete);
    }
    let now = monitor.snapshot();
    let counts = Counts { read: now.pages + now.dropped.values().sum::<u64>(), kept: now.pages, dropped: now.dropped };
    // A report that cannot be written is no reason to call the fetch failed.
    if let Err(error) = write_hosts(&frontier, &place, &arguments.output) {
        eprintln!("note: no hosts.tsv: {error:#}");
    }
    view.finished(&counts, left)?;
    if !arguments.quiet {
        eprintln!("{left} links are left; run the same command again to go on");
    }
    if ended == Ended::Stopped { Err(pipeline::Interrupted.into()) } else { Ok(Ending::Complete) }
}

/// Gives errors the form by which the binary chooses its exit code, and their hint.
fn in_words(error: FetchError) -> anyhow::Error {
    let hint = error.hint().map_or(String::new(), |hint| format!("\n\nhint: {hint}"));
    match error {
        FetchError::Settings(_) | FetchError::OtherSettings { .. } => Usage(format!("{error}{hint}")).into(),
        // The binary finds the hints of the store's errors by itself.
        FetchError::Store(error) => error.into(),
        error => anyhow::anyhow!("{:#}{hint}", anyhow::Error::from(error)),
    }
}

/// Takes the folder for this process, and removes what a killed one was still writing. It is free again when the
/// file is closed, however the process ends.
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
    // The folders in it may be those of others.
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
    if let Some(frontier) = Frontier::open(&arguments.output, &source, settings.pages_a_domain_max)? {
        return Ok(frontier);
    }
    let links = TableReader::<Link>::open(path)?;
    let kept = links.filter(|link| link.as_ref().map_or(true, |link| link.verdict.is_none()));
    Ok(Frontier::build(kept, &arguments.output, &source, settings.pages_a_domain_max, SORT_BYTES)?)
}

/// `outcomes.parquet` and `hosts.tsv`; the counts of both.
fn write_tables(frontier: &Frontier, place: &Place, folder: &Path) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut table = TableWriter::create(&folder.join("outcomes.parquet"))?;
    let mut hosts = HostReport::create(&folder.join("hosts.tsv"))?;
    for outcome in fetch::outcomes(frontier, place, SORT_BYTES).map_err(in_words)? {
        let outcome = outcome.map_err(in_words)?;
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
    let (_, outcomes) = fetch::outcomes_so_far(frontier, place, SORT_BYTES).map_err(in_words)?;
    for outcome in outcomes {
        hosts.push(&outcome.map_err(in_words)?)?;
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
    println!("at {} ms between two requests to a host, and half a second for an answer:", settings.delay_ms);
    println!("  the longest host takes {}", time(plan.critical_path_s));
    println!("  {} hosts at once take {} for all", HumanCount(settings.hosts_at_once as u64), time(plan.work_s));
    for (cap, seconds) in &plan.capped {
        println!("  with --pages-a-domain-max {cap} the longest takes at most {}", time(*seconds));
    }
    println!("\nhosts with the most links:");
    for (host, links) in &plan.longest {
        println!("  {:>10}  {host}", HumanCount(*links));
    }
    Ok(())
}
