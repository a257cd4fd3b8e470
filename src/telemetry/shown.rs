//! Log lines without control characters of others: errors of platforms, names of files and ids go into the log, and the
//! log is read on terminals.

use std::io::{self, Write};

use tracing::Metadata;
use tracing_subscriber::{
    field::{MakeExt, MakeVisitor, VisitFmt, VisitOutput},
    fmt::{
        MakeWriter,
        format::{Writer, debug_fn},
    },
};

use crate::visible;

/// Lets only visible lines through to another writer.
pub(super) struct Shown<M>(pub(super) M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Shown<M> {
    type Writer = ShownLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        ShownLine(self.0.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        ShownLine(self.0.make_writer_for(metadata))
    }
}

/// One line on its way.
pub(super) struct ShownLine<W>(W);

impl<W: Write> Write for ShownLine<W> {
    /// Called once for each event, with the whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&visible::log(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Fields of text lines: no escape character of a value is taken for one of ours.
pub(super) fn fields()
-> impl for<'a> MakeVisitor<Writer<'a>, Visitor: VisitFmt + VisitOutput<std::fmt::Result>> + Clone + Send + Sync + 'static
{
    debug_fn(|out: &mut Writer<'_>, field, value| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(out, "{}", visible::line(&text)),
            name => write!(out, "{name}={}", visible::line(&text)),
        }
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt;

    use super::*;

    const NASTY: &str = "a\u{1b}[2K\u{9b}31m\r\u{202e}gpj.exe\nforged";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(start: impl FnOnce(Kept) -> Box<dyn tracing::Subscriber + Send + Sync>) -> String {
        let kept = Kept::default();
        tracing::subscriber::with_default(start(kept.clone()), || {
            tracing::warn!(file = %NASTY, quoted = ?NASTY, "said {NASTY}");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn values_of_others_command_no_terminal() {
        let text = logged(|kept| {
            let writer = Shown(move || kept.clone());
            Box::new(
                fmt::fmt()
                    .with_writer(writer)
                    .fmt_fields(fields())
                    .with_ansi(false)
                    .finish(),
            )
        });
        let coloured = logged(|kept| {
            let writer = Shown(move || kept.clone());
            Box::new(
                fmt::fmt()
                    .with_writer(writer)
                    .fmt_fields(fields())
                    .with_ansi(true)
                    .finish(),
            )
        });
        let json = logged(|kept| {
            let writer = Shown(move || kept.clone());
            Box::new(fmt::fmt().with_writer(writer).json().flatten_event(true).finish())
        });
        for line in [&text, &coloured, &json] {
            assert_eq!(line.lines().count(), 1, "no forged line: {line:?}");
            assert!(!line.trim_end().contains(['\u{9b}', '\r', '\u{202e}']), "{line:?}");
            assert!(!line.contains("\u{1b}[2K") && line.contains("gpj.exe"), "{line:?}");
        }
        assert!(coloured.contains('\u{1b}'), "our own colours stay: {coloured:?}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["file"], NASTY, "nothing is lost");
    }
}
