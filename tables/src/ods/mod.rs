//! ODS, the workbook of LibreOffice, МойОфис and Р7: one part holds all sheets, and is read as a stream.

mod rows;

use std::{
    collections::HashSet,
    io::{BufReader, Read as _},
};

use quick_xml::events::{BytesStart, Event};

pub(crate) use self::rows::OdsRows;
use crate::{
    book::{Sheet, Visibility},
    container::{Container, Part, PartReader},
    fault::Fault,
    limits::{MOST_SHEETS, MOST_STYLES, Measure},
    strangers,
    xml::{Events, attribute, damaged},
};

const CONTENT: &str = "content.xml";
const MANIFEST: &str = "META-INF/manifest.xml";
/// Longest name of a kind of document, bytes.
const LONGEST_KIND: u64 = 200;
const KIND: &str = "application/vnd.oasis.opendocument.spreadsheet";

/// What an OpenDocument container is, by the part that says it.
pub(crate) enum Document {
    /// A workbook, or a template of one.
    Workbook,
    /// Something else, by its name in English.
    Other(&'static str),
}

/// What a container says of itself, when it is one of OpenDocument.
pub(crate) fn document(container: &Container) -> Result<Option<Document>, Fault> {
    let kind = match container.small_part("mimetype")? {
        Some(part) => {
            let mut kind = String::new();
            let mut part = part.take(LONGEST_KIND);
            let read = part.read_to_string(&mut kind);
            read.map_err(|error| Fault::known_of_io(&error).unwrap_or_else(|| damaged(error)))?;
            kind
        }
        None => kind_of_manifest(container)?,
    };
    Ok(match kind.trim() {
        kind if kind.starts_with(KIND) => Some(Document::Workbook),
        kind if kind.contains("opendocument.text") => Some(Document::Other(strangers::WORD)),
        kind if kind.contains("opendocument") => Some(Document::Other(strangers::SLIDES)),
        _ => None,
    })
}

/// What the list of parts says of the whole container.
fn kind_of_manifest(container: &Container) -> Result<String, Fault> {
    let Some(manifest) = container.small_part(MANIFEST)? else {
        return Ok(String::new());
    };
    let mut events = Events::new(manifest);
    loop {
        match events.next()? {
            Event::Start(element) if attribute(&element, "full-path").as_deref() == Some("/") => {
                return Ok(attribute(&element, "media-type").unwrap_or_default());
            }
            Event::Eof => return Ok(String::new()),
            _ => {}
        }
    }
}

/// An open ODS.
#[derive(Debug)]
pub(crate) struct Book {
    container: Container,
    content: Part,
    sheets: Vec<Sheet>,
}

impl Book {
    /// Opens a container that says it is one.
    pub(crate) fn open(container: Container) -> Result<Self, Fault> {
        if is_protected(&container)? {
            return Err(Fault::Unsupported(strangers::PROTECTED));
        }
        let content = *container
            .part(CONTENT)
            .ok_or_else(|| damaged("the workbook has no content"))?;
        let mut book = Self {
            container,
            content,
            sheets: Vec::new(),
        };
        book.find_sheets()?;
        Ok(book)
    }

    pub(crate) fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    fn events(&self) -> Result<Events<BufReader<PartReader>>, Fault> {
        let part = self.content.open(self.container.source())?;
        Ok(Events::new(BufReader::with_capacity(64 * 1024, part)))
    }

    fn find_sheets(&mut self) -> Result<(), Fault> {
        let mut events = self.events()?;
        let mut style = None;
        let mut hidden = HashSet::new();
        loop {
            match events.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "style" => style = attribute(&element, "name"),
                    "table-properties" if attribute(&element, "display").as_deref() == Some("false") => {
                        if hidden.len() == MOST_STYLES {
                            return Err(Fault::over(Measure::Styles, MOST_STYLES));
                        }
                        hidden.extend(style.take());
                    }
                    "table" if is_sheet(&element) => {
                        let is_hidden = attribute(&element, "style-name").is_some_and(|style| hidden.contains(&style));
                        let visibility = if is_hidden {
                            Visibility::Hidden
                        } else {
                            Visibility::Visible
                        };
                        if self.sheets.len() == MOST_SHEETS {
                            return Err(Fault::over(Measure::Sheets, MOST_SHEETS));
                        }
                        let mut sheet = Sheet::new(attribute(&element, "name").unwrap_or_default(), visibility);
                        sheet.place = self.sheets.len();
                        self.sheets.push(sheet);
                        skip_element(&mut events)?;
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

    /// Rows of a sheet, from the first.
    pub(crate) fn rows(&self, sheet: &Sheet) -> Result<OdsRows, Fault> {
        let mut events = self.events()?;
        let mut before = 0;
        loop {
            match events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "table" && is_sheet(&element) => {
                    if before == sheet.place {
                        break;
                    }
                    before += 1;
                    skip_element(&mut events)?;
                }
                Event::Eof => return Err(damaged("a sheet is missing")),
                _ => {}
            }
        }
        Ok(OdsRows::new(events, &sheet.name, self.content.packed()))
    }
}

/// A table of the spreadsheet; one inside a cell or of other documents' results is not meant.
fn is_sheet(element: &BytesStart<'_>) -> bool {
    element.name().as_ref().starts_with("table:")
}

/// Whether the parts are encrypted.
fn is_protected(container: &Container) -> Result<bool, Fault> {
    let Some(manifest) = container.small_part(MANIFEST)? else {
        return Ok(false);
    };
    let mut events = Events::new(manifest);
    loop {
        match events.next()? {
            Event::Start(element) if element.local_name().as_ref() == "encryption-data" => return Ok(true),
            Event::Eof => return Ok(false),
            _ => {}
        }
    }
}

/// Reads to the end of the element whose start was just read.
fn skip_element(events: &mut Events<BufReader<PartReader>>) -> Result<(), Fault> {
    let depth = events.depth();
    while events.depth() >= depth {
        if matches!(events.next()?, Event::Eof) {
            return Err(damaged("the content ends too early"));
        }
    }
    Ok(())
}
