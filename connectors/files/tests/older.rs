//! An older export, saved anew or dropped late, turns nothing back; what really came back goes through.

use std::fs;

use priem_sdk::{EventType, message::CommonStatus};

use super::{
    Host,
    books::{book, sheet},
    probe,
};

const POS: &[&str] = &[
    "Номер",
    "Источник",
    "Организация, в которой находится сообщение",
    "Дата поступления",
    "Дата планируемого завершения работ",
    "Дата фактического завершения работ",
    "Статус",
    "Повторное рассмотрение",
];
const INCIDENT: &[&str] = &[
    "Номер инцидента",
    "Дата создания",
    "Дата окончания",
    "Текущий шаг инцидента",
    "Группа тем",
    "Тема",
    "Текст инцидента",
];

type Rows<'a> = &'a [&'a [&'static str]];

/// A row of [`POS`].
const fn pos(
    number: &'static str,
    holder: &'static str,
    arrived: &'static str,
    planned: &'static str,
    finished: &'static str,
    status: &'static str,
    again: &'static str,
) -> [&'static str; 8] {
    [number, "Виджет", holder, arrived, planned, finished, status, again]
}

fn host(mapping: &str) -> Host {
    Host::new(|settings| {
        settings.mapping = mapping.into();
        settings.rows_per_page = 2;
    })
}

impl Host {
    fn drop_csv(&self, name: &str, header: &[&str], rows: Rows<'_>) {
        let lines = std::iter::once(header).chain(rows.iter().copied());
        let text: String = lines.map(|cells| cells.join(";") + "\n").collect();
        self.drop_text(name, text);
    }

    fn read_csv(&mut self, name: &str, header: &[&str], rows: Rows<'_>) {
        self.drop_csv(name, header, rows);
        self.run();
    }

    /// The same table as a workbook with the rows in the other order: other bytes, other kind.
    fn read_saved_anew(&mut self, name: &str, header: &[&'static str], rows: Rows<'_>) {
        let mut all = vec![header];
        all.extend(rows.iter().rev());
        self.drop_text(name, book(&[sheet("Лист1", &all)]));
        self.run();
    }

    fn versions(&self) -> usize {
        self.stored.values().map(Vec::len).sum()
    }

    fn told(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("done", &format!("{name}.report.txt"))).ok()
    }
}

const NONE: &str = "";
const POS_1: Rows<'_> = &[
    &pos("30001", "Отдел", "05.01.2026", "19.01.2026", NONE, "В работе", "Нет"),
    &pos("30002", "Отдел", "06.01.2026", "20.01.2026", NONE, "В работе", "Нет"),
    &pos("30003", "Отдел", "05.01.2026", "19.01.2026", NONE, "В работе", "Нет"),
];
const POS_2: Rows<'_> = &[
    &pos(
        "30001",
        "Отдел",
        "05.01.2026",
        "19.01.2026",
        "12.01.2026",
        "Решено",
        "Нет",
    ),
    &pos("30002", "Отдел", "06.01.2026", "20.01.2026", NONE, "В работе", "Нет"),
    &pos(
        "30003",
        "Другой отдел",
        "05.01.2026",
        "19.01.2026",
        NONE,
        "Отложено",
        "Нет",
    ),
];

#[test]
fn an_older_export_saved_anew_turns_nothing_back() {
    let mut host = host("pos");
    host.read_csv("1.csv", POS, POS_1);
    host.read_csv("2.csv", POS, POS_2);
    let before = host.versions();
    assert_eq!(host.told("2.csv"), None);
    host.read_saved_anew("1 (копия).xlsx", POS, POS_1);
    host.read_csv("1 (с пометкой).csv", POS, &[POS_1[1], POS_1[2], POS_1[0]]);
    assert_eq!(host.versions(), before);
    // The row and the status of the third, the status of the first.
    for name in ["1 (копия).xlsx", "1 (с пометкой).csv"] {
        let report = host.told(name).expect("it is told");
        assert!(report.contains("старше уже известного: 3."), "{report}");
        assert!(report.contains("самая новая — 06.01.2026"), "{report}");
    }
    // The newer one again changes nothing either, and there is nothing to tell.
    host.read_saved_anew("2 (копия).xlsx", POS, POS_2);
    assert_eq!(host.versions(), before);
    assert_eq!(host.told("2 (копия).xlsx"), None);
}

#[test]
fn the_age_of_a_file_outlives_a_crash() {
    let mut host = host("pos");
    host.read_csv("1.csv", POS, POS_1);
    host.read_csv("2.csv", POS, POS_2);
    let before = host.versions();
    // Its newest day stands in its first row, and the rows that are older than what is known below it.
    host.drop_csv("3.csv", POS, &[POS_1[1], POS_1[2], POS_1[0]]);
    for _ in POS_1 {
        let page = host.poll();
        host.store(page);
        host.restart();
    }
    host.run();
    assert_eq!(host.versions(), before);
    assert_eq!(host.names("inbox").len(), 0);
}

#[test]
fn a_status_that_changed_without_any_date_is_not_turned_back_either() {
    let mut host = host("pos");
    let row = |status| pos("30001", "Отдел", "05.01.2026", "19.01.2026", NONE, status, "Нет");
    let (working, closed) = (row("В работе"), row("Закрыто"));
    host.read_csv("1.csv", POS, &[&working]);
    host.read_csv("2.csv", POS, &[&closed]);
    host.read_saved_anew("1.xlsx", POS, &[&working]);
    assert_eq!(host.stored["30001#status"].len(), 2);
    assert!(host.told("1.xlsx").is_some());
    // A word it never had, or a mark of reopening, is news on any day.
    let again = pos("30001", "Отдел", "05.01.2026", "19.01.2026", NONE, "На доработке", "Да");
    host.read_csv("3.csv", POS, &[&again]);
    assert_eq!(host.stored["30001#status"].len(), 3);
    assert_eq!(host.messages("30001#reopened")[0].event, EventType::Reopened);
}

#[test]
fn a_matter_that_was_opened_again_goes_through() {
    let mut host = host("pos");
    host.read_csv("1.csv", POS, POS_1);
    host.read_csv("2.csv", POS, POS_2);
    // Only its closing date is gone, and the registry has moved on.
    let newer: Rows<'_> = &[
        POS_1[0],
        POS_2[1],
        POS_2[2],
        &pos(
            "30004",
            "Отдел",
            "13.01.2026",
            "27.01.2026",
            NONE,
            "На модерации",
            "Нет",
        ),
    ];
    host.read_csv("3.csv", POS, newer);
    let statuses = host.messages("30001#status");
    let last = &statuses.last().expect("an event").data;
    assert_eq!(statuses.len(), 2, "the first sight of a status is no event");
    assert_eq!(last.status.as_ref().expect("a status").common, CommonStatus::InWork);
    assert!(last.times.closed.is_none());
    assert_eq!(host.told("3.csv"), None);
}

#[test]
fn an_older_export_that_never_came_brings_only_what_is_new() {
    let mut host = host("incident");
    let row = |number, created, closed, step| [number, created, closed, step, "Дороги", "Ямы", "Яма у дома"];
    host.read_csv(
        "2.csv",
        INCIDENT,
        &[
            &row("770001", "05.01.2026 10:30", "12.01.2026 09:00", "Готово"),
            &row("770002", "06.01.2026 10:30", NONE, "В работе"),
        ],
    );
    let older: Rows<'_> = &[
        &row("770001", "05.01.2026 10:30", NONE, "Новый"),
        &row("770002", "06.01.2026 10:30", NONE, "Новый"),
        &row("770003", "04.01.2026 10:30", NONE, "Новый"),
    ];
    host.read_saved_anew("1.xlsx", INCIDENT, older);
    assert_eq!((host.stored["770001"].len(), host.stored["770002"].len()), (1, 1));
    assert_eq!(host.messages("770003")[0].event, EventType::Received);
    assert!(host.told("1.xlsx").expect("told").contains("старше уже известного: 2."));
    // Opened again, in an export of a later day.
    host.read_csv(
        "3.csv",
        INCIDENT,
        &[
            &row("770004", "13.01.2026 08:00", NONE, "Новый"),
            &row("770001", "05.01.2026 10:30", NONE, "В работе"),
        ],
    );
    assert_eq!(host.messages("770001")[1].event, EventType::Updated);
}

#[test]
fn a_mistyped_year_makes_nothing_old() {
    let mut host = host("incident");
    let row = |created, step| ["770001", created, NONE, step, "Дороги", "Ямы", "Яма у дома"];
    host.read_csv("1.csv", INCIDENT, &[&row("05.01.2206", "Новый")]);
    host.read_csv("2.csv", INCIDENT, &[&row("05.01.2026", "В работе")]);
    assert_eq!(host.stored["770001"].len(), 2);
}

#[test]
fn what_a_file_says_of_its_making_tells_its_age() {
    let mut host = host("incident");
    let text = |made: &str, step: &str| {
        format!(
            "{made};;;;;;\n{}\n770001;05.01.2026;;{step};Дороги;Ямы;Яма у дома\n",
            INCIDENT.join(";")
        )
    };
    for (name, made, step) in [
        ("2.csv", "Отчёт сформирован 07.01.2026 15:00", "Готово"),
        // Never seen, of the same days: made earlier.
        ("1.csv", "Отчёт сформирован 07.01.2026 09:00", "Новый"),
    ] {
        host.drop_text(name, text(made, step));
        host.run();
    }
    assert_eq!(host.stored["770001"].len(), 1);
    host.drop_text("3.csv", text("Отчёт сформирован 08.01.2026 09:00", "Новый"));
    host.run();
    assert_eq!(host.stored["770001"].len(), 2);
    let probed = probe::probe(&host.path("done", "2.csv"), &host.settings, 0, &mut |_, _| {}).expect("settings");
    assert!(
        probed.render().contains("Данные по: 07.01.2026 15:00"),
        "{}",
        probed.render()
    );
}
