//! Small helpers over the XML reader.

use std::io::BufRead;

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

use crate::files::problem::FileProblem;

/// A reader set up for the parts of a workbook.
pub fn reader<R: BufRead>(source: R) -> Reader<R> {
    let mut reader = Reader::from_reader(source);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.check_comments = false;
    config.expand_empty_elements = true;
    reader
}

/// Anything the XML or the container below it complains of.
pub fn damaged(error: impl std::fmt::Display) -> FileProblem {
    // Errors of the XML reader may quote the file; the kind of damage is all a person needs.
    let text = error.to_string();
    let short: String = text.chars().filter(|c| c.is_ascii()).take(120).collect();
    FileProblem::Damaged(short)
}

/// Value of an attribute by its local name.
pub fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    element.attributes().with_checks(false).flatten().find_map(|attribute| {
        let local = attribute.key.local_name();
        if local.as_ref() != name {
            return None;
        }
        attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .ok()
            .map(std::borrow::Cow::into_owned)
    })
}

/// Appends an entity such as `&amp;` or `&#10;`.
pub fn push_entity(entity: &BytesRef<'_>, out: &mut String) {
    let name: &str = entity;
    match name {
        "amp" => out.push('&'),
        "lt" => out.push('<'),
        "gt" => out.push('>'),
        "quot" => out.push('"'),
        "apos" => out.push('\''),
        _ => match entity.resolve_char_ref() {
            Ok(Some(decoded)) => out.push(decoded),
            _ => {
                out.push('&');
                out.push_str(name);
                out.push(';');
            }
        },
    }
}

/// Appends the text of a rich or plain string (`<si>` or `<is>`) whose start was just read; reads up to its end.
/// Phonetic hints (`<rPh>`) are left out.
pub fn push_string<R: BufRead>(
    reader: &mut Reader<R>,
    buffer: &mut Vec<u8>,
    close: &str,
    out: &mut String,
) -> Result<(), FileProblem> {
    let from = out.len();
    let (mut in_text, mut phonetic) = (false, false);
    loop {
        buffer.clear();
        match reader.read_event_into(buffer).map_err(damaged)? {
            Event::Start(element) => match element.local_name().as_ref() {
                "t" => in_text = true,
                "rPh" => phonetic = true,
                _ => {}
            },
            Event::End(element) => match element.local_name().as_ref() {
                "t" => in_text = false,
                "rPh" => phonetic = false,
                name if name == close => break,
                _ => {}
            },
            Event::Text(text) if in_text && !phonetic => out.push_str(&text.xml10_content()),
            Event::CData(text) if in_text && !phonetic => out.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) if in_text && !phonetic => push_entity(&entity, out),
            Event::Eof => return Err(damaged("a part ends inside a string")),
            _ => {}
        }
    }
    unescape_control_characters(out, from);
    Ok(())
}

/// Spreadsheets write control characters as `_x000D_`, and a literal `_x000D_` as `_x005F_x000D_`.
pub fn unescape_control_characters(out: &mut String, from: usize) {
    if !out[from..].contains("_x") {
        return;
    }
    let source = out.split_off(from);
    let mut rest = source.as_str();
    while let Some(at) = rest.find("_x") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let code = rest
            .get(2..6)
            .filter(|_| rest.as_bytes().get(6) == Some(&b'_'))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        match code {
            Some(decoded) => {
                out.push(decoded);
                rest = &rest[7..];
            }
            None => {
                out.push_str("_x");
                rest = &rest[2..];
            }
        }
    }
    out.push_str(rest);
}
