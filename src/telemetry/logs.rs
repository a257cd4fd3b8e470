//! Logs on standard error: for people on a terminal, JSON otherwise.

use std::io::{IsTerminal, Stderr, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, MakeWriter, writer::BoxMakeWriter},
};

use super::shown::{self, Shown};
use crate::{
    publish::LOG_DIRECTIVES,
    settings::{LogFormat, LogSettings},
};

/// Starts logging for the whole process.
///
/// # Errors
/// When the level is not a filter, or logging was started before.
pub fn logs(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = filter(settings)?;
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    // systemd sets it for a service whose output goes to the journal.
    let writer = match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => BoxMakeWriter::new(WithPriority),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let builder = fmt::fmt().with_env_filter(filter).with_writer(writer);
    let builder = builder.map_writer(Shown);
    let started = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder
            .fmt_fields(shown::fields())
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init()
    };
    quiet_panics();
    started.map_err(|error| anyhow::anyhow!("logging can't be started: {error}"))
}

/// Begins each line with its priority as sd-daemon(3) reads it, so that `journalctl -p warning` works.
struct WithPriority;

impl<'a> MakeWriter<'a> for WithPriority {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { priority: "<6>" }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line {
            priority: priority(*metadata.level()),
        }
    }
}

/// One line on its way to standard error.
struct Line {
    priority: &'static str,
}

impl Write for Line {
    /// Called once for each event, with the whole line.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut out: Stderr = std::io::stderr();
        out.write_all(&[self.priority.as_bytes(), line].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// What is logged, by `log.level`.
///
/// # Errors
/// When the level is not a filter.
pub fn filter(settings: &LogSettings) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(format!("{},{}", settings.level, LOG_DIRECTIVES.join(",")))
        .map_err(|error| anyhow::anyhow!("log.level: `{}` is not a filter: {error}", settings.level))
}

/// A panic's own text could quote what a citizen wrote: only its place is logged.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(|| "unknown place".into(), ToString::to_string);
        tracing::error!(place, "panic; please report it as a bug");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journald_learns_the_priority_of_each_line() {
        let order = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(priority);
        assert_eq!(order, ["<3>", "<4>", "<6>", "<7>"]);
    }
}
