//! The report of `files probe` for a terminal, in Russian.

use std::fmt::Write;

use priem_sdk::{Message, message::Topic};

use super::{layout::short, mapping, probe::ProbeReport, when};

/// Characters of a text shown.
const SHOWN: usize = 40;

/// Renders the report.
pub fn render(report: &ProbeReport) -> String {
    let mut out = String::new();
    // Writing into a string can't fail, so the results are dropped.
    let _ = writeln!(out, "Файл:      {}", report.file);
    let _ = writeln!(out, "Разметка:  {} ({})", report.mapping, report.mapping_title);
    if let Some(kind) = report.kind {
        let _ = writeln!(out, "Вид:       {}", description(report, kind));
    }
    match report.header_row {
        Some(0) => {
            let _ = writeln!(out, "Заголовок: нет, колонки названы в настройках");
        }
        Some(row) => {
            let _ = writeln!(out, "Заголовок: строка {row}");
        }
        None => {}
    }
    if let Some(as_of) = report.as_of {
        let _ = writeln!(
            out,
            "Данные по: {} (самая новая дата в файле; известное по более новому файлу он не изменит)",
            when::russian(as_of)
        );
    }
    columns(report, &mut out);
    if !report.notes.is_empty() {
        let _ = writeln!(out, "\nНа что обратить внимание:");
    }
    for note in &report.notes {
        let _ = writeln!(out, "  - {note}");
    }
    if let Some(failure) = &report.failure {
        let _ = writeln!(out, "\nФАЙЛ НЕ ПРИНЯТ ({})\n{}", failure.reason, failure.why_ru);
        if failure.is_unknown_layout() && report.mapping != mapping::AUTO {
            let _ = writeln!(
                out,
                "\nЕсли это выгрузка другой системы, найдёт разметку сам: --mapping {}",
                mapping::AUTO
            );
            let _ = writeln!(out, "или назовите её (--mapping ИМЯ, в настройках mapping: ИМЯ):");
            for mapping in mapping::MAPPINGS {
                let _ = writeln!(out, "  {:<9} {}", mapping.name, mapping.title);
            }
        }
        if !report.fields.is_empty() {
            let _ = writeln!(out, "\nИмена полей для настройки columns: {}", report.fields.join(", "));
        }
    }
    if report.kind.is_some() {
        let _ = writeln!(
            out,
            "\nСтрок: хороших {}, в карантин {}",
            report.good_rows, report.bad_rows
        );
    }
    if report.skipped_rows > 0 {
        let _ = writeln!(
            out,
            "Пропущено строк: {} (нумерация колонок, итоги и отметки программы)",
            report.skipped_rows
        );
    }
    if report.contradicting_rows > 0 {
        let _ = writeln!(
            out,
            "Строк с номером, который в файле уже был, и другим содержимым: {} (действует последняя)",
            report.contradicting_rows
        );
    }
    if report.kind.is_some() && report.failure.is_none() && report.good_rows == 0 {
        let _ = writeln!(out, "НИ ОДНА СТРОКА НЕ СТАНЕТ СООБЩЕНИЕМ");
    }
    for problem in &report.problems {
        let _ = writeln!(out, "  строка {}: {}", problem.row, problem.why_ru);
    }
    let unlisted = report.bad_rows - report.problems.len() as u64;
    if unlisted > 0 {
        let _ = writeln!(out, "  … и ещё {unlisted}");
    }
    if !report.messages.is_empty() {
        let _ = writeln!(out, "\nПервые сообщения:");
    }
    for message in &report.messages {
        self::message(message, &mut out);
    }
    out
}

fn description(report: &ProbeReport, kind: &str) -> String {
    match (kind, &report.sheet, report.encoding, report.delimiter) {
        (kind, Some(sheet), _, _) => format!("{}, лист «{sheet}»", kind.to_uppercase()),
        (_, _, Some(encoding), Some(delimiter)) => {
            let delimiter = if delimiter == '\t' {
                "табуляция".to_owned()
            } else {
                format!("«{delimiter}»")
            };
            format!("CSV, {encoding}, разделитель {delimiter}")
        }
        _ => kind.to_owned(),
    }
}

fn columns(report: &ProbeReport, out: &mut String) {
    if !report.columns.is_empty() {
        let _ = writeln!(out, "\nПонятые колонки:");
        let widest = report
            .columns
            .iter()
            .map(|column| column.field.len())
            .max()
            .unwrap_or(0);
        for column in &report.columns {
            let _ = write!(
                out,
                "  {:<3} {:<widest$}  ← «{}»",
                column.column,
                column.field,
                short(&column.header, SHOWN)
            );
            if let Some(alias) = column.alias.filter(|alias| *alias != column.header) {
                let _ = write!(out, " (как «{alias}»)");
            }
            let is_second = report
                .columns
                .iter()
                .any(|other| other.index < column.index && other.field == column.field);
            if is_second {
                let _ = write!(out, " — вторая колонка этого поля, взята в строках: {}", column.filled);
            }
            match column.unread {
                0 => out.push('\n'),
                unread => {
                    let _ = writeln!(out, " — не прочитано ячеек: {unread} из {}", column.filled);
                }
            }
        }
    }
    if !report.unknown_columns.is_empty() {
        let _ = writeln!(
            out,
            "\nНезнакомые колонки (хранятся в исходной строке, в сообщение не попадают):\n  {}",
            report.unknown_columns.join(", ")
        );
    }
    if !report.forbidden_columns.is_empty() {
        let _ = writeln!(
            out,
            "\nЭти колонки не хранятся вовсе: {}",
            report.forbidden_columns.join(", ")
        );
    }
    if !report.missing.is_empty() {
        let _ = writeln!(out, "\nНет важных колонок: {}", report.missing.join(", "));
    }
}

fn message(message: &Message, out: &mut String) {
    let data = &message.data;
    let topic = data.topic.as_ref().map(Topic::path_text);
    let place = [
        &data.place.municipality,
        &data.place.settlement,
        &data.place.street,
        &data.place.house,
    ]
    .into_iter()
    .flatten()
    .map(String::as_str)
    .collect::<Vec<_>>()
    .join(", ");
    let _ = writeln!(out, "  {}", data.external.id);
    let rows = [
        ("текст", Some(short(&data.body.text, SHOWN))),
        ("тема", topic),
        ("место", Some(place)),
        ("кому", data.organisation.current.as_ref().map(|body| body.name.clone())),
        (
            "создано",
            data.times.at_source.as_ref().map(|moment| moment.value.clone()),
        ),
        ("шаг", data.status.as_ref().map(|status| status.raw.clone())),
    ];
    for (name, value) in rows {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(out, "    {name}: {value}");
        }
    }
}
