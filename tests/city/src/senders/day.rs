//! A day of traffic: what each system sends, and what must become of it.
//!
//! Everything follows from the seed. Requests come alone and in batches, twice, out of order, with bad records among good
//! ones and bodies that are no JSON.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::voices::Crowd;

/// A surname that must not be found where no citizen's name belongs.
pub const SURNAME: &str = "Вебхуковская";
/// Most records of one request.
const LARGEST_BATCH: usize = 5;

/// Something that must come out in the end, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Id at the source.
    pub object: String,
    /// Name of the version, when the source gives one.
    pub revision: Option<String>,
    /// `received`, `updated`, `status`, `rated`, `reopened`, `vote_result`.
    pub event: &'static str,
}

/// What a system sends on a day.
#[derive(Debug, Clone, Default)]
pub struct Day {
    /// Bodies, in the order in which they are sent.
    pub requests: Vec<Bytes>,
    /// What must come out, each once.
    pub brings: Vec<Brought>,
    /// Records whose mapping fails; their neighbours must go through.
    pub failing: usize,
    /// Records without an id.
    pub nameless: usize,
    /// Bodies that are no JSON.
    pub garbage: usize,
}

/// Records in the making of a day.
struct Making {
    day: Day,
    records: Vec<Value>,
    random: fastrand::Rng,
}

impl Making {
    fn new(seed: u64) -> Self {
        Self {
            day: Day::default(),
            records: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    fn brings(&mut self, object: &str, revision: Option<String>, event: &'static str, record: Value) {
        self.day.brings.push(Brought {
            object: object.to_owned(),
            revision,
            event,
        });
        self.records.push(record);
    }

    /// Packs the records into requests, sends some of them twice, mixes all, and puts garbage between.
    fn finish(mut self, wrap: &str) -> Day {
        self.random.shuffle(&mut self.records);
        let mut records = self.records.into_iter();
        let mut requests = Vec::new();
        loop {
            let count = self.random.usize(1..=LARGEST_BATCH);
            let batch: Vec<Value> = records.by_ref().take(count).collect();
            let body = match batch.as_slice() {
                [] => break,
                [only] if self.random.bool() => only.to_string(),
                _ if self.random.bool() => Value::Array(batch).to_string(),
                _ => json!({ wrap: batch }).to_string(),
            };
            requests.push(Bytes::from(body));
        }
        let again: Vec<Bytes> = requests.iter().step_by(3).cloned().collect();
        requests.extend(again);
        for number in 0..3 {
            requests.push(Bytes::from(format!("{{\"{wrap}\": [{{\"id\": {number}")));
        }
        self.day.garbage = 3;
        self.random.shuffle(&mut requests);
        self.day.requests = requests;
        self.day
    }
}

/// A day of «Управляем вместе» with so many messages of citizens.
pub fn uv(seed: u64, messages: u64) -> Day {
    let mut making = Making::new(seed);
    let mut crowd = Crowd::new(seed, 20);
    for number in 0..messages {
        let id = 500_000 + number;
        let voice = crowd.voice();
        let card = json!({
            "id": id, "created": "12.01.2026 09:15", "category": "Дворы", "theme": "Уборка снега",
            "season": number % 2 == 0, "text": format!("<p>{}&nbsp;({number})</p>", voice.text),
            "author": {"surname": SURNAME, "name": "Анна", "phone": "8 900 000-00-00"}, "status": "Новое",
            "address": "ул. Примерная, 7", "district": "Дзержинский", "municipality": "Пермский городской округ",
        });
        let mut step = |kind: &str, event, changes: Value| {
            let name = format!("evt-{id}-{kind}");
            let mut card = card.clone();
            if let (Some(card), Some(changes)) = (card.as_object_mut(), changes.as_object()) {
                card.extend(changes.clone());
            }
            let record = json!({"id": name, "type": kind, "message": card});
            making.brings(&id.to_string(), Some(name), event, record);
        };
        if number % 9 == 8 {
            // A kind of event nobody has heard of, alone: the first version of its object.
            step(
                "teleported",
                "received",
                json!({"status": "На Луне", "rating": "отлично", "mood": [1]}),
            );
            continue;
        }
        step("created", "received", json!({}));
        if number % 2 == 0 {
            step("status", "status", json!({"status": "В РАБОТЕ"}));
        }
        if number % 3 == 0 {
            step(
                "answered",
                "status",
                json!({"status": "Дан ответ", "answered": "2026-01-15T10:00:00+05:00"}),
            );
            step("rated", "rated", json!({"rating": 1 + number % 5}));
        }
        if number % 6 == 0 {
            step("refuted", "reopened", json!({"status": "Опровергнуто"}));
        }
    }
    for number in 0..messages.div_ceil(10) {
        let id = 590_000 + number;
        // Files of an unknown shape: the mapping throws.
        let failing = json!({"id": format!("evt-{id}"), "type": "created", "message": {"id": id, "files": [7]}});
        let nameless =
            json!({"id": format!("evt-{id}-x"), "type": "created", "message": {"text": format!("{SURNAME} {id}")}});
        making.records.extend([failing, nameless]);
        making.day.failing += 1;
        making.day.nameless += 1;
    }
    making.finish("events")
}

/// A day of МСС with so many comments.
pub fn mss(seed: u64, comments: u64) -> Day {
    let mut making = Making::new(seed);
    let mut crowd = Crowd::new(seed, 20);
    for number in 0..comments {
        let id = format!("МСС-{number}");
        let voice = crowd.voice();
        let mut step = |version: u64, event: &str, becomes, status: &str| {
            let record = json!({
                "number": id, "version": version, "event": event, "created": "02.03.2026 08:10", "network": "ВКонтакте",
                "author": format!("{SURNAME} Анна"), "text": format!("[id5|Глава], {} ({number})", voice.text),
                "category": "Дороги", "topic": "Ямы", "status": status, "municipality": "Березники",
            });
            making.brings(&id, Some(version.to_string()), becomes, record);
        };
        step(1, "new", "received", "Новое");
        if number % 2 == 0 {
            step(2, "status", "status", "В работе");
        }
        if number % 5 == 0 {
            step(3, "changed", "updated", "Ждём марсиан");
        }
    }
    making.records.push(json!({"text": "без номера"}));
    making.day.nameless += 1;
    making.finish("items")
}

/// A day of a source of votes with so many votes, each with three options.
pub fn votes(seed: u64, votes: u64) -> Day {
    let mut making = Making::new(seed);
    for number in 0..votes {
        let vote = format!("Г-{number}");
        let options: Vec<Value> = ["Парк", "Сквер", "Набережная"]
            .iter()
            .zip(1..)
            .map(|(option, place)| json!({"option": option, "votes": 100 * place + number, "share": "12,5 %"}))
            .collect();
        for option in &options {
            making.day.brings.push(Brought {
                object: format!("{vote}/{}", option["option"].as_str().unwrap_or_default()),
                revision: None,
                event: "vote_result",
            });
        }
        // Counted twice with the same numbers: no news.
        for hour in [1, 2] {
            making.records.push(json!({
                "number": vote, "title": "Какое место благоустроить?", "municipality": "Березники", "end": "28.02.2026",
                "status": "Завершено", "counted_at": format!("2026-03-01T0{hour}:00:00+05:00"), "options": options,
            }));
        }
    }
    making.records.push(json!({"title": "Без номера", "options": []}));
    making.day.nameless += 1;
    making.finish("votes")
}
