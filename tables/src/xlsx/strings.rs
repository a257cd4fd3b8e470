//! The table of shared strings, in memory while small and in an unlinked temporary file when large.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use quick_xml::events::Event;

use super::{
    package::read_to_end,
    xml::{self, Events, damaged},
};
use crate::{
    fault::Fault,
    limits::{LARGEST_STRINGS, MOST_STRINGS, Measure},
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

/// Strings by number.
#[derive(Debug, Default)]
pub struct SharedStrings {
    /// End of each string in the concatenation of all.
    ends: Vec<u64>,
    /// The concatenation, or the part of it that starts at `window_start`.
    window: Vec<u8>,
    window_start: u64,
    spilled: Option<File>,
    remembered: HashMap<usize, String>,
}

impl SharedStrings {
    /// Reads the table from its XML. A large one goes to a temporary file in `scratch`.
    pub fn read(source: impl BufRead, scratch: &Path) -> Result<Self, Fault> {
        let mut events = Events::new(source);
        let mut text = String::new();
        let mut strings = Self::default();
        let mut spill: Option<BufWriter<File>> = None;
        let mut end = 0u64;
        loop {
            match events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "si" => {}
                Event::End(element) if element.local_name().as_ref() == "sst" => break,
                Event::Eof => return Err(damaged("the table of strings ends too early")),
                _ => continue,
            }
            text.clear();
            xml::push_string(&mut events, "si", &mut text)?;
            end += text.len() as u64;
            if end > LARGEST_STRINGS {
                return Err(Fault::over(Measure::StringBytes, LARGEST_STRINGS));
            }
            if strings.ends.len() == MOST_STRINGS {
                return Err(Fault::over(Measure::Strings, MOST_STRINGS));
            }
            strings.ends.push(end);
            match &mut spill {
                Some(file) => file.write_all(text.as_bytes()).map_err(no_scratch)?,
                None => strings.window.extend_from_slice(text.as_bytes()),
            }
            if spill.is_none() && strings.window.len() > IN_MEMORY {
                let mut file = BufWriter::new(scratch_file(scratch)?);
                file.write_all(&strings.window).map_err(no_scratch)?;
                strings.window = Vec::new();
                spill = Some(file);
            }
        }
        read_to_end(events.source_mut())?;
        if let Some(file) = spill {
            strings.spilled = Some(file.into_inner().map_err(|error| no_scratch(error.into_error()))?);
        }
        Ok(strings)
    }

    /// A string by its number.
    pub fn get(&mut self, index: usize) -> Result<String, Fault> {
        if self.spilled.is_none() {
            return self.read_back(index);
        }
        if let Some(known) = self.remembered.get(&index) {
            return Ok(known.clone());
        }
        let text = self.read_back(index)?;
        if text.len() <= SHORT {
            if self.remembered.len() >= REMEMBERED {
                self.remembered.clear();
            }
            self.remembered.insert(index, text.clone());
        }
        Ok(text)
    }

    fn read_back(&mut self, index: usize) -> Result<String, Fault> {
        let end = *self
            .ends
            .get(index)
            .ok_or_else(|| damaged("a cell names a string that is not in the table"))?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.load(start, end)?;
        let from = usize::try_from(start - self.window_start).expect("the window holds the string");
        let to = usize::try_from(end - self.window_start).expect("the window holds the string");
        String::from_utf8(self.window[from..to].to_vec()).map_err(damaged)
    }

    /// Makes the window hold `start..end`.
    fn load(&mut self, start: u64, end: u64) -> Result<(), Fault> {
        let Some(file) = &mut self.spilled else {
            return Ok(());
        };
        if start >= self.window_start && end <= self.window_start + self.window.len() as u64 {
            return Ok(());
        }
        let want = (end - start).max(WINDOW as u64);
        file.seek(SeekFrom::Start(start)).map_err(no_scratch)?;
        self.window.clear();
        file.take(want).read_to_end(&mut self.window).map_err(no_scratch)?;
        self.window_start = start;
        Ok(())
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
