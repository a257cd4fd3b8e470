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
use priem_sdk::{Connector, Cursor, Cx, EventType, Item, Page, RawItem, conformance::Planted, contract::ConnectorId};
use serde_json::{Value, json};

use super::conformance::{PATH, SECRET, TOKEN, by_webhook, planted, prove};
use crate::testing::{self, Journal};

const ID: &str = "max-main";
/// A group of the city.
const GROUP: i64 = -70_000_000_000_777;

fn cx() -> Cx {
    Cx::new(ConnectorId::new(ID))
}

fn take_over() -> Cx {
    testing::taking_over(cx())
}

fn raw(item: Item) -> RawItem {
    testing::raw(ID, item)
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
