//! Rows to items and items back to messages.
//!
//! The body of an item is the row as the file gave it, under the file's own headers; empty cells are left out. What a
//! reader would see (the fingerprint) is the known fields only, with dates made equal across file kinds, so the same
//! row in another file, at another place or in another format changes nothing.
//!
//! A row with aspects is several items: the row, and its status, rating, reopening as objects of their own beside it.
//! So the journal tells which of them changed, and `normalize` needs no previous row (ADR 0010).

use std::borrow::Cow;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::{civil::DateTime, tz::TimeZone};
use priem_sdk::{EventType, Item, Message, NormalizeError, RawItem, contract::fingerprint, json};
use priem_tables::{RawRow, dates::Order};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Checked, keys,
    layout::Layout,
    mapping::{self, Aspect, Cells, FieldKind, Mapping, Role},
    meaning,
    problem::{FileProblem, RowProblem},
    row_body::{Which, body, body_of},
    rows, shared, when,
};

/// Shape of a row's body.
pub const ROW_FORMAT: &str = "files.row";
/// Shape of the body that stands for a whole file.
pub const FILE_FORMAT: &str = "files.file";

/// What is the same for all rows of a file.
#[derive(Debug)]
pub struct RowContext<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Name of the sheet.
    pub sheet: Option<&'a str>,
    /// Its columns.
    pub layout: &'a Layout,
    /// Zone of its dates.
    pub zone: &'a TimeZone,
    /// Order of its dates.
    pub order: Order,
    /// Nothing has happened after it.
    pub until: DateTime,
}

/// The items made from a row.
#[derive(Debug)]
pub struct RowItems {
    /// What the journal gets: the row, then its aspects. Never empty.
    pub items: Vec<Item>,
    /// Why the row is bad, when it is.
    pub problem: Option<RowProblem>,
    /// Cells of date columns that are no date, marks that say neither yes nor no, and cells with the error of a spreadsheet.
    pub unread: u64,
}

impl RowItems {
    /// Key and content of a good row, with all that its aspects say.
    pub fn content(&self) -> Option<(&str, u64)> {
        let first = self.items.first().filter(|_| self.problem.is_none())?;
        let mut hasher = blake3::Hasher::new();
        for item in &self.items {
            hasher.update(&item.fingerprint?);
        }
        let hash = hasher.finalize();
        let content = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default());
        Some((&first.external_id, content))
    }
}

/// Makes the items of a row: one for the row, and one for each aspect it says something of.
pub fn row_items(context: &RowContext<'_>, row: &RawRow) -> RowItems {
    if let Some(broken) = &row.broken {
        return bad_row(context, row, RowProblem::Unread(broken.fault.clone()));
    }
    let mapping = context.layout.mapping;
    let cells = context.layout.cells(row).with_dates(context.order, context.until);
    let has_key = context.layout.has(|spec| spec.role == Role::Key);
    let named = if has_key {
        identity(mapping, &cells).map(Some)
    } else {
        without_key(mapping, &cells)
    };
    let key = match named {
        Ok(key) => key,
        Err(problem) => return bad_row(context, row, problem),
    };
    let (is_needed, failed) = context.layout.failed_cells(row);
    let held = match &key {
        _ if is_needed => Some(RowProblem::ErrorCell),
        _ if cells.are_garbled() => Some(RowProblem::Garbled),
        Some(key) => rows::is_no_message(context.layout, &cells, &key.own, context.zone),
        None => rows::is_lone_note(context.layout, &cells, context.zone).then_some(RowProblem::NoMessage),
    };
    if let Some(problem) = held {
        return bad_row(context, row, problem);
    }
    let number = key.as_ref().map(|key| &*key.own);
    let (content, mut unread) = canonical(&cells, mapping, context.zone, number, None);
    unread += failed;
    // No key column: the content is the key, so a changed row is a new message.
    let own_key = key
        .as_ref()
        .map(Key::whole)
        .unwrap_or_else(|| format!("blake3:{}", HEXLOWER.encode(&content[..8])));
    let item = |external_id: String, content: [u8; 16], body: Bytes| Item {
        conversation: Some(own_key.clone()),
        external_id,
        revision: None,
        fingerprint: Some(content),
        format: ROW_FORMAT,
        body,
        problem: None,
    };
    let marks = mapping.aspects.iter().filter(|aspect| aspect.is_mark);
    let marks = marks
        .flat_map(|aspect| aspect.fields)
        .filter_map(|name| cells.said(name));
    unread += marks.filter(|value| shared::is_unknown_mark(value)).count() as u64;
    let mut items = Vec::with_capacity(1 + mapping.aspects.len());
    items.push(item(own_key.clone(), content, body(context, row, None, Which::All)));
    for aspect in mapping.aspects.iter().filter(|_| key.is_some()) {
        let says = aspect.says(&cells);
        let has_column = context.layout.has(|spec| aspect.fields.contains(&spec.name));
        let is_noted = says || (aspect.is_mark && has_column);
        if !is_noted {
            continue;
        }
        let content = if says {
            let (content, more) = canonical(&cells, mapping, context.zone, number, Some(aspect));
            unread += more;
            content
        } else {
            SILENCE
        };
        let which = if says { Which::All } else { Which::Names };
        let body = body(context, row, Some(aspect.name), which);
        items.push(item(format!("{own_key}#{}", aspect.name), content, body));
    }
    RowItems {
        items,
        problem: None,
        unread,
    }
}

/// Content of an aspect that a row says nothing of.
const SILENCE: [u8; 16] = [0; 16];

/// A layout without a key column is understood by its text alone.
fn without_key<'a>(mapping: &Mapping, cells: &Cells<'a>) -> Result<Option<Key<'a>>, RowProblem> {
    let subject = mapping.fields.iter().position(|spec| spec.role == Role::Subject);
    if subject.is_some_and(|field| cells.at(field).is_some()) {
        return Ok(None);
    }
    Err(RowProblem::NoText)
}

/// The key of a row.
#[derive(Debug, Clone)]
struct Key<'a> {
    /// The number, in its one spelling.
    own: Cow<'a, str>,
    /// What completes it where one number stands on several rows.
    part: Option<Cow<'a, str>>,
}

impl Key<'_> {
    fn whole(&self) -> String {
        let own = &self.own;
        match &self.part {
            None => own.to_string(),
            Some(part) if part.chars().count() > keys::LONGEST_KEY || part.contains('\n') => {
                format!("{own}/{}", &blake3::hash(part.as_bytes()).to_hex()[..16])
            }
            Some(part) => format!("{own}/{part}"),
        }
    }
}

fn identity<'a>(mapping: &Mapping, cells: &Cells<'a>) -> Result<Key<'a>, RowProblem> {
    let cell = mapping
        .key()
        .and_then(|field| cells.at(field))
        .ok_or(RowProblem::NoKey)?;
    let part = mapping.key_with.and_then(|name| cells.said(name));
    Ok(Key {
        own: keys::clean(cell)?,
        part: part.map(keys::clean_part).transpose()?.filter(|part| !part.is_empty()),
    })
}

/// Hash of what a reader would see of an aspect, or of the row without its aspects: the known fields but the volatile
/// ones, dates and the number in one spelling; and how many cells of date columns are no date.
fn canonical(
    cells: &Cells<'_>,
    mapping: &Mapping,
    zone: &TimeZone,
    number: Option<&str>,
    part: Option<&Aspect>,
) -> ([u8; 16], u64) {
    let mut unread = 0;
    let mut parts: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(mapping.fields.len());
    for (index, spec) in mapping.fields.iter().enumerate() {
        let is_of_part = mapping.aspect_of(spec.name).map(|aspect| aspect.name) == part.map(|aspect| aspect.name);
        let Some(value) = cells
            .said_at(index)
            .filter(|_| is_of_part && spec.role != Role::Volatile)
        else {
            continue;
        };
        let value = match spec.kind {
            _ if spec.role == Role::Key => Cow::Borrowed(number.unwrap_or(value)),
            FieldKind::Date | FieldKind::Term => cells.moment_of(index, value, zone).map_or_else(
                || {
                    unread += 1;
                    Cow::Borrowed(value)
                },
                |moment| Cow::Owned(moment.value),
            ),
            FieldKind::Text | FieldKind::Place if value.contains("\r\n") => Cow::Owned(value.replace("\r\n", "\n")),
            FieldKind::Text | FieldKind::Place => Cow::Borrowed(value),
        };
        parts.push((spec.name, value));
    }
    // Not by position in the table: the table may grow in the middle.
    parts.sort_unstable();
    let parts = parts.iter();
    let content = fingerprint(parts.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    (content, unread)
}

/// Bad rows are told apart by their content, so the same bad row in the next export is not quarantined again.
fn bad_row(context: &RowContext<'_>, row: &RawRow, problem: RowProblem) -> RowItems {
    let body = body_of(context, row, None, Which::All, Some(&problem));
    let mut item = Item::malformed(ROW_FORMAT, body, problem.error(row.number));
    let mut hasher = blake3::Hasher::new();
    for cell in &row.cells {
        hasher.update(cell.as_bytes());
        hasher.update(b"\x1f");
    }
    if let Some(broken) = &row.broken {
        hasher.update(&broken.line);
    }
    item.external_id = format!("bad:{}", HEXLOWER.encode(&hasher.finalize().as_bytes()[..16]));
    RowItems {
        items: vec![item],
        problem: Some(problem),
        unread: 0,
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
    aspect: Option<String>,
    #[serde(default)]
    foreign: bool,
    #[serde(default)]
    failed: bool,
    #[serde(default)]
    order: Order,
    /// In the order of the file: the first filled column of a field wins.
    cells: Option<Map<String, Value>>,
}

/// A stored row or aspect to its message; no message, when the aspect says nothing new. Pure: the classifiers are part
/// of the settings.
///
/// # Errors
/// For rows and files that were bad already when they were stored, and for bodies that are none of ours.
pub fn normalize(raw: &RawItem, checked: &Checked) -> Result<Vec<Message>, NormalizeError> {
    if raw.format == FILE_FORMAT {
        let file: FileBody = serde_json::from_slice(&raw.body)
            .map_err(|_| NormalizeError::new("not_json", "the stored body is not the JSON of a file"))?;
        return Err(NormalizeError::new(FileProblem::known_reason(&file.reason), file.why));
    }
    let stored: StoredRow = json::from_slice(&raw.body)
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
    let mut cells = Cells::new(mapping).with_dates(stored.order, when::until(raw.received_at, &checked.zone));
    for (header, value) in filled {
        if let (Some((field, _)), Some(value)) = (mapping.find(header), value.as_str()) {
            cells.set(field, value);
        }
    }
    if stored.failed {
        return Err(RowProblem::ErrorCell.error(stored.row));
    }
    if cells.are_garbled() {
        return Err(RowProblem::Garbled.error(stored.row));
    }
    if stored.foreign {
        let problem = match cells.is_only(Role::Key) {
            true => RowProblem::OnlyNumber,
            false => RowProblem::NoMessage,
        };
        return Err(problem.error(stored.row));
    }
    let known = |role: Role| {
        mapping
            .fields
            .iter()
            .position(|spec| spec.role == role)
            .and_then(|f| cells.at(f))
    };
    let is_bad = raw.external_id.starts_with("bad:");
    let mut key = None;
    if known(Role::Key).is_some() {
        key = Some(identity(mapping, &cells).map_err(|problem| problem.error(stored.row))?);
    }
    if key.is_none() && (is_bad || known(Role::Subject).is_none()) {
        return Err(RowProblem::NoKey.error(stored.row));
    }
    let Some(event) = event(raw, mapping, stored.aspect.as_deref(), &cells)
        .map_err(|why| NormalizeError::new("unknown_aspect", format!("row {}: {why}", stored.row)))?
    else {
        return Ok(Vec::new());
    };
    let own = key.as_ref().map(|key| key.own.clone().into_owned());
    let whole = key.map(|key| key.whole());
    if let (Some(field), Some(own)) = (mapping.key(), &own) {
        cells.replace(field, own);
    }
    let mut data = meaning::message(mapping, &cells, &checked.zone);
    data.external.id = whole.unwrap_or_default();
    data.external
        .conversation
        .get_or_insert_with(|| data.external.id.clone());
    checked.restate(&mut data);
    checked.classifiers.apply(&mut data);
    Ok(vec![raw.message(event, data)])
}

/// Which event an item is; none, when it only notes how an aspect stands.
fn event(
    raw: &RawItem,
    mapping: &Mapping,
    aspect: Option<&str>,
    cells: &Cells<'_>,
) -> Result<Option<EventType>, &'static str> {
    let is_first = raw.ordinal == 0;
    let Some(name) = aspect else {
        let (first, later) = mapping.events;
        return Ok(Some(if is_first { first } else { later }));
    };
    let aspect = mapping
        .aspects
        .iter()
        .find(|aspect| aspect.name == name)
        .ok_or("this version has no such aspect of a row")?;
    let is_news = aspect.says(cells) && (aspect.news_at_first || !is_first);
    Ok(is_news.then_some(aspect.event))
}
