//! Exports of «Инцидент менеджмент» as people drop them into a folder, with everything that goes wrong in them; those of
//! the other systems are in [`registry`].
//!
//! Every incident follows from the seed and its number alone, so the next export of the same incidents has the same
//! rows but for the ones that were to change. What was written comes back as a [`Manifest`]. All names, texts and
//! numbers are invented; the shape is that of public code over real exports and must be confirmed in a pilot.

mod incident;
pub mod registry;
mod write;

use std::{io, path::PathBuf};

pub use incident::{Voice, sample_voice};
pub use write::{truncate, write};

/// What kind of file to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A workbook.
    Xlsx {
        /// Texts in a table of shared strings (as Excel writes them) or in the cells.
        shared_strings: bool,
        /// Dates as numbers with a date format, or as text.
        dates_as_numbers: bool,
    },
    /// A text file.
    Csv {
        /// How letters become bytes.
        encoding: Encoding,
        /// `;`, `,` or tab.
        delimiter: u8,
    },
}

/// Encoding of a CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8Mark,
    /// Windows-1251.
    Windows1251,
}

/// Which columns, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The known columns in the usual order.
    Plain,
    /// The same behind two unknown columns, with other spellings of the headers.
    Shifted,
    /// 46 columns, the text in AI and the tags in AR, unknown columns between.
    Wide,
    /// «Исполнитель; Группа тем; Текст инцидента; Тема»: no number, stars before topics.
    FourColumns,
    /// The columns of [`Layout::Plain`] without a header row.
    Headerless,
}

/// What to write.
#[derive(Debug, Clone)]
pub struct ExportSpec {
    /// Randomness of incidents.
    pub seed: u64,
    /// Number of the first incident.
    pub first: u64,
    /// How many incidents.
    pub incidents: u64,
    /// 0: as first seen. Later versions change every `changed_every`-th incident.
    pub version: u32,
    /// Every how many incidents one differs from version 0. 0: none.
    pub changed_every: u64,
    /// Every how many incidents the row stands twice. 0: never.
    pub duplicate_every: u64,
    /// Every how many incidents a bad row follows. 0: never.
    pub bad_every: u64,
    /// Every how many incidents an empty row follows. 0: never.
    pub blank_every: u64,
    /// Rows with a title and a period above the header.
    pub title_rows: u64,
    /// Name of the sheet.
    pub sheet: String,
    /// Kind of file.
    pub format: Format,
    /// Columns.
    pub layout: Layout,
}

impl ExportSpec {
    /// A clean workbook of some incidents.
    pub fn new(seed: u64, incidents: u64) -> Self {
        Self {
            seed,
            first: 1,
            incidents,
            version: 0,
            changed_every: 0,
            duplicate_every: 0,
            bad_every: 0,
            blank_every: 0,
            title_rows: 0,
            sheet: "Лист1".into(),
            format: Format::Xlsx {
                shared_strings: true,
                dates_as_numbers: false,
            },
            layout: Layout::Plain,
        }
    }

    /// The same with everything that goes wrong now and then.
    #[must_use]
    pub fn with_trouble(mut self) -> Self {
        self.duplicate_every = 17;
        self.bad_every = 23;
        self.blank_every = 19;
        self
    }

    /// As another kind of file.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// With other columns.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// As a later export of the same incidents.
    #[must_use]
    pub fn later(mut self, version: u32, changed_every: u64) -> Self {
        self.version = version;
        self.changed_every = changed_every;
        self
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// Rows that can become messages, repeated ones included.
    pub good_rows: u64,
    /// Rows that can't; no two are equal.
    pub bad_rows: u64,
    /// Good rows that repeat an earlier row of the file.
    pub duplicates: u64,
    /// Good rows that differ from version 0 of their incident, repeated ones not counted.
    pub changes: u64,
    /// Numbers of the incidents; empty in a layout without numbers.
    pub numbers: Vec<String>,
}

/// Writes a set of files with every layout, kind and trap, `incidents` in each; the later ones repeat and change
/// incidents of the first.
///
/// # Errors
/// When a file can't be written.
pub fn write_collection(
    folder: &std::path::Path,
    seed: u64,
    incidents: u64,
    voice: &mut dyn FnMut(u64) -> Voice,
) -> io::Result<Vec<Manifest>> {
    let csv = |encoding, delimiter| Format::Csv { encoding, delimiter };
    let workbook = |shared_strings, dates_as_numbers| Format::Xlsx {
        shared_strings,
        dates_as_numbers,
    };
    let base = |number: u64| {
        let mut spec = ExportSpec::new(seed, incidents).with_trouble();
        spec.first = number * incidents + 1;
        spec
    };
    let mut titled = base(1).layout(Layout::Wide).format(workbook(true, true));
    titled.title_rows = 3;
    titled.sheet = "Выгрузка инцидентов".into();
    let specs = [
        ("incidents-01.xlsx", base(0)),
        ("incidents-02.xlsx", titled),
        (
            "incidents-03.csv",
            base(2).layout(Layout::Shifted).format(csv(Encoding::Windows1251, b';')),
        ),
        ("incidents-04.csv", base(3).format(csv(Encoding::Utf8Mark, b','))),
        (
            "incidents-05.csv",
            base(4).layout(Layout::Wide).format(csv(Encoding::Utf8, b'\t')),
        ),
        (
            "incidents-06.csv",
            base(5).layout(Layout::FourColumns).format(csv(Encoding::Utf8, b';')),
        ),
        ("incidents-07.xlsx", base(0).later(1, 5).format(workbook(false, true))),
    ];
    let mut written = Vec::with_capacity(specs.len());
    for (name, spec) in specs {
        written.push(write(&folder.join(name), &spec, voice)?);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_rows() {
        let folder = tempfile::tempdir().expect("folder");
        let spec = ExportSpec::new(7, 40).with_trouble().format(Format::Csv {
            encoding: Encoding::Utf8,
            delimiter: b';',
        });
        let one = write(&folder.path().join("1.csv"), &spec, &mut sample_voice).expect("written");
        let two = write(&folder.path().join("2.csv"), &spec, &mut sample_voice).expect("written");
        assert_eq!(
            std::fs::read(&one.path).expect("read"),
            std::fs::read(&two.path).expect("read")
        );
        assert_eq!((one.good_rows, one.bad_rows, one.duplicates), (42, 1, 2));
    }

    #[test]
    fn a_workbook_opens_and_has_every_row() {
        use calamine::Reader as _;
        let folder = tempfile::tempdir().expect("folder");
        for shared_strings in [true, false] {
            let spec = ExportSpec::new(7, 100).format(Format::Xlsx {
                shared_strings,
                dates_as_numbers: true,
            });
            let path = folder.path().join(format!("{shared_strings}.xlsx"));
            let manifest = write(&path, &spec, &mut sample_voice).expect("written");
            let mut book: calamine::Xlsx<_> = calamine::open_workbook(&manifest.path).expect("a workbook");
            let range = book.worksheet_range("Лист1").expect("the sheet");
            assert_eq!(range.height(), 101);
        }
    }

    #[test]
    fn a_later_export_changes_only_what_it_says() {
        let folder = tempfile::tempdir().expect("folder");
        let csv = Format::Csv {
            encoding: Encoding::Utf8,
            delimiter: b';',
        };
        let lines = |spec: &ExportSpec, name: &str| {
            let manifest = write(&folder.path().join(name), spec, &mut sample_voice).expect("written");
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(b';')
                .from_path(&manifest.path)
                .expect("opens");
            let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("a record")).collect();
            (records, manifest)
        };
        let (first, _) = lines(&ExportSpec::new(3, 50).format(csv), "a.csv");
        let (second, manifest) = lines(&ExportSpec::new(3, 50).format(csv).later(1, 5), "b.csv");
        let different = first.iter().zip(&second).filter(|(a, b)| a != b).count();
        assert_eq!((different, manifest.changes), (10, 10));
    }
}
