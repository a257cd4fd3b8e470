//! CSV in a body: rows by their header.
//!
//! Files of exports are read by the connector `files`, which recovers from damaged rows one by one; here a whole body
//! was just made by a program, and one that is damaged is quarantined whole.

use priem_sdk::NormalizeError;
use priem_tables::dialect;
use serde_json::{Map, Value};

/// Most rows in one body.
const MOST_ROWS: usize = 100_000;
/// Names of columns together, bytes: every row repeats them.
const LONGEST_HEADER: usize = 16 * 1024;
/// Where the cells go for which the header has no name.
const MORE: &str = "#more";

/// Reads rows.
pub(super) fn read(text: &str) -> Result<Value, NormalizeError> {
    // A single column: the tab is the rarest of all in texts.
    let delimiter = dialect::header_delimiter(text.as_bytes()).unwrap_or(b'\t');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text.as_bytes());
    let not_csv = |_| NormalizeError::new("not_csv", "the body can't be split into rows");
    let header: Vec<String> = reader
        .headers()
        .map_err(not_csv)?
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    if header.iter().map(String::len).sum::<usize>() > LONGEST_HEADER {
        return Err(NormalizeError::new(
            "too_large",
            format!("the header row has more than {LONGEST_HEADER} bytes"),
        ));
    }
    if header.iter().all(String::is_empty) {
        return Err(NormalizeError::new("not_csv", "the body has no header row"));
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        if rows.len() == MOST_ROWS {
            return Err(NormalizeError::new(
                "too_large",
                format!("the body has more than {MOST_ROWS} rows"),
            ));
        }
        let row = row.map_err(not_csv)?;
        let mut record = Map::new();
        let mut more = Vec::new();
        for (column, cell) in row.iter().enumerate() {
            match header.get(column).filter(|name| !name.is_empty()) {
                Some(name) => super::add(&mut record, name.clone(), cell.into()),
                None => more.push(Value::from(cell)),
            }
        }
        if !more.is_empty() {
            record.insert(MORE.into(), more.into());
        }
        rows.push(Value::Object(record));
    }
    Ok(Value::Array(rows))
}
