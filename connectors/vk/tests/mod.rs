//! Tests of the connector: golden files, hostile input, and life against a scripted VK.

mod catching_up;
mod checking;
mod city;
mod fixtures;
mod long_polling;
mod naming;
mod receiving;
mod settings;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use priem_sdk::{
    Connector, Cursor, Cx, Item, Page, RawItem,
    conformance::{Planted, ScriptedAnswer, ScriptedRequest, ScriptedServer},
    contract::ConnectorId,
};
use serde_json::{Value, json};

use super::conformance::{self, GROUP, SECRET, SERVICE};
use crate::testing::{self, Journal};

const ID: &str = "vk-city";

fn cx() -> Cx {
    Cx::new(ConnectorId::new(ID))
}

fn raw(item: Item, ordinal: u32) -> RawItem {
    RawItem {
        ordinal,
        ..testing::raw(ID, item)
    }
}

fn token(group: i64) -> String {
    format!("vk1.a.communitytoken{group}")
}

/// The community of the fixtures and the keys of two more.
fn planted() -> Planted {
    let setup = conformance::planted();
    setup.write("token", &token(GROUP));
    for group in [GROUP, GROUP + 1, GROUP + 2] {
        setup.write(&format!("token{group}"), &token(group));
    }
    setup
}

fn listed(id: i64) -> Value {
    json!({"id": id, "token": {"file": format!("token{id}")}})
}

/// A call VK got.
#[derive(Debug, Clone)]
struct Heard {
    /// `wall.get`; `a_check` for a long poll.
    method: String,
    params: HashMap<String, String>,
}

impl Heard {
    fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> i64 {
        self.param(name).parse().unwrap_or(0)
    }
}

/// A scripted VK that remembers what it was asked.
struct Vk {
    server: ScriptedServer,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Vk {
    /// `script` answers with the whole JSON body; `{own}` in it becomes the server's address.
    async fn start(script: impl Fn(&Heard) -> Value + Send + Sync + 'static) -> Self {
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let log = Arc::clone(&heard);
        let server = ScriptedServer::start(move |request| {
            let call = read(request);
            let own = format!("http://{}", request.host);
            let answer = script(&call).to_string().replace("{own}", &own);
            log.lock().push(call);
            ScriptedAnswer::json(&serde_json::from_str(&answer).expect("JSON"))
        });
        let server = server.await.expect("a free port");
        Self { server, heard }
    }

    fn api_url(&self) -> String {
        self.server.url()
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    fn calls(&self, method: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|call| call.method == method).collect()
    }
}

fn read(request: &ScriptedRequest) -> Heard {
    let path = request.target.split('?').next().unwrap_or_default();
    let mut heard = Heard {
        method: path.trim_start_matches("/method/").to_owned(),
        params: request.params().into_iter().collect(),
    };
    if heard.param("act") == "a_check" {
        heard.method = "a_check".into();
    }
    heard
}
