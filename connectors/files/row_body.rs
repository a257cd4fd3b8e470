//! What is stored of a row: all of it as the file gave it, but for what may not be stored.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use priem_tables::{RawRow, column_letters, dates::Order};
use serde::{Serialize, ser::SerializeMap};

use super::{items::RowContext, layout::Layout, mapping::Role, problem::RowProblem};

#[derive(Serialize)]
struct RowBody<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<&'a str>,
    row: u64,
    mapping: &'a str,
    /// Which aspect of the row the item stands for; absent for the row itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    aspect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<Filled<'a>>,
    /// Text of a row that could not be split.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    /// The same in hexadecimal, when the bytes are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    line_hex: Option<String>,
    /// The row is no message, for a reason that its cells alone do not tell.
    #[serde(skip_serializing_if = "is_false")]
    foreign: bool,
    /// A formula in it that is needed failed or has no result.
    #[serde(skip_serializing_if = "is_false")]
    failed: bool,
    /// Order of its dates, where the file says it.
    #[serde(skip_serializing_if = "is_unsaid")]
    order: Order,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_unsaid(order: &Order) -> bool {
    *order == Order::Unsaid
}

/// Filled cells under their headers, those that may be stored.
struct Filled<'a> {
    layout: &'a Layout,
    cells: &'a [String],
    which: Which,
}

/// Which cells of a row are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All that may be.
    All,
    /// What names the row: enough to note that it says nothing of an aspect.
    Names,
}

impl Serialize for Filled<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mapping = self.layout.mapping;
        let mut map = serializer.serialize_map(None)?;
        for (index, cell) in self.cells.iter().enumerate() {
            let column = self.layout.columns.get(index);
            let names_the_row = column.and_then(|column| column.field).is_some_and(|field| {
                let spec = &mapping.fields[field];
                spec.role == Role::Key || mapping.key_with == Some(spec.name)
            });
            let is_wanted = self.which == Which::All || names_the_row;
            if cell.is_empty() || !is_wanted || column.is_some_and(|column| column.forbidden) {
                continue;
            }
            match column {
                Some(column) => map.serialize_entry(&column.name, cell)?,
                // Beyond the header: kept under its letters.
                None => map.serialize_entry(&column_letters(index), cell)?,
            }
        }
        map.end()
    }
}

/// The row, or an aspect of it.
pub fn body(context: &RowContext<'_>, row: &RawRow, aspect: Option<&str>, which: Which) -> Bytes {
    body_of(context, row, aspect, which, None)
}

/// The same, and why the row is held, where its cells alone may not tell it.
pub fn body_of(
    context: &RowContext<'_>,
    row: &RawRow,
    aspect: Option<&str>,
    which: Which,
    problem: Option<&RowProblem>,
) -> Bytes {
    let (mut line, mut line_hex) = (None, None);
    if let Some(broken) = &row.broken {
        line = Some(String::from_utf8_lossy(&broken.line).into_owned());
        if std::str::from_utf8(&broken.line).is_err() {
            line_hex = Some(HEXLOWER.encode(&broken.line));
        }
    }
    let body = RowBody {
        file: context.file,
        sheet: context.sheet,
        row: row.number,
        mapping: context.layout.mapping.name,
        aspect,
        cells: row.broken.is_none().then_some(Filled {
            layout: context.layout,
            cells: &row.cells,
            which,
        }),
        line,
        line_hex,
        foreign: matches!(problem, Some(RowProblem::NoMessage | RowProblem::OnlyNumber)),
        failed: problem == Some(&RowProblem::ErrorCell),
        order: context.order,
    };
    serde_json::to_vec(&body)
        .expect("texts and numbers always serialise")
        .into()
}
