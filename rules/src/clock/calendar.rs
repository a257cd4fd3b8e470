//! Working days and hours: which days people work, and from when to when. Pure arithmetic over local time.
//!
//! Lists of one year are laid over each other day by day, the later one on top: the federal calendar lies below, so a
//! region can make a holiday of a day people work on elsewhere, and a working day of a holiday. What no list names is a
//! weekend or a working day by its name.
//!
//! A year without a production calendar still has weekends; what is counted over it says so ([`Counted::complete`]),
//! because a wrong deadline that looks right is worse than a marked one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    SignedDuration, ToSpan,
    civil::{Date, DateTime, Time, Weekday, time},
};

/// Days looked at before a count gives up: more than the longest clock.
const MOST_DAYS: usize = 6_000;

/// The production calendars of a rule set.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    years: BTreeMap<i16, BTreeMap<Date, Day>>,
    pub(crate) day: WorkDay,
}

/// One list of one year. No day is off and worked on in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Year {
    /// Days off beside weekends.
    pub(crate) holidays: BTreeSet<Date>,
    /// Weekends and holidays people work on.
    pub(crate) working: BTreeSet<Date>,
    /// Days that end an hour earlier, when people work on them; a day of the week is one.
    pub(crate) short: BTreeSet<Date>,
}

/// What the lists say of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Off,
    Whole,
    Short,
}

/// From when to when people work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkDay {
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// The break, when there is one.
    pub(crate) pause: Option<(Time, Time)>,
}

impl Default for WorkDay {
    /// Eight hours from nine to six.
    fn default() -> Self {
        Self {
            from: time(9, 0, 0, 0),
            to: time(18, 0, 0, 0),
            pause: Some((time(13, 0, 0, 0), time(14, 0, 0, 0))),
        }
    }
}

/// Where the last day goes when nobody works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roll {
    /// The next working day (ГК ст. 193, by analogy).
    Next,
    /// The working day before (internal instructions of many bodies).
    Previous,
}

/// A result, and whether every year it went over has its calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted<T> {
    pub(crate) value: T,
    pub(crate) complete: bool,
}

impl Calendar {
    pub(crate) fn new(day: WorkDay) -> Self {
        Self {
            years: BTreeMap::new(),
            day,
        }
    }

    /// Lays a list over what is known of its year.
    pub(crate) fn add(&mut self, year: i16, list: Year) {
        let known = self.years.entry(year).or_default();
        let off = list.holidays.into_iter().map(|day| (day, Day::Off));
        let whole = list.working.iter().map(|day| (*day, Day::Whole));
        known.extend(off.chain(whole));
        // A shorter Saturday is one only when people work on it.
        let is_worked = |day: &Date, known: &BTreeMap<Date, Day>| {
            !is_weekend(*day) || known.get(day).is_some_and(|known| *known != Day::Off)
        };
        for day in list.short {
            if is_worked(&day, known) {
                known.insert(day, Day::Short);
            }
        }
    }

    fn named(&self, day: Date) -> Option<Day> {
        self.years.get(&day.year())?.get(&day).copied()
    }

    fn is_working(&self, day: Date) -> bool {
        match self.named(day) {
            Some(named) => named != Day::Off,
            None => !is_weekend(day),
        }
    }

    /// Whether people work on a day at all.
    pub(crate) fn is_working_day(&self, day: Date) -> Counted<bool> {
        Counted {
            value: self.is_working(day),
            complete: self.knows(day, day),
        }
    }

    /// Whether people work at a moment: not in the break, not in the hour that a short day lacks.
    pub(crate) fn is_working_time(&self, at: DateTime) -> bool {
        let mut spans = self.spans(at.date()).into_iter();
        spans.any(|(from, to)| from <= at.time() && at.time() < to)
    }

    fn knows(&self, from: Date, to: Date) -> bool {
        (from.year().min(to.year())..=from.year().max(to.year())).all(|year| self.years.contains_key(&year))
    }

    /// The day that stands `days` working days after `start` (before it, when negative); `start` itself does not count.
    pub(crate) fn working_days(&self, start: Date, days: i64) -> Counted<Date> {
        let step = days.signum();
        let (mut day, mut left) = (start, days.abs());
        for _ in 0..MOST_DAYS {
            if left == 0 {
                break;
            }
            day = day.saturating_add(step.days());
            left -= i64::from(self.is_working(day));
        }
        Counted {
            value: day,
            complete: self.knows(start, day),
        }
    }

    /// The day itself when people work on it, else the nearest one in the given direction.
    pub(crate) fn roll(&self, day: Date, roll: Roll) -> Counted<Date> {
        let step = match roll {
            Roll::Next => 1,
            Roll::Previous => -1,
        };
        let mut rolled = day;
        for _ in 0..MOST_DAYS {
            if self.is_working(rolled) {
                break;
            }
            rolled = rolled.saturating_add(step.days());
        }
        Counted {
            value: rolled,
            complete: self.knows(day, rolled),
        }
    }

    /// The moment after so much working time.
    pub(crate) fn after(&self, start: DateTime, mut left: SignedDuration) -> Counted<DateTime> {
        let mut day = start.date();
        for _ in 0..MOST_DAYS {
            for (from, to) in self.spans(day) {
                let (from, to) = (day.to_datetime(from).max(start), day.to_datetime(to));
                if from >= to {
                    continue;
                }
                let length = to.duration_since(from);
                if left <= length {
                    return self.counted(start, from.saturating_add(left));
                }
                left -= length;
            }
            day = day.saturating_add(1.day());
        }
        self.counted(start, day.to_datetime(Time::midnight()))
    }

    /// The moment before so much working time.
    pub(crate) fn before(&self, end: DateTime, mut left: SignedDuration) -> Counted<DateTime> {
        let mut day = end.date();
        for _ in 0..MOST_DAYS {
            for (from, to) in self.spans(day).into_iter().rev() {
                let (from, to) = (day.to_datetime(from), day.to_datetime(to).min(end));
                if from >= to {
                    continue;
                }
                let length = to.duration_since(from);
                if left <= length {
                    return self.counted(end, to.saturating_sub(left));
                }
                left -= length;
            }
            day = day.saturating_sub(1.day());
        }
        self.counted(end, day.to_datetime(Time::midnight()))
    }

    fn counted(&self, from: DateTime, value: DateTime) -> Counted<DateTime> {
        Counted {
            value,
            complete: self.knows(from.date(), value.date()),
        }
    }

    /// Working time of a day, in order.
    fn spans(&self, day: Date) -> Vec<(Time, Time)> {
        if !self.is_working(day) {
            return Vec::new();
        }
        let WorkDay { from, mut to, pause } = self.day;
        if self.named(day) == Some(Day::Short) {
            to = to.saturating_sub(1.hour());
        }
        match pause {
            Some((pause, go_on)) => vec![(from, pause.min(to)), (go_on, to)],
            None => vec![(from, to)],
        }
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// 2026 as the starter set has it.
    fn russia() -> Calendar {
        let mut calendar = Calendar::new(WorkDay::default());
        let mut year = Year::default();
        year.holidays.extend((1..=9).map(|day| date(2026, 1, day)));
        year.holidays.extend(
            [(2, 23), (3, 9), (5, 1), (5, 11), (6, 12), (11, 4), (12, 31)].map(|(month, day)| date(2026, month, day)),
        );
        year.short
            .extend([(4, 30), (5, 8), (6, 11), (11, 3)].map(|(month, day)| date(2026, month, day)));
        calendar.add(2026, year);
        calendar
    }

    #[test]
    fn the_year_has_as_many_working_days_as_its_official_calendar() {
        let calendar = russia();
        let days = date(2026, 1, 1).series(1.day()).take_while(|day| day.year() == 2026);
        assert_eq!(days.filter(|day| calendar.is_working(*day)).count(), 247);
    }

    #[test]
    fn holidays_and_weekends_do_not_count() {
        let calendar = russia();
        let day = calendar.working_days(date(2026, 4, 30), 3);
        assert_eq!((day.value, day.complete), (date(2026, 5, 6), true));
        assert_eq!(calendar.working_days(date(2026, 5, 6), -3).value, date(2026, 4, 30));
    }

    #[test]
    fn a_year_without_its_calendar_is_marked() {
        let calendar = russia();
        let day = calendar.working_days(date(2026, 12, 30), 5);
        assert_eq!((day.value, day.complete), (date(2027, 1, 7), false));
    }

    #[test]
    fn a_region_adds_its_own_days() {
        let mut calendar = russia();
        let mut own = Year::default();
        own.holidays.insert(date(2026, 3, 20));
        own.working.insert(date(2026, 3, 21));
        calendar.add(2026, own);
        assert_eq!(calendar.working_days(date(2026, 3, 19), 1).value, date(2026, 3, 21));
    }

    #[test]
    fn a_later_list_wins_day_by_day() {
        let list = |days: &[(&str, Date)]| {
            let mut year = Year::default();
            for (kind, day) in days {
                match *kind {
                    "holiday" => year.holidays.insert(*day),
                    "working" => year.working.insert(*day),
                    _ => year.short.insert(*day),
                };
            }
            year
        };
        // A Saturday people work on, a holiday and a shorter day of the country.
        let (saturday, holiday, short) = (date(2026, 11, 7), date(2026, 6, 12), date(2026, 6, 11));
        let country = list(&[("working", saturday), ("holiday", holiday), ("short", short)]);
        for (own, expected) in [
            (list(&[]), (true, false, Some(Day::Short))),
            (list(&[("holiday", saturday)]), (false, false, Some(Day::Short))),
            (
                list(&[("working", holiday), ("holiday", short)]),
                (true, true, Some(Day::Off)),
            ),
            (
                list(&[("short", holiday), ("working", short)]),
                (true, true, Some(Day::Whole)),
            ),
            (list(&[("short", date(2026, 11, 14))]), (true, false, Some(Day::Short))),
        ] {
            let mut calendar = Calendar::new(WorkDay::default());
            calendar.add(2026, country.clone());
            calendar.add(2026, own.clone());
            let found = (
                calendar.is_working(saturday),
                calendar.is_working(holiday),
                calendar.named(short),
            );
            assert_eq!(found, expected, "{own:?}");
            assert!(
                !calendar.is_working(date(2026, 11, 14)),
                "short alone makes no Saturday a working one"
            );
        }
        let mut calendar = Calendar::new(WorkDay::default());
        calendar.add(2026, list(&[("working", saturday), ("short", saturday)]));
        assert_eq!(
            calendar.named(saturday),
            Some(Day::Short),
            "a shorter Saturday people work on"
        );
    }

    #[test]
    fn the_last_day_rolls_to_the_side_that_is_asked_for() {
        let calendar = russia();
        assert_eq!(calendar.roll(date(2026, 5, 9), Roll::Next).value, date(2026, 5, 12));
        assert_eq!(calendar.roll(date(2026, 5, 9), Roll::Previous).value, date(2026, 5, 8));
        assert_eq!(calendar.roll(date(2026, 5, 8), Roll::Next).value, date(2026, 5, 8));
    }

    #[test]
    fn working_hours_leave_out_the_night_the_break_and_the_short_hour() {
        let calendar = russia();
        let hours = SignedDuration::from_hours;
        let after = |start: DateTime, length| calendar.after(start, length).value;
        // Wednesday, noon: an hour until the break, four after it, three on Thursday.
        assert_eq!(
            after(date(2026, 4, 15).at(12, 0, 0, 0), hours(8)),
            date(2026, 4, 16).at(12, 0, 0, 0)
        );
        // The short Thursday before the First of May ends at five; Friday is off.
        assert_eq!(
            after(date(2026, 4, 30).at(16, 0, 0, 0), hours(2)),
            date(2026, 5, 4).at(10, 0, 0, 0)
        );
        // Saturday night begins on Monday morning.
        assert_eq!(
            after(date(2026, 4, 18).at(23, 0, 0, 0), hours(1)),
            date(2026, 4, 20).at(10, 0, 0, 0)
        );
        let before = calendar.before(date(2026, 5, 4).at(10, 0, 0, 0), hours(2)).value;
        assert_eq!(before, date(2026, 4, 30).at(16, 0, 0, 0));
    }

    proptest! {
        /// Whatever the start, going back by the same working time never comes out later than the start would.
        #[test]
        fn forth_and_back_never_gains_time(day in 0i32..360, minute in 0i64..1440, hours in 1i64..200) {
            let calendar = russia();
            let start = date(2026, 1, 1).saturating_add(day.days()).to_datetime(Time::midnight()).saturating_add(minute.minutes());
            let length = SignedDuration::from_hours(hours);
            let end = calendar.after(start, length).value;
            let back = calendar.before(end, length).value;
            prop_assert!(back >= start || calendar.after(back, length).value == end);
            prop_assert!(end > start);
        }
    }
}
