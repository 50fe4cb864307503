//! `webtext fetch --plan`: what a crawl will take, for people or as JSON.

use std::time::Duration;

use fetch::{CrawlPlan, CrawlSettings};
use indicatif::{HumanCount, HumanDuration};

/// Prints a plan.
pub(super) fn print(plan: &CrawlPlan, settings: &CrawlSettings, json: bool) -> anyhow::Result<()> {
    if json {
        console::out!("{}", serde_json::to_string(plan)?)?;
        return Ok(());
    }
    let time = |seconds: u64| HumanDuration(Duration::from_secs(seconds));
    console::out!("{} pages of {} hosts", HumanCount(plan.pages), HumanCount(plan.hosts as u64))?;
    if plan.over_budget > 0 {
        console::out!("{} more links are over their domain's share", HumanCount(plan.over_budget))?;
    }
    console::out!("at {} ms between two requests to a host, and half a second for an answer:", settings.min_delay_ms)?;
    console::out!("  the longest host takes {}", time(plan.critical_path_s))?;
    console::out!(
        "  {} hosts at once take {} for all",
        HumanCount(settings.max_concurrent_hosts as u64),
        time(plan.work_s)
    )?;
    for (cap, seconds) in &plan.capped {
        console::out!("  with --max-pages-per-domain {cap} the longest takes at most {}", time(*seconds))?;
    }
    console::out!("\nhosts with the most links:")?;
    for (host, links) in &plan.longest {
        console::out!("  {:>10}  {host}", HumanCount(*links))?;
    }
    Ok(())
}
