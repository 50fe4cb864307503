//! The progress of a crawl: a live view on a terminal, plain lines elsewhere, events with `--json`.

use std::time::{Duration, Instant};

use fetch::{CrawlSnapshot, Monitor};
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar};
use records::{Counts, Reason};
use serde_json::json;

/// Time between two updates of the live view, and between two plain lines.
const VIEW_INTERVAL: Duration = Duration::from_millis(500);
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// Shows the progress of a crawl.
pub(super) struct View {
    bar: ProgressBar,
    json: bool,
    started: Instant,
}

impl View {
    pub(super) fn new(json: bool) -> View {
        View { bar: console::message_bar(), json, started: Instant::now() }
    }

    /// Shows the counters until the crawl is over.
    pub(super) fn watch(&self, monitor: &Monitor, is_over: &dyn Fn() -> bool) {
        let (mut last_line, mut before) = (Instant::now(), None);
        while !is_over() {
            std::thread::sleep(VIEW_INTERVAL);
            let now = monitor.snapshot();
            let (done_before, pages_before, at) = *before.get_or_insert((now.done, now.pages, Instant::now()));
            let rate = (now.pages - pages_before) as f64 / at.elapsed().as_secs_f64().max(0.001);
            let left = now.time_left(done_before, at.elapsed());
            if !self.bar.is_hidden() {
                self.bar.set_message(live_view(&now, rate, left));
                self.bar.tick();
            }
            if last_line.elapsed() >= LINE_INTERVAL {
                last_line = Instant::now();
                if self.json {
                    let seconds = self.started.elapsed().as_secs();
                    // The crawl goes on when nobody can read of it; the last line then fails the command.
                    let _ = console::out!("{}", json!({"event": "progress", "seconds": seconds, "now": now}));
                } else if self.bar.is_hidden() {
                    tracing::info!("{}", plain_line(&now, rate, left));
                }
            }
        }
        self.bar.finish_and_clear();
    }

    pub(super) fn finished(&self, counts: &Counts, left: u64) -> anyhow::Result<()> {
        if self.json {
            console::out!("{}", json!({"event": "finished", "counts": counts, "left": left}))?;
            return Ok(());
        }
        crate::commands::print_counts(counts, false)
    }
}

fn plain_line(now: &CrawlSnapshot, rate: f64, left: Option<Duration>) -> String {
    let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
    format!(
        "{} of {} links done, {} pages ({rate:.1}/s, {}), {} hosts under way{left}",
        HumanCount(now.done),
        HumanCount(now.links),
        HumanCount(now.pages),
        HumanBytes(now.bytes),
        now.hosts
    )
}

/// The live view: a line of progress, a line of requests or the reason of a pause, a line of drops.
fn live_view(now: &CrawlSnapshot, rate: f64, left: Option<Duration>) -> String {
    let mut lines = vec![plain_line(now, rate, left)];
    lines.push(match &now.paused {
        Some(why) => format!("paused: {why}"),
        None => format!("{} requests under way, {} sent", now.under_way, HumanCount(now.requests)),
    });
    let mut dropped: Vec<(&Reason, &u64)> = now.dropped.iter().collect();
    dropped.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let dropped: Vec<String> =
        dropped.iter().take(6).map(|(reason, n)| format!("{} {reason}", HumanCount(**n))).collect();
    if !dropped.is_empty() {
        lines.push(format!("dropped: {}", dropped.join(", ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_shows_pace_queue_and_drops_by_number() {
        let mut now = CrawlSnapshot::default();
        (now.links, now.done, now.pages, now.bytes) = (50_000, 12_000, 11_000, 3 << 30);
        (now.requests, now.hosts, now.under_way) = (14_321, 812, 64);
        now.dropped = [(Reason::HttpStatus, 1_700), (Reason::TimedOut, 2), (Reason::RobotsDisallowed, 298)].into();
        let left = now.time_left(2_000, Duration::from_secs(60));
        assert_eq!(
            live_view(&now, 183.34, left),
            "12,000 of 50,000 links done, 11,000 pages (183.3/s, 3.00 GiB), 812 hosts under way, 4 minutes left\n\
             64 requests under way, 14,321 sent\n\
             dropped: 1,700 http_status, 298 robots_disallowed, 2 timed_out"
        );

        // The reason of a pause replaces the requests; what is unknown is left out.
        now.paused = Some("there is no room in out".into());
        now.dropped.clear();
        let left = now.time_left(now.done, Duration::from_secs(60));
        assert_eq!(
            live_view(&now, 0.0, left),
            "12,000 of 50,000 links done, 11,000 pages (0.0/s, 3.00 GiB), 812 hosts under way\n\
             paused: there is no room in out"
        );
    }
}
