//! What a file is, by its first bytes: the one place that looks, for exports as for tables of rules.
//!
//! The content decides ([`Kind`]); the name of a file is asked only where the content leaves it open, because a text may be
//! anything ([`Kind::read_as`]). What a container holds (a workbook, an OpenDocument table, any archive) is for the reader of
//! containers to say.

use std::io::Read;

use crate::{
    book::OLD_OFFICE,
    dialect::{Delimiter, Dialect, Encoding, Guess},
    encoding::guess,
    fault::Fault,
    source::Source,
    strangers,
};

/// Bytes looked at.
const SAMPLE: usize = 256 * 1024;

/// The beginning of a file.
#[derive(Debug, Clone)]
pub struct Start {
    bytes: Vec<u8>,
    /// These are all of it.
    whole: bool,
}

/// What a file is by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// A ZIP container: what its parts will say.
    Container,
    /// A container of the old Office: `.xls`, or a workbook protected by a password.
    OldOffice,
    /// A file of another kind, by its name in English.
    Other(&'static str),
    /// No text in any encoding we read.
    Binary,
    /// A text: a table, or a page, or a letter.
    Text,
}

/// What the name of a file promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// A workbook: `.xlsx`, `.xlsm`, `.xlsb`, `.ods`.
    Workbook,
    /// A table as text: `.csv`, `.tsv`, `.txt`.
    Text,
    /// A workbook of the old Office: `.xls`.
    OldWorkbook,
    /// No table that we know.
    Nothing,
}

/// How a file is read as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAs {
    /// As a workbook.
    Workbook,
    /// As CSV.
    Text,
}

impl Start {
    /// Reads the beginning of a file.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn of(source: &Source) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        source
            .from_start()
            .take(SAMPLE as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::of_io(&error))?;
        let whole = bytes.len() < SAMPLE;
        Ok(Self { bytes, whole })
    }

    /// What the file is.
    pub fn kind(&self) -> Kind {
        const CONTAINERS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
        let begins = |with: &[u8]| self.bytes.starts_with(with);
        if self.bytes.is_empty() {
            Kind::Empty
        } else if CONTAINERS.into_iter().any(begins) {
            Kind::Container
        } else if begins(OLD_OFFICE) {
            Kind::OldOffice
        } else if let Some(what) = strangers::of_start(&self.bytes) {
            Kind::Other(what)
        } else if self.is_binary() {
            Kind::Binary
        } else {
            Kind::Text
        }
    }

    /// Whether the bytes are those of a program: zeros, and many signs that stand in no text. A few may be damage, and
    /// zeros at the end are what was not written.
    fn is_binary(&self) -> bool {
        const MOST_IN_TEXT: usize = 8;
        const ONE_IN: usize = 200;
        let is_utf16 = matches!(
            guess(&self.bytes, self.whole),
            Guess::Is(Encoding::Utf16Le | Encoding::Utf16Be, _)
        );
        if is_utf16 || !self.bytes.contains(&0) {
            return false;
        }
        let end = self
            .bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let controls = self.bytes[..end]
            .iter()
            .filter(|byte| matches!(byte, 0..=8 | 14..=25 | 27..=31));
        let controls = controls.count();
        end == 0 || (controls > MOST_IN_TEXT && controls * ONE_IN >= end)
    }

    /// Encoding and delimiter of a text, where they are not said.
    ///
    /// # Errors
    /// When the encoding is not certain; it is named.
    pub fn dialect(&self, encoding: Option<Encoding>, delimiter: Delimiter) -> Result<Dialect, Fault> {
        Dialect::of(&self.bytes, self.whole, encoding, delimiter).map_err(|likely| Fault::Encoding(likely.name()))
    }
}

impl Kind {
    /// How it is read as a table. A file under a `name` must be called a table when it is a text; without one, somebody
    /// named it as a table.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read_as(self, name: Option<&str>) -> Result<ReadAs, Fault> {
        match self {
            Self::Empty => return Err(Fault::Empty),
            Self::Container | Self::OldOffice => return Ok(ReadAs::Workbook),
            Self::Other(what) => return Err(Fault::Unsupported(what)),
            Self::Binary | Self::Text => {}
        }
        match name.map_or(Promise::Text, Promise::of) {
            Promise::Text => {}
            Promise::Workbook => return Err(Fault::Damaged(strangers::NO_BEGINNING.into())),
            Promise::OldWorkbook | Promise::Nothing => return Err(Fault::Unsupported(strangers::NO_TABLE)),
        }
        match self {
            Self::Binary => Err(Fault::Encoding("binary data")),
            _ => Ok(ReadAs::Text),
        }
    }
}

impl Promise {
    /// By what stands after the last dot, upper or lower case.
    pub fn of(name: &str) -> Self {
        let Some((_, extension)) = name.rsplit_once('.') else {
            return Self::Nothing;
        };
        match extension.to_lowercase().as_str() {
            "xlsx" | "xlsm" | "xltx" | "xltm" | "xlsb" | "ods" | "ots" => Self::Workbook,
            "csv" | "tsv" | "txt" => Self::Text,
            "xls" => Self::OldWorkbook,
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::book::Workbook;

    fn start(bytes: &[u8]) -> Start {
        Start {
            bytes: bytes.to_vec(),
            whole: true,
        }
    }

    #[test]
    fn each_kind_of_file_is_told_by_its_content() {
        for (what, bytes, kind) in [
            ("nothing", b"".as_slice(), Kind::Empty),
            ("XLSX, ODS", b"PK\x03\x04\x14\0", Kind::Container),
            ("an empty archive", b"PK\x05\x06\0\0", Kind::Container),
            ("XLS", b"\xD0\xCF\x11\xE0\xA1\xB1", Kind::OldOffice),
            (
                "HTML",
                b"<html><table><tr><td>1</td></tr></table></html>",
                Kind::Other(strangers::HTML),
            ),
            ("UTF-8", "Номер;Тема\n".as_bytes(), Kind::Text),
            ("UTF-8 with its mark", "\u{feff}Номер;Тема\n".as_bytes(), Kind::Text),
            ("Windows-1251", b"\xCD\xEE\xEC\xE5\xF0\t1\n", Kind::Text),
            ("UTF-16, little end first", b"\xFF\xFE1\0", Kind::Text),
            ("UTF-16, big end first", b"\xFE\xFF\x001", Kind::Text),
            ("a picture", b"\x89PNG\r\n\x1A\n\0\0", Kind::Other(strangers::PICTURE)),
            ("PDF", b"%PDF-1.4\n", Kind::Other(strangers::PDF)),
        ] {
            assert_eq!(start(bytes).kind(), kind, "{what}");
        }
    }

    #[test]
    fn a_text_is_read_when_its_name_does_not_speak_against_it() {
        let read = |kind: Kind| [None, Some("a.csv"), Some("a.XLSX"), Some("a.xls")].map(|name| kind.read_as(name));
        let no_workbook = Err(Fault::Damaged("the file does not start as a workbook".into()));
        let neither = Err(Fault::Unsupported(strangers::NO_TABLE));
        // A page of HTML that pretends to be a workbook is told by the last two.
        let as_text = |said: Result<ReadAs, Fault>| [said.clone(), said, no_workbook.clone(), neither.clone()];
        assert_eq!(read(Kind::Empty), [(); 4].map(|()| Err(Fault::Empty)));
        assert_eq!(read(Kind::Container), [(); 4].map(|()| Ok(ReadAs::Workbook)));
        assert_eq!(read(Kind::OldOffice), [(); 4].map(|()| Ok(ReadAs::Workbook)));
        assert_eq!(read(Kind::Text), as_text(Ok(ReadAs::Text)));
        assert_eq!(read(Kind::Binary), as_text(Err(Fault::Encoding("binary data"))));
    }

    #[test]
    fn a_container_without_a_workbook_is_refused_by_its_parts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.xlsx");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).expect("made"));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file("readme.txt", stored).expect("a part");
        archive.write_all(b"no workbook").expect("written");
        archive.finish().expect("finished");
        let source = Source::open(&path).expect("open");
        assert_eq!(Start::of(&source).expect("read").kind(), Kind::Container);
        let refused = Workbook::open(&source).map(|_| ()).expect_err("no workbook");
        assert_eq!(refused, Fault::Unsupported("an archive without a workbook in it"));
    }

    #[test]
    fn names_promise_what_stands_after_the_last_dot() {
        for (name, promise) in [
            ("a.xlsx", Promise::Workbook),
            ("Выгрузка.XLSM", Promise::Workbook),
            ("a.csv", Promise::Text),
            ("a.tsv", Promise::Text),
            ("a.xlsx.txt", Promise::Text),
            ("a.xls", Promise::OldWorkbook),
            ("a.ods", Promise::Workbook),
            ("csv", Promise::Nothing),
        ] {
            assert_eq!(Promise::of(name), promise, "{name}");
        }
    }
}
