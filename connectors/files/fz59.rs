//! Registry of обращения under 59-ФЗ, as a document system exports it.
//!
//! Every document system has its own export; these headers are the usual words of such registries, none was seen.
//! Name others in the setting `headers`. The only source whose messages are `fz59` by themselves, beside ПОС rows that
//! say so. A municipality that coordinates only messages outside 59-ФЗ does not set this connector up, or drops the
//! regime in its routes.

use jiff::tz::TimeZone;
use priem_sdk::{
    EventType, MessageData,
    message::{AuthorKind, CommonStatus, DeadlineStage, Regime},
};

use super::{
    mapping::{Aspect, Cells, FieldKind, FieldSpec, Mapping, Role, Spellings},
    meaning::{Meaning, USUAL},
    shared::{self, field},
};

/// The mapping `fz59`.
pub static MAPPING: Mapping = Mapping {
    name: "fz59",
    title: "Реестр обращений по 59-ФЗ",
    fields: FIELDS,
    header_fields: 3,
    signature: &["number"],
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
    field("number", Key, Text, "Регистрационный номер", &["Рег. номер", "Рег. №", "Регистрационный номер обращения", "Номер обращения"]),
    field("registered", Important, Date, "Дата регистрации", &["Дата регистрации обращения", "Рег. дата"]),
    field("arrived", Optional, Date, "Дата поступления", &["Дата получения"]),
    field("form", Optional, Text, "Вид обращения", &["Тип обращения"]),
    field("way", Optional, Text, "Способ поступления", &["Канал поступления", "Источник поступления", "Форма поступления"]),
    field("author", Optional, Text, "Заявитель", &["ФИО заявителя", "Автор обращения", "Корреспондент"]),
    field("author_kind", Important, Text, "Тип заявителя", &["Категория заявителя", "Вид заявителя"]),
    field("phone", Optional, Text, "Телефон", &["Телефон заявителя"]),
    field("email", Optional, Text, "E-mail", &["Email", "Электронная почта", "Адрес электронной почты"]),
    field("post_address", Optional, Text, "Адрес заявителя", &["Почтовый адрес", "Почтовый адрес заявителя"]),
    field("co_applicants", Optional, Text, "Коллективное", &["Коллективное обращение", "Количество заявителей"]),
    field("text", Subject, Text, "Краткое содержание", &["Содержание", "Текст обращения", "Содержание обращения", "Суть обращения"]),
    field("section", Optional, Text, "Раздел", &["Раздел тематического классификатора"]),
    field("topic", Important, Text, "Тематика", &["Тема", "Тема обращения", "Вопрос", "Тематика обращения"]),
    field("address", Optional, Text, "Адрес проблемы", &["Место события", "Адрес"]),
    field("municipality", Optional, Text, "Муниципалитет", &["Муниципальное образование"]),
    field("received_by", Optional, Text, "Адресат", &["Кому адресовано", "Организация-получатель"]),
    field("executor", Important, Text, "Исполнитель", &["Ответственный исполнитель", "Подразделение-исполнитель"]),
    field("forwarded_to", Optional, Text, "Перенаправлено в", &["Направлено по компетенции", "Переадресовано в"]),
    field("deadline", Important, Term, "Срок исполнения", &["Срок рассмотрения", "Срок ответа", "Контрольный срок", "Срок"]),
    field("extended", Optional, Term, "Продлено до", &["Срок продлён до", "Новый срок"]),
    field("answered", Optional, Date, "Дата ответа", &["Дата исполнения", "Дата снятия с контроля"]),
    field("status", Important, Text, "Статус", &["Состояние", "Стадия рассмотрения"]),
    field("outcome", Optional, Text, "Результат рассмотрения", &["Результат", "Решение"]),
    field("again", Optional, Text, "Повторное", &["Повторность", "Повторное обращение"]),
];

static ASPECTS: &[Aspect] = &[Aspect::status(&["status", "outcome", "answered"])];

/// Guesses: the usual words of document systems.
const STATUSES: &[(&str, CommonStatus)] = &[
    ("зарегистрировано", CommonStatus::New),
    ("новое", CommonStatus::New),
    ("на рассмотрении", CommonStatus::InWork),
    ("на исполнении", CommonStatus::InWork),
    ("в работе", CommonStatus::InWork),
    ("на контроле", CommonStatus::InWork),
    ("продлено", CommonStatus::InWork),
    ("перенаправлено", CommonStatus::Forwarded),
    ("направлено по компетенции", CommonStatus::Forwarded),
    ("дан ответ", CommonStatus::Answered),
    ("рассмотрено", CommonStatus::Answered),
    ("снято с контроля", CommonStatus::Closed),
    ("исполнено", CommonStatus::Closed),
    ("закрыто", CommonStatus::Closed),
    ("списано в дело", CommonStatus::Closed),
    ("отказано в рассмотрении", CommonStatus::Declined),
];

const MEANING: Meaning = Meaning {
    regime: Regime::Fz59,
    topic: &["section", "topic"],
    outcome: "outcome",
    words: STATUSES,
    at_source: "registered",
    occurred: "arrived",
    closed: "answered",
    terms: &[],
    more,
    ..USUAL
};

fn more(cells: &Cells<'_>, zone: &TimeZone, data: &mut MessageData) {
    data.subchannel = cells.owned("way");
    fill_author_kind(cells, data);
    if let Some(body) = shared::organisation(cells, "forwarded_to") {
        data.organisation.current = Some(body);
    }
    // An extended term replaces the first one.
    let term = if cells.said("extended").is_some() {
        "extended"
    } else {
        "deadline"
    };
    shared::fill_deadline(cells, term, DeadlineStage::Answer, zone, data);
    data.flags.reconsidered = shared::is_marked(cells, "again");
    shared::extra(cells, "form", data);
}

/// Perm has a person of its own for legal entities, so the kind of applicant is a routing field.
fn fill_author_kind(cells: &Cells<'_>, data: &mut MessageData) {
    let kind = cells.said("author_kind").unwrap_or_default().to_lowercase();
    let many = cells.said("co_applicants");
    let is_collective = many.is_some_and(|value| shared::is_yes(value) && shared::count(value).is_none())
        || many.and_then(shared::count).is_some_and(|people| people > 1)
        || kind.contains("коллектив");
    data.flags.collective = is_collective;
    data.author.kind = if kind.contains("юр") || kind.contains("организац") {
        AuthorKind::LegalEntity
    } else if is_collective {
        AuthorKind::Collective
    } else if data.author.name.is_some() || kind.contains("физ") || kind.contains("граждан") {
        AuthorKind::Person
    } else {
        AuthorKind::Anonymous
    };
}
