//! A settings file as a tree: every value knows where it came from, and a scalar keeps its words.
//!
//! What a scalar means is decided by the setting that reads it (`007` is a name for a file, `no` is a column or "off"),
//! so nothing is decided here. `<<` takes in the keys of another mapping, as YAML 1.1 has it; a key of the mapping's own
//! wins.

use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// Most nodes of one file, repeated ones counted as often as they are repeated.
const MOST_NODES: usize = 200_000;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Line of the file, from 1.
    Line(usize),
    /// An environment variable.
    Variable(Rc<str>),
}

/// A value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar as it was written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Without quotes: it may mean a number, a yes or nothing.
    pub(super) plain: bool,
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) origin: Origin,
    /// A mapping stands where its key does: what is missing in it is told there.
    pub(super) node: Node,
}

/// Why a text is not a settings file.
#[derive(Debug)]
pub(super) struct NotYaml {
    pub(super) line: usize,
    pub(super) problem: String,
}

impl Scalar {
    /// Whether it is YAML's null.
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    fn null(origin: Origin) -> Self {
        let scalar = Scalar {
            text: String::new(),
            plain: true,
        };
        Self {
            origin,
            value: Value::Scalar(scalar),
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Puts a value in place by its path, over what is there.
    pub(super) fn put(&mut self, path: &[String], node: Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        let at = match entries.iter().position(|entry| entry.key == *key) {
            Some(at) => at,
            None => {
                entries.push(Entry {
                    key: key.clone(),
                    origin: node.origin.clone(),
                    node: Node::null(node.origin.clone()),
                });
                entries.len() - 1
            }
        };
        entries[at].node.put(rest, node);
    }

    /// Where the key at the end of a path stands, or the nearest key above it that is there.
    pub(super) fn origin_of(&self, path: &[&str]) -> &Origin {
        let (mut node, mut origin) = (self, &self.origin);
        for key in path {
            // Lists are numbered, in brackets or without.
            let number = key.trim_matches(['[', ']']).parse::<usize>();
            node = match (&node.value, number) {
                (Value::List(list), Ok(at)) if at < list.len() => {
                    origin = &list[at].origin;
                    &list[at]
                }
                _ => match node.get(key) {
                    Some(entry) => {
                        origin = &entry.origin;
                        &entry.node
                    }
                    None => break,
                },
            };
        }
        origin
    }
}

/// Reads a file. An empty one is an empty mapping.
///
/// # Errors
/// [`NotYaml`] with the line.
pub(super) fn parse(text: &str) -> Result<Node, NotYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false }),
        anchors: Vec::new(),
        nodes: 0,
    };
    builder.document()
}

struct Builder<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// What `*name` repeats: number of the anchor, node, how many nodes it has.
    anchors: Vec<(usize, Node, usize)>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), NotYaml> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(NotYaml {
                line: error.marker().line(),
                problem: error.info(),
            }),
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
                _ => {
                    return Err(wrong(
                        &span,
                        "a second document begins here; keep one and drop the line `---`",
                    ));
                }
            }
        }
        Ok(root.unwrap_or_else(|| Node::null(Origin::Line(1))))
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, NotYaml> {
        let before = self.nodes;
        self.count(1, span)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain && !is_text,
                };
                (Value::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map()?, anchor),
            Event::Alias(anchor) => {
                let Some(at) = self.anchors.iter().position(|(known, ..)| *known == anchor) else {
                    return Err(wrong(
                        span,
                        "`*` names an anchor that is not above; quote the value if it is text",
                    ));
                };
                self.count(self.anchors[at].2, span)?;
                return Ok(self.anchors[at].1.clone());
            }
            _ => return Err(wrong(span, "a value is missing")),
        };
        let node = Node {
            origin: Origin::Line(line_of(span)),
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
            return Err(wrong(span, "the file is too large, or repeats itself too often"));
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Value, NotYaml> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(nodes));
            }
            nodes.push(self.node(event, &span)?);
        }
    }

    fn map(&mut self) -> Result<Value, NotYaml> {
        let (mut entries, mut taken_in) = (Vec::<Entry>::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            let (key, plain) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => (text.into_owned(), style == ScalarStyle::Plain),
                _ => return Err(wrong(&span, "a key is no text; drop the brackets or quote it")),
            };
            let (event, value_span) = self.next()?;
            let mut node = self.node(event, &value_span)?;
            if matches!(node.value, Value::Map(_)) {
                node.origin = Origin::Line(line_of(&span));
            }
            if key == "<<" && plain {
                taken_in.extend(self.merged(node, &span)?);
                continue;
            }
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let problem = match &first.origin {
                    Origin::Line(line) => format!("`{key}` stands twice, first in line {line}"),
                    Origin::Variable(_) => format!("`{key}` stands twice"),
                };
                return Err(wrong(&span, problem));
            }
            entries.push(Entry {
                key,
                origin: Origin::Line(line_of(&span)),
                node,
            });
        }
        for entry in taken_in {
            if entries.iter().all(|own| own.key != entry.key) {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries))
    }

    /// The entries that `<<` takes in, the winning ones first.
    fn merged(&self, node: Node, span: &Span) -> Result<Vec<Entry>, NotYaml> {
        let several = match node.value {
            Value::Map(entries) => return Ok(entries),
            Value::List(several) => several,
            Value::Scalar(_) => Vec::new(),
        };
        let maps = several.into_iter().map(|one| match one.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        });
        let maps: Option<Vec<Vec<Entry>>> = maps.collect();
        match maps {
            Some(maps) if !maps.is_empty() => Ok(maps.concat()),
            _ => Err(wrong(
                span,
                "`<<` takes in mappings only: write `<<: *name`, or quote it if it is a key",
            )),
        }
    }
}

fn line_of(span: &Span) -> usize {
    span.start.line()
}

fn wrong(span: &Span, problem: impl Into<String>) -> NotYaml {
    NotYaml {
        line: line_of(span),
        problem: problem.into(),
    }
}
