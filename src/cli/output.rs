//! Printing: JSON documents for programs, aligned columns for people. Every command prints here and nowhere else, so
//! that no control character of somebody's text reaches a terminal.

use std::{
    io::{self, IsTerminal as _, Write},
    path::Path,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::visible;

/// One JSON document on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    let mut out = std::io::stdout().lock();
    out.write_all(visible::json(&text).as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}

/// How far long work is, on standard error, when somebody watches. `template`: see [`ProgressStyle`].
pub fn progress(template: &str) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// What went wrong, or how it goes, on standard error.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::say_text(&format!($($text)*)) };
}
pub(crate) use say;

/// See [`say!`]. Nobody can be told when standard error is closed: that is no reason to fail.
pub fn say_text(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(visible::lines(text).as_bytes());
    let _ = out.write_all(b"\n");
}

/// Standard output for commands that write their text piece by piece.
pub struct Out(io::StdoutLock<'static>);

impl Out {
    /// Takes standard output.
    pub fn new() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // `write!` hands over whole pieces of text.
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(visible::lines(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Lines on standard output; a closed pipe ends the command quietly.
pub fn lines(text: &str) -> anyhow::Result<()> {
    let text = visible::lines(text);
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A file with what citizens wrote, for whoever runs the command only. It takes the place of what has the name, also of
/// a link: whoever made that would choose what is overwritten.
pub fn private_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
            return std::fs::write(path, text);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| path.display().to_string())
}

/// Columns, each as wide as its widest cell. A cell is one line, whatever is in it.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let shown = |row: &Vec<String>| row.iter().map(|cell| visible::line(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        cells
            .chain(header.get(column).copied())
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut text = line(&mut header.iter().copied());
    for row in &rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_private_file_replaces_a_link_and_not_what_it_leads_to() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (target, path) = (folder.path().join("target"), folder.path().join("report.html"));
        std::fs::write(&target, "old").expect("written");
        symlink(&target, &path).expect("linked");
        super::private_file(&path, "words").expect("written");
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "old");
        let made = std::fs::symlink_metadata(&path).expect("there");
        assert_eq!((made.is_file(), made.permissions().mode() & 0o777), (true, 0o600));
        super::private_file(&path, "others").expect("written again");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "others");
        super::private_file(std::path::Path::new("/dev/null"), "x").expect("a device is written to");
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let text = super::table(
            &["ключ", "n"],
            &[vec!["дороги".into(), "1".into()], vec!["a".into(), "22".into()]],
        );
        assert_eq!(text, "ключ    n\nдороги  1\na       22");
        let text = super::table(&["a"], &[vec!["x\n\u{1b}[2Ky".into()]]);
        assert_eq!(text, "a\nx\\n\\u001b[2Ky", "a cell can't fake a line");
    }
}
