//! What settings name: columns by letter, headers in the words of a system.

use std::collections::{BTreeMap, HashMap};

use priem_sdk::ConfigError;
use priem_tables::column_index;

use super::{fold::plain_header, forbidden::is_forbidden, mapping::Mapping};

/// Columns of files without a header row.
///
/// # Errors
/// The letter or field that does not fit.
pub fn columns(columns: &BTreeMap<String, String>, mapping: &Mapping) -> Result<Vec<(usize, usize)>, ConfigError> {
    let mut out = Vec::with_capacity(columns.len());
    for (letters, field) in columns {
        let key = format!("columns.{letters}");
        let column = column_index(letters)
            .ok_or_else(|| ConfigError::new(&key, "must be a column letter as in a spreadsheet: A, B … AI"))?;
        let index = field_index(&key, field, mapping)?;
        if out.iter().any(|&(_, known)| known == index) {
            return Err(ConfigError::new(&key, format!("field `{field}` is named twice")));
        }
        out.push((column, index));
    }
    let has_a_subject = out.iter().any(|&(_, index)| mapping.fields[index].identifies());
    if !out.is_empty() && !has_a_subject {
        return Err(ConfigError::new(
            "columns",
            "name at least the column of `number` or `text`",
        ));
    }
    Ok(out)
}

fn field_index(key: &str, field: &str, mapping: &Mapping) -> Result<usize, ConfigError> {
    mapping.position(field).ok_or_else(|| {
        let known: Vec<&str> = mapping.fields.iter().map(|spec| spec.name).collect();
        ConfigError::new(
            key,
            format!("unknown field `{field}`, known fields: {}", known.join(", ")),
        )
    })
}

/// Headers in the words of a system.
///
/// # Errors
/// The field that is unknown, or a column that is never taken in.
pub fn headers(headers: &BTreeMap<String, String>, mapping: &Mapping) -> Result<HashMap<String, usize>, ConfigError> {
    let mut out = HashMap::with_capacity(headers.len());
    for (header, field) in headers {
        let key = format!("headers.{header}");
        let index = field_index(&key, field, mapping)?;
        if is_forbidden(&plain_header(header)) {
            return Err(ConfigError::new(
                &key,
                "such columns are never taken in: СНИЛС, ОМС, passports, birth dates",
            ));
        }
        if out.insert(plain_header(header), index).is_some() {
            return Err(ConfigError::new(
                &key,
                "the header is named twice: case, `ё` and spaces do not count",
            ));
        }
    }
    Ok(out)
}
