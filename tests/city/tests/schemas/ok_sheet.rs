//! Reads a fact sheet in Markdown: OK publishes no schema, so names and types in its tables are what there is.
//!
//! A name counts as known when it stands as a word in the part of the sheet that speaks of the object; where a table
//! `field | type` gives a type, the value must be of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a part of the sheet knows of an object.
#[derive(Debug, Default)]
pub struct Facts {
    words: BTreeSet<String>,
    types: BTreeMap<String, String>,
}

impl Facts {
    /// Facts of a piece of text.
    pub fn of(text: &str) -> Self {
        let mut facts = Self {
            words: words(text),
            types: BTreeMap::new(),
        };
        let mut is_typed = false;
        for line in text.lines() {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            if !line.trim_start().starts_with('|') {
                is_typed = false;
            } else if cells.get(..2) == Some(&["field", "type"]) {
                is_typed = true;
            } else if let (true, [names, kind, ..]) = (is_typed, cells.as_slice()) {
                let names = names.split('`').skip(1).step_by(2);
                facts
                    .types
                    .extend(names.map(|name| (name.to_owned(), (*kind).to_owned())));
            }
        }
        facts
    }

    /// Differences of a value, told as `object/field: what`.
    pub fn differences(&self, object: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|one| self.differences(object, one, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if !self.words.contains(name) {
                        found.insert(format!("{object}/{name}: is not in the sheet"));
                    }
                    let stated = self.types.get(name).map_or("", String::as_str);
                    if !fits(stated, value) {
                        found.insert(format!("{object}/{name}: is not {stated}"));
                    }
                    self.differences(object, value, found);
                }
            }
            _ => {}
        }
    }
}

/// Whether a value is of the type a cell begins with. Cells that begin otherwise (`{user_id…}`) state no type.
fn fits(stated: &str, value: &Value) -> bool {
    if stated.starts_with("string") {
        value.is_string()
    } else if stated.starts_with("int64") {
        value.is_i64() || value.is_u64()
    } else if stated.starts_with("array") {
        value.is_array()
    } else if stated.starts_with('{') {
        value.is_object()
    } else {
        true
    }
}

/// The sections whose headings begin with these numbers (`3.1`, `1.C`), together.
pub fn sections(sheet: &str, numbers: &[&str]) -> String {
    let mut is_wanted = false;
    let mut text = String::new();
    for line in sheet.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim_start();
            let number = heading.split(' ').next().unwrap_or_default().trim_end_matches('.');
            is_wanted = numbers.contains(&number);
        }
        if is_wanted {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(!text.is_empty(), "the sheet has no section {numbers:?}");
    text
}

/// Rows of tables whose first cell names this call.
pub fn rows(text: &str, call: &str) -> String {
    let is_of = |line: &&str| {
        let first = line.trim_start_matches('|').split('|').next().unwrap_or_default();
        line.starts_with('|') && words_with(first, is_of_a_call).contains(call)
    };
    let found: Vec<&str> = text.lines().filter(is_of).collect();
    assert!(!found.is_empty(), "the sheet knows no call {call}");
    found.join("\n")
}

fn is_of_a_call(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '/')
}

fn words(text: &str) -> BTreeSet<String> {
    words_with(text, |letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn words_with(text: &str, belongs: impl Fn(char) -> bool) -> BTreeSet<String> {
    let parts = text.split(|letter| !belongs(letter));
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHEET: &str = "# Sheet\n## 1. Calls\n| call | response |\n|---|---|\n| GET `/graph/me/chats` | {chats: […]} |\n\
                         | `chats.get` | {other} |\n### 3.1 Message\n| field | type | note |\n|---|---|---|\n\
                         | `text`, `mid` | string | words |\n| `at` | int64 ms | |\n| `from` | {user_id} | |\n## 4. End\nbye\n";

    #[test]
    fn names_and_types_are_read_from_the_section_that_speaks_of_them() {
        let facts = Facts::of(&sections(SHEET, &["3.1"]));
        let mut found = BTreeSet::new();
        facts.differences(
            "message",
            &json!({"text": "a", "mid": "b", "at": 1, "from": {"user_id": 2}}),
            &mut found,
        );
        assert_eq!(found, BTreeSet::new());
        facts.differences(
            "message",
            &json!([{"text": 1, "at": "1", "from": {"bye": 2}}]),
            &mut found,
        );
        let expected = [
            "message/at: is not int64 ms",
            "message/bye: is not in the sheet",
            "message/text: is not string",
        ];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_call_is_found_by_its_whole_name() {
        assert_eq!(
            rows(SHEET, "/graph/me/chats"),
            "| GET `/graph/me/chats` | {chats: […]} |"
        );
        assert_eq!(rows(SHEET, "chats.get"), "| `chats.get` | {other} |");
    }
}
