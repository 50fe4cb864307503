//! What a run tells while it works: a bar on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress goes; standard error, or nowhere.
#[derive(Debug, Clone)]
pub struct Progress {
    quiet: bool,
    bar: ProgressBar,
}

impl Progress {
    /// Progress on standard error, or none when `quiet`.
    pub fn new(quiet: bool) -> Progress {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Progress { quiet, bar: ProgressBar::with_draw_target(None, target) }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Begins a stage of so many tasks that read so many bytes.
    pub(crate) fn stage(&self, name: &str, tasks: usize, bytes: u64) {
        let template = "  {prefix:18} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left  {msg}";
        self.bar.reset();
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_length(bytes.max(1));
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message(format!("{tasks} tasks"));
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// Counts bytes read.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// What the stage is doing right now.
    pub fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    pub(crate) fn end(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }
}
