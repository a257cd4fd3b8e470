//! Tables of recipients: (territory, sector or topic) → recipient, as МЦУ staff keep them in XLSX or CSV.
//!
//! A route entry with `table:` stands for the rows of a file: each becomes a route at that place, with the id
//! `<table>:<row as the spreadsheet numbers it>`. From then on a row is a route like any other: conditions, index, tests,
//! explanation are the same. The rows stand in the order of their precision (see `order`), not in that of the file, so
//! that «the first that holds» is also the most precise one.
//!
//! Files are read before rules are compiled, by [`Tables::read`] only.

mod cells;
mod columns;
mod order;
mod sheet;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use priem_tables::PlainTable;

use crate::engine::condition::Condition;
use crate::engine::fields::Field;
use crate::engine::index::Index;
use crate::engine::model::{Head, Origin, Route, Target};
use crate::language::condition::{self, Step, Terms};
use crate::language::keys;
use crate::language::reader::Reader;
use crate::language::rules::{self, Ids, find};
use cells::{Known, Row};
use priem_yaml::{Node, Value};
use sheet::Sheet;

/// Largest table file taken, bytes.
const LARGEST_FILE: u64 = 32 * 1024 * 1024;

/// Every table that rule files name: by path and sheet.
#[derive(Debug, Default)]
pub(crate) struct Tables(BTreeMap<Source, Result<PlainTable, Unread>>);

/// A file and one of its sheets, when it is named.
type Source = (PathBuf, Option<String>);

/// Why a file could not be read, in Russian.
#[derive(Debug)]
struct Unread {
    problem: String,
    cure: &'static str,
}

impl Tables {
    /// Reads every table that the rule files name. What can't be read is told later, at the line that names it.
    pub(crate) fn read(files: &[(PathBuf, String)]) -> Self {
        let mut sources = Vec::new();
        for (path, text) in files.iter().filter(|(_, text)| text.contains("table")) {
            if let Ok(node) = priem_yaml::parse(text) {
                collect_sources(path, &node, &mut sources);
            }
        }
        let read = sources.into_iter().map(|source| {
            let table = read_file(&source.0, source.1.as_deref());
            (source, table)
        });
        Self(read.collect())
    }

    /// Puts what stands in the tables into the version of the rules.
    pub(crate) fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for ((path, sheet), table) in &self.0 {
            add(path.file_name().unwrap_or_default().as_encoded_bytes());
            add(sheet.as_deref().unwrap_or_default().as_bytes());
            let Ok(table) = table else { continue };
            for (number, cells) in std::iter::once((&table.header_row, &table.header))
                .chain(table.rows.iter().map(|(number, cells)| (number, cells)))
            {
                add(&number.to_le_bytes());
                cells.iter().for_each(|cell| add(cell.as_bytes()));
            }
        }
    }
}

/// Paths in a rule file start from its folder.
fn resolve(rule_file: &Path, written: &str) -> PathBuf {
    rule_file.parent().unwrap_or(Path::new("")).join(written)
}

fn collect_sources(rule_file: &Path, node: &Node, sources: &mut Vec<Source>) {
    match &node.value {
        Value::List(nodes) => nodes.iter().for_each(|node| collect_sources(rule_file, node, sources)),
        Value::Map(entries) => {
            let text_of = |key: &str| {
                let entry = entries.iter().find(|entry| entry.key == key)?;
                // A sheet may be called by a year.
                let name = entry.node.scalar().filter(|name| !name.is_null())?;
                Some(name.text().trim().to_owned())
            };
            if let Some(file) = text_of("table") {
                sources.push((resolve(rule_file, &file), text_of("sheet")));
            }
            for entry in entries {
                collect_sources(rule_file, &entry.node, sources);
            }
        }
        _ => {}
    }
}

fn read_file(path: &Path, sheet: Option<&str>) -> Result<PlainTable, Unread> {
    let unread = |problem: String, cure: &'static str| Unread { problem, cure };
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unread(
            format!("файла таблицы {} нет", path.display()),
            "положите файл рядом с файлом правил или исправьте путь в table",
        ),
        _ => unread(
            format!("файл таблицы {} не читается: {error}", path.display()),
            "проверьте права доступа",
        ),
    })?;
    if metadata.len() > LARGEST_FILE {
        return Err(unread(
            format!("файл таблицы {} слишком велик: {} байт", path.display(), metadata.len()),
            "оставьте в книге только лист с таблицей",
        ));
    }
    let damaged = |error: String| {
        unread(
            format!("файл таблицы {} не читается: {error}", path.display()),
            "откройте его в редакторе таблиц и сохраните заново как XLSX или CSV",
        )
    };
    let name = match sheet {
        None => None,
        Some(wanted) => {
            let names = PlainTable::sheet_names(path).map_err(damaged)?;
            let named = names.iter().find(|name| sheet::plain(name) == sheet::plain(wanted));
            let known = names.iter().map(|name| format!("«{name}»")).collect::<Vec<_>>();
            Some(named.cloned().ok_or_else(|| match known.as_slice() {
                [] => unread(
                    format!("у файла {} нет листов: это не книга XLSX", path.display()),
                    "уберите строку sheet",
                ),
                _ => unread(
                    format!(
                        "в книге {} нет листа «{wanted}», есть {}",
                        path.display(),
                        known.join(", ")
                    ),
                    "исправьте название листа в sheet",
                ),
            })?)
        }
    };
    PlainTable::read_strictly(path, &std::env::temp_dir(), name.as_deref()).map_err(damaged)
}

/// Whether an entry of `routes` stands for a table.
pub(crate) fn is_table(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries.iter().any(|entry| entry.key == "table"),
        _ => false,
    }
}

/// The rows of a table as routes, the most precise first.
pub(crate) fn routes(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    ids: &mut Ids,
    node: &Node,
    parent: &Target,
) -> Vec<Route> {
    let entries = reader.known(node, "таблица", keys::ROUTE);
    for (key, cure) in [
        ("when", "вложите таблицу в маршрут с этим условием"),
        ("routes", "поставьте маршруты рядом с таблицей, выше или ниже её"),
    ] {
        if let Some(entry) = find(&entries, key) {
            reader.error(entry.line, format!("у таблицы не бывает «{key}»"), cure);
        }
    }
    let head = rules::read_head(reader, terms, ids, node, &entries, Step::Later);
    let common = rules::read_target(reader, &entries, Some(parent));
    let Some((line, file)) =
        find(&entries, "table").and_then(|entry| Some((entry.line, reader.text(&entry.node, "table")?)))
    else {
        return Vec::new();
    };
    let sheet_name = find(&entries, "sheet").and_then(|entry| reader.text(&entry.node, "sheet"));
    let source = (resolve(&reader.file, &file), sheet_name);
    let table = match terms.tables.0.get(&source) {
        Some(Ok(table)) => table,
        Some(Err(unread)) => {
            reader.error(line, unread.problem.clone(), unread.cure);
            return Vec::new();
        }
        None => {
            reader.error(
                line,
                format!("таблица «{file}» не прочитана: у этих правил нет папки"),
                "загрузите правила из папки: путь таблицы считается от файла правил",
            );
            return Vec::new();
        }
    };
    let mut sheet = Sheet::new(&source.0, source.1.as_deref(), table);
    let territories = terms.vocabulary.territories();
    let known = Known {
        sectors: terms.sectors,
        territories,
        has_zone: terms.vocabulary.has_zone(),
    };
    let rows = cells::rows(&mut sheet, known, &common);
    let rows = order::by_precision(&mut sheet, rows, territories);
    reader.errors.append(&mut sheet.errors);
    let Some(head) = head.map(Arc::new) else {
        return Vec::new();
    };
    let file = Arc::new(source.0);
    rows.into_iter().map(|row| route(terms, &head, &file, row)).collect()
}

fn route(terms: &mut Terms<'_>, table: &Arc<Head>, file: &Arc<PathBuf>, row: Row) -> Route {
    let mut parts = Vec::new();
    for (field, values) in [
        (Field::Territory, row.territory),
        (Field::Sector, row.sector),
        (Field::Topic, row.topic),
    ] {
        if !values.is_empty() {
            parts.push(condition::is(terms.vocabulary, field, values));
        }
    }
    if !row.dates.is_always() {
        terms.vocabulary.ask_today();
        parts.push(Condition::Today(row.dates));
    }
    let when = match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Condition::All(parts)),
    };
    Route {
        head: Head {
            id: format!("{}:{}", table.id, row.number),
            name: format!("таблица «{}», строка {}: {}", table.name, row.number, row.shown),
            origin: Origin {
                file: Arc::clone(file),
                line: u32::try_from(row.number).unwrap_or(u32::MAX),
            },
            when,
        },
        target: row.target,
        children: Vec::new(),
        index: Index::default(),
        table: Some(Arc::clone(table)),
    }
}
