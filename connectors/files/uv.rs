//! Exports of «Управляем вместе», the portal of Perm krai for problems of towns.
//!
//! The back office's export was not seen (domain reference, 4): fields are those a public map of the portal's messages
//! keeps, headers are guesses. Confirm them in a pilot and name others in the setting `headers`. Terms of themes are
//! working days by rule; a term in the file wins over them.

use jiff::tz::TimeZone;
use priem_sdk::{
    EventType, MessageData,
    message::{CommonStatus, DeadlineStage},
};

use super::{
    mapping::{Aspect, Cells, FieldKind, FieldSpec, Mapping, Role, Spellings},
    meaning::{Meaning, USUAL},
    shared::{self, field},
};

/// The mapping `uv`.
pub static MAPPING: Mapping = Mapping {
    name: "uv",
    title: "Управляем вместе",
    fields: FIELDS,
    header_fields: 3,
    signature: &["refuted", "refute_until", "season", "uv_number"],
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
    field("number", Key, Text, "Номер сообщения", &["ID", "Номер", "№ сообщения", "ID сообщения"]),
    field("uv_number", Optional, Text, "Номер УВ", &["Номер карточки", "ID карточки"]),
    field("created", Important, Date, "Дата создания", &["Дата сообщения", "Дата и время создания", "Создано"]),
    field("author", Optional, Text, "Автор", &["Заявитель", "ФИО заявителя"]),
    field("phone", Optional, Text, "Телефон", &["Телефон заявителя"]),
    field("email", Optional, Text, "E-mail", &["Email", "Электронная почта", "Почта"]),
    field("executor", Important, Text, "Исполнитель", &["Исполнители", "Ответственный исполнитель"]),
    field("category", Important, Text, "Категория", &["Раздел"]),
    field("topic", Important, Text, "Тема", &["Тема сообщения", "Проблема"]),
    field("season", Optional, Text, "Сезонная тема", &["Сезон"]),
    field("text", Subject, Text, "Текст сообщения", &["Текст", "Описание", "Описание проблемы", "Сообщение"]),
    field("address", Important, Text, "Адрес", &["Адрес проблемы", "Место"]),
    field("district", Optional, Text, "Район", &["Район города"]),
    field("municipality", Optional, Text, "Муниципалитет", &["Муниципальное образование", "Территория"]),
    field("geo", Optional, Text, "Координаты", &["Координаты места"]),
    field("lat", Optional, Text, "Широта", &[]),
    field("lon", Optional, Text, "Долгота", &[]),
    field("status", Important, Text, "Статус", &["Статус сообщения", "Состояние"]),
    field("deadline", Important, Term, "Срок ответа", &["Срок исполнения", "Срок", "Срок решения"]),
    field("answered", Optional, Date, "Дата ответа", &["Дата решения", "Дата закрытия"]),
    field("answer", Optional, Text, "Ответ", &["Текст ответа"]),
    field("refuted", Optional, Text, "Опровержение", &["Опровергнуто", "Дата опровержения", "Ответ опровергнут"]),
    field("refute_until", Optional, Term, "Опровержение возможно до", &["Срок опровержения"]),
    field("rating", Optional, Text, "Оценка", &["Оценка ответа", "Оценка заявителя"]),
    field("url", Optional, Text, "Ссылка", &["Ссылка на сообщение", "URL"]),
];

static ASPECTS: &[Aspect] = &[
    Aspect::status(&["status", "answered"]),
    Aspect::rating(&["rating"]),
    Aspect::reopened(&["refuted"]),
];

/// Guesses, all of them: statuses of the portal were not seen.
const STATUSES: &[(&str, CommonStatus)] = &[
    ("новое", CommonStatus::New),
    ("на модерации", CommonStatus::Moderation),
    ("принято", CommonStatus::New),
    ("в работе", CommonStatus::InWork),
    ("на исполнении", CommonStatus::InWork),
    ("опровергнуто", CommonStatus::InWork),
    ("на доработке", CommonStatus::InWork),
    ("отложено", CommonStatus::Postponed),
    ("запланировано", CommonStatus::Postponed),
    ("отклонено", CommonStatus::Declined),
    ("дан ответ", CommonStatus::Answered),
    ("ответ дан", CommonStatus::Answered),
    ("решено", CommonStatus::Closed),
    ("закрыто", CommonStatus::Closed),
];

/// The best rating is a guess.
const MEANING: Meaning = Meaning {
    words: STATUSES,
    closed: "answered",
    terms: &[
        ("deadline", DeadlineStage::Answer),
        ("refute_until", DeadlineStage::RefuteWindow),
    ],
    more,
    ..USUAL
};

fn more(cells: &Cells<'_>, _: &TimeZone, data: &mut MessageData) {
    data.external.alt_id = cells.owned("uv_number");
    data.place.geo = match (cells.said("lat"), cells.said("lon")) {
        (Some(lat), Some(lon)) => shared::geo(&format!("{lat} {lon}")),
        _ => cells.said("geo").and_then(shared::geo),
    };
    data.place = std::mem::take(&mut data.place).with_precision();
    if shared::is_marked(cells, "refuted") {
        data.flags.reconsidered = true;
        shared::add_flag(data, "refuted");
    }
    if cells.said("season").is_some_and(|value| !shared::is_no(value)) {
        shared::add_flag(data, "seasonal");
    }
    if cells.said("answer").is_some() {
        data.extra.insert("has_first_answer".into(), true.into());
    }
}
