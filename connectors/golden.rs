//! Fixtures of a connector: what became of each, reviewed as a golden file, and whatever bytes, no panic.

use bytes::Bytes;
use priem_sdk::{Item, Message, NormalizeError, RawItem, conformance::pointers};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::testing::raw;

type Outcome = Result<Vec<Message>, NormalizeError>;

/// The JSON files of a connector's folder `fixtures`, and how they are read.
pub struct Golden {
    /// Name of the folder.
    pub folder: &'static str,
    /// Name of the connector in the settings.
    pub id: &'static str,
    /// The item of a fixture, by the name of its kind: the part before the first `_`.
    pub item: fn(&str, Bytes) -> Item,
    /// What becomes of a stored item, as settings are that say nothing.
    pub normalize: fn(&RawItem) -> Outcome,
}

impl Golden {
    /// The fixtures by name.
    pub fn all(&self) -> Vec<(String, Vec<u8>)> {
        let folder = format!("{}/{}/fixtures", env!("CARGO_MANIFEST_DIR"), self.folder);
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

    /// What is in one of them.
    pub fn body(&self, wanted: &str) -> Vec<u8> {
        let found = self.all().into_iter().find(|(name, _)| name == wanted);
        found.unwrap_or_else(|| panic!("no fixture {wanted}")).1
    }

    /// One of them, stored.
    pub fn raw(&self, name: &str) -> RawItem {
        raw(self.id, (self.item)(name, self.body(name).into()))
    }

    /// What becomes of one of them.
    pub fn seen(&self, name: &str) -> Value {
        self.outcome(name, self.body(name), &self.normalize)
    }

    /// The same by other settings.
    pub fn seen_by(&self, name: &str, normalize: impl Fn(&RawItem) -> Outcome) -> Value {
        self.outcome(name, self.body(name), &normalize)
    }

    fn outcome(&self, name: &str, body: Vec<u8>, normalize: &dyn Fn(&RawItem) -> Outcome) -> Value {
        let item = (self.item)(name, body.into());
        let key = json!({
            "external_id": item.external_id,
            "revision": item.revision,
            "conversation": item.conversation,
            "problem": item.problem.as_ref().map(ToString::to_string),
        });
        match normalize(&raw(self.id, item)) {
            Ok(messages) => json!({"item": key, "messages": messages}),
            Err(error) => json!({"item": key, "quarantined": error.to_string()}),
        }
    }

    /// Every fixture, at least so many, becomes what was reviewed.
    pub fn assert_reviewed(&self, least: usize) {
        let all = self.all();
        assert!(all.len() >= least, "{} fixtures", all.len());
        let mut settings = insta::Settings::clone_current();
        let folder = format!("{}/{}/fixtures/snapshots", env!("CARGO_MANIFEST_DIR"), self.folder);
        settings.set_snapshot_path(folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            for (name, body) in all {
                insta::assert_json_snapshot!(name.clone(), self.outcome(&name, body, &self.normalize));
            }
        });
    }

    /// None of these words comes out of any fixture.
    pub fn assert_hidden(&self, words: &[&str]) {
        for (name, body) in self.all() {
            let seen = self.outcome(&name, body, &self.normalize).to_string();
            for hidden in words {
                assert!(!seen.contains(hidden), "{name} shows {hidden}");
            }
        }
    }

    /// Whatever bytes: they are kept as they came, under the same key each time, and nothing panics.
    pub fn assert_survives(&self, name: &str, body: impl Into<Bytes>) {
        let body = body.into();
        let item = (self.item)(name, body.clone());
        assert_eq!(item.body, body, "the bytes are kept as they came");
        assert!(!item.external_id.is_empty());
        assert_eq!(item, (self.item)(name, body), "the same bytes have the same key");
        for ordinal in [0, 1] {
            let stored = RawItem {
                ordinal,
                ..raw(self.id, item.clone())
            };
            let first = (self.normalize)(&stored);
            assert_eq!(first, (self.normalize)(&stored));
            for message in first.into_iter().flatten() {
                assert!(!message.data.external.id.is_empty());
            }
        }
    }

    /// The same of random bytes, and of fixtures that were cut or had a value changed.
    pub fn assert_survives_damage(&self) {
        let all = self.all();
        proptest!(|(which in any::<Index>(), body in proptest::collection::vec(any::<u8>(), 0..200))| {
            self.assert_survives(&which.get(&all).0, body);
        });
        proptest!(|(which in any::<Index>(), place in any::<Index>(), new in json_value())| {
            let (name, body) = which.get(&all);
            let mut fixture: Value = serde_json::from_slice(body).expect("fixtures are JSON");
            let places = pointers(&fixture);
            *fixture.pointer_mut(place.get::<String>(&places)).expect("a place inside") = new;
            self.assert_survives(name, fixture.to_string());
        });
        proptest!(|(which in any::<Index>(), length in any::<Index>())| {
            let (name, body) = which.get(&all);
            self.assert_survives(name, body[..length.index(body.len())].to_vec());
        });
    }
}

/// A random piece of JSON, shallow.
fn json_value() -> impl Strategy<Value = Value> {
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
