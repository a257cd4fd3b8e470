//! Tables as people and programs really make them: titles, totals, spoilt numbers, several sheets, headers of two rows.

use std::fs;

use priem_sdk::{
    Connector as _,
    message::{CommonStatus, Precision},
};

use super::{
    FilesSettings, Host,
    books::{Cell, Sheet, book, sheet},
    probe,
};

const INCIDENT: &str = "Номер инцидента;Дата создания;Группа тем;Тема;Текст инцидента\n";
const HEADER: &[&str] = &[
    "Номер инцидента",
    "Дата создания",
    "Группа тем",
    "Тема",
    "Текст инцидента",
];

fn incidents(rows: &str) -> Host {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{INCIDENT}{rows}"));
    host.run();
    host
}

fn pos(rows: &str) -> Host {
    let mut host = Host::new(|settings| settings.mapping = "pos".into());
    host.drop_text("a.csv", rows);
    host.run();
    host
}

/// Keys of rows, without those of their aspects.
fn keys(host: &Host) -> Vec<&str> {
    let keys = host.good().into_iter().map(String::as_str);
    keys.filter(|key| !key.contains('#')).collect()
}

fn report(host: &Host, name: &str) -> String {
    fs::read_to_string(host.path("done", &format!("{name}.report.txt"))).expect("a report")
}

fn probed(host: &Host, place: &str, name: &str, settings: &FilesSettings) -> String {
    let report = probe::probe(&host.path(place, name), settings, 0, &mut |_, _| {}).expect("settings");
    report.render()
}

#[test]
fn a_number_that_a_spreadsheet_spoilt_is_held_with_the_cure() {
    let host = incidents(
        "1,23457E+12;05.01.2026;Дороги;Ямы;одна\n1,23457E+12;05.01.2026;Дороги;Ямы;другая\n0;05.01.2026;Дороги;Ямы;третья\n\
         12345678901234000000;05.01.2026;Дороги;Ямы;четвёртая\n2026-05-01;05.01.2026;Дороги;Ямы;пятая\n\
         550001,5;05.01.2026;Дороги;Ямы;шестая\n;05.01.2026;Дороги;Ямы;седьмая\n",
    );
    assert!(keys(&host).is_empty(), "{:?}", host.good());
    assert_eq!(host.problems().len(), 7, "each row for itself: {:?}", host.problems());
    assert!(report(&host, "a.csv").contains("Ни одна строка не принята"));
    let settings = FilesSettings::new("/in");
    let text = probed(&host, "done", "a.csv", &settings);
    for words in [
        "номер испорчен Excel",
        "1,23E+12",
        "формулу без результата",
        "превращён в дату",
        "номер не целый",
        "нет номера",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn one_number_in_many_spellings_is_one_object() {
    let host = incidents(
        "550001;05.01.2026;Дороги;Ямы;яма\n550001.0;05.01.2026;Дороги;Ямы;яма\n=\"550001\";05.01.2026;Дороги;Ямы;яма\n\
         '550001;05.01.2026;Дороги;Ямы;яма\n550 001;05.01.2026;Дороги;Ямы;яма\n\u{a0}№ 550001\u{200b};05.01.2026;Дороги;Ямы;яма\n\
         550001,0;05.01.2026;Дороги;Ямы;яма\n",
    );
    assert_eq!(host.problems(), [""; 0]);
    assert_eq!(keys(&host), ["550001"]);
    assert_eq!(
        host.stored["550001"].len(),
        1,
        "another spelling of the number is no change"
    );
    assert_eq!(host.messages("550001")[0].data.external.id, "550001");
}

#[test]
fn a_column_that_counts_the_rows_is_not_the_number() {
    let header = "Номер;Источник;Организация, в которой находится сообщение;Статус";
    for counting in ["№", "№ п/п", "N п/п", "Номер сообщения"] {
        let text = |rows: &str| format!("{counting};{header}\n{rows}");
        let mut host = pos(&text("1;30001;Виджет;Отдел;В работе\n2;30002;Виджет;Отдел;Закрыто\n"));
        assert_eq!(keys(&host), ["30001", "30002"], "{counting}");
        host.drop_text(
            "b.csv",
            text("1;30003;Виджет;Отдел;На модерации\n2;30001;Виджет;Отдел;В работе\n3;30002;Виджет;Отдел;Закрыто\n"),
        );
        host.run();
        assert_eq!(keys(&host), ["30001", "30002", "30003"], "{counting}");
        assert!(
            host.stored.values().all(|versions| versions.len() == 1),
            "{counting}: nothing changed"
        );
        assert_eq!(host.messages("30003")[0].data.external.id, "30003");
    }
    // The other way round, and the number under another name.
    let host = pos(
        "Номер обращения;№;Источник;Организация, в которой находится сообщение\n30001;1;Виджет;Отдел\n30002;2;Виджет;Отдел\n",
    );
    assert_eq!(keys(&host), ["30001", "30002"]);
    assert!(
        report(&host, "a.csv").contains("Номером взята колонка «Номер обращения»; колонка «№» номером не считается")
    );
    // Where it is the number, it is.
    let host = pos("№;Источник;Организация, в которой находится сообщение;Статус\n30001;Виджет;Отдел;В работе\n");
    assert_eq!(keys(&host), ["30001"]);
}

#[test]
fn rows_that_are_only_counted_have_no_number_and_are_refused() {
    let mut host = pos(
        "№;Источник;Организация, в которой находится сообщение;Статус\n1;Виджет;Отдел;В работе\n2;Виджет;Отдел;В работе\n",
    );
    assert!(keys(&host).is_empty());
    let report = fs::read_to_string(host.path("failed", "a.csv.report.txt")).expect("a report");
    assert!(report.contains("только считает строки"), "{report}");
    // With a text the content is the key.
    host = incidents("");
    host.drop_text(
        "b.csv",
        "№ п/п;Группа тем;Тема;Текст инцидента\n1;Дороги;Ямы;яма\n2;ЖКХ;Крыша;течёт\n",
    );
    host.run();
    assert_eq!(keys(&host).iter().filter(|key| key.starts_with("blake3:")).count(), 2);
}

#[test]
fn a_number_nobody_recognised_and_one_that_may_count_are_told() {
    let mut host =
        incidents("1;05.01.2026;Дороги;Ямы;яма\n2;05.01.2026;ЖКХ;Крыша;течёт\n3;05.01.2026;ЖКХ;Свет;темно\n");
    assert_eq!(keys(&host), ["1", "2", "3"]);
    assert!(report(&host, "a.csv").contains("идут подряд с единицы"));
    host.drop_text(
        "b.csv",
        "Код карточки;Группа тем;Тема;Текст инцидента\n550001;Дороги;Ямы;яма\n",
    );
    host.run();
    assert!(report(&host, "b.csv").contains("Не номер ли это: «Код карточки»"));
    host.drop_text("c.csv", "Группа тем;Тема;Текст инцидента\nДороги;Ямы;другая яма\n");
    host.run();
    assert!(
        !host.names("done").contains("c.csv.report.txt"),
        "known to be without a number"
    );
    let text = probed(&host, "done", "c.csv", &FilesSettings::new("/in"));
    assert!(text.contains("Колонки с номером нет"), "{text}");
}

#[test]
fn a_column_that_plainly_is_the_number_is_it_where_no_better_one_stands() {
    for (header, expected) in [
        ("№ п/п;Номер обращения;Группа тем;Тема;Текст инцидента", "550001"),
        ("№;ID;Группа тем;Тема;Текст инцидента", "550001"),
        ("Номер;Номер инцидента;Группа тем;Тема;Текст инцидента", "550001"),
    ] {
        let mut host = Host::new(|_| {});
        host.drop_text(
            "a.csv",
            format!("{header}\n1;550001;Дороги;Ямы;яма\n2;550002;ЖКХ;Крыша;течёт\n"),
        );
        host.run();
        assert_eq!(keys(&host), [expected, "550002"], "{header}");
        assert_eq!(host.messages(expected)[0].data.external.id, expected);
    }
    // Told by its headers alone, a file is no incident because of such a column.
    let mut host = Host::new(|settings| settings.mapping = "auto".into());
    host.drop_text("a.csv", "Номер;Тема;Текст;Исполнитель\n550001;Ямы;яма;Отдел\n");
    host.run();
    assert!(keys(&host).is_empty() && host.names("failed").contains("a.csv"));
}

#[test]
fn a_status_with_a_space_that_does_not_break_is_that_status() {
    let host =
        pos("Номер;Источник;Организация, в которой находится сообщение;Статус\n30001;Виджет;Отдел;В\u{a0}рaботе\n");
    assert_eq!(
        host.messages("30001")[0].data.status.as_ref().expect("a status").common,
        CommonStatus::InWork
    );
}

#[test]
fn titles_numbered_columns_and_totals_are_no_messages() {
    for (name, text) in [
        (
            "a.csv",
            format!(
                "Выгрузка инцидентов;;;;\nза период с 01.01.2026 по 05.01.2026;;;;\n;;;;\n{INCIDENT}1;2;3;4;5\n550001;05.01.2026;Дороги;Ямы;яма\n550002;05.01.2026;ЖКХ;Крыша;течёт\n\nИтого: 2;;;;\nСформировано 05.01.2026 18:00;;;;\n"
            ),
        ),
        (
            "b.csv",
            format!(
                "{INCIDENT}А;Б;1;2;3\n550001;05.01.2026;Дороги;Ямы;яма\n550002;05.01.2026;ЖКХ;Крыша;течёт\nВсего;2;;;\nОтчёт сформирован 05.01.2026;;;;\n"
            ),
        ),
    ] {
        let mut host = Host::new(|_| {});
        host.drop_text(name, text);
        host.run();
        assert_eq!(keys(&host), ["550001", "550002"], "{name}");
        assert_eq!(host.problems(), [""; 0], "{name}");
        assert!(
            report(&host, name).contains("Пропущено строк: 3"),
            "{name}: {}",
            report(&host, name)
        );
        assert!(probed(&host, "done", name, &FilesSettings::new("/in")).contains("Пропущено строк: 3"));
    }
}

#[test]
fn what_may_be_a_message_is_held_and_not_passed_over() {
    let host = incidents(
        "550001;05.01.2026;Дороги;Ямы;яма\nИсполнитель: Петрова;;;;\nЯма на улице Мира у дома 5;;;;\n;;;;Всего доброго, а яма всё та же\n",
    );
    assert_eq!(keys(&host), ["550001"]);
    assert_eq!(host.problems().len(), 3, "{:?}", host.problems());
    let held: Vec<&priem_sdk::Item> = host
        .stored
        .values()
        .flatten()
        .filter(|item| item.problem.is_some())
        .collect();
    for item in held {
        assert!(
            host.connector.normalize(&super::raw(item, 0)).is_err(),
            "held again when tried again"
        );
    }
}

#[test]
fn another_table_below_is_held() {
    let host = incidents(
        "550001;05.01.2026;Дороги;Ямы;яма\n;;;;\nСвод по отраслям;;;;\nДороги;12;;;\nЖКХ 2026;7;;;\n1;Дороги;12;;\n2;ЖКХ;7;;\n",
    );
    assert_eq!(keys(&host), ["550001"], "{:?}", host.good());
    assert_eq!(host.problems().len(), 5);
}

#[test]
fn numbers_with_words_are_numbers_where_the_table_has_them() {
    let mut host = Host::new(|settings| settings.mapping = "fz59".into());
    host.drop_text(
        "a.csv",
        "Регистрационный номер;Дата регистрации;Краткое содержание;Тематика\nОбращение 12;05.01.2026;о дороге;Дороги\nОбращение 13;05.01.2026;о крыше;ЖКХ\n",
    );
    host.run();
    assert_eq!(keys(&host), ["Обращение 12", "Обращение 13"]);
}

#[test]
fn sheets_with_the_same_columns_are_all_read_and_the_others_told() {
    let day = "05.01.2026";
    let mut host = Host::new(|settings| settings.rows_per_page = 1);
    let bytes = book(&[
        sheet(
            "Свод",
            &[
                &["Группа тем", "Тема", "Номер инцидента"],
                &["Дороги", "Ямы", "12"],
                &["ЖКХ", "Крыша", "7"],
            ],
        ),
        sheet(
            "Январь",
            &[
                HEADER,
                &["550001", day, "Дороги", "Ямы", "яма"],
                &["550002", day, "ЖКХ", "Крыша", "течёт"],
            ],
        ),
        sheet(
            "Февраль",
            &[&["за февраль"], HEADER, &["550003", day, "Дороги", "Ямы", "другая яма"]],
        ),
        sheet("Пустой", &[]),
        sheet("Справочник", &[&["Код", "Значение"], &["1", "Ямы"]]),
    ]);
    fs::write(host.path("inbox", "a.xlsx"), bytes).expect("written");
    host.run();
    assert_eq!(keys(&host), ["550001", "550002", "550003"]);
    assert_eq!(host.problems(), [""; 0]);
    let body: serde_json::Value = serde_json::from_slice(&host.stored["550003"][0].body).expect("JSON");
    assert_eq!((&body["sheet"], &body["row"]), (&"Февраль".into(), &3.into()));
    let text = report(&host, "a.xlsx");
    let probed = probed(&host, "done", "a.xlsx", &FilesSettings::new("/in"));
    for words in [
        "Прочитаны листы с одинаковыми колонками: «Январь», «Февраль»",
        "Лист «Свод» не прочитан: у него другие колонки",
        "Лист «Справочник» не прочитан: на нём нет строки",
    ] {
        assert!(
            text.contains(words) && probed.contains(words),
            "{words}: {text} {probed}"
        );
    }
    assert!(!text.contains("Пустой"));
}

#[test]
fn a_hidden_sheet_is_read_only_when_no_visible_one_has_the_table() {
    let day = "05.01.2026";
    let hidden = |name, key: &'static str, state| Sheet {
        attributes: state,
        ..sheet(name, &[HEADER, &[key, day, "Дороги", "Ямы", "давняя яма"]])
    };
    let visible = || sheet("Выгрузка", &[HEADER, &["550001", day, "Дороги", "Ямы", "яма"]]);
    let archive = || hidden("Архив", "110001", "state=\"hidden\"");
    for (sheets, expected, words) in [
        (
            vec![
                archive(),
                visible(),
                hidden("Служебный", "120001", "state=\"veryHidden\""),
            ],
            "550001",
            "Лист «Архив» не прочитан: он скрыт",
        ),
        (
            vec![archive(), sheet("Титул", &[&["Титул"]])],
            "110001",
            "Прочитан скрытый лист «Архив»",
        ),
    ] {
        let mut host = Host::new(|_| {});
        fs::write(host.path("inbox", "a.xlsx"), book(&sheets)).expect("written");
        host.run();
        assert_eq!(keys(&host), [expected]);
        assert!(report(&host, "a.xlsx").contains(words), "{}", report(&host, "a.xlsx"));
    }
}

#[test]
fn a_reading_that_nobody_waits_for_stops_and_is_no_failure() {
    let mut host = Host::new(|_| {});
    let rows: String = (0..50)
        .map(|number| format!("66{number:04};05.01.2026;Дороги;Ямы;яма\n"))
        .collect();
    host.drop_text("a.csv", format!("{INCIDENT}{rows}"));
    // The service ends while the page is read.
    host.connector.reading.stop().stop();
    let stopped = host.connector.reading.poll(&host.cursor).expect("a page");
    assert!(stopped.items.is_empty() && stopped.next == host.cursor, "{stopped:?}");
    host.run();
    assert_eq!(keys(&host).len(), 50);
    assert!(host.names("failed").is_empty());
}

#[test]
fn a_crash_between_two_sheets_loses_nothing() {
    let day = "05.01.2026";
    let bytes = book(&[
        sheet(
            "1",
            &[
                HEADER,
                &["550001", day, "Дороги", "Ямы", "яма"],
                &["550002", day, "ЖКХ", "Крыша", "течёт"],
            ],
        ),
        sheet(
            "2",
            &[
                HEADER,
                &["550003", day, "Дороги", "Ямы", "яма"],
                &["550004", day, "ЖКХ", "Крыша", "течёт"],
            ],
        ),
    ]);
    let mut host = Host::new(|settings| settings.rows_per_page = 1);
    fs::write(host.path("inbox", "a.xlsx"), bytes).expect("written");
    for _ in 0..12 {
        host.restart();
        let page = host.poll();
        host.store(page);
        host.restart();
        host.acknowledge();
    }
    assert_eq!(keys(&host), ["550001", "550002", "550003", "550004"]);
    assert_eq!(host.unchanged, 0, "nothing is read twice");
    assert!(host.names("done").contains("a.xlsx"));
}

#[test]
fn a_broken_sheet_costs_itself() {
    let day = "05.01.2026";
    let mut bytes = book(&[
        sheet("Титул", &[&["Титул"]]),
        sheet("Данные", &[HEADER, &["550001", day, "Дороги", "Ямы", "яма"]]),
    ]);
    // Its part is called otherwise in the container than the book says.
    let wrong = b"xl/worksheets/sheet1.xml";
    let places: Vec<usize> = (0..bytes.len() - wrong.len())
        .filter(|at| bytes[*at..].starts_with(wrong))
        .collect();
    for at in places {
        bytes[at + 3] = b'W';
        bytes[at + 5] = b'x';
    }
    let mut host = Host::new(|_| {});
    fs::write(host.path("inbox", "a.xlsx"), bytes).expect("written");
    host.run();
    assert_eq!(keys(&host), ["550001"], "{:?}", host.problems());
    assert!(report(&host, "a.xlsx").contains("Лист «Титул» не прочитан: он повреждён"));
}

#[test]
fn a_header_of_two_rows_is_put_together() {
    let mut host = Host::new(|settings| settings.mapping = "pos".into());
    let upper = &[
        "Номер",
        "Источник",
        "Категория",
        "Подкатегория",
        "Организация",
        "",
        "Дата",
        "",
        "Статус",
    ];
    let lower = &[
        "",
        "",
        "",
        "",
        "в которую поступило сообщение",
        "в которой находится сообщение",
        "поступления",
        "планируемого завершения работ",
        "",
    ];
    let row = &[
        "30001",
        "Виджет",
        "Дороги",
        "Ямы",
        "Администрация",
        "Отдел дорог",
        "05.01.2026 10:30",
        "19.01.2026",
        "В работе",
    ];
    fs::write(
        host.path("inbox", "a.xlsx"),
        book(&[sheet("Реестр", &[upper, lower, row])]),
    )
    .expect("written");
    host.run();
    let data = host.messages("30001").remove(0).data;
    assert_eq!(data.organisation.received.expect("a body").name, "Администрация");
    assert_eq!(data.organisation.current.expect("a body").name, "Отдел дорог");
    assert_eq!(data.deadlines[0].due_at.to_string(), "2026-01-19T18:59:59Z");
    assert_eq!(data.times.at_source.expect("a time").precision, Precision::Minute);
    assert!(report(&host, "a.xlsx").contains("Заголовок занимает две строки (1 и 2)"));
}

#[test]
fn a_lower_half_of_a_header_that_nobody_knows_is_told() {
    let host = pos("Номер;Источник;Статус;Сведения;\n;;;о сроке;об исполнителе\n30001;Виджет;В работе;скоро;Отдел\n");
    assert_eq!(keys(&host), ["30001"]);
    assert!(report(&host, "a.csv").contains("Строка 2 похожа на вторую строку заголовка"));
}

#[test]
fn headers_that_only_look_the_same_are_the_same() {
    // Latin H, o, e, p, a, c; a soft hyphen; a line break; й and ё as two characters.
    let mut host = Host::new(|_| {});
    let header = "\"Hoмep\ninцидeнтa\";Дaтa coздания;Группа тем;Те\u{ad}ма;Текущии\u{306} шаг;Текст\u{a0}инцидента\n"
        .replace("in", "ин");
    host.drop_text("a.csv", format!("{header}550001;05.01.2026;Дороги;Ямы;Готово;яма\n"));
    host.run();
    let data = &host.messages("550001")[0].data;
    assert_eq!((data.body.text.as_str(), data.topic.is_some()), ("яма", true));
    assert!(data.times.at_source.is_some() && data.status.is_some());
}

#[test]
fn midnight_of_a_term_is_the_whole_day() {
    let header = "Номер;Источник;Организация, в которой находится сообщение;Дата поступления;Дата планируемого завершения работ\n";
    let host = pos(&format!(
        "{header}30001;Виджет;Отдел;05.01.2026 0:00:00;19.01.2026 0:00:00\n30002;Виджет;Отдел;05.01.2026;19.01.2026\n30003;Виджет;Отдел;05.01.2026;19.01.2026 12:00\n"
    ));
    let due = |key: &str| host.messages(key)[0].data.deadlines[0].due_at.to_string();
    assert_eq!(due("30001"), "2026-01-19T18:59:59Z");
    assert_eq!(due("30001"), due("30002"));
    assert_eq!(due("30003"), "2026-01-19T07:00:00Z");
}

#[test]
fn yes_and_no_are_heard_in_every_language_of_spreadsheets() {
    let header = "Номер;Источник;Организация, в которой находится сообщение;Просрочено;Фаст-трек\n";
    let host = pos(&format!(
        "{header}30001;Виджет;Отдел;TRUE;ЛОЖЬ\n30002;Виджет;Отдел;Истина;0\n30003;Виджет;Отдел;false;1\n"
    ));
    let flags = |key: &str| {
        let flags = &host.messages(key)[0].data.flags;
        (
            flags.other.iter().any(|flag| flag == "overdue_at_source"),
            flags.fast_track,
        )
    };
    assert_eq!(
        [flags("30001"), flags("30002"), flags("30003")],
        [(true, false), (true, false), (false, true)]
    );
}

#[test]
fn a_house_that_became_a_date_is_told_and_never_an_address() {
    let header = vec!["Номер инцидента", "Тема", "Улица", "Дом", "Текст инцидента"];
    let mut rows: Vec<Vec<Cell>> = vec![header.into_iter().map(Cell::Text).collect()];
    rows.push(vec![
        Cell::Text("550001"),
        Cell::Text("Ямы"),
        Cell::Text("Тихая"),
        Cell::Xml("<c r=\"{r}\" s=\"1\"><v>46143</v></c>"),
        Cell::Text("яма"),
    ]);
    let mut host = Host::new(|_| {});
    let bytes = book(&[Sheet {
        name: "Лист1",
        attributes: "",
        rows,
    }]);
    fs::write(host.path("inbox", "a.xlsx"), bytes).expect("written");
    host.run();
    let data = host.messages("550001").remove(0).data;
    assert_eq!(
        (data.place.street.as_deref(), data.place.house.as_deref()),
        (Some("Тихая"), None)
    );
    assert_eq!(data.extra["Дом"], "2026-05-01");
    let text = probed(&host, "done", "a.xlsx", &FilesSettings::new("/in"));
    assert!(text.contains("не прочитано ячеек: 1 из 1"), "{text}");
    assert!(report(&host, "a.xlsx").contains("превратил в дату («5/1» в 5 января): 1."));
}

#[test]
fn a_file_without_a_row_is_never_quiet() {
    let host = incidents("");
    assert_eq!(
        host.problems(),
        ["file_no_rows: the file has a header and no row of data"]
    );
    assert!(host.names("done").contains("a.csv"));
    assert!(report(&host, "a.csv").contains("ничего не принято"));
    let text = probed(&host, "done", "a.csv", &FilesSettings::new("/in"));
    assert!(text.contains("НИ ОДНА СТРОКА НЕ СТАНЕТ СООБЩЕНИЕМ"), "{text}");
}

#[test]
fn the_report_names_the_columns_that_were_left_out() {
    let mut host = Host::new(|_| {});
    host.drop_text(
        "a.csv",
        "Номер инцидента;Тема;Пометка;Текст инцидента\n550001;Ямы;x;яма\nИтого: 1;;;\n",
    );
    host.run();
    let text = report(&host, "a.csv");
    assert!(
        text.contains("C «Пометка»") && text.contains("priem files columns incident"),
        "{text}"
    );
}
