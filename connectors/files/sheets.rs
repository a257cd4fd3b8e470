//! The sheets of a workbook that hold the table: chosen by their headers, read one after the other.

use std::path::Path;

use priem_tables::{Fault, RawRow, SharedStrings, SheetRows, Source, Visibility, Workbook};

use super::{
    config::Checked,
    layout::{HEADER_WITHIN, Layout},
    mapping::{FieldSpec, Role},
    notes::{NotRead, Note},
    problem::FileProblem,
};

/// The sheets of one file that are read.
#[derive(Debug)]
pub struct Sheets {
    book: Workbook,
    chosen: Vec<(String, Layout)>,
    at: usize,
    /// Nothing only while one sheet is left for the next.
    rows: Option<Box<SheetRows>>,
    /// What was guessed and left out.
    pub notes: Vec<Note>,
}

/// A sheet that has the table, or may have it.
struct Candidate {
    name: String,
    layout: Layout,
    hidden: bool,
}

impl Sheets {
    /// Stands before the first row of data of the first sheet that is read.
    ///
    /// # Errors
    /// What is wrong with the file as a whole.
    pub fn open(source: &Source, checked: &Checked, scratch: &Path) -> Result<Self, FileProblem> {
        let book = Workbook::open(source)?;
        let mut strings = Some(book.strings(scratch)?);
        let mut problem: Option<FileProblem> = None;
        let mut stopped_problem: Option<FileProblem> = None;
        let mut found = Vec::new();
        let mut notes = Vec::new();
        for sheet in book.sheets() {
            let mut not_read = |why| {
                notes.push(Note::SheetNotRead {
                    sheet: sheet.name.clone(),
                    why,
                });
            };
            if let Some(fault) = &sheet.unreadable {
                not_read(NotRead::Damaged);
                stopped_problem.get_or_insert(fault.clone().into());
                continue;
            }
            let table = match strings.take() {
                Some(strings) => strings,
                None => book.strings(scratch)?,
            };
            let mut rows = match book.rows(&sheet.name, table) {
                Ok(rows) => rows,
                Err(Fault::Stopped) => return Err(Fault::Stopped.into()),
                Err(fault) => {
                    not_read(NotRead::Damaged);
                    stopped_problem.get_or_insert(fault.into());
                    continue;
                }
            };
            let (first, stopped) = first_rows(&mut rows);
            if stopped == Some(Fault::Stopped) {
                return Err(Fault::Stopped.into());
            }
            strings = Some(rows.into_strings());
            match Layout::find(&first, &checked.mappings, &checked.named) {
                Ok(layout) => found.push(Candidate {
                    name: sheet.name.clone(),
                    layout,
                    hidden: sheet.visibility != Visibility::Visible,
                }),
                Err(_) if stopped.is_some() => {
                    not_read(NotRead::Damaged);
                    stopped_problem = stopped_problem.or(stopped.map(FileProblem::from));
                }
                // The first sheet with something in it says most.
                Err(said) => {
                    if said != Fault::Empty.into() {
                        not_read(NotRead::NoHeader);
                    }
                    if problem.is_none() || problem == Some(Fault::Empty.into()) {
                        problem = Some(said);
                    }
                }
            }
        }
        let chosen = choose(found, &mut notes);
        let Some((name, layout)) = chosen.first() else {
            let first = |problem: Option<FileProblem>| problem.filter(|problem| *problem != Fault::Empty.into());
            let said = stopped_problem.or(first(problem));
            return Err(said.unwrap_or(Fault::Empty.into()));
        };
        let table = match strings {
            Some(strings) => strings,
            None => book.strings(scratch)?,
        };
        let mut rows = book.rows(name, table)?;
        rows.skip_to(layout.header_row)?;
        Ok(Self {
            rows: Some(Box::new(rows)),
            book,
            chosen,
            at: 0,
            notes,
        })
    }

    /// Which of the sheets is being read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What kind of workbook it is.
    pub fn kind(&self) -> &'static str {
        self.book.kind()
    }

    /// Name and columns of the sheet that is being read.
    pub fn sheet(&self) -> (&str, &Layout) {
        let (name, layout) = &self.chosen[self.at];
        (name, layout)
    }

    /// The next row of the sheet.
    ///
    /// # Errors
    /// When the sheet is damaged from here on.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        match &mut self.rows {
            Some(rows) => rows.next_row(),
            None => Ok(None),
        }
    }

    /// Goes on to the first row of the next sheet; whether there is one.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn next_sheet(&mut self) -> Result<bool, Fault> {
        if self.at + 1 >= self.chosen.len() {
            return Ok(false);
        }
        self.open_sheet(self.at + 1)?;
        Ok(true)
    }

    /// Goes on behind a row of a sheet.
    ///
    /// # Errors
    /// When the file can't be read up to there.
    pub fn skip_to(&mut self, sheet: usize, row: u64) -> Result<(), Fault> {
        if sheet != self.at && sheet < self.chosen.len() {
            self.open_sheet(sheet)?;
        }
        match &mut self.rows {
            Some(rows) => rows.skip_to(row),
            None => Ok(()),
        }
    }

    /// Goes back to the first row of the first sheet that is read.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn begin_again(&mut self) -> Result<(), Fault> {
        self.open_sheet(0)
    }

    fn open_sheet(&mut self, sheet: usize) -> Result<(), Fault> {
        let strings = self
            .rows
            .take()
            .map_or_else(SharedStrings::default, |rows| rows.into_strings());
        let (name, layout) = &self.chosen[sheet];
        let mut rows = self.book.rows(name, strings)?;
        rows.skip_to(layout.header_row)?;
        self.rows = Some(Box::new(rows));
        self.at = sheet;
        Ok(())
    }

    /// Packed bytes of the sheet that were read, and all of them.
    pub fn progress(&self) -> (u64, u64) {
        self.rows.as_ref().map_or((0, 0), |rows| rows.progress())
    }
}

/// The rows among which a header is looked for, and what stopped them. The rows before damage may be imported still, when
/// the header is among them.
fn first_rows(rows: &mut SheetRows) -> (Vec<RawRow>, Option<Fault>) {
    let mut first = Vec::new();
    while first.len() < HEADER_WITHIN {
        match rows.next_row() {
            Ok(Some(row)) => first.push(row),
            Ok(None) => break,
            Err(fault) => return (first, Some(fault)),
        }
    }
    (first, None)
}

/// The sheet that knows most fields, and every other one with the same columns. A hidden sheet only when no visible one has
/// the table: it is an archive, or what a program needs for itself.
fn choose(mut found: Vec<Candidate>, notes: &mut Vec<Note>) -> Vec<(String, Layout)> {
    let only_hidden = found.iter().all(|sheet| sheet.hidden);
    found.retain(|sheet| {
        let stays = !sheet.hidden || only_hidden;
        if !stays {
            notes.push(Note::SheetNotRead {
                sheet: sheet.name.clone(),
                why: NotRead::Hidden,
            });
        }
        stays
    });
    // Of equals the first.
    let best = found.iter().rev().max_by_key(|sheet| sheet.layout.known_fields());
    let Some(best) = best.map(|sheet| sheet.layout.clone()) else {
        return Vec::new();
    };
    let mut chosen: Vec<(String, Layout)> = Vec::new();
    for sheet in found {
        // Columns that only the settings name say nothing about a second sheet.
        let is_alone = best.header_row == 0;
        let reads = if is_alone {
            chosen.is_empty()
        } else {
            are_alike(&best, &sheet.layout)
        };
        if !reads {
            notes.push(Note::SheetNotRead {
                sheet: sheet.name,
                why: NotRead::OtherColumns,
            });
            continue;
        }
        if sheet.hidden {
            notes.push(Note::HiddenSheet {
                sheet: sheet.name.clone(),
            });
        }
        for note in &sheet.layout.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        chosen.push((sheet.name, sheet.layout));
    }
    if chosen.len() > 1 {
        notes.push(Note::ManySheets {
            sheets: chosen.iter().map(|(name, _)| name.clone()).collect(),
        });
    }
    chosen
}

/// Whether two sheets hold the same kind of rows: the same number and text, and most other fields.
fn are_alike(one: &Layout, other: &Layout) -> bool {
    let (a, b) = (one.fields(), other.fields());
    let common = a.intersection(&b).count();
    let identified = |layout: &Layout, role| layout.has(|spec: &FieldSpec| spec.role == role);
    let same = [Role::Key, Role::Subject]
        .into_iter()
        .all(|role| identified(one, role) == identified(other, role));
    one.mapping.name == other.mapping.name && same && common * 3 >= a.len().max(b.len()) * 2
}
