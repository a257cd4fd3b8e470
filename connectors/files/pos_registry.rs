//! The XLSX registry of the ПОС web cabinet.
//!
//! Shape seen in public code (domain reference, 2.8), to be confirmed in a pilot. The registry has neither text nor
//! address nor applicant: it brings deadlines, statuses, ratings and who holds a message. It is a snapshot that grows:
//! the same row comes again and again, so a row's status, rating and reopening are aspects of their own.

use jiff::tz::TimeZone;
use priem_sdk::{
    EventType, MessageData,
    message::{CommonStatus, DeadlineStage, Regime},
};

use super::{
    mapping::{Aspect, Cells, FieldKind, FieldSpec, Mapping, Role, Spellings},
    meaning::{Meaning, USUAL},
    shared::{self, field},
};

/// The mapping `pos`.
pub static MAPPING: Mapping = Mapping {
    name: "pos",
    title: "Реестр личного кабинета ПОС",
    fields: FIELDS,
    header_fields: 3,
    signature: &["received_by", "current_by", "number_epgu", "top", "planned"],
    events: (EventType::Received, EventType::Updated),
    aspects: ASPECTS,
    key_with: None,
    vocabulary: &[],
    meaning: MEANING,
    spellings: Spellings::new(),
};

use FieldKind::{Date, Term, Text};
use Role::{Important, Key, Optional, Volatile};

/// Columns of the registry, read by header. Names of staff are known, so that nobody wonders, and go nowhere.
#[rustfmt::skip]
const FIELDS: &[FieldSpec] = &[
    field("number", Key, Text, "Номер", &["Номер сообщения", "Номер обращения", "№ сообщения", "№ обращения", "Номер ПОС", "ID", "ID сообщения", "ID обращения", "Идентификатор", "№"]),
    field("number_epgu", Optional, Text, "Номер ЕПГУ", &["№ ЕПГУ"]),
    field("source", Optional, Text, "Источник", &["Источник сообщения"]),
    field("top", Optional, Text, "Верхнеуровневый ЛКО", &["Верхнеуровневый личный кабинет организации"]),
    field("category", Important, Text, "Категория", &["Категория сообщения"]),
    field("subcategory", Important, Text, "Подкатегория", &["Подкатегория сообщения"]),
    field("fact", Optional, Text, "Факт", &["Факт сообщения"]),
    field("received_by", Important, Text, "Организация, в которую поступило сообщение", &["Организация, в которую поступило"]),
    field("current_by", Important, Text, "Организация, в которой находится сообщение", &["Организация, в которой находится"]),
    field("arrived", Important, Date, "Дата поступления", &["Дата поступления сообщения"]),
    field("planned", Important, Term, "Дата планируемого завершения работ", &["Планируемая дата завершения работ"]),
    field("finished", Optional, Date, "Дата фактического завершения работ", &["Фактическая дата завершения работ"]),
    field("stage", Optional, Text, "Стадия", &[]),
    field("status", Important, Text, "Статус", &["Статус сообщения"]),
    field("overdue", Optional, Text, "Просрочено", &["Просрочка"]),
    field("fast_track", Optional, Text, "Фаст-трек", &["Фаст трек", "Фасттрек"]),
    field("law", Optional, Text, "ФЗ", &["59-ФЗ"]),
    field("by_law", Optional, Text, "Заявитель выбрал подачу по 59-ФЗ", &["Подача по 59-ФЗ"]),
    field("decision", Optional, Text, "Тип решения", &[]),
    field("by_email", Optional, Text, "Направлено по email в ФОИВ, не подключенный к ПОС", &["Направлено по e-mail в ФОИВ, не подключенный к ПОС"]),
    field("rating", Optional, Text, "Оценка ответа заявителем", &["Оценка заявителя", "Оценка ответа"]),
    field("again", Optional, Text, "Повторное рассмотрение", &[]),
    field("coordinator", Volatile, Text, "ФИО координатора", &["Координатор"]),
    field("executor", Volatile, Text, "ФИО исполнителя", &[]),
    field("manager", Volatile, Text, "ФИО руководителя", &["Руководитель"]),
    // Guesses from here on: the registry was seen without them, a cabinet may be set up to give them.
    field("text", Optional, Text, "Текст сообщения", &["Описание проблемы", "Суть сообщения"]),
    field("address", Optional, Text, "Адрес проблемы", &["Адрес сообщения", "Адрес"]),
];

static ASPECTS: &[Aspect] = &[
    Aspect::status(&["stage", "status", "overdue", "decision", "finished"]),
    Aspect::rating(&["rating"]),
    Aspect::reopened(&["again"]),
];

/// Texts of stages and statuses with a known meaning: those clients of the platform show, and likely ones. Others are
/// `other` with the source's word kept; the setting `statuses` adds to them.
const STATUSES: &[(&str, CommonStatus)] = &[
    ("на модерации", CommonStatus::Moderation),
    ("модерация", CommonStatus::Moderation),
    ("на рассмотрении", CommonStatus::Routing),
    ("координация", CommonStatus::Routing),
    ("на координации", CommonStatus::Routing),
    ("новое", CommonStatus::New),
    ("в работе", CommonStatus::InWork),
    ("исполнение", CommonStatus::InWork),
    ("на исполнении", CommonStatus::InWork),
    ("согласование", CommonStatus::InWork),
    ("утверждение", CommonStatus::InWork),
    ("перенаправлено", CommonStatus::Forwarded),
    ("переадресовано", CommonStatus::Forwarded),
    ("отложенное решение", CommonStatus::Postponed),
    ("отложено", CommonStatus::Postponed),
    ("отклонено", CommonStatus::Declined),
    ("получен ответ", CommonStatus::Answered),
    ("ответ направлен", CommonStatus::Answered),
    ("решено", CommonStatus::Closed),
    ("закрыто", CommonStatus::Closed),
    ("завершено", CommonStatus::Closed),
];

const MEANING: Meaning = Meaning {
    regime: Regime::PosMessage,
    topic: &["category", "subcategory", "fact"],
    holder: "current_by",
    status: &["status", "stage"],
    outcome: "decision",
    words: STATUSES,
    at_source: "arrived",
    closed: "finished",
    terms: &[("planned", DeadlineStage::Answer)],
    more,
    ..USUAL
};

fn more(cells: &Cells<'_>, _: &TimeZone, data: &mut MessageData) {
    data.legal.regime = regime(cells);
    data.external.alt_id = cells.owned("number_epgu");
    data.subchannel = cells.owned("source");
    data.flags.fast_track = cells.said("fast_track").is_some_and(shared::is_yes);
    data.flags.reconsidered = shared::is_marked(cells, "again");
    for (name, flag) in [("overdue", "overdue_at_source"), ("by_email", "sent_by_email")] {
        if cells.said(name).is_some_and(shared::is_yes) {
            shared::add_flag(data, flag);
        }
    }
    shared::extra(cells, "top", data);
}

/// Under 59-ФЗ only when the registry says so.
fn regime(cells: &Cells<'_>) -> Regime {
    let by_law = cells.said("by_law").is_some_and(shared::is_yes);
    let law = cells
        .said("law")
        .is_some_and(|value| is_fz59(value) || shared::is_yes(value));
    if by_law || law {
        Regime::Fz59
    } else {
        Regime::PosMessage
    }
}

/// «59-ФЗ», «по ФЗ № 59»; not «159-ФЗ», «не 59-ФЗ».
fn is_fz59(value: &str) -> bool {
    let lower = value.to_lowercase();
    let mut words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let is_denied = |word: &str| matches!(word, "не" | "нет" | "без" | "вне" | "кроме");
    let found = words.find(|word| is_denied(word) || matches!(*word, "59" | "59фз" | "фз59"));
    found.is_some_and(|word| !is_denied(word))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs};

    use serde::Deserialize;

    use super::*;

    /// Of the profile of the interface, its codes.
    #[derive(Deserialize)]
    struct Profile {
        tables: Tables,
    }

    #[derive(Deserialize)]
    struct Tables {
        status: HashMap<String, CommonStatus>,
    }

    #[test]
    fn a_word_of_the_registry_means_what_the_interface_means_by_its_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/manifests/pos-edms.yaml");
        let profile: Profile =
            priem_yaml::from_str(&fs::read_to_string(path).expect("the profile")).expect("its tables");
        for (word, code) in [
            ("на модерации", "MODERATION_NEW"),
            ("на рассмотрении", "MODERATION_ACCEPT"),
            ("отклонено", "MODERATION_DECLINE"),
            ("перенаправлено", "FORWARD_TO_SUBORDINATE"),
            ("в работе", "TAKE_TO_WORK"),
            ("отложенное решение", "POSTPONE"),
            ("получен ответ", "SEND_RESPONSE"),
        ] {
            let known = STATUSES.iter().find(|(known, _)| *known == word);
            assert_eq!(
                known.map(|(_, status)| *status),
                profile.tables.status.get(code).copied(),
                "{word}"
            );
        }
    }

    #[test]
    fn a_law_of_another_number_and_one_that_is_denied_are_not_that_law() {
        for value in [
            "59-ФЗ",
            "59",
            "ФЗ №59",
            "фз-59",
            "по 59-фз",
            "59ФЗ",
            "59-ФЗ от 02.05.2006",
        ] {
            assert!(is_fz59(value), "{value}");
        }
        for value in ["не 59-ФЗ", "без 59-ФЗ", "159-ФЗ", "не по 59-ФЗ", "210-ФЗ", "ПОС", "590"] {
            assert!(!is_fz59(value), "{value}");
        }
    }
}
