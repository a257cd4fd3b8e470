//! An open file as a table: what it is, where its header is, and its rows from any place on.

use std::{collections::HashMap, hash::BuildHasher as _, path::Path};

use jiff::civil::DateTime;
use priem_tables::{
    CsvRows, Fault, RawRow, Source,
    dialect::{Delimiter, Encoding},
    limits::{Measure, most_texts},
    sniff::{ReadAs, Start},
};

use super::{
    config::{Checked, EncodingSetting, FilesSettings},
    layout::{HEADER_WITHIN, Layout},
    notes::Note,
    problem::FileProblem,
    rows,
    sheets::Sheets,
};

/// Keys of one file that are remembered to tell one that comes twice.
const KEYS_KEPT: usize = 300_000;

/// Where reading stands; enough to go on in another process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Which of the sheets that are read.
    pub sheet: usize,
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
    /// `xlsx`, `xlsb`, `ods`, `xls` or `csv`.
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
    /// Its columns; those of the sheet that is being read.
    pub layout: Layout,
    /// What was guessed and left out.
    pub notes: Vec<Note>,
    rows: Rows,
    place: Place,
    skipped: u64,
    keys: HashMap<u64, u64>,
    /// Where the first row of data begins.
    beginning: Place,
    /// When the file says that it was made.
    made: Option<DateTime>,
    size: u64,
    source: Source,
}

#[derive(Debug)]
enum Rows {
    Csv(Box<CsvRows>),
    Xlsx(Box<Sheets>),
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
            sheet: 0,
            row: layout.header_row,
            offset,
            texts: 0,
        };
        let mut rows = CsvRows::new(source.from_start(), offset, layout.header_row + 1, dialect)?;
        match header {
            // Titles as they are compared: of both rows, where a header has two.
            Some(_) => {
                let titles: Vec<String> = layout.columns.iter().map(|column| column.written.clone()).collect();
                rows.expect_header(&titles)?;
            }
            None => rows.expect_width(layout.columns.len()),
        }
        Ok(Self {
            format: Format {
                kind: "csv",
                sheet: None,
                encoding: Some(dialect.encoding.name()),
                delimiter: Some(char::from(dialect.delimiter)),
            },
            notes: layout.notes.clone(),
            made: layout.made,
            layout,
            rows: Rows::Csv(Box::new(rows)),
            place,
            beginning: place,
            skipped: 0,
            keys: HashMap::new(),
            size,
            source: source.clone(),
        })
    }

    fn open_xlsx(source: &Source, checked: &Checked, scratch: &Path, size: u64) -> Result<Self, FileProblem> {
        let sheets = Sheets::open(source, checked, scratch)?;
        let (name, layout) = sheets.sheet();
        let (name, layout) = (name.to_owned(), layout.clone());
        let place = Place {
            row: layout.header_row,
            ..Place::default()
        };
        Ok(Self {
            format: Format {
                kind: sheets.kind(),
                sheet: Some(name),
                encoding: None,
                delimiter: None,
            },
            place,
            beginning: place,
            made: layout.made,
            layout,
            notes: sheets.notes.clone(),
            rows: Rows::Xlsx(Box::new(sheets)),
            skipped: 0,
            keys: HashMap::new(),
            size,
            source: source.clone(),
        })
    }

    /// Goes on from a place an earlier reader of the same bytes reached.
    ///
    /// # Errors
    /// When the file can't be read up to there.
    pub fn skip_to(&mut self, place: Place) -> Result<(), FileProblem> {
        if (place.sheet, place.row) <= (self.place.sheet, self.place.row) {
            return Ok(());
        }
        match &mut self.rows {
            Rows::Csv(rows) => rows.seek(place.offset, place.row + 1)?,
            Rows::Xlsx(rows) => rows.skip_to(place.sheet, place.row)?,
        }
        self.place = place;
        self.take_sheet();
        Ok(())
    }

    /// Goes back to the first row of data.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn begin_again(&mut self) -> Result<(), FileProblem> {
        let Place { row, offset, .. } = self.beginning;
        match &mut self.rows {
            Rows::Csv(rows) => rows.seek(offset, row + 1)?,
            Rows::Xlsx(rows) => rows.begin_again()?,
        }
        self.place = self.beginning;
        self.skipped = 0;
        self.take_sheet();
        Ok(())
    }

    /// When the file says that it was made, as far as it was read.
    pub fn made(&self) -> Option<DateTime> {
        self.made
    }

    /// Speaks of the sheet that is being read.
    fn take_sheet(&mut self) {
        if let Rows::Xlsx(rows) = &self.rows {
            let (name, layout) = rows.sheet();
            self.place.sheet = rows.at();
            self.format.sheet = Some(name.to_owned());
            self.layout = layout.clone();
            self.made = self.made.max(self.layout.made);
        }
    }

    /// Goes on to the next sheet; whether there is one.
    fn next_sheet(&mut self) -> Result<bool, Fault> {
        let Rows::Xlsx(rows) = &mut self.rows else {
            return Ok(false);
        };
        if !rows.next_sheet()? {
            return Ok(false);
        }
        self.take_sheet();
        self.place.row = self.layout.header_row;
        Ok(true)
    }

    /// Rows passed over since this was last asked.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// Notes the key of a row and its content; whether this reader has met the key with another content. Of very many keys
    /// not all are remembered.
    pub fn contradicts(&mut self, (key, content): (&str, u64)) -> bool {
        let sign = self.keys.hasher().hash_one(key);
        match self.keys.get_mut(&sign) {
            Some(known) => std::mem::replace(known, content) != content,
            None => {
                if self.keys.len() < KEYS_KEPT {
                    self.keys.insert(sign, content);
                }
                false
            }
        }
    }

    /// The next row of data that is neither blank nor the header again, nor a line that numbers the columns or a total.
    ///
    /// # Errors
    /// When the file can't be read on from here.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, FileProblem> {
        loop {
            let Some(row) = self.rows.next_row()? else {
                match self.next_sheet()? {
                    true => continue,
                    false => return Ok(None),
                }
            };
            self.place.row = row.number;
            if let Rows::Csv(rows) = &self.rows {
                self.place.offset = rows.offset();
            }
            if row.is_blank() || self.layout.repeats_header(&row) {
                continue;
            }
            if self.layout.numbers_columns(&row) || rows::is_note(&self.layout, &row) {
                self.made = self.made.max(rows::made(&row));
                self.skipped += 1;
                continue;
            }
            self.count_texts(&row)?;
            return Ok(Some(row));
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
