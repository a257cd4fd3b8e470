//! The XML of a workbook's parts, event by event. No event is longer and no nesting deeper than the limits allow: the XML
//! reader below collects a whole text, tag or comment before it hands it over, so the bytes are counted under it.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

use crate::{
    encoding::{Encoding, Utf16},
    fault::Fault,
    limits::{DEEPEST, LONGEST_CELL, LONGEST_NAME, Measure, OverLimit},
};

/// Events of a part.
pub(crate) struct Events<R> {
    reader: Reader<Metered<Unicode<R>>>,
    buffer: Vec<u8>,
    depth: usize,
}

impl<R: BufRead> Events<R> {
    /// Events of a source.
    pub(crate) fn new(source: R) -> Self {
        let mut reader = Reader::from_reader(Metered {
            source: Unicode::new(source),
            left: LONGEST_CELL,
        });
        let config = reader.config_mut();
        config.check_end_names = false;
        config.check_comments = false;
        config.expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// When the XML is damaged, or goes over a limit.
    pub(crate) fn next(&mut self) -> Result<Event<'_>, Fault> {
        self.buffer.clear();
        self.reader.get_mut().left = LONGEST_CELL;
        let event = self.reader.read_event_into(&mut self.buffer).map_err(unreadable)?;
        match &event {
            Event::Start(element) => {
                self.depth += 1;
                // The reader below keeps the names of all elements that are open.
                if self.depth > DEEPEST {
                    return Err(Fault::over(Measure::Depth, DEEPEST));
                }
                if element.name().as_ref().len() > LONGEST_NAME {
                    return Err(Fault::over(Measure::Name, LONGEST_NAME));
                }
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(event)
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// What the events are read from.
    pub(crate) fn source(&self) -> &R {
        &self.reader.get_ref().source.source
    }

    /// The same, to read on without looking at events.
    pub(crate) fn source_mut(&mut self) -> &mut R {
        &mut self.reader.get_mut().source.source
    }
}

/// Bytes of a part as UTF-8: it may be in UTF-16, too.
struct Unicode<R> {
    source: R,
    /// Until the first bytes were seen.
    is_new: bool,
    utf16: Option<Utf16>,
    decoded: Vec<u8>,
    given: usize,
}

impl<R: BufRead> Unicode<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            is_new: true,
            utf16: None,
            decoded: Vec::new(),
            given: 0,
        }
    }

    /// UTF-16 is told by its mark, or by the first tag.
    fn begin(&mut self) -> io::Result<()> {
        self.is_new = false;
        let (encoding, mark) = match self.source.fill_buf()? {
            [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
            [b'<', 0, ..] => (Encoding::Utf16Le, 0),
            [0, b'<', ..] => (Encoding::Utf16Be, 0),
            _ => return Ok(()),
        };
        self.source.consume(mark);
        self.utf16 = Utf16::of(encoding);
        Ok(())
    }

    /// The next bytes of a part in UTF-16.
    fn decode(&mut self, mut utf16: Utf16) -> io::Result<&[u8]> {
        while self.given == self.decoded.len() {
            self.decoded.clear();
            self.given = 0;
            let bytes = self.source.fill_buf()?;
            let length = bytes.len();
            if length == 0 {
                utf16.finish(&mut self.decoded);
                break;
            }
            utf16.push(bytes, &mut self.decoded);
            self.source.consume(length);
        }
        self.utf16 = Some(utf16);
        Ok(&self.decoded[self.given..])
    }

    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.is_new {
            self.begin()?;
        }
        match self.utf16.take() {
            Some(utf16) => self.decode(utf16),
            None => self.source.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self.utf16 {
            Some(_) => self.given = self.decoded.len().min(self.given + amount),
            None => self.source.consume(amount),
        }
    }
}

/// Bytes of a part, so many for each event.
struct Metered<R> {
    source: R,
    left: usize,
}

impl<R: BufRead> BufRead for Metered<Unicode<R>> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(OverLimit::new(Measure::Piece, LONGEST_CELL as u64).into_io());
        }
        let bytes = self.source.fill_buf()?;
        Ok(&bytes[..bytes.len().min(self.left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.source.consume(amount);
    }
}

impl<R: BufRead> Read for Metered<Unicode<R>> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let taken = bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&bytes[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

/// Anything the XML or the container below it complains of.
pub(crate) fn damaged(error: impl std::fmt::Display) -> Fault {
    // Errors of the XML reader may quote the file; the kind of damage is all a person needs.
    let text = error.to_string();
    let short: String = text.chars().filter(|c| c.is_ascii()).take(120).collect();
    Fault::Damaged(short)
}

/// An error of a reader of bytes.
pub(crate) fn broken(error: io::Error) -> Fault {
    Fault::known_of_io(&error).unwrap_or_else(|| damaged(error))
}

fn unreadable(error: quick_xml::Error) -> Fault {
    match &error {
        quick_xml::Error::Io(below) => Fault::known_of_io(below).unwrap_or_else(|| damaged(error)),
        _ => damaged(error),
    }
}

/// The attributes of an element by their local names.
pub(crate) fn attributes<'a>(element: &'a BytesStart<'_>) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    let mut attributes = element.attributes();
    attributes.with_checks(false);
    attributes.flatten().filter_map(|attribute| {
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        Some((attribute.key.local_name().into_inner(), value))
    })
}

/// Value of an attribute by its local name.
pub(crate) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    attributes(element).find_map(|(local, value)| (local == name).then(|| value.into_owned()))
}

/// Appends an entity such as `&amp;` or `&#10;`.
pub(crate) fn push_entity(entity: &BytesRef<'_>, out: &mut String) {
    let name: &str = entity;
    match name {
        "amp" => out.push('&'),
        "lt" => out.push('<'),
        "gt" => out.push('>'),
        "quot" => out.push('"'),
        "apos" => out.push('\''),
        _ => match entity.resolve_char_ref() {
            Ok(Some(decoded)) => out.push(decoded),
            _ => {
                out.push('&');
                out.push_str(name);
                out.push(';');
            }
        },
    }
}

/// Appends the text of a rich or plain string (`<si>` or `<is>`) whose start was just read; reads up to its end.
/// Phonetic hints (`<rPh>`) are left out.
pub(crate) fn push_string<R: BufRead>(events: &mut Events<R>, close: &str, out: &mut String) -> Result<(), Fault> {
    let from = out.len();
    let (mut in_text, mut phonetic) = (false, false);
    loop {
        if out.len() - from > LONGEST_CELL {
            return Err(Fault::over(Measure::Cell, LONGEST_CELL));
        }
        match events.next()? {
            Event::Start(element) => match element.local_name().as_ref() {
                "t" => in_text = true,
                "rPh" => phonetic = true,
                _ => {}
            },
            Event::End(element) => match element.local_name().as_ref() {
                "t" => in_text = false,
                "rPh" => phonetic = false,
                name if name == close => break,
                _ => {}
            },
            Event::Text(text) if in_text && !phonetic => out.push_str(&text.xml10_content()),
            Event::CData(text) if in_text && !phonetic => out.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) if in_text && !phonetic => push_entity(&entity, out),
            Event::Eof => return Err(damaged("a part ends inside a string")),
            _ => {}
        }
    }
    unescape_control_characters(out, from);
    Ok(())
}

/// Spreadsheets write control characters as `_x000D_`, and a literal `_x000D_` as `_x005F_x000D_`.
pub(crate) fn unescape_control_characters(out: &mut String, from: usize) {
    if !out[from..].contains("_x") {
        return;
    }
    let source = out.split_off(from);
    let mut rest = source.as_str();
    while let Some(at) = rest.find("_x") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // A character beyond the first plane is written as two of them.
        let unit = escaped_unit(rest);
        let pair = unit.zip(rest.get(ESCAPE..).and_then(escaped_unit));
        let of_pair = pair.and_then(|(high, low)| char::decode_utf16([high, low]).next()?.ok());
        let alone = || unit.and_then(|unit| char::from_u32(unit.into()));
        let (decoded, length) = match of_pair {
            Some(c) if c.len_utf16() == 2 => (Some(c), 2 * ESCAPE),
            _ => (alone(), ESCAPE),
        };
        match decoded {
            Some(decoded) => {
                out.push(decoded);
                rest = &rest[length..];
            }
            None => {
                out.push_str("_x");
                rest = &rest[2..];
            }
        }
    }
    out.push_str(rest);
}

/// Bytes of `_x000D_`.
const ESCAPE: usize = 7;

/// The unit of UTF-16 that is written at the front.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("_x")?.get(..4)?;
    let is_whole =
        text.as_bytes().get(ESCAPE - 1) == Some(&b'_') && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_whole.then(|| u16::from_str_radix(digits, 16).ok())?
}
