//! Printing: JSON documents for programs, aligned columns for people.

use std::{io::Write, path::Path};

use anyhow::Context;
use serde::Serialize;

/// One JSON document on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Lines on standard output; a closed pipe ends the command quietly.
pub fn lines(text: &str) -> anyhow::Result<()> {
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

/// Columns, each as wide as its widest cell.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
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
    for row in rows {
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
    }
}
