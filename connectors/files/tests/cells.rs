//! What stands in cells: look-alikes, dates, yes and no, what a spreadsheet made of it.

use super::{
    books::{Cell, Sheet, book, sheet},
    *,
};

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
fn a_letter_in_two_pieces_is_that_letter_in_keys_headers_and_texts() {
    let mut host = Host::new(|_| {});
    let header = "Номер инцидента;Дата создания;Группа тем;Тема;Текст инцидента;Населе\u{308}нныи\u{306} пункт\n";
    let row = "17-И\u{306}/2;05.01.2026;Дороги;Ямы;Чёрныи\u{306} е\u{308}ж у И\u{306}ошкар-Олы;Тихий\n";
    host.drop_text("a.csv", format!("{header}{row}"));
    host.run();
    let cells: &[&str] = &[
        "17-Й/2",
        "05.01.2026",
        "Дороги",
        "Ямы",
        "Чёрный ёж у Йошкар-Олы",
        "Тихий",
    ];
    let header: &[&str] = &[
        "Номер инцидента",
        "Дата создания",
        "Группа тем",
        "Тема",
        "Текст инцидента",
        "Населённый пункт",
    ];
    host.drop_text("b.xlsx", book(&[sheet("Лист1", &[header, cells])]));
    host.drop_text(
        "c.xlsx",
        book(&[sheet(
            "Лист1",
            &[
                header,
                &[
                    "17-И\u{306}/2",
                    "05.01.2026",
                    "Дороги",
                    "Ямы",
                    "Чёрныи\u{306} ёж у И\u{306}ошкар-Олы",
                    "Тихии\u{306}",
                ],
            ],
        )]),
    );
    host.run();
    assert_eq!(keys(&host), ["17-Й/2"]);
    let messages = host.messages("17-Й/2");
    assert_eq!(
        (messages.len(), messages[0].data.body.text.as_str()),
        (1, "Чёрный ёж у Йошкар-Олы")
    );
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
fn american_dates_are_known_by_one_that_can_be_nothing_else() {
    let rows = "550001;1/5/2026 10:30 AM;Дороги;Ямы;яма\n";
    let host = incidents(rows);
    assert!(
        host.messages("550001")[0].data.times.at_source.is_none(),
        "it may be the first of May"
    );
    assert!(report(&host, "a.csv").contains("Ячеек, которые не удалось прочитать: 1."));
    let mut host = incidents(&format!("{rows}550002;1/25/2026 9:00:00 PM;Дороги;Ямы;яма\n"));
    let created = |host: &Host, key: &str| {
        let message = host.messages(key).remove(0);
        message.data.times.at_source.expect("a date").value
    };
    assert_eq!(created(&host, "550001"), "2026-01-05T10:30:00+05:00");
    assert_eq!(created(&host, "550002"), "2026-01-25T21:00:00+05:00");
    let told = "сначала месяц, потом день";
    assert!(report(&host, "a.csv").contains(told));
    assert!(probed(&host, "done", "a.csv", &FilesSettings::new("/in")).contains(told));
    // Where they contradict one another nothing is guessed.
    host.drop_text(
        "b.csv",
        format!("{INCIDENT}550003;1/5/2026;Дороги;Ямы;яма\n550004;1/25/2026;Дороги;Ямы;яма\n550005;25/1/2026;Дороги;Ямы;яма\n"),
    );
    host.run();
    assert!(host.messages("550003")[0].data.times.at_source.is_none());
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
fn an_error_of_a_spreadsheet_is_no_number_and_no_text_and_told_anywhere_else() {
    for error in ["#N/A", "#ЗНАЧ!", "#ДЕЛ/0!", "########"] {
        let host = incidents(&format!(
            "{error};05.01.2026;Дороги;Ямы;яма\n550002;05.01.2026;Дороги;Ямы;{error}\n550003;{error};Дороги;{error};яма\n"
        ));
        assert_eq!(keys(&host), ["550003"], "{error}");
        assert_eq!(host.problems().len(), 2, "{error}");
        for item in host.stored.values().flatten().filter(|item| item.problem.is_some()) {
            let again = host.connector.normalize(&super::raw(item, 0)).expect_err("held again");
            assert!(again.to_string().contains("a formula that failed"), "{error}: {again}");
        }
        let data = host.messages("550003").remove(0).data;
        assert_eq!((data.times.at_source, data.extra.len()), (None, 0), "{error}");
        assert_eq!(data.topic.expect("a group").path.len(), 1, "{error}");
        assert!(
            report(&host, "a.csv").contains("Ячеек, которые не удалось прочитать: 2."),
            "{error}"
        );
        let text = probed(&host, "done", "a.csv", &FilesSettings::new("/in"));
        assert!(
            text.contains("в ячейке ошибка Excel") && text.contains("не прочитано ячеек: 1 из 1"),
            "{text}"
        );
    }
}

#[test]
fn a_cell_of_a_workbook_that_failed_or_was_never_reckoned_is_no_text() {
    let row = |number, text, topic| {
        let cells = [
            Cell::Text(number),
            Cell::Text("05.01.2026"),
            Cell::Text("Дороги"),
            topic,
            text,
        ];
        Vec::from(cells)
    };
    let failed = "<c r=\"{r}\" t=\"e\"><f>X</f><v>#NAME?</v></c>";
    let unreckoned = "<c r=\"{r}\"><f>\"Яма \"&amp;1</f><v/></c>";
    let empty = "<c r=\"{r}\" t=\"str\"><f>\"\"</f><v></v></c>";
    let header = INCIDENT_HEADER.iter().map(|title| Cell::Text(title)).collect();
    let mut host = Host::new(|_| {});
    let rows = vec![
        header,
        row("550001", Cell::Xml(failed), Cell::Text("Ямы")),
        row("550002", Cell::Xml(unreckoned), Cell::Text("Ямы")),
        row("550003", Cell::Xml(empty), Cell::Text("Ямы")),
        row("550004", Cell::Text("яма"), Cell::Xml(failed)),
        row("550005", Cell::Text("яма"), Cell::Xml(unreckoned)),
    ];
    let sheet = Sheet {
        name: "Лист1",
        attributes: "",
        rows,
    };
    fs::write(host.path("inbox", "a.xlsx"), book(&[sheet])).expect("written");
    host.run();
    assert_eq!(keys(&host), ["550003", "550004", "550005"], "{:?}", host.problems());
    for item in host.stored.values().flatten().filter(|item| item.problem.is_some()) {
        assert!(host.connector.normalize(&super::raw(item, 0)).is_err(), "held again");
    }
    assert!(report(&host, "a.xlsx").contains("Ячеек, которые не удалось прочитать: 2."));
}

#[test]
fn words_nobody_knows_open_nothing_again_and_are_told() {
    for (mark, is_again, is_told) in [
        ("Да", true, false),
        ("05.01.2026", true, false),
        ("Повторно", true, false),
        ("не было", false, false),
        ("0,0", false, false),
        ("Да/Нет", false, true),
        ("уточняется", false, true),
        ("#Н/Д", false, true),
    ] {
        let host = pos(&format!(
            "Номер;Источник;Организация, в которой находится сообщение;Повторное рассмотрение\n30001;Виджет;Отдел;{mark}\n"
        ));
        let again = host
            .messages("30001#reopened")
            .iter()
            .any(|message| message.event == EventType::Reopened);
        let data = &host.messages("30001")[0].data;
        assert_eq!((again, data.flags.reconsidered), (is_again, is_again), "{mark}");
        assert_eq!(host.names("done").contains("a.csv.report.txt"), is_told, "{mark}");
        let text = probed(&host, "done", "a.csv", &host.settings);
        assert_eq!(text.contains("не прочитано ячеек: 1 из 1"), is_told, "{mark}: {text}");
    }
}

#[test]
fn letters_that_were_lost_before_the_file_was_written_are_held() {
    let garbled = encoding_rs::WINDOWS_1251
        .decode_without_bom_handling("Яма у дома".as_bytes())
        .0;
    let host = incidents(&format!(
        "550001;05.01.2026;Дороги;Ямы;{garbled}\n550002;05.01.2026;Дороги;Ямы;??? ? ???? ????????\n\
         550003;05.01.2026;Дороги;Ямы;Яма у дома???\n"
    ));
    assert_eq!(keys(&host), ["550003"]);
    for item in host.stored.values().flatten().filter(|item| item.problem.is_some()) {
        let again = host.connector.normalize(&super::raw(item, 0)).expect_err("held again");
        assert!(again.to_string().contains("another encoding"), "{again}");
    }
    let text = probed(&host, "done", "a.csv", &FilesSettings::new("/in"));
    assert!(text.contains("буквы испорчены до выгрузки"), "{text}");
}

#[test]
fn lines_of_another_encoding_than_their_file_are_held() {
    let line = |number: u32| format!("{number};05.01.2026;Дороги;Ямы;Яма у дома глубокая, колесо пробили\n");
    let windows = |text: &str| encoding_rs::WINDOWS_1251.encode(text).0.into_owned();
    let mut bytes = windows(INCIDENT);
    bytes.extend(windows(&(line(550_001) + &line(550_002))));
    bytes.extend(line(550_003).as_bytes());
    bytes.extend(&*encoding_rs::KOI8_R.encode(&line(550_004)).0);
    bytes.extend(&*encoding_rs::IBM866.encode(&line(550_005)).0);
    bytes.extend(windows(&line(550_006)));
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", bytes);
    host.run();
    assert_eq!(keys(&host), ["550001", "550002", "550006"]);
    assert_eq!(host.problems().len(), 3);
    assert!(report(&host, "a.csv").contains("Отложены строки 4, 5, 6:"));
}
