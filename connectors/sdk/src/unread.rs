//! Words in objects that no version of ours has read: a new kind of content, a form, the data of a mini-app.
//!
//! Platforms add kinds several times a year, and nobody can list the fields in which a citizen's words will stand. So
//! words are told by what they look like, wherever they stand: letters that are not Latin, or several words. Ids, names of
//! kinds, addresses and tokens look otherwise. People are left out whole: their names are nobody's words.

use serde_json::Value;

/// Deeper than this nothing is looked at; parsers refuse more than 128 levels anyway.
const MAX_DEPTH: usize = 200;
/// Fields by which an object is a person.
const OF_PERSONS: [&str; 4] = ["first_name", "last_name", "is_bot", "vcf_info"];
/// In this order fields of one object are read; all others follow.
const FIRST: [&str; 7] = ["form_name", "title", "name", "question", "label", "text", "description"];

/// Every text of a value that looks like words, in reading order, each once. Fields that `skip` names are left out.
///
/// A text that is itself JSON is read as a form: every field of it counts.
pub fn words_in(value: &Value, skip: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, skip, &mut found, 0);
    found
}

/// Whether a text is something a person says, and no id, kind, address or token.
pub fn looks_like_words(text: &str) -> bool {
    let text = text.trim();
    if text.starts_with("http://") || text.starts_with("https://") {
        return text.contains(char::is_whitespace);
    }
    let is_foreign = |sign: char| !sign.is_ascii() && sign.is_alphabetic();
    let words = text.split_whitespace();
    text.contains(is_foreign) || words.filter(|word| word.contains(char::is_alphabetic)).count() > 1
}

/// The name of a field or a kind as it may stand in a log: platforms' names are plain, anything else is not repeated.
pub fn shown(name: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let plain = !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain);
    if plain { name } else { "(odd name)" }
}

/// What a form says that came as text: each field on a line when it is JSON, otherwise the text.
pub fn form(text: &str) -> String {
    let Some(value) = as_form(text) else {
        return text.trim().to_owned();
    };
    let mut lines = Vec::new();
    fields(&value, "", &mut lines, 0);
    lines.join("\n")
}

fn as_form(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

fn fields(value: &Value, name: &str, lines: &mut Vec<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let said = match value {
        Value::Null => return,
        Value::Array(list) => return list.iter().for_each(|entry| fields(entry, name, lines, depth + 1)),
        Value::Object(object) => {
            for (key, entry) in object {
                fields(entry, key, lines, depth + 1);
            }
            return;
        }
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    match (name, said.is_empty()) {
        (_, true) => {}
        ("", _) => lines.push(said),
        _ => lines.push(format!("{name}: {said}")),
    }
}

fn walk(value: &Value, skip: &dyn Fn(&str) -> bool, found: &mut Vec<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::String(text) => match as_form(text) {
            Some(_) => push(form(text), found),
            None if looks_like_words(text) => push(text.trim().to_owned(), found),
            None => {}
        },
        Value::Array(list) => list.iter().for_each(|entry| walk(entry, skip, found, depth + 1)),
        Value::Object(object) => {
            if OF_PERSONS.iter().any(|key| object.contains_key(*key)) {
                return;
            }
            // What is answered counts whatever it looks like: «5», «yes», a telephone number.
            if let (Some(Value::String(question)), Some(answer)) = (object.get("question"), object.get("answer")) {
                let mut answers = Vec::new();
                fields(answer, "", &mut answers, depth + 1);
                push(format!("{}: {}", question.trim(), answers.join(", ")), found);
                return;
            }
            let first = FIRST.iter().filter_map(|key| Some((*key, object.get(*key)?)));
            let others = object.iter().map(|(key, entry)| (key.as_str(), entry));
            let others = others.filter(|(key, _)| !FIRST.contains(key));
            for (_, entry) in first.chain(others).filter(|(key, _)| !skip(key)) {
                walk(entry, skip, found, depth + 1);
            }
        }
        _ => {}
    }
}

fn push(text: String, found: &mut Vec<String>) {
    if !text.is_empty() && !found.contains(&text) {
        found.push(text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(value: &Value) -> Vec<String> {
        words_in(value, &|key| key == "secret_part")
    }

    #[test]
    fn words_are_found_wherever_they_stand_and_nothing_else() {
        let unknown = json!({"type": "hologram_note", "id": "AgADBQ", "url": "https://example.ru/двор", "from":
            {"id": 5, "first_name": "Вера"}, "inside": [{"caption": {"plain": "Не горит фонарь"}}, {"caption": "no light here"}],
            "secret_part": "не для всех", "state": "active", "at": 5});
        assert_eq!(all(&unknown), ["Не горит фонарь", "no light here"]);
    }

    #[test]
    fn only_plain_names_are_shown() {
        assert_eq!(
            ["new_kind", "", "Анна", "a b"].map(shown),
            ["new_kind", "(odd name)", "(odd name)", "(odd name)"]
        );
    }

    #[test]
    fn forms_are_read_field_by_field() {
        let answers = json!({"form_name": "Заявка", "answers": [
            {"key": "custom_0", "question": "Подъезд", "answer": "2"},
            {"key": "custom_1", "question": "Что", "answer": ["лифт", "свет"]}]});
        assert_eq!(all(&answers), ["Заявка", "Подъезд: 2", "Что: лифт, свет"]);
        let data = r#"{"problem": "нет воды", "flat": 7, "extra": {"floor": "3"}, "empty": ""}"#;
        assert_eq!(form(data).lines().count(), 3);
        assert!(form(data).contains("flat: 7") && form(data).contains("problem: нет воды"));
        assert_eq!(form(" просто слова "), "просто слова");
        assert_eq!(all(&json!({"data": data})), [form(data)]);
    }

    #[test]
    fn depth_and_odd_values_do_no_harm() {
        let mut deep = json!("слово");
        for _ in 0..400 {
            deep = json!([deep]);
        }
        assert!(all(&deep).is_empty());
        assert!(all(&json!([null, 5, true, "", "🙂", "ok"])).is_empty());
    }
}
