//! XLSX, read as a stream of rows in constant memory.
//!
//! Why not calamine: it reads cells as a stream too, but keeps the whole table of shared strings in memory, and in
//! exports most of the file *is* that table (every citizen's text is in it). Here the table goes to an unlinked
//! temporary file once it is large ([`strings`]), so memory does not grow with the file. On whole workbooks the result is
//! that of calamine (a test compares every cell). The container and the XML are read by the crates calamine uses itself.

mod book;
pub(crate) mod formats;
mod links;
mod sheet;
mod strings;
#[cfg(test)]
mod tests;

pub(crate) use book::Book;
pub(crate) use links::Links;
pub(crate) use sheet::XlsxRows;
pub use strings::SharedStrings;
pub(crate) use strings::StringsWriter;
