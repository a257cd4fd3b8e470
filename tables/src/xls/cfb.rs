//! The container of the old Office: streams in chains of sectors.

use crate::fault::Fault;

/// The end of a chain, and every number that names no sector.
const NO_SECTOR: u32 = 0xFFFF_FFFA;
const ENTRY: usize = 128;
const STREAM: u8 = 2;
const ROOT: u8 = 5;

/// A container whose bytes are in memory.
pub(super) struct Container<'a> {
    bytes: &'a [u8],
    shift: u32,
    table: Vec<u32>,
    entries: Vec<Entry>,
    small: Vec<u8>,
    small_shift: u32,
    small_table: Vec<u32>,
    small_below: usize,
}

struct Entry {
    name: String,
    kind: u8,
    start: u32,
    size: usize,
}

impl<'a> Container<'a> {
    /// Reads the tables of a container.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        /// Numbers of sectors of the table that stand in the head.
        const IN_HEAD: usize = 109;
        let shift = u32::from(u16_at(bytes, 30).ok_or_else(damaged)?);
        let small_shift = u32::from(u16_at(bytes, 32).ok_or_else(damaged)?);
        if !(7..=16).contains(&shift) || small_shift > shift {
            return Err(damaged());
        }
        let mut container = Self {
            bytes,
            shift,
            table: Vec::new(),
            entries: Vec::new(),
            small: Vec::new(),
            small_shift,
            small_table: Vec::new(),
            small_below: u32_at(bytes, 56).ok_or_else(damaged)? as usize,
        };
        let mut sectors: Vec<u32> = (0..IN_HEAD).filter_map(|index| u32_at(bytes, 76 + 4 * index)).collect();
        let mut more = u32_at(bytes, 68).ok_or_else(damaged)?;
        let mut seen = 0;
        while more < NO_SECTOR {
            let sector = container.sector(more);
            let numbers = sector.as_chunks::<4>().0;
            let Some((next, numbers)) = numbers.split_last() else {
                break;
            };
            sectors.extend(numbers.iter().map(|number| u32::from_le_bytes(*number)));
            more = u32::from_le_bytes(*next);
            seen += 1;
            if seen > bytes.len() >> shift {
                return Err(damaged());
            }
        }
        for sector in sectors.into_iter().filter(|sector| *sector < NO_SECTOR) {
            let numbers = container.sector(sector).as_chunks::<4>().0.iter();
            let numbers: Vec<u32> = numbers.map(|number| u32::from_le_bytes(*number)).collect();
            container.table.extend(numbers);
            if container.table.len() > bytes.len() {
                return Err(damaged());
            }
        }
        let directory = container.chain(u32_at(bytes, 48).ok_or_else(damaged)?)?;
        container.entries = directory
            .as_chunks::<ENTRY>()
            .0
            .iter()
            .filter_map(Entry::read)
            .collect();
        let small_table = container.chain(u32_at(bytes, 60).ok_or_else(damaged)?)?;
        container.small_table = small_table
            .as_chunks::<4>()
            .0
            .iter()
            .map(|number| u32::from_le_bytes(*number))
            .collect();
        let root = container
            .entries
            .iter()
            .find(|entry| entry.kind == ROOT)
            .map(|root| root.start);
        if let Some(root) = root.filter(|start| *start < NO_SECTOR) {
            container.small = container.chain(root)?;
        }
        Ok(container)
    }

    /// Whether a stream or a folder of this name is in it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    /// The bytes of a stream.
    pub(super) fn stream(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let mut streams = self.entries.iter().filter(|entry| entry.kind == STREAM);
        let Some(entry) = streams.find(|entry| entry.name.eq_ignore_ascii_case(name)) else {
            return Ok(None);
        };
        let mut bytes = if entry.size < self.small_below {
            self.small_chain(entry.start)?
        } else {
            self.chain(entry.start)?
        };
        if bytes.len() < entry.size {
            return Err(damaged());
        }
        bytes.truncate(entry.size);
        Ok(Some(bytes))
    }

    /// Bytes of a sector; the last one may be cut.
    fn sector(&self, number: u32) -> &'a [u8] {
        let start = (number as usize + 1) << self.shift;
        let end = (start + (1 << self.shift)).min(self.bytes.len());
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn chain(&self, start: u32) -> Result<Vec<u8>, Fault> {
        follow(start, &self.table, self.bytes.len(), |at| Some(self.sector(at)))
    }

    fn small_chain(&self, start: u32) -> Result<Vec<u8>, Fault> {
        follow(start, &self.small_table, self.small.len(), |at| {
            let from = (at as usize) << self.small_shift;
            let to = (from + (1 << self.small_shift)).min(self.small.len());
            self.small.get(from..to)
        })
    }
}

/// The bytes of a chain of sectors. A chain that comes back to itself has more sectors than its table, or more bytes than
/// there are: the sectors of such a chain may be empty.
fn follow<'a>(
    start: u32,
    table: &[u32],
    most: usize,
    sector: impl Fn(u32) -> Option<&'a [u8]>,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let mut at = start;
    for _ in 0..=table.len() {
        if at >= NO_SECTOR {
            return Ok(out);
        }
        out.extend_from_slice(sector(at).ok_or_else(damaged)?);
        if out.len() > most {
            break;
        }
        at = *table.get(at as usize).ok_or_else(damaged)?;
    }
    Err(damaged())
}

impl Entry {
    fn read(bytes: &[u8; ENTRY]) -> Option<Self> {
        let length = usize::from(u16_at(bytes, 64)?).saturating_sub(2) / 2;
        let units: Vec<u16> = bytes[..64]
            .as_chunks::<2>()
            .0
            .iter()
            .take(length)
            .map(|unit| u16::from_le_bytes(*unit))
            .collect();
        Some(Self {
            name: String::from_utf16_lossy(&units),
            kind: bytes[66],
            start: u32_at(bytes, 116)?,
            size: u32_at(bytes, 120)? as usize,
        })
    }
}

fn damaged() -> Fault {
    Fault::Damaged("the container of the old Office is cut".into())
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at + 2)?
        .first_chunk()
        .map(|pair| u16::from_le_bytes(*pair))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .first_chunk()
        .map(|four| u32::from_le_bytes(*four))
}

pub(super) fn f64_at(bytes: &[u8], at: usize) -> Option<f64> {
    bytes
        .get(at..at + 8)?
        .first_chunk()
        .map(|eight| f64::from_le_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_comes_back_to_itself_ends() {
        let bytes = [7_u8; 4];
        for (table, sector) in [
            // Sectors with bytes, and sectors behind the end of the file, which have none.
            (vec![1, 0], &bytes[..]),
            (vec![0], &bytes[..0]),
            (vec![1, 2, 1], &bytes[..0]),
        ] {
            assert!(follow(0, &table, bytes.len(), |_| Some(sector)).is_err(), "{table:?}");
        }
        let whole = follow(0, &[1, NO_SECTOR], 8, |_| Some(&bytes));
        assert_eq!(whole.expect("a chain with an end").len(), 8);
    }
}
