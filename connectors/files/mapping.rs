//! A mapping says what a kind of file holds: which headers mean which field, and how fields become a message.
//!
//! Mappings are data: a table of fields with their headers, the aspects of a row that make events of their own, and what
//! the fields mean. Another kind of file is one more table in a file of its own and a line in [`MAPPINGS`].

use std::{collections::HashMap, sync::OnceLock};

use jiff::{civil::DateTime, tz::TimeZone};
use priem_sdk::{EventType, message::Moment};
use priem_tables::dates::Order;

use super::{
    fold::{is_unseen, plain_header},
    fz59, incident,
    meaning::Meaning,
    mss, pos_registry, shared, uv, votes, when,
};

/// Every mapping, by the name used in the settings.
pub static MAPPINGS: &[&Mapping] = &[
    &incident::MAPPING,
    &pos_registry::MAPPING,
    &uv::MAPPING,
    &fz59::MAPPING,
    &votes::MAPPING,
    &mss::MAPPING,
];
/// The setting that stands for "each file by its headers".
pub const AUTO: &str = "auto";

/// The mapping of a name.
pub fn by_name(name: &str) -> Option<&'static Mapping> {
    MAPPINGS.iter().copied().find(|mapping| mapping.name == name)
}

/// One kind of file.
#[derive(Debug)]
pub struct Mapping {
    /// Name in the settings and in stored rows; never changes.
    pub name: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// The fields it knows.
    pub fields: &'static [FieldSpec],
    /// A row is a header row when it names at least this many different fields, one of them a key or a subject.
    pub header_fields: usize,
    /// With the setting `auto`, one of these fields must be in the header: they tell this kind of file from the others.
    /// Empty: never chosen by headers.
    pub signature: &'static [&'static str],
    /// What the first sight of a row is called, and what a change of it.
    pub events: (EventType, EventType),
    /// Parts of a row that make events of their own when they change, and are no change of the rest.
    pub aspects: &'static [Aspect],
    /// Field that completes the key where one key stands on several rows (the options of a vote).
    pub key_with: Option<&'static str>,
    /// Values by which a column of a file without a header can be guessed: field name and known values.
    pub vocabulary: &'static [(&'static str, &'static [&'static str])],
    /// How its fields become a message.
    pub meaning: Meaning,
    /// Spellings as compared, filled at first use; a table starts with [`Spellings::new`].
    pub spellings: Spellings,
}

/// A part of a row with a life of its own: the status, the rating, the reopening. Each is stored as an object beside
/// the row, so that the journal compares it with its own last state (ADR 0010).
#[derive(Debug)]
pub struct Aspect {
    /// Name in stored rows and, after `#`, in the keys of items; never changes.
    pub name: &'static str,
    /// Fields whose change is the event. No field is in two aspects.
    pub fields: &'static [&'static str],
    /// The event.
    pub event: EventType,
    /// Whether it is an event already when the row is seen for the first time. Not, when the row's own event says it.
    pub news_at_first: bool,
    /// Whether its fields are marks: anything but no is said then, and rows that say nothing are noted too, so that what
    /// came, went and came again is two events.
    pub is_mark: bool,
}

impl Aspect {
    /// The status, an event when it changes.
    pub const fn status(fields: &'static [&'static str]) -> Self {
        Self {
            name: "status",
            fields,
            event: EventType::Status,
            news_at_first: false,
            is_mark: false,
        }
    }

    /// The rating of the answer: consumers count each.
    pub const fn rating(fields: &'static [&'static str]) -> Self {
        Self {
            name: "rating",
            fields,
            event: EventType::Rated,
            news_at_first: true,
            is_mark: false,
        }
    }

    /// The mark that it was taken up again.
    pub const fn reopened(fields: &'static [&'static str]) -> Self {
        Self {
            name: "reopened",
            fields,
            event: EventType::Reopened,
            news_at_first: true,
            is_mark: true,
        }
    }

    /// Whether a row says anything of it. Rows that say nothing make no event.
    pub fn says(&self, cells: &Cells<'_>) -> bool {
        let mut fields = self.fields.iter();
        fields.any(|name| match self.is_mark {
            true => shared::is_marked(cells, name),
            false => cells.said(name).is_some(),
        })
    }
}

/// Every spelling of every field, as compared.
#[derive(Debug)]
pub struct Spellings(OnceLock<HashMap<String, (usize, &'static str)>>);

impl Spellings {
    /// Not filled yet.
    #[expect(
        clippy::new_without_default,
        reason = "used in statics, where only const functions work"
    )]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

/// One field of a mapping.
#[derive(Debug)]
pub struct FieldSpec {
    /// Name in settings and reports.
    pub name: &'static str,
    /// Header as the source writes it.
    pub header: &'static str,
    /// Other spellings; case, look-alike letters and signs between words do not count.
    pub aliases: &'static [&'static str],
    /// What sort of value it holds.
    pub kind: FieldKind,
    /// What its absence means.
    pub role: Role,
}

/// What sort of value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Words.
    Text,
    /// A day or a moment on which something happened, day first.
    Date,
    /// A day or a moment by which something must happen; mostly still to come.
    Term,
    /// A part of an address: never a date.
    Place,
}

impl FieldKind {
    /// Whether it holds a day or a moment.
    pub fn is_date(self) -> bool {
        matches!(self, Self::Date | Self::Term)
    }
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The key of the row: a file that has the column must have it filled in each row.
    Key,
    /// The words the row is about; a file must have this or the key.
    Subject,
    /// Rules usually need it; `probe` names it when it is missing.
    Important,
    /// Good to have.
    Optional,
    /// Changes by itself from export to export (a running duration); not part of what makes a row "changed".
    Volatile,
}

impl FieldSpec {
    /// Whether a row with this field filled can stand for something.
    pub fn identifies(&self) -> bool {
        matches!(self.role, Role::Key | Role::Subject)
    }

    /// Every spelling of the header.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.header).chain(self.aliases.iter().copied())
    }
}

impl Mapping {
    /// Which field a header names, and by which spelling.
    pub fn find(&self, header: &str) -> Option<(usize, &'static str)> {
        let known = self.spellings.0.get_or_init(|| {
            let fields = self.fields.iter().enumerate();
            fields
                .flat_map(|(index, spec)| spec.spellings().map(move |alias| (plain_header(alias), (index, alias))))
                .collect()
        });
        known.get(&plain_header(header)).copied()
    }

    /// Headers that a file needs one of, for people.
    pub fn wanted(&self) -> String {
        let headers: Vec<String> = self
            .fields
            .iter()
            .filter(|spec| spec.identifies())
            .map(|spec| format!("«{}»", spec.header))
            .collect();
        headers.join(" или ")
    }

    /// The aspect a field belongs to.
    pub fn aspect_of(&self, field: &str) -> Option<&'static Aspect> {
        self.aspects.iter().find(|aspect| aspect.fields.contains(&field))
    }

    /// Whether a field is a mark, and what stands in it says neither yes nor no.
    pub fn is_unknown_mark(&self, field: &str, value: &str) -> bool {
        let is_mark = self.aspect_of(field).is_some_and(|aspect| aspect.is_mark);
        is_mark && shared::is_unknown_mark(value)
    }

    /// Position of a field in [`Mapping::fields`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|spec| spec.name == name)
    }

    /// Position of the key field.
    pub fn key(&self) -> Option<usize> {
        self.fields.iter().position(|spec| spec.role == Role::Key)
    }
}

/// Whether a cell holds only a mark for "nothing".
fn is_nothing(value: &str) -> bool {
    const MARKS: &[&str] = &["н/д", "нет данных", "не указано", "не указан", "null"];
    const LONGEST: usize = "не указано".len();
    value.chars().all(|c| matches!(c, '-' | '–' | '—'))
        || value.len() <= LONGEST && MARKS.contains(&value.to_lowercase().as_str())
}

/// Whether a cell holds the error of a formula as spreadsheets show it, or what they show where a column is too narrow.
pub fn is_error(value: &str) -> bool {
    const ERRORS: &[&str] = &[
        "#N/A",
        "#VALUE!",
        "#REF!",
        "#DIV/0!",
        "#NAME?",
        "#NUM!",
        "#NULL!",
        "#Н/Д",
        "#ЗНАЧ!",
        "#ССЫЛКА!",
        "#ДЕЛ/0!",
        "#ИМЯ?",
        "#ЧИСЛО!",
        "#ПУСТО!",
    ];
    let value = value.trim();
    value.starts_with('#')
        && (ERRORS.contains(&value.to_uppercase().as_str())
            || value.len() > 2 && value.bytes().all(|byte| byte == b'#'))
}

/// The filled cells of one row, by field.
#[derive(Debug)]
pub struct Cells<'a> {
    mapping: &'static Mapping,
    order: Order,
    until: DateTime,
    values: Vec<Option<&'a str>>,
}

impl<'a> Cells<'a> {
    /// No cell filled.
    pub fn new(mapping: &'static Mapping) -> Self {
        Self {
            mapping,
            order: Order::default(),
            until: DateTime::MAX,
            values: vec![None; mapping.fields.len()],
        }
    }

    /// The same with dates in the order of their table; nothing has happened after `until`.
    #[must_use]
    pub fn with_dates(self, order: Order, until: DateTime) -> Self {
        Self { order, until, ..self }
    }

    /// Whose fields they are.
    pub fn mapping(&self) -> &'static Mapping {
        self.mapping
    }

    /// In which order dates with slashes are written.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Fills a field, unless an earlier column did.
    pub fn set(&mut self, field: usize, value: &'a str) {
        let value = value.trim_matches(|c: char| c.is_whitespace() || is_unseen(c));
        if !value.is_empty() && self.values[field].is_none() {
            self.values[field] = Some(value);
        }
    }

    /// Puts another value in the place of what a field holds.
    pub fn replace(&mut self, field: usize, value: &'a str) {
        self.values[field] = Some(value);
    }

    /// How many fields are filled.
    pub fn filled(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// Whether the letters of some cell were lost before the file was written.
    pub fn are_garbled(&self) -> bool {
        self.values
            .iter()
            .flatten()
            .any(|value| priem_tables::is_garbled(value))
    }

    /// Whether anything is said in a field of this role, and nothing in any other.
    pub fn is_only(&self, role: Role) -> bool {
        let fields = self.mapping.fields.iter().enumerate();
        let mut said = fields.filter(|(index, _)| self.said_at(*index).is_some()).peekable();
        said.peek().is_some() && said.all(|(_, spec)| spec.role == role)
    }

    /// Value of a field by its position.
    pub fn at(&self, field: usize) -> Option<&'a str> {
        self.values[field]
    }

    /// Value of a field by its name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.values[self.mapping.position(name)?]
    }

    /// Value of a field; none too when the source wrote only a mark for "nothing" (`-`, «нет данных», a date of the year
    /// 1900), or a spreadsheet an error.
    pub fn said(&self, name: &str) -> Option<&'a str> {
        self.said_at(self.mapping.position(name)?)
    }

    /// The same by its position.
    pub fn said_at(&self, field: usize) -> Option<&'a str> {
        let is_date = self.mapping.fields[field].kind.is_date();
        let value = self.at(field).filter(|value| !is_nothing(value) && !is_error(value));
        value.filter(|value| !is_date || !when::is_no_date(value))
    }

    /// The date in a field, by its position; none when it says none, or one that can't be meant: before our time, happened in
    /// the future, due in many years.
    pub fn moment(&self, field: usize, zone: &TimeZone) -> Option<Moment> {
        self.moment_of(field, self.said_at(field)?, zone)
    }

    /// The same where it is known what the field says.
    pub fn moment_of(&self, field: usize, said: &str, zone: &TimeZone) -> Option<Moment> {
        let span = when::span(self.mapping.fields[field].kind, self.until);
        when::within(said, zone, self.order, &span)
    }

    /// Value of a field as an owned text, [`Cells::said`].
    pub fn owned(&self, name: &str) -> Option<String> {
        self.said(name).map(str::to_owned)
    }

    /// Header of a field as the source writes it.
    pub fn header(&self, name: &str) -> &'static str {
        self.mapping
            .position(name)
            .map_or("", |index| self.mapping.fields[index].header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_means_two_fields() {
        for mapping in MAPPINGS {
            let mut seen = HashMap::new();
            for spec in mapping.fields {
                for alias in spec.spellings() {
                    if let Some(other) = seen.insert(plain_header(alias), spec.name) {
                        panic!("«{alias}» means {other} and {}", spec.name);
                    }
                }
            }
            assert!(mapping.fields.iter().any(FieldSpec::identifies), "{}", mapping.name);
        }
    }

    #[test]
    fn tables_name_only_fields_they_have() {
        for mapping in MAPPINGS {
            let aspects = mapping.aspects.iter().flat_map(|aspect| aspect.fields);
            for name in mapping.signature.iter().chain(aspects).chain(&mapping.key_with) {
                assert!(mapping.position(name).is_some(), "{}: {name}", mapping.name);
            }
            for aspect in mapping.aspects {
                for field in aspect.fields {
                    let owner = mapping.aspect_of(field).expect("an aspect");
                    assert_eq!(owner.name, aspect.name, "{field} is in two aspects");
                }
            }
            assert_ne!(mapping.name, AUTO);
        }
    }

    #[test]
    fn a_mark_for_nothing_is_nothing() {
        let mut cells = Cells::new(&incident::MAPPING);
        let step = incident::MAPPING.position("step").expect("a field");
        cells.set(step, " - ");
        assert_eq!((cells.get("step"), cells.said("step")), (Some("-"), None));
    }
}
