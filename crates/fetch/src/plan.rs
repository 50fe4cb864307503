//! Estimates of what crawling a list will take, before any request.

use std::cmp::Reverse;
use std::time::Duration;

use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::settings::CrawlSettings;

/// Assumed time of an answer, on top of the pause. A rough mean: hosts differ by a factor of ten.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// Hosts that are listed by name.
const MAX_LISTED_HOSTS: usize = 10;
/// Values of `max_pages_per_domain` whose effect is shown.
const CAPS: [u64; 4] = [100_000, 10_000, 1_000, 100];

/// What crawling a list will take.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CrawlPlan {
    /// Links to request.
    pub pages: u64,
    /// Links beyond `max_pages_per_domain`, which are not requested.
    pub over_budget: u64,
    /// Hosts.
    pub hosts: usize,
    /// The ten hosts with the most links to request, and how many each has.
    pub longest: Vec<(String, u64)>,
    /// Seconds for the host with the most links, one request after another: no crawl is faster.
    pub critical_path_s: u64,
    /// Seconds for all links at `max_concurrent_hosts`, if every host had equally many.
    pub work_s: u64,
    /// Pairs of a cap on pages per host and `critical_path_s` under it.
    pub capped: Vec<(u64, u64)>,
}

/// Estimates what crawling a list takes under these settings. Reads the list once, O(n).
///
/// # Errors
/// When the frontier cannot be read.
pub fn plan(frontier: &Frontier, settings: &CrawlSettings) -> Result<CrawlPlan, FetchError> {
    let seconds_per_page = (settings.min_delay() + ANSWER_TIME).as_secs_f64();
    // robots.txt is one request more.
    let path_s = |links: u64| ((links + 1) as f64 * seconds_per_page).ceil() as u64;
    let mut longest = LongestHosts::default();
    let (mut pages, mut over_budget) = (0, 0);
    // Rows are sorted by host.
    for row in frontier.rows() {
        let (_, row) = row?;
        if row.is_over {
            over_budget += 1;
        } else {
            pages += 1;
            longest.count(row.host);
        }
    }
    let longest = longest.finish();
    let max_links = longest.first().map_or(0, |(_, links)| *links);
    let requests = pages + frontier.hosts() as u64;
    let concurrent_hosts = settings.max_concurrent_hosts.min(frontier.hosts().max(1)) as f64;
    Ok(CrawlPlan {
        pages,
        over_budget,
        hosts: frontier.hosts(),
        critical_path_s: path_s(max_links),
        work_s: (requests as f64 * seconds_per_page / concurrent_hosts).ceil() as u64,
        capped: CAPS.into_iter().filter(|&cap| cap < max_links).map(|cap| (cap, path_s(cap))).collect(),
        longest,
    })
}

/// Finds the hosts with the most pages in a list sorted by host.
#[derive(Default)]
struct LongestHosts {
    host: String,
    pages: u64,
    found: Vec<(String, u64)>,
}

impl LongestHosts {
    fn count(&mut self, host: String) {
        if host != self.host {
            self.end_host();
            self.host = host;
        }
        self.pages += 1;
    }

    fn end_host(&mut self) {
        let (host, pages) = (std::mem::take(&mut self.host), std::mem::take(&mut self.pages));
        let is_long = self.found.len() < MAX_LISTED_HOSTS || self.found.last().is_some_and(|(_, least)| pages > *least);
        if pages > 0 && is_long {
            self.found.push((host, pages));
            self.found.sort_by_key(|(_, pages)| Reverse(*pages));
            self.found.truncate(MAX_LISTED_HOSTS);
        }
    }

    fn finish(mut self) -> Vec<(String, u64)> {
        self.end_host();
        self.found
    }
}
