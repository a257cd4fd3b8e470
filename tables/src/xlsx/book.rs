//! The workbook itself: its sheets, its styles, its epoch.

use std::{io::BufReader, path::Path};

use quick_xml::events::Event;

use super::{Links, formats, sheet::XlsxRows, strings::SharedStrings};
use crate::{
    book::{Sheet, Visibility},
    cells::NumberKind,
    container::{Container, PartReader},
    fault::Fault,
    limits::{MOST_SHEETS, Measure},
    xml::{Events, attribute, damaged},
};

/// An open XLSX.
#[derive(Debug)]
pub(crate) struct Book {
    container: Container,
    sheets: Vec<Sheet>,
    strings_part: Option<String>,
    pub(super) kinds: Vec<NumberKind>,
    pub(super) from_1904: bool,
}

impl Book {
    /// Opens a container whose workbook is this part, and reads everything but its strings and sheets.
    pub(crate) fn open(container: Container, part: &str) -> Result<Self, Fault> {
        let links = Links::of(&container, part)?;
        let mut book = Self {
            sheets: Vec::new(),
            strings_part: links.by_kind_or_place(&container, "/sharedStrings", "sharedStrings.xml"),
            kinds: Vec::new(),
            from_1904: false,
            container,
        };
        let styles = links.by_kind_or_place(&book.container, "/styles", "styles.xml");
        if let Some(name) = styles
            && let Some(styles) = book.container.small_part(&name)?
        {
            book.kinds = formats::read(styles)?;
        }
        let source = book
            .container
            .small_part(part)?
            .ok_or_else(|| damaged("the workbook is missing"))?;
        book.read_sheets(source, &links)?;
        Ok(book)
    }

    pub(crate) fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// The table of strings. A large one goes to a temporary file in `scratch`.
    pub(crate) fn strings(&self, scratch: &Path) -> Result<SharedStrings, Fault> {
        match self.strings_part.as_deref().and_then(|name| self.container.part(name)) {
            Some(part) => {
                let part = part.open(self.container.source())?;
                SharedStrings::read(BufReader::with_capacity(64 * 1024, part), scratch)
            }
            None => Ok(SharedStrings::default()),
        }
    }

    /// Rows of a sheet, from the first.
    pub(crate) fn rows(&self, sheet: &Sheet, strings: SharedStrings) -> Result<XlsxRows, Fault> {
        let part = *self
            .container
            .part(&sheet.part)
            .ok_or_else(|| damaged("a sheet is missing"))?;
        XlsxRows::new(self, &sheet.name, part, part.open(self.container.source())?, strings)
    }

    fn read_sheets(&mut self, source: BufReader<PartReader>, links: &Links) -> Result<(), Fault> {
        /// What stands right in the workbook, and in the list: extensions use the same names deeper.
        const IN_BOOK: usize = 2;
        const IN_SHEETS: usize = 3;
        let mut events = Events::new(source);
        loop {
            let depth = events.depth() + 1;
            match events.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "workbookPr" if depth == IN_BOOK => {
                        self.from_1904 = matches!(attribute(&element, "date1904").as_deref(), Some("1" | "true"));
                    }
                    "sheet" if depth == IN_SHEETS => {
                        if self.sheets.len() == MOST_SHEETS {
                            return Err(Fault::over(Measure::Sheets, MOST_SHEETS));
                        }
                        let visibility = match attribute(&element, "state").as_deref() {
                            Some("hidden") => Visibility::Hidden,
                            Some("veryHidden") => Visibility::VeryHidden,
                            _ => Visibility::Visible,
                        };
                        let name = attribute(&element, "name").unwrap_or_default();
                        let id = attribute(&element, "id");
                        self.sheets
                            .extend(links.sheet(&self.container, name, visibility, id.as_deref()));
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        if self.sheets.is_empty() {
            return Err(damaged("the workbook has no sheet"));
        }
        Ok(())
    }
}
