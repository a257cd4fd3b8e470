//! Dates of exports as moments in the zone of their source.

use std::ops::RangeInclusive;

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};
use priem_sdk::message::{Moment, Precision};
use priem_tables::dates::{self, Order, Written};

use super::mapping::FieldKind;

/// What lies before it was not meant: no export is about it.
pub const EARLIEST: civil::DateTime = civil::date(1990, 1, 1).at(0, 0, 0, 0);
/// Terms that lie further ahead than this, years, were not meant.
const LONGEST_TERM: i64 = 10;

/// Reads a moment in any of the ways of [`dates::read_as`]. `None`: the text is no date.
pub fn parse(text: &str, zone: &TimeZone, order: Order) -> Option<Moment> {
    within(text, zone, order, &(civil::DateTime::MIN..=civil::DateTime::MAX))
}

/// The same; `None` too for what lies outside of a span.
pub fn within(text: &str, zone: &TimeZone, order: Order, span: &RangeInclusive<civil::DateTime>) -> Option<Moment> {
    let written = dates::read_as(text, order)?;
    let at = clock(&written, zone);
    let moment = match written {
        _ if !span.contains(&at) => return None,
        Written::Day(day) => Moment::from_date(day, zone),
        Written::Minute(_) => Moment::from_local(at, zone, Precision::Minute),
        Written::Second(_) | Written::Instant(_) => Moment::from_local(at, zone, Precision::Second),
    };
    Some(moment.with_source_text(text.trim()))
}

/// The same by the clock on the wall of the zone; a day at its beginning.
pub fn local(text: &str, zone: &TimeZone, order: Order) -> Option<civil::DateTime> {
    Some(clock(&dates::read_as(text, order)?, zone))
}

fn clock(written: &Written, zone: &TimeZone) -> civil::DateTime {
    match written {
        Written::Day(day) => day.at(0, 0, 0, 0),
        Written::Minute(at) | Written::Second(at) => *at,
        Written::Instant(at) => at.to_zoned(zone.clone()).datetime(),
    }
}

/// What a file that is read now can tell to have happened: until tomorrow, by the clock of its zone.
pub fn until(now: Timestamp, zone: &TimeZone) -> civil::DateTime {
    let now = now.to_zoned(zone.clone()).datetime();
    now.checked_add(1.day()).unwrap_or(civil::DateTime::MAX)
}

/// When a date of this kind can lie, where nothing has happened after `until`.
pub fn span(kind: FieldKind, until: civil::DateTime) -> RangeInclusive<civil::DateTime> {
    let last = match kind {
        FieldKind::Term => until.checked_add(LONGEST_TERM.years()).unwrap_or(civil::DateTime::MAX),
        _ => until,
    };
    EARLIEST..=last
}

/// Whether a cell of a date column holds what programs write for no date: `01.01.0001 0:00:00`, `30.12.1899`, `0`.
pub fn is_no_date(text: &str) -> bool {
    const YEARS: &[&str] = &["0000", "0001", "1899", "1900", "1970", "9999"];
    const SEPARATORS: [char; 3] = ['.', '-', '/'];
    const NO_DAYS: &[[u16; 3]] = &[
        [0, 0, 0],
        [1, 1, 1],
        [1899, 31, 12],
        [1899, 30, 12],
        [1900, 1, 0],
        [1900, 1, 1],
        [1970, 1, 1],
        [9999, 31, 12],
    ];
    let day = text.split([' ', 'T', ',']).next().unwrap_or_default();
    if text.starts_with('0') && text.chars().all(|c| matches!(c, '0' | ':' | '.' | ',')) {
        return true;
    }
    if !day.split(SEPARATORS).any(|part| YEARS.contains(&part)) {
        return false;
    }
    let numbers: Option<Vec<u16>> = day.split(SEPARATORS).map(|part| part.parse().ok()).collect();
    // Whatever the order in which they are written.
    let is_no_day = |mut numbers: Vec<u16>| {
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        NO_DAYS.iter().any(|no_day| *no_day == *numbers)
    };
    numbers.is_some_and(is_no_day)
}

/// A moment as people write it; without the time at midnight.
pub fn russian(at: civil::DateTime) -> String {
    let form = match at.time() == civil::Time::midnight() {
        true => "%d.%m.%Y",
        false => "%d.%m.%Y %H:%M",
    };
    at.strftime(form).to_string()
}

/// Instant by which something with this date must be done: the instant itself, or the last second of the day.
pub fn due(moment: &Moment, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(instant) = moment.instant() {
        return Some(instant);
    }
    let day: civil::Date = moment.value.parse().ok()?;
    zone.to_ambiguous_zoned(day.at(23, 59, 59, 0))
        .compatible()
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// A moment at midnight as the whole day: programs without days of their own write «19.01.2026 0:00:00» for one.
pub fn whole_day(moment: Moment, zone: &TimeZone) -> Moment {
    let Some(instant) = moment.instant() else {
        return moment;
    };
    let here = instant.to_zoned(zone.clone()).datetime();
    // Written with an offset, the day is the one that is written.
    let written = moment.source_text.as_deref().map(|text| text.replacen(' ', "T", 1));
    let written: Option<civil::DateTime> = written.and_then(|text| text.parse().ok());
    let midnight = [Some(here), written]
        .into_iter()
        .flatten()
        .find(|at| at.time() == civil::Time::midnight());
    match midnight {
        Some(at) => match moment.source_text {
            Some(text) => Moment::from_date(at.date(), zone).with_source_text(text),
            None => Moment::from_date(at.date(), zone),
        },
        None => moment,
    }
}

/// Whether a text is a day as only the cell of a spreadsheet gives it.
pub fn is_spreadsheet_date(text: &str) -> bool {
    let day = text.get(..10).filter(|day| day.as_bytes()[4] == b'-');
    let rest = text.get(10..).unwrap_or_default();
    day.is_some_and(|day| day.parse::<civil::Date>().is_ok()) && (rest.is_empty() || rest.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("Asia/Yekaterinburg").expect("zone")
    }

    fn value(text: &str) -> Option<(String, Precision)> {
        parse(text, &zone(), Order::Unsaid).map(|moment| (moment.value, moment.precision))
    }

    #[test]
    fn the_day_comes_first() {
        assert_eq!(value("05.01.2026"), Some(("2026-01-05".into(), Precision::Date)));
        assert_eq!(value("5/1/26"), Some(("2026-01-05".into(), Precision::Date)));
        assert_eq!(
            value("05.01.2026 10:30"),
            Some(("2026-01-05T10:30:00+05:00".into(), Precision::Minute))
        );
        assert_eq!(
            value("05.01.2026, 9:05:07"),
            Some(("2026-01-05T09:05:07+05:00".into(), Precision::Second))
        );
    }

    #[test]
    fn iso_and_serial_numbers_are_read_too() {
        assert_eq!(value("2026-01-05"), Some(("2026-01-05".into(), Precision::Date)));
        assert_eq!(
            value("2026-01-05T05:30:00Z"),
            Some(("2026-01-05T10:30:00+05:00".into(), Precision::Second))
        );
        assert_eq!(
            value("2026-01-05T10:30:15"),
            Some(("2026-01-05T10:30:15+05:00".into(), Precision::Second))
        );
        assert_eq!(value("46027"), Some(("2026-01-05".into(), Precision::Date)));
        assert_eq!(
            value("46027.4375"),
            Some(("2026-01-05T10:30:00+05:00".into(), Precision::Second))
        );
    }

    #[test]
    fn what_is_no_date_is_no_date() {
        for text in [
            "",
            "-",
            "вчера",
            "31.02.2026",
            "13.13.2026",
            "123456",
            "1.2",
            "05.01.2026 25:00",
            "2026",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_is_due_at_its_end() {
        let moment = parse("05.01.2026", &zone(), Order::Unsaid).expect("a date");
        assert_eq!(
            due(&moment, &zone()),
            Some("2026-01-05T18:59:59Z".parse().expect("instant"))
        );
    }

    #[test]
    fn midnight_is_the_whole_day_of_a_term() {
        for text in [
            "05.01.2026 0:00:00",
            "05.01.2026 00:00",
            "2026-01-05 00:00:00",
            "2026-01-05T00:00:00+03:00",
            "2026-01-04T19:00:00Z",
        ] {
            let moment = whole_day(parse(text, &zone(), Order::Unsaid).expect("a date"), &zone());
            assert_eq!(
                (moment.value.as_str(), moment.precision),
                ("2026-01-05", Precision::Date),
                "{text}"
            );
        }
        let noon = parse("05.01.2026 12:00", &zone(), Order::Unsaid).expect("a date");
        assert_eq!(whole_day(noon.clone(), &zone()), noon);
    }

    #[test]
    fn what_programs_write_for_no_date_is_none() {
        for text in [
            "01.01.0001 00:00:00",
            "0001-01-01T00:00:00",
            "1/1/0001 12:00:00 AM",
            "01.01.1900",
            "1900-01-01",
            "30.12.1899",
            "31.12.1899 0:00",
            "00.01.1900",
            "00.00.0000",
            "01.01.1970 03:00:00",
            "31.12.9999",
            "12/31/9999",
            "0",
            "0:00:00",
        ] {
            assert!(is_no_date(text), "{text}");
        }
        for text in [
            "",
            "01.01.2001",
            "01.01.01",
            "1.1",
            "02.01.1900",
            "10:00",
            "05.01.2026",
            "не завершено",
        ] {
            assert!(!is_no_date(text), "{text}");
        }
    }

    #[test]
    fn a_date_that_was_not_meant_is_not_taken() {
        let until = civil::date(2026, 3, 2).at(12, 0, 0, 0);
        for (text, happened, term) in [
            ("02.03.2026 12:00", true, true),
            ("02.03.2026 12:01", false, true),
            ("02.03.2036", false, true),
            ("03.03.2036", false, false),
            ("05.01.99", false, false),
            ("01.01.1990", true, true),
            ("31.12.1989", false, false),
        ] {
            let taken = |kind| within(text, &zone(), Order::Unsaid, &span(kind, until)).is_some();
            assert_eq!(
                (taken(FieldKind::Date), taken(FieldKind::Term)),
                (happened, term),
                "{text}"
            );
        }
    }

    #[test]
    fn a_house_is_no_date_and_a_date_is_no_house() {
        assert!(is_spreadsheet_date("2026-05-01") && is_spreadsheet_date("2026-05-01T00:00:00"));
        for house in [
            "5/1",
            "2026",
            "20260501",
            "ул. Мира",
            "2026-05-01 корп. 2",
            "12-34-5678",
        ] {
            assert!(!is_spreadsheet_date(house), "{house}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_not(text in "[0-9.:/ T+Z-]{0,25}") {
            let _ = parse(&text, &zone(), Order::MonthFirst);
        }
    }
}
