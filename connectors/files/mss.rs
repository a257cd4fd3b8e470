//! «Мониторинг социальных сетей» and any other system nothing is known of (domain reference, 5).
//!
//! The headers below are plain words, not those of a system: name the columns of the real file in the setting
//! `headers`. Never chosen by headers alone.

use jiff::tz::TimeZone;
use priem_sdk::{
    EventType, MessageData,
    message::{AuthorKind, DeadlineStage, Kind, Place, Regime},
};

use super::{
    incident,
    mapping::{Aspect, Cells, FieldKind, FieldSpec, Mapping, Role, Spellings},
    shared::{self, field},
};

/// The mapping `mss`.
pub static MAPPING: Mapping = Mapping {
    name: "mss",
    title: "Мониторинг социальных сетей (общая разметка)",
    fields: FIELDS,
    header_fields: 2,
    signature: &[],
    events: (EventType::Received, EventType::Updated),
    aspects: ASPECTS,
    key_with: None,
    vocabulary: &[],
    build,
    spellings: Spellings::new(),
};

use FieldKind::{Date, Text};
use Role::{Important, Key, Optional, Subject};

#[rustfmt::skip]
const FIELDS: &[FieldSpec] = &[
    field("number", Key, Text, "Номер", &["ID"]),
    field("created", Important, Date, "Дата", &["Дата создания"]),
    field("network", Optional, Text, "Источник", &["Социальная сеть"]),
    field("account", Optional, Text, "Аккаунт", &[]),
    field("author", Optional, Text, "Автор", &[]),
    field("author_id", Optional, Text, "ID автора", &["Ссылка на автора"]),
    field("text", Subject, Text, "Текст", &["Текст сообщения"]),
    field("url", Optional, Text, "Ссылка", &[]),
    field("category", Important, Text, "Категория", &["Группа тем"]),
    field("topic", Important, Text, "Тема", &[]),
    field("executor", Optional, Text, "Исполнитель", &[]),
    field("municipality", Optional, Text, "Муниципалитет", &[]),
    field("district", Optional, Text, "Район", &[]),
    field("address", Optional, Text, "Адрес", &[]),
    field("deadline", Optional, Date, "Срок", &["Срок ответа"]),
    field("closed", Optional, Date, "Дата ответа", &[]),
    field("status", Optional, Text, "Статус", &[]),
];

static ASPECTS: &[Aspect] = &[Aspect {
    name: "status",
    fields: &["status", "closed"],
    event: EventType::Status,
    news_at_first: false,
    says: |cells| cells.said("status").is_some() || cells.said("closed").is_some(),
    notes_silence: false,
}];

fn build(cells: &Cells<'_>, zone: &TimeZone) -> MessageData {
    let mut data = MessageData::new("mss", Kind::Comment, Regime::OpenSourceMessage);
    data.external.url = shared::web_address(cells, "url");
    data.subchannel = cells.said("network").map(incident::network);
    data.author.name = cells.owned("author");
    data.author.external_id = cells.owned("author_id");
    if data.author.name.is_some() || data.author.external_id.is_some() {
        data.author.kind = AuthorKind::Person;
    }
    shared::fill_text(cells, "text", &mut data);
    data.topic = shared::topic(cells, "mss", &["category", "topic"]);
    data.organisation.current = shared::organisation(cells, "executor");
    data.status = shared::status(cells, &["status"], "", incident::COMMON_STATUS);
    data.place = Place {
        text: cells.owned("address"),
        municipality: cells.owned("municipality"),
        city_district: cells.owned("district"),
        ..Place::default()
    }
    .with_precision();
    data.times.at_source = shared::date(cells, "created", zone, &mut data);
    data.times.closed = shared::date(cells, "closed", zone, &mut data);
    shared::fill_deadline(cells, "deadline", DeadlineStage::Answer, zone, &mut data);
    shared::extra(cells, "account", &mut data);
    data
}
