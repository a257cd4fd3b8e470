//! Which column of a table is the number of its rows.

use priem_tables::{RawRow, column_letters};

use super::{
    fold, keys,
    layout::{Column, Layout},
    mapping::Role,
    notes::Note,
};

/// Rows that count from one: more need not be looked at.
const ENOUGH_TO_COUNT: usize = 5;
/// Numbers of a system are hardly smaller.
const LEAST_OF_A_SYSTEM: u32 = 10_000;
/// Rows that may have such numbers by chance.
const FEW_TO_COUNT: usize = 3;

impl Layout {
    /// Of several columns that may hold the number the best one is it: not one that counts the rows, and the one whose
    /// header says most clearly that it is the number. The others are columns like any unknown one.
    pub(super) fn choose_key(&mut self, records: &[&RawRow]) {
        let Some(key) = self.mapping.key() else {
            return;
        };
        let spelling = |column: &Column| {
            let position = self.mapping.fields[key]
                .spellings()
                .position(|known| Some(known) == column.alias);
            // A column that the settings name comes first.
            position.map_or(0, |position| position + 1)
        };
        let mut found: Vec<(bool, usize, usize)> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.field == Some(key))
            .map(|(index, column)| (counts_rows(index, records), spelling(column), index))
            .collect();
        found.sort_unstable();
        let Some(&(counts, _, best)) = found.first() else {
            return;
        };
        let others: Vec<usize> = found.iter().skip(1).map(|(.., index)| *index).collect();
        for &other in &others {
            let header = self.forget(other);
            let chosen = self.columns[best].name.clone();
            self.notes.push(Note::OtherNumber { chosen, header });
        }
        let column = &self.columns[best];
        let is_ordinal = column.alias.is_some() && fold::is_ordinal(&column.written);
        let other = self.other_number(records).filter(|_| is_ordinal);
        if counts && is_ordinal || other.is_some() {
            let header = self.forget(best);
            self.notes.push(Note::CountsRows { header });
        } else if counts && records.len() >= FEW_TO_COUNT || is_ordinal && may_count_rows(best, records) {
            let header = column.name.clone();
            self.notes.push(Note::MayCountRows { header });
        }
        if let Some(other) = other {
            self.take_number(key, other);
        }
    }

    /// A column of numbers that are no numbers of the key's own sort: a plain «Номер» and the like, or the number the message
    /// has elsewhere; filled in each of the records.
    fn other_number(&self, records: &[&RawRow]) -> Option<usize> {
        let is_number = |column: &Column| match column.field {
            None => !column.forbidden && fold::is_plain_number(&column.written),
            Some(field) => self.mapping.fields[field].name == "number_epgu",
        };
        let is_filled = |index: usize| {
            let mut cells = records.iter().map(|row| row.cells.get(index));
            cells.all(|cell| cell.is_some_and(|cell| !cell.trim().is_empty()))
        };
        let mut columns = self.columns.iter().enumerate();
        let found =
            columns.find(|(index, column)| is_number(column) && is_filled(*index) && !counts_rows(*index, records));
        found.map(|(index, _)| index)
    }

    /// Where no column has the number by the words of the system, one that plainly says so is it: «Номер», «ID».
    pub(super) fn guess_number(&mut self, records: &[&RawRow]) {
        let Some(key) = self.mapping.key().filter(|key| !self.fields().contains(key)) else {
            return;
        };
        let mut columns = self.columns.iter().enumerate();
        let found = columns.find(|(index, column)| {
            let is_free = column.field.is_none() && !column.forbidden;
            is_free && fold::is_plain_number(&column.written) && !counts_rows(*index, records)
        });
        if let Some((index, _)) = found {
            self.take_number(key, index);
        }
    }

    fn take_number(&mut self, key: usize, index: usize) {
        let column = &mut self.columns[index];
        // Stored under the header of the mapping, so that a stored row is understood without the file.
        let known = self.mapping.fields[key].header.to_owned();
        let header = std::mem::replace(&mut column.name, known);
        (column.field, column.alias) = (Some(key), None);
        self.notes.push(Note::NumberGuessed { header });
    }

    /// Tells that no column is the number, and which might be it.
    pub(super) fn tell_no_number(&mut self) {
        let has_number = self.mapping.key().is_none() || self.has(|spec| spec.role == Role::Key);
        if has_number {
            return;
        }
        let unknown = self
            .columns
            .iter()
            .filter(|column| column.field.is_none() && !column.forbidden);
        let maybe = unknown.filter(|column| fold::may_be_number(&column.written));
        let maybe = maybe.map(|column| column.name.clone()).collect();
        self.notes.push(Note::NoNumber { maybe });
    }

    /// Makes a column an unknown one, under a name that no mapping knows. Its header.
    fn forget(&mut self, index: usize) -> String {
        let header = self.columns[index].name.clone();
        let name = format!("{header} [{}]", column_letters(index));
        let column = &mut self.columns[index];
        (column.field, column.alias, column.name) = (None, None, name);
        header
    }

    /// Whether the first record of the table, a row with most of its cells, has words in its number.
    pub(super) fn has_wordy_numbers(&self, records: &[&RawRow]) -> bool {
        let Some(key) = self.mapping.key() else {
            return false;
        };
        let full = self.full(records);
        let mut numbers = full.iter().filter_map(|row| self.cells(row).at(key));
        numbers.next().is_some_and(keys::has_words)
    }

    /// Records with most of their cells: what may be a total or a note below the table is none.
    pub(super) fn full<'a>(&self, records: &[&'a RawRow]) -> Vec<&'a RawRow> {
        let enough = self.known_fields().div_ceil(2);
        let full = records.iter().filter(|row| self.cells(row).filled() >= enough);
        full.copied().collect()
    }
}

/// Whether a column holds 1, 2, 3 … from the first record on.
fn counts_rows(index: usize, records: &[&RawRow]) -> bool {
    let mut numbers = records
        .iter()
        .filter_map(|row| row.cells.get(index))
        .map(|cell| cell.trim())
        .filter(|cell| !cell.is_empty())
        .peekable();
    numbers.peek().is_some()
        && (1_u64..)
            .zip(numbers)
            .take(ENOUGH_TO_COUNT)
            .all(|(number, cell)| cell.trim_end_matches(['.', ')']).parse() == Ok(number))
}

/// Whether a column holds small numbers that only rise or only fall: the numbers of rows that were filtered, or turned
/// around, or stand on a later page.
fn may_count_rows(index: usize, records: &[&RawRow]) -> bool {
    let cells = records
        .iter()
        .filter_map(|row| row.cells.get(index))
        .map(|cell| cell.trim());
    let numbers: Option<Vec<u32>> = cells
        .filter(|cell| !cell.is_empty())
        .map(|cell| {
            cell.trim_end_matches(['.', ')'])
                .parse()
                .ok()
                .filter(|number| *number < LEAST_OF_A_SYSTEM)
        })
        .collect();
    numbers.is_some_and(|numbers| {
        let rises = numbers.is_sorted_by(|one, next| one < next);
        !numbers.is_empty() && (rises || numbers.is_sorted_by(|one, next| one > next))
    })
}
