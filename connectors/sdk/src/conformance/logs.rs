//! Hears what a connector logs while it is examined, to look for planted secrets in it.

use std::{
    fmt::{Debug, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Lines kept at most: a secret in a log shows early.
const MOST_LINES: usize = 20_000;

/// Libraries below a connector: their details are for those who debug them, not for the daemon's log.
const LIBRARIES: [&str; 6] = ["h2", "hyper", "reqwest", "rustls", "tokio", "mio"];

/// Keeps every line that code logs under it. Clones share the lines.
#[derive(Clone, Default)]
pub(super) struct Listener {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

impl Listener {
    /// What was logged.
    pub fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock())
    }

    fn keep(&self, line: String) {
        let mut lines = self.lines.lock();
        if lines.len() < MOST_LINES {
            lines.push(line);
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let library = LIBRARIES.iter().any(|name| metadata.target().starts_with(name));
        *metadata.level() <= if library { Level::INFO } else { Level::DEBUG }
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(attributes.metadata().name().to_owned());
        attributes.record(&mut line);
        self.keep(line.0);
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.keep(line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.keep(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// One line, as fields come.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a string can't fail.
        let _ = write!(self.0, " {field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }
}
