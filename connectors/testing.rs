//! What the tests of several connectors share: a stand-in for the journal and random changes to JSON.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use priem_sdk::{Item, RawItem, contract::ConnectorId};
use proptest::prelude::*;
use serde_json::Value;

/// What the journal does with items: keys once, unchanged versions dropped, versions counted.
#[derive(Default)]
pub struct Journal {
    keys: HashSet<(String, String)>,
    newest: HashMap<String, (u32, Option<[u8; 16]>)>,
    /// Items that are new, oldest first.
    pub stored: Vec<RawItem>,
    /// Items with a problem.
    pub quarantined: Vec<Item>,
}

impl Journal {
    /// Stores an item unless it is known.
    pub fn take(&mut self, item: Item) {
        let seen = self.newest.get(&item.external_id).copied();
        let known = |name: &str| self.keys.contains(&(item.external_id.clone(), name.to_owned()));
        if item.revision.as_deref().is_some_and(known) {
            return;
        }
        let unchanged = seen.is_some_and(|(_, newest)| newest.is_some() && newest == item.fingerprint);
        if unchanged && item.revision.is_none() {
            return;
        }
        let (ordinal, before) = seen.unwrap_or_default();
        let revision = item.revision.clone().unwrap_or_else(|| format!("c{ordinal}"));
        self.keys.insert((item.external_id.clone(), revision.clone()));
        if unchanged {
            return;
        }
        let newest = (ordinal + 1, item.fingerprint.or(before));
        self.newest.insert(item.external_id.clone(), newest);
        if item.problem.is_some() {
            self.quarantined.push(item);
            return;
        }
        self.stored.push(RawItem {
            ordinal,
            revision,
            ..raw("main", item)
        });
    }
}

/// An item as `normalize` gets it, stored at a fixed moment.
pub fn raw(connector: &'static str, item: Item) -> RawItem {
    RawItem {
        connector: ConnectorId::new(connector),
        external_id: item.external_id,
        revision: item.revision.unwrap_or_default(),
        ordinal: 0,
        format: item.format.to_owned(),
        body: item.body,
        received_at: Timestamp::from_second(1_788_000_900).expect("instant"),
    }
}

/// The JSON files of a connector's folder `fixtures`, by name.
pub fn fixtures(connector: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/{connector}/fixtures", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("fixtures")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("readable"))
        })
        .collect();
    all.sort();
    all
}

/// How much more memory than before was in use at the worst moment of some work, bytes. Counts the whole process: for
/// tests that run in one of their own, and for bounds far above what neighbours take.
pub fn peak_growth<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let status = |name: &str| -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").expect("the process describes itself");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let kilobytes: u64 = line
            .trim_start_matches(':')
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number");
        kilobytes * 1024
    };
    // From here on the peak is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
    let before = status("VmRSS");
    let done = work();
    (done, status("VmHWM").saturating_sub(before))
}

/// A random piece of JSON, shallow.
pub fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
