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

/// A format code is a date when a word of a date stands outside of quotes, escapes and brackets, before any digit of a
/// number; `[h]` is a duration. Only the format of numbers above zero counts.
pub(crate) fn by_code(code: &str) -> NumberKind {
    let mut chars = code.chars().peekable();
    let mut word = String::new();
    while let Some(c) = chars.next() {
        if c.is_ascii_alphabetic() {
            word.push(c.to_ascii_lowercase());
            if chars.peek().is_some_and(char::is_ascii_alphabetic) {
                continue;
            }
            match std::mem::take(&mut word) {
                word if is_of_date(&word) => return NumberKind::DateTime,
                word if word == "general" => break,
                _ => continue,
            }
        }
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
                if ["h", "m", "s"]
                    .iter()
                    .any(|unit| !inside.is_empty() && inside.trim_matches(|c| unit.contains(c)).is_empty())
                {
                    return NumberKind::Duration;
                }
                // The long date and the time of whoever opens the book, whatever follows.
                if ["$-f800", "$-f400", "$-x-sysdate", "$-x-systime"].contains(&inside.as_str()) {
                    return NumberKind::DateTime;
                }
            }
            // Digits of a number; formats for negative numbers and text.
            '0' | '#' | '?' | ';' => break,
            _ => {}
        }
    }
    NumberKind::Plain
}

/// Whether letters in a row stand for a part of a date: `d`, `m`, `y`, `h`, `s`, and the years of other calendars, `e` with
/// the era `g` before it, `b`. `AM/PM` or `A/P` may be written right behind or before them.
fn is_of_date(word: &str) -> bool {
    let word = ["am", "a"]
        .iter()
        .find_map(|half| word.strip_suffix(half))
        .unwrap_or(word);
    let word = ["pm", "p"]
        .iter()
        .find_map(|half| word.strip_prefix(half))
        .unwrap_or(word);
    word.chars().all(|letter| "dmyhsegb".contains(letter))
        && (word.contains(['d', 'm', 'y', 'h', 's', 'e']) || word.contains("bb"))
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
            "[$-411]ggge\"年\"",
            "[$-411]ge.m.d",
            "[$-41E]bbbb",
            "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy",
            "[$-F400]h:mm:ss\\ AM/PM",
            "[$-FC19]dd\\ mmmm\\ yyyy\\ \\г\\.",
            "[$-419]dd\\.mm\\.yyyy\\ h:mm",
            "[$-ru-RU,1]dd mmmm yyyy \"г.\"",
            "[DBNum1][$-804]yyyy\"年\"m\"月\"d\"日\";@",
            "AM/PMh:mm",
            "hAM/PM",
            "mm:ss.0",
        ] {
            assert_eq!(by_code(code), NumberKind::DateTime, "{code}");
        }
        for code in ["[h]:mm:ss", "[mm]:ss", "[hh]"] {
            assert_eq!(by_code(code), NumberKind::Duration, "{code}");
        }
        for code in [
            "General",
            "0.00",
            "#,##0 \"дн. dd\"",
            "0\\d",
            "[Red]0",
            "0.00E+00",
            "@",
            "##0.0E+0",
            "0 USD",
            "USD 0",
            "# ??/??",
            "0.00\" m\"",
            "Standard",
            "G/標準",
            "[$-419]0",
            "[$¥-411]#,##0",
            "_-* #,##0.00_d",
            "[Magenta]General",
            "\"\";dd.mm.yyyy",
        ] {
            assert_eq!(by_code(code), NumberKind::Plain, "{code}");
        }
    }
}
