//! Reads the `tests` that stand beside the rules.

use jiff::{Timestamp, civil};
use priem_message::{
    Attachment, AttachmentKind, AuthorKind, Deadline, DeadlineBasis, DeadlineStage, DeadlineUnit, EventType, Geo, Kind,
    Message, MessageData, Moment, OrganisationRef, Regime, Satisfaction, Status, Topic,
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::clock::deadline::Zone;
use crate::engine::fields::{Field, Form};
use crate::engine::model::Origin;
use crate::language::deadlines::stage_of;
use crate::language::keys;
use crate::language::reader::Reader;
use crate::language::rules::{plain_texts, read_topic};
use priem_yaml::{Entry, Node};

/// One example: a message and what must become of it.
#[derive(Debug)]
pub(crate) struct TestCase {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) message: Message,
    pub(crate) expect: Vec<Expected>,
}

/// One expected value. Empty `values` stand for `none`.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) key: &'static str,
    /// Of `deadlines` and `due`.
    pub(crate) stage: Option<DeadlineStage>,
    pub(crate) values: Vec<String>,
}

/// The word for «nothing» in `expect`.
const NONE: &str = "none";
/// Moment of a test that gives none: a plain working day.
const DEFAULT_MOMENT: civil::DateTime = civil::date(2026, 1, 15).at(10, 0, 0, 0);

/// Reads one test.
pub(crate) fn test(reader: &mut Reader<'_>, zone: &Zone, node: &Node) -> Option<TestCase> {
    let entries = reader.known(node, "тест", keys::TEST);
    let mut part = |key: &str| {
        let found = entries.iter().find(|entry| entry.key == key).copied();
        if found.is_none() && !entries.is_empty() {
            reader.error(node.line, format!("у теста нет «{key}»"), "нужны name, given и expect");
        }
        found
    };
    let (name, given, expect) = (part("name")?, part("given")?, part("expect")?);
    let name = reader.text(&name.node, "name")?;
    let message = read_given(reader, zone, &given.node);
    let expect = read_expect(reader, zone, &expect.node);
    if expect.is_empty() {
        reader.error(
            node.line,
            format!("тест «{name}» ничего не проверяет"),
            "добавьте в expect хотя бы одно поле",
        );
    }
    Some(TestCase {
        name,
        origin: reader.origin(node.line),
        message,
        expect,
    })
}

fn read_given(reader: &mut Reader<'_>, zone: &Zone, node: &Node) -> Message {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.connector = "test".into();
    data.external.id = "test".into();
    data.times.received = instant(zone, DEFAULT_MOMENT);
    let mut event = EventType::Received;
    let mut topic = Vec::new();
    let mut classifier = "test".to_owned();
    let mut version = None;
    for entry in reader.known(node, "given", keys::GIVEN) {
        let value = &entry.node;
        match entry.key.as_str() {
            "place" => read_place(reader, value, &mut data),
            "topic" => topic = read_topic(reader, value),
            "attachments" => {
                for kind in closed_list::<AttachmentKind>(reader, Field::Attachments, value) {
                    data.attachments.push(Attachment::new(kind));
                }
            }
            "flags" => plain_texts(reader, value, "flags")
                .iter()
                .for_each(|flag| data.flags.set(flag)),
            "at" => {
                if let Some(at) = read_moment(reader, zone, value, "at") {
                    data.times.received = at;
                    data.times.at_source = Some(Moment::from_instant(at));
                }
            }
            "written" => {
                let at = read_moment(reader, zone, value, "written");
                data.times.occurred = at.map(Moment::from_instant);
            }
            "satisfaction" => data.satisfaction = read_rating(reader, value),
            "classifier_version" => version = reader.text(value, "classifier_version"),
            "source_deadlines" => {
                for (stage, at) in read_stages(reader, value, "source_deadlines") {
                    if let Some(due_at) = read_moment(reader, zone, &at.node, "source_deadlines") {
                        data.deadlines.push(source_deadline(stage, due_at, zone));
                    }
                }
            }
            "event" => event = closed(reader, Field::Event, value).map_or(event, event_of),
            "kind" => {
                data.kind = closed(reader, Field::Kind, value)
                    .and_then(parse_word)
                    .unwrap_or(data.kind)
            }
            "regime" => {
                data.legal.regime = closed(reader, Field::Regime, value)
                    .and_then(parse_word)
                    .unwrap_or(data.legal.regime);
            }
            "author" => {
                data.author.kind = closed(reader, Field::Author, value)
                    .and_then(parse_word::<AuthorKind>)
                    .unwrap_or(data.author.kind);
            }
            "status" => {
                let word = closed(reader, Field::Status, value);
                data.status = word.and_then(|word| {
                    Some(Status {
                        common: word.parse().ok()?,
                        raw: word,
                        outcome: None,
                    })
                });
            }
            key => {
                let Some(text) = reader.text(value, key) else { continue };
                match key {
                    "text" => data.body.text = text,
                    "quote" => data.body.quote = Some(text),
                    "channel" => data.channel = text,
                    "subchannel" => data.subchannel = Some(text),
                    "connector" => data.connector = text,
                    "classifier" => classifier = text,
                    "organisation" => data.organisation.current = Some(OrganisationRef { id: None, name: text }),
                    "organisation_received" => {
                        data.organisation.received = Some(OrganisationRef { id: None, name: text });
                    }
                    "language" => data.body.language = Some(text),
                    other => reader.error(
                        entry.line,
                        format!("given: ключ «{other}» известен, но не читается"),
                        "это ошибка самой программы: сообщите о ней",
                    ),
                }
            }
        }
    }
    if !topic.is_empty() {
        data.topic = Some(Topic {
            version,
            ..Topic::of_levels(&classifier, &topic)
        });
    }
    Message::new(event, data)
}

/// «2 из 5».
fn read_rating(reader: &mut Reader<'_>, node: &Node) -> Option<Satisfaction> {
    let written = reader.text(node, "satisfaction")?;
    let rating = written.split_once(" из ").and_then(|(score, scale)| {
        let (score, scale): (f64, f64) = (score.trim().parse().ok()?, scale.trim().parse().ok()?);
        (scale > 0.0).then_some(Satisfaction { score, scale })
    });
    if rating.is_none() {
        reader.error(
            node.line,
            format!("satisfaction: «{written}» — не оценка"),
            "пример: \"2 из 5\"",
        );
    }
    rating
}

fn source_deadline(stage: DeadlineStage, due_at: Timestamp, zone: &Zone) -> Deadline {
    Deadline {
        stage,
        due_at,
        zone: zone.name.clone(),
        basis: DeadlineBasis::Source,
        rule: None,
        unit: DeadlineUnit::CalendarDays,
        internal_due_at: None,
        calendar_missing: false,
    }
}

fn read_place(reader: &mut Reader<'_>, node: &Node, data: &mut MessageData) {
    for entry in reader.map(node, "place") {
        let place = &mut data.place;
        if entry.key == "point" {
            place.geo = read_point(reader, &entry.node);
            continue;
        }
        let slot = match entry.key.as_str() {
            "text" => &mut place.text,
            "region" => &mut place.region,
            "municipality" => &mut place.municipality,
            "city_district" => &mut place.city_district,
            "settlement" => &mut place.settlement,
            "street" => &mut place.street,
            "house" => &mut place.house,
            "oktmo" => &mut place.oktmo,
            "fias" => &mut place.fias,
            _ => {
                reader.unknown_key(entry, "place", keys::PLACE_GIVEN.iter().copied());
                continue;
            }
        };
        *slot = reader.text(&entry.node, &entry.key);
    }
    data.place = std::mem::take(&mut data.place).with_precision();
}

/// «58.01, 56.25»: latitude, then longitude, as maps show them.
fn read_point(reader: &mut Reader<'_>, node: &Node) -> Option<Geo> {
    let written = reader.text(node, "point")?;
    let point = written.split_once(',').and_then(|(lat, lon)| {
        let (lat, lon): (f64, f64) = (lat.trim().parse().ok()?, lon.trim().parse().ok()?);
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some(Geo { lat, lon })
    });
    if point.is_none() {
        reader.error(
            node.line,
            format!("point: «{written}» — не точка"),
            "широта и долгота в градусах через запятую: \"58.01, 56.25\"",
        );
    }
    point
}

fn read_expect(reader: &mut Reader<'_>, zone: &Zone, node: &Node) -> Vec<Expected> {
    let mut expect = Vec::new();
    for entry in reader.known(node, "expect", keys::EXPECT) {
        let Some((key, _)) = keys::EXPECT.iter().find(|(key, _)| *key == entry.key) else {
            continue;
        };
        if matches!(*key, "deadlines" | "due") {
            for (stage, value) in read_stages(reader, &entry.node, key) {
                if *key == "due" && read_moment(reader, zone, &value.node, "due").is_none() {
                    continue;
                }
                let values = reader
                    .text(&value.node, key)
                    .into_iter()
                    .filter(|value| value != NONE)
                    .collect();
                expect.push(Expected {
                    key,
                    stage: Some(stage),
                    values,
                });
            }
            continue;
        }
        let values = plain_texts(reader, &entry.node, key)
            .into_iter()
            .filter(|value| value != NONE)
            .collect();
        expect.push(Expected {
            key,
            stage: None,
            values,
        });
    }
    expect
}

fn read_stages<'n>(reader: &mut Reader<'_>, node: &'n Node, what: &str) -> Vec<(DeadlineStage, &'n Entry)> {
    let mut stages = Vec::new();
    for entry in reader.map(node, what) {
        if reader.word(&entry.key, entry.line, what, keys::STAGES) {
            stages.extend(stage_of(&entry.key).map(|stage| (stage, entry)));
        }
    }
    stages
}

fn read_moment(reader: &mut Reader<'_>, zone: &Zone, node: &Node, what: &str) -> Option<Timestamp> {
    let written = reader.text(node, what)?;
    match parse_local(&written) {
        Some(at) => Some(instant(zone, at)),
        None => {
            reader.error(
                node.line,
                format!("{what}: «{written}» — не дата и время"),
                "пример: \"2026-01-15 10:00\"",
            );
            None
        }
    }
}

/// «2026-01-15 10:00».
pub(crate) fn parse_local(written: &str) -> Option<civil::DateTime> {
    written.replace(' ', "T").parse().ok()
}

/// The instant of a local time; a time that a clock change skips or repeats is read as the clock before the change.
pub(crate) fn instant(zone: &Zone, at: civil::DateTime) -> Timestamp {
    zone.zone
        .to_ambiguous_timestamp(at)
        .compatible()
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn closed(reader: &mut Reader<'_>, field: Field, node: &Node) -> Option<String> {
    let Form::Closed(known) = field.form() else {
        return None;
    };
    let value = reader.text(node, field.key())?;
    reader.word(&value, node.line, field.key(), known).then_some(value)
}

fn closed_list<T: DeserializeOwned>(reader: &mut Reader<'_>, field: Field, node: &Node) -> Vec<T> {
    let Form::Closed(known) = field.form() else {
        return Vec::new();
    };
    let mut values = Vec::new();
    for (value, line) in reader.texts(node, field.key()) {
        if reader.word(&value, line, field.key(), known) {
            values.extend(parse_word::<T>(value));
        }
    }
    values
}

/// A word on the wire into the type of the schema.
fn parse_word<T: DeserializeOwned>(word: String) -> Option<T> {
    serde_json::from_value(Json::String(word)).ok()
}

fn event_of(word: String) -> EventType {
    let wanted = format!("ru.priem.message.{word}.v1");
    EventType::ALL
        .into_iter()
        .find(|event| event.as_str() == wanted)
        .unwrap_or(EventType::VoteResult)
}
