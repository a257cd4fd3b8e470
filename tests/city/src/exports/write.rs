//! Writes incidents as XLSX or CSV, with bad rows in between.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Workbook, Worksheet, XlsxError};

use super::{
    Encoding, ExportSpec, Format, Layout, Manifest, Voice,
    incident::{Cell, Incident, cells, headers},
};

/// Something rows can be written to.
pub(super) trait Sheet {
    fn row(&mut self, cells: &[Cell]) -> io::Result<()>;
    /// A row that no reader can take; `number` makes it unlike all others.
    fn bad_row(&mut self, cells: &[Cell], number: u64) -> io::Result<()>;
    fn blank_row(&mut self) -> io::Result<()>;
}

/// Writes one export. `voice` gives the words of an incident by its number, always the same ones.
///
/// # Errors
/// When the file can't be written.
pub fn write(path: &Path, spec: &ExportSpec, voice: &mut dyn FnMut(u64) -> Voice) -> io::Result<Manifest> {
    let mut manifest = Manifest {
        path: path.to_owned(),
        ..Manifest::default()
    };
    with_sheet(path, spec.format, &spec.sheet, &mut |sheet| {
        fill(sheet, spec, voice, &mut manifest)
    })?;
    Ok(manifest)
}

/// Opens a file of a kind, has its rows written and closes it.
pub(super) fn with_sheet(
    path: &Path,
    format: Format,
    name: &str,
    fill: &mut dyn FnMut(&mut dyn Sheet) -> io::Result<()>,
) -> io::Result<()> {
    match format {
        Format::Csv { encoding, delimiter } => {
            let mut sheet = CsvSheet {
                out: BufWriter::new(File::create(path)?),
                encoding,
                delimiter,
            };
            if encoding == Encoding::Utf8Mark {
                sheet.out.write_all(&[0xEF, 0xBB, 0xBF])?;
            }
            fill(&mut sheet)?;
            sheet.out.flush()
        }
        Format::Xlsx {
            shared_strings,
            dates_as_numbers,
        } => {
            let mut book = Workbook::new();
            let worksheet = if shared_strings {
                book.add_worksheet_with_low_memory()
            } else {
                book.add_worksheet_with_constant_memory()
            };
            let worksheet = worksheet.map_err(io::Error::other)?;
            worksheet.set_name(name).map_err(io::Error::other)?;
            let mut sheet = XlsxSheet {
                worksheet,
                row: 0,
                dates_as_numbers,
                date: CellFormat::new().set_num_format("dd.mm.yyyy"),
                moment: CellFormat::new().set_num_format("dd.mm.yyyy hh:mm"),
            };
            fill(&mut sheet)?;
            book.save(path).map_err(io::Error::other)
        }
    }
}

/// Cuts a file in the middle, as a broken copy does.
///
/// # Errors
/// When the file can't be changed.
pub fn truncate(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let length = file.metadata()?.len();
    file.set_len(length * 3 / 5)
}

fn fill(
    sheet: &mut dyn Sheet,
    spec: &ExportSpec,
    voice: &mut dyn FnMut(u64) -> Voice,
    manifest: &mut Manifest,
) -> io::Result<()> {
    for line in 0..spec.title_rows {
        sheet.row(&[Cell::Text(format!("Выгрузка инцидентов, часть {}", line + 1))])?;
    }
    if let Some(names) = headers(spec.layout) {
        let names: Vec<Cell> = names.into_iter().map(Cell::Text).collect();
        sheet.row(&names)?;
    }
    let due = |every: u64, count: u64| every > 0 && count.is_multiple_of(every);
    for count in 1..=spec.incidents {
        let number = spec.first + count - 1;
        let changed = spec.version > 0 && due(spec.changed_every, number);
        let incident = Incident::new(spec.seed, number, changed, voice(number));
        let row = cells(&incident, spec.layout);
        sheet.row(&row)?;
        manifest.good_rows += 1;
        manifest.changes += u64::from(changed);
        if spec.layout != Layout::FourColumns {
            manifest.numbers.push(incident.number);
        }
        if due(spec.duplicate_every, count) {
            sheet.row(&row)?;
            manifest.good_rows += 1;
            manifest.duplicates += 1;
        }
        if due(spec.bad_every, count) {
            sheet.bad_row(&row, number)?;
            manifest.bad_rows += 1;
        }
        if due(spec.blank_every, count) {
            sheet.blank_row()?;
        }
    }
    Ok(())
}

struct CsvSheet {
    out: BufWriter<File>,
    encoding: Encoding,
    delimiter: u8,
}

impl CsvSheet {
    fn encode(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            Encoding::Utf8 | Encoding::Utf8Mark => text.as_bytes().to_vec(),
            // What the encoding has no letter for becomes a question mark, as exporters do.
            Encoding::Windows1251 => {
                let mut out = Vec::with_capacity(text.len());
                for character in text.chars() {
                    match encoding_rs::WINDOWS_1251.encode(character.encode_utf8(&mut [0; 4])) {
                        (bytes, _, false) => out.extend_from_slice(&bytes),
                        (_, _, true) => out.push(b'?'),
                    }
                }
                out
            }
        }
    }

    /// Quoted only where it must be, as exporters do.
    fn cell(&self, cell: &Cell) -> Vec<u8> {
        let text = match cell {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Moment(day, time) => moment_text(*day, *time),
        };
        let delimiter = char::from(self.delimiter);
        let text = if text.contains([delimiter, '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        };
        self.encode(&text)
    }

    fn line(&mut self, cells: &[Vec<u8>]) -> io::Result<()> {
        let delimiter = [self.delimiter];
        self.out.write_all(&cells.join(&delimiter[..]))?;
        self.out.write_all(b"\r\n")
    }
}

impl Sheet for CsvSheet {
    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let cells: Vec<Vec<u8>> = cells.iter().map(|cell| self.cell(cell)).collect();
        self.line(&cells)
    }

    fn bad_row(&mut self, cells: &[Cell], number: u64) -> io::Result<()> {
        let width = cells.len();
        let mark = self.encode(&format!("испорчено {number}"));
        match number % 3 {
            // Too few cells.
            0 => self.line(&[mark]),
            // A quotation mark that is never closed.
            1 => {
                let mut row = vec![Vec::new(); width];
                row[width - 1] = [b"\"".as_slice(), &mark].concat();
                self.line(&row)
            }
            // Too many cells.
            _ => {
                let row = vec![mark; width + 2];
                self.line(&row)
            }
        }
    }

    fn blank_row(&mut self) -> io::Result<()> {
        self.out.write_all(b"\r\n")
    }
}

fn moment_text((year, month, day): (i16, i8, i8), time: Option<(i8, i8)>) -> String {
    match time {
        Some((hour, minute)) => format!("{day:02}.{month:02}.{year} {hour:02}:{minute:02}"),
        None => format!("{day:02}.{month:02}.{year}"),
    }
}

struct XlsxSheet<'a> {
    worksheet: &'a mut Worksheet,
    row: u32,
    dates_as_numbers: bool,
    date: CellFormat,
    moment: CellFormat,
}

impl XlsxSheet<'_> {
    fn write(&mut self, cells: &[Cell]) -> Result<(), XlsxError> {
        for (column, cell) in (0u16..).zip(cells) {
            match cell {
                Cell::Empty => {}
                Cell::Text(text) => {
                    self.worksheet.write_string(self.row, column, text)?;
                }
                Cell::Moment(day, time) if self.dates_as_numbers => {
                    let (year, month, date) = *day;
                    let at = ExcelDateTime::from_ymd(year.unsigned_abs(), month.unsigned_abs(), date.unsigned_abs())?;
                    match time {
                        Some((hour, minute)) => {
                            let at = at.and_hms(u16::from(hour.unsigned_abs()), minute.unsigned_abs(), 0)?;
                            self.worksheet
                                .write_datetime_with_format(self.row, column, &at, &self.moment)?
                        }
                        None => self
                            .worksheet
                            .write_datetime_with_format(self.row, column, &at, &self.date)?,
                    };
                }
                Cell::Moment(day, time) => {
                    self.worksheet
                        .write_string(self.row, column, moment_text(*day, *time))?;
                }
            }
        }
        self.row += 1;
        Ok(())
    }
}

impl Sheet for XlsxSheet<'_> {
    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.write(cells).map_err(io::Error::other)
    }

    /// The number is gone, or the row is shifted so that words stand in its place.
    fn bad_row(&mut self, cells: &[Cell], number: u64) -> io::Result<()> {
        let mut row = cells.to_vec();
        let words = Cell::Text(format!("испорчено {number}"));
        let is_number =
            |cell: &Cell| matches!(cell, Cell::Text(text) if text.len() == 7 && text.parse::<u64>().is_ok());
        if let Some(place) = row.iter().position(is_number) {
            row[place] = if number.is_multiple_of(2) {
                Cell::Empty
            } else {
                Cell::Text("слова вместо номера".into())
            };
        } else {
            // A layout without a number is bad without its text.
            row.fill(Cell::Empty);
        }
        if let Some(last) = row.last_mut() {
            *last = words;
        }
        self.write(&row).map_err(io::Error::other)
    }

    fn blank_row(&mut self) -> io::Result<()> {
        self.row += 1;
        Ok(())
    }
}
