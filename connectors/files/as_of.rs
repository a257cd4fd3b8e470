//! What a file says as a whole, before its first row is understood: as of when it speaks, and in which order its dates are
//! written.
//!
//! An old export that is dropped once more, or for the first time after a newer one, must not turn anything back; and only
//! the file as a whole tells its age, whatever the order of its rows. A row alone may have lost its closing date because it
//! is old, or because the matter was opened again (ADR 0028).

use jiff::{civil::DateTime, tz::TimeZone};
use priem_tables::{
    RawRow,
    dates::{self, Order},
};

use super::{layout::Layout, mapping::FieldKind, problem::FileProblem, table::Table, when};

/// What a file says as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole {
    /// The newest day or moment on which something happened, or when the file says that it was made.
    pub as_of: Option<DateTime>,
    /// The order of its dates with slashes.
    pub order: Order,
}

/// Reads a table from where it stands, its beginning, to its end, and goes back. What can't be read is told when it is
/// read in earnest. Moments after `until` are mistyped.
///
/// # Errors
/// Only when the reading is stopped with the service, or the file can't be gone back in.
pub fn of(table: &mut Table, zone: &TimeZone, until: DateTime) -> Result<Whole, FileProblem> {
    let mut looked = Looked::default();
    loop {
        match table.next_row() {
            Ok(Some(row)) => looked.see(&table.layout, &row, zone, until),
            Err(problem) if problem.is_stopped() => return Err(problem),
            Ok(None) | Err(_) => break,
        }
    }
    let made = table.made().filter(|made| *made <= until);
    table.begin_again()?;
    let order = match looked.month_first && !looked.day_first {
        true => Order::MonthFirst,
        false => Order::Unsaid,
    };
    let newest = match order {
        Order::Unsaid => looked.newest,
        Order::MonthFirst => looked.newest_american,
    };
    Ok(Whole {
        as_of: newest.max(made),
        order,
    })
}

#[derive(Debug, Default)]
struct Looked {
    newest: Option<DateTime>,
    /// The newest, should the order turn out to be American.
    newest_american: Option<DateTime>,
    month_first: bool,
    day_first: bool,
    /// The last text of each column: registries repeat themselves.
    last: Vec<String>,
}

impl Looked {
    fn see(&mut self, layout: &Layout, row: &RawRow, zone: &TimeZone, until: DateTime) {
        self.last.resize(layout.columns.len(), String::new());
        for ((cell, column), last) in row.cells.iter().zip(&layout.columns).zip(&mut self.last) {
            let Some(kind) = column.field.map(|field| layout.mapping.fields[field].kind) else {
                continue;
            };
            if !kind.is_date() || cell.is_empty() || cell == last {
                continue;
            }
            last.clone_from(cell);
            match dates::is_month_first(cell) {
                Some(true) => self.month_first = true,
                Some(false) => self.day_first = true,
                None => {}
            }
            // Terms lie ahead.
            if kind == FieldKind::Date {
                let moment =
                    |order| when::local(cell, zone, order).filter(|moment| (when::EARLIEST..=until).contains(moment));
                let day_first = moment(Order::Unsaid);
                // Without slashes there is one order only.
                let month_first = match cell.contains('/') {
                    true => moment(Order::MonthFirst),
                    false => day_first,
                };
                self.newest = self.newest.max(day_first);
                self.newest_american = self.newest_american.max(month_first);
            }
        }
    }
}
