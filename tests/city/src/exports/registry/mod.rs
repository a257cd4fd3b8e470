//! Registries that grow: ПОС, «Управляем вместе», 59-ФЗ, votes and a system nobody knows, as snapshots of one invented
//! city. The next snapshot has the same rows with newer statuses, ratings and reopenings; the order of the columns, the
//! spellings of headers and the marks for "nothing" change from snapshot to snapshot, as they do.
//!
//! Everything follows from seed, number and version. All names, texts and numbers are invented, and most headers are
//! guesses: only those of the ПОС registry were seen, in public code.

mod columns;

use std::{io, path::Path};

use fastrand::Rng;

use super::{Format, incident::Cell, write::with_sheet};

/// Which system exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Registry of the ПОС cabinet.
    Pos,
    /// «Управляем вместе».
    Uv,
    /// Registry of обращения under 59-ФЗ.
    Fz59,
    /// Results of votes, a row an option.
    Votes,
    /// A system with plain headers that tell nothing.
    Mss,
}

/// What to write.
#[derive(Debug, Clone)]
pub struct RegistrySpec {
    /// Which system.
    pub system: System,
    /// Randomness of rows and of the order of columns.
    pub seed: u64,
    /// How many messages.
    pub messages: u64,
    /// 0: the first snapshot; later ones change rows as [`Life`] says.
    pub version: u32,
    /// Repeated rows, rows without a number, empty rows, a title above the header, columns of no use.
    pub trouble: bool,
    /// Kind of file.
    pub format: Format,
}

impl RegistrySpec {
    /// The first snapshot of some messages, as a clean workbook.
    pub fn new(system: System, seed: u64, messages: u64) -> Self {
        Self {
            system,
            seed,
            messages,
            version: 0,
            trouble: false,
            format: Format::Xlsx {
                shared_strings: true,
                dates_as_numbers: false,
            },
        }
    }

    /// As a later snapshot of the same messages.
    #[must_use]
    pub fn at(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// As another kind of file.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// With everything that goes wrong now and then.
    #[must_use]
    pub fn with_trouble(mut self) -> Self {
        self.trouble = true;
        self
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryManifest {
    /// Keys of the rows as the connector names them, in order, repeated ones once.
    pub keys: Vec<String>,
    /// Rows without a number.
    pub bad_rows: u64,
    /// Good rows that repeat an earlier one.
    pub duplicates: u64,
}

/// How far a message has come in a snapshot. The same number always lives the same life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Steps of the status taken: 0 to 2.
    pub step: u32,
    /// Rating of the answer.
    pub rating: Option<u8>,
    /// Taken up again.
    pub reopened: bool,
    /// Given to another body.
    pub forwarded: bool,
}

impl Life {
    /// The life of a message in a snapshot.
    pub fn new(number: u64, version: u32) -> Self {
        let moves = number.is_multiple_of(3);
        let step = if moves { version.min(2) } else { 0 };
        Self {
            step,
            rating: (number.is_multiple_of(5) && version >= 1).then(|| u8::try_from(1 + number % 5).unwrap_or(1)),
            reopened: number.is_multiple_of(10) && version >= 2,
            forwarded: number.is_multiple_of(7) && version >= 1,
        }
    }
}

/// Writes one snapshot.
///
/// # Errors
/// When the file can't be written.
pub fn write(path: &Path, spec: &RegistrySpec) -> io::Result<RegistryManifest> {
    let mut manifest = RegistryManifest::default();
    let order = order(spec);
    with_sheet(path, spec.format, "Лист1", &mut |sheet| {
        if spec.trouble {
            sheet.row(&shuffled(&order, vec![Cell::Text("Реестр за период".into())]))?;
        }
        let headers = columns::headers(spec.system, spec.version).into_iter().map(Cell::Text);
        sheet.row(&shuffled(&order, with_useless(spec, headers.collect(), true)))?;
        for number in 1..=spec.messages {
            for (key, cells) in columns::rows(spec, number) {
                let row = shuffled(&order, with_useless(spec, cells, false));
                sheet.row(&row)?;
                manifest.keys.push(key);
                if spec.trouble && number.is_multiple_of(11) {
                    sheet.row(&row)?;
                    manifest.duplicates += 1;
                }
            }
            if spec.trouble && number.is_multiple_of(13) {
                let mut nameless = columns::rows(spec, number).swap_remove(0).1;
                nameless[0] = Cell::Empty;
                nameless[1] = Cell::Text(format!("без номера {number}"));
                sheet.row(&shuffled(&order, with_useless(spec, nameless, false)))?;
                manifest.bad_rows += 1;
            }
            if spec.trouble && number.is_multiple_of(17) {
                sheet.blank_row()?;
            }
        }
        Ok(())
    })?;
    Ok(manifest)
}

/// Columns that no mapping knows and one that may never be stored.
fn with_useless(spec: &RegistrySpec, mut cells: Vec<Cell>, is_header: bool) -> Vec<Cell> {
    if spec.trouble {
        let (note, number) = if is_header {
            ("Служебная отметка", "СНИЛС заявителя")
        } else {
            ("служебное", "112-233-445 95")
        };
        cells.extend([Cell::Text(note.into()), Cell::Text(number.into())]);
    }
    cells
}

/// Where each column stands in this snapshot.
fn order(spec: &RegistrySpec) -> Vec<usize> {
    let width = columns::headers(spec.system, spec.version).len() + if spec.trouble { 2 } else { 0 };
    let mut order: Vec<usize> = (0..width).collect();
    Rng::with_seed(spec.seed ^ u64::from(spec.version)).shuffle(&mut order);
    order
}

fn shuffled(order: &[usize], cells: Vec<Cell>) -> Vec<Cell> {
    order
        .iter()
        .map(|&from| cells.get(from).cloned().unwrap_or(Cell::Empty))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::Encoding;

    #[test]
    fn a_snapshot_is_the_same_every_time_and_the_next_one_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let csv = Format::Csv {
            encoding: Encoding::Utf8,
            delimiter: b';',
        };
        for system in [System::Pos, System::Uv, System::Fz59, System::Votes, System::Mss] {
            let bytes = |name: &str, version| {
                let path = folder.path().join(name);
                let spec = RegistrySpec::new(system, 5, 30).format(csv).with_trouble().at(version);
                let manifest = write(&path, &spec).expect("written");
                assert!(manifest.keys.len() >= 30 && manifest.bad_rows == 2 && manifest.duplicates >= 2);
                std::fs::read(path).expect("read")
            };
            assert_eq!(bytes("a", 1), bytes("b", 1), "{system:?}");
            assert_ne!(bytes("a", 1), bytes("c", 2), "{system:?}");
        }
    }
}
