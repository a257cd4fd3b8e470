//! Logs on standard error: for people on a terminal, JSON otherwise. Nothing here can end the daemon: see [`stderr`].

use std::io::{IsTerminal, Write};

use priem_yaml::nearest;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, MakeWriter},
};

use super::{
    LogFormat, LogSettings,
    shown::{self, Shown},
    stderr,
};

/// Levels of `log.level`, from silence to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// What is logged of parts that a filter does not name.
const LEVEL_OF_THE_REST: &str = "warn";

/// Starts logging for the whole process. The last word on what is logged is `never`: see [`filter`].
///
/// # Errors
/// When the level is not a filter, or logging was started before.
pub fn logs(settings: &LogSettings, never: &[&str]) -> anyhow::Result<()> {
    let filter = filter(settings, never)?;
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    // systemd sets it for a service whose output goes to the journal.
    let with_priority = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = fmt::fmt()
        .with_env_filter(filter)
        .with_writer(Lines { with_priority })
        .log_internal_errors(false)
        .map_writer(Shown);
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

/// Makes the lines. For journald each begins with its priority as sd-daemon(3) reads it, so that
/// `journalctl -p warning` works.
struct Lines {
    with_priority: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            priority: if self.with_priority { "<6>" } else { "" },
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line {
            priority: if self.with_priority {
                priority(*metadata.level())
            } else {
                ""
            },
        }
    }
}

/// One line on its way to standard error.
struct Line {
    priority: &'static str,
}

impl Write for Line {
    /// Called once for each event, with the whole line. Never fails: what can't be written is counted.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        stderr::put(&[self.priority.as_bytes(), line].concat());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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

/// What is logged, by `log.level`: one level for everything, `target=level` for a part, or several with commas. The
/// directives in `never` come after it, so that no level shows what they silence.
///
/// # Errors
/// When a part of it is neither, with the known levels and the nearest one: `tracing` would take a misspelt level for
/// the name of a target and log nothing at all.
pub fn filter(settings: &LogSettings, never: &[&str]) -> anyhow::Result<EnvFilter> {
    let wrong = |problem: String| anyhow::anyhow!("log.level: {problem}");
    let mut directives = vec![LEVEL_OF_THE_REST.to_owned()];
    for part in settings.level.split(',').map(str::trim) {
        let (target, level) = match part.split_once('=') {
            Some((target, level)) => (Some(target.trim()), level.trim()),
            None => (None, part),
        };
        if let Some(target) = target
            && !is_target(target)
        {
            return Err(wrong(format!(
                "`{target}` is no name of a part; write `priem=debug` or `priem::publish=debug`"
            )));
        }
        let lower = level.to_ascii_lowercase();
        if !LEVELS.contains(&lower.as_str()) {
            return Err(wrong(unknown_level(level)));
        }
        match target {
            Some(target) => directives.push(format!("{target}={lower}")),
            None => directives[0] = lower,
        }
    }
    directives.extend(never.iter().map(|&directive| directive.to_owned()));
    EnvFilter::try_new(directives.join(","))
        .map_err(|error| wrong(format!("`{}` is not a filter: {error}", settings.level)))
}

fn is_target(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'))
}

fn unknown_level(level: &str) -> String {
    let hint = match nearest(level, LEVELS) {
        Some(known) => format!(", did you mean `{known}`?"),
        None => ";".into(),
    };
    format!(
        "unknown level `{level}`{hint} known levels: {}; for one part: `priem::publish=debug,info`",
        LEVELS.join(", ")
    )
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
    fn unknown_levels_are_refused_and_known_ones_reach_what_is_not_named() {
        let filter_of = |level: &str| {
            let settings = LogSettings {
                level: level.into(),
                ..LogSettings::default()
            };
            filter(&settings, &[])
        };
        for (level, said) in [
            ("warning", "did you mean `warn`?"),
            ("WARNING", "did you mean `warn`?"),
            ("err", "did you mean `error`?"),
            ("verbose", "known levels: off, error, warn"),
            ("priem", "unknown level `priem`"),
            ("priem=inf", "did you mean `info`?"),
            ("info,priem=warning", "did you mean `warn`?"),
            ("", "unknown level ``"),
            ("=info", "is no name of a part"),
            ("a b=info", "is no name of a part"),
        ] {
            let error = filter_of(level).expect_err(level).to_string();
            assert!(
                error.starts_with("log.level: ") && error.contains(said),
                "{level}: {error}"
            );
        }
        for (level, shown) in [
            ("info", "info"),
            ("WARN", "warn"),
            ("off", "off"),
            ("priem=debug", "warn"),
            ("priem=debug, error", "error"),
        ] {
            let filter = filter_of(level).expect(level).to_string();
            assert!(
                filter.split(',').any(|directive| directive == shown),
                "{level}: {filter}"
            );
        }
    }

    #[test]
    fn journald_learns_the_priority_of_each_line() {
        let order = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(priority);
        assert_eq!(order, ["<3>", "<4>", "<6>", "<7>"]);
    }
}
