//! Logs on standard error: for people on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

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
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init()
    };
    quiet_panics();
    started.map_err(|error| anyhow::anyhow!("logging can't be started: {error}"))
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
