//! Tests of the connector: golden files, hostile input, and life against the simulated Bot API server.

mod files;
mod fixtures;
mod hearing;
mod polling;
mod receiving;
mod settings;
mod subscribing;

use std::{collections::HashSet, sync::Arc};

use priem_city::telegram::{Bot, Options, TelegramCity};
use priem_sdk::{BuildContext, Connector, Cx, Item, RawItem, contract::ConnectorId};
use serde_json::{Value, json};

use crate::testing::{self, Journal};

/// A token of the right shape that belongs to nobody.
const TOKEN: &str = "500600:AAtesttesttesttesttesttesttesttest0";
/// A path secret and a secret token.
const PATH: &str = "0123456789abcdef0123456789abcdef";
const SECRET_TOKEN: &str = "header-secret_1";

/// Settings with their secrets in a folder that lives as long as this.
struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, secret) in [("token", TOKEN), ("path", PATH), ("secret", SECRET_TOKEN)] {
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
        settings
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        settings
    }

    fn webhook(&self) -> Value {
        json!({"path": self.file("path"), "secret_token": self.file("secret")})
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
    fn against(&self, city: &TelegramCity, more: Value) -> Arc<dyn Connector> {
        let mut settings = json!({
            "api_url": city.api_url(),
            "http": {"requests_per_second": 10_000},
            "poll": {"timeout_s": 1, "limit": 100},
        });
        settings
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        self.build(settings).expect("settings fit")
    }
}

fn id() -> ConnectorId {
    ConnectorId::new("telegram-main")
}

fn cx() -> Cx {
    Cx {
        id: id(),
        take_over: false,
    }
}

/// A city whose second lasts a hundredth of a second, and a bot with our token.
async fn city() -> (TelegramCity, Bot) {
    let options = Options {
        second: std::time::Duration::from_millis(10),
        ..Options::default()
    };
    let city = TelegramCity::start(options).await.expect("a free port");
    let bot = city.bot(TOKEN);
    (city, bot)
}

fn raw(item: Item) -> RawItem {
    testing::raw("telegram-main", item)
}
