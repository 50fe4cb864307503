//! Events to standard error, as a person reads them.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{TASK_LOG, TaskLogs, progress};

/// Holds a filter as `tracing-subscriber` reads it: `debug`, or `fetch=trace,store=debug`.
const VARIABLE: &str = "WEBTEXT_LOG";

/// Crates whose events follow `-v`; those of other crates are shown from warnings on.
#[rustfmt::skip]
const OUR_CRATES: &[&str] = &[
    "atomic_file", "bpe", "common_crawl", "console", "dedup", "extract", "fasttext", "fetch", "filter", "gpt2", "gpt2_lab",
    "links", "pipeline", "public_suffix", "python", "records", "shard", "store", "texts", "user_error", "warc", "webtext", "words",
];

/// How much is printed on standard error.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Verbosity {
    /// More messages on standard error; twice for all. WEBTEXT_LOG=fetch=trace,store=debug sets the level of each
    /// crate.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = 998)]
    verbose: u8,
    /// Only warnings and errors on standard error; no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 998)]
    pub quiet: bool,
}

impl Verbosity {
    fn level(self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => LevelFilter::INFO,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }

    fn filter(self) -> Targets {
        let of_variable = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<Targets>().ok());
        let of_flags = || {
            let ours = OUR_CRATES.iter().map(|name| (*name, self.level()));
            Targets::new().with_default(LevelFilter::WARN).with_targets(ours)
        };
        of_variable.unwrap_or_else(of_flags).with_target(TASK_LOG, LevelFilter::OFF)
    }
}

/// From now on events go to standard error, and those of tasks to `task_logs`. Call it once, before the first event.
pub fn start_logging(verbosity: Verbosity, task_logs: Option<TaskLogs>) {
    progress::set_quiet(verbosity.quiet);
    let terminal = tracing_subscriber::fmt::layer().event_format(Plain).with_writer(AboveTheBar);
    tracing_subscriber::registry().with(terminal.with_filter(verbosity.filter())).with(task_logs).init();
}

/// Information as it is; warnings and errors with the word before them, the rest with its level and crate.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writeln!(to, "{}", line_of(event))
    }
}

/// An event in a line: the message, then its fields.
pub(crate) fn line_of(event: &Event<'_>) -> String {
    let mut line = match *event.metadata().level() {
        Level::INFO => String::new(),
        Level::WARN => "warning: ".to_owned(),
        Level::ERROR => "error: ".to_owned(),
        level => format!("{} {}: ", level.as_str().to_ascii_lowercase(), event.metadata().target()),
    };
    event.record(&mut Fields(&mut line));
    line
}

/// Appends fields to a string, the message without its name.
struct Fields<'l>(&'l mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// Standard error, with the progress bar out of the way.
struct AboveTheBar;

impl<'a> MakeWriter<'a> for AboveTheBar {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter
    }
}

/// Writes each line while the bar is hidden.
struct LineWriter;

impl io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::above_bars(|| io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_set_the_level_of_every_crate() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let names = std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.map(|name| name.replace('-', "_")).collect();
        names.sort();
        assert_eq!(names, OUR_CRATES);
    }
}
