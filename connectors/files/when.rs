//! Dates of exports as moments in the zone of their source.

use jiff::{Timestamp, civil, tz::TimeZone};
use priem_sdk::message::{Moment, Precision};
use priem_tables::dates::{self, Order, Written};

/// Reads a moment in any of the ways of [`dates::read_as`]. `None`: the text is no date.
pub fn parse(text: &str, zone: &TimeZone, order: Order) -> Option<Moment> {
    let moment = match dates::read_as(text, order)? {
        Written::Day(day) => Moment::from_date(day, zone),
        Written::Minute(at) => Moment::from_local(at, zone, Precision::Minute),
        Written::Second(at) => Moment::from_local(at, zone, Precision::Second),
        Written::Instant(at) => Moment::from_local(at.to_zoned(zone.clone()).datetime(), zone, Precision::Second),
    };
    Some(moment.with_source_text(text.trim()))
}

/// The same by the clock on the wall of the zone; a day at its beginning.
pub fn local(text: &str, zone: &TimeZone, order: Order) -> Option<civil::DateTime> {
    Some(match dates::read_as(text, order)? {
        Written::Day(day) => day.at(0, 0, 0, 0),
        Written::Minute(at) | Written::Second(at) => at,
        Written::Instant(at) => at.to_zoned(zone.clone()).datetime(),
    })
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
