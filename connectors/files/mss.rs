//! «Мониторинг социальных сетей» and any other system nothing is known of (domain reference, 5).
//!
//! The headers below are plain words, not those of a system: name the columns of the real file in the setting
//! `headers`. Never chosen by headers alone.

use priem_sdk::{
    EventType,
    message::{Kind, Regime},
};

use super::{
    incident,
    mapping::{Aspect, FieldKind, FieldSpec, Mapping, Role, Spellings},
    meaning::{Meaning, USUAL},
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
    meaning: MEANING,
    spellings: Spellings::new(),
};

use FieldKind::{Date, Term, Text};
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
    field("deadline", Optional, Term, "Срок", &["Срок ответа"]),
    field("closed", Optional, Date, "Дата ответа", &[]),
    field("status", Optional, Text, "Статус", &[]),
];

static ASPECTS: &[Aspect] = &[Aspect::status(&["status", "closed"])];

const MEANING: Meaning = Meaning {
    kind: Kind::Comment,
    regime: Regime::OpenSourceMessage,
    words: incident::STATUSES,
    more: |cells, _, data| {
        data.subchannel = cells.said("network").map(incident::network);
        shared::extra(cells, "account", data);
    },
    ..USUAL
};
