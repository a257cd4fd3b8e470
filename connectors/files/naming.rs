//! What settings name: columns by letter, headers and statuses in the words of a system.

use std::collections::{BTreeMap, HashMap};

use priem_sdk::ConfigError;

use super::{
    layout::is_forbidden,
    mapping::{Mapping, plain_header},
    shared::COMMON_STATUSES,
};

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

/// Statuses in the words of a system, in lower case.
///
/// # Errors
/// The common status that is unknown.
pub fn statuses(statuses: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut out = BTreeMap::new();
    for (source, common) in statuses {
        if !COMMON_STATUSES.contains(&common.as_str()) {
            return Err(ConfigError::new(
                format!("statuses.{source}"),
                format!(
                    "unknown common status `{common}`, known: {}",
                    COMMON_STATUSES.join(", ")
                ),
            ));
        }
        out.insert(source.trim().to_lowercase(), common.clone());
    }
    Ok(out)
}

/// `A` → 0, `AI` → 34; upper or lower case.
pub fn column_index(letters: &str) -> Option<usize> {
    if letters.is_empty() || letters.len() > 3 {
        return None;
    }
    letters
        .bytes()
        .try_fold(0usize, |sum, byte| {
            let letter = byte.to_ascii_uppercase();
            letter
                .is_ascii_uppercase()
                .then(|| sum * 26 + usize::from(letter - b'A') + 1)
        })
        .map(|one_based| one_based - 1)
}

/// 0 → `A`, 34 → `AI`.
pub fn column_letters(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).expect("a remainder of 26 fits a byte"));
        rest /= 26;
    }
    letters.reverse();
    String::from_utf8(letters).expect("letters are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_indexes_agree() {
        for (letters, index) in [
            ("A", 0),
            ("Z", 25),
            ("AA", 26),
            ("AI", 34),
            ("AR", 43),
            ("ZZ", 701),
            ("AAA", 702),
        ] {
            assert_eq!(column_index(letters), Some(index));
            assert_eq!(column_letters(index), letters);
        }
        assert_eq!(column_index("я"), None);
    }
}
