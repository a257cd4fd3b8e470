//! Tests of the connector: golden files, hostile input, and life against the simulated Bot API server.

mod files;
mod fixtures;
mod history;
mod polling;
mod receiving;
mod settings;
mod subscribing;

use std::{collections::HashSet, sync::Arc, time::Duration};

use priem_city::{
    max::{Bot, MaxCity, Options, Place},
    telegram::Person,
};
use priem_sdk::{BuildContext, Connector, Cursor, Cx, EventType, Item, Page, RawItem, contract::ConnectorId};
use serde_json::{Value, json};

use crate::testing::{self, Journal};

/// A token that belongs to nobody.
const TOKEN: &str = "f9LHodD0cOLjFRE4xMNjzZ0of-token-of-nobody";
/// A path secret and a header secret.
const PATH: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "header-secret_1";
/// A group of the city.
const GROUP: i64 = -70_000_000_000_777;

/// Settings with their secrets in a folder that lives as long as this.
struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, secret) in [("token", TOKEN), ("path", PATH), ("secret", SECRET)] {
            std::fs::write(folder.path().join(name), secret).expect("write secret");
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> Value {
        json!({"file": self.folder.path().join(name)})
    }

    /// Smallest settings, with `more` on top.
    fn settings(&self, more: Value) -> Value {
        let mut settings = json!({"token": self.file("token")});
        extend(&mut settings, more);
        settings
    }

    fn webhook(&self) -> Value {
        json!({"path": self.file("path"), "secret": self.file("secret"), "source_networks": []})
    }

    fn build(&self, more: Value) -> Result<Arc<dyn Connector>, priem_sdk::ConfigError> {
        self.build_at("https://priem.example.ru", more)
    }

    fn build_at(&self, public_url: &str, more: Value) -> Result<Arc<dyn Connector>, priem_sdk::ConfigError> {
        let context = BuildContext {
            id: id(),
            base_dir: self.folder.path().to_owned(),
            public_url: Some(public_url.into()),
        };
        (super::TYPE.build)(self.settings(more), &context)
    }

    /// A connector that talks to the city.
    fn against(&self, city: &MaxCity, more: Value) -> Arc<dyn Connector> {
        let mut settings = json!({
            "api_url": city.api_url(),
            "http": {"requests_per_second": 10_000},
            "poll": {"timeout_s": 1, "least_pause_ms": 0},
        });
        extend(&mut settings, more);
        self.build(settings).expect("settings fit")
    }
}

fn extend(settings: &mut Value, more: Value) {
    let (Value::Object(all), Value::Object(more)) = (settings, more) else {
        panic!("settings are objects");
    };
    all.extend(more);
}

fn id() -> ConnectorId {
    ConnectorId::new("max-main")
}

fn cx() -> Cx {
    Cx {
        id: id(),
        take_over: false,
    }
}

fn take_over() -> Cx {
    Cx {
        take_over: true,
        ..cx()
    }
}

fn raw(item: Item) -> RawItem {
    testing::raw("max-main", item)
}

/// A city whose second lasts a hundredth of a second, that counts nobody's calls, and a bot with our token.
async fn city() -> (MaxCity, Bot) {
    let options = Options {
        second: Duration::from_millis(10),
        polls_per_second: 10_000,
        requests_per_second: 10_000,
        ..Options::default()
    };
    let city = MaxCity::start(options).await.expect("a free port");
    let bot = city.bot(TOKEN);
    (city, bot)
}

fn citizen(id: i64) -> Person {
    Person::new(id, "Житель")
}

/// Everything the journal holds, as it is published: event and words.
fn published(connector: &Arc<dyn Connector>, journal: &Journal) -> Vec<(EventType, String)> {
    journal
        .stored
        .iter()
        .flat_map(|raw| connector.normalize(raw).expect("known kinds"))
        .map(|message| (message.event, message.data.body.text))
        .collect()
}
