//! What every mapping needs: dates, deadlines, topics, bodies, statuses, ratings. Unknown values never fail a row.

use jiff::tz::TimeZone;
use priem_sdk::{
    MessageData,
    message::{
        CommonStatus, Deadline, DeadlineBasis, DeadlineStage, DeadlineUnit, Geo, Moment, OrganisationRef, Precision,
        Satisfaction, Status, Topic, TopicNode,
    },
    text,
};

use super::{
    fold::plain_header,
    mapping::{Cells, FieldKind, FieldSpec, Role},
    when,
};

/// Longest text taken for a value and not for a citizen's words, characters.
const LONGEST_VALUE: usize = 40;

/// A row of a field table.
pub const fn field(
    name: &'static str,
    role: Role,
    kind: FieldKind,
    header: &'static str,
    aliases: &'static [&'static str],
) -> FieldSpec {
    FieldSpec {
        name,
        header,
        aliases,
        kind,
        role,
    }
}

/// Whether a cell says yes: «Да», «Да, повторно», `1`, `+`, «Просрочено на 3 дня». What says both, or what nobody knows, says
/// nothing.
pub fn is_yes(value: &str) -> bool {
    const WORDS: &[&str] = &["да", "есть", "true", "yes", "истина"];
    // Latin letters and Cyrillic ones that stand for a tick or a cross.
    const MARKS: &[&str] = &["1", "1.0", "1,0", "+", "✓", "✔", "☑", "v", "x", "х"];
    const STEMS: &[&str] = &["просроч", "повтор", "опроверг"];
    let lower = value.trim().to_lowercase();
    let mut words = lower
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    let first = if lower.starts_with(char::is_alphabetic) {
        words.next()
    } else {
        None
    };
    let says = first.is_some_and(|word| WORDS.contains(&word) || STEMS.iter().any(|stem| word.starts_with(stem)));
    MARKS.contains(&lower.as_str()) || says && !words.any(|word| matches!(word, "нет" | "не"))
}

/// Whether a cell says no: «Нет», `0`, «не просрочено».
pub fn is_no(value: &str) -> bool {
    const WORDS: &[&str] = &["нет", "не", "без", "false", "no", "ложь"];
    let lower = value.trim().to_lowercase();
    let first = lower.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let says = WORDS.contains(&first) && !lower.split(|c: char| !c.is_alphabetic()).any(|word| word == "да");
    says || lower.starts_with('0') && lower.chars().all(|c| matches!(c, '0' | '.' | ','))
}

/// Whether a mark is set: it says yes, or since when or how many times. Other words say nothing.
pub fn is_marked(cells: &Cells<'_>, name: &str) -> bool {
    cells.said(name).is_some_and(is_set)
}

/// Whether a mark says neither that it is set nor that it is not.
pub fn is_unknown_mark(value: &str) -> bool {
    !is_set(value) && !is_no(value) && !when::is_no_date(value)
}

fn is_set(value: &str) -> bool {
    let is_counted = value.starts_with(|c: char| c.is_ascii_digit()) && !is_no(value) && !when::is_no_date(value);
    is_yes(value) || is_counted
}

/// Adds a flag once.
pub fn add_flag(data: &mut MessageData, flag: &str) {
    if !data.flags.other.iter().any(|known| known == flag) {
        data.flags.other.push(flag.to_owned());
    }
}

/// A body by its name.
pub fn organisation(cells: &Cells<'_>, name: &str) -> Option<OrganisationRef> {
    cells.owned(name).map(|name| OrganisationRef { id: None, name })
}

/// Levels of a classifier from the widest on; stars are split off.
pub fn topic(cells: &Cells<'_>, classifier: &str, levels: &[&str]) -> Option<Topic> {
    let mut starred = false;
    let mut path = Vec::with_capacity(levels.len());
    for name in levels.iter().filter_map(|level| cells.said(level)) {
        let (plain, has_star) = Topic::split_star(name);
        starred |= has_star;
        path.push(TopicNode {
            id: None,
            name: plain.to_owned(),
        });
    }
    (!path.is_empty()).then(|| Topic {
        classifier: classifier.into(),
        version: None,
        path,
        starred,
    })
}

/// The citizen's words: HTML and VK markup become text and mentions.
pub fn fill_text(cells: &Cells<'_>, name: &str, data: &mut MessageData) {
    let Some(source) = cells.get(name) else {
        return;
    };
    if text::has_html(source) {
        data.body.html = Some(source.to_owned());
    }
    let plain = text::from_vk(&text::from_html(source));
    data.body.text = plain.text;
    data.body.mentions = plain.mentions;
}

/// A date; what can't be read as one is kept as text in `extra` under the source's header.
pub fn date(cells: &Cells<'_>, name: &str, zone: &TimeZone, data: &mut MessageData) -> Option<Moment> {
    let field = cells.mapping().position(name)?;
    let moment = cells.moment(field, zone);
    if moment.is_none() {
        extra(cells, name, data);
    }
    moment
}

/// Keeps a value without a field of its own in `extra` under the source's header. Only for values that are never a
/// person's words or name.
pub fn extra(cells: &Cells<'_>, name: &str, data: &mut MessageData) {
    if let Some(value) = cells.said(name).filter(|value| value.chars().count() <= LONGEST_VALUE) {
        data.extra.insert(cells.header(name).into(), value.into());
    }
}

/// A part of an address; none when a spreadsheet has turned it into a date («5/1» into a day of May): what stood there can't
/// be known, so the date is kept in `extra`.
pub fn place_part(cells: &Cells<'_>, name: &str, data: &mut MessageData) -> Option<String> {
    let part = cells.said(name)?;
    if when::is_spreadsheet_date(part) {
        extra(cells, name, data);
        return None;
    }
    Some(part.to_owned())
}

/// A deadline the source gives. A day is due at its last second in the zone of the source, also when the source writes the
/// day with a time of 0:00:00.
pub fn fill_deadline(cells: &Cells<'_>, name: &str, stage: DeadlineStage, zone: &TimeZone, data: &mut MessageData) {
    let Some(moment) = date(cells, name, zone, data) else {
        return;
    };
    let moment = when::whole_day(moment, zone);
    let Some(due_at) = when::due(&moment, zone) else {
        return;
    };
    data.deadlines.push(Deadline {
        stage,
        due_at,
        zone: moment.zone,
        basis: DeadlineBasis::Source,
        rule: None,
        unit: match moment.precision {
            Precision::Date => DeadlineUnit::CalendarDays,
            Precision::Minute | Precision::Second => DeadlineUnit::CalendarHours,
        },
        internal_due_at: None,
        calendar_missing: false,
    });
}

/// The status from one or several columns: the first word of them with a known meaning decides, all are kept.
pub fn status(cells: &Cells<'_>, names: &[&str], outcome: &str, table: &[(&str, CommonStatus)]) -> Option<Status> {
    let words: Vec<&str> = names.iter().filter_map(|name| cells.said(name)).collect();
    let outcome = cells.owned(outcome);
    if words.is_empty() && outcome.is_none() {
        return None;
    }
    let common = |word: &str| {
        let lower = word.to_lowercase();
        let exact = table.iter().find(|(known, _)| *known == lower);
        // Spaces that do not break, letters of another alphabet.
        let folded = || {
            let word = plain_header(word);
            table.iter().find(|(known, _)| plain_header(known) == word)
        };
        exact.or_else(folded).map(|(_, common)| *common)
    };
    Some(Status {
        common: words
            .iter()
            .find_map(|word| common(word))
            .or_else(|| outcome.as_deref().and_then(common))
            .unwrap_or(CommonStatus::Other),
        raw: words.join(" / "),
        outcome,
    })
}

/// A rating in numbers (`5`, `4,5`, `5 из 5`); anything else is kept as text in `extra`.
pub fn fill_satisfaction(cells: &Cells<'_>, name: &str, scale: f64, data: &mut MessageData) {
    let Some(value) = cells.said(name) else {
        return;
    };
    let first = value.split_whitespace().next().unwrap_or_default().replace(',', ".");
    match first.parse::<f64>().ok().filter(|score| (0.0..=scale).contains(score)) {
        Some(score) => data.satisfaction = Some(Satisfaction { score, scale }),
        None => extra(cells, name, data),
    }
}

/// A point from `58.01, 56.25`, or from two columns. Swapped halves can't be told and are left as they are.
pub fn geo(text: &str) -> Option<Geo> {
    let mut parts = text.split([',', ';', ' ']).filter(|part| !part.is_empty());
    let lat: f64 = parts.next()?.parse().ok()?;
    let lon: f64 = parts.next()?.parse().ok()?;
    let is_point = parts.next().is_none() && (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
    is_point.then_some(Geo { lat, lon })
}

/// A public address.
pub fn web_address(cells: &Cells<'_>, name: &str) -> Option<String> {
    let is_address = |text: &&str| {
        (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(char::is_whitespace)
    };
    cells.said(name).filter(is_address).map(str::to_owned)
}

/// A whole number as people write it: `1 234`.
pub fn count(value: &str) -> Option<u64> {
    let digits: String = value.chars().filter(|c| !c.is_whitespace() && *c != '\u{a0}').collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_words_not_beginnings() {
        for (value, yes, no) in [
            ("Да", true, false),
            ("да, по 59-ФЗ", true, false),
            ("дата неизвестна", false, false),
            ("Нет", false, true),
            ("нет.", false, true),
            ("нетипично", false, false),
            ("1", true, false),
            ("0", false, true),
            ("TRUE", true, false),
            ("Истина", true, false),
            ("false", false, true),
            ("ЛОЖЬ", false, true),
            ("05.01.2026", false, false),
            ("просрочено", true, false),
            ("Просрочено на 3 дня", true, false),
            ("есть", true, false),
            ("✓", true, false),
            ("v", true, false),
            ("X", true, false),
            ("Х", true, false),
            ("0,0", false, true),
            ("не просрочено", false, true),
            ("Просрочено: нет", false, false),
            ("#Н/Д", false, false),
            ("Да/Нет", false, false),
            ("Нет/Да", false, false),
            ("вежливый ответ", false, false),
        ] {
            assert_eq!((is_yes(value), is_no(value)), (yes, no), "{value}");
        }
    }

    #[test]
    fn a_mark_is_set_by_yes_a_date_or_a_count() {
        for value in [
            "Да",
            "05.01.2026",
            "2026-01-05",
            "2",
            "2 раза",
            "Повторно",
            "опровергнуто",
        ] {
            assert!(is_set(value) && !is_unknown_mark(value), "{value}");
        }
        for value in ["нет", "0", "0,0", "не было", "01.01.0001"] {
            assert!(!is_set(value) && !is_unknown_mark(value), "{value}");
        }
        for value in ["Да/Нет", "возможно", "?"] {
            assert!(!is_set(value) && is_unknown_mark(value), "{value}");
        }
    }

    #[test]
    fn points_and_counts_are_read_or_not() {
        assert_eq!(geo("58.01, 56.25"), Some(Geo { lat: 58.01, lon: 56.25 }));
        for text in ["", "58.01", "958.01, 56.25", "ул. Ленина, 5", "1, 2, 3"] {
            assert_eq!(geo(text), None, "{text}");
        }
        assert_eq!(count("1\u{a0}234"), Some(1234));
        assert_eq!(count("много"), None);
    }
}
