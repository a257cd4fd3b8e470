//! Which cell styles show a number as a date or a duration.

use std::{collections::HashMap, io::BufRead};

use quick_xml::events::Event;

use crate::{
    cells::NumberKind,
    fault::Fault,
    limits::{MOST_STYLES, Measure},
    xml::{Events, attribute},
};

/// Kind by style number, in the order of `cellXfs`.
pub(super) fn read(source: impl BufRead) -> Result<Vec<NumberKind>, Fault> {
    let mut events = Events::new(source);
    let mut custom: HashMap<String, NumberKind> = HashMap::new();
    let mut kinds = Vec::new();
    let mut in_cells = false;
    loop {
        if kinds.len() + custom.len() > MOST_STYLES {
            return Err(Fault::over(Measure::Styles, MOST_STYLES));
        }
        match events.next()? {
            Event::Start(element) => match element.local_name().as_ref() {
                "numFmt" => {
                    if let (Some(id), Some(code)) = (attribute(&element, "numFmtId"), attribute(&element, "formatCode"))
                    {
                        custom.insert(id, by_code(&code));
                    }
                }
                "cellXfs" => in_cells = true,
                "xf" if in_cells => {
                    let id = attribute(&element, "numFmtId").unwrap_or_default();
                    kinds.push(
                        custom
                            .get(&id)
                            .copied()
                            .unwrap_or_else(|| id.parse().map_or(NumberKind::Plain, built_in)),
                    );
                }
                _ => {}
            },
            Event::End(element) if element.local_name().as_ref() == "cellXfs" => in_cells = false,
            Event::Eof => return Ok(kinds),
            _ => {}
        }
    }
}

/// Formats every spreadsheet knows by number (ECMA-376, 18.8.30), the East Asian dates included.
pub(crate) fn built_in(id: u32) -> NumberKind {
    match id {
        14..=22 | 27..=36 | 45 | 47 | 50..=58 => NumberKind::DateTime,
        46 => NumberKind::Duration,
        _ => NumberKind::Plain,
    }
}

/// A format code is a date when a date letter stands outside quotes, escapes and brackets; `[h]` is a duration.
pub(crate) fn by_code(code: &str) -> NumberKind {
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            // The next character is shown as it is.
            '\\' | '_' | '*' => {
                chars.next();
            }
            '"' => {
                chars.by_ref().find(|c| *c == '"');
            }
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let inside = inside.to_ascii_lowercase();
                if !inside.is_empty()
                    && ["h", "m", "s"]
                        .iter()
                        .any(|unit| inside.trim_matches(|c| unit.contains(c)).is_empty())
                {
                    return NumberKind::Duration;
                }
            }
            // Formats for negative numbers and text follow.
            ';' => break,
            'd' | 'D' | 'm' | 'M' | 'y' | 'Y' | 'h' | 'H' | 's' | 'S' => return NumberKind::DateTime,
            // A number as it is. A single `g` names an era of Japan.
            'G' | 'g' if chars.as_str().to_ascii_lowercase().starts_with("eneral") => break,
            _ => {}
        }
    }
    NumberKind::Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_dates_from_numbers() {
        for code in [
            "dd.mm.yyyy",
            "yyyy\\-mm\\-dd hh:mm",
            "[$-419]d mmm yy;@",
            "h:mm",
            "[Red]dd.mm.yy",
            "[$-411]ggge\"年\"m\"月\"d\"日\";@",
        ] {
            assert_eq!(by_code(code), NumberKind::DateTime, "{code}");
        }
        for code in ["[h]:mm:ss", "[mm]:ss", "[hh]"] {
            assert_eq!(by_code(code), NumberKind::Duration, "{code}");
        }
        for code in ["General", "0.00", "#,##0 \"дн. dd\"", "0\\d", "[Red]0", "0.00E+00", "@"] {
            assert_eq!(by_code(code), NumberKind::Plain, "{code}");
        }
    }
}
