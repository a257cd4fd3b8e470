//! What lies in the inbox and is never read, however long one waits: folders, and names that no report or log could show.

use std::ffi::OsStr;

/// Names that are left alone and shown; the others are counted.
const SHOWN: usize = 5;

/// What lies in the inbox and is never read as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Folders.
    pub folders: usize,
    /// Names that are no text, or hold control characters.
    pub names: usize,
    /// The first of them, so that a terminal can show them.
    pub shown: Vec<String>,
}

impl Left {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.folders + self.names
    }

    /// Notes a name that is shown when there is room.
    pub fn add(&mut self, name: &OsStr) {
        if self.shown.len() < SHOWN {
            self.shown.push(name.to_string_lossy().escape_debug().to_string());
        }
    }

    /// What they are and the cure, for the duty officer.
    pub fn russian(&self) -> String {
        let mut parts = Vec::new();
        if self.folders > 0 {
            parts.push(format!("каталогов {} (вынуть из них файлы)", self.folders));
        }
        if self.names > 0 {
            parts.push(format!(
                "имён не в UTF-8 или с управляющими символами {} (переименовать)",
                self.names
            ));
        }
        let more = if self.count() > self.shown.len() { " …" } else { "" };
        format!(
            "в inbox/ лежит то, что не читается: {}: {}{more}",
            parts.join(", "),
            self.shown.join(", ")
        )
    }
}

/// A name that is text without control characters.
pub fn readable(name: &OsStr) -> Option<String> {
    name.to_str()
        .filter(|name| !name.contains(char::is_control))
        .map(str::to_owned)
}
