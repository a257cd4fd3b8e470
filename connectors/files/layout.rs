//! Which column of a file holds which field: found by the header row, never by position alone.

use std::collections::{HashMap, HashSet};

use jiff::civil::DateTime;
use priem_tables::{Fault, Noted, RawRow, column_letters};

use super::{
    fold::plain_header,
    forbidden,
    guess::guess,
    mapping::{AUTO, Cells, FieldKind, FieldSpec, Mapping, Role, is_error},
    notes::Note,
    problem::FileProblem,
    rows, two_rows, when,
};

/// The header is looked for in this many rows: exports may start with a title and a period.
pub const HEADER_WITHIN: usize = 20;

/// Columns of a file.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What kind of file it is.
    pub mapping: &'static Mapping,
    /// Number of the header row, the last one of two; 0 when the settings name the columns.
    pub header_row: u64,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Number of the row right below the header, when it numbers the columns.
    numbering: Option<u64>,
    /// Numbers of this table have words in them.
    pub wordy: bool,
    /// Its first record is a text and nothing else: so may all be.
    pub only_texts: bool,
    /// What was guessed and left out.
    pub notes: Vec<Note>,
    /// When the file was made, by what stands above the header.
    pub made: Option<DateTime>,
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
        let mut half_known = None;
        for index in 0..first.len().min(HEADER_WITHIN) {
            let layout = Self::at(first, index, mapping, &named.headers, true);
            if layout.known_fields() < mapping.header_fields {
                continue;
            }
            if layout.has(FieldSpec::identifies) {
                return Ok(layout);
            }
            half_known = half_known.or(Some(layout));
        }
        if first.iter().all(RawRow::is_blank) {
            return Err(Fault::Empty.into());
        }
        if let Some(layout) = half_known {
            return Err(FileProblem::NothingToIdentify {
                mapping: mapping.name,
                counted: layout.notes.iter().any(|note| matches!(note, Note::CountsRows { .. })),
            });
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
        for index in 0..first.len().min(HEADER_WITHIN) {
            for mapping in candidates {
                let layout = Self::at(first, index, mapping, &HashMap::new(), false);
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

    /// The header that begins in a row: of this row, or of it and the next one together when both say more. `is_named`: the
    /// settings say what kind of file it is.
    fn at(
        first: &[RawRow],
        index: usize,
        mapping: &'static Mapping,
        headers: &HashMap<String, usize>,
        is_named: bool,
    ) -> Self {
        let row = &first[index];
        let mut layout = Self::from_header(row, mapping, headers);
        let mut below = &first[index + 1..];
        if let Some((next, rest)) = below.split_first()
            && let Some(joined) = two_rows::join(row, next, |title| {
                headers.contains_key(&plain_header(title)) || mapping.find(title).is_some()
            })
        {
            let both = Self::from_header(&joined, mapping, headers);
            // A title above a header of one row adds nothing to it.
            let apart = Self::from_header(next, mapping, headers).known_fields();
            if both.known_fields() > layout.known_fields().max(apart) {
                layout = both;
                layout.notes.push(Note::TwoHeaderRows {
                    first: row.number,
                    second: next.number,
                });
                below = rest;
            } else if layout.known_fields() >= mapping.header_fields && layout.has_no_header_over(next) {
                layout.notes.push(Note::MaybeTwoHeaderRows { second: next.number });
            }
        }
        let next = below.iter().find(|row| !row.is_blank());
        layout.numbering = next.filter(|row| rows::marks_columns(row)).map(|row| row.number);
        let records: Vec<&RawRow> = below.iter().filter(|row| !layout.numbers_columns(row)).collect();
        let full = layout.full(&records);
        layout.choose_key(&full);
        if is_named {
            layout.guess_number(&full);
        }
        layout.tell_no_number();
        layout.tell_same_fields();
        layout.look_at(&records);
        layout.made = first[..index].iter().filter_map(rows::made).max();
        layout
    }

    /// Whether a row stands mostly where the header has nothing: the second half of a header nobody knows.
    fn has_no_header_over(&self, row: &RawRow) -> bool {
        let filled = row.cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
        let (over, under): (Vec<_>, Vec<_>) =
            filled.partition(|(index, _)| self.columns.get(*index).is_some_and(|column| column.field.is_some()));
        under.len() >= 2 && over.is_empty()
    }

    /// How many different fields the columns hold.
    pub fn known_fields(&self) -> usize {
        self.fields().len()
    }

    /// The fields the columns hold.
    pub fn fields(&self) -> HashSet<usize> {
        self.columns.iter().filter_map(|column| column.field).collect()
    }

    /// Columns that are kept in the raw row only, as `AI «Название»`.
    pub fn unknown_columns(&self) -> Vec<String> {
        let columns = self.columns.iter().enumerate();
        let unknown = columns.filter(|(_, column)| column.field.is_none() && !column.forbidden);
        unknown
            .map(|(index, column)| (column_letters(index), &column.name))
            .filter(|(letters, name)| letters != *name)
            .map(|(letters, name)| {
                let header = name.strip_suffix(&format!(" [{letters}]")).unwrap_or(name);
                format!("{letters} «{header}»")
            })
            .collect()
    }

    /// Headers of the fields that rules usually need and no column holds.
    pub fn missing(&self) -> Vec<&'static str> {
        let fields = self.fields();
        let needed = self.mapping.fields.iter().enumerate().filter(|(index, spec)| {
            matches!(spec.role, Role::Key | Role::Subject | Role::Important) && !fields.contains(index)
        });
        needed.map(|(_, spec)| spec.header).collect()
    }

    /// Cells of a row that hold a part of an address and were turned into a date by a spreadsheet.
    pub fn turned_into_dates(&self, row: &RawRow) -> u64 {
        let cells = row.cells.iter().zip(&self.columns);
        let turned = cells.filter(|(cell, column)| {
            let kind = column.field.map(|field| self.mapping.fields[field].kind);
            kind == Some(FieldKind::Place) && when::is_spreadsheet_date(cell.trim())
        });
        turned.count() as u64
    }

    /// Whether a formula that failed or has no result stands where the row can't do without, and how many stand in other known
    /// columns.
    pub fn failed_cells(&self, row: &RawRow) -> (bool, u64) {
        let (mut needed, mut others) = (false, 0);
        for (index, column) in self.columns.iter().enumerate() {
            let Some(spec) = column.field.map(|field| &self.mapping.fields[field]) else {
                continue;
            };
            let cell = row.cells.get(index).map_or("", String::as_str);
            if is_error(cell) || cell.is_empty() && row.is_noted(index, Noted::NoResult) {
                match spec.identifies() || self.mapping.key_with == Some(spec.name) {
                    true => needed = true,
                    false => others += 1,
                }
            }
        }
        (needed, others)
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
            let forbidden = forbidden::is_forbidden(&plain);
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
            numbering: None,
            wordy: false,
            only_texts: false,
            notes: Vec::new(),
            made: None,
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
        let mut layout = Self {
            mapping,
            header_row: 0,
            columns,
            numbering: None,
            wordy: false,
            only_texts: false,
            notes: Vec::new(),
            made: None,
        };
        layout.look_at(&first.iter().collect::<Vec<_>>());
        layout
    }

    fn tell_same_fields(&mut self) {
        for (index, column) in self.columns.iter().enumerate() {
            let mut before = self.columns[..index].iter();
            if column.field.is_some()
                && let Some(first) = before.find(|other| other.field == column.field)
            {
                let (first, other) = (first.name.clone(), column.name.clone());
                self.notes.push(Note::SameField { first, other });
            }
        }
    }

    /// Whether a row only numbers the columns.
    pub fn numbers_columns(&self, row: &RawRow) -> bool {
        self.numbering == Some(row.number) || rows::numbers_columns(row)
    }

    /// Notes what the records of this table are like.
    fn look_at(&mut self, records: &[&RawRow]) {
        self.wordy = self.has_wordy_numbers(records);
        let first = records.iter().find(|row| !row.is_blank());
        self.only_texts = first.is_some_and(|row| self.cells(row).is_only(Role::Subject));
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
