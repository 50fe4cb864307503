//! A log for each task that warned or failed.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::logging::line_of;

/// The name of the spans that are tasks; their fields are `stage`, `task` and, once it has failed, `error`.
const TASK_SPAN: &str = "task";

/// Receives a task's log: stage, task, and the lines if there was a warning or an error.
type WriteLog = dyn Fn(&str, &str, Option<&str>) + Send + Sync;

/// Collects the events in a span `task` (fields `stage`, `task`, `error`) until it ends. They are kept if a warning or
/// an error is among them, or the span has an `error`. Memory: the events of the running tasks.
pub struct TaskLogs {
    write: Box<WriteLog>,
}

impl TaskLogs {
    /// When a task ends, `write` gets its stage, its name, and its log if that is to be kept.
    pub fn new(write: impl Fn(&str, &str, Option<&str>) + Send + Sync + 'static) -> TaskLogs {
        TaskLogs { write: Box::new(write) }
    }
}

/// The events of one task.
#[derive(Default)]
pub(crate) struct TaskLog {
    stage: String,
    task: String,
    lines: String,
    is_worth_keeping: bool,
}

impl TaskLog {
    /// `stage/task`.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.stage, self.task)
    }
}

impl Visit for TaskLog {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, text: &str) {
        match field.name() {
            "stage" => self.stage = text.to_owned(),
            "task" => self.task = text.to_owned(),
            "error" => {
                self.lines += &format!("error: {text}\n");
                self.is_worth_keeping = true;
            }
            _ => {}
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TaskLogs {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != TASK_SPAN {
            return;
        }
        let mut log = TaskLog::default();
        attributes.record(&mut log);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(log);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(log) = span.extensions_mut().get_mut::<TaskLog>()
        {
            values.record(log);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        for span in scope {
            if let Some(log) = span.extensions_mut().get_mut::<TaskLog>() {
                log.lines += &line_of(event, None);
                log.lines.push('\n');
                log.is_worth_keeping |= *event.metadata().level() <= Level::WARN;
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let log = context.span(&id).and_then(|span| span.extensions_mut().remove::<TaskLog>());
        if let Some(log) = log {
            (self.write)(&log.stage, &log.task, log.is_worth_keeping.then_some(log.lines.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn only_tasks_that_warned_or_failed_are_kept() {
        let kept: Arc<Mutex<Vec<String>>> = Arc::default();
        let to = kept.clone();
        let write = move |stage: &str, task: &str, text: Option<&str>| {
            to.lock().unwrap().push(format!("{stage}/{task}: {text:?}"))
        };
        let subscriber = tracing_subscriber::registry().with(TaskLogs::new(write));
        tracing::subscriber::with_default(subscriber, || {
            for (task, warns, fails) in [("1", false, false), ("2", true, false), ("3", false, true)] {
                let span = tracing::info_span!("task", stage = "links.read", task, error = tracing::field::Empty);
                let _inside = span.enter();
                tracing::debug!(lines = 7, "read");
                if warns {
                    tracing::warn!("cut off");
                }
                if fails {
                    span.record("error", tracing::field::display("no such file"));
                }
            }
        });
        let debug = "debug console::task_logs::tests: read lines=7";
        let expected = [
            "links.read/1: None".to_owned(),
            format!("links.read/2: {:?}", Some(format!("{debug}\nwarning: cut off\n"))),
            format!("links.read/3: {:?}", Some(format!("{debug}\nerror: no such file\n"))),
        ];
        assert_eq!(*kept.lock().unwrap(), expected);
    }
}
