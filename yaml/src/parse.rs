//! From the events of the parser to the tree.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::{
    NotYaml, Problem, Scalar,
    tree::{Entry, Key, Node, Value},
};

/// Most nodes of one file, repeated ones counted as often as they are repeated: ten thousand rules with their tests
/// stay far below, a runaway file does not.
const MOST_NODES: usize = 4_000_000;
/// Mappings of more keys look repeated ones up instead of walking over all.
const SMALL_MAP: usize = 16;

/// Reads a file. An empty one is nothing.
///
/// # Errors
/// [`NotYaml`] with the line.
pub fn parse(text: &str) -> Result<Node, NotYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false }),
        anchors: HashMap::new(),
        keys: HashSet::new(),
        nodes: 0,
    };
    builder.document()
}

/// A node that the file repeats by `*name`.
struct Anchor {
    node: Node,
    /// How many nodes it has.
    size: usize,
}

struct Builder<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// By the parser's number.
    anchors: HashMap<usize, Anchor>,
    /// Every different key so far.
    keys: HashSet<Key>,
    /// Nodes built so far.
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), NotYaml> {
        match self.events.next_event() {
            Some(event) => event.map_err(|error| against_grammar(&error)),
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
                _ => return Err(wrong(&span, Problem::SecondDocument)),
            }
        }
        Ok(root.unwrap_or_else(|| Node::nothing(1)))
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, NotYaml> {
        let before = self.nodes;
        self.count(1, span)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let scalar = match style == ScalarStyle::Plain && !is_text {
                    true => Scalar::plain(text.into_owned()),
                    false => Scalar::quoted(text.into_owned()),
                };
                (Value::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map()?, anchor),
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor) else {
                    return Err(wrong(span, Problem::UnknownAnchor));
                };
                let (node, size) = (known.node.clone(), known.size);
                self.count(size, span)?;
                return Ok(node);
            }
            _ => return Err(wrong(span, Problem::NoValue)),
        };
        let node = Node {
            line: line_of(span),
            value,
        };
        if anchor != 0 {
            let known = Anchor {
                node: node.clone(),
                size: self.nodes - before,
            };
            self.anchors.insert(anchor, known);
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, span: &Span) -> Result<(), NotYaml> {
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(wrong(span, Problem::TooLarge));
        }
        Ok(())
    }

    fn key(&mut self, text: &str) -> Key {
        if let Some(known) = self.keys.get(text) {
            return known.clone();
        }
        let key = Key::new(text);
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
        let (mut entries, mut taken_in) = (Entries::default(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            let (key, is_plain) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => (self.key(&text), style == ScalarStyle::Plain),
                _ => return Err(wrong(&span, Problem::KeyIsNoText)),
            };
            let is_merge = is_plain && key == "<<";
            if let Some(first) = entries.line_of(&key).filter(|_| !is_merge) {
                let key = key.to_string();
                return Err(wrong(&span, Problem::Twice { key, first }));
            }
            let (event, value_span) = self.next()?;
            let mut node = self.node(event, &value_span)?;
            if is_merge {
                taken_in.extend(merged(node, &span)?);
                continue;
            }
            let line = line_of(&span);
            if matches!(node.value, Value::Map(_)) {
                node.line = line;
            }
            entries.push(Entry { key, line, node });
        }
        for entry in taken_in {
            if entries.line_of(&entry.key).is_none() {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries.done()))
    }
}

/// The entries of a mapping that is being built.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    /// Where each key is, once there are many.
    index: HashMap<Key, usize>,
}

impl Entries {
    /// Line of a key that is there already.
    fn line_of(&self, key: &Key) -> Option<u32> {
        let at = match self.list.len() <= SMALL_MAP {
            true => self.list.iter().position(|entry| entry.key == *key)?,
            false => *self.index.get(key)?,
        };
        Some(self.list[at].line)
    }

    fn push(&mut self, entry: Entry) {
        if self.list.len() == SMALL_MAP {
            let known = self.list.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at));
            self.index = known.collect();
        }
        if self.list.len() >= SMALL_MAP {
            self.index.insert(entry.key.clone(), self.list.len());
        }
        self.list.push(entry);
    }

    fn done(mut self) -> Vec<Entry> {
        self.list.shrink_to_fit();
        self.list
    }
}

/// The entries that `<<` takes in, the winning ones first.
fn merged(node: Node, span: &Span) -> Result<Vec<Entry>, NotYaml> {
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
        _ => Err(wrong(span, Problem::MergesNoMapping)),
    }
}

fn line_of(span: &Span) -> u32 {
    u32::try_from(span.start.line())
        .unwrap_or(u32::MAX)
        .min(Node::OUTSIDE - 1)
}

fn against_grammar(error: &ScanError) -> NotYaml {
    NotYaml {
        line: u32::try_from(error.marker().line()).unwrap_or(0),
        problem: Problem::Grammar(error.info()),
    }
}

fn wrong(span: &Span, problem: Problem) -> NotYaml {
    NotYaml {
        line: line_of(span),
        problem,
    }
}

#[cfg(test)]
mod tests;
