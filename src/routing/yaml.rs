//! A YAML file as a tree in which every key and value knows its line.
//!
//! Serde could fill Rust types directly, but then its English messages would be what a rule author sees. The tree is
//! read by [`super::reader`], which speaks Russian and goes on after an error.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and the line it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) value: Value,
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) node: Node,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind_ru(&self) -> &'static str {
        match self {
            Self::Nothing => "пусто",
            Self::Bool(_) => "да/нет",
            Self::Integer(_) | Self::Float(_) => "число",
            Self::Text(_) => "текст",
            Self::List(_) => "список",
            Self::Map(_) => "набор «ключ: значение»",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            line: line_of(&spanned),
            value: spanned.value,
        })
    }
}

fn line_of<T>(spanned: &Spanned<T>) -> u32 {
    u32::try_from(spanned.referenced.line()).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let line = line_of(&key);
            entries.push(Entry {
                key: key.value,
                line,
                node: map.next_value()?,
            });
        }
        Ok(Value::Map(entries))
    }
}

/// A file that is not YAML at all.
#[derive(Debug)]
pub(super) struct NotYaml {
    pub(super) line: u32,
    pub(super) why: String,
}

/// What the parser says, in part, and what it means. The first that fits counts.
const MEANINGS: &[(&str, &str)] = &[
    ("duplicate", "ключ повторяется"),
    ("tab", "отступ сделан табуляцией, а нужны пробелы"),
    ("mapping values are not allowed", "лишнее двоеточие или неверный отступ"),
    ("unclosed", "не закрыта кавычка или скобка"),
    (
        "escape",
        "неверный знак после \\ в кавычках: возьмите текст в одинарные кавычки",
    ),
    ("quoted scalar", "ошибка в тексте в кавычках"),
    ("',' or ']'", "не закрыта квадратная скобка или пропущена запятая"),
    ("',' or '}'", "не закрыта фигурная скобка или пропущена запятая"),
    ("while parsing a flow", "не закрыта скобка или пропущена запятая"),
    ("expected ':'", "после ключа нет двоеточия"),
    ("block mapping", "строка не на своём месте: неверный отступ"),
    ("block collection", "строка не на своём месте: неверный отступ"),
    ("indent", "неверный отступ"),
    (
        "cannot start any token",
        "значение начинается со служебного знака: возьмите его в кавычки",
    ),
    ("unknown anchor", "знак * в начале значения: возьмите его в кавычки"),
    ("node content", "нет значения: лишний знак, или не закрыта скобка"),
    ("eof", "файл обрывается: не закрыта кавычка или скобка"),
    ("budget", "файл слишком велик или слишком глубоко вложен"),
];

impl NotYaml {
    /// What is wrong, in Russian; the parser's own words follow when their meaning is not known.
    pub(super) fn why_ru(&self) -> String {
        let said = self.why.to_lowercase();
        match MEANINGS.iter().find(|(part, _)| said.contains(part)) {
            Some((_, meaning)) => (*meaning).to_owned(),
            None => format!("нарушена запись (ответ разборщика: {})", self.why),
        }
    }
}

/// Parses one file.
///
/// # Errors
/// [`NotYaml`] for broken syntax, a key given twice, or a file beyond the limits of the parser.
pub(super) fn parse(text: &str) -> Result<Node, NotYaml> {
    // Ten thousand rules with their tests stay far below these limits; a runaway file does not.
    let options = serde_saphyr::options! {
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_events: 8_000_000,
            max_nodes: 4_000_000,
            max_total_scalar_bytes: 64 * 1024 * 1024,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| NotYaml {
        line: error
            .location()
            .and_then(|at| u32::try_from(at.line()).ok())
            .unwrap_or(0),
        why: error.without_snippet().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_knows_its_line() {
        let node = parse("version: 1\nclassify:\n  - id: snow\n    when:\n      text: [снег, 5]\n").expect("parses");
        let Value::Map(top) = &node.value else { panic!("a map") };
        assert_eq!(
            (top[0].key.as_str(), top[0].line, &top[0].node.value),
            ("version", 1, &Value::Integer(1))
        );
        let Value::List(rules) = &top[1].node.value else {
            panic!("a list")
        };
        let Value::Map(rule) = &rules[0].value else {
            panic!("a map")
        };
        assert_eq!((rule[1].key.as_str(), rule[1].line), ("when", 4));
        let Value::Map(when) = &rule[1].node.value else {
            panic!("a map")
        };
        assert_eq!(when[0].node.line, 5);
        let Value::List(words) = &when[0].node.value else {
            panic!("a list")
        };
        assert_eq!(words[0].value, Value::Text("снег".into()));
    }

    #[test]
    fn broken_syntax_and_repeated_keys_name_the_line() {
        assert_eq!(parse("a: 1\nb: [1, 2\nc: 3\n").expect_err("broken").line.min(3), 3);
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").expect_err("twice").line, 3);
    }

    #[test]
    fn codes_with_a_leading_zero_stay_text() {
        let node = parse("oktmo: 01701000\n").expect("parses");
        let Value::Map(top) = &node.value else { panic!("a map") };
        assert_eq!(top[0].node.value, Value::Text("01701000".into()));
    }
}
