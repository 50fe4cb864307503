//! What a run tells while it works: a bar on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress goes; standard error, or nowhere.
#[derive(Debug, Clone)]
pub struct Progress {
    quiet: bool,
    bar: ProgressBar,
    /// What was told, for tests.
    #[cfg(test)]
    lines: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Progress {
    /// Progress on standard error, or none when `quiet`.
    pub fn new(quiet: bool) -> Progress {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Progress {
            quiet,
            bar: ProgressBar::with_draw_target(None, target),
            #[cfg(test)]
            lines: std::sync::Arc::default(),
        }
    }

    /// The lines that were told, also by a quiet one.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no thread panics with it").clone()
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        #[cfg(test)]
        self.lines.lock().expect("no thread panics with it").push(text.to_owned());
        if self.quiet {
            return;
        }
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Begins a stage of so many tasks.
    pub(crate) fn stage(&self, name: &str, tasks: usize) {
        let template = "  {prefix:18} {bar:24} {pos}/{len} tasks  {eta} left  {msg}";
        self.bar.reset();
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_length(tasks as u64);
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message("");
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// Counts tasks that are done.
    pub(crate) fn advance(&self, tasks: u64) {
        self.bar.inc(tasks);
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
