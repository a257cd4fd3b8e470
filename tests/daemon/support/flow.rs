//! What runs through an installation under test: settings between the simulators and a broker, a load of citizens who
//! write, a ledger of what was sent, and the comparison with what a queue holds in the end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
    time::Duration,
};

use priem_city::{
    broker::{Broker, Delivered},
    exports::{self, Encoding, ExportSpec, Format, Manifest},
    telegram::{Bot, Options, Person, TelegramCity},
    voices::Crowd,
};
use priem_sdk::{EventType, Message};
use serde_json::json;

use super::{Installation, http};

/// Token of the bot behind the connector `hook`.
pub const HOOK_TOKEN: &str = "700000001:AAE-hook-token-that-nobody-may-see-0001";
/// Token of the bot behind the connector `poll`.
pub const POLL_TOKEN: &str = "700000002:AAE-poll-token-that-nobody-may-see-0002";
/// Unguessable part of the webhook's address.
pub const HOOK_PATH: &str = "path-0123456789abcdef0123456789abcdef";
/// What Telegram repeats in every delivery.
pub const HOOK_SECRET: &str = "hook-secret-0123456789abcdef";
/// The queue the starter settings bind to everything.
pub const QUEUE: &str = "priem.messages";

/// One delivery of our own to the connector `hook`; its status.
pub async fn deliver(daemon: &Installation, number: u64, text: &str) -> u16 {
    let body = format!(
        r#"{{"update_id":{number},"message":{{"message_id":{number},"date":1700000000,"text":"{text}",
        "chat":{{"id":7,"type":"private","first_name":"А"}},"from":{{"id":7,"is_bot":false,"first_name":"А"}}}}}}"#
    );
    let answer = http()
        .post(format!("http://127.0.0.1:{}/hooks/hook/{HOOK_PATH}", daemon.hooks))
        .header("x-telegram-bot-api-secret-token", HOOK_SECRET)
        .body(body)
        .send()
        .await;
    answer.expect("an answer").status().as_u16()
}

/// A Telegram whose seconds last five milliseconds, so that its pauses and retries are short.
pub async fn telegram() -> TelegramCity {
    let options = Options {
        second: Duration::from_millis(5),
        ..Options::default()
    };
    TelegramCity::start(options).await.expect("a Telegram simulator")
}

/// Settings up to the connectors, without reminders: invented rows have dates of any age. `broker` is `None` for NDJSON into `{folder}/out.ndjson`.
pub fn settings(broker: Option<&Broker>) -> String {
    let out = match broker {
        Some(broker) => format!("amqp: {{ url: \"{}\", heartbeat_seconds: 3 }}", broker.amqp_url()),
        None => "ndjson: { path: out.ndjson, fsync: false }".into(),
    };
    format!(
        "version: 1\njournal: {{ dir: journal, min_free_bytes: 0 }}\nhttp:\n  admin: {{ listen: \"127.0.0.1:{{admin}}\" }}\n  \
         webhooks: {{ listen: \"127.0.0.1:{{hooks}}\", public_url: \"http://127.0.0.1:{{hooks}}\" }}\n{out}\n\
         log: {{ level: info, format: json }}\ndeadlines: {{ events: [] }}\nconnectors:\n"
    )
}

/// The connector `hook`: a bot by webhook.
pub fn hook(api_url: &str) -> String {
    format!(
        "  hook:\n    type: telegram\n    mode: webhook\n    api_url: {api_url}\n    \
         token: {{ file: \"{{folder}}/secrets/hook-token\" }}\n    http: {{ requests_per_second: 1000 }}\n    \
         webhook: {{ path: {HOOK_PATH}, secret_token: {{ file: \"{{folder}}/secrets/hook-secret\" }}, source_networks: [] }}\n"
    )
}

/// The connector `poll`: a bot by long polling.
pub fn poll(api_url: &str) -> String {
    format!(
        "  poll:\n    type: telegram\n    mode: poll\n    api_url: {api_url}\n    \
         token: {{ file: \"{{folder}}/secrets/poll-token\" }}\n    http: {{ requests_per_second: 1000 }}\n"
    )
}

/// The connector `exports`: a drop folder, looked at often and read in small pages.
pub fn files() -> String {
    "  exports:\n    type: files\n    folder: \"{folder}/drop\"\n    settle: 0s\n    settle_broken: 1s\n    every: 50ms\n    \
     rows_per_page: 20\n"
        .into()
}

/// An installation with these settings and the secrets they name.
pub fn install(settings: &str) -> Installation {
    let installation = Installation::new(settings);
    installation.secret("hook-token", HOOK_TOKEN);
    installation.secret("poll-token", POLL_TOKEN);
    installation.secret("hook-secret", HOOK_SECRET);
    installation
}

/// What must come out.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Events by (connector, external id, type), in the order of their conversation; the exact id where it is known.
    expected: BTreeMap<(String, String, &'static str), Expected>,
    next: usize,
}

#[derive(Debug)]
struct Expected {
    /// Exact ids, one for each revision; empty when the journal names revisions.
    ids: BTreeSet<String>,
    conversation: String,
    place: usize,
}

/// What [`Ledger::settle`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Different events.
    pub events: usize,
    /// Deliveries beyond the first of each event to each recipient (a rule's `also` sends a copy under the same id).
    pub repeated: usize,
}

impl Settlement {
    /// Asserts that every event of the ledger came, and none twice.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    pub fn assert_each_once(&self, ledger: &Ledger) {
        let wanted = Self {
            events: ledger.events(),
            repeated: 0,
        };
        assert_eq!(*self, wanted);
    }
}

impl Ledger {
    /// An event with a revision the source named.
    pub fn exact(&mut self, connector: &str, external_id: &str, revision: &str, event: EventType, conversation: &str) {
        let id = Message::event_id(connector, external_id, revision, event);
        let entry = self.entry(connector, external_id, event, conversation);
        entry.ids.insert(id.to_string());
    }

    /// An event whose revision the journal names.
    pub fn any_revision(&mut self, connector: &str, external_id: &str, event: EventType) {
        self.entry(connector, external_id, event, external_id);
    }

    fn entry(&mut self, connector: &str, external_id: &str, event: EventType, conversation: &str) -> &mut Expected {
        self.next += 1;
        let place = self.next;
        let key = (connector.to_owned(), external_id.to_owned(), event.as_str());
        self.expected.entry(key).or_insert_with(|| Expected {
            ids: BTreeSet::new(),
            conversation: format!("{connector}/{conversation}"),
            place,
        })
    }

    /// How many different events are expected.
    pub fn events(&self) -> usize {
        self.expected.values().map(|expected| expected.ids.len().max(1)).sum()
    }

    /// Compares with everything a queue held, oldest first.
    ///
    /// # Panics
    /// When an event is missing, was never sent, has another id than its identity says, differs between two
    /// deliveries, or overtook an earlier one of its conversation.
    pub fn settle(&self, delivered: &[Delivered]) -> Settlement {
        let mut bodies: HashMap<(&str, String), &[u8]> = HashMap::new();
        let mut found: BTreeMap<&(String, String, &'static str), BTreeSet<&str>> = BTreeMap::new();
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for one in delivered {
            let body: serde_json::Value = serde_json::from_slice(&one.body).expect("a JSON body");
            let text = |pointer: &str| {
                body.pointer(pointer)
                    .and_then(|value| value.as_str())
                    .unwrap_or_default()
            };
            let (connector, external_id) = (text("/data/connector"), text("/data/external/id"));
            let event = EventType::ALL
                .into_iter()
                .find(|event| event.as_str() == text("/type"))
                .expect("a known type");
            let identity = Message::event_id(connector, external_id, text("/data/external/revision"), event);
            assert_eq!(
                one.message_id,
                identity.to_string(),
                "the id follows from the identity: {external_id}"
            );
            assert_eq!(one.message_id, text("/id"), "the id is in the body too");
            let recipient = text("/data/routing/queue").to_owned();
            if let Some(first) = bodies.insert((&one.message_id, recipient), &one.body) {
                let (first, again) = (without_look_ups(first), without_look_ups(&one.body));
                assert!(
                    first == again,
                    "{external_id} was repeated with another body: {}",
                    difference(first.as_bytes(), again.as_bytes())
                );
                continue;
            }
            let key = (connector.to_owned(), external_id.to_owned(), event.as_str());
            let Some((key, expected)) = self.expected.get_key_value(&key) else {
                panic!("{key:?} was published but never sent");
            };
            assert!(
                expected.ids.is_empty() || expected.ids.contains(&one.message_id),
                "{key:?}: id {} was never sent",
                one.message_id
            );
            found.entry(key).or_default().insert(&one.message_id);
            let before = places.entry(&expected.conversation).or_default();
            assert!(
                before.last().is_none_or(|last| *last <= expected.place),
                "{key:?} came after a later event of its conversation: as {}. after {before:?}",
                expected.place
            );
            before.push(expected.place);
        }
        let mut missing = Vec::new();
        for (key, expected) in &self.expected {
            let ids = found.get(key).map_or(0, BTreeSet::len);
            if ids != expected.ids.len().max(1) {
                missing.push((key, ids, expected.ids.len().max(1)));
            }
        }
        assert!(
            missing.is_empty(),
            "{} kinds of events with a wrong count: {missing:?}",
            missing.len()
        );
        Settlement {
            events: found.values().map(BTreeSet::len).sum(),
            repeated: delivered.len() - bodies.len(),
        }
    }

    /// Compares with the lines of an NDJSON file.
    pub fn settle_lines(&self, path: &Path) -> Settlement {
        let text = std::fs::read_to_string(path).expect("the NDJSON file");
        let delivered: Vec<Delivered> = text.lines().map(delivered_line).collect();
        self.settle(&delivered)
    }
}

/// A body without what is looked up between journal and routing: a look-up may fail the first time and succeed when the
/// message comes again, under the same id.
fn without_look_ups(body: &[u8]) -> String {
    let mut body: serde_json::Value = serde_json::from_slice(body).expect("a JSON body");
    for (object, looked_up) in [
        ("/data/author", &["name", "username"][..]),
        ("/data/extra", &["chat_title"]),
    ] {
        if let Some(object) = body.pointer_mut(object).and_then(|object| object.as_object_mut()) {
            for field in looked_up {
                object.remove(*field);
            }
        }
    }
    if body
        .pointer("/data/extra")
        .is_some_and(|extra| extra == &serde_json::json!({}))
    {
        body["data"].as_object_mut().expect("an object").remove("extra");
    }
    body.to_string()
}

/// Where two texts part, and how they go on.
fn difference(one: &[u8], other: &[u8]) -> String {
    let at = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let from = at.saturating_sub(40);
    let shown = |text: &[u8]| String::from_utf8_lossy(&text[from..text.len().min(at + 120)]).into_owned();
    format!("…{}… and …{}…", shown(one), shown(other))
}

fn delivered_line(line: &str) -> Delivered {
    let body: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
    Delivered {
        message_id: body["id"].as_str().unwrap_or_default().to_owned(),
        routing_key: String::new(),
        headers: BTreeMap::new(),
        properties: Default::default(),
        body: line.as_bytes().to_vec(),
    }
}

/// Citizens who write to one bot: privately, in a group, with edits.
pub struct Writers {
    bot: Bot,
    connector: &'static str,
    crowd: Crowd,
    said: u64,
}

/// A group all writers of a bot share.
const GROUP: i64 = -1_001_234_500_001;

impl Writers {
    /// Writers to a bot, heard by a connector.
    pub fn new(bot: Bot, connector: &'static str, seed: u64) -> Self {
        Self {
            bot,
            connector,
            crowd: Crowd::new(seed, 12),
            said: 0,
        }
    }

    /// Somebody writes; now and then in the group, now and then an edit follows.
    pub fn write(&mut self, ledger: &mut Ledger) {
        self.said += 1;
        let (person, voice) = (self.crowd.person(), self.crowd.voice());
        let text = format!("{} ({})", voice.text, self.said);
        let sent = if self.crowd.once_in(4) {
            self.bot.send_group(GROUP, "Соседи", &person, &text)
        } else {
            self.bot.send_private(&person, &text)
        };
        let (chat, id) = (
            sent.chat_id.to_string(),
            format!("{}:{}", sent.chat_id, sent.message_id),
        );
        ledger.exact(self.connector, &id, "0", EventType::Received, &chat);
        if self.crowd.once_in(8) && sent.chat_id > 0 {
            let edited_at = 1_760_000_000 + i64::try_from(self.said).expect("a small number");
            let update_id = self.edit(&person, sent.message_id, edited_at, &format!("{text}, дополнено"));
            let revision = format!("{edited_at}.{update_id}");
            ledger.exact(self.connector, &id, &revision, EventType::Updated, &chat);
        }
    }

    /// Keeps at least `count` updates waiting.
    pub fn keep_waiting(&mut self, count: usize, ledger: &mut Ledger) {
        while self.bot.pending() < count {
            self.write(ledger);
        }
    }

    fn edit(&self, person: &Person, message_id: i64, edited_at: i64, text: &str) -> i64 {
        let message = json!({
            "message_id": message_id, "date": edited_at - 1, "edit_date": edited_at, "text": text,
            "chat": {"id": person.id, "type": "private", "first_name": person.first_name},
            "from": {"id": person.id, "is_bot": false, "first_name": person.first_name},
        });
        let update = json!({ "edited_message": message });
        self.bot.push(update).expect("edits are asked for")
    }
}

/// Exports dropped one after the other: clean ones, then ones with bad rows, then later versions with changes.
pub struct Importer {
    folder: std::path::PathBuf,
    dropped: u64,
    incidents: u64,
    /// Bad rows so far.
    pub bad_rows: u64,
    seen: HashSet<String>,
}

impl Importer {
    /// An importer into the drop folder of an installation, with so many incidents in a file.
    pub fn new(installation: &Installation, incidents: u64) -> Self {
        let folder = installation.folder.path().join("drop");
        std::fs::create_dir_all(folder.join("inbox")).expect("folders");
        Self {
            folder,
            dropped: 0,
            incidents,
            bad_rows: 0,
            seen: HashSet::new(),
        }
    }

    /// Files in `inbox`, `done` or `failed`, but for the reports beside them.
    pub fn files_in(&self, name: &str) -> usize {
        let entries = std::fs::read_dir(self.folder.join(name))
            .into_iter()
            .flatten()
            .flatten();
        let reports = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".report.txt");
        entries.filter(|entry| !reports(entry)).count()
    }

    /// Puts files of `failed/` into the inbox again, as the guide tells the one on duty to; gives how many.
    pub fn put_back(&self) -> u64 {
        let mut count = 0;
        for entry in std::fs::read_dir(self.folder.join("failed")).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            if name.to_string_lossy().ends_with(".report.txt") {
                std::fs::remove_file(&path).expect("removed");
            } else {
                std::fs::rename(&path, self.folder.join("inbox").join(name)).expect("moved");
                count += 1;
            }
        }
        count
    }

    /// Files dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keeps two files in the inbox: one may be half read.
    pub fn keep_busy(&mut self, ledger: &mut Ledger) {
        while self.files_in("inbox") < 2 {
            self.drop_next(ledger);
        }
    }

    fn drop_next(&mut self, ledger: &mut Ledger) {
        let (round, step) = (self.dropped / 3, self.dropped % 3);
        let mut spec = ExportSpec::new(77, self.incidents).format(match self.dropped % 2 {
            0 => Format::Csv {
                encoding: Encoding::Windows1251,
                delimiter: b';',
            },
            _ => Format::Xlsx {
                shared_strings: true,
                dates_as_numbers: true,
            },
        });
        // Two files of new incidents, then a later version of the first of the two.
        spec.first = (round * 2 + step % 2) * self.incidents + 1;
        match step {
            0 => spec = spec.with_trouble(),
            1 => {}
            _ => spec = spec.later(1, 5),
        }
        let ending = if self.dropped.is_multiple_of(2) { "csv" } else { "xlsx" };
        let name = format!("export-{:04}.{ending}", self.dropped);
        let manifest = self.write(&spec, &name);
        self.note(&spec, &manifest, ledger);
        self.dropped += 1;
    }

    fn write(&self, spec: &ExportSpec, name: &str) -> Manifest {
        let beside = self.folder.join(name);
        let manifest = exports::write(&beside, spec, &mut exports::sample_voice).expect("an export");
        std::fs::rename(beside, self.folder.join("inbox").join(name)).expect("a move");
        manifest
    }

    fn note(&mut self, spec: &ExportSpec, manifest: &Manifest, ledger: &mut Ledger) {
        self.bad_rows += manifest.bad_rows;
        for (number, name) in (spec.first..).zip(&manifest.numbers) {
            if self.seen.insert(name.clone()) {
                ledger.any_revision("exports", name, EventType::Received);
            } else if spec.version > 0 && number.is_multiple_of(spec.changed_every) {
                ledger.any_revision("exports", name, EventType::Updated);
            }
        }
    }
}
