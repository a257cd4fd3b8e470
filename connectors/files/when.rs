//! Dates of exports as moments in the zone of their source.

use jiff::{Timestamp, civil, tz::TimeZone};
use priem_sdk::message::{Moment, Precision};
use priem_tables::dates::{self, Written};

/// Reads a moment in any of the ways of [`dates::read`]. `None`: the text is no date.
pub fn parse(text: &str, zone: &TimeZone) -> Option<Moment> {
    let moment = match dates::read(text)? {
        Written::Day(day) => Moment::from_date(day, zone),
        Written::Minute(at) => Moment::from_local(at, zone, Precision::Minute),
        Written::Second(at) => Moment::from_local(at, zone, Precision::Second),
        Written::Instant(at) => Moment::from_local(at.to_zoned(zone.clone()).datetime(), zone, Precision::Second),
    };
    Some(moment.with_source_text(text.trim()))
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
    }
}
