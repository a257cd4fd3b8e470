//! Moments with their precision and zone. A date alone stays a date: it never becomes midnight.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use priem_sdk::message::{Moment, Precision};

/// Longest text taken for a date, bytes.
const LONGEST_DATE: usize = 64;

/// How dates are written, as a manifest says: `dd.mm.yyyy[ hh:mm[:ss]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Day,
    Month,
    Year,
    ShortYear,
    Hour,
    Minute,
    Second,
    /// Must stand there as it is; a space stands for any spaces.
    Sign(char),
    /// May be absent, with all that follows inside.
    Optional(Vec<Part>),
}

impl Pattern {
    /// Reads a pattern: `dd`, `mm`, `yyyy`, `yy`, `hh`, `ss`; `mm` after `hh` are minutes. `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: Vec<char> = text.to_lowercase().chars().collect();
        let mut at = 0;
        let mut hour_seen = false;
        let parts = parts(&letters, &mut at, &mut hour_seen, 0)?;
        let pattern = Self(parts);
        let whole = at == letters.len() && pattern.has(&Part::Day) && pattern.has(&Part::Month);
        let year = pattern.has(&Part::Year) || pattern.has(&Part::ShortYear);
        (whole && year).then_some(pattern)
    }

    fn has(&self, part: &Part) -> bool {
        fn inside(parts: &[Part], part: &Part) -> bool {
            parts.iter().any(|one| match one {
                Part::Optional(inner) => inside(inner, part),
                one => one == part,
            })
        }
        inside(&self.0, part)
    }

    /// Reads a moment written so. `None`: the text is not written so, or there is no such day.
    pub fn read(&self, text: &str, zone: &TimeZone) -> Option<Moment> {
        let text = text.trim();
        if text.len() > LONGEST_DATE {
            return None;
        }
        let mut found = Found::default();
        let rest = read(&self.0, text, &mut found)?;
        if !rest.trim().is_empty() {
            return None;
        }
        found.moment(zone).map(|moment| moment.with_source_text(text))
    }
}

fn parts(letters: &[char], at: &mut usize, hour_seen: &mut bool, depth: usize) -> Option<Vec<Part>> {
    let mut found = Vec::new();
    while let Some(letter) = letters.get(*at).copied() {
        let run = letters[*at..].iter().take_while(|next| **next == letter).count();
        let part = match (letter, run) {
            ('d', 2) => Part::Day,
            ('m', 2) if *hour_seen => Part::Minute,
            ('m', 2) => Part::Month,
            ('y', 4) => Part::Year,
            ('y', 2) => Part::ShortYear,
            ('h', 2) => {
                *hour_seen = true;
                Part::Hour
            }
            ('s', 2) => Part::Second,
            ('d' | 'm' | 'y' | 'h' | 's', _) => return None,
            ('[', _) => {
                *at += 1;
                if depth == 4 {
                    return None;
                }
                let inner = parts(letters, at, hour_seen, depth + 1)?;
                if letters.get(*at) != Some(&']') {
                    return None;
                }
                *at += 1;
                found.push(Part::Optional(inner));
                continue;
            }
            (']', _) => return (depth > 0).then_some(found),
            (sign, _) => {
                *at += 1;
                found.push(Part::Sign(sign));
                continue;
            }
        };
        *at += run;
        found.push(part);
    }
    (depth == 0).then_some(found)
}

#[derive(Debug, Clone, Copy, Default)]
struct Found {
    day: Option<i8>,
    month: Option<i8>,
    year: Option<i16>,
    hour: Option<i8>,
    minute: Option<i8>,
    second: Option<i8>,
}

impl Found {
    fn moment(&self, zone: &TimeZone) -> Option<Moment> {
        let date = civil::Date::new(self.year?, self.month?, self.day?).ok()?;
        let Some(hour) = self.hour else {
            return Some(Moment::from_date(date, zone));
        };
        let precision = match (self.minute, self.second) {
            (_, Some(_)) => Precision::Second,
            _ => Precision::Minute,
        };
        let time = civil::Time::new(hour, self.minute.unwrap_or(0), self.second.unwrap_or(0), 0).ok()?;
        Some(Moment::from_local(date.to_datetime(time), zone, precision))
    }
}

/// Reads along the parts; the rest of the text.
fn read<'t>(parts: &[Part], text: &'t str, found: &mut Found) -> Option<&'t str> {
    let mut rest = text;
    for part in parts {
        rest = match part {
            Part::Day => number(rest, 2, &mut found.day)?,
            Part::Month => number(rest, 2, &mut found.month)?,
            Part::Hour => number(rest, 2, &mut found.hour)?,
            Part::Minute => number(rest, 2, &mut found.minute)?,
            Part::Second => number(rest, 2, &mut found.second)?,
            Part::Year => {
                let after = number(rest, 4, &mut found.year)?;
                found.year.filter(|year| *year >= 1000)?;
                after
            }
            Part::ShortYear => {
                let after = number(rest, 2, &mut found.year)?;
                found.year = found.year.map(|year| year + 2000);
                after
            }
            Part::Sign(' ') => {
                let after = rest.trim_start();
                if after.len() == rest.len() {
                    return None;
                }
                after
            }
            Part::Sign(sign) => {
                let first = rest.chars().next()?;
                if first.to_lowercase().next() != Some(*sign) {
                    return None;
                }
                &rest[first.len_utf8()..]
            }
            Part::Optional(inner) => {
                let mut attempt = *found;
                match read(inner, rest, &mut attempt) {
                    Some(after) => {
                        *found = attempt;
                        after
                    }
                    None => rest,
                }
            }
        };
    }
    Some(rest)
}

fn number<'t, N: std::str::FromStr>(text: &'t str, most: usize, into: &mut Option<N>) -> Option<&'t str> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    *into = Some(text.get(..length).filter(|digits| !digits.is_empty())?.parse().ok()?);
    Some(&text[length..])
}

/// ISO 8601: with an offset or `Z` an instant, shown in `zone`; without one a wall clock of `zone`; a date alone stays one.
pub fn iso(text: &str, zone: &TimeZone) -> Option<Moment> {
    let text = text.trim();
    if text.len() > LONGEST_DATE || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let written = text.replacen(' ', "T", 1);
    if let Ok(instant) = written.parse::<Timestamp>() {
        return Some(in_zone(instant, zone, precision(&written)).with_source_text(text));
    }
    if let Ok(day) = written.parse::<civil::Date>()
        && !written.contains('T')
    {
        return Some(Moment::from_date(day, zone).with_source_text(text));
    }
    let local: civil::DateTime = written.parse().ok()?;
    Some(Moment::from_local(local, zone, precision(&written)).with_source_text(text))
}

/// Seconds or milliseconds since 1970, told apart by their size.
pub fn epoch(text: &str, zone: &TimeZone) -> Option<Moment> {
    let number: f64 = text.trim().parse().ok()?;
    // Seconds reach this number in the year 5138, milliseconds left it behind in 1973.
    let seconds = if number.abs() < 1e11 { number } else { number / 1000.0 };
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let instant = Timestamp::from_duration(since).ok()?;
    Some(in_zone(instant, zone, Precision::Second).with_source_text(text))
}

/// The instant by which something with this moment must be done: of a date, the last second of the day in its zone.
pub fn due(moment: &Moment) -> Option<Timestamp> {
    if let Some(instant) = moment.instant() {
        return Some(instant);
    }
    let day: civil::Date = moment.value.parse().ok()?;
    let zone = TimeZone::get(&moment.zone).ok()?;
    let end = zone.to_ambiguous_zoned(day.at(23, 59, 59, 0)).compatible().ok()?;
    Some(end.timestamp())
}

fn in_zone(instant: Timestamp, zone: &TimeZone, precision: Precision) -> Moment {
    Moment::from_local(instant.to_zoned(zone.clone()).datetime(), zone, precision)
}

/// `T10:30` is exact to the minute, `T10:30:15` to the second.
fn precision(written: &str) -> Precision {
    let time = written.split_once('T').map_or("", |(_, time)| time);
    let clock = time.split(['Z', 'z', '+', '-']).next().unwrap_or_default();
    if clock.matches(':').count() < 2 {
        Precision::Minute
    } else {
        Precision::Second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perm() -> TimeZone {
        TimeZone::get("Asia/Yekaterinburg").expect("a zone")
    }

    fn read(pattern: &str, text: &str) -> Option<(String, Precision)> {
        let moment = Pattern::parse(pattern).expect("a pattern").read(text, &perm())?;
        Some((moment.value, moment.precision))
    }

    #[test]
    fn a_date_alone_stays_a_date() {
        assert_eq!(
            read("dd.mm.yyyy[ hh:mm]", "05.01.2026"),
            Some(("2026-01-05".into(), Precision::Date))
        );
        assert_eq!(
            read("dd.mm.yyyy[ hh:mm[:ss]]", "05.01.2026  10:30"),
            Some(("2026-01-05T10:30:00+05:00".into(), Precision::Minute))
        );
        assert_eq!(
            read(
                "ДД.ММ.ГГГГ"
                    .to_lowercase()
                    .replace("дд", "dd")
                    .replace("мм", "mm")
                    .replace("гггг", "yyyy")
                    .as_str(),
                "5.1.2026"
            ),
            Some(("2026-01-05".into(), Precision::Date))
        );
        assert_eq!(
            read("yyyy/mm/dd, hh:mm:ss", "2026/01/05, 10:30:15"),
            Some(("2026-01-05T10:30:15+05:00".into(), Precision::Second))
        );
        assert_eq!(
            read("dd.mm.yy", "05.01.26"),
            Some(("2026-01-05".into(), Precision::Date))
        );
    }

    #[test]
    fn what_is_written_otherwise_is_none() {
        for text in ["", "-", "31.02.2026", "5 января", "05.01.2026 10:30", "05.01.26"] {
            assert_eq!(read("dd.mm.yyyy", text), None, "{text}");
        }
        for pattern in [
            "",
            "dd.mm",
            "ddd.mm.yyyy",
            "dd.mm.yyyy[",
            "dd.mm.yyyy]",
            "[[[[[[dd.mm.yyyy]]]]]]",
        ] {
            assert_eq!(Pattern::parse(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn iso_keeps_the_instant_and_shows_the_zone() {
        let value = |text: &str| iso(text, &perm()).map(|moment| (moment.value, moment.precision));
        assert_eq!(
            value("2026-01-05T10:30:15Z"),
            Some(("2026-01-05T15:30:15+05:00".into(), Precision::Second))
        );
        assert_eq!(
            value("2026-01-05 10:30"),
            Some(("2026-01-05T10:30:00+05:00".into(), Precision::Minute))
        );
        assert_eq!(value("2026-01-05"), Some(("2026-01-05".into(), Precision::Date)));
        assert_eq!(value("05.01.2026"), None);
    }

    #[test]
    fn epochs_are_seconds_or_milliseconds() {
        let value = |text: &str| epoch(text, &perm()).map(|moment| moment.value);
        assert_eq!(value("1767609000"), Some("2026-01-05T15:30:00+05:00".into()));
        assert_eq!(value("1767609000000"), value("1767609000"));
        assert_eq!((value("x"), value("1e300"), value("NaN")), (None, None, None));
    }

    #[test]
    fn a_day_is_due_at_its_end() {
        let day = iso("2026-01-05", &perm()).expect("a day");
        assert_eq!(
            due(&day).map(|at| at.to_string()).as_deref(),
            Some("2026-01-05T18:59:59Z")
        );
    }
}
