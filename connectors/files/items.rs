//! Rows to items and items back to messages.
//!
//! The body of an item is the row as the file gave it, under the file's own headers; empty cells are left out. What a
//! reader would see (the fingerprint) is the known fields only, with dates made equal across file kinds, so the same
//! row in another file, at another place or in another format changes nothing.

use bytes::Bytes;
use jiff::tz::TimeZone;
use priem_sdk::{EventType, Item, Message, NormalizeError, RawItem, contract::fingerprint};
use serde::{Deserialize, Serialize, ser::SerializeMap};
use serde_json::{Map, Value};

use super::{
    layout::Layout,
    mapping::{self, Cells, FieldKind, Mapping, Role},
    problem::{FileProblem, RowProblem},
    rows::RawRow,
    when,
};

/// Shape of a row's body.
pub const ROW_FORMAT: &str = "files.row";
/// Shape of the body that stands for a whole file.
pub const FILE_FORMAT: &str = "files.file";
/// Longest key, characters: longer ones are shifted columns.
const LONGEST_KEY: usize = 64;

/// What is the same for all rows of a file.
#[derive(Debug)]
pub struct RowContext<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Name of the sheet.
    pub sheet: Option<&'a str>,
    /// Its columns.
    pub layout: &'a Layout,
    /// Its mapping.
    pub mapping: &'static Mapping,
    /// Zone of its dates.
    pub zone: &'a TimeZone,
}

/// An item made from a row.
#[derive(Debug)]
pub struct RowItem {
    /// What the journal gets.
    pub item: Item,
    /// Why the row is bad, when it is.
    pub problem: Option<RowProblem>,
}

#[derive(Serialize)]
struct RowBody<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<&'a str>,
    row: u64,
    mapping: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<Filled<'a>>,
    /// Text of a row that could not be split.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    /// The same in hexadecimal, when the bytes are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    line_hex: Option<String>,
}

/// Filled cells under their headers.
struct Filled<'a>(&'a Layout, &'a [String]);

impl Serialize for Filled<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, cell) in self.1.iter().enumerate() {
            if cell.is_empty() {
                continue;
            }
            match self.0.columns.get(index) {
                Some(column) => map.serialize_entry(&column.name, cell)?,
                // Beyond the header: kept under its letters.
                None => map.serialize_entry(&super::config::column_letters(index), cell)?,
            }
        }
        map.end()
    }
}

/// Makes the item of a row.
pub fn row_item(context: &RowContext<'_>, row: &RawRow) -> RowItem {
    if let Some(broken) = &row.broken {
        return bad_row(context, row, broken.problem.clone());
    }
    let mut cells = Cells::new(context.mapping);
    for (cell, column) in row.cells.iter().zip(&context.layout.columns) {
        if let Some(field) = column.field {
            cells.set(field, cell);
        }
    }
    let content = canonical(&cells, context.mapping, context.zone);
    let key = match key_of(context, &cells) {
        Ok(Some(key)) => key.to_owned(),
        // No key column: the content is the key, so a changed row is a new message.
        Ok(None) => format!("blake3:{}", hex(&content[..8])),
        Err(problem) => return bad_row(context, row, problem),
    };
    let item = Item {
        conversation: Some(key.clone()),
        external_id: key,
        revision: None,
        fingerprint: Some(content),
        format: ROW_FORMAT,
        body: body(context, row),
        problem: None,
    };
    RowItem { item, problem: None }
}

/// The key, `None` in a layout without one.
fn key_of<'a>(context: &RowContext<'_>, cells: &Cells<'a>) -> Result<Option<&'a str>, RowProblem> {
    let has_key = context.layout.has(context.mapping, |spec| spec.role == Role::Key);
    if !has_key {
        let subject = context
            .mapping
            .fields
            .iter()
            .position(|spec| spec.role == Role::Subject);
        let filled = subject.is_some_and(|field| cells.at(field).is_some());
        return if filled { Ok(None) } else { Err(RowProblem::NoText) };
    }
    let key = context
        .mapping
        .key()
        .and_then(|field| cells.at(field))
        .ok_or(RowProblem::NoKey)?;
    check_key(key).map(|()| Some(key))
}

/// A key has a digit and is short; anything else is the text of a shifted row.
fn check_key(key: &str) -> Result<(), RowProblem> {
    let characters = key.chars().count();
    if characters > LONGEST_KEY || key.contains('\n') || !key.chars().any(|c| c.is_ascii_digit()) {
        return Err(RowProblem::StrangeKey { characters });
    }
    Ok(())
}

/// Hash of what a reader would see: the known fields but the volatile ones, dates in one spelling.
fn canonical(cells: &Cells<'_>, mapping: &Mapping, zone: &TimeZone) -> [u8; 16] {
    let mut parts: Vec<(&str, String)> = Vec::with_capacity(mapping.fields.len());
    for (index, spec) in mapping.fields.iter().enumerate() {
        let Some(value) = cells.at(index).filter(|_| spec.role != Role::Volatile) else {
            continue;
        };
        let value = match spec.kind {
            FieldKind::Date => when::parse(value, zone).map_or_else(|| value.to_owned(), |moment| moment.value),
            FieldKind::Text => value.replace("\r\n", "\n"),
        };
        parts.push((spec.name, value));
    }
    // Not by position in the table: the table may grow in the middle.
    parts.sort_unstable();
    fingerprint(
        parts
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]),
    )
}

fn body(context: &RowContext<'_>, row: &RawRow) -> Bytes {
    let (mut line, mut line_hex) = (None, None);
    if let Some(broken) = &row.broken {
        line = Some(String::from_utf8_lossy(&broken.line).into_owned());
        if std::str::from_utf8(&broken.line).is_err() {
            line_hex = Some(hex(&broken.line));
        }
    }
    let body = RowBody {
        file: context.file,
        sheet: context.sheet,
        row: row.number,
        mapping: context.mapping.name,
        cells: row.broken.is_none().then_some(Filled(context.layout, &row.cells)),
        line,
        line_hex,
    };
    serde_json::to_vec(&body)
        .expect("texts and numbers always serialise")
        .into()
}

/// Bad rows are told apart by their content, so the same bad row in the next export is not quarantined again.
fn bad_row(context: &RowContext<'_>, row: &RawRow, problem: RowProblem) -> RowItem {
    let mut item = Item::malformed(ROW_FORMAT, body(context, row), problem.error(row.number));
    let mut hasher = blake3::Hasher::new();
    for cell in &row.cells {
        hasher.update(cell.as_bytes());
        hasher.update(b"\x1f");
    }
    if let Some(broken) = &row.broken {
        hasher.update(&broken.line);
    }
    item.external_id = format!("bad:{}", hex(&hasher.finalize().as_bytes()[..16]));
    RowItem {
        item,
        problem: Some(problem),
    }
}

#[derive(Serialize, Deserialize)]
struct FileBody {
    file: String,
    hash: String,
    reason: String,
    why: String,
}

/// Stands for a file that can't be imported, so that it shows in quarantine and in metrics.
pub fn file_item(file: &str, hash: &str, problem: &FileProblem) -> Item {
    let body = FileBody {
        file: file.to_owned(),
        hash: hash.to_owned(),
        reason: problem.reason().to_owned(),
        why: problem.to_string(),
    };
    let json = serde_json::to_vec(&body).expect("texts always serialise");
    let error = NormalizeError::new(problem.reason(), body.why);
    let mut item = Item::malformed(FILE_FORMAT, json.into(), error);
    item.external_id = format!("file:{hash}:{}", problem.reason());
    item
}

#[derive(Deserialize)]
struct StoredRow {
    row: u64,
    mapping: String,
    /// In the order of the file: the first filled column of a field wins.
    cells: Option<Map<String, Value>>,
}

/// A stored row to its message. Pure.
///
/// # Errors
/// For rows and files that were bad already when they were stored, and for bodies that are none of ours.
pub fn normalize(raw: &RawItem, zone: &TimeZone) -> Result<Vec<Message>, NormalizeError> {
    if raw.format == FILE_FORMAT {
        let file: FileBody = serde_json::from_slice(&raw.body)
            .map_err(|_| NormalizeError::new("not_json", "the stored body is not the JSON of a file"))?;
        return Err(NormalizeError::new(FileProblem::known_reason(&file.reason), file.why));
    }
    let stored: StoredRow = serde_json::from_slice(&raw.body)
        .map_err(|_| NormalizeError::new("not_json", "the stored body is not the JSON of a row"))?;
    let Some(mapping) = mapping::by_name(&stored.mapping) else {
        return Err(NormalizeError::new(
            "unknown_mapping",
            format!("row {}: this version has no such mapping", stored.row),
        ));
    };
    let Some(filled) = &stored.cells else {
        return Err(NormalizeError::new(
            "bad_row",
            format!("row {}: it could not be split into cells", stored.row),
        ));
    };
    let mut cells = Cells::new(mapping);
    for (header, value) in filled {
        if let (Some((field, _)), Some(value)) = (mapping.find(header), value.as_str()) {
            cells.set(field, value);
        }
    }
    let known = |role: Role| {
        mapping
            .fields
            .iter()
            .position(|spec| spec.role == role)
            .and_then(|f| cells.at(f))
    };
    let is_bad = raw.external_id.starts_with("bad:");
    if let Some(key) = known(Role::Key) {
        check_key(key).map_err(|problem| problem.error(stored.row))?;
    }
    if known(Role::Key).is_none() && (is_bad || known(Role::Subject).is_none()) {
        return Err(RowProblem::NoKey.error(stored.row));
    }
    let event = if raw.ordinal == 0 {
        EventType::Received
    } else {
        EventType::Updated
    };
    Ok(vec![raw.message(event, (mapping.build)(&cells, zone))])
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing into a string can't fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}
