//! Which column of a file holds which field: found by the header row, never by position alone.

use std::collections::{HashMap, HashSet};

use priem_tables::{Fault, RawRow, column_letters};

use super::{
    mapping::{AUTO, Cells, FieldKind, FieldSpec, Mapping, Role, plain_header},
    problem::FileProblem,
    when,
};

/// The header is looked for in this many rows: exports may start with a title and a period.
pub const HEADER_WITHIN: usize = 20;

/// Columns of a file.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What kind of file it is.
    pub mapping: &'static Mapping,
    /// Number of the header row; 0 when the settings name the columns.
    pub header_row: u64,
    /// Columns in order.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Header as the file writes it, made unique; the column letters when it has none.
    pub name: String,
    /// Field it means, as a position in the mapping.
    pub field: Option<usize>,
    /// The known spelling that matched.
    pub alias: Option<&'static str>,
    /// The header as it is compared; empty without a header row.
    pub written: String,
    /// It holds what no purpose of ours needs (СНИЛС, ОМС, birth dates): its cells are not even stored.
    pub forbidden: bool,
}

/// Words in headers of columns that are never stored (domain reference, 7.5).
const FORBIDDEN: &[&str] = &["снилс", "омс", "полис", "дата рождения", "паспорт"];

/// What the settings say about the columns of files.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// Zero-based column to field, for files without a header row.
    pub columns: Vec<(usize, usize)>,
    /// Header as compared to field.
    pub headers: HashMap<String, usize>,
}

impl Layout {
    /// Finds the header among the first rows, and with several candidates what kind of file it is: the one that knows
    /// most of the header.
    ///
    /// # Errors
    /// When no row is one, or when it names neither a key nor a subject.
    pub fn find(first: &[RawRow], candidates: &[&'static Mapping], named: &Named) -> Result<Self, FileProblem> {
        let &[mapping] = candidates else {
            return Self::recognise(first, candidates);
        };
        let mut half_known = false;
        for row in first.iter().take(HEADER_WITHIN) {
            let layout = Self::from_header(row, mapping, &named.headers);
            if layout.known_fields() < mapping.header_fields {
                continue;
            }
            if layout.has(FieldSpec::identifies) {
                return Ok(layout);
            }
            half_known = true;
        }
        if first.iter().all(RawRow::is_blank) {
            return Err(Fault::Empty.into());
        }
        if half_known {
            return Err(FileProblem::NothingToIdentify { mapping: mapping.name });
        }
        if !named.columns.is_empty() {
            return Ok(Self::from_settings(first, mapping, &named.columns));
        }
        Err(FileProblem::NoHeader {
            mapping: mapping.name,
            seen: first.iter().take(2).map(shape).collect(),
            suggestion: guess(first, mapping),
        })
    }

    /// The candidate that knows most fields of a row among the first; of equals the first in the list.
    fn recognise(first: &[RawRow], candidates: &[&'static Mapping]) -> Result<Self, FileProblem> {
        let mut best: Option<(usize, Self)> = None;
        for row in first.iter().take(HEADER_WITHIN) {
            for mapping in candidates {
                let layout = Self::from_header(row, mapping, &HashMap::new());
                let known = layout.known_fields();
                let is_signed = layout.has(|spec| mapping.signature.contains(&spec.name));
                let fits = known >= mapping.header_fields && is_signed && layout.has(FieldSpec::identifies);
                if fits && best.as_ref().is_none_or(|(most, _)| known > *most) {
                    best = Some((known, layout));
                }
            }
        }
        if let Some((_, layout)) = best {
            return Ok(layout);
        }
        if first.iter().all(RawRow::is_blank) {
            return Err(Fault::Empty.into());
        }
        Err(FileProblem::NoHeader {
            mapping: AUTO,
            seen: first.iter().take(2).map(shape).collect(),
            suggestion: None,
        })
    }

    fn known_fields(&self) -> usize {
        let known: HashSet<usize> = self.columns.iter().filter_map(|column| column.field).collect();
        known.len()
    }

    fn from_header(row: &RawRow, mapping: &'static Mapping, headers: &HashMap<String, usize>) -> Self {
        let by_settings: HashSet<usize> = row
            .cells
            .iter()
            .filter_map(|cell| headers.get(&plain_header(cell)).copied())
            .collect();
        let mut names: HashSet<String> = by_settings
            .iter()
            .map(|field| mapping.fields[*field].header.to_owned())
            .collect();
        let mut named: HashSet<usize> = HashSet::new();
        let mut columns = Vec::with_capacity(row.cells.len());
        for (index, cell) in row.cells.iter().enumerate() {
            let plain = plain_header(cell);
            let forbidden = is_forbidden(&plain);
            // Stored under the header of the mapping, so that a stored row is understood without the settings.
            if let Some(field) = headers.get(&plain).copied().filter(|field| named.insert(*field)) {
                columns.push(Column {
                    name: mapping.fields[field].header.to_owned(),
                    field: Some(field),
                    alias: None,
                    written: plain,
                    forbidden,
                });
                continue;
            }
            let mut found = mapping.find(cell).filter(|(field, _)| !by_settings.contains(field));
            let title = cell.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut name = if title.is_empty() { column_letters(index) } else { title };
            if !names.insert(name.clone()) {
                name = format!("{name} [{}]", column_letters(index));
                names.insert(name.clone());
                // The same header twice: the first column is meant, the second is kept as it is.
                found = None;
            }
            columns.push(Column {
                name,
                field: found.map(|(field, _)| field),
                alias: found.map(|(_, alias)| alias),
                written: plain,
                forbidden,
            });
        }
        Self {
            mapping,
            header_row: row.number,
            columns,
        }
    }

    /// Columns named by the settings get the headers of the mapping; the others their letters.
    fn from_settings(first: &[RawRow], mapping: &'static Mapping, explicit: &[(usize, usize)]) -> Self {
        let named = explicit.iter().map(|(column, _)| column + 1).max().unwrap_or(0);
        let width = first.iter().map(|row| row.cells.len()).max().unwrap_or(0).max(named);
        let columns = (0..width)
            .map(|index| {
                let field = explicit
                    .iter()
                    .find(|(column, _)| *column == index)
                    .map(|(_, field)| *field);
                Column {
                    name: field.map_or_else(
                        || column_letters(index),
                        |field| mapping.fields[field].header.to_owned(),
                    ),
                    field,
                    alias: None,
                    written: String::new(),
                    forbidden: false,
                }
            })
            .collect();
        Self {
            mapping,
            header_row: 0,
            columns,
        }
    }

    /// Whether some column holds a field of this sort.
    pub fn has(&self, what: impl Fn(&FieldSpec) -> bool) -> bool {
        self.columns
            .iter()
            .filter_map(|column| column.field)
            .any(|field| what(&self.mapping.fields[field]))
    }

    /// The cells of a row by field.
    pub fn cells<'a>(&self, row: &'a RawRow) -> Cells<'a> {
        let mut cells = Cells::new(self.mapping);
        for (cell, column) in row.cells.iter().zip(&self.columns) {
            if let Some(field) = column.field {
                cells.set(field, cell);
            }
        }
        cells
    }

    /// Whether a row is the header again (files glued together).
    pub fn repeats_header(&self, row: &RawRow) -> bool {
        self.header_row > 0
            && row.broken.is_none()
            && self.columns.iter().enumerate().all(|(index, column)| {
                let cell = row.cells.get(index).map(String::as_str).unwrap_or_default();
                column.field.is_none() || plain_header(cell) == column.written
            })
    }
}

/// Whether a header, as compared, names what is never stored.
pub fn is_forbidden(plain: &str) -> bool {
    plain
        .split(|c: char| !c.is_alphanumeric() && c != ' ')
        .any(|part| FORBIDDEN.iter().any(|word| has_words(part, word)))
}

/// Whether `words` stand in `text` as whole words, in this order.
fn has_words(text: &str, words: &str) -> bool {
    format!(" {text} ").contains(&format!(" {words} "))
}

/// What a row looks like, for the report beside the file.
fn shape(row: &RawRow) -> String {
    const SHOWN: usize = 8;
    let cells: Vec<String> = row
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| !cell.trim().is_empty())
        .take(SHOWN)
        .map(|(index, cell)| format!("{} «{}»", column_letters(index), short(cell, 30)))
        .collect();
    format!("строка {}: ячеек {}; {}", row.number, row.cells.len(), cells.join(", "))
}

/// The first characters of a text on one line.
pub fn short(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    let cut: String = line.chars().take(limit.saturating_sub(1)).collect();
    format!("{cut}…")
}

/// A guess at `columns:` from what the columns hold. Only offered in the report, never applied: no headerless layout is
/// known well enough.
fn guess(first: &[RawRow], mapping: &Mapping) -> Option<String> {
    const ENOUGH_ROWS: usize = 3;
    let rows: Vec<&RawRow> = first.iter().filter(|row| !row.is_blank()).collect();
    if rows.len() < ENOUGH_ROWS {
        return None;
    }
    let width = rows.iter().map(|row| row.cells.len()).max()?;
    let column = |index: usize| -> Vec<&str> {
        rows.iter()
            .filter_map(|row| row.cells.get(index))
            .map(|cell| cell.trim())
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    let mut found: Vec<(usize, &str)> = Vec::new();
    let free = |found: &[(usize, &str)], index: usize| !found.iter().any(|(known, _)| *known == index);
    for (field, words) in mapping.vocabulary {
        let holds = |index: &usize| {
            let values = column(*index);
            let hits = values.iter().filter(|value| words.contains(value)).count();
            values.len() >= ENOUGH_ROWS && hits * 10 >= values.len() * 8
        };
        if let Some(index) = (0..width).find(holds) {
            found.push((index, field));
        }
    }
    let is_key = |index: &usize| {
        let values = column(*index);
        let different: HashSet<&&str> = values.iter().collect();
        values.len() == rows.len()
            && different.len() == values.len()
            && values
                .iter()
                .all(|value| (4..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()))
    };
    if let (Some(key), Some(index)) = (mapping.key(), (0..width).find(is_key)) {
        found.push((index, mapping.fields[key].name));
    }
    let utc = jiff::tz::TimeZone::UTC;
    let is_date = |index: &usize| {
        let values = column(*index);
        values.len() >= ENOUGH_ROWS
            && values
                .iter()
                .all(|value| value.contains(['.', '-', '/']) && when::parse(value, &utc).is_some())
    };
    let first_date = mapping.fields.iter().find(|spec| spec.kind == FieldKind::Date);
    if let (Some(date), Some(index)) = (first_date, (0..width).filter(|i| free(&found, *i)).find(is_date)) {
        found.push((index, date.name));
    }
    let length = |index: usize| column(index).iter().map(|value| value.chars().count()).sum::<usize>();
    let longest = (0..width).filter(|i| free(&found, *i)).max_by_key(|i| length(*i));
    let subject = mapping.fields.iter().find(|spec| spec.role == Role::Subject);
    if let (Some(subject), Some(index)) = (subject, longest)
        && length(index) > 40 * rows.len()
    {
        found.push((index, subject.name));
    }
    found.sort_unstable();
    let has_subject = found.iter().any(|(_, name)| {
        mapping
            .fields
            .iter()
            .any(|spec| spec.name == *name && spec.identifies())
    });
    if !has_subject {
        return None;
    }
    let list: Vec<String> = found
        .iter()
        .map(|(index, name)| format!("{}: {name}", column_letters(*index)))
        .collect();
    Some(format!("columns: {{ {} }}", list.join(", ")))
}
