//! What is said of a file that was read.

use super::*;

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

#[test]
fn bad_rows_alone_unknown_columns_alone_and_unread_dates_are_told() {
    let host = incidents("550001;05.01.2026;Дороги;Ямы;яма\n;05.01.2026;Дороги;Ямы;яма\n");
    let text = report(&host, "a.csv");
    assert!(
        text.contains("Принято строк: 1, отложено в карантин: 1.") && text.contains("Отложены строки 3:"),
        "{text}"
    );
    let mut host = Host::new(|_| {});
    host.drop_text(
        "a.csv",
        "Номер инцидента;Тема;Пометка;Текст инцидента\n550001;Ямы;x;яма\n",
    );
    host.run();
    assert!(report(&host, "a.csv").contains("C «Пометка»"));
    let host = incidents("550001;вчера;Дороги;Ямы;яма\n550002;05.01.2026;Дороги;Ямы;яма\n");
    assert!(report(&host, "a.csv").contains("Ячеек, которые не удалось прочитать: 1."));
    let host = incidents("550001;05.01.2026;Дороги;Ямы;яма\n");
    assert!(!host.names("done").contains("a.csv.report.txt"), "nothing to tell");
}

/// A file with one message: when it arrived, by when it must be done, and when it was.
fn dated(arrived: &str, planned: &str, finished: &str) -> Host {
    pos(&format!(
        "Номер;Источник;Организация, в которой находится сообщение;Дата поступления;Дата планируемого завершения работ;\
         Дата фактического завершения работ;Статус\n30001;Виджет;Отдел;{arrived};{planned};{finished};В работе\n"
    ))
}

#[test]
fn what_programs_write_for_no_date_is_an_empty_cell() {
    let plain = dated("05.01.2026 10:30", "", "");
    for nothing in [
        "01.01.0001 00:00:00",
        "01.01.1900",
        "30.12.1899",
        "00.01.1900",
        "01.01.1970",
        "31.12.9999",
        "00.00.0000",
        "0",
    ] {
        let host = dated("05.01.2026 10:30", nothing, nothing);
        let data = host.messages("30001").remove(0).data;
        assert!(
            data.times.closed.is_none() && data.deadlines.is_empty() && data.extra.is_empty(),
            "{nothing}: {data:?}"
        );
        assert!(
            !host.names("done").contains("a.csv.report.txt"),
            "{nothing}: nothing to tell"
        );
        for (key, versions) in &plain.stored {
            assert_eq!(
                host.stored[key][0].fingerprint, versions[0].fingerprint,
                "{nothing}: the same as nothing"
            );
        }
    }
}

#[test]
fn a_date_that_can_not_be_meant_is_not_taken_and_told() {
    for (arrived, planned, finished) in [
        ("05.01.2026", "08.01.2026", "05.01.2206"),
        ("05.01.2026", "08.01.2026", "05.01.99"),
        ("05.01.1026", "08.01.2026", ""),
        ("05.01.2026", "08.01.2206", ""),
        ("05.01.2206", "08.01.2026", ""),
    ] {
        let host = dated(arrived, planned, finished);
        let data = host.messages("30001").remove(0).data;
        assert!(data.times.closed.is_none(), "{finished}");
        assert_eq!(data.extra.len(), 1, "{:?}", data.extra);
        assert!(
            report(&host, "a.csv").contains("Ячеек, которые не удалось прочитать: 1."),
            "{}",
            report(&host, "a.csv")
        );
        let text = probed(&host, "done", "a.csv", &host.settings);
        assert!(
            text.contains("не прочитано ячеек: 1 из 1") && !text.contains("2206"),
            "{text}"
        );
    }
    // What lies ahead is a term.
    let ahead = (Timestamp::now() + SignedDuration::from_hours(24 * 400))
        .strftime("%d.%m.%Y")
        .to_string();
    let host = dated("05.01.2026", &ahead, &ahead);
    let data = host.messages("30001").remove(0).data;
    assert_eq!((data.times.closed, data.deadlines.len()), (None, 1));
}

#[test]
fn two_columns_of_one_field_are_told_and_which_was_read() {
    let mut host = Host::new(|_| {});
    host.drop_text(
        "a.csv",
        "Номер инцидента;Тема;Текст сообщения;Текст инцидента\n550001;Ямы;;яма\n550002;Ямы;одно;другое\n",
    );
    host.run();
    let text = |key: &str| host.messages(key).remove(0).data.body.text;
    assert_eq!((text("550001").as_str(), text("550002").as_str()), ("яма", "одно"));
    let told = "Колонки «Текст сообщения» и «Текст инцидента» значат одно и то же";
    assert!(report(&host, "a.csv").contains(told), "{}", report(&host, "a.csv"));
    let text = probed(&host, "done", "a.csv", &host.settings);
    assert!(text.contains(told), "{text}");
    assert!(
        text.contains("«Текст инцидента» — вторая колонка этого поля, взята в строках: 1"),
        "{text}"
    );
}
