//! A workbook of any kind: XLSX, XLSB, ODS, XLS. What kind it is, the file says and not its name.

use std::{io::Read as _, path::Path};

use crate::{
    container::Container,
    fault::Fault,
    ods::{self, Document, OdsRows},
    row::RawRow,
    source::Source,
    strangers,
    xls::{self, XlsRows},
    xlsb::{self, XlsbRows},
    xlsx::{self, Links, SharedStrings, XlsxRows},
};

/// The beginning of a container of the old Office.
pub(crate) const OLD_OFFICE: &[u8] = &[0xD0, 0xCF, 0x11, 0xE0];

/// An open workbook.
#[derive(Debug)]
pub struct Workbook(Kind);

#[derive(Debug)]
enum Kind {
    Xlsx(xlsx::Book),
    Xlsb(xlsb::Book),
    Ods(ods::Book),
    Xls(xls::Book),
}

/// A worksheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// Whether people see it.
    pub visibility: Visibility,
    /// Why it can't be read, when that is known without reading it.
    pub unreadable: Option<Fault>,
    /// The part that holds it, where each has one.
    pub(crate) part: String,
    /// Where it is in what holds all of them.
    pub(crate) place: usize,
}

/// Whether people see a worksheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// They do.
    #[default]
    Visible,
    /// They can bring it back.
    Hidden,
    /// Only programs can.
    VeryHidden,
}

impl Sheet {
    pub(crate) fn new(name: String, visibility: Visibility) -> Self {
        Self {
            name,
            visibility,
            unreadable: None,
            part: String::new(),
            place: 0,
        }
    }
}

impl Workbook {
    /// Opens a workbook and reads everything but its strings and sheets.
    ///
    /// # Errors
    /// When it is no workbook, is damaged or protected by a password.
    pub fn open(source: &Source) -> Result<Self, Fault> {
        let mut start = Vec::new();
        let mut file = source.from_start().take(OLD_OFFICE.len() as u64);
        file.read_to_end(&mut start).map_err(|error| Fault::of_io(&error))?;
        if start == OLD_OFFICE {
            return xls::Book::open(source).map(Kind::Xls).map(Self);
        }
        let container = Container::open(source)?;
        match ods::document(&container)? {
            Some(Document::Workbook) => {
                let book = ods::Book::open(container).map_err(|fault| otherwise(fault, strangers::ODS));
                return book.map(Kind::Ods).map(Self);
            }
            Some(Document::Other(what)) => return Err(Fault::Unsupported(what)),
            None => {}
        }
        let part = Links::of(&container, "")?
            .by_kind("/officeDocument")
            .unwrap_or_else(|| "xl/workbook.xml".to_owned());
        if container.part(&part).is_none() {
            return Err(Fault::Unsupported(without_workbook(&container)));
        }
        if part.to_lowercase().ends_with(".bin") {
            let book = xlsb::Book::open(container, &part).map_err(|fault| otherwise(fault, strangers::XLSB));
            return book.map(Kind::Xlsb).map(Self);
        }
        // The main part of a text document is no workbook.
        if container.has("word/") || container.has("ppt/") || container.has("visio/") {
            return Err(Fault::Unsupported(without_workbook(&container)));
        }
        xlsx::Book::open(container, &part).map(Kind::Xlsx).map(Self)
    }

    /// The name people call this kind of file by: `xlsx`, `xlsb`, `ods`, `xls`.
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Kind::Xlsx(_) => "xlsx",
            Kind::Xlsb(_) => "xlsb",
            Kind::Ods(_) => "ods",
            Kind::Xls(_) => "xls",
        }
    }

    /// The worksheets, in the order of the book; also those that can't be read.
    pub fn sheets(&self) -> &[Sheet] {
        match &self.0 {
            Kind::Xlsx(book) => book.sheets(),
            Kind::Xlsb(book) => book.sheets(),
            Kind::Ods(book) => book.sheets(),
            Kind::Xls(book) => book.sheets(),
        }
    }

    /// Names of the worksheets that can be read.
    pub fn sheet_names(&self) -> impl Iterator<Item = &str> {
        let readable = self.sheets().iter().filter(|sheet| sheet.unreadable.is_none());
        readable.map(|sheet| sheet.name.as_str())
    }

    /// The table of strings. A large one goes to a temporary file in `scratch`.
    ///
    /// # Errors
    /// When it is damaged, or goes over a limit.
    pub fn strings(&self, scratch: &Path) -> Result<SharedStrings, Fault> {
        match &self.0 {
            Kind::Xlsx(book) => book.strings(scratch),
            Kind::Xlsb(book) => book.strings(scratch),
            Kind::Xls(book) => book.strings(scratch),
            Kind::Ods(_) => Ok(SharedStrings::default()),
        }
    }

    /// Rows of a sheet, from the first.
    ///
    /// # Errors
    /// When there is no such sheet, or it is damaged where it begins.
    pub fn rows(&self, sheet: &str, strings: SharedStrings) -> Result<SheetRows, Fault> {
        let found = self.sheets().iter().find(|known| known.name == sheet);
        let sheet = found.ok_or_else(|| Fault::Damaged("a sheet is missing".into()))?;
        if let Some(fault) = &sheet.unreadable {
            return Err(fault.clone());
        }
        Ok(SheetRows(match &self.0 {
            Kind::Xlsx(book) => Rows::Xlsx(Box::new(book.rows(sheet, strings)?)),
            Kind::Xlsb(book) => Rows::Xlsb(Box::new(book.rows(sheet, strings)?)),
            Kind::Ods(book) => Rows::Ods(Box::new(book.rows(sheet)?)),
            Kind::Xls(book) => Rows::Xls(Box::new(book.rows(sheet, strings)?)),
        }))
    }
}

/// A book whose container is whole and whose own parts are not what we know: saved as another kind it can be read.
pub(crate) fn otherwise(fault: Fault, what: &'static str) -> Fault {
    match fault {
        Fault::Damaged(_) => Fault::Unsupported(what),
        other => other,
    }
}

/// What a container is in which no workbook was found.
fn without_workbook(container: &Container) -> &'static str {
    let has = |part: &str| container.has(part);
    if has("index/document.iwa") || has("index.zip") {
        strangers::NUMBERS
    } else if has("word/") {
        strangers::WORD
    } else if has("ppt/") || has("visio/") {
        strangers::SLIDES
    } else {
        strangers::NO_WORKBOOK
    }
}

/// Rows of one worksheet, read as a stream.
pub struct SheetRows(Rows);

enum Rows {
    Xlsx(Box<XlsxRows>),
    Xlsb(Box<XlsbRows>),
    Ods(Box<OdsRows>),
    Xls(Box<XlsRows>),
}

impl std::fmt::Debug for SheetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SheetRows")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl SheetRows {
    /// What was read and what there is in all: packed bytes, in an XLS records.
    pub fn progress(&self) -> (u64, u64) {
        match &self.0 {
            Rows::Xlsx(rows) => rows.progress(),
            Rows::Xlsb(rows) => rows.progress(),
            Rows::Ods(rows) => rows.progress(),
            Rows::Xls(rows) => rows.progress(),
        }
    }

    /// From now on merged cells are collected.
    pub fn be_strict(&mut self) {
        match &mut self.0 {
            Rows::Xlsx(rows) => rows.be_strict(),
            Rows::Xlsb(rows) => rows.be_strict(),
            Rows::Ods(rows) => rows.be_strict(),
            // They are all in memory anyway.
            Rows::Xls(_) => {}
        }
    }

    /// Merged cells, «A2:B5», known after the last row; only when [strict](Self::be_strict).
    pub fn take_merged(&mut self) -> Vec<String> {
        match &mut self.0 {
            Rows::Xlsx(rows) => rows.take_merged(),
            Rows::Xlsb(rows) => rows.take_merged(),
            Rows::Ods(rows) => rows.take_merged(),
            Rows::Xls(rows) => rows.take_merged(),
        }
    }

    /// Gives the strings back, to read another sheet.
    pub fn into_strings(self) -> SharedStrings {
        match self.0 {
            Rows::Xlsx(rows) => rows.into_strings(),
            Rows::Xlsb(rows) => rows.into_strings(),
            Rows::Ods(_) => SharedStrings::default(),
            Rows::Xls(rows) => rows.into_strings(),
        }
    }

    /// The next row that is not blank. Of many blank ones in a row some are given out, so that whoever reads them can stop
    /// between any two rows.
    ///
    /// # Errors
    /// When the sheet is damaged from here on.
    pub fn next_row(&mut self) -> Result<Option<RawRow>, Fault> {
        match &mut self.0 {
            Rows::Xlsx(rows) => rows.next_row(),
            Rows::Xlsb(rows) => rows.next_row(),
            Rows::Ods(rows) => rows.next_row(),
            Rows::Xls(rows) => rows.next_row(),
        }
    }

    /// Skips rows up to and with a number without looking at their values.
    ///
    /// # Errors
    /// When the sheet is damaged on the way.
    pub fn skip_to(&mut self, last: u64) -> Result<(), Fault> {
        match &mut self.0 {
            Rows::Xlsx(rows) => rows.skip_to(last),
            Rows::Xlsb(rows) => rows.skip_to(last),
            Rows::Ods(rows) => rows.skip_to(last),
            Rows::Xls(rows) => {
                rows.skip_to(last);
                Ok(())
            }
        }
    }
}
