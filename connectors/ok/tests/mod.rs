//! Tests of the connector: golden files, hostile input, and life against the simulated platform.

mod checking;
mod fixtures;
mod habits;
mod messages;
mod receiving;
mod renewing;
mod settings;
mod subscribing;
mod talk;
mod trouble;
mod vanishing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use priem_city::ok::{Act, Group, OkCity, Options, Place, Registration, Word};
use priem_sdk::{Connector, ConnectorError, Cursor, Cx, EventType, Wait, conformance::Planted, contract::ConnectorId};
use serde_json::{Value, json};

use super::conformance::{
    ACCESS_TOKEN, APP_SECRET, GROUP, OTHER, OTHER_TOKEN, PATH, REFRESH_TOKEN, TOKEN, by_webhook, planted, prove,
};
use crate::testing::{self, Journal};

const ID: &str = "ok-groups";
const MESSAGES: &str = "history/57000000000001";
const TALK: &str = "discussions/57000000000001";

fn cx() -> Cx {
    Cx::new(ConnectorId::new(ID))
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
