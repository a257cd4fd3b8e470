//! The report for people, in Russian: titles, notes and tables. Terminal and HTML show the same.

use super::model::{Due, FileReport, Member, Report, Unknown};

/// A titled part of the report.
#[derive(Debug)]
pub struct Section {
    /// Title.
    pub title: String,
    /// What to know before the table.
    pub notes: Vec<String>,
    /// Column titles; empty without a table.
    pub header: Vec<&'static str>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
}

impl Section {
    fn new(title: impl Into<String>, header: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            notes: Vec::new(),
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Every part, in the order of reading.
pub fn sections(report: &Report) -> Vec<Section> {
    let mut out = vec![summary(report)];
    out.extend(report.files.iter().map(file));
    out.push(bad_rows(report));
    out.push(destinations(report));
    out.push(due("Просрочено", &report.overdue, report.overdue_in_all));
    out.push(due("Срок скоро", &report.near, report.near_in_all));
    out.push(
        unknown("Незнакомые темы", &report.unknown_topics)
            .note("Этих тем нет в классификаторе источника; сообщения уйдут дальше с отметкой unknown_topic."),
    );
    out.push(
        unknown("Незнакомые статусы", &report.unknown_statuses)
            .note("Что они значат, можно вписать в настройку statuses."),
    );
    out.push(duplicates(report));
    out
}

fn summary(report: &Report) -> Section {
    let failed = report.files.iter().filter(|file| file.failure.is_some()).count();
    let mut section = Section::new("Итог", &["что", "сколько"])
        .note(format!("На {}; правила {}.", report.at_local, report.rules_version))
        .note("Ничего не принято и не отправлено: это взгляд на файлы.");
    if !report.left_alone.is_empty() {
        section = section.note(format!(
            "В папке лежит и то, что выгрузкой не является: {}.",
            report.left_alone.join("; ")
        ));
    }
    section.rows = [
        ("файлов", report.files.len() as u64),
        ("из них не поняты", failed as u64),
        ("разных сообщений", report.messages),
        ("строк с новым состоянием тех же сообщений", report.repeated_rows),
        ("строк, которым нужна рука", report.bad_rows_in_all),
        ("просрочено", report.overdue_in_all),
        ("срок скоро", report.near_in_all),
        ("поймал только маршрут по умолчанию", report.default_route),
        ("вероятных повторов (групп)", report.duplicates_in_all),
    ]
    .map(|(what, count)| vec![what.to_owned(), count.to_string()])
    .to_vec();
    section
}

fn file(file: &FileReport) -> Section {
    let title = format!("Файл {} — {}", file.file, file.mapping_title);
    let mut section = Section::new(title, &["колонка", "название", "поле", "заполнено", "не прочитано"]).note(format!(
        "Строк понято: {}, нужна рука: {}.",
        file.good_rows, file.bad_rows
    ));
    if let Some(failure) = &file.failure {
        section = section.note(format!("ФАЙЛ НЕ ПРИНЯТ ({}). {}", failure.reason, failure.why_ru));
    }
    for (what, list) in [
        ("Незнакомые колонки (в сообщение не попадут)", &file.unknown_columns),
        ("Колонки, которые не хранятся вовсе", &file.forbidden_columns),
    ] {
        if !list.is_empty() {
            section = section.note(format!("{what}: {}.", list.join(", ")));
        }
    }
    for note in &file.notes {
        section = section.note(note.clone());
    }
    for (what, rows) in [
        (
            "Пропущено строк (нумерация колонок, итоги, отметки программы)",
            file.skipped_rows,
        ),
        (
            "Строк с номером, который в файле уже был, и другим содержимым (действует последняя)",
            file.contradicting_rows,
        ),
    ] {
        if rows > 0 {
            section = section.note(format!("{what}: {rows}."));
        }
    }
    if !file.missing.is_empty() {
        section = section.note(format!("Нет важных колонок: {}.", file.missing.join(", ")));
    }
    section.rows = file
        .columns
        .iter()
        .map(|column| {
            vec![
                column.column.clone(),
                column.header.clone(),
                column.field.to_owned(),
                column.filled.to_string(),
                column.unread.to_string(),
            ]
        })
        .collect();
    section
}

fn bad_rows(report: &Report) -> Section {
    let mut section = Section::new("Строки, которым нужна рука", &["файл", "строка", "почему"]);
    section.rows = report
        .bad_rows
        .iter()
        .map(|bad| vec![bad.file.clone(), bad.row.to_string(), bad.why.clone()])
        .collect();
    more(section, report.bad_rows_in_all)
}

fn destinations(report: &Report) -> Section {
    let mut section = Section::new(
        "Куда ушло бы по правилам",
        &["сообщений", "отрасль", "получатель", "очередь"],
    );
    section.rows = report
        .destinations
        .iter()
        .map(|one| {
            vec![
                one.messages.to_string(),
                one.sector.clone(),
                one.recipient.clone(),
                one.queue.clone(),
            ]
        })
        .collect();
    section
}

fn due(title: &str, list: &[Due], in_all: u64) -> Section {
    let header = [
        "срок",
        "система",
        "номер",
        "где",
        "получатель",
        "срок назвал",
        "начало текста",
    ];
    let mut section = Section::new(title, &header);
    section.rows = list
        .iter()
        .map(|due| {
            vec![
                due.due_local.clone(),
                due.message.channel.clone(),
                due.message.id.clone(),
                place(&due.message),
                due.recipient.clone(),
                due.basis.to_owned(),
                due.excerpt.clone(),
            ]
        })
        .collect();
    more(section, in_all)
}

fn unknown(title: &str, list: &[Unknown]) -> Section {
    let mut section = Section::new(title, &["сообщений", "система", "название"]);
    section.rows = list
        .iter()
        .map(|one| vec![one.messages.to_string(), one.channel.clone(), one.name.clone()])
        .collect();
    section
}

fn duplicates(report: &Report) -> Section {
    let mut section = Section::new("Вероятные повторы", &["почему", "сообщения", "начало текста"])
        .note("Повторы только связываются, ни одно сообщение не убирается: у каждого свой срок.");
    section.rows = report
        .duplicates
        .iter()
        .map(|cluster| {
            let members = cluster.messages.iter();
            let list: Vec<String> = members
                .take(MEMBERS)
                .map(|member| format!("{} {} ({})", member.channel, member.id, place(member)))
                .collect();
            let rest = cluster.messages.len().saturating_sub(MEMBERS);
            let tail = if rest > 0 {
                format!(" и ещё {rest}")
            } else {
                String::new()
            };
            vec![
                cluster.reason_ru.to_owned(),
                format!("{}{tail}", list.join("; ")),
                cluster.excerpt.clone(),
            ]
        })
        .collect();
    more(section, report.duplicates_in_all)
}

/// Members of a group shown one by one.
const MEMBERS: usize = 6;

fn place(member: &Member) -> String {
    format!("{}, строка {}", member.file, member.row)
}

/// Tells how many are not shown.
fn more(section: Section, in_all: u64) -> Section {
    let rest = in_all.saturating_sub(section.rows.len() as u64);
    if rest == 0 {
        return section;
    }
    section.note(format!("Показаны первые; ещё {rest}."))
}
