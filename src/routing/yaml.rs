//! A YAML file as a tree in which every key and value knows its line.
//!
//! Serde could fill Rust types directly, but then its English messages would be what a rule author sees, and ten
//! thousand rules would take several times as long. The tree is built from the parser's events and read by
//! [`super::reader`], which speaks Russian and goes on after an error.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

/// Most nodes of one file, repeated ones counted as often as they are repeated: ten thousand rules with their tests
/// stay far below, a runaway file does not.
const MOST_NODES: usize = 4_000_000;
/// Maps of more keys look repeated ones up instead of walking over all.
const SMALL_MAP: usize = 16;

/// A value and the line it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) value: Value,
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) line: u32,
    pub(super) node: Node,
}

/// A key. The few different ones of a file are kept once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(Arc<str>);

impl Key {
    /// As written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<Key> for &str {
    fn eq(&self, other: &Key) -> bool {
        **self == *other.0
    }
}

impl PartialEq<&str> for Key {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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

    /// The value of a scalar without quotes. Codes with a leading zero stay text, and so does «да»: a rule file has
    /// no numbers but whole and plain decimal ones.
    fn plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Nothing,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let has_leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && !has_leading_zero;
        if is_number {
            if let Ok(number) = text.parse() {
                return Self::Integer(number);
            }
            if let (true, Ok(number)) = (digits.contains('.'), text.parse()) {
                return Self::Float(number);
            }
        }
        Self::Text(text.to_owned())
    }
}

fn line_of(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

/// A file that is not YAML at all.
#[derive(Debug)]
pub(super) struct NotYaml {
    pub(super) line: u32,
    pub(super) why: String,
}

impl From<ScanError> for NotYaml {
    fn from(error: ScanError) -> Self {
        Self {
            line: u32::try_from(error.marker().line()).unwrap_or(0),
            why: error.info(),
        }
    }
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
    ("budget", "файл слишком велик или слишком часто повторяет себя"),
    (
        "several documents",
        "в файле несколько документов: оставьте один, уберите строку «---»",
    ),
    ("key is no text", "ключ — не текст: уберите скобки"),
    ("nesting", "скобки или отступы вложены слишком глубоко"),
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
/// [`NotYaml`] for broken syntax, a key given twice, or a file beyond the limits.
pub(super) fn parse(text: &str) -> Result<Node, NotYaml> {
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false }),
        anchors: Vec::new(),
        keys: HashSet::new(),
        nodes: 0,
    };
    builder.document()
}

/// Builds the tree from the events of the parser.
struct Builder<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// Nodes that the file repeats by `*name`: number of the anchor, node, how many nodes it has.
    anchors: Vec<(usize, Node, usize)>,
    /// Every different key so far.
    keys: HashSet<Key>,
    /// Nodes built so far.
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), NotYaml> {
        match self.events.next_event() {
            Some(event) => Ok(event?),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, NotYaml> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, &span)?),
                _ => return Err(wrong(&span, "several documents")),
            }
        }
        Ok(root.unwrap_or(Node {
            line: 1,
            value: Value::Nothing,
        }))
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, NotYaml> {
        let before = self.nodes;
        self.count(1, span)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let value = if style == ScalarStyle::Plain && !is_text {
                    Value::plain(&text)
                } else {
                    Value::Text(text.into_owned())
                };
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map()?, anchor),
            Event::Alias(anchor) => {
                let Some(at) = self.anchors.iter().position(|(known, ..)| *known == anchor) else {
                    return Err(wrong(span, "unknown anchor"));
                };
                self.count(self.anchors[at].2, span)?;
                return Ok(self.anchors[at].1.clone());
            }
            _ => return Err(wrong(span, "node content")),
        };
        let node = Node {
            line: line_of(span),
            value,
        };
        if anchor != 0 {
            self.anchors.push((anchor, node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, span: &Span) -> Result<(), NotYaml> {
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(wrong(span, "budget"));
        }
        Ok(())
    }

    fn key(&mut self, text: &str) -> Key {
        if let Some(known) = self.keys.get(text) {
            return known.clone();
        }
        let key = Key(text.into());
        self.keys.insert(key.clone());
        key
    }

    fn list(&mut self) -> Result<Value, NotYaml> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                nodes.shrink_to_fit();
                return Ok(Value::List(nodes));
            }
            nodes.push(self.node(event, &span)?);
        }
    }

    fn map(&mut self) -> Result<Value, NotYaml> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys: HashSet<Key> = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    entries.shrink_to_fit();
                    return Ok(Value::Map(entries));
                }
                Event::Scalar(text, ..) => self.key(&text),
                _ => return Err(wrong(&span, "key is no text")),
            };
            if entries.len() == SMALL_MAP {
                keys = entries.iter().map(|entry| entry.key.clone()).collect();
            }
            let repeated = if entries.len() < SMALL_MAP {
                entries.iter().any(|entry| entry.key == key)
            } else {
                !keys.insert(key.clone())
            };
            if repeated {
                return Err(wrong(&span, "duplicate"));
            }
            let (event, value_span) = self.next()?;
            entries.push(Entry {
                key,
                line: line_of(&span),
                node: self.node(event, &value_span)?,
            });
        }
    }
}

fn wrong(span: &Span, why: &str) -> NotYaml {
    NotYaml {
        line: line_of(span),
        why: why.to_owned(),
    }
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
        let many: String = (0..40).map(|at| format!("k{at}: 1\n")).collect();
        assert!(parse(&many).is_ok());
        for twice in ["k3", "k17", "k39"] {
            assert_eq!(parse(&format!("{many}{twice}: 2\n")).expect_err("twice").line, 41);
        }
        assert!(parse("a: 1\n---\nb: 2\n").expect_err("two").why.contains("several"));
        assert!(parse("? [a]\n: 1\n").expect_err("a list as a key").why.contains("key"));
    }

    #[test]
    fn plain_values_are_read_as_rule_authors_mean_them() {
        let value = |text: &str| match parse(&format!("a: {text}\n")).expect("parses").value {
            Value::Map(mut top) => top.remove(0).node.value,
            other => panic!("{other:?}"),
        };
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            value("01701000"),
            text("01701000"),
            "codes with a leading zero stay text"
        );
        assert_eq!(value("\"57701\""), text("57701"));
        assert_eq!(value("!!str 57701"), text("57701"));
        assert_eq!(value("57701"), Value::Integer(57701));
        assert_eq!(value("-3"), Value::Integer(-3));
        assert_eq!(value("0"), Value::Integer(0));
        assert_eq!(value("1.5"), Value::Float(1.5));
        assert_eq!(value("1.2.3"), text("1.2.3"));
        assert_eq!(value("2026-01-15 10:00"), text("2026-01-15 10:00"));
        assert_eq!(value("true"), Value::Bool(true));
        assert_eq!(value("yes"), text("yes"));
        assert_eq!(value("~"), Value::Nothing);
        assert_eq!(value(""), Value::Nothing);
        assert_eq!(value("99999999999999999999999"), text("99999999999999999999999"));
    }

    #[test]
    fn a_repeated_part_is_copied_and_can_not_run_away() {
        let node = parse("a: &x [1, 2]\nb: *x\n").expect("parses");
        let Value::Map(top) = &node.value else { panic!("a map") };
        assert_eq!(top[0].node.value, top[1].node.value);
        let mut laughs = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        for at in 1..9 {
            let before = at - 1;
            let ten = vec![format!("*a{before}"); 10].join(", ");
            laughs.push_str(&format!("a{at}: &a{at} [{ten}]\n"));
        }
        assert_eq!(parse(&laughs).expect_err("refused").why, "budget");
    }
}
