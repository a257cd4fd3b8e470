//! The tree: keys and values, each with its line.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use crate::Scalar;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line of the file, from 1; a mapping below a key stands where its key does. What a caller puts into the tree has a
    /// mark of its own, from [`Node::OUTSIDE`] on.
    pub line: u32,
    /// What stands there.
    pub value: Value,
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Where the key stands; see [`Node::line`].
    pub line: u32,
    /// The value.
    pub node: Node,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A key. The few different ones of a file are kept once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Node {
    /// The first mark that is no line of a file.
    pub const OUTSIDE: u32 = u32::MAX / 2;

    /// Nothing, as it stands after a key without a value.
    pub fn nothing(line: u32) -> Self {
        Self {
            line,
            value: Value::Scalar(Scalar::plain("")),
        }
    }

    /// The value, when it is a single one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The entry of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == *key),
            _ => None,
        }
    }

    /// Puts a value in place by its path, over what is there.
    pub fn put(&mut self, path: &[String], node: Self) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        let at = match entries.iter().position(|entry| entry.key == **key) {
            Some(at) => at,
            None => {
                entries.push(Entry {
                    key: Key::new(key),
                    line: node.line,
                    node: Self::nothing(node.line),
                });
                entries.len() - 1
            }
        };
        entries[at].node.put(rest, node);
    }

    /// The first value or key with a NUL character in it, by its path and line: no path, name or address may hold one, and
    /// the system would say so in words that name no setting.
    pub fn nul(&self) -> Option<(String, u32)> {
        fn below(key: String, node: &Node) -> Option<(String, u32)> {
            let (path, line) = node.nul()?;
            let dot = if path.is_empty() || path.starts_with('[') {
                ""
            } else {
                "."
            };
            Some((format!("{key}{dot}{path}"), line))
        }
        match &self.value {
            Value::Scalar(scalar) => scalar.text().contains('\0').then(|| (String::new(), self.line)),
            Value::List(list) => (0..).zip(list).find_map(|(at, node)| below(format!("[{at}]"), node)),
            Value::Map(entries) => entries.iter().find_map(|entry| match entry.key.contains('\0') {
                true => Some((entry.key.replace('\0', "\\0"), entry.line)),
                false => below(entry.key.to_string(), &entry.node),
            }),
        }
    }

    /// Line of the key at the end of a path, or of the nearest key above it that is there. Places in lists are numbers,
    /// in brackets or without.
    pub fn line_of(&self, path: &[&str]) -> u32 {
        let (mut node, mut line) = (self, self.line);
        for key in path {
            let number = key.trim_matches(['[', ']']).parse::<usize>();
            node = match (&node.value, number) {
                (Value::List(list), Ok(at)) if at < list.len() => {
                    line = list[at].line;
                    &list[at]
                }
                _ => match node.get(key) {
                    Some(entry) => {
                        line = entry.line;
                        &entry.node
                    }
                    None => break,
                },
            };
        }
        line
    }
}

impl Value {
    /// The nodes of a sequence.
    pub fn as_list(&self) -> Option<&[Node]> {
        match self {
            Self::List(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether nothing stands here.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.is_null())
    }

    /// What it is, in Russian, for messages.
    pub fn kind_ru(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) => scalar.kind_ru(),
            Self::List(_) => "список",
            Self::Map(_) => "набор «ключ: значение»",
        }
    }
}

impl Key {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
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

impl PartialEq<&str> for Key {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<Key> for &str {
    fn eq(&self, other: &Key) -> bool {
        **self == *other.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
