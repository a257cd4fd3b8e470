//! `priem files report` as МЦУ staff meet it: a folder of yesterday's exports, the real binary, no settings, no broker.

use std::{os::unix::ffi::OsStrExt, path::Path, process::Output};

use priem_city::exports::{
    self, ExportSpec,
    registry::{self, RegistrySpec, System},
    sample_voice,
};

use crate::support::{json, priem, text};

/// The terms in the invented exports lie around it.
const AT: &str = "2026-03-15T12:00";

fn report(folder: &Path, more: &[&str]) -> Output {
    let folder = folder.to_str().expect("a path");
    priem(&[&["files", "report", folder, "--at", AT], more].concat())
}

/// Two systems about one thing, in every way they can be, with contacts planted in the words.
const INCIDENTS: &str = "\
Номер инцидента;Дата создания;Группа тем;Тема;Текст инцидента;Ссылка;Автор;Ссылка на автора;Срок ответа
770001;14.03.2026 10:00;Дороги;Ямы;\"На Тихой улице огромная яма, <b>звоните</b> +7 912 345-67-89\";https://vk.com/wall-1_2?reply=3;Секретова Анна;https://vk.com/id777;14.03.2026 18:00
770002;14.03.2026 11:00;Космос;Спутники;Мешает спать шум по ночам;;;https://vk.com/id888;16.03.2026 18:00
;14.03.2026 11:00;Дороги;Ямы;без номера;;;;
";
const PORTAL: &str = "\
Номер сообщения;Дата создания;Автор;Телефон;Тема;Текст сообщения;Адрес;Статус;Срок ответа;Опровержение
510001;15.03.2026;Секретова Анна;89123456789;Ямы;\"на тихой улице огромная яма — звоните +7 912 345 67 89!\";Тихая, 5;В работе;20.03.2026;Нет
510002;15.03.2026;Секретов Пётр;;Шум;см. https://m.vk.com/wall-1_2?reply=3;Тихая, 6;Нечто новое;01.03.2026;Нет
510003;15.03.2026;;;Снег;Давно убрали;Тихая, 7;Решено;01.03.2026;Нет
";

#[test]
fn two_systems_about_one_pit() {
    let folder = tempfile::tempdir().expect("folder");
    let exports = folder.path().join("exports");
    std::fs::create_dir(&exports).expect("folder");
    std::fs::write(exports.join("ИМ.csv"), INCIDENTS).expect("written");
    std::fs::write(exports.join("УВ <script>.csv"), PORTAL).expect("written");
    std::fs::write(exports.join("письмо.csv"), "Имя;Фамилия\nИван;Секретов\n").expect("written");
    std::fs::create_dir(exports.join("Выгрузки")).expect("folder");
    let undecodable = std::ffi::OsStr::from_bytes(b"\xcf\xee\xf7\xf2\xe0.csv");
    std::fs::write(exports.join(undecodable), INCIDENTS).expect("written");
    let page = folder.path().join("report.html");
    let output = report(&exports, &["--json", "--html", page.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(1), "a file and a row need a hand");
    let found = json(&output);

    assert_eq!((&found["messages"], &found["bad_rows_in_all"]), (&5.into(), &1.into()));
    let mappings: Vec<&str> = found["files"]
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| file["mapping"].as_str())
        .collect();
    assert_eq!(mappings, ["incident", "uv", "auto"]);
    assert_eq!(found["files"][2]["failure"]["reason"], "file_unknown_layout");
    let left = found["left_alone"].as_array().expect("what is never read");
    assert!(
        left[0]
            .as_str()
            .is_some_and(|name| name.starts_with("Выгрузки — каталог")),
        "{left:?}"
    );
    assert!(
        left[1]
            .as_str()
            .is_some_and(|name| name.ends_with(".csv — имя не в UTF-8 или с управляющими символами: переименуйте")),
        "{left:?}"
    );
    let text_column = found["files"][0]["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .find(|column| column["field"] == "text");
    assert_eq!(text_column.expect("the text")["filled"], 2);
    assert_eq!(found["unknown_topics"][0]["name"], "Космос / Спутники");
    assert_eq!(found["unknown_statuses"][0]["name"], "Нечто новое");

    let ids = |list: &str| -> Vec<String> {
        let list = found[list].as_array().expect("a list").iter();
        list.map(|due| due["message"]["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(
        ids("overdue"),
        ["510002", "770001"],
        "the oldest first; what is closed has no term"
    );
    assert_eq!(ids("near"), ["770002"]);

    let reasons: Vec<(&str, usize)> = found["duplicates"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|cluster| {
            assert_eq!(cluster["across_systems"], true);
            (
                cluster["reason"].as_str().expect("a reason"),
                cluster["messages"].as_array().expect("members").len(),
            )
        })
        .collect();
    assert_eq!(reasons, [("same_link", 2), ("same_text", 2)]);

    let page = std::fs::read_to_string(page).expect("the page");
    let terminal = text(&report(&exports, &[]));
    for said in [&page, &terminal, &found.to_string()] {
        for secret in ["345-67", "345 67", "89123456789", "id777", "Секретов"] {
            assert!(!said.contains(secret), "{secret} is shown");
        }
        assert!(said.contains("Дороги") && said.contains("Космос / Спутники"));
    }
    assert!(!page.contains("<script") && page.contains("УВ &lt;script&gt;.csv"));
    assert!(
        terminal.contains("== Просрочено ==") && terminal.contains("ФАЙЛ НЕ ПРИНЯТ"),
        "{terminal}"
    );
}

#[test]
fn exports_of_every_system_are_told_apart_and_two_days_are_not_counted_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    exports::write(&path("1.xlsx"), &ExportSpec::new(3, 40), &mut sample_voice).expect("written");
    for (number, system) in [System::Pos, System::Uv, System::Fz59].into_iter().enumerate() {
        for version in 0..2 {
            let spec = RegistrySpec::new(system, 3, 20).at(version);
            registry::write(&path(&format!("{}-{version}.xlsx", number + 2)), &spec).expect("written");
        }
    }
    let found = json(&report(folder.path(), &["--json"]));
    assert_eq!((&found["messages"], &found["repeated_rows"]), (&100.into(), &60.into()));
    let sent: u64 = found["destinations"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["messages"].as_u64())
        .sum();
    assert_eq!(sent, 100, "every message has a recipient");
    let overdue = found["overdue_in_all"].as_u64().expect("a count");
    assert!(overdue > 0 && overdue < 100, "{overdue}");
}

#[test]
fn an_older_export_does_not_hide_what_is_known_whatever_its_name() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, closed: &str, status: &str| {
        let text = format!(
            "Номер;Источник;Дата поступления;Дата планируемого завершения работ;Дата фактического завершения работ;Статус\n\
             30001;Виджет;05.01.2026;19.01.2026;{closed};{status}\n"
        );
        std::fs::write(folder.path().join(name), text).expect("written");
    };
    write("a.csv", "12.01.2026", "Решено");
    write("b (прошлая).csv", "", "В работе");
    let found = json(&report(folder.path(), &["--json"]));
    assert_eq!((&found["messages"], &found["repeated_rows"]), (&1.into(), &1.into()));
    assert_eq!(found["overdue_in_all"], 0, "{found}");
}

#[test]
fn what_can_not_be_read_is_said_with_its_exit_code() {
    let folder = tempfile::tempdir().expect("folder");
    assert_eq!(report(&folder.path().join("none"), &[]).status.code(), Some(3));
    assert_eq!(report(folder.path(), &[]).status.code(), Some(3), "an empty folder");
    assert_eq!(report(folder.path(), &["--zone", "Perm"]).status.code(), Some(2));
    assert_eq!(report(folder.path(), &["--near", "9999"]).status.code(), Some(2));
    std::fs::write(
        folder.path().join("a.csv"),
        INCIDENTS.lines().take(2).collect::<Vec<_>>().join("\n"),
    )
    .expect("written");
    assert_eq!(report(folder.path(), &[]).status.code(), Some(0));
    assert_eq!(
        report(folder.path(), &["--classifier", "none.yaml"]).status.code(),
        Some(2)
    );
}
