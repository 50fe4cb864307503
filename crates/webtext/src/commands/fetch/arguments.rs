//! The flags of `webtext fetch`, and the settings that they give.

use std::path::PathBuf;
use std::time::Duration;

use fetch::{CrawlBudget, CrawlSettings, UsageSignal};

use crate::commands::Usage;

const DEFAULT: CrawlSettings = CrawlSettings::DEFAULT;

/// Where pages come from.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PagesFrom {
    /// The hosts themselves.
    Web,
    /// Captures of Common Crawl.
    CommonCrawl,
}

/// Flags of `webtext fetch`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Table of links, as `webtext links` writes it. Links with a verdict are skipped.
    pub(super) links: PathBuf,
    /// Where pages come from.
    #[arg(long, value_enum, default_value = "web", requires_if("common-crawl", "index"))]
    pub(super) from: PagesFrom,
    /// Folder for WARC files, journals and tables; a second call continues in it.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Mail address or web page where owners of hosts can complain; sent with every request. Not needed for --plan, or
    /// when no server is contacted.
    #[arg(long, value_name = "MAIL")]
    pub(super) contact: Option<String>,
    /// Print hosts, pages and how long it will take, without fetching anything.
    #[arg(long)]
    pub(super) plan: bool,
    /// Threads that send requests. [default: number of cores]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<u32>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    pub(super) shared: SharedLimits,
    /// Stop after this many pages; a later call continues.
    #[arg(long, value_name = "N", help_heading = "Budget")]
    budget_pages: Option<u64>,
    /// Stop after this many bytes of bodies.
    #[arg(long, value_name = "BYTES", help_heading = "Budget")]
    budget_bytes: Option<u64>,
    /// Stop after this many minutes.
    #[arg(long, value_name = "N", help_heading = "Budget")]
    budget_minutes: Option<f64>,
    /// Events as JSON Lines on standard output; the last holds the counts.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten, next_help_heading = "With --from common-crawl")]
    pub(super) common_crawl: crate::commands::common_crawl::Arguments,
}

/// How hosts are treated.
#[derive(clap::Args)]
#[command(next_help_heading = "Politeness")]
struct Pace {
    /// Minimum time between two requests to a host.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.min_delay_ms)]
    min_delay_ms: u64,
    /// Maximum of that time: a longer Crawl-delay or Retry-After counts as this.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.max_delay_ms)]
    max_delay_ms: u64,
    /// Hosts with links in memory at a time.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_concurrent_hosts)]
    max_concurrent_hosts: usize,
    /// Requests in flight to one registrable domain.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_requests_per_domain)]
    max_requests_per_domain: u32,
    /// Requests in flight to one IP address.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_requests_per_address)]
    max_requests_per_address: u32,
    /// Pages of a registrable domain, those with the most karma; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_pages_per_domain)]
    max_pages_per_domain: u64,
    /// Consecutive faults after which a host is given up.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_consecutive_faults)]
    max_consecutive_faults: u32,
    /// Signals against use for training that drop a page: noai, tdm-reservation, content-usage, content-signal; or none.
    #[arg(
        long,
        value_name = "SIGNALS",
        value_delimiter = ',',
        default_value = "noai,tdm-reservation,content-usage,content-signal"
    )]
    honour: Vec<String>,
}

/// Limits on one page.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Time to connect, TLS included.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.connect_timeout_ms)]
    connect_timeout_ms: u64,
    /// Time from the connection to the first byte of the answer.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.first_byte_timeout_ms)]
    first_byte_timeout_ms: u64,
    /// Longest time between two chunks of a body.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.idle_timeout_ms)]
    idle_timeout_ms: u64,
    /// Time for a whole page.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.page_timeout_ms)]
    page_timeout_ms: u64,
    /// Minimum rate of a body after its first ten seconds; a slower one is cut off there.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.min_bytes_per_second)]
    min_bytes_per_second: u64,
    /// Largest body, as sent.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.max_body_bytes)]
    max_body_bytes: u64,
    /// Largest body, decoded.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.max_decoded_bytes)]
    max_decoded_bytes: u64,
    /// Redirects followed for a link.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.max_redirects)]
    max_redirects: usize,
    /// Outcomes of a thread that may wait to become durable. A kill loses at most these and the requests in flight.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.group_pages)]
    group_pages: usize,
    /// Longest time that an outcome waits before it is written.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT.group_ms)]
    group_ms: u64,
}

/// Limits of both sources, with different defaults.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct SharedLimits {
    /// Requests in flight. [default: 512 to the web, 8 to Common Crawl]
    #[arg(long, value_name = "N")]
    pub max_concurrent_requests: Option<usize>,
    /// Requests for a page: the first, and retries after status 429 or 503, a fault or a timeout. [default: 3 to the
    /// web, 11 to Common Crawl]
    #[arg(long, value_name = "N")]
    pub max_tries: Option<u32>,
    /// Size at which a WARC file is complete and the next begins. [default: 1000000000]
    #[arg(long, value_name = "BYTES")]
    pub max_warc_bytes: Option<u64>,
}

impl Arguments {
    /// The settings of a crawl.
    pub(super) fn settings(&self) -> anyhow::Result<CrawlSettings> {
        let (pace, limits, shared) = (&self.pace, &self.limits, &self.shared);
        let chosen = pace.honour.iter().filter(|name| *name != "none");
        let signals: Vec<UsageSignal> = chosen.map(|name| name.parse().map_err(Usage)).collect::<Result<_, _>>()?;
        Ok(CrawlSettings {
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

    /// The budget of this call.
    pub(super) fn budget(&self) -> Result<CrawlBudget, Usage> {
        let time = |minutes: f64| {
            let time = Duration::try_from_secs_f64(minutes * 60.0);
            time.map_err(|error| Usage(format!("--budget-minutes {minutes}: {error}")))
        };
        Ok(CrawlBudget {
            pages: self.budget_pages,
            bytes: self.budget_bytes,
            time: self.budget_minutes.map(time).transpose()?,
        })
    }

    /// The first given flag that has no effect with `--from common-crawl`, which has a pace and limits of its own.
    pub(super) fn flag_for_the_web(&self) -> anyhow::Result<Option<String>> {
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
        let flags = |settings: &CrawlSettings| serde_json::to_value(settings);
        let (defaults, mut found) = (flags(&DEFAULT)?, flags(&self.settings()?)?);
        for name in ["contact", "max_concurrent_requests", "max_tries", "max_warc_bytes"] {
            found[name] = defaults[name].clone();
        }
        let found = found.as_object().into_iter().flatten().find(|(name, value)| defaults[name.as_str()] != **value);
        Ok(found.map(|(name, _)| format!("--{}", name.replace('_', "-"))))
    }
}
