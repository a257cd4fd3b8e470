//! Where the table is: among titles and totals, on several sheets, below a header of two rows.

use super::{
    books::{Sheet, book, sheet},
    *,
};

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
                INCIDENT_HEADER,
                &["550001", day, "Дороги", "Ямы", "яма"],
                &["550002", day, "ЖКХ", "Крыша", "течёт"],
            ],
        ),
        sheet(
            "Февраль",
            &[
                &["за февраль"],
                INCIDENT_HEADER,
                &["550003", day, "Дороги", "Ямы", "другая яма"],
            ],
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
        ..sheet(name, &[INCIDENT_HEADER, &[key, day, "Дороги", "Ямы", "давняя яма"]])
    };
    let visible = || sheet("Выгрузка", &[INCIDENT_HEADER, &["550001", day, "Дороги", "Ямы", "яма"]]);
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
                INCIDENT_HEADER,
                &["550001", day, "Дороги", "Ямы", "яма"],
                &["550002", day, "ЖКХ", "Крыша", "течёт"],
            ],
        ),
        sheet(
            "2",
            &[
                INCIDENT_HEADER,
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
        sheet("Данные", &[INCIDENT_HEADER, &["550001", day, "Дороги", "Ямы", "яма"]]),
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
fn a_row_with_nothing_but_a_number_is_held() {
    for number in [
        "212-85-06",
        "(342) 212-85-06",
        "05.01.26 г.",
        "Стр.1",
        "Лист1",
        "2026",
        "1/1",
        "mail59@example.test",
        "550003",
    ] {
        let host = incidents(&format!("550001;05.01.2026;Дороги;Ямы;яма\n{number};;-;;\n"));
        assert_eq!(keys(&host), ["550001"], "{number}");
        assert_eq!(
            host.problems(),
            ["bad_row: row 3: nothing but a number in the row: no message"],
            "{number}"
        );
        let held = host
            .stored
            .values()
            .flatten()
            .find(|item| item.problem.is_some())
            .expect("a held row");
        let again = host.connector.normalize(&super::raw(held, 0)).expect_err("held again");
        assert_eq!(again.to_string(), host.problems()[0], "{number}");
        let text = probed(&host, "done", "a.csv", &FilesSettings::new("/in"));
        assert!(text.contains("строка 3: в строке только номер"), "{text}");
    }
}

#[test]
fn a_note_below_a_table_without_numbers_is_held_and_a_list_of_texts_is_read() {
    let text = |rows: &str| format!("Исполнитель;Группа тем;Текст инцидента;Тема\n{rows}");
    let mut host = Host::new(|_| {});
    let records = "Отдел;Дороги;яма у школы;Ямы\n;;Всего 5 фонарей не горят;Свет\n;;Нет света второй день;\n";
    let notes = ";;Итого: 3;\n;;Конец отчёта;\n;;Исп. Петрова, 212-85-06;\n;;05.01.2026;\n;;212-85-06;\n";
    host.drop_text("a.csv", text(&format!("{records}{notes}")));
    host.run();
    assert_eq!(keys(&host).len(), 3, "{:?}", host.good());
    assert_eq!(host.problems().len(), 5, "{:?}", host.problems());
    for item in host.stored.values().flatten().filter(|item| item.problem.is_some()) {
        assert!(host.connector.normalize(&super::raw(item, 0)).is_err(), "held again");
    }
    host = Host::new(|_| {});
    host.drop_text("b.csv", text(";;Телефон не работает;\n;;Итоги двора не подвели;\n"));
    host.run();
    assert_eq!(
        (keys(&host).len(), host.problems().len()),
        (2, 0),
        "where texts stand alone, they are messages"
    );
}

#[test]
fn the_row_below_the_header_that_numbers_the_columns_is_passed_over_and_counted() {
    for marks in [
        "1;2;3=1+2;4;5",
        "1;2;4;5;6",
        "гр.1;гр.2;гр.3;гр.4;гр.5",
        "№1;№2;№3;№4;№5",
        "1;x;x;2;3",
        "A;B;C;D;E",
    ] {
        let host = incidents(&format!("{marks}\n550001;05.01.2026;Дороги;Ямы;яма\n"));
        assert_eq!((keys(&host), host.problems()), (vec!["550001"], Vec::new()), "{marks}");
        assert!(report(&host, "a.csv").contains("Пропущено строк: 1"), "{marks}");
        // Anywhere else it is a row like any other.
        let host = incidents(&format!("550001;05.01.2026;Дороги;Ямы;яма\n{marks}\n"));
        assert_eq!(host.stored.len(), 2, "{marks}");
    }
    let host = incidents("1;05.01.2026;2;3;4\n");
    assert_eq!(keys(&host), ["1"], "a first row with a date is a row");
}
