//! What a list of links takes, before anything is sent.

use std::time::Duration;

use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::settings::Settings;

/// What an answer takes on top of the pause, roughly; hosts differ by a factor of ten.
const ANSWER: Duration = Duration::from_millis(500);
/// Hosts that are named.
const LONGEST: usize = 10;

/// What a list of links takes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Plan {
    /// Links that would be asked for.
    pub pages: u64,
    /// Links over their domain's share.
    pub over_budget: u64,
    /// Hosts.
    pub hosts: usize,
    /// The hosts with the most links that would be asked for, and how many each has.
    pub longest: Vec<(String, u64)>,
    /// The critical path in seconds: the host with the most links, one request after another.
    pub critical_path_s: u64,
    /// How long all links take with this many concurrent hosts, if none were longer than the others.
    pub work_s: u64,
    /// The critical path if no host had more than so many pages.
    pub capped: Vec<(u64, u64)>,
}

/// Estimates what fetching a list takes under these settings. Reads the list once.
pub fn plan(frontier: &Frontier, settings: &Settings) -> Result<Plan, FetchError> {
    let a_page_s = (settings.min_delay() + ANSWER).as_secs_f64();
    // robots.txt is one request more.
    let path_s = |links: u64| ((links + 1) as f64 * a_page_s).ceil() as u64;
    let mut longest = Longest::default();
    let (mut pages, mut over_budget) = (0, 0);
    // Rows lie host by host.
    for row in frontier.rows() {
        let (_, row) = row?;
        over_budget += u64::from(row.is_over);
        if !row.is_over {
            pages += 1;
            longest.count(row.host);
        }
    }
    let longest = longest.finish();
    let max_links = longest.first().map_or(0, |(_, links)| *links);
    let requests = pages + frontier.hosts() as u64;
    let concurrent_hosts = settings.max_concurrent_hosts.min(frontier.hosts().max(1)) as f64;
    Ok(Plan {
        pages,
        over_budget,
        hosts: frontier.hosts(),
        critical_path_s: path_s(max_links),
        work_s: (requests as f64 * a_page_s / concurrent_hosts).ceil() as u64,
        capped: [100_000, 10_000, 1_000, 100]
            .into_iter()
            .filter(|&cap| cap < max_links)
            .map(|cap| (cap, path_s(cap)))
            .collect(),
        longest,
    })
}

/// The hosts with the most pages, of hosts that come one after the other.
#[derive(Default)]
struct Longest {
    host: String,
    pages: u64,
    found: Vec<(String, u64)>,
}

impl Longest {
    fn count(&mut self, host: String) {
        if host != self.host {
            self.end_host();
            self.host = host;
        }
        self.pages += 1;
    }

    fn end_host(&mut self) {
        let (host, pages) = (std::mem::take(&mut self.host), std::mem::take(&mut self.pages));
        let is_among = self.found.len() < LONGEST || self.found.last().is_some_and(|(_, least)| pages > *least);
        if pages > 0 && is_among {
            self.found.push((host, pages));
            self.found.sort_by_key(|(_, pages)| std::cmp::Reverse(*pages));
            self.found.truncate(LONGEST);
        }
    }

    fn finish(mut self) -> Vec<(String, u64)> {
        self.end_host();
        self.found
    }
}
