//! Dates as exports write them: day first, ISO, or the serial number of a spreadsheet.

use jiff::{Timestamp, Unit, civil, tz::TimeZone};
use priem_sdk::message::{Moment, Precision};

/// Serial numbers taken for dates: 1954 to 2119. Incident numbers and sums lie elsewhere in date columns.
const SERIALS: std::ops::RangeInclusive<f64> = 20_000.0..=80_000.0;

/// Reads a moment. `None`: the text is no date.
///
/// `05.01.2026`, `5/1/26`, `05.01.2026 10:30[:15]`, `2026-01-05[T10:30[:15[.5]]]`, the same with an offset, `46027.4375`.
pub fn parse(text: &str, zone: &TimeZone) -> Option<Moment> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.len() > 40 {
        return None;
    }
    let moment = iso_with_offset(trimmed, zone)
        .or_else(|| from_serial_text(trimmed, zone))
        .or_else(|| civil_moment(trimmed, zone))?;
    Some(moment.with_source_text(trimmed))
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

fn iso_with_offset(text: &str, zone: &TimeZone) -> Option<Moment> {
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let instant: Timestamp = text.replacen(' ', "T", 1).parse().ok()?;
    let local = instant.to_zoned(zone.clone()).datetime();
    Some(Moment::from_local(local, zone, Precision::Second))
}

fn from_serial_text(text: &str, zone: &TimeZone) -> Option<Moment> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || text.len() < 5 {
        return None;
    }
    // `20.01.26` is a date, not a number.
    if text.bytes().filter(|byte| *byte == b'.').count() > 1 {
        return None;
    }
    let serial: f64 = text.parse().ok().filter(|serial| SERIALS.contains(serial))?;
    let at = serial_datetime(serial)?;
    if serial.fract() == 0.0 {
        return Some(Moment::from_date(at.date(), zone));
    }
    Some(Moment::from_local(at, zone, Precision::Second))
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

fn civil_moment(text: &str, zone: &TimeZone) -> Option<Moment> {
    let (date, time) = match text.split_once([' ', 'T', '\u{a0}']) {
        Some((date, time)) => (date.trim_end_matches(','), time.trim()),
        None => (text, ""),
    };
    let date = civil_date(date)?;
    if time.is_empty() {
        return Some(Moment::from_date(date, zone));
    }
    let time = time.strip_prefix("в ").unwrap_or(time);
    let mut parts = time.split(':');
    let hour = small(parts.next()?)?;
    let minute = small(parts.next()?)?;
    let (second, precision) = match parts.next() {
        Some(second) => (small(second.split('.').next()?)?, Precision::Second),
        None => (0, Precision::Minute),
    };
    if parts.next().is_some() {
        return None;
    }
    let at = civil::DateTime::new(date.year(), date.month(), date.day(), hour, minute, second, 0).ok()?;
    Some(Moment::from_local(at, zone, precision))
}

fn civil_date(text: &str) -> Option<civil::Date> {
    let parts: Vec<&str> = text.split(['.', '/', '-']).collect();
    let &[first, month, last] = parts.as_slice() else {
        return None;
    };
    let (year, day) = if first.len() == 4 { (first, last) } else { (last, first) };
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

    fn zone() -> TimeZone {
        TimeZone::get("Asia/Yekaterinburg").expect("zone")
    }

    fn value(text: &str) -> Option<(String, Precision)> {
        parse(text, &zone()).map(|moment| (moment.value, moment.precision))
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
        let moment = parse("05.01.2026", &zone()).expect("a date");
        assert_eq!(
            due(&moment, &zone()),
            Some("2026-01-05T18:59:59Z".parse().expect("instant"))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_not(text in "[0-9.:/ T+Z-]{0,25}") {
            let _ = parse(&text, &zone());
        }

        #[test]
        fn any_serial_is_a_date_or_not(serial: f64) {
            let _ = serial_datetime(serial);
        }
    }
}
