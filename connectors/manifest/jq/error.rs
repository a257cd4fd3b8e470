//! What is wrong with a filter, or with a record under it: without a single value of the record.

use std::{collections::BTreeSet, ops::Range};

use jaq_json::Val;

use super::{
    meter::{self, Over},
    prelude, stdlib,
};

/// Longest part of a thrown text that is shown, characters.
const LONGEST_SHOWN: usize = 120;

/// A filter that is wrong, or that failed over a record. Its text quotes the manifest only, never the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct FilterError {
    /// Dotted key of the manifest the filter comes from.
    pub what: String,
    /// What is wrong and, for a wrong filter, the cure.
    pub problem: String,
    /// Line inside the filter's source, from 1; 0 when the filter itself is well.
    pub line: usize,
}

impl FilterError {
    pub(super) fn new(what: &str, problem: Problem) -> Self {
        let line = match &problem {
            Problem::Syntax { line, .. } | Problem::Undefined { line, .. } => *line,
            _ => 0,
        };
        Self {
            what: what.to_owned(),
            problem: problem.to_string(),
            line,
        }
    }
}

/// The kinds of trouble, with their words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the filter is empty; write `.` for the value itself")]
    Empty,
    #[error("the filter is longer than {limit} bytes; move values into `tables`")]
    TooLong { limit: usize },
    #[error("the filter is nested deeper than {limit} terms; split it with `def`")]
    TooDeep { limit: usize },
    #[error("line {line}, column {column}: expected {expected}, found {found}")]
    Syntax {
        line: usize,
        column: usize,
        expected: String,
        found: String,
    },
    #[error("line {line}: unknown {kind} `{name}`{cure}")]
    Undefined {
        line: usize,
        kind: &'static str,
        name: String,
        cure: String,
    },
    #[error("gave nothing, one value is needed")]
    Nothing,
    #[error("gave several values, one is needed")]
    Several,
    #[error("gave more than {limit} values")]
    TooManyOutputs { limit: usize },
    #[error("the record is too large for a filter")]
    InputTooLarge,
    #[error("the result is nested deeper than {limit} levels")]
    ResultTooDeep { limit: usize },
    #[error("the result has a key that is no text")]
    KeyNoText,
    #[error("stopped after too many steps: an endless loop, or far too much work for this record")]
    OutOfSteps,
    #[error("stopped because it called itself too deeply")]
    OutOfStack,
    #[error("stopped before it took more than {limit} bytes of memory over this record")]
    OutOfMemory { limit: u64 },
    #[error("the system gives no thread for a filter with a loop")]
    NoThread,
    #[error("the filter broke down over this record")]
    Panicked,
    #[error("{0}")]
    Thrown(String),
}

impl Problem {
    /// Why the run that goes on is over.
    pub(super) fn over() -> Self {
        match meter::over() {
            Some(Over::Memory(limit)) => Self::OutOfMemory { limit },
            Some(Over::Stack) => Self::OutOfStack,
            Some(Over::Steps) | None => Self::OutOfSteps,
        }
    }

    /// A place in the source that does not read as jq.
    pub(super) fn syntax(source: &str, found: &str, expected: &str) -> Self {
        let (line, column) = place(source, found);
        let word: String = found.chars().take_while(|c| *c != '\n').take(20).collect();
        Self::Syntax {
            line,
            column,
            expected: expected.to_owned(),
            found: if word.is_empty() {
                "the end".into()
            } else {
                format!("`{word}`")
            },
        }
    }

    /// A name nobody defined.
    pub(super) fn undefined(
        source: &str,
        name: &str,
        kind: &'static str,
        arity: Option<usize>,
        known: &[(String, usize)],
    ) -> Self {
        let same: Vec<usize> = known
            .iter()
            .filter(|(k, _)| k == name)
            .map(|(_, arity)| *arity)
            .collect();
        let cure = match (arity, same.is_empty()) {
            (Some(arity), false) => {
                let known: Vec<String> = same.iter().map(usize::to_string).collect();
                format!(" with {arity} arguments; it takes {}", known.join(" or "))
            }
            (Some(_), true) if prelude::IMPURE.contains(&name) => {
                "; filters that look at the clock, the environment or the input stream do not exist here".into()
            }
            (Some(_), true) => priem_yaml::nearest(name, known.iter().map(|(known, _)| known.as_str())).map_or_else(
                || "; docs/manifest.md lists the helpers".into(),
                |near| format!(", did you mean `{near}`?"),
            ),
            (None, _) => "; known: `$tables` and what the filter binds itself".into(),
        };
        Self::Undefined {
            line: place(source, name).0,
            kind,
            name: name.to_owned(),
            cure,
        }
    }
}

/// Line and column, from 1, of a part of the source; the end when it is none of it.
fn place(source: &str, part: &str) -> (usize, usize) {
    let whole: Range<usize> = source.as_ptr().addr()..source.as_ptr().addr() + source.len();
    let at = part.as_ptr().addr();
    let at = if whole.contains(&at) {
        at - whole.start
    } else {
        source.len()
    };
    let before = source.get(..at).unwrap_or(source);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// Texts that stand literally in a filter: the only ones an error may show.
#[derive(Debug, Clone, Default)]
pub(super) struct Literals(BTreeSet<String>);

impl Literals {
    /// Notes a text of the source; the pieces before and between interpolations count each for itself.
    pub(super) fn add(&mut self, literal: &str) {
        if !literal.trim().is_empty() {
            self.0.insert(literal.to_owned());
        }
    }

    /// What a thrown value says, as far as it may be shown.
    pub(super) fn thrown(&self, thrown: &Val) -> Problem {
        let text = match thrown {
            Val::TStr(text) => String::from_utf8_lossy(text),
            _ => return Problem::Thrown("the filter threw a value".into()),
        };
        if let Some(known) = stdlib::MESSAGES.iter().find(|message| **message == text) {
            return Problem::Thrown((*known).to_owned());
        }
        if let Some(attempted) = attempted(&text) {
            return Problem::Thrown(attempted);
        }
        let shown = self
            .0
            .iter()
            .filter(|literal| text.starts_with(literal.as_str()))
            .max_by_key(|literal| literal.len());
        Problem::Thrown(match shown {
            Some(literal) => {
                let words: String = literal.chars().take(LONGEST_SHOWN).collect();
                let more = if literal.len() < text.len() { "…" } else { "" };
                format!("{}{more}", words.trim_end())
            }
            None => "the filter threw an error (its text is not shown: it may hold words of a citizen)".into(),
        })
    }
}

/// What the language itself was doing when it failed, without the values.
fn attempted(text: &str) -> Option<String> {
    const KINDS: [&str; 7] = [
        "integer",
        "number",
        "string",
        "array",
        "object",
        "iterable (array or object)",
        "rangeable (array or string)",
    ];
    if let Some(rest) = text.strip_prefix("cannot use ") {
        let kind = KINDS.iter().find(|kind| rest.ends_with(&format!(" as {kind}")));
        return Some(match kind {
            Some(kind) => format!("a value is no {kind}, but is used as one"),
            None => "a value is used as something it is not".into(),
        });
    }
    if text.starts_with("cannot index ") {
        return Some("a value without such keys is asked for one (add `?` to let it pass)".into());
    }
    if text.starts_with("cannot calculate ") {
        return Some("an operator was given values that do not go together".into());
    }
    if text.starts_with("cannot parse ") {
        return Some("a text does not read as what it is taken for".into());
    }
    text.starts_with("invalid path expression")
        .then(|| "what is changed with `|=` or `=` is not a path".into())
}
