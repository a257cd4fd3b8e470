//! The export of «Инцидент менеджмент».
//!
//! Shape seen in public code over real exports of two regions (domain reference, 3.2), to be confirmed in a pilot.
//! Headers marked "guess" below were not seen: the system surely has the value, its header is not known.

use jiff::tz::TimeZone;
use priem_sdk::{
    EventType, MessageData,
    message::{CommonStatus, Kind, Regime},
};

use super::{
    keys,
    mapping::{Cells, FieldKind, FieldSpec, Mapping, Role, Spellings},
    meaning::{Meaning, USUAL},
    shared::field,
};

/// The mapping `incident`.
pub static MAPPING: Mapping = Mapping {
    name: "incident",
    title: "Инцидент менеджмент",
    fields: FIELDS,
    header_fields: 3,
    signature: &["number", "topic_group", "step", "first_answer"],
    events: (EventType::Received, EventType::Updated),
    aspects: &[],
    key_with: Some("message_number"),
    vocabulary: &[("topic_group", TOPIC_GROUPS)],
    meaning: MEANING,
    spellings: Spellings::new(),
};

use FieldKind::{Date, Place as Part, Term, Text};
use Role::{Important, Key, Optional, Subject, Volatile};

/// Fields of the export. The first spelling of each is the one seen, unless marked as a guess.
#[rustfmt::skip]
const FIELDS: &[FieldSpec] = &[
    field("number", Key, Text, "Номер инцидента", &["№ инцидента", "Инцидент №", "ID инцидента"]),
    field("created", Important, Date, "Дата создания", &["Дата создания инцидента", "Создан"]),
    field("closed", Optional, Date, "Дата окончания", &["Дата закрытия", "Дата окончания инцидента", "Дата закрытия инцидента"]),
    field("duration", Volatile, Text, "Время с начала создания инцидента до окончания", &["Время с начала создания до окончания"]),
    field("step", Important, Text, "Текущий шаг инцидента", &["Текущий шаг", "Шаг инцидента"]),
    field("department", Optional, Text, "Отдел", &["Подразделение"]),
    field("executor", Important, Text, "Исполнитель", &["Исполнитель инцидента", "Ответственный исполнитель"]),
    field("topic_group", Important, Text, "Группа тем", &["Группа темы", "Группа"]),
    field("topic", Important, Text, "Тема", &["Тема инцидента"]),
    field("region", Optional, Text, "Регион", &["Субъект", "Субъект РФ"]),
    field("municipality", Important, Text, "Муниципалитет", &["Муниципальное образование", "МО"]),
    field("settlement", Optional, Part, "Населённый пункт", &["Нас. пункт", "Населенный пункт инцидента"]),
    field("street", Optional, Part, "Улица", &[]),
    field("house", Optional, Part, "Дом", &["Номер дома", "№ дома"]),
    field("kind", Optional, Text, "Тип инцидента", &["Тип"]),
    field("outcome", Optional, Text, "Итог", &["Итог инцидента", "Результат"]),
    field("tags", Optional, Text, "Теги", &["Тэги"]),
    field("text", Subject, Text, "Текст инцидента", &["Текст сообщения", "Текст", "Сообщение"]),
    field("first_answer", Optional, Text, "1ый ответ ПИ", &["1-ый ответ ПИ", "1-й ответ ПИ", "Первый ответ ПИ", "Первый ответ"]),
    // Guesses from here on.
    field("network", Optional, Text, "Источник", &["Социальная сеть", "Соцсеть", "Сеть", "Площадка"]),
    field("url", Optional, Text, "Ссылка", &["Ссылка на пост", "Ссылка на сообщение", "Ссылка на источник", "URL", "Url сообщения"]),
    field("author", Optional, Text, "Автор", &["Автор сообщения", "Автор поста", "Имя автора"]),
    field("author_url", Optional, Text, "Ссылка на автора", &["Профиль автора", "Страница автора"]),
    field("published", Optional, Date, "Дата публикации", &["Дата сообщения", "Дата поста"]),
    field("deadline", Optional, Term, "Срок ответа", &["Срок исполнения", "Срок", "Крайний срок", "Дедлайн", "Плановая дата ответа", "Дата дедлайна"]),
    field("address", Optional, Text, "Адрес", &["Адрес инцидента", "Место"]),
    field("message_number", Optional, Text, "Номер сообщения", &["ID сообщения", "ID поста", "Номер поста"]),
    field("main_incident", Optional, Text, "Основной инцидент", &["Родительский инцидент", "Объединён с инцидентом"]),
];

/// Names of topic groups seen in exports of 2023 to 2026 (domain reference, 3.3). Used only to guess which column of a
/// file without a header holds the group: the classifier drifts, and unknown groups pass.
const TOPIC_GROUPS: &[&str] = &[
    "Безопасность",
    "Безопасность и правопорядок",
    "Благоустройство",
    "Внутренняя политика",
    "Военная служба",
    "Дороги",
    "ЖКХ",
    "Здравоохранение",
    "Здравоохранение/Медицина",
    "Имущественные и земельные отношения",
    "Коронавирус",
    "Культура",
    "Межнациональные отношения",
    "Молодежная политика",
    "Мусор/Свалки/ТКО",
    "Образование",
    "Обращение с отходами",
    "Общественный транспорт",
    "Органы власти и подведомственные учреждения",
    "Связь и телевидение",
    "Сельское хозяйство и охота",
    "Социальное обслуживание и защита",
    "Строительство и архитектура",
    "Торговля",
    "Труд и занятость",
    "Туризм",
    "Физическая культура и спорт",
    "ЦУР",
    "Экология",
    "Экономика и бизнес",
    "Электроснабжение",
    "Энергетика",
];

/// Steps and outcomes with a known meaning. «Готово» and «Отложено» were seen; the others are guesses. Anything else
/// is `other`, with the source's own word beside it.
pub const STATUSES: &[(&str, CommonStatus)] = &[
    ("готово", CommonStatus::Closed),
    ("закрыт", CommonStatus::Closed),
    ("закрыто", CommonStatus::Closed),
    ("новый", CommonStatus::New),
    ("новое", CommonStatus::New),
    ("в работе", CommonStatus::InWork),
    ("на исполнении", CommonStatus::InWork),
    ("ответ дан", CommonStatus::Answered),
    ("отложено", CommonStatus::Postponed),
    ("отклонено", CommonStatus::Declined),
    ("перенаправлено", CommonStatus::Forwarded),
];

/// Types of incidents: the first two were seen in exports, the third in a program that writes it.
const KINDS: &[(&str, &str)] = &[
    ("решаемый", "solvable"),
    ("не решаемый", "unsolvable"),
    ("нерешаемый", "unsolvable"),
    ("информационный", "informational"),
];

/// Networks by the words exports may use.
const NETWORKS: &[(&str, &str)] = &[
    ("вконтакте", "vk"),
    ("vk", "vk"),
    ("вк", "vk"),
    ("vk.com", "vk"),
    ("одноклассники", "ok"),
    ("ok", "ok"),
    ("ок", "ok"),
    ("ok.ru", "ok"),
    ("telegram", "telegram"),
    ("телеграм", "telegram"),
    ("max", "max"),
];

const MEANING: Meaning = Meaning {
    kind: Kind::Incident,
    regime: Regime::OpenSourceMessage,
    topic: &["topic_group", "topic"],
    status: &["step"],
    outcome: "outcome",
    words: STATUSES,
    occurred: "published",
    more,
    ..USUAL
};

fn more(cells: &Cells<'_>, _: &TimeZone, data: &mut MessageData) {
    if let Some(number) = cells.get("number") {
        number.clone_into(&mut data.external.id);
    }
    data.subchannel = cells.said("network").map(network);
    data.organisation.department = cells.owned("department");
    if let Some(tags) = cells.said("tags") {
        data.flags.other = tags
            .split([',', ';', '|', '\n'])
            .map(|tag| tag.trim().trim_start_matches('#').to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
    }
    fill_group(cells, data);
    fill_extra(cells, data);
}

/// Several posts on one matter are joined by staff. Where an export has a row for each, the incident's number is what
/// they share; where it names the incident another one was joined to, that is the parent.
fn fill_group(cells: &Cells<'_>, data: &mut MessageData) {
    let number = cells.said("number");
    // A number that a spreadsheet has spoilt would join what does not belong together.
    let main = cells.said("main_incident").and_then(|main| keys::clean(main).ok());
    let main = main.as_deref().filter(|main| Some(*main) != number);
    data.external.parent = main.map(str::to_owned);
    let is_part = cells.said("message_number").is_some();
    data.external.group = number.filter(|_| is_part).map(str::to_owned);
    let shared_by = main.or_else(|| number.filter(|_| is_part));
    data.relation.cluster = shared_by.map(|number| format!("incident:{number}"));
}

/// Values without a field of their own. The first answer may name people, so only its presence is told.
fn fill_extra(cells: &Cells<'_>, data: &mut MessageData) {
    for name in ["kind", "duration"] {
        if let Some(value) = cells.said(name) {
            data.extra.insert(cells.header(name).into(), value.into());
        }
    }
    if let Some(kind) = cells.said("kind") {
        let lower = kind.to_lowercase();
        let known = KINDS.iter().find(|(word, _)| *word == lower);
        data.extra
            .insert("incident_type".into(), known.map_or("other", |(_, name)| *name).into());
    }
    if cells.said("first_answer").is_some() {
        data.extra.insert("has_first_answer".into(), true.into());
    }
}

/// A network by the word an export uses for it.
pub fn network(word: &str) -> String {
    let lower = word.to_lowercase();
    NETWORKS
        .iter()
        .find(|(known, _)| *known == lower)
        .map_or(lower.clone(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use priem_sdk::message::AuthorKind;

    use super::{super::meaning, *};

    fn message(cells: &[(&str, &str)]) -> MessageData {
        let mut filled = Cells::new(&MAPPING);
        for (header, value) in cells {
            let (index, _) = MAPPING.find(header).expect("a known header");
            filled.set(index, value);
        }
        meaning::message(&MAPPING, &filled, &TimeZone::get("Asia/Yekaterinburg").expect("zone"))
    }

    #[test]
    fn a_whole_row_becomes_a_message() {
        let data = message(&[
            ("Номер инцидента", "770001"),
            ("Дата создания", "05.01.2026 10:30"),
            ("Дата закрытия", "06.01.2026"),
            ("Текущий шаг инцидента", "Готово"),
            ("Итог", "Решено"),
            ("Исполнитель", "Отдел дорог"),
            ("Отдел", "Сектор ям"),
            ("Группа тем", "Дороги"),
            ("Тема", "★ Ямы во дворах"),
            ("Муниципалитет", "Город Пермь"),
            ("НАСЕЛЕННЫЙ ПУНКТ", "Пермь"),
            ("Улица", "Тихая"),
            ("Дом", "5"),
            ("Теги", "ямы, #двор"),
            ("Текст инцидента", "[id1|Анна], яма<br>у дома"),
            ("1ый ответ ПИ", "Здравствуйте, Анна!"),
            ("Тип инцидента", "Решаемый"),
            ("Срок ответа", "07.01.2026"),
        ]);
        insta::assert_json_snapshot!(data);
        assert!(!serde_json::to_string(&data).expect("json").contains("Здравствуйте"));
    }

    #[test]
    fn unknown_words_pass_as_they_are() {
        let data = message(&[
            ("Текущий шаг", "Согласование"),
            ("Соцсеть", "Дзен"),
            ("Дата создания", "вчера"),
        ]);
        let status = data.status.expect("a status");
        assert_eq!(
            (status.common, status.raw.as_str()),
            (CommonStatus::Other, "Согласование")
        );
        assert_eq!(data.subchannel.as_deref(), Some("дзен"));
        assert_eq!(data.extra["Дата создания"], "вчера");
        assert_eq!(data.author.kind, AuthorKind::Anonymous);
    }

    #[test]
    fn posts_of_one_incident_share_its_number() {
        let part = message(&[("Номер инцидента", "770001"), ("ID поста", "55")]);
        assert_eq!(part.external.group.as_deref(), Some("770001"));
        assert_eq!(part.relation.cluster.as_deref(), Some("incident:770001"));
        let joined = message(&[("Номер инцидента", "770002"), ("Основной инцидент", "770001")]);
        assert_eq!(joined.external.parent.as_deref(), Some("770001"));
        assert_eq!(joined.relation.cluster, part.relation.cluster);
        let alone = message(&[("Номер инцидента", "770003"), ("Основной инцидент", "770003")]);
        assert_eq!((alone.external.parent, alone.relation.cluster), (None, None));
    }

    #[test]
    fn types_have_one_name_and_unknown_ones_pass() {
        for (word, name) in [
            ("Решаемый", "solvable"),
            ("Не решаемый", "unsolvable"),
            ("ИНФОРМАЦИОННЫЙ", "informational"),
            ("Повторный", "other"),
        ] {
            let data = message(&[("Тип инцидента", word)]);
            assert_eq!(
                (&data.extra["incident_type"], &data.extra["Тип инцидента"]),
                (&name.into(), &word.into())
            );
        }
    }

    #[test]
    fn an_address_that_is_none_is_left_out() {
        assert_eq!(message(&[("Ссылка", "см. вложение")]).external.url, None);
    }
}
