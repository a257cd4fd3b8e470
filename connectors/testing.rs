//! What the tests of several connectors share: a stand-in for the journal, settings that must be refused, what
//! `check` found.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use priem_sdk::{
    CheckReport, Connector, Cursor, Cx, EventType, Item, Page, RawItem, conformance::Planted, contract::ConnectorId,
};
use serde_json::{Value, json};

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

    /// Takes a page in and acknowledges it, as the host does; where to go on.
    pub async fn commit(&mut self, connector: &Arc<dyn Connector>, stream: &str, page: Page) -> Cursor {
        page.items.into_iter().for_each(|item| self.take(item));
        let cx = Cx::new(ConnectorId::new("main"));
        let acknowledged = connector.acknowledge(&cx, stream, &page.next).await;
        acknowledged.expect("acknowledged");
        page.next
    }

    /// Ids of what is stored, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.stored.iter().map(|raw| raw.external_id.as_str()).collect()
    }

    /// What is published of it: ids, events and words.
    pub fn published(&self, connector: &Arc<dyn Connector>) -> Vec<(String, EventType, String)> {
        let messages = self
            .stored
            .iter()
            .flat_map(|raw| connector.normalize(raw).expect("known kinds"));
        messages
            .map(|message| (message.data.external.id, message.event, message.data.body.text))
            .collect()
    }

    /// The same without ids.
    pub fn told(&self, connector: &Arc<dyn Connector>) -> Vec<(EventType, String)> {
        let all = self.published(connector).into_iter();
        all.map(|(_, event, words)| (event, words)).collect()
    }
}

/// An item as `normalize` gets it, stored first, at a fixed moment.
pub fn raw(connector: &str, item: Item) -> RawItem {
    RawItem {
        connector: ConnectorId::new(connector),
        external_id: item.external_id,
        revision: item.revision.unwrap_or_else(|| "c0".into()),
        ordinal: 0,
        format: item.format.to_owned(),
        body: item.body,
        received_at: Timestamp::from_second(1_788_000_900).expect("instant"),
    }
}

/// Settings with `more` over them, key by key.
pub fn over(mut settings: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        settings[key] = value.clone();
    }
    settings
}

/// The same with leave to take over.
pub fn taking_over(cx: Cx) -> Cx {
    Cx { take_over: true, ..cx }
}

/// Outcomes of what `check` found about one thing, in order.
pub fn outcomes<'a>(report: &'a CheckReport, what: &str) -> Vec<&'a str> {
    let found = report.findings.iter().filter(|finding| finding.what == what);
    found.map(|finding| finding.outcome).collect()
}

/// What is wrong with settings; nothing when they fit.
pub fn problem(planted: &Planted, more: Value) -> String {
    planted
        .build(more)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

/// Each of these settings must be refused, with this key and these words.
pub fn assert_refused(planted: &Planted, all: impl IntoIterator<Item = (Value, &'static str, &'static str)>) {
    for (more, key, words) in all {
        let error = planted.build(more.clone()).err();
        let error = error.unwrap_or_else(|| panic!("{more}: fits"));
        assert!(error.key == key && error.problem.contains(words), "{more}: {error}");
    }
}

/// No report of `check` may say one of these.
pub fn assert_silent(report: &CheckReport, secrets: &[&str]) {
    let shown = serde_json::to_string(report).expect("serialises");
    for secret in secrets {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn every_setting_of_every_connector_is_described() {
    for kind in crate::CONNECTORS {
        let schema = serde_json::to_value((kind.schema)()).expect("a schema");
        let definitions = schema["$defs"].as_object().into_iter().flat_map(|all| all.values());
        for definition in std::iter::once(&schema).chain(definitions) {
            for (name, property) in definition["properties"].as_object().into_iter().flatten() {
                assert!(
                    property.get("description").is_some(),
                    "{}: `{name}` has no description",
                    kind.name
                );
            }
        }
    }
}

#[test]
fn the_examples_of_the_platforms_fit_as_they_stand() {
    for kind in [
        crate::telegram::TYPE,
        crate::vk::TYPE,
        crate::ok::TYPE,
        crate::max::TYPE,
    ] {
        let entries: serde_json::Map<String, Value> = priem_yaml::from_str(kind.example).expect("YAML");
        let (id, mut example) = entries.into_iter().next().expect("an entry");
        let fields = example.as_object_mut().expect("a mapping");
        assert_eq!(fields.remove("type"), Some(kind.name.into()));
        let name = kind.name;
        // The credentials it names exist on no test machine; this one has the shape every platform wants.
        let example = example.to_string().replace("{\"credential\":", "{\"file\":");
        let secrets: Vec<&str> = example
            .split("{\"file\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let secrets: Vec<(&str, &str)> = secrets
            .into_iter()
            .map(|file| (file, "7700990011:AAplantedPlantedPlantedPlantedPlante"))
            .collect();
        let planted = Planted::new(kind, &id, &secrets, json!({}));
        assert_eq!(
            problem(&planted, serde_json::from_str(&example).expect("JSON")),
            "",
            "{name}"
        );
    }
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
