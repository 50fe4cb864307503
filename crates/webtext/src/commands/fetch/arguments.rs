//! The flags of `webtext fetch`, and the settings that they give.

use std::path::PathBuf;
use std::time::Duration;

use fetch::{CrawlBudget, CrawlSettings};

use crate::commands::Usage;

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
    /// Print the number of hosts and pages and the estimated time, and send no request.
    #[arg(long)]
    pub(super) plan: bool,
    /// Threads that send requests. [default: number of cores]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<u32>,
    #[command(flatten)]
    crawl: CrawlSettings,
    #[command(flatten)]
    pub(super) shared: SharedLimits,
    /// Stop after this many pages; a later call continues.
    #[arg(long, value_name = "N", help_heading = "Budget")]
    budget_pages: Option<u64>,
    /// Stop after this many bytes of bodies; a later call continues.
    #[arg(long, value_name = "BYTES", help_heading = "Budget")]
    budget_bytes: Option<u64>,
    /// Stop after this many minutes; a later call continues.
    #[arg(long, value_name = "N", help_heading = "Budget")]
    budget_minutes: Option<f64>,
    /// Events as JSON Lines on standard output; the last holds the counts.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten, next_help_heading = "With --from common-crawl")]
    pub(super) common_crawl: common_crawl::CommonCrawlSettings,
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
    pub(super) fn settings(&self) -> CrawlSettings {
        let (mut settings, shared) = (self.crawl.clone(), &self.shared);
        settings.contact = self.contact.clone().unwrap_or_default();
        settings.max_concurrent_requests = shared.max_concurrent_requests.unwrap_or(settings.max_concurrent_requests);
        settings.max_tries = shared.max_tries.unwrap_or(settings.max_tries);
        settings.max_warc_bytes = shared.max_warc_bytes.unwrap_or(settings.max_warc_bytes);
        settings
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
        let (defaults, found) = (flags(&CrawlSettings::DEFAULT)?, flags(&self.crawl)?);
        let found = found.as_object().into_iter().flatten().find(|(name, value)| defaults[name.as_str()] != **value);
        Ok(found.map(|(name, _)| format!("--{}", name.replace('_', "-"))))
    }
}

#[cfg(test)]
mod tests {
    use common_crawl::CommonCrawlSettings;

    use super::*;
    use crate::commands::stated_default;

    fn of_both<T: std::fmt::Display + PartialEq>(web: T, copied: T) -> String {
        if web == copied { web.to_string() } else { format!("{web} to the web, {copied} to Common Crawl") }
    }

    #[test]
    fn the_help_states_the_defaults() {
        let (web, copied) = (CrawlSettings::DEFAULT, CommonCrawlSettings::default());
        let expected = [
            ("max_concurrent_requests", of_both(web.max_concurrent_requests, copied.max_concurrent_requests)),
            ("max_tries", of_both(web.max_tries, copied.max_tries)),
            ("max_warc_bytes", of_both(web.max_warc_bytes, copied.max_warc_bytes)),
        ];
        for (flag, default) in expected {
            assert_eq!(stated_default::<SharedLimits>(flag), default, "{flag}");
        }
    }
}
