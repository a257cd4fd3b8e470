//! Words: entities in UTF-16 code units, mentions, hidden links, rich messages flattened to plain text.
//!
//! Wrong offsets never panic: an entity that does not fit the text is skipped.

use priem_sdk::{message::Mention, unread, utf16};
use serde_json::Value;

use super::api::{Checklist, Entity, Message, Poll, Reply, RichMessage};

/// Nesting of rich text deeper than this is cut off; the parser refuses more than 128 levels anyway.
const MAX_DEPTH: usize = 100;

/// What the words of a message amount to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Plain text.
    pub text: String,
    /// People and pages named in it.
    pub mentions: Vec<Mention>,
    /// Addresses hidden behind words (`text_link`), in order, each once.
    pub links: Vec<String>,
}

/// Collects the words of a message: text, else caption, else rich blocks, else checklist, else poll.
pub(super) fn words_of(message: &Message) -> Words {
    if let Some(text) = &message.text {
        return marked(text.clone(), &message.entities);
    }
    if let Some(caption) = &message.caption {
        return marked(caption.clone(), &message.caption_entities);
    }
    if let Some(rich) = &message.rich_message {
        return flatten(rich);
    }
    Words {
        text: listed(message.checklist.as_ref(), message.poll.as_ref()),
        ..Words::default()
    }
}

/// The words of an answered message.
pub(super) fn words_of_answered(reply: &Reply) -> String {
    let plain = reply.text.as_ref().or(reply.caption.as_ref());
    plain.cloned().unwrap_or_else(|| match &reply.rich_message {
        Some(rich) => flatten(rich).text,
        None => listed(reply.checklist.as_ref(), reply.poll.as_ref()),
    })
}

/// The lines of a checklist or poll.
fn listed(checklist: Option<&Checklist>, poll: Option<&Poll>) -> String {
    let mut lines: Vec<&str> = Vec::new();
    if let Some(checklist) = checklist {
        lines.push(&checklist.title);
        lines.extend(checklist.tasks.iter().map(|task| task.text.as_str()));
    } else if let Some(poll) = poll {
        lines.extend([poll.question.as_str(), &poll.description]);
        lines.extend(poll.options.iter().map(|option| option.text.as_str()));
        lines.push(&poll.explanation);
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn marked(text: String, entities: &[Entity]) -> Words {
    let mut words = Words::default();
    for entity in entities {
        match entity.kind.as_str() {
            "mention" => {
                let shown = utf16::slice(&text, entity.offset, entity.length);
                if let Some((shown, name)) = shown.and_then(|shown| Some((shown, shown.strip_prefix('@')?))) {
                    words.mention(name, shown);
                }
            }
            "text_mention" => {
                if let (Some(user), Some(shown)) = (&entity.user, utf16::slice(&text, entity.offset, entity.length)) {
                    words.mention(&user.id.to_string(), shown);
                }
            }
            "text_link" => {
                if let Some(url) = &entity.url {
                    words.link(url);
                }
            }
            _ => {}
        }
    }
    words.text = text;
    words
}

impl Words {
    fn mention(&mut self, external_id: &str, text: &str) {
        if external_id.is_empty() {
            return;
        }
        let mention = Mention {
            external_id: external_id.to_owned(),
            text: text.to_owned(),
        };
        if !self.mentions.contains(&mention) {
            self.mentions.push(mention);
        }
    }

    fn link(&mut self, url: &str) {
        if !url.is_empty() && !self.links.iter().any(|known| known == url) {
            self.links.push(url.to_owned());
        }
    }
}

/// The words of a rich message, also of one of another shape than we know.
pub(super) fn flatten(rich: &RichMessage) -> Words {
    let mut words = flatten_blocks(&rich.blocks);
    if words.text.is_empty() {
        words.text = unread::words_in(&Value::Object(rich.others.clone()), &is_no_text).join("\n");
    }
    words
}

/// Names of files are nobody's words.
fn is_no_text(key: &str) -> bool {
    key == "file_name"
}

/// Flattens rich blocks: each block is a line, nested blocks follow each other, cells are joined by a bar.
fn flatten_blocks(blocks: &[Value]) -> Words {
    let mut words = Words::default();
    let mut lines = Vec::new();
    for block in blocks {
        flatten_block(block, &mut words, &mut lines, 0);
    }
    words.text = lines.join("\n");
    words
}

fn flatten_block(block: &Value, words: &mut Words, lines: &mut Vec<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let before = lines.len();
    for key in ["summary", "text", "expression"] {
        if let Some(rich) = block.get(key) {
            push_line(rich, words, lines, depth);
        }
    }
    for item in array(block, "items") {
        let label = item.get("label").and_then(Value::as_str).unwrap_or_default();
        let first = lines.len();
        for nested in array(item, "blocks") {
            flatten_block(nested, words, lines, depth + 1);
        }
        match lines.get_mut(first) {
            Some(line) if !label.is_empty() => *line = format!("{label} {line}"),
            _ => {}
        }
    }
    for row in array(block, "cells") {
        let cells: Vec<String> = row
            .as_array()
            .into_iter()
            .flatten()
            .map(|cell| {
                cell.get("text")
                    .map(|text| rich_line(text, words, depth))
                    .unwrap_or_default()
            })
            .collect();
        let line = cells.join(" | ");
        if cells.iter().any(|cell| !cell.is_empty()) {
            lines.push(line);
        }
    }
    for nested in array(block, "blocks") {
        flatten_block(nested, words, lines, depth + 1);
    }
    match block.get("caption") {
        Some(Value::Object(caption)) if !caption.contains_key("type") => {
            for key in ["text", "credit"] {
                if let Some(rich) = caption.get(key) {
                    push_line(rich, words, lines, depth);
                }
            }
        }
        Some(rich) => push_line(rich, words, lines, depth),
        None => {}
    }
    if let Some(credit) = block.get("credit") {
        push_line(credit, words, lines, depth);
    }
    if lines.len() == before {
        // A kind of block we don't know, or one without words.
        lines.extend(unread::words_in(block, &is_no_text));
    }
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn push_line(rich: &Value, words: &mut Words, lines: &mut Vec<String>, depth: usize) {
    let line = rich_line(rich, words, depth);
    if !line.is_empty() {
        lines.push(line);
    }
}

fn rich_line(rich: &Value, words: &mut Words, depth: usize) -> String {
    let mut line = String::new();
    flatten_rich(rich, words, &mut line, depth);
    line
}

/// Rich text is a string, a list of rich texts, or an object with a nested one.
fn flatten_rich(rich: &Value, words: &mut Words, line: &mut String, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match rich {
        Value::String(text) => line.push_str(text),
        Value::Array(parts) => parts.iter().for_each(|part| flatten_rich(part, words, line, depth + 1)),
        Value::Object(fields) => {
            let start = line.len();
            for key in ["text", "alternative_text", "expression"] {
                if let Some(nested) = fields.get(key) {
                    flatten_rich(nested, words, line, depth + 1);
                }
            }
            let shown = line[start..].to_owned();
            if let Some(id) = fields
                .get("user")
                .and_then(|user| user.get("id"))
                .and_then(Value::as_i64)
            {
                words.mention(&id.to_string(), &shown);
            } else if let Some(username) = fields.get("username").and_then(Value::as_str) {
                words.mention(username.trim_start_matches('@'), &shown);
            }
            if let Some(url) = fields.get("url").and_then(Value::as_str).filter(|url| *url != shown) {
                words.link(url);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rich_text_is_flattened_whatever_its_shape() {
        let words = flatten_blocks(&[
            json!({"type": "heading", "text": "Двор", "size": 1}),
            json!({"type": "paragraph", "text": ["Фонарь ", {"type": "bold", "text": ["не ", {"type": "italic", "text": "горит"}]}]}),
            json!({"type": "list", "items": [
                {"label": "1.", "blocks": [{"type": "paragraph", "text": "улица Тополиная"}]},
                {"label": "2.", "blocks": [{"type": "paragraph", "text": {"type": "url", "text": "карта", "url": "https://example.ru/k"}}]}
            ]}),
            json!({"type": "table", "cells": [[{"text": "дом"}, {"text": "5"}], [{}, {}]]}),
            json!({"type": "photo", "photo": [], "caption": {"text": "вид", "credit": "сосед"}}),
            json!({"type": "paragraph", "text": {"type": "text_mention", "text": "Пётр", "user": {"id": 77}}}),
            json!({"type": "quite_new", "text": 5}),
            json!(17),
        ]);
        assert_eq!(
            words.text,
            "Двор\nФонарь не горит\n1. улица Тополиная\n2. карта\nдом | 5\nвид\nсосед\nПётр"
        );
        assert_eq!(words.links, ["https://example.ru/k"]);
        assert_eq!(words.mentions[0].external_id, "77");
    }
}
