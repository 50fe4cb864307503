//! `webtext fetch --plan`: what a crawl will take, for people or as JSON.

use std::time::Duration;

use console::count;
use fetch::{CrawlPlan, CrawlSettings};
use indicatif::{HumanCount, HumanDuration};

/// Prints a plan.
pub(super) fn print(plan: &CrawlPlan, settings: &CrawlSettings, json: bool) -> anyhow::Result<()> {
    if json {
        console::out!("{}", serde_json::to_string(plan)?)?;
        return Ok(());
    }
    let time = |seconds: u64| HumanDuration(Duration::from_secs(seconds));
    console::out!("{} of {}", count(plan.pages, "page"), count(plan.hosts as u64, "host"))?;
    if plan.over_budget > 0 {
        let are_over_their = if plan.over_budget == 1 { "is over its" } else { "are over their" };
        console::out!("{} {are_over_their} domain's share", count(plan.over_budget, "more link"))?;
    }
    console::out!("at {} ms between two requests to a host, and half a second for an answer:", settings.min_delay_ms)?;
    console::out!("  the longest host takes {}", time(plan.critical_path_s))?;
    let hosts = settings.max_concurrent_hosts as u64;
    let take = if hosts == 1 { "takes" } else { "take" };
    console::out!("  {} at once {take} {} for all", count(hosts, "host"), time(plan.work_s))?;
    for (cap, seconds) in &plan.capped {
        console::out!("  with --max-pages-per-domain {cap} the longest takes at most {}", time(*seconds))?;
    }
    console::out!("\nhosts with the most links:")?;
    for (host, links) in &plan.longest {
        console::out!("  {:>10}  {host}", HumanCount(*links))?;
    }
    Ok(())
}
