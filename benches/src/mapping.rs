//! What a manifest costs: a record of the example portal through its filters in jq, against the same mapping in Rust.

use std::{hint::black_box, path::Path, time::Instant};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use priem_connectors::manifest::{Loaded, load};
use priem_sdk::{
    EventType, Message, MessageData, RawItem,
    contract::ConnectorId,
    html,
    message::{
        Attachment, AttachmentKind, AuthorKind, CommonStatus, Geo, Kind, Moment, OrganisationRef, Precision, Regime,
        Status, Topic, TopicNode,
    },
};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Args)]
pub struct MappingArgs {
    /// The example portal's manifest
    #[arg(long, default_value = "config/manifests/portal-generic.yaml")]
    manifest: std::path::PathBuf,
    /// Records per measurement
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// Interleaved rounds; the medians are printed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Measures and prints.
pub fn run(arguments: &MappingArgs) -> anyhow::Result<()> {
    let loaded = open(&arguments.manifest)?;
    let raw = raw()?;
    let zone = TimeZone::get("Asia/Yekaterinburg").context("the zone")?;
    let (mapped, written) = (loaded.mapping.normalize(&raw)?, in_rust(&raw, &zone)?);
    anyhow::ensure!(mapped == vec![written], "the two mappings differ");
    let (mut jq, mut rust) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        jq.push(micros(arguments.count, || loaded.mapping.normalize(&raw).is_ok()));
        rust.push(micros(arguments.count, || in_rust(&raw, &zone).is_ok()));
    }
    let (jq, rust) = (crate::median(&mut jq), crate::median(&mut rust));
    println!("manifest:  {jq:.1} µs a record");
    println!("Rust:      {rust:.1} µs a record");
    println!("ratio:     {:.1}", jq / rust);
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Loaded> {
    Ok(load(path)?)
}

fn micros(count: usize, one: impl Fn() -> bool) -> f64 {
    let started = Instant::now();
    for _ in 0..count {
        black_box(one());
    }
    started.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn raw() -> anyhow::Result<RawItem> {
    let text = "Во дворе не вывозят мусор вторую неделю, контейнеры переполнены. ".repeat(6);
    let record = json!({
        "number": "2026-0001", "registration": "17-01", "url": "https://portal.example.ru/appeals/2026-0001",
        "text": format!("<p>{text}</p><ul><li>ул. Примерная, 7</li><li>ул. Примерная, 9</li></ul>"),
        "applicant": {"surname": "Примерова", "name": "Анна", "phone": "+79000000000", "email": "anna@example.ru"},
        "files": [{"url": "https://portal.example.ru/files/1", "name": "двор.jpg", "type": "image/jpeg", "size": 1024}],
        "address": {"text": "Пермь, ул. Примерная, 7", "oktmo": "57701000", "point": [58.01, 56.25]},
        "topics": [{"id": "4", "name": "Мусор"}, {"id": "41", "name": "Вывоз"}],
        "executor": {"id": "12", "name": "Управление благоустройства (пример)"},
        "status": "IN_WORK", "created": "02.03.2026 10:30",
    });
    Ok(RawItem {
        connector: ConnectorId::new("portal"),
        external_id: "2026-0001".into(),
        revision: "0".into(),
        ordinal: 0,
        format: "manifest.record".into(),
        body: Bytes::from(serde_json::to_vec(&record)?),
        received_at: Timestamp::UNIX_EPOCH,
    })
}

#[derive(Deserialize)]
struct Wire {
    registration: Option<String>,
    url: Option<String>,
    text: Option<String>,
    applicant: WireApplicant,
    #[serde(default)]
    files: Vec<WireFile>,
    address: WireAddress,
    #[serde(default)]
    topics: Vec<TopicNode>,
    executor: Option<OrganisationRef>,
    status: Option<String>,
    created: Option<String>,
}

#[derive(Deserialize)]
struct WireApplicant {
    surname: Option<String>,
    name: Option<String>,
    patronymic: Option<String>,
    phone: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct WireFile {
    url: String,
    name: Option<String>,
    #[serde(rename = "type")]
    mime: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct WireAddress {
    text: Option<String>,
    oktmo: Option<String>,
    point: Option<(f64, f64)>,
}

fn in_rust(raw: &RawItem, zone: &TimeZone) -> anyhow::Result<Message> {
    let wire: Wire = serde_json::from_slice(&raw.body)?;
    let mut data = MessageData::new("portal", Kind::Portal, Regime::PortalMessage);
    data.external.url = wire.url;
    data.external.alt_id = wire.registration;
    data.author.kind = AuthorKind::Person;
    let names = [wire.applicant.surname, wire.applicant.name, wire.applicant.patronymic];
    let names: Vec<String> = names.into_iter().flatten().collect();
    data.author.name = Some(names.join(" ")).filter(|name| !name.is_empty());
    data.author.contacts.phone = wire.applicant.phone;
    data.author.contacts.email = wire.applicant.email;
    data.body.text = wire.text.as_deref().map(html::to_text).unwrap_or_default();
    data.body.html = wire.text.filter(|text| text.contains('<'));
    for file in wire.files {
        let mut attachment = Attachment::new(AttachmentKind::Document);
        attachment.url = Some(file.url);
        attachment.name = file.name;
        attachment.mime = file.mime;
        attachment.size = file.size;
        attachment.needs_token = true;
        data.attachments.push(attachment);
    }
    data.place.text = wire.address.text;
    data.place.oktmo = wire.address.oktmo;
    data.place.geo = wire.address.point.map(|(lat, lon)| Geo { lat, lon });
    data.place = data.place.with_precision();
    data.topic = Some(Topic {
        classifier: "portal-generic".into(),
        version: None,
        path: wire.topics,
        starred: false,
    });
    data.organisation.current = wire.executor;
    data.status = wire.status.map(|raw| Status {
        common: match raw.as_str() {
            "NEW" => CommonStatus::New,
            "IN_WORK" => CommonStatus::InWork,
            "ANSWERED" => CommonStatus::Answered,
            _ => CommonStatus::Other,
        },
        raw,
        outcome: None,
    });
    data.times.at_source = match &wire.created {
        Some(text) => {
            let at = jiff::civil::DateTime::strptime("%d.%m.%Y %H:%M", text)?;
            Some(Moment::from_local(at, zone, Precision::Minute).with_source_text(text.as_str()))
        }
        None => None,
    };
    Ok(raw.message(EventType::Received, data))
}
