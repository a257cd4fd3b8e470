//! Registries that grow, snapshot after snapshot: each event once, when its aspect of a row changed.

use std::{collections::BTreeSet, fs};

use priem_city::exports::{
    self, Encoding, ExportSpec, Format,
    registry::{self, Life, RegistrySpec, System},
    sample_voice,
};
use priem_sdk::{
    EventType,
    message::{CommonStatus, Precision},
};
use priem_tables::{RawRow, dates::Order};
use proptest::prelude::*;

use super::{
    super::{
        items::{self, RowContext},
        layout::{Layout, Named},
        mapping::MAPPINGS,
    },
    FilesSettings, Host, raw,
};

/// Settings that read the exports of a system.
fn understands(system: System) -> impl FnOnce(&mut FilesSettings) {
    move |settings| {
        settings.rows_per_page = 7;
        settings.mapping = if system == System::Mss { "mss" } else { "auto" }.into();
        if system == System::Mss {
            for (header, field) in [
                ("Учётный №", "number"),
                ("Площадка", "network"),
                ("когда", "created"),
                ("Суть", "text"),
                ("Раздел", "category"),
                ("Состояние", "status"),
            ] {
                settings.headers.insert(header.into(), field.into());
            }
            settings.statuses.insert("Принято".into(), CommonStatus::New);
        }
    }
}

/// The events of a message in the order of their items: the row, then its aspects.
fn events_of(host: &Host, key: &str) -> Vec<EventType> {
    let mut items = vec![key.to_owned()];
    items.extend(["status", "rating", "reopened"].map(|aspect| format!("{key}#{aspect}")));
    let stored = items.iter().filter(|item| host.stored.contains_key(*item));
    stored
        .flat_map(|item| host.messages(item))
        .map(|message| message.event)
        .collect()
}

#[test]
fn each_event_of_a_growing_registry_comes_once_when_its_aspect_changed() {
    use EventType::{Rated, Received, Reopened, Status, Updated};
    const MESSAGES: u64 = 40;
    for (index, system) in [System::Pos, System::Uv, System::Fz59, System::Mss]
        .into_iter()
        .enumerate()
    {
        let mut host = Host::new(understands(system));
        let format = match index % 2 {
            0 => Format::Xlsx {
                shared_strings: true,
                dates_as_numbers: true,
            },
            _ => Format::Csv {
                encoding: Encoding::Utf8Mark,
                delimiter: b';',
            },
        };
        let mut keys = Vec::new();
        // The last snapshot comes twice, the second time as another kind of file.
        for (name, version, format) in [
            ("0.csv", 0, format),
            ("1.csv", 1, format),
            ("2.csv", 2, format),
            (
                "2-again.csv",
                2,
                Format::Csv {
                    encoding: Encoding::Utf8,
                    delimiter: b'\t',
                },
            ),
        ] {
            let spec = RegistrySpec::new(system, 21, MESSAGES)
                .with_trouble()
                .at(version)
                .format(format);
            let manifest = registry::write(&host.path("inbox", name), &spec).expect("written");
            keys = manifest.keys;
            host.run();
        }
        assert_eq!(host.names("failed"), BTreeSet::new(), "{system:?}");
        for (number, key) in (1..=MESSAGES).zip(&keys) {
            let mut expected = vec![Received];
            let (first, second) = (Life::new(number, 1), Life::new(number, 2));
            if first.forwarded && system != System::Mss {
                expected.push(Updated);
            }
            expected.extend((0..second.step).map(|_| Status));
            if second.rating.is_some() && matches!(system, System::Pos | System::Uv) {
                expected.push(Rated);
            }
            if second.reopened && matches!(system, System::Pos | System::Uv) {
                expected.push(Reopened);
            }
            // A changed answer of «Управляем вместе» is a change of the row too.
            if system == System::Uv && second.step == 2 {
                let received = expected.iter().position(|event| *event == Received).expect("received");
                expected.insert(received + 1, Updated);
            }
            assert_eq!(events_of(&host, key), expected, "{system:?} {key}");
        }
        let everything: Vec<String> = host
            .stored
            .values()
            .flatten()
            .map(|item| String::from_utf8_lossy(&item.body).into_owned())
            .collect();
        assert!(
            !everything.concat().contains("112-233-445"),
            "{system:?}: a СНИЛС is not even stored"
        );
    }
}

#[test]
fn events_of_one_row_name_it_and_never_share_an_id() {
    let mut host = Host::new(understands(System::Pos));
    for version in 0..3 {
        let spec = RegistrySpec::new(System::Pos, 21, 30).at(version);
        registry::write(&host.path("inbox", &format!("{version}.xlsx")), &spec).expect("written");
        host.run();
    }
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for (item, versions) in &host.stored {
        for message in host.messages(item) {
            count += 1;
            ids.insert(message.id);
            assert_eq!(message.subject, item.split('#').next().expect("a key"), "{item}");
        }
        let key = item.split('#').next();
        assert!(
            versions.iter().all(|version| version.conversation.as_deref() == key),
            "{item}: its order holds"
        );
    }
    assert_eq!(ids.len(), count);
    // A date stays a date, and what is due on a day is due at its end, there.
    let message = &host.messages("2400001")[0];
    let arrived = message.data.times.at_source.as_ref().expect("a date");
    assert_eq!(
        (arrived.precision, arrived.instant()),
        (priem_sdk::message::Precision::Date, None)
    );
    let due = &message.data.deadlines[0];
    assert!(due.due_at.to_string().ends_with("T18:59:59Z"), "{}", due.due_at);
    assert_eq!(message.data.external.alt_id.as_deref(), Some("ЕПГУ-9001"));
    assert!(
        !serde_json::to_string(message).expect("JSON").contains("Сидорова"),
        "names of staff go nowhere"
    );
    let by_law = &host.messages("2400009")[0];
    assert_eq!(by_law.data.legal.regime, priem_sdk::message::Regime::Fz59);
    assert_eq!(message.data.legal.regime, priem_sdk::message::Regime::PosMessage);
    let forwarded = &host.messages("2400007")[1].data.organisation;
    assert_ne!(forwarded.received, forwarded.current);
}

#[test]
fn what_came_went_and_came_again_is_two_reopenings() {
    let mut host = Host::new(understands(System::Pos));
    for (index, again) in ["Нет", "Да", "Да", "-", "Да, повторно"].iter().enumerate() {
        let text = format!(
            "Номер;Организация, в которой находится сообщение;Повторное рассмотрение;Оценка ответа заявителем\n77;Администрация;{again};-\n"
        );
        host.drop_text(&format!("{index}.csv"), text);
        host.run();
    }
    use EventType::{Received, Reopened};
    assert_eq!(events_of(&host, "77"), [Received, Reopened, Reopened]);
    let silent = &host.stored["77#reopened"][0].body;
    assert!(
        !String::from_utf8_lossy(silent).contains("Администрация"),
        "only the key is noted"
    );
}

#[test]
fn a_vote_is_an_event_for_each_option_and_for_each_change() {
    let mut host = Host::new(understands(System::Votes));
    for version in 0..3 {
        let spec = RegistrySpec::new(System::Votes, 4, 6).at(version).with_trouble();
        registry::write(&host.path("inbox", &format!("{version}.xlsx")), &spec).expect("written");
        host.run();
    }
    let quiet = host.messages("Г31/Сквер");
    assert_eq!(quiet.len(), 1);
    let changing = host.messages("Г33/Спортивная площадка");
    assert_eq!(changing.len(), 3);
    assert!(changing.iter().all(|message| message.event == EventType::VoteResult));
    let votes: Vec<&serde_json::Value> = changing.iter().map(|message| &message.data.extra["votes"]).collect();
    assert_eq!(votes, [1000, 1001, 1002]);
    assert_eq!(changing[0].data.external.group.as_deref(), Some("Г33"));
    assert_eq!(changing[0].data.place.municipality.as_deref(), Some("Город Пермь"));
    assert_eq!(quiet[0].data.extra["share_percent"], 1.0);
}

#[test]
fn a_file_is_known_by_its_headers_or_refused() {
    let mut host = Host::new(understands(System::Pos));
    exports::write(&host.path("inbox", "1.xlsx"), &ExportSpec::new(3, 5), &mut sample_voice).expect("written");
    for (name, system) in [
        ("2.xlsx", System::Pos),
        ("3.xlsx", System::Uv),
        ("4.xlsx", System::Fz59),
        ("5.xlsx", System::Votes),
        ("6.xlsx", System::Mss),
    ] {
        registry::write(&host.path("inbox", name), &RegistrySpec::new(system, 3, 5)).expect("written");
    }
    host.run();
    let channels: BTreeSet<String> = host
        .good()
        .into_iter()
        .filter(|key| !key.contains('#'))
        .flat_map(|key| host.messages(key))
        .map(|message| message.data.channel)
        .collect();
    assert_eq!(
        channels,
        ["fz59", "incident", "pos", "uv", "votes"].map(str::to_owned).into()
    );
    assert_eq!(host.names("failed").len(), 2, "the system nobody knows, and its report");
    let report = fs::read_to_string(host.path("failed", "6.xlsx.report.txt")).expect("a report");
    assert!(
        report.contains("«Номер инцидента»") && report.contains("«Регистрационный номер»"),
        "{report}"
    );
}

#[test]
fn a_classifier_file_and_statuses_of_the_settings_apply() {
    let folder = tempfile::tempdir().expect("folder");
    let classifier = folder.path().join("own.yaml");
    fs::write(
        &classifier,
        "version: 1\nclassifier: incident\nedition: '2027'\ngroups: [{ id: space, name: Космос }]\n",
    )
    .expect("written");
    let mut host = Host::new(|settings| {
        settings.classifiers = vec![classifier];
        settings.statuses.insert("на доработке".into(), CommonStatus::InWork);
    });
    host.drop_text(
        "a.csv",
        "Номер инцидента;Группа тем;Тема;Текущий шаг\n770001;★ Космос;Спутники;На доработке\n770002;Дороги;Ямы;Готово\n",
    );
    host.run();
    let known = host.messages("770001").remove(0).data;
    let topic = known.topic.expect("a topic");
    assert_eq!(
        (topic.version.as_deref(), topic.path[0].id.as_deref()),
        (Some("2027"), Some("space"))
    );
    assert!(topic.starred && known.flags.is_empty());
    assert_eq!(known.status.expect("a status").common, CommonStatus::InWork);
    let unknown = host.messages("770002").remove(0).data;
    assert_eq!(unknown.flags.other, [priem_sdk::message::Flags::UNKNOWN_TOPIC]);
    assert_eq!(unknown.status.expect("a status").common, CommonStatus::Closed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in the cells, each item of a row becomes messages or the row is bad; nothing is in between, and a
    /// day never becomes an instant.
    #[test]
    fn any_cells_become_messages_or_a_bad_row(
        kind in 0..MAPPINGS.len(),
        cells in prop::collection::vec("(-|Да|Нет|[0-9]{1,6}|[0-3][0-9]\\.0[1-9]\\.2026|5,5|\\PC{0,9})", 32),
    ) {
        let mapping = MAPPINGS[kind];
        let header = mapping.fields.iter().map(|spec| spec.header.to_owned()).collect();
        let layout = Layout::find(&[RawRow::good(1, header)], &[mapping], &Named::default()).expect("its own headers");
        let checked = FilesSettings::new("/in").validate().expect("the defaults are valid");
        let context = RowContext { file: "x.csv", sheet: None, layout: &layout, zone: &checked.zone, order: Order::Unsaid, until: jiff::civil::DateTime::MAX };
        let row = RawRow::good(2, cells.into_iter().take(mapping.fields.len()).collect());
        let made = items::row_items(&context, &row);
        for (ordinal, item) in (0u32..).zip(&made.items) {
            match (&made.problem, items::normalize(&raw(item, ordinal), &checked)) {
                (Some(_), said) => prop_assert!(said.is_err()),
                (None, Ok(messages)) => for message in messages {
                    let moments = [&message.data.times.occurred, &message.data.times.at_source, &message.data.times.closed];
                    for moment in moments.into_iter().flatten().filter(|moment| moment.precision == Precision::Date) {
                        prop_assert!(moment.instant().is_none() && moment.value.len() == 10, "{moment:?}");
                    }
                },
                (None, Err(error)) => prop_assert!(false, "{error:?}"),
            }
        }
    }
}
