//! Events to standard error, as a person reads them.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::task_logs::TaskLog;
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
    /// More messages on standard error: once the steps of a run, twice each request. WEBTEXT_LOG=fetch=trace,store=debug
    /// sets the level of single crates.
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

    /// The levels that flags set, and over them those of [`VARIABLE`]: of all crates, or of those that it names.
    fn filter(self, of_variable: &Targets) -> Targets {
        let (level, of_others) = match of_variable.default_level() {
            Some(level) => (level, level),
            None => (self.level(), LevelFilter::WARN),
        };
        let ours = OUR_CRATES.iter().map(|name| (*name, level));
        let of_flags = Targets::new().with_default(of_others).with_targets(ours);
        of_flags.with_targets(of_variable.clone()).with_target(TASK_LOG, LevelFilter::OFF)
    }
}

/// From now on events go to standard error, and those of tasks to `task_logs`. Call it once, before the first event.
pub fn start_logging(verbosity: Verbosity, task_logs: Option<TaskLogs>) {
    progress::set_quiet(verbosity.quiet);
    let variable = std::env::var(VARIABLE).unwrap_or_default();
    let of_variable = levels(&variable);
    let filter = verbosity.filter(of_variable.as_ref().unwrap_or(&Targets::new()));
    let terminal = tracing_subscriber::fmt::layer().event_format(Plain).with_writer(AboveTheBar);
    tracing_subscriber::registry().with(terminal.with_filter(filter)).with(task_logs).init();
    if let Err(error) = of_variable {
        tracing::warn!("{VARIABLE}={variable} is not used: {error}");
    }
}

/// The levels that [`VARIABLE`] sets: none if it is empty, which the parser takes for a level of everything.
fn levels(variable: &str) -> Result<Targets, ParseError> {
    if variable.is_empty() { Ok(Targets::new()) } else { variable.parse() }
}

/// Information as it is; warnings and errors with the word before them, the rest with its level and crate. What a task
/// says, but for information, has its stage and name before it.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut spans = context.event_scope().into_iter().flatten();
        let task = spans.find_map(|span| span.extensions().get::<TaskLog>().map(TaskLog::place));
        writeln!(to, "{}", line_of(event, task.as_deref()))
    }
}

/// An event in a line: its level, the place (`stage/task`) of what is no information, the message, then its fields.
pub(crate) fn line_of(event: &Event<'_>, place: Option<&str>) -> String {
    let level = *event.metadata().level();
    let mut line = match level {
        Level::INFO => String::new(),
        Level::WARN => "warning: ".to_owned(),
        Level::ERROR => "error: ".to_owned(),
        level => format!("{} {}: ", level.as_str().to_ascii_lowercase(), event.metadata().target()),
    };
    if let Some(place) = place.filter(|_| level != Level::INFO) {
        line += place;
        line += ": ";
    }
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

    #[test]
    fn the_variable_is_laid_over_the_flags() {
        let shown = |flags: Verbosity, variable: &str| {
            let filter = flags.filter(&levels(variable).unwrap());
            let events =
                [("fetch", Level::TRACE), ("store", Level::DEBUG), ("links", Level::WARN), ("hyper", Level::INFO)];
            events.map(|(target, level)| filter.would_enable(target, &level))
        };
        let flags = |verbose, quiet| Verbosity { verbose, quiet };
        assert_eq!(shown(flags(0, false), ""), [false, false, true, false]);
        assert_eq!(shown(flags(1, false), ""), [false, true, true, false]);
        assert_eq!(shown(flags(2, false), ""), [true, true, true, false]);
        assert_eq!(shown(flags(0, true), "fetch=trace"), [true, false, true, false]);
        assert_eq!(shown(flags(0, false), "fetch=trace,store=debug"), [true, true, true, false]);
        assert_eq!(shown(flags(0, false), "debug"), [false, true, true, true]);
        assert_eq!(shown(flags(2, false), "error"), [false, false, false, false]);
    }

    /// What is printed while [`a_warning_names_its_task`] runs.
    static PRINTED: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());

    struct Printed;

    impl io::Write for Printed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            PRINTED.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_names_its_task() {
        let terminal = tracing_subscriber::fmt::layer().event_format(Plain).with_writer(|| Printed);
        let logs = TaskLogs::new(|_, _, log| assert_eq!(log, Some("5 rows\nwarning: cut off\n")));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(terminal).with(logs), || {
            tracing::warn!("no contact");
            tracing::info_span!("task", stage = "links.read", task = "00007").in_scope(|| {
                tracing::info!("5 rows");
                tracing::warn!("cut off");
            });
        });
        let printed = String::from_utf8(PRINTED.lock().unwrap().clone()).unwrap();
        assert_eq!(printed, "warning: no contact\n5 rows\nwarning: links.read/00007: cut off\n");
    }
}
