//! Settings of the journal.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Least `max_bytes`: an empty journal has 160 KiB, and one record may take 4 MiB.
const LEAST_BYTES: u64 = 4 << 20;

/// Where the journal lives, how much it may hold and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalSettings {
    /// Folder of the journal; made when missing. Must be on a local disk.
    #[serde(deserialize_with = "named")]
    pub dir: PathBuf,
    /// Size in bytes at which new items are refused (503). Before that, published raw items are removed early. At least
    /// 4194304 (4 MiB).
    #[serde(deserialize_with = "enough")]
    #[schemars(range(min = 4_194_304))]
    pub max_bytes: u64,
    /// Free space in bytes that must stay on the disk; below it new items are refused (503).
    pub min_free_bytes: u64,
    /// Days a published raw item is kept for `why` and `replay`.
    pub raw_days: u32,
    /// Days the identity of an item is remembered after its last version (keyed hashes only).
    pub dedupe_days: u32,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("priem-data"),
            max_bytes: 10 << 30,
            min_free_bytes: 512 << 20,
            raw_days: 30,
            dedupe_days: 180,
        }
    }
}

/// An empty path would be the folder of the settings.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let dir = PathBuf::deserialize(deserializer)?;
    if dir.as_os_str().is_empty() {
        return Err(D::Error::custom(
            "is empty: name a folder, for example /var/lib/priem/journal",
        ));
    }
    Ok(dir)
}

fn enough<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let bytes = u64::deserialize(deserializer)?;
    if bytes < LEAST_BYTES {
        return Err(D::Error::custom(format!(
            "{bytes} bytes are too few to take anything: at least {LEAST_BYTES} (4 MiB), as a rule 10737418240 (10 GiB)"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::settings::parse;

    #[test]
    fn a_journal_that_could_take_nothing_or_lies_nowhere_is_refused() {
        for (line, words) in [
            ("max_bytes: 0", "journal.max_bytes: 0 bytes are too few"),
            ("max_bytes: 4194303", "at least 4194304 (4 MiB)"),
            ("dir: \"\"", "journal.dir: is empty: name a folder"),
            ("dir: \"j\\0x\"", "journal.dir: holds a NUL character"),
        ] {
            let text = format!("version: 1\njournal:\n  raw_days: 1\n  {line}\n");
            let error = parse(&text, Path::new("priem.yaml"), []).expect_err(line).to_string();
            assert!(error.starts_with("priem.yaml:4: ") && error.contains(words), "{error}");
        }
        let text = "journal: { dir: j, max_bytes: 4194304 }\n";
        assert_eq!(parse(text, Path::new("p"), []).unwrap().journal.max_bytes, 4 << 20);
    }
}
