//! Reads the YAML tree with Russian errors, going on after each.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::model::Origin;
use crate::language::error::RuleError;
use crate::language::keys::Key;
use priem_yaml::nearest;
use priem_yaml::{Entry, Node, Scalar, Value};

/// A text and the line it stands on.
pub(crate) type Lined = (String, u32);

/// One file being read, and what was found wrong in it.
pub(crate) struct Reader<'a> {
    pub(crate) file: Arc<PathBuf>,
    lines: Vec<&'a str>,
    pub(crate) errors: Vec<RuleError>,
}

impl<'a> Reader<'a> {
    /// Starts a file.
    pub(crate) fn new(file: PathBuf, text: &'a str) -> Self {
        Self {
            file: Arc::new(file),
            lines: text.lines().collect(),
            errors: Vec::new(),
        }
    }

    /// Notes a finding.
    pub(crate) fn error(&mut self, line: u32, problem: impl Into<String>, cure: impl Into<String>) {
        let quote = (line as usize)
            .checked_sub(1)
            .and_then(|at| self.lines.get(at))
            .map(|text| text.trim_end().chars().take(120).collect())
            .unwrap_or_default();
        self.errors.push(RuleError {
            file: self.file.as_ref().clone(),
            line,
            quote,
            problem: problem.into(),
            cure: cure.into(),
            environment: false,
        });
    }

    /// The place of a line.
    pub(crate) fn origin(&self, line: u32) -> Origin {
        Origin {
            file: Arc::clone(&self.file),
            line,
        }
    }

    /// Entries of a mapping. `what` names it in messages: «в условии when».
    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            other => {
                let kind = other.kind_ru();
                self.error(
                    node.line,
                    format!("{what}: ожидается набор «ключ: значение», а здесь {kind}"),
                    "напишите строки вида «ключ: значение» с отступом",
                );
                &[]
            }
        }
    }

    /// Entries of a mapping whose keys are all known; the others are reported and left out.
    pub(crate) fn known<'n>(&mut self, node: &'n Node, what: &str, keys: &[Key]) -> Vec<&'n Entry> {
        let entries = self.map(node, what);
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if keys.iter().any(|(key, _)| *key == entry.key) {
                kept.push(entry);
            } else {
                self.unknown_key(entry, what, keys.iter().map(|(key, _)| *key));
            }
        }
        kept
    }

    /// Reports a key that is not in the language.
    pub(crate) fn unknown_key<'k>(&mut self, entry: &Entry, what: &str, known: impl Iterator<Item = &'k str> + Clone) {
        let cure = match nearest(&entry.key, known.clone()) {
            Some(name) => format!("возможно, вы имели в виду «{name}»"),
            None => format!("допустимые ключи: {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.error(entry.line, format!("{what}: неизвестный ключ «{}»", entry.key), cure);
    }

    /// Items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(nodes) => nodes,
            nothing if nothing.is_nothing() => &[],
            other => {
                let kind = other.kind_ru();
                self.error(
                    node.line,
                    format!("{what}: ожидается список, а здесь {kind}"),
                    "начните каждую запись с «- »",
                );
                &[]
            }
        }
    }

    /// A text; numbers and yes/no are taken as they are written.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = match &node.value {
            Value::Scalar(scalar) if !scalar.is_null() => scalar.text().trim().to_owned(),
            other => {
                let kind = other.kind_ru();
                self.error(
                    node.line,
                    format!("{what}: ожидается текст, а здесь {kind}"),
                    "напишите текст; если в нём есть двоеточие или решётка, возьмите его в кавычки",
                );
                return None;
            }
        };
        if text.is_empty() {
            self.error(
                node.line,
                format!("{what}: пустой текст"),
                "напишите значение или уберите строку",
            );
            return None;
        }
        Some(text)
    }

    /// One text or a list of texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<Lined> {
        match &node.value {
            Value::List(nodes) => {
                if nodes.is_empty() {
                    self.error(
                        node.line,
                        format!("{what}: пустой список"),
                        "добавьте значение или уберите строку",
                    );
                }
                nodes
                    .iter()
                    .filter_map(|item| Some((self.text(item, what)?, item.line)))
                    .collect()
            }
            _ => self
                .text(node, what)
                .map(|text| (text, node.line))
                .into_iter()
                .collect(),
        }
    }

    /// Yes or no.
    pub(crate) fn yes_no(&mut self, node: &Node, what: &str) -> Option<bool> {
        let word = node.scalar().map(|scalar| scalar.text().to_lowercase());
        match word.as_deref() {
            Some("да" | "yes" | "true") => Some(true),
            Some("нет" | "no" | "false") => Some(false),
            _ => {
                let kind = node.value.kind_ru();
                self.error(
                    node.line,
                    format!("{what}: ожидается true или false, а здесь {kind}"),
                    "напишите true или false",
                );
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(crate) fn integer(&mut self, node: &Node, what: &str, from: i64, to: i64) -> Option<i64> {
        match node.scalar().and_then(Scalar::integer) {
            Some(number) if (from..=to).contains(&number) => Some(number),
            _ => {
                self.error(
                    node.line,
                    format!("{what}: ожидается целое число от {from} до {to}"),
                    "напишите число цифрами, без кавычек",
                );
                None
            }
        }
    }

    /// One of a closed list of words.
    pub(crate) fn word(&mut self, value: &str, line: u32, what: &str, known: &[&str]) -> bool {
        if known.contains(&value) {
            return true;
        }
        let cure = match nearest(value, known.iter().copied()) {
            Some(name) => format!("возможно, вы имели в виду «{name}»"),
            None => format!("допустимо: {}", known.join(", ")),
        };
        self.error(line, format!("{what}: неизвестное значение «{value}»"), cure);
        false
    }
}
