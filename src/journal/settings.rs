//! Settings of the journal.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the journal lives, how much it may hold and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalSettings {
    /// Folder of the journal; made when missing. Must be on a local disk.
    pub dir: PathBuf,
    /// Size in bytes at which new items are refused (503). Before that, published raw items are removed early.
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
