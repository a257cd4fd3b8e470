//! Conditions about time: season, day of the week, hours of the day, working time, age.
//!
//! All look at the moment the author wrote, else the source registered, else Priem stored it, by the clock of the rule
//! set (`zone`). A source that tells only the day says nothing about the hour: then no condition on hours holds. Age
//! is counted up to the moment of the decision, so only it (and `dates`) may change when a message is decided
//! again.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use priem_message::{Moment, Precision, Times};

use crate::clock::calendar::Calendar;
use crate::engine::fields::{Field, NO, YES};

/// Days of the week as rules write them, Monday first.
pub(crate) const WEEKDAYS: &[&str] = &["пн", "вт", "ср", "чт", "пт", "сб", "вс"];
/// Minutes of a day.
const DAY: u32 = 24 * 60;
/// Longest age a rule may ask for: a hundred years.
const LONGEST_AGE_MINUTES: i64 = 100 * 366 * DAY as i64;

/// A condition about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MomentTest {
    /// Month and day, both ends included; wraps the year when it ends before it begins.
    Season { from: (i8, i8), to: (i8, i8) },
    /// From Monday, 0.
    Weekday(i8),
    /// Minutes of the day, the end not included; wraps midnight when it ends before it begins.
    Hours { from: u32, to: u32 },
    /// Older than so many minutes.
    Older(i64),
    /// Younger than so many minutes.
    Younger(i64),
    /// Whether people work then, by the production calendar.
    Working(bool),
}

/// The moment of a message as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    local: civil::DateTime,
    /// The source told more than the day.
    has_time: bool,
    age: SignedDuration,
    /// Whether people work then; unknown for a bare working day.
    working: Option<bool>,
    /// That was asked of a year without a production calendar.
    lacks_calendar: bool,
}

impl Seen {
    /// The same, having looked whether people work then.
    pub(crate) fn with_work(mut self, calendar: &Calendar) -> Self {
        let day = calendar.is_working_day(self.local.date());
        self.lacks_calendar = !day.complete;
        self.working = match (day.value, self.has_time) {
            (false, _) => Some(false),
            (true, true) => Some(calendar.is_working_time(self.local)),
            (true, false) => None,
        };
        self
    }

    /// Whether a condition on working time was asked of a year without a production calendar.
    pub(crate) fn lacks_calendar(&self) -> bool {
        self.lacks_calendar
    }

    /// The moment of a message by the clock of `zone`.
    pub(crate) fn of(times: &Times, zone: &TimeZone, now: Timestamp) -> Self {
        let known = [&times.occurred, &times.at_source];
        if let Some(seen) = known
            .into_iter()
            .flatten()
            .find_map(|moment| Self::read(moment, zone, now))
        {
            return seen;
        }
        let stored = Some(times.received).filter(|&at| at != Timestamp::UNIX_EPOCH);
        Self::at(stored.unwrap_or(now), zone, now)
    }

    fn read(moment: &Moment, zone: &TimeZone, now: Timestamp) -> Option<Self> {
        if moment.precision != Precision::Date {
            return Some(Self::at(moment.instant()?, zone, now));
        }
        let day: civil::Date = moment.value.parse().ok()?;
        let local = day.to_datetime(civil::Time::midnight());
        let start = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Self {
            local,
            has_time: false,
            age: now.duration_since(start),
            working: None,
            lacks_calendar: false,
        })
    }

    fn at(at: Timestamp, zone: &TimeZone, now: Timestamp) -> Self {
        Self {
            local: zone.to_datetime(at),
            has_time: true,
            age: now.duration_since(at),
            working: None,
            lacks_calendar: false,
        }
    }

    /// What explanations show for a field.
    pub(crate) fn shown(&self, field: Field) -> Option<String> {
        match field {
            Field::Season => Some(self.local.strftime("%d.%m").to_string()),
            Field::Weekday => Some(WEEKDAYS[self.weekday() as usize].to_owned()),
            Field::Hours if self.has_time => Some(self.local.strftime("%H:%M").to_string()),
            Field::WorkingTime => {
                let answer = if self.working? { YES } else { NO };
                let at = self.local.strftime(if self.has_time { "%d.%m %H:%M" } else { "%d.%m" });
                Some(format!("{answer} ({at})"))
            }
            Field::OlderThan | Field::YoungerThan => Some(age_ru(self.age)),
            _ => None,
        }
    }

    fn weekday(&self) -> i8 {
        self.local.weekday().to_monday_zero_offset()
    }
}

/// «3 дн. 4 ч.»
fn age_ru(age: SignedDuration) -> String {
    let hours = age.as_hours();
    match hours {
        ..1 => format!("{} мин.", age.as_mins().max(0)),
        1..48 => format!("{hours} ч."),
        _ => format!("{} дн.", hours / 24),
    }
}

impl MomentTest {
    /// Reads a value of a field about time. `None` for other fields and for what can't be read.
    pub(crate) fn parse(field: Field, written: &str) -> Option<Self> {
        match field {
            Field::Season => {
                let (from, to) = ends(written)?;
                Some(Self::Season {
                    from: day_of_year(from)?,
                    to: day_of_year(to)?,
                })
            }
            Field::Weekday => {
                let day = WEEKDAYS.iter().position(|day| *day == written.trim().to_lowercase())?;
                Some(Self::Weekday(i8::try_from(day).ok()?))
            }
            Field::Hours => {
                let (from, to) = ends(written)?;
                let (from, to) = (minute_of_day(from)?, minute_of_day(to)?);
                (from != to && from < DAY).then_some(Self::Hours { from, to })
            }
            Field::WorkingTime => match written {
                YES => Some(Self::Working(true)),
                NO => Some(Self::Working(false)),
                _ => None,
            },
            Field::OlderThan => Some(Self::Older(minutes(written)?)),
            Field::YoungerThan => Some(Self::Younger(minutes(written)?)),
            _ => None,
        }
    }

    /// Whether it holds.
    pub(crate) fn holds(self, seen: &Seen) -> bool {
        match self {
            Self::Season { from, to } => {
                let day = (seen.local.month(), seen.local.day());
                if from <= to {
                    from <= day && day <= to
                } else {
                    from <= day || day <= to
                }
            }
            Self::Weekday(day) => seen.weekday() == day,
            Self::Hours { from, to } => {
                let minute =
                    u32::from(seen.local.hour().unsigned_abs()) * 60 + u32::from(seen.local.minute().unsigned_abs());
                let inside = if from < to {
                    from <= minute && minute < to
                } else {
                    from <= minute || minute < to
                };
                seen.has_time && inside
            }
            Self::Older(minutes) => seen.age > SignedDuration::from_mins(minutes),
            Self::Younger(minutes) => seen.age < SignedDuration::from_mins(minutes),
            Self::Working(wanted) => seen.working == Some(wanted),
        }
    }

    /// One spelling per meaning.
    pub(crate) fn canonical(self) -> String {
        match self {
            Self::Season { from, to } => format!("{:02}.{:02}–{:02}.{:02}", from.1, from.0, to.1, to.0),
            Self::Weekday(day) => WEEKDAYS[day as usize].to_owned(),
            Self::Hours { from, to } => {
                format!("{:02}:{:02}–{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
            }
            Self::Working(wanted) => if wanted { YES } else { NO }.to_owned(),
            Self::Older(minutes) | Self::Younger(minutes) => format!("{minutes} мин"),
        }
    }
}

/// How a value of a field about time is written, for authors.
pub(crate) fn example(field: Field) -> &'static str {
    match field {
        Field::Season => "день и месяц с начала по конец: \"15.10–15.04\" (может переходить через Новый год)",
        Field::Hours => "часы с начала до конца: \"9:00–18:00\" (может переходить через полночь)",
        _ => "число и единица: \"3 дня\", \"24 часа\", \"30 минут\", \"2 недели\"",
    }
}

/// Both ends of «от–до»; any dash will do.
fn ends(written: &str) -> Option<(&str, &str)> {
    let (from, to) = written.split_once(['-', '–', '—'])?;
    Some((from.trim(), to.trim()))
}

/// «15.10» → (10, 15). The 29th of February is a day.
fn day_of_year(written: &str) -> Option<(i8, i8)> {
    let (day, month) = written.split_once('.')?;
    let (day, month) = (day.parse().ok()?, month.parse().ok()?);
    const LEAP_YEAR: i16 = 2024;
    civil::Date::new(LEAP_YEAR, month, day).ok()?;
    Some((month, day))
}

/// «9:30» → 570; «24:00» is the end of the day.
fn minute_of_day(written: &str) -> Option<u32> {
    let (hour, minute) = written.split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (hour <= 24 && minute < 60 && at <= DAY).then_some(at)
}

/// «3 дня» → minutes.
fn minutes(written: &str) -> Option<i64> {
    let written = written.trim().to_lowercase();
    let digits = written.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = written.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let unit = unit.trim().trim_end_matches('.');
    let each = match unit {
        "мин" | "минута" | "минуты" | "минуту" | "минут" => 1,
        "ч" | "час" | "часа" | "часов" => 60,
        "дн" | "день" | "дня" | "дней" | "сутки" | "суток" => i64::from(DAY),
        "неделя" | "недели" | "неделю" | "недель" => 7 * i64::from(DAY),
        _ => return None,
    };
    let minutes = number.checked_mul(each)?;
    (1..=LONGEST_AGE_MINUTES).contains(&minutes).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at: &str) -> Seen {
        let zone = TimeZone::get("Asia/Yekaterinburg").expect("zone");
        let now = "2026-03-01T00:00:00Z".parse().expect("instant");
        let occurred = match at.parse::<civil::Date>() {
            Ok(day) if at.len() == 10 => Moment::from_date(day, &zone),
            _ => Moment::from_instant(at.parse().expect("instant")),
        };
        let times = Times {
            occurred: Some(occurred),
            ..Times::default()
        };
        Seen::of(&times, &zone, now)
    }

    fn holds(field: Field, written: &str, at: &str) -> bool {
        MomentTest::parse(field, written).expect("reads").holds(&seen(at))
    }

    #[test]
    fn a_season_may_wrap_the_year() {
        for (at, inside) in [
            ("2026-01-10", true),
            ("2025-10-15", true),
            ("2025-10-14", false),
            ("2026-04-15", true),
            ("2026-04-16", false),
            ("2024-02-29", true),
        ] {
            assert_eq!(holds(Field::Season, "15.10–15.04", at), inside, "{at}");
        }
        assert!(holds(Field::Season, "1.6-31.8", "2026-07-01"));
        // 20:30 UTC on the last day of May is June already in Perm.
        assert!(holds(Field::Season, "1.6-31.8", "2026-05-31T20:30:00Z"));
    }

    #[test]
    fn hours_and_days_follow_the_clock_of_the_rules() {
        // Thursday, 10:00 in Perm.
        let at = "2026-01-15T05:00:00Z";
        assert!(holds(Field::Hours, "9:00–18:00", at) && !holds(Field::Hours, "18:00–9:00", at));
        assert!(holds(Field::Hours, "10:00-24:00", at) && !holds(Field::Hours, "9:00-10:00", at));
        assert!(holds(Field::Weekday, "чт", at) && !holds(Field::Weekday, "пт", at));
        assert!(
            !holds(Field::Hours, "0:00–24:00", "2026-01-15"),
            "a bare date has no hour"
        );
    }

    #[test]
    fn age_is_counted_up_to_the_decision() {
        let at = "2026-02-26T00:00:00Z";
        assert!(holds(Field::OlderThan, "2 дня", at) && !holds(Field::OlderThan, "3 дня", at));
        assert!(holds(Field::YoungerThan, "1 неделя", at) && !holds(Field::YoungerThan, "72 часа", at));
    }

    #[test]
    fn nonsense_is_not_read() {
        for (field, written) in [
            (Field::Season, "32.01–01.02"),
            (Field::Season, "зима"),
            (Field::Season, "30.02–01.03"),
            (Field::Hours, "9–18"),
            (Field::Hours, "9:00–25:00"),
            (Field::Hours, "9:00–9:00"),
            (Field::OlderThan, "3"),
            (Field::OlderThan, "0 дней"),
            (Field::OlderThan, "3 мес"),
            (Field::OlderThan, "99999999999999999 недель"),
        ] {
            assert_eq!(MomentTest::parse(field, written), None, "{written}");
        }
    }

    #[test]
    fn a_canonical_spelling_means_the_same() {
        for (field, written) in [
            (Field::Season, "1.6 - 31.8"),
            (Field::Hours, "9:00—18:30"),
            (Field::OlderThan, "2 недели"),
            (Field::Weekday, "ВС"),
        ] {
            let test = MomentTest::parse(field, written).expect("reads");
            assert_eq!(MomentTest::parse(field, &test.canonical()), Some(test), "{written}");
        }
    }
}
