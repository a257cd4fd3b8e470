//! Tests of the connector: golden files, hostile input, and life against the simulated platform.

mod checking;
mod fixtures;
mod messages;
mod receiving;
mod renewing;
mod settings;
mod subscribing;
mod talk;
mod trouble;
mod vanishing;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use priem_city::ok::{Act, Group, OkCity, Options, Place, Registration, Word};
use priem_sdk::{
    BuildContext, Connector, ConnectorError, Cursor, Cx, EventType, Item, RawItem, Wait, contract::ConnectorId,
};
use serde_json::{Value, json};

use crate::testing;

const GROUP: &str = "57000000000001";
const OTHER: &str = "57000000000002";
const TOKEN: &str = "tkn-group-one-0123456789abcdef";
const OTHER_TOKEN: &str = "tkn-group-two-0123456789abcdef";
const ACCESS_TOKEN: &str = "tkn-access-0123456789abcdef";
const APP_SECRET: &str = "APPSECRET0123456789";
const REFRESH_TOKEN: &str = "tkn-refresh-0123456789abcdef";
const PATH: &str = "0123456789abcdef0123456789abcdef";
const MESSAGES: &str = "history/57000000000001";
const TALK: &str = "discussions/57000000000001";

/// Settings with their secrets in a folder that lives as long as this.
struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, secret) in [
            ("one", TOKEN),
            ("two", OTHER_TOKEN),
            ("access", ACCESS_TOKEN),
            ("application", APP_SECRET),
            ("refresh", REFRESH_TOKEN),
            ("path", PATH),
        ] {
            std::fs::write(folder.path().join(name), secret).expect("write secret");
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> Value {
        json!({"file": self.folder.path().join(name)})
    }

    /// Two groups with tokens and an application, with `more` on top.
    fn settings(&self, more: Value) -> Value {
        let mut settings = json!({
            "groups": [{"id": GROUP, "name": "Нагорный", "token": self.file("one")},
                       {"id": OTHER, "token": self.file("two")}],
            "application": {"key": "CBATEST", "secret": self.file("application"), "access_token": self.file("access")},
            "discussions": {"every": "1ms", "recheck_every": "24h"},
            "history_every": "1ms",
            "http": {"requests_per_second": 10_000},
        });
        settings
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        settings
    }

    fn build(&self, more: Value) -> Result<Arc<dyn Connector>, priem_sdk::ConfigError> {
        let context = BuildContext {
            id: id(),
            base_dir: self.folder.path().to_owned(),
            public_url: Some("https://priem.example.ru".into()),
        };
        (super::TYPE.build)(self.settings(more), &context)
    }

    /// A connector that talks to the city.
    fn against(&self, city: &OkCity, mut more: Value) -> Arc<dyn Connector> {
        more["api_url"] = city.api_url().into();
        self.build(more).expect("settings fit")
    }
}

fn id() -> ConnectorId {
    ConnectorId::new("ok-groups")
}

fn cx() -> Cx {
    Cx {
        id: id(),
        take_over: false,
    }
}

async fn city_with(options: Options) -> (OkCity, Group, Group) {
    let city = OkCity::start(options).await.expect("a free port");
    city.register(Registration {
        key: "CBATEST".into(),
        secret: APP_SECRET.into(),
        access_token: ACCESS_TOKEN.into(),
        session_secret: None,
    });
    let (one, two) = (city.group(GROUP, TOKEN), city.group(OTHER, OTHER_TOKEN));
    (city, one, two)
}

/// A city whose second lasts a hundredth of a second, with two groups.
async fn city() -> (OkCity, Group, Group) {
    city_with(Options {
        second: Duration::from_millis(10),
        ..Options::default()
    })
    .await
}

/// What the journal does with items: versions by fingerprint, unchanged ones dropped.
#[derive(Default)]
struct Journal {
    newest: HashMap<String, (u32, Option<[u8; 16]>)>,
    stored: Vec<RawItem>,
    quarantined: Vec<Item>,
}

impl Journal {
    fn take(&mut self, item: Item) {
        let seen = self.newest.get(&item.external_id).copied();
        if seen.is_some_and(|(_, newest)| newest == item.fingerprint) {
            return;
        }
        let ordinal = seen.map_or(0, |(count, _)| count);
        self.newest
            .insert(item.external_id.clone(), (ordinal + 1, item.fingerprint));
        if item.problem.is_some() {
            self.quarantined.push(item);
            return;
        }
        let revision = format!("c{ordinal}");
        self.stored.push(RawItem {
            ordinal,
            revision,
            ..raw(item)
        });
    }

    /// What comes out: key, event and words, in order.
    fn published(&self, connector: &Arc<dyn Connector>) -> Vec<(String, EventType, String)> {
        let messages = self
            .stored
            .iter()
            .flat_map(|raw| connector.normalize(raw).expect("known kinds"));
        messages
            .map(|message| (message.data.external.id, message.event, message.data.body.text))
            .collect()
    }
}

fn raw(item: Item) -> RawItem {
    let revision = item.revision.clone().unwrap_or_else(|| "c0123456789abcdef".into());
    RawItem {
        revision,
        ..testing::raw("ok-groups", item)
    }
}

/// Polls as the host does until a round is over: items and cursor are stored together.
async fn round(
    connector: &Arc<dyn Connector>,
    stream: &str,
    journal: &mut Journal,
    mut cursor: Cursor,
) -> Result<Cursor, ConnectorError> {
    loop {
        let page = connector.poll(&cx(), stream, &cursor).await?;
        page.items.into_iter().for_each(|item| journal.take(item));
        cursor = page.next;
        if page.wait != Wait::Now {
            return Ok(cursor);
        }
    }
}

/// The key the connector promises for a place.
fn key(word: &Word) -> String {
    let group = &word.group;
    match &word.place {
        Place::Message { mid } => format!("{group}/{mid}"),
        Place::Comment { kind, discussion, id } => format!("{group}/{kind}/{discussion}/{id}"),
        Place::Topic { id } => format!("{group}/GROUP_TOPIC/{id}"),
    }
}

/// Asserts that everything citizens wrote in a group came out once, in order inside each conversation, and nothing else.
fn assert_heard(city: &OkCity, group: &str, published: &[(String, EventType, String)], private: bool) {
    let wanted: Vec<(String, EventType, String)> = city
        .ledger()
        .iter()
        .filter(|word| word.group == group && matches!(word.place, Place::Message { .. }) == private)
        .map(|word| {
            let event = match word.act {
                Act::Wrote => EventType::Received,
                Act::Changed => EventType::Updated,
                Act::Removed => EventType::Deleted,
            };
            (key(word), event, word.text.clone())
        })
        .collect();
    let conversation = |key: &str| match key.rsplit_once('.') {
        Some((chat, _)) if private => chat.to_owned(),
        _ => key.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"),
    };
    let sorted = |all: &[(String, EventType, String)]| {
        let mut by_conversation: BTreeMap<String, Vec<(String, &str, String)>> = BTreeMap::new();
        for (key, event, text) in all {
            let entry = (key.clone(), event.as_str(), text.clone());
            by_conversation.entry(conversation(key)).or_default().push(entry);
        }
        by_conversation
    };
    let (published, wanted) = (sorted(published), sorted(&wanted));
    let keys = |all: &BTreeMap<String, Vec<(String, &str, String)>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&published), keys(&wanted));
    for (conversation, wanted) in wanted {
        let found = &published[&conversation];
        let difference = found.iter().zip(&wanted).find(|(one, other)| one != other);
        assert_eq!((found.len(), difference), (wanted.len(), None), "{conversation}");
    }
}
