//! Tables as Priem reads them: exports that people drop into a folder, and tables that people keep as settings.
//!
//! ```text
//! Source (an open file) ─► sniff ─┬─ a workbook ──► Workbook ─► SheetRows ─┐   XLSX, XLSB, ODS, XLS
//!                                 └─ a text ─────► Dialect ──► CsvRows ───┴─► RawRow: its number and its cells
//! PlainTable: all of it at once, by its header
//! ```
//!
//! - Rows come as a stream, in memory that does not grow with the file. Each knows its number as a spreadsheet shows it, and
//!   reading can go on in another process: a CSV from a byte, a sheet from a row.
//! - The type that reads holds the limit ([`limits`]): what a file may be made of is refused before the memory is taken, with
//!   the sheet and the row ([`Fault`]).
//! - A row that can't be split costs itself ([`RowFault`]), damage of a container the rest of the file.
//! - A cell is a text. Numbers that a workbook shows as dates come as ISO; what a text says as a date is read by [`dates`].
//!
//! What the columns mean, and what becomes of a file, is for those above: the connector `files` and the tables of rules.

mod book;
mod cells;
mod columns;
mod container;
mod csv;
pub mod dates;
pub mod dialect;
mod encoding;
mod fault;
pub mod limits;
mod ods;
mod plain;
mod row;
pub mod sniff;
mod source;
mod strangers;
mod xls;
mod xlsb;
mod xlsx;
mod xml;

#[cfg(test)]
mod tests;

pub use book::{Sheet, SheetRows, Visibility, Workbook};
pub use columns::{column_index, column_letters};
pub use container::has_end;
pub use csv::CsvRows;
pub use encoding::is_garbled;
pub use fault::{Fault, RowFault};
pub use plain::PlainTable;
pub use row::{Broken, Note, Noted, RawRow};
pub use source::{Source, Stop};
pub use xlsx::SharedStrings;
