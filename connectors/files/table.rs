//! An open file as a table: what it is, where its header is, and its rows from any place on.

use std::path::Path;

use priem_tables::{
    CsvRows, Fault, RawRow, SheetRows, Source, Workbook,
    dialect::{Delimiter, Encoding},
    limits::{Measure, most_texts},
    sniff::{ReadAs, Start},
};

use super::{
    config::{Checked, EncodingSetting, FilesSettings},
    layout::{HEADER_WITHIN, Layout},
    problem::FileProblem,
};

/// Where reading stands; enough to go on in another process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the last row that was given out; 0 before the first.
    pub row: u64,
    /// CSV: byte at which the next row starts.
    pub offset: u64,
    /// Bytes of text the rows up to here gave.
    pub texts: u64,
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// `xlsx` or `csv`.
    pub kind: &'static str,
    /// Name of the sheet.
    pub sheet: Option<String>,
    /// Encoding of a CSV.
    pub encoding: Option<&'static str>,
    /// Delimiter of a CSV.
    pub delimiter: Option<char>,
}

/// An open file.
#[derive(Debug)]
pub struct Table {
    /// What the file is.
    pub format: Format,
    /// Its columns.
    pub layout: Layout,
    rows: Rows,
    place: Place,
    size: u64,
    source: Source,
}

#[derive(Debug)]
enum Rows {
    Csv(CsvRows),
    Xlsx(Box<SheetRows>),
}

impl Rows {
    fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        match self {
            Self::Csv(rows) => rows.next_row(),
            Self::Xlsx(rows) => rows.next_row(),
        }
    }
}

impl Table {
    /// Stands before the first row of data of a file; its `name` says what kind it should be. Large tables of strings
    /// go to `scratch`.
    ///
    /// # Errors
    /// What is wrong with the file as a whole.
    pub fn open(
        source: &Source,
        name: &str,
        settings: &FilesSettings,
        checked: &Checked,
        scratch: &Path,
    ) -> Result<Self, FileProblem> {
        let size = source.metadata().map_err(unreadable)?.len();
        if size > settings.max_file_bytes {
            return Err(FileProblem::TooLarge {
                bytes: size,
                limit: settings.max_file_bytes,
            });
        }
        let start = Start::of(source)?;
        match start.kind().read_as(Some(name))? {
            ReadAs::Workbook => Self::open_xlsx(source, checked, scratch, size),
            ReadAs::Text => Self::open_csv(source, &start, size, settings, checked),
        }
    }

    fn open_csv(
        source: &Source,
        start: &Start,
        size: u64,
        settings: &FilesSettings,
        checked: &Checked,
    ) -> Result<Self, FileProblem> {
        let encoding = match settings.encoding {
            EncodingSetting::Auto => None,
            EncodingSetting::Utf8 => Some(Encoding::Utf8),
            EncodingSetting::Windows1251 => Some(Encoding::Windows1251),
        };
        let delimiter = settings
            .delimiter
            .byte()
            .map_or(Delimiter::OfFirstRows, Delimiter::Said);
        let dialect = start.dialect(encoding, delimiter)?;
        let mut rows = CsvRows::new(source.from_start(), dialect.mark, 1, dialect)?;
        let mut first = Vec::new();
        let mut ends = Vec::new();
        while first.len() < HEADER_WITHIN
            && let Some(row) = rows.next_row()?
        {
            first.push(row);
            ends.push(rows.offset());
        }
        let layout = Layout::find(&first, &checked.mappings, &checked.named)?;
        let header = first.iter().position(|row| row.number == layout.header_row);
        let offset = header.map_or(dialect.mark, |index| ends[index]);
        let place = Place {
            row: layout.header_row,
            offset,
            texts: 0,
        };
        let mut rows = CsvRows::new(source.from_start(), offset, layout.header_row + 1, dialect)?;
        match header {
            Some(index) => rows.expect_header(&first[index].cells)?,
            None => rows.expect_width(layout.columns.len()),
        }
        Ok(Self {
            format: Format {
                kind: "csv",
                sheet: None,
                encoding: Some(dialect.encoding.name()),
                delimiter: Some(char::from(dialect.delimiter)),
            },
            layout,
            rows: Rows::Csv(rows),
            place,
            size,
            source: source.clone(),
        })
    }

    fn open_xlsx(source: &Source, checked: &Checked, scratch: &Path, size: u64) -> Result<Self, FileProblem> {
        let book = Workbook::open(source)?;
        let mut strings = book.strings(scratch)?;
        let mut problem = None;
        for sheet in book.sheet_names() {
            let mut rows = book.rows(sheet, strings)?;
            let mut first = Vec::new();
            let mut stopped = None;
            while first.len() < HEADER_WITHIN {
                match rows.next_row() {
                    Ok(Some(row)) => first.push(row),
                    Ok(None) => break,
                    // The rows before it may be imported still, when the header is among them.
                    Err(fault) => {
                        stopped = Some(fault);
                        break;
                    }
                }
            }
            strings = rows.into_strings();
            match Layout::find(&first, &checked.mappings, &checked.named) {
                Ok(layout) => {
                    let mut rows = book.rows(sheet, strings)?;
                    rows.skip_to(layout.header_row)?;
                    return Ok(Self {
                        format: Format {
                            kind: "xlsx",
                            sheet: Some(sheet.to_owned()),
                            encoding: None,
                            delimiter: None,
                        },
                        place: Place {
                            row: layout.header_row,
                            offset: 0,
                            texts: 0,
                        },
                        layout,
                        rows: Rows::Xlsx(Box::new(rows)),
                        size,
                        source: source.clone(),
                    });
                }
                Err(_) if stopped.is_some() => return Err(stopped.unwrap_or(Fault::Empty).into()),
                // The first sheet with something in it says most.
                Err(found) if problem.is_none() || problem == Some(Fault::Empty.into()) => problem = Some(found),
                Err(_) => {}
            }
        }
        Err(problem.unwrap_or(Fault::Empty.into()))
    }

    /// Goes on from a place an earlier reader of the same bytes reached.
    ///
    /// # Errors
    /// When the file can't be read up to there.
    pub fn skip_to(&mut self, place: Place) -> Result<(), FileProblem> {
        if place.row <= self.place.row {
            return Ok(());
        }
        match &mut self.rows {
            Rows::Csv(rows) => rows.seek(place.offset, place.row + 1)?,
            Rows::Xlsx(rows) => rows.skip_to(place.row)?,
        }
        self.place = place;
        Ok(())
    }

    /// The next row of data that is neither blank nor the header again.
    ///
    /// # Errors
    /// When the file can't be read on from here.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, FileProblem> {
        loop {
            let Some(row) = self.rows.next_row()? else {
                return Ok(None);
            };
            self.place.row = row.number;
            if let Rows::Csv(rows) = &self.rows {
                self.place.offset = rows.offset();
            }
            if !row.is_blank() && !self.layout.repeats_header(&row) {
                self.count_texts(&row)?;
                return Ok(Some(row));
            }
        }
    }

    /// Counts what a row gives to whoever stores it: its cells, each with its header, and the name of the sheet.
    fn count_texts(&mut self, row: &RawRow) -> Result<(), FileProblem> {
        let sheet = self.format.sheet.as_deref();
        let header = |index: usize| self.layout.columns.get(index).map_or(0, |column| column.name.len());
        let cells = row.cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
        let given = cells.map(|(index, cell)| cell.len() + header(index)).sum::<usize>()
            + row.broken.as_ref().map_or(0, |broken| broken.line.len())
            + sheet.map_or(0, str::len);
        self.place.texts += given as u64;
        let limit = most_texts(self.size);
        if self.place.texts > limit {
            return Err(Fault::over(Measure::Texts, limit).at(sheet, row.number).into());
        }
        Ok(())
    }

    /// The file itself.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Where reading stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Bytes read and bytes in all; for a workbook those of the packed sheet.
    pub fn progress(&self) -> (u64, u64) {
        match &self.rows {
            Rows::Csv(rows) => (rows.offset(), self.size),
            Rows::Xlsx(rows) => rows.progress(),
        }
    }
}

fn unreadable(error: std::io::Error) -> Fault {
    Fault::of_io(&error)
}
