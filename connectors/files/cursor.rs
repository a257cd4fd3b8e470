//! Where the import stands: which file, by name and content, and the last row that is stored.

use std::{
    fs::Metadata,
    io::{self, Read},
    os::unix::fs::MetadataExt,
};

use jiff::civil::DateTime;
use priem_sdk::Cursor;
use priem_tables::{Source, dates::Order};
use serde::{Deserialize, Serialize};

use super::{folder::Refusal, known::Known, table::Place};

/// Position in the drop folder. Compact JSON; unknown to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCursor {
    /// Name in `inbox/`.
    pub file: String,
    /// Its size and time of change.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// BLAKE3 of its content, 32 hex digits.
    pub hash: String,
    /// Which of the sheets that are read is being read.
    #[serde(default, skip_serializing_if = "is_none")]
    pub sheet: usize,
    /// Number of the last row stored.
    pub row: u64,
    /// CSV: byte of the next row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Bytes of text the rows up to here gave.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub texts: u64,
    /// Rows stored that were good.
    pub good: u64,
    /// Rows stored that were bad.
    pub bad: u64,
    /// Rows passed over: they number columns, or are totals.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// Rows whose number was in the file before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub twice: u64,
    /// Parts of addresses that a spreadsheet turned into dates.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub turned: u64,
    /// Cells of date columns that are no date.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: u64,
    /// Numbers of the first bad rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_rows: Vec<u64>,
    /// In which order its dates with slashes are written.
    #[serde(default, skip_serializing_if = "is_unsaid")]
    pub order: Order,
    /// As of when the file speaks; absent when it has no dates of what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime>,
    /// Items of it that were left out because they are older than what is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub older: u64,
    /// A report belongs beside the file though it was read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tell: bool,
    /// The same bytes were read before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub again: bool,
    /// Files read to their end before.
    #[serde(default, skip_serializing_if = "Known::is_empty")]
    pub known: Known,
    /// How the file ended; absent while it is being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Further entries that were refused with this one, to be put away with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// An entry of the inbox that is no file of it and is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Name in `inbox/`.
    pub file: String,
    /// Its own stamp.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What it is instead.
    pub refusal: Refusal,
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Read to its end.
    Done,
    /// Can't be read.
    Failed {
        /// Bounded name of the problem.
        reason: String,
        /// For the report beside the file, in Russian; quotes nothing from it.
        report: String,
    },
}

/// Size, time of change and identity: a cheap sign that a file is still the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of change, nanoseconds since 1970; 0 when the file system does not tell.
    pub mtime: u64,
    /// Number of the file in its file system; 0 in cursors of earlier versions, where it means nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inode: u64,
    /// Time of the last change of the file or of where it stands, nanoseconds since 1970; 0 in cursors of earlier versions.
    /// A file that was moved away and put back differs in nothing else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ctime: u64,
}

impl Stamp {
    /// Whether both are of one file that was not changed, nor moved, between them.
    pub fn is_untouched(self, other: Self) -> bool {
        let is_unmoved = self.ctime == other.ctime || self.ctime == 0 || other.ctime == 0;
        is_unmoved && self.is_same(other)
    }

    /// Whether both are of one file that was not changed between them.
    pub fn is_same(self, other: Self) -> bool {
        let is_same_file = self.inode == other.inode || self.inode == 0 || other.inode == 0;
        is_same_file && (self.size, self.mtime) == (other.size, other.mtime)
    }

    /// The stamp of an open file as it is now.
    ///
    /// # Errors
    /// What the file system says.
    pub fn of_open(source: &Source) -> io::Result<Self> {
        Ok(Self::of(&source.metadata()?))
    }

    /// Reads it from the file system's answer.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            inode: metadata.ino(),
            ctime: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A moment as file systems tell it, nanoseconds since 1970; 0 before that.
pub fn nanoseconds(seconds: i64, rest: impl TryInto<u64>) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(rest.try_into().unwrap_or(0))
}

/// BLAKE3 of a file, 32 hex digits, read as a stream.
///
/// # Errors
/// What the file system says.
pub fn content_hash(source: &Source) -> io::Result<String> {
    let mut source = source.from_start();
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex()[..32].to_owned());
        }
        hasher.update(&buffer[..read]);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(value: &usize) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_unsaid(order: &Order) -> bool {
    *order == Order::Unsaid
}

impl FileCursor {
    /// Before the first row of a file.
    pub fn start(file: String, stamp: Stamp, hash: String) -> Self {
        Self {
            file,
            stamp,
            hash,
            sheet: 0,
            row: 0,
            offset: 0,
            texts: 0,
            good: 0,
            bad: 0,
            skipped: 0,
            twice: 0,
            turned: 0,
            unread: 0,
            bad_rows: Vec::new(),
            order: Order::Unsaid,
            as_of: None,
            older: 0,
            tell: false,
            again: false,
            known: Known::default(),
            end: None,
            refused: Vec::new(),
        }
    }

    /// At a file that is not opened: its name and stamp stand for its content. Two files of one size and time are two;
    /// the same one refused again is the same.
    pub fn unread(file: String, stamp: Stamp) -> Self {
        let name = blake3::hash(file.as_bytes()).to_hex();
        let Stamp { size, mtime, inode, .. } = stamp;
        let hash = format!("unread-{size}-{mtime}-{inode}-{}", &name[..16]);
        Self::start(file, stamp, hash)
    }

    /// Place in the file.
    pub fn place(&self) -> Place {
        Place {
            sheet: self.sheet,
            row: self.row,
            offset: self.offset,
            texts: self.texts,
        }
    }

    /// For the host.
    pub fn encode(&self) -> Cursor {
        Cursor(serde_json::to_string(self).expect("texts and numbers always serialise"))
    }

    /// From the host. `None`: nothing read yet, or a cursor of another version; reading a file again is harmless.
    pub fn decode(cursor: &Cursor) -> Option<Self> {
        if cursor.is_start() {
            return None;
        }
        serde_json::from_str(&cursor.0)
            .inspect_err(|_| tracing::warn!("unknown cursor of the drop folder, starting over"))
            .ok()
    }
}
