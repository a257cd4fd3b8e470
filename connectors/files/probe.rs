//! Looks at a file without importing it: what it is, what its columns mean, what would become of its rows.

use std::{collections::HashSet, path::Path};

use bytes::Bytes;
use jiff::{Timestamp, civil::DateTime};
use priem_sdk::{ConfigError, Message, RawItem, contract::ConnectorId};
use priem_tables::{Fault, RawRow, Source, column_letters, dates::Order, sniff::Promise};
use serde::Serialize;

use super::{
    Checked, FilesSettings, as_of, folder, inbox,
    items::{self, RowContext},
    left,
    mapping::{self, FieldKind, Mapping},
    notes::Note,
    problem::{self, FileProblem},
    table::Table,
    when,
};

/// Problems listed one by one; the rest are counted.
const LISTED_PROBLEMS: usize = 50;
/// Rows between two calls of the progress callback.
const PROGRESS_EVERY: u64 = 500;

/// What a look at a file found.
#[derive(Debug, Serialize)]
pub struct ProbeReport {
    /// Name of the file.
    pub file: String,
    /// Mapping that was tried.
    pub mapping: &'static str,
    /// Title of the mapping.
    pub mapping_title: &'static str,
    /// `xlsx`, `xlsb`, `ods`, `xls` or `csv`; absent when the file was not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// Name of the sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Encoding of a CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// Delimiter of a CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Number of the header row; 0 when the settings name the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_row: Option<u64>,
    /// Columns whose meaning is known.
    pub columns: Vec<KnownColumn>,
    /// Columns that are kept in the raw row only, as `AI «Название»`.
    pub unknown_columns: Vec<String>,
    /// Columns whose cells are not even stored (СНИЛС, ОМС, birth dates).
    pub forbidden_columns: Vec<String>,
    /// Fields that rules usually need and the file has not, by their headers.
    pub missing: Vec<&'static str>,
    /// Fields that `columns:` may name, in the order of the mapping.
    pub fields: Vec<&'static str>,
    /// What was guessed and left out, in Russian.
    pub notes: Vec<String>,
    /// As of when the file speaks: its newest day on which something happened, or when it says it was made. What is
    /// known as of later is not turned back by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime>,
    /// Rows passed over: they number columns, or are totals.
    pub skipped_rows: u64,
    /// Rows whose number was in the file before, with another content.
    pub contradicting_rows: u64,
    /// Rows that become messages.
    pub good_rows: u64,
    /// Rows that would go to quarantine.
    pub bad_rows: u64,
    /// The first bad rows.
    pub problems: Vec<RowReport>,
    /// Why the file as a whole can't be imported, or not to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The first good rows as messages, before routing. Personal data: the caller decides what to show.
    pub messages: Vec<Message>,
}

/// A column whose meaning is known.
#[derive(Debug, Serialize)]
pub struct KnownColumn {
    /// Its position.
    #[serde(skip)]
    pub index: usize,
    /// Column letters.
    pub column: String,
    /// Header in the file.
    pub header: String,
    /// Field of the mapping.
    pub field: &'static str,
    /// The known spelling that matched; absent when the settings name the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<&'static str>,
    /// Good rows in which something stands here and was read.
    pub filled: u64,
    /// Of these, cells of a date column that are no date, and cells of an address that a spreadsheet turned into one.
    pub unread: u64,
}

/// A bad row.
#[derive(Debug, Serialize)]
pub struct RowReport {
    /// Number of the row.
    pub row: u64,
    /// For operators.
    pub why: String,
    /// In Russian.
    pub why_ru: String,
}

/// Why a file can't be imported.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Bounded name.
    pub reason: &'static str,
    /// For operators.
    pub why: String,
    /// In Russian, with the cure. May quote the first rows of a file that was not understood.
    pub why_ru: String,
    /// The same without quoting anything from the file.
    #[serde(skip)]
    pub advice_ru: String,
}

impl Failure {
    /// Whether no row looks like the header of the mapping.
    pub fn is_unknown_layout(&self) -> bool {
        self.reason == problem::UNKNOWN_LAYOUT
    }
}

impl ProbeReport {
    /// Whether everything in the file would be imported.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && self.bad_rows == 0
    }

    /// For a terminal, in Russian. Texts are shortened.
    pub fn render(&self) -> String {
        super::probe_text::render(self)
    }
}

/// Bytes read and bytes in all.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads the whole file as the import would, and keeps the first `shown` messages.
///
/// # Errors
/// Only for settings that don't fit; what is wrong with the file is in the report.
pub fn probe(
    path: &Path,
    settings: &FilesSettings,
    shown: usize,
    on_progress: OnProgress<'_>,
) -> Result<ProbeReport, ConfigError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let opened = Source::open(path).map_err(|error| FileProblem::Table(Fault::of_io(&error)));
    walk(opened.as_ref(), &name, settings, shown, on_progress, &mut |_, _| {})
}

/// Opens a file that was found in a folder of people: what is no file of it is a problem, and not read.
///
/// # Errors
/// Why it is not read.
pub fn open_listed(path: &Path) -> Result<Source, FileProblem> {
    match folder::open_listed(path) {
        Ok(Ok(source)) => Ok(source),
        Ok(Err(refusal)) => Err(FileProblem::Refused(refusal)),
        Err(error) => Err(FileProblem::Table(Fault::of_io(&error))),
    }
}

/// Why what stands in a folder of people under this name is no export, in Russian; nothing when it may be one.
pub fn never_read(name: &std::ffi::OsStr, is_folder: bool) -> Option<&'static str> {
    let Some(name) = left::readable(name) else {
        return Some("имя не в UTF-8 или с управляющими символами: переименуйте");
    };
    if inbox::is_no_export(&name) {
        return Some("временный или служебный, служба его не трогает");
    }
    if is_folder {
        return Some("каталог: положите файлы из него в саму папку");
    }
    if name.ends_with(inbox::REPORT) {
        return Some("отчёт прошлой загрузки");
    }
    (Promise::of(&name) == Promise::Nothing).then_some("не XLSX и не CSV, судя по имени")
}

/// The same as [`probe`] for a file that is open or could not be opened, and hands over every message with the number of
/// its row.
///
/// # Errors
/// As [`probe`].
pub fn walk(
    opened: Result<&Source, &FileProblem>,
    name: &str,
    settings: &FilesSettings,
    shown: usize,
    on_progress: OnProgress<'_>,
    on_message: &mut dyn FnMut(u64, &Message),
) -> Result<ProbeReport, ConfigError> {
    let checked = settings.open()?;
    let asked = match checked.mappings.as_slice() {
        &[mapping] => Some(mapping),
        _ => None,
    };
    let mut report = ProbeReport {
        file: name.to_owned(),
        mapping: asked.map_or(mapping::AUTO, |mapping| mapping.name),
        mapping_title: asked.map_or("по заголовкам", |mapping| mapping.title),
        kind: None,
        sheet: None,
        encoding: None,
        delimiter: None,
        header_row: None,
        columns: Vec::new(),
        unknown_columns: Vec::new(),
        forbidden_columns: Vec::new(),
        missing: Vec::new(),
        fields: asked.map(fields_of).unwrap_or_default(),
        notes: Vec::new(),
        as_of: None,
        skipped_rows: 0,
        contradicting_rows: 0,
        good_rows: 0,
        bad_rows: 0,
        problems: Vec::new(),
        failure: None,
        messages: Vec::new(),
    };
    let table = match opened {
        Ok(source) => Table::open(source, name, settings, &checked, &std::env::temp_dir()),
        Err(problem) => Err(problem.clone()),
    };
    let mut table = match table {
        Ok(table) => table,
        Err(problem) => {
            report.fail(&problem);
            return Ok(report);
        }
    };
    report.describe(&table);
    let until = when::until(Timestamp::now(), &checked.zone);
    // What stops it is met again below.
    let whole = as_of::of(&mut table, &checked.zone, until).unwrap_or_default();
    report.as_of = whole.as_of;
    if whole.order == Order::MonthFirst {
        report.notes.push(Note::MonthFirst.russian());
    }
    let mut count = 0u64;
    loop {
        let row = match table.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(problem) => {
                report.fail(&problem);
                break;
            }
        };
        let context = RowContext {
            file: name,
            sheet: table.format.sheet.as_deref(),
            layout: &table.layout,
            zone: &checked.zone,
            order: whole.order,
            until,
        };
        let mut made = items::row_items(&context, &row);
        match made.problem {
            Some(problem) => {
                report.bad_rows += 1;
                if report.problems.len() < LISTED_PROBLEMS {
                    report.problems.push(RowReport {
                        row: row.number,
                        why: problem.english(),
                        why_ru: problem.russian(),
                    });
                }
            }
            None => {
                report.good_rows += 1;
                report.count_cells(&context, &row);
                let contradicts = made.content().is_some_and(|content| table.contradicts(content));
                report.contradicting_rows += u64::from(contradicts);
                // The row comes first; what its aspects would say on first sight is in it already.
                let item = made.items.swap_remove(0);
                for message in message(item.external_id, item.body, &checked) {
                    on_message(row.number, &message);
                    if report.messages.len() < shown {
                        report.messages.push(message);
                    }
                }
            }
        }
        count += 1;
        if count.is_multiple_of(PROGRESS_EVERY) {
            let (done, total) = table.progress();
            on_progress(done, total);
        }
    }
    report.skipped_rows = table.take_skipped();
    let (done, total) = table.progress();
    on_progress(done, total);
    Ok(report)
}

/// The message a row would become, as seen for the first time now.
fn message(external_id: String, body: Bytes, checked: &Checked) -> Vec<Message> {
    let raw = RawItem {
        connector: ConnectorId::new("probe"),
        external_id,
        revision: "0".into(),
        ordinal: 0,
        format: items::ROW_FORMAT.into(),
        body,
        received_at: Timestamp::now(),
    };
    items::normalize(&raw, checked).unwrap_or_default()
}

fn fields_of(mapping: &Mapping) -> Vec<&'static str> {
    mapping.fields.iter().map(|spec| spec.name).collect()
}

impl ProbeReport {
    fn fail(&mut self, problem: &FileProblem) {
        self.failure = Some(Failure {
            reason: problem.reason(),
            why: problem.to_string(),
            why_ru: problem.russian(),
            advice_ru: problem.without_quotes().russian(),
        });
    }

    fn count_cells(&mut self, context: &RowContext<'_>, row: &RawRow) {
        let known = context.layout.mapping;
        let cells = context.layout.cells(row).with_dates(context.order, context.until);
        // Of several columns of one field the first filled one was read.
        let mut read = HashSet::new();
        for column in &mut self.columns {
            let Some(field) = known.position(column.field) else {
                continue;
            };
            let is_filled = row.cells.get(column.index).is_some_and(|cell| !cell.trim().is_empty());
            if !is_filled || !read.insert(field) {
                continue;
            }
            let is_failed = cells.at(field).is_some_and(mapping::is_error);
            column.filled += u64::from(is_failed);
            column.unread += u64::from(is_failed);
            let Some(value) = cells.said_at(field) else {
                continue;
            };
            column.filled += 1;
            let is_unread = match known.fields[field].kind {
                FieldKind::Date | FieldKind::Term => cells.moment(field, context.zone).is_none(),
                FieldKind::Place => when::is_spreadsheet_date(value),
                FieldKind::Text => known.is_unknown_mark(column.field, value),
            };
            column.unread += u64::from(is_unread);
        }
    }

    fn describe(&mut self, table: &Table) {
        let mapping = table.layout.mapping;
        self.mapping = mapping.name;
        self.mapping_title = mapping.title;
        self.fields = fields_of(mapping);
        self.kind = Some(table.format.kind);
        self.sheet.clone_from(&table.format.sheet);
        self.encoding = table.format.encoding;
        self.delimiter = table.format.delimiter;
        self.header_row = Some(table.layout.header_row);
        self.notes = table.notes.iter().map(Note::russian).collect();
        self.unknown_columns = table.layout.unknown_columns();
        for (index, column) in table.layout.columns.iter().enumerate() {
            let letters = column_letters(index);
            match column.field {
                Some(field) => self.columns.push(KnownColumn {
                    index,
                    column: letters,
                    header: column.name.clone(),
                    field: mapping.fields[field].name,
                    alias: column.alias,
                    filled: 0,
                    unread: 0,
                }),
                None if column.forbidden => self.forbidden_columns.push(format!("{letters} «{}»", column.name)),
                None => {}
            }
        }
        self.missing = table.layout.missing();
    }
}
