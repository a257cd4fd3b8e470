//! Results of votes, polls and public discussions, one row an option (or a row the whole vote).
//!
//! No system with an export of its results was seen (domain reference, 2.11): the columns are ours, to be filled by
//! hand or by a report. Each row is a `vote.result` event; changed numbers are one more event of the same object.

use jiff::tz::TimeZone;
use priem_sdk::{
    EventType, MessageData,
    message::{CommonStatus, Kind},
};

use super::{
    mapping::{Cells, FieldKind, FieldSpec, Mapping, Role, Spellings},
    meaning::{Meaning, USUAL},
    shared::{self, field},
};

/// The mapping `votes`.
pub static MAPPING: Mapping = Mapping {
    name: "votes",
    title: "Итоги голосований и опросов",
    fields: FIELDS,
    header_fields: 3,
    signature: &["option", "votes", "number"],
    events: (EventType::VoteResult, EventType::VoteResult),
    aspects: &[],
    key_with: Some("option"),
    vocabulary: &[],
    meaning: MEANING,
    spellings: Spellings::new(),
};

use FieldKind::{Term, Text};
use Role::{Important, Key, Optional, Subject};

#[rustfmt::skip]
const FIELDS: &[FieldSpec] = &[
    field("number", Key, Text, "Номер голосования", &["ID голосования", "Номер опроса", "ID опроса", "Номер обсуждения"]),
    field("title", Subject, Text, "Название голосования", &["Вопрос голосования", "Название опроса", "Вопрос опроса", "Название обсуждения"]),
    field("form", Optional, Text, "Вид голосования", &["Вид опроса", "Вид"]),
    field("option", Important, Text, "Вариант ответа", &["Вариант", "Ответ", "Объект голосования"]),
    field("votes", Important, Text, "Голосов", &["Количество голосов", "Число голосов", "Проголосовало за вариант"]),
    field("share", Optional, Text, "Доля голосов", &["Доля", "Процент", "Доля, %"]),
    field("participants", Optional, Text, "Всего участников", &["Участников", "Всего проголосовало"]),
    field("organiser", Optional, Text, "Организатор", &["Организация"]),
    field("municipality", Optional, Text, "Муниципалитет", &["Муниципальное образование", "Территория"]),
    field("district", Optional, Text, "Район", &["Район города"]),
    field("start", Optional, Term, "Дата начала", &["Начало"]),
    field("end", Important, Term, "Дата окончания", &["Окончание", "Дата завершения"]),
    field("status", Optional, Text, "Статус", &["Состояние"]),
    field("url", Optional, Text, "Ссылка", &["URL"]),
];

/// Guesses.
const STATUSES: &[(&str, CommonStatus)] = &[
    ("идёт", CommonStatus::InWork),
    ("идет", CommonStatus::InWork),
    ("активно", CommonStatus::InWork),
    ("завершено", CommonStatus::Closed),
    ("итоги подведены", CommonStatus::Closed),
];

const MEANING: Meaning = Meaning {
    kind: Kind::Vote,
    topic: &[],
    holder: "organiser",
    words: STATUSES,
    at_source: "start",
    closed: "end",
    terms: &[],
    more,
    ..USUAL
};

fn more(cells: &Cells<'_>, _: &TimeZone, data: &mut MessageData) {
    // The vote the option belongs to.
    data.external.group = cells.owned("number");
    if let Some(option) = cells.said("option") {
        data.extra.insert("option".into(), option.into());
    }
    for name in ["votes", "participants"] {
        match cells.said(name).map(|value| (value, shared::count(value))) {
            Some((_, Some(count))) => {
                data.extra.insert(name.into(), count.into());
            }
            Some((_, None)) => shared::extra(cells, name, data),
            None => {}
        }
    }
    match cells.said("share").and_then(percent) {
        Some(share) => {
            data.extra.insert("share_percent".into(), share.into());
        }
        None => shared::extra(cells, "share", data),
    }
    shared::extra(cells, "form", data);
}

/// `12,5 %` → 12.5.
fn percent(value: &str) -> Option<f64> {
    let number = value.trim().trim_end_matches('%').trim_end().replace(',', ".");
    number.parse().ok().filter(|share| (0.0..=100.0).contains(share))
}
