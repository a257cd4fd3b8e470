//! Tests of the connector: golden files, hostile input, and life against a scripted VK.

mod catching_up;
mod checking;
mod city;
mod fixtures;
mod long_polling;
mod naming;
mod receiving;
mod settings;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use priem_sdk::{
    BuildContext, Connector, Cursor, Cx, Item, Page, RawItem,
    conformance::{ScriptedAnswer, ScriptedRequest, ScriptedServer},
    contract::ConnectorId,
};
use serde_json::{Value, json};

use crate::testing;

const GROUP: i64 = super::conformance::GROUP;

fn id() -> ConnectorId {
    super::conformance::id()
}

fn cx() -> Cx {
    Cx {
        id: id(),
        take_over: false,
    }
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
        let address = Arc::new(OnceLock::<String>::new());
        let (log, own) = (Arc::clone(&heard), Arc::clone(&address));
        let server = ScriptedServer::start(move |request| {
            let call = read(request);
            let answer = script(&call)
                .to_string()
                .replace("{own}", own.get().map_or("", String::as_str));
            log.lock().push(call);
            ScriptedAnswer::json(&serde_json::from_str(&answer).expect("JSON"))
        })
        .await
        .expect("a free port");
        address.get_or_init(|| server.url());
        Self { server, heard }
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    fn calls(&self, method: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|call| call.method == method).collect()
    }
}

fn read(request: &ScriptedRequest) -> Heard {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut heard = Heard {
        method: path.trim_start_matches("/method/").to_owned(),
        params: HashMap::new(),
    };
    for pair in body.split('&').chain(query.split('&')) {
        if let Some((key, value)) = pair.split_once('=') {
            heard.params.insert(key.to_owned(), decoded(value));
        }
    }
    if heard.param("act") == "a_check" {
        heard.method = "a_check".into();
    }
    heard
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .expect("UTF-8")
        .into_owned()
}

/// Settings with their secrets in a folder that lives as long as this.
struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let setup = Self { folder };
        for group in [GROUP, GROUP + 1, GROUP + 2] {
            setup.write(&format!("token{group}"), &token(group));
        }
        setup.write("service", SERVICE);
        setup.write("secret", SECRET);
        setup
    }

    fn write(&self, name: &str, secret: &str) {
        std::fs::write(self.folder.path().join(name), secret).expect("write secret");
    }

    fn file(&self, name: &str) -> Value {
        json!({"file": self.folder.path().join(name)})
    }

    fn community(&self, id: i64) -> Value {
        json!({"id": id, "token": self.file(&format!("token{id}"))})
    }

    /// One community, with `more` on top.
    fn settings(&self, more: Value) -> Value {
        let mut settings = json!({"communities": [self.community(GROUP)]});
        let fields = settings.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        settings
    }

    fn build(&self, more: Value) -> Result<Arc<dyn Connector>, priem_sdk::ConfigError> {
        self.build_at("https://priem.example.ru", more)
    }

    /// The same with another public address of the listener.
    fn build_at(&self, public_url: &str, more: Value) -> Result<Arc<dyn Connector>, priem_sdk::ConfigError> {
        let context = BuildContext {
            id: id(),
            base_dir: self.folder.path().to_owned(),
            public_url: Some(public_url.into()),
        };
        (super::TYPE.build)(self.settings(more), &context)
    }

    /// A connector that talks to the scripted VK.
    fn against(&self, vk: &Vk, more: Value) -> Arc<dyn Connector> {
        let mut settings = json!({
            "api_url": vk.server.url(),
            "http": {"requests_per_second": 10_000},
            "longpoll": {"wait_s": 1},
        });
        let fields = settings.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        self.build(settings).expect("settings fit")
    }
}

const SERVICE: &str = "serviceserviceserviceservice";
const SECRET: &str = "callback-secret-1";

fn token(group: i64) -> String {
    format!("vk1.a.communitytoken{group}")
}

/// What the journal does with items: keys once, unchanged versions dropped, versions counted.
#[derive(Default)]
struct Journal {
    keys: HashSet<(String, Option<String>)>,
    newest: HashMap<String, (u32, Option<[u8; 16]>)>,
    stored: Vec<RawItem>,
}

impl Journal {
    fn take(&mut self, item: Item) {
        let named = item.revision.is_some();
        if named && !self.keys.insert((item.external_id.clone(), item.revision.clone())) {
            return;
        }
        let seen = self.newest.get(&item.external_id).copied();
        if let Some((_, newest)) = seen
            && newest.is_some()
            && newest == item.fingerprint
        {
            return;
        }
        let ordinal = seen.map_or(0, |(count, _)| count);
        self.newest
            .insert(item.external_id.clone(), (ordinal + 1, item.fingerprint));
        self.stored.push(raw(item, ordinal));
    }

    /// Takes a page in and acknowledges it, as the host does.
    async fn commit(&mut self, connector: &Arc<dyn Connector>, stream: &str, page: Page) -> Cursor {
        page.items.into_iter().for_each(|item| self.take(item));
        connector
            .acknowledge(&cx(), stream, &page.next)
            .await
            .expect("acknowledged");
        page.next
    }

    fn ids(&self) -> Vec<&str> {
        self.stored.iter().map(|raw| raw.external_id.as_str()).collect()
    }

    /// Events and texts, in order.
    fn published(&self, connector: &Arc<dyn Connector>) -> Vec<(priem_sdk::EventType, String)> {
        self.stored
            .iter()
            .flat_map(|raw| connector.normalize(raw).expect("known kinds"))
            .map(|message| (message.event, message.data.body.text))
            .collect()
    }
}

fn raw(item: Item, ordinal: u32) -> RawItem {
    let revision = item.revision.clone().unwrap_or_else(|| format!("c{ordinal}"));
    RawItem {
        connector: id(),
        revision,
        ordinal,
        ..testing::raw("", item)
    }
}
