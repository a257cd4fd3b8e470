//! Files that were read to their end: the same bytes again change nothing, whatever was read between.

use serde::{Deserialize, Serialize};

use super::FilesSettings;

/// Files remembered.
const KEPT: usize = 256;

/// Signs of the last files, the newest last. Part of the cursor, so it is stored with their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(Vec<String>);

impl Known {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a file of this sign was read to its end.
    pub fn has(&self, sign: &str) -> bool {
        self.0.iter().any(|known| known == sign)
    }

    /// Remembers a file, the oldest goes.
    pub fn add(&mut self, sign: String) {
        self.0.retain(|known| *known != sign);
        self.0.push(sign);
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }
}

/// What makes the sign of a file: its content, and everything by which it is understood. With other settings, or by another
/// version of the program, the same file is read anew.
pub fn sign(hash: &str, settings: &FilesSettings) -> String {
    let understood = (
        env!("CARGO_PKG_VERSION"),
        &settings.mapping,
        &settings.zone,
        settings.encoding,
        settings.delimiter,
        &settings.columns,
        &settings.headers,
    );
    let mut hasher = blake3::Hasher::new();
    hasher.update(hash.as_bytes());
    hasher.update(&serde_json::to_vec(&understood).expect("settings always serialise"));
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_settings_count() {
        let mut settings = FilesSettings::new("/in");
        let one = sign("1", &settings);
        settings.mapping = "pos".into();
        assert_ne!(one, sign("1", &settings));
        let mut known = Known::default();
        known.add(one.clone());
        for number in 0..KEPT {
            assert!(known.has(&one));
            known.add(sign(&format!("x{number}"), &settings));
        }
        assert!(!known.has(&one));
        assert_eq!(known.0.len(), KEPT);
    }
}
