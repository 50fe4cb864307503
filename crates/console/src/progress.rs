//! Progress: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a plain line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often the bar is redrawn while nothing advances.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Whether `-q` was given: only warnings and errors go to standard error.
pub fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

pub(crate) fn set_quiet(quiet: bool) {
    IS_QUIET.store(quiet, Ordering::Relaxed);
}

/// Calls `print` while no bar is drawn.
pub(crate) fn above_bars<T>(print: impl FnOnce() -> T) -> T {
    BARS.suspend(print)
}

/// A bar that shows its message and nothing else, of as many lines as that has; hidden when quiet and where there is no
/// terminal. Events are printed above it.
pub fn message_bar() -> ProgressBar {
    let bar = if is_quiet() { ProgressBar::hidden() } else { BARS.add(ProgressBar::no_length()) };
    bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as KiB, MiB, GiB.
    Bytes,
    /// Other units, by their name in the plural: `tasks`, `steps`.
    Things(Cow<'static, str>),
}

impl Unit {
    /// A unit by its name in the plural.
    pub const fn things(plural: &'static str) -> Unit {
        Unit::Things(Cow::Borrowed(plural))
    }
}

/// The progress of one thing, shown until [`finish`](Progress::finish) or until it is dropped.
pub struct Progress {
    bar: ProgressBar,
    label: String,
    unit: Unit,
    started: Instant,
    /// What was done before.
    before: u64,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Begins to show `label` at 0 of `total`; without a total there is a rate and no time left.
    pub fn start(label: &str, unit: Unit, total: Option<u64>) -> Progress {
        let bar = match is_quiet() {
            true => ProgressBar::hidden(),
            false => BARS.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new)),
        };
        bar.set_style(style(&unit, total));
        bar.set_prefix(label.to_owned());
        if !bar.is_hidden() {
            bar.enable_steady_tick(DRAWN_EVERY);
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
        let now = Instant::now();
        Progress { bar, label: label.to_owned(), unit, started: now, before: 0, last_line: Mutex::new(now) }
    }

    /// Says that `n` were done before, at another time: rate and time left are of what comes.
    pub fn go_on_from(&mut self, n: u64) {
        self.bar.set_position(n);
        self.bar.reset_eta();
        (self.before, self.started) = (n, Instant::now());
    }

    /// Adds `n` to what is done.
    pub fn add(&self, n: u64) {
        self.bar.inc(n);
        self.line_if_due();
    }

    /// Sets what is done to `n`.
    pub fn set(&self, n: u64) {
        self.bar.set_position(n);
        self.line_if_due();
    }

    /// Shows what is being done right now, after the numbers.
    pub fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
        self.line_if_due();
    }

    /// Removes the bar from the terminal.
    pub fn finish(self) {}

    /// Prints a line every ten seconds where there is no terminal.
    fn line_if_due(&self) {
        if !self.bar.is_hidden() || is_quiet() {
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let now = self.bar.position().saturating_sub(self.before);
            let line = line(&self.unit, [self.before, now], self.bar.length(), self.started.elapsed());
            let (label, message) = (&self.label, self.bar.message());
            tracing::info!("{}", format!("{label}: {line}  {message}").trim_end());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        BARS.remove(&self.bar);
    }
}

fn style(unit: &Unit, total: Option<u64>) -> ProgressStyle {
    let template = match (unit, total) {
        (Unit::Bytes, Some(_)) => {
            "  {prefix:18} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left  {msg}".to_owned()
        }
        (Unit::Bytes, None) => "  {prefix:18} {spinner} {bytes}  {bytes_per_sec}  {msg}".to_owned(),
        (Unit::Things(things), Some(total)) => {
            let things = named(things, total);
            format!(
                "  {{prefix:18}} {{bar:24}} {{human_pos}}/{{human_len}} {things}  {{per_sec}}, {{eta}} left  {{msg}}"
            )
        }
        (Unit::Things(things), None) => {
            format!("  {{prefix:18}} {{spinner}} {{human_pos}} {things}  {{per_sec}}  {{msg}}")
        }
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The name of `n` things, which are given in the plural.
fn named(things: &str, n: u64) -> &str {
    if n == 1 { things.strip_suffix('s').unwrap_or(things) } else { things }
}

/// `12 of 40 tasks, 3.0/s, 9 seconds left`.
fn line(unit: &Unit, [before, now]: [u64; 2], total: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let (done, rate) = (before + now, now as f64 / seconds);
    let (shown, shown_total, rate_shown) = match unit {
        Unit::Bytes => (
            HumanBytes(done).to_string(),
            total.map(|total| HumanBytes(total).to_string()),
            format!("{}/s", HumanBytes(rate as u64)),
        ),
        Unit::Things(things) => {
            let all = |n: u64| format!("{} {}", HumanCount(n), named(things, n));
            let shown = if total.is_some() { HumanCount(done).to_string() } else { all(done) };
            (shown, total.map(all), format!("{rate:.1}/s"))
        }
    };
    let of = shown_total.map(|total| format!(" of {total}")).unwrap_or_default();
    let left = total.filter(|_| now > 0).map(|total| total.saturating_sub(done) as f64 / rate);
    let left = left.map(|left| format!(", {} left", HumanDuration(Duration::from_secs_f64(left)))).unwrap_or_default();
    format!("{shown}{of}, {rate_shown}{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_rate_and_the_time_left() {
        let check = |unit: Unit, done, total, expected: &str| {
            assert_eq!(line(&unit, [0, done], total, Duration::from_secs(4)), expected);
        };
        check(Unit::things("tasks"), 12, Some(40), "12 of 40 tasks, 3.0/s, 9 seconds left");
        check(Unit::things("texts"), 12_000, None, "12,000 texts, 3000.0/s");
        check(Unit::things("tasks"), 0, Some(40), "0 of 40 tasks, 0.0/s");
        check(Unit::things("tasks"), 0, Some(1), "0 of 1 task, 0.0/s");
        let resumed = line(&Unit::things("steps"), [20, 8], Some(40), Duration::from_secs(4));
        assert_eq!(resumed, "28 of 40 steps, 2.0/s, 6 seconds left");
        check(Unit::Bytes, 4 << 20, Some(8 << 20), "4.00 MiB of 8.00 MiB, 1.00 MiB/s, 4 seconds left");
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        let progress = Progress::start("encode", Unit::Bytes, Some(10));
        progress.add(3);
        progress.message("a.txt");
        progress.finish();
    }
}
