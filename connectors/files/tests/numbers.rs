//! The number of a row as people and programs really write it, spoil it and hide it.

use super::*;

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
    assert!(report(&host, "a.csv").contains("похожи на счёт строк"));
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
fn a_bare_number_sign_yields_to_any_other_number_whatever_stands_below_it() {
    for other in ["Номер ЕПГУ", "Регистрационный номер", "Рег. №"] {
        for [one, next] in [["2", "9"], ["3", "1"], ["101", "102"], ["30001", "30002"]] {
            let host = pos(&format!(
                "№;{other};Источник;Организация, в которой находится сообщение\n{one};А-1/26;Виджет;Отдел\n{next};А-2/26;Виджет;Отдел\nИтого: 2;;;\n"
            ));
            assert_eq!(keys(&host), ["А-1/26", "А-2/26"], "{other} {one}");
            let text = report(&host, "a.csv");
            assert!(text.contains(&format!("Номером взята колонка «{other}»")), "{text}");
        }
    }
    // Filled for some only, the other number is none of the row.
    let host = pos(
        "№;Номер ЕПГУ;Источник;Организация, в которой находится сообщение\n30001;9001;Виджет;Отдел\n30002;;Виджет;Отдел\n",
    );
    assert_eq!(keys(&host), ["30001", "30002"]);
}

#[test]
fn small_numbers_in_order_below_a_bare_number_sign_are_told() {
    let header = "№;Источник;Организация, в которой находится сообщение;Статус";
    for [one, next] in [["2", "9"], ["3", "1"], ["101", "102"]] {
        let host = pos(&format!(
            "{header}\n{one};Виджет;Отдел;В работе\n{next};Виджет;Отдел;В работе\nИтого: 2;;;\n"
        ));
        assert_eq!(keys(&host).len(), 2, "{one}");
        let text = report(&host, "a.csv");
        assert!(text.contains("Номера в колонке «№» похожи на счёт строк"), "{text}");
        assert!(probed(&host, "done", "a.csv", &host.settings).contains("похожи на счёт строк"));
    }
    let host = pos(&format!(
        "{header}\n30001;Виджет;Отдел;В работе\n30002;Виджет;Отдел;В работе\n"
    ));
    assert!(!host.names("done").contains("a.csv.report.txt"), "numbers of a system");
}
