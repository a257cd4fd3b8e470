//! The table of shared strings, in memory while small and in an unlinked temporary file when large.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use quick_xml::events::Event;

use crate::{
    container::read_to_end,
    fault::Fault,
    limits::{LARGEST_STRINGS, MOST_STRINGS, Measure},
    xml::{self, Events, damaged},
};

/// Bytes of strings kept in memory.
const IN_MEMORY: usize = 16 * 1024 * 1024;
/// Bytes read at once from the temporary file: neighbours in the table are neighbours in the sheet.
const WINDOW: usize = 64 * 1024;
/// Strings up to this many bytes are remembered once read back: names of topics and towns stand in every row, far from
/// the texts beside which they were first used.
const SHORT: usize = 128;
/// Short strings remembered; then all are forgotten and the common ones come back at once.
const REMEMBERED: usize = 8192;

/// Strings of which the first one's place is kept in memory: the others are found by walking on from it.
const BLOCK: usize = 8;
/// Bytes before each string that say its length.
const HEAD: usize = size_of::<u32>();

/// Strings by number.
#[derive(Debug, Default)]
pub struct SharedStrings {
    count: usize,
    /// Place of the first string of each block in the concatenation of all, each behind its length.
    blocks: Vec<u64>,
    /// The string behind the one that was asked for last, and its place: it is often asked for next.
    next: (usize, u64),
    /// The concatenation, or the part of it that starts at `window_start`.
    window: Vec<u8>,
    window_start: u64,
    spilled: Option<File>,
    remembered: HashMap<usize, String>,
}

/// A table of strings that is being read. A large one goes to a temporary file in a folder.
pub(crate) struct StringsWriter<'a> {
    strings: SharedStrings,
    spill: Option<BufWriter<File>>,
    end: u64,
    scratch: &'a Path,
}

impl<'a> StringsWriter<'a> {
    pub(crate) fn new(scratch: &'a Path) -> Self {
        Self {
            strings: SharedStrings::default(),
            spill: None,
            end: 0,
            scratch,
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<(), Fault> {
        let strings = &mut self.strings;
        if strings.count == MOST_STRINGS {
            return Err(Fault::over(Measure::Strings, MOST_STRINGS));
        }
        if strings.count.is_multiple_of(BLOCK) {
            strings.blocks.push(self.end);
        }
        strings.count += 1;
        let length = u32::try_from(text.len()).map_err(damaged)?.to_le_bytes();
        self.end += (HEAD + text.len()) as u64;
        if self.end > LARGEST_STRINGS {
            return Err(Fault::over(Measure::StringBytes, LARGEST_STRINGS));
        }
        if let Some(file) = &mut self.spill {
            file.write_all(&length).map_err(no_scratch)?;
            return file.write_all(text.as_bytes()).map_err(no_scratch);
        }
        strings.window.extend_from_slice(&length);
        strings.window.extend_from_slice(text.as_bytes());
        if strings.window.len() > IN_MEMORY {
            let mut file = BufWriter::new(scratch_file(self.scratch)?);
            file.write_all(&strings.window).map_err(no_scratch)?;
            strings.window = Vec::new();
            self.spill = Some(file);
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<SharedStrings, Fault> {
        if let Some(file) = self.spill {
            self.strings.spilled = Some(file.into_inner().map_err(|error| no_scratch(error.into_error()))?);
        }
        Ok(self.strings)
    }
}

impl SharedStrings {
    /// Reads the table from its XML. A large one goes to a temporary file in `scratch`.
    pub(crate) fn read(source: impl BufRead, scratch: &Path) -> Result<Self, Fault> {
        let mut events = Events::new(source);
        let mut text = String::new();
        let mut strings = StringsWriter::new(scratch);
        loop {
            match events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "si" => {}
                Event::End(element) if element.local_name().as_ref() == "sst" => break,
                Event::Eof => return Err(damaged("the table of strings ends too early")),
                _ => continue,
            }
            text.clear();
            xml::push_string(&mut events, "si", &mut text)?;
            strings.push(&text)?;
        }
        read_to_end(events.source_mut())?;
        strings.finish()
    }

    /// A string by its number; `None` when there is none.
    pub(crate) fn get(&mut self, index: usize) -> Result<Option<String>, Fault> {
        if index >= self.count {
            return Ok(None);
        }
        if self.spilled.is_none() {
            return self.read_back(index).map(Some);
        }
        if let Some(known) = self.remembered.get(&index) {
            return Ok(Some(known.clone()));
        }
        let text = self.read_back(index)?;
        if text.len() <= SHORT {
            if self.remembered.len() >= REMEMBERED {
                self.remembered.clear();
            }
            self.remembered.insert(index, text.clone());
        }
        Ok(Some(text))
    }

    fn read_back(&mut self, index: usize) -> Result<String, Fault> {
        let first = index - index % BLOCK;
        let (mut at, mut start) = match self.next {
            (known, start) if (first..=index).contains(&known) && known > 0 => (known, start),
            _ => (first, self.blocks[index / BLOCK]),
        };
        while at < index {
            start += HEAD as u64 + self.length_at(start)?;
            at += 1;
        }
        let length = self.length_at(start)?;
        let text = start + HEAD as u64;
        self.next = (index + 1, text + length);
        String::from_utf8(self.bytes(text, text + length)?.to_vec()).map_err(damaged)
    }

    /// Length of the string that stands at a place.
    fn length_at(&mut self, start: u64) -> Result<u64, Fault> {
        let head = self.bytes(start, start + HEAD as u64)?;
        let head = head
            .first_chunk()
            .ok_or_else(|| damaged("the table of strings is cut"))?;
        Ok(u32::from_le_bytes(*head).into())
    }

    /// The bytes of `start..end`, read back when they are not in the window.
    fn bytes(&mut self, start: u64, end: u64) -> Result<&[u8], Fault> {
        let is_there = start >= self.window_start && end <= self.window_start + self.window.len() as u64;
        if let (false, Some(file)) = (is_there, &mut self.spilled) {
            let want = (end - start).max(WINDOW as u64);
            file.seek(SeekFrom::Start(start)).map_err(no_scratch)?;
            self.window.clear();
            file.take(want).read_to_end(&mut self.window).map_err(no_scratch)?;
            self.window_start = start;
        }
        let place = |at: u64| usize::try_from(at - self.window_start).unwrap_or(usize::MAX);
        let bytes = self.window.get(place(start)..place(end));
        bytes.ok_or_else(|| damaged("the table of strings is cut"))
    }
}

/// Beside the drop folder's files, or in the system's place when that folder can't be written.
fn scratch_file(scratch: &Path) -> Result<File, Fault> {
    tempfile::tempfile_in(scratch)
        .or_else(|_| tempfile::tempfile())
        .map_err(no_scratch)
}

fn no_scratch(error: std::io::Error) -> Fault {
    Fault::Unreadable(format!("temporary file: {}", error.kind()))
}
