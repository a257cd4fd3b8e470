//! Dates as people and programs write them into cells: day first, ISO, or the serial number of a spreadsheet.
//!
//! Exports are read with everything that is a date beyond doubt ([`read`]); a table that people keep as a setting only
//! with days that are written in full ([`day_in_full`]): there a guess would become a rule.

mod words;

use jiff::{Timestamp, Unit, civil};
use serde::{Deserialize, Serialize};

/// Serial numbers taken for dates: 1954 to 2119. Incident numbers and sums lie elsewhere in date columns.
const SERIALS: std::ops::RangeInclusive<f64> = 20_000.0..=80_000.0;
/// Longest text looked at, bytes.
const LONGEST: usize = 120;

/// A date as exact as the cell says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A day.
    Day(civil::Date),
    /// A time by the clock on the wall, to the minute.
    Minute(civil::DateTime),
    /// The same, to the second.
    Second(civil::DateTime),
    /// A time with its offset.
    Instant(Timestamp),
}

/// Which of day and month stands first in a date with slashes. The texts of a table say it together: `1/25/2026` is American,
/// and what stands beside it is, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Nothing says it: the day, unless an American program may have written it.
    #[default]
    Unsaid,
    /// The month, as American programs write it.
    MonthFirst,
}

/// What one text says of the [order](Order): whether the month stands first. `None`: nothing.
pub fn is_month_first(text: &str) -> Option<bool> {
    if !text.contains('/') || text.len() > LONGEST {
        return None;
    }
    let mut words = text.split(|c: char| c.is_whitespace() || c == ',');
    let (first, second) = words.find_map(|word| match word.split('/').collect::<Vec<_>>().as_slice() {
        &[first, second, year] if matches!(year.len(), 2 | 4) && year.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((small(first)?, small(second)?))
        }
        _ => None,
    })?;
    match (first > 12, second > 12) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}

/// Reads a date. `None`: the text is none, or it may be two.
///
/// `05.01.2026`, `5/1/26`, `5 января 2026 г.`, `понедельник, 5 янв. 2026`, `до 05.01.2026`, with a time `10:30[:15]`, `10.30`
/// or `10:30 PM` behind it or before it, and `(МСК)`, `UTC+5` or `+0300` behind that; `2026-01-05[T10:30[:15[.5]]]`;
/// `46027.4375`. Midnight alone is the day: programs write it behind days that have no time. `1/5/2026`, without zeros and
/// with the whole year, or beside AM or PM, is how American programs write the fifth of January: it may be the first of May,
/// and is none.
pub fn read(text: &str) -> Option<Written> {
    read_as(text, Order::Unsaid)
}

/// The same where it is known which of day and month stands first between slashes.
pub fn read_as(text: &str, order: Order) -> Option<Written> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    as_programs_write(text)
        .or_else(|| with_offset(text).map(Written::Instant))
        .or_else(|| serial_text(text))
        .or_else(|| words::read(text, order))
}

/// Reads a day that is written in full, `31.12.2026` or `2026-12-31`. A year of two digits is not guessed, a number is no
/// day.
pub fn day_in_full(text: &str) -> Option<civil::Date> {
    let text = text.trim();
    let (separator, year_first) = match text.as_bytes().get(4) {
        Some(b'-') => ('-', true),
        _ => ('.', false),
    };
    let mut parts = text.split(separator);
    let (first, month, last) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, day) = if year_first { (first, last) } else { (last, first) };
    let is_iso = !year_first || (month.len() == 2 && day.len() == 2);
    let is_full = year.len() == 4 && parts.next().is_none();
    if !is_full || !is_iso {
        return None;
    }
    day_of(year, month, day)
}

/// Spreadsheet serial (1900 epoch, days) to a wall-clock time, rounded to the second.
pub fn serial_datetime(serial: f64) -> Option<civil::DateTime> {
    if !(61.0..2_958_466.0).contains(&serial) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    let (days, seconds) = (serial.trunc() as i64, (serial.fract() * 86_400.0).round() as i64);
    let epoch = civil::date(1899, 12, 30).at(0, 0, 0, 0);
    epoch
        .checked_add(jiff::Span::new().days(days).seconds(seconds))
        .ok()?
        .round(Unit::Second)
        .ok()
}

/// The short way for what most cells hold: `05.01.2026` or `2026-01-05`, alone or with ` 10:30` or `T10:30:15`. What it does
/// not read is read with everything else; what it reads, reads the same there.
fn as_programs_write(text: &str) -> Option<Written> {
    let number = |at: usize, digits: usize| {
        let digits = text.as_bytes().get(at..at + digits)?.iter();
        digits.copied().try_fold(0_i16, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| i16::from(byte - b'0'))?;
            Some(number * 10 + digit)
        })
    };
    let sign = |at: usize| text.as_bytes().get(at).copied();
    let two = |at: usize| number(at, 2).and_then(|number| i8::try_from(number).ok());
    let day = match (sign(2), sign(4), sign(5), sign(7)) {
        (Some(b'.'), _, Some(b'.'), _) => civil::Date::new(number(6, 4)?, two(3)?, two(0)?),
        (_, Some(b'-'), _, Some(b'-')) => civil::Date::new(number(0, 4)?, two(5)?, two(8)?),
        _ => return None,
    };
    let day = day.ok()?;
    let second = match (sign(10), sign(13), sign(16), text.len()) {
        (None, ..) => return Some(Written::Day(day)),
        (Some(b' ' | b'T'), Some(b':'), None, 16) => None,
        (Some(b' ' | b'T'), Some(b':'), Some(b':'), 19) => Some(two(17)?),
        _ => return None,
    };
    let clock = words::Clock {
        hour: two(11)?,
        minute: two(14)?,
        second,
    };
    words::written(day, Some(clock), None)
}

fn with_offset(text: &str) -> Option<Timestamp> {
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    text.replacen(' ', "T", 1).parse().ok()
}

fn serial_text(text: &str) -> Option<Written> {
    let is_mark = |byte: &u8| [b'.', b','].contains(byte);
    if !text.bytes().all(|byte| byte.is_ascii_digit() || is_mark(&byte)) || text.len() < 5 {
        return None;
    }
    // `20.01.26` is a date, not a number.
    if text.bytes().filter(is_mark).count() > 1 {
        return None;
    }
    let number: Result<f64, _> = text.replace(',', ".").parse();
    let serial = number.ok().filter(|serial| SERIALS.contains(serial))?;
    let at = serial_datetime(serial)?;
    Some(if serial.fract() == 0.0 {
        Written::Day(at.date())
    } else {
        Written::Second(at)
    })
}

/// A day with any of the usual separators, and a year of two digits as one of this century.
fn any_day(text: &str) -> Option<civil::Date> {
    let parts: Vec<&str> = text.split(['.', '/', '-']).collect();
    let &[first, month, last] = parts.as_slice() else {
        return None;
    };
    let (year, day) = if first.len() == 4 { (first, last) } else { (last, first) };
    day_of(year, month, day)
}

/// Whether a day is written as American programs write it.
fn is_american(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.as_slice(), [first, second, year] if (first.len() == 1 || second.len() == 1) && year.len() == 4)
}

/// A day that is written the American way beyond doubt.
fn month_first_day(text: &str) -> Option<civil::Date> {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        &[month, day, year] if month.len() <= 2 => day_of(year, month, day),
        _ => any_day(text),
    }
}

/// A day beside AM or PM, or without zeros: Americans write the month first.
fn american_day(text: &str) -> Option<civil::Date> {
    let parts: Vec<&str> = text.split('/').collect();
    let &[first, second, year] = parts.as_slice() else {
        return any_day(text);
    };
    let (month_first, day_first) = (day_of(year, first, second), day_of(year, second, first));
    match (month_first, day_first) {
        (Some(one), Some(other)) if one != other => None,
        (found, other) => found.or(other),
    }
}

fn day_of(year: &str, month: &str, day: &str) -> Option<civil::Date> {
    let year = match year.len() {
        4 => year.parse::<i16>().ok()?,
        2 => 2000 + i16::from(small(year)?),
        _ => return None,
    };
    civil::Date::new(year, small(month)?, small(day)?).ok()
}

fn small(text: &str) -> Option<i8> {
    if text.is_empty() || text.len() > 2 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_date_is_as_exact_as_it_is_written() {
        let day = civil::date(2026, 1, 5);
        for (text, expected) in [
            ("05.01.2026", Written::Day(day)),
            (" 5/1/26 ", Written::Day(day)),
            ("2026-01-05", Written::Day(day)),
            ("46027", Written::Day(day)),
            ("05.01.2026 10:30", Written::Minute(day.at(10, 30, 0, 0))),
            ("05.01.2026 в 10:30", Written::Minute(day.at(10, 30, 0, 0))),
            ("05.01.2026, 9:05:07", Written::Second(day.at(9, 5, 7, 0))),
            ("2026-01-05T10:30:15", Written::Second(day.at(10, 30, 15, 0))),
            ("46027.4375", Written::Second(day.at(10, 30, 0, 0))),
            (
                "2026-01-05 10:30:00+05:00",
                Written::Instant("2026-01-05T05:30:00Z".parse().expect("instant")),
            ),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn people_write_a_date_in_many_ways() {
        let day = civil::date(2026, 1, 5);
        for text in [
            "05.01.2026 г.",
            "05.01.2026г",
            "05.01.26 г",
            "5 января 2026 г.",
            "5 января 2026 года",
            "5\u{a0}января\u{a0}2026\u{202f}г.",
            "5 янв. 2026",
            "05-янв-2026",
            "5-Jan-26",
            "понедельник, 5 января 2026 г.",
            "пн 05.01.2026",
            "до 05.01.2026",
            "до 5 января 2026 г. включительно",
            "не позднее 05.01.2026",
            "05.01.2026\u{200b}",
            "\u{feff}05.01.2026",
            "05 . 01 . 2026",
            "05.01.2026 0:00:00",
            "05.01.2026 00:00",
            "2026-01-05 00:00:00",
            "2026-01-05T00:00:00.000",
            "05\u{2011}01\u{2011}2026",
            "05.01.2026 24:00",
            "05.01.2026 24:00:00",
            "05.янв.2026",
            "05.янв.26",
            "Jan 5, 2026",
            "January 5 2026",
            "05.01.2026.",
            "05.01.2026 (пн)",
        ] {
            assert_eq!(read(text), Some(Written::Day(day)), "{text}");
        }
        for text in [
            "05.01.2026 10.30",
            "05.01.26 10.30",
            "05.01.2026 10-30",
            "05.01.2026 г. в 10:30",
            "5 января 2026 г., 10:30",
            "5 января 2026 10:30",
            "10:30 05.01.2026",
            "05.01.2026\u{202f}10:30",
            "05.01.2026 10:30 AM",
            "2026-01-05 10:30",
            "до 05.01.2026 10:30",
            "05.01.2026 до 10:30",
            "05.01.2026 (пн), 10:30",
            "January 5, 2026 10:30 AM",
        ] {
            assert_eq!(read(text), Some(Written::Minute(day.at(10, 30, 0, 0))), "{text}");
        }
        let instant = Written::Instant("2026-01-05T07:30:00Z".parse().expect("instant"));
        for text in [
            "05.01.2026 10:30 (МСК)",
            "05.01.2026 10:30 мск",
            "05.01.2026 10:30:00 по московскому времени",
            "05.01.2026 12:30 (МСК+2)",
            "05.01.2026 12:30 (UTC+5)",
            "05.01.2026 12:30 GMT+05:00",
            "2026-01-05 10:30:00 +0300",
            "05.01.2026 10:30+03:00",
            "05.01.2026 07:30 UTC",
        ] {
            assert_eq!(read(text), Some(instant), "{text}");
        }
        for (text, day) in [
            ("1/25/2026", civil::date(2026, 1, 25)),
            ("25/1/2026", civil::date(2026, 1, 25)),
            ("5/5/2026", civil::date(2026, 5, 5)),
            ("01/05/2026", civil::date(2026, 5, 1)),
        ] {
            assert_eq!(read(text), Some(Written::Day(day)), "{text}");
        }
        let second = Written::Second(civil::date(2026, 1, 5).at(10, 30, 15, 0));
        assert_eq!(read("05.01.2026 10:30:15,5"), Some(second));
        let evening = Written::Second(civil::date(2026, 1, 25).at(22, 30, 15, 0));
        assert_eq!(read("1/25/2026 10:30:15 PM"), Some(evening));
        assert_eq!(read("1/1/2026 12:00 AM"), Some(Written::Day(civil::date(2026, 1, 1))));
    }

    #[test]
    fn dates_beside_american_ones_are_american() {
        let day = civil::date(2026, 1, 5);
        for (text, expected) in [
            ("1/5/2026", Written::Day(day)),
            ("01/05/2026", Written::Day(day)),
            ("1/5/26", Written::Day(day)),
            ("1/5/2026 10:30 PM", Written::Minute(day.at(22, 30, 0, 0))),
            ("1/5/2026 12:00:00 AM", Written::Day(day)),
            ("05.01.2026", Written::Day(day)),
            ("2026-01-05", Written::Day(day)),
        ] {
            assert_eq!(read_as(text, Order::MonthFirst), Some(expected), "{text}");
        }
        assert_eq!(read_as("25/1/2026", Order::MonthFirst), None);
        for (text, said) in [
            ("1/25/2026 10:30 PM", Some(true)),
            ("01/25/26", Some(true)),
            ("25/1/2026", Some(false)),
            ("1/5/2026", None),
            ("25.01.2026", None),
            ("д. 5/14/а", None),
            ("1/25", None),
            ("31/31/2026", None),
        ] {
            assert_eq!(is_month_first(text), said, "{text}");
        }
    }

    #[test]
    fn what_may_be_two_dates_or_none_is_none() {
        for text in [
            "1/5/2026 10:30:00 AM",
            "1/5/2026",
            "12/5/2026 10:30",
            "05.01.2026 13:30 PM",
            "05.01.2026 24:01",
            "05.01.2026 (вт)",
            "05.01.2026 до",
            "05.01.2026 10:30,5",
            "05.01.2026 10:60",
            "05.01.2026 - 08.01.2026",
            "05.01.2026 08.01.2026",
            "05.01.2026, 08.01.2026",
            "5 или 6 января 2026",
            "5 мартобря 2026",
            "32 января 2026",
            "31 февраля 2026",
            "января 2026",
            "5 января",
            "вторник, 5 января 2026",
            "до",
            "10:30",
            "завтра в 10:30",
            "05.01.2026 10:30 по Гринвичу",
            "05.01.2010 10:30 (МСК)",
            "г. Пермь, 05.01.2026",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_setting_takes_only_days_written_in_full() {
        let day = civil::date(2026, 12, 31);
        for text in ["31.12.2026", " 2026-12-31 "] {
            assert_eq!(day_in_full(text), Some(day), "{text}");
        }
        assert_eq!(day_in_full("1.7.2026"), Some(civil::date(2026, 7, 1)));
        for text in [
            "",
            "31.12.26",
            "31/12/2026",
            "31-12-2026",
            "46027",
            "2026",
            "30.02.2026",
            "2026-1-5",
            "31.12.2026 10:00",
            "31.12.2026.",
            "2026-12-31T00:00:00",
        ] {
            assert_eq!(day_in_full(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_reads_as_the_long_one(
            text in "([0-3][0-9]\\.[01][0-9]\\.20[0-9]{2}|20[0-9]{2}-[01][0-9]-[0-3][0-9])([ T][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?)?",
            order in prop::sample::select(vec![Order::Unsaid, Order::MonthFirst]),
        ) {
            if let Some(short) = as_programs_write(&text) {
                prop_assert_eq!(words::read(&text, order), Some(short));
            }
        }

        #[test]
        fn a_day_in_full_is_that_day_to_every_reader(text in "[0-9]{1,4}[.-][0-9]{1,2}[.-][0-9]{1,4}") {
            if let Some(day) = day_in_full(&text) {
                prop_assert_eq!(read(&text), Some(Written::Day(day)));
            }
        }

        #[test]
        fn any_text_is_a_date_or_not(text in "[0-9.:/ Tt+,()гдоянвмскPMутц-]{0,40}") {
            let _ = read(&text);
        }

        #[test]
        fn any_serial_is_a_date_or_not(serial: f64) {
            let _ = serial_datetime(serial);
        }
    }
}
