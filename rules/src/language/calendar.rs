//! Reads production calendars and the working day: `calendar` and `work_day`.

use std::collections::BTreeSet;

use jiff::{
    ToSpan,
    civil::{Date, Time},
};

use crate::clock::calendar::{WorkDay, Year};
use crate::language::keys;
use crate::language::reader::Reader;
use crate::language::rules::find;
use priem_yaml::{Entry, Node};

/// An entry of `calendar`: the year and its days.
pub(crate) fn year(reader: &mut Reader<'_>, node: &Node) -> Option<(i16, Year)> {
    let entries = reader.known(node, "запись calendar", keys::CALENDAR);
    let Some(entry) = find(&entries, "year") else {
        reader.error(node.line, "у календаря нет года", "добавьте строку «year: 2026»");
        return None;
    };
    let year = i16::try_from(reader.integer(&entry.node, "year", 2000, 2100)?).ok()?;
    let list = Year {
        holidays: days(reader, find(&entries, "holidays"), year),
        working: days(reader, find(&entries, "working"), year),
        short: days(reader, find(&entries, "short"), year),
    };
    let worked = list.working.union(&list.short);
    if let Some(day) = worked.copied().find(|day| list.holidays.contains(day)) {
        reader.error(
            node.line,
            format!("{day}: один список называет день и выходным, и рабочим"),
            "оставьте день в одном из holidays, working и short; переопределить день другого списка можно в отдельной \
             записи calendar ниже или в другом файле",
        );
    }
    Some((year, list))
}

/// Days and spans of days (`2026-01-01/2026-01-09`) of one year.
fn days(reader: &mut Reader<'_>, entry: Option<&Entry>, year: i16) -> BTreeSet<Date> {
    let Some(entry) = entry else {
        return BTreeSet::new();
    };
    let mut all = BTreeSet::new();
    for (text, line) in reader.texts(&entry.node, &entry.key) {
        let (from, to) = text.split_once('/').unwrap_or((&text, &text));
        match (from.trim().parse::<Date>(), to.trim().parse::<Date>()) {
            (Ok(from), Ok(to)) if from <= to && from.year() == year && to.year() == year => {
                all.extend(from.series(1.day()).take_while(|day| *day <= to));
            }
            _ => reader.error(
                line,
                format!("{}: «{text}» — не день {year} года", entry.key),
                format!("напишите день «{year}-03-20» или дни подряд «{year}-01-01/{year}-01-09»"),
            ),
        }
    }
    all
}

/// `work_day`: from when to when people work.
pub(crate) fn work_day(reader: &mut Reader<'_>, node: &Node) -> Option<WorkDay> {
    let entries = reader.known(node, "work_day", keys::WORK_DAY);
    let mut at = |key: &str| {
        let entry = find(&entries, key)?;
        let text = reader.text(&entry.node, key)?;
        let parsed = time(&text);
        if parsed.is_none() {
            reader.error(
                entry.line,
                format!("{key}: «{text}» — не время"),
                "напишите, например, \"09:00\", в кавычках",
            );
        }
        parsed
    };
    let (from, to) = (at("from")?, at("to")?);
    let pause = match find(&entries, "pause") {
        None => None,
        Some(entry) => {
            let text = reader.text(&entry.node, "pause")?;
            let parts = text
                .split_once('-')
                .and_then(|(from, to)| Some((time(from)?, time(to)?)));
            match parts {
                Some((pause, go_on)) if from < pause && pause < go_on && go_on < to => Some((pause, go_on)),
                _ => {
                    reader.error(
                        entry.line,
                        format!("pause: «{text}» — не перерыв внутри рабочего дня"),
                        "напишите, например, \"13:00-14:00\"",
                    );
                    return None;
                }
            }
        }
    };
    if from >= to {
        reader.error(
            node.line,
            "рабочий день кончается раньше, чем начинается",
            "поменяйте from и to местами",
        );
        return None;
    }
    Some(WorkDay { from, to, pause })
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}
