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
use priem_sdk::{Connector, Cx, Item, RawItem, contract::ConnectorId};
use serde_json::{Value, json};

use super::conformance::{PATH, TOKEN, by_webhook, planted, prove};
use crate::testing::{self, Journal};

const ID: &str = "telegram-main";

fn cx() -> Cx {
    Cx::new(ConnectorId::new(ID))
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
    testing::raw(ID, item)
}
