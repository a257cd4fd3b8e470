//! Days on which something is in force: the condition `dates`, and the validity of a row of a table.
//!
//! Counted at the moment of the decision by the clock of the rules (`zone`), both ends included: a body that answers
//! from the 1st of July gets whatever is decided from then on, also what was written in June.

use jiff::civil::Date;
use priem_tables::dates::day_in_full;

/// From a day to a day; an open end has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dates {
    pub(crate) from: Option<Date>,
    pub(crate) until: Option<Date>,
}

/// How days are written, for authors.
pub(crate) const EXAMPLE: &str = "\"01.01.2026–31.12.2026\", \"с 01.07.2026\" или \"по 31.12.2026\"";

impl Dates {
    /// Reads «01.01.2026–31.12.2026», «с 01.07.2026», «по 31.12.2026». `None` for anything else, for days that are none,
    /// and for an end before the beginning.
    pub(crate) fn parse(written: &str) -> Option<Self> {
        let written = written.trim();
        let dates = if let Some(day) = written.strip_prefix("с ") {
            Self {
                from: Some(day_in_full(day)?),
                until: None,
            }
        } else if let Some(day) = written.strip_prefix("по ") {
            Self {
                from: None,
                until: Some(day_in_full(day)?),
            }
        } else {
            let (from, until) = written.split_once(['–', '—']).or_else(|| written.split_once('-'))?;
            Self {
                from: Some(day_in_full(from)?),
                until: Some(day_in_full(until)?),
            }
        };
        dates.is_possible().then_some(dates)
    }

    /// Whether the end is not before the beginning.
    pub(crate) fn is_possible(self) -> bool {
        self.from.zip(self.until).is_none_or(|(from, until)| from <= until)
    }

    /// Whether there are no bounds at all.
    pub(crate) fn is_always(self) -> bool {
        self == Self::default()
    }

    /// Whether a day is among them.
    pub(crate) fn hold_on(self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }

    /// Whether some day is among both.
    pub(crate) fn meet(self, other: Self) -> bool {
        let begins_in_time =
            |one: Self, other: Self| one.from.zip(other.until).is_none_or(|(from, until)| from <= until);
        begins_in_time(self, other) && begins_in_time(other, self)
    }

    /// «с 01.01.2026 по 31.12.2026».
    pub(crate) fn shown(self) -> String {
        let ends = [("с", self.from), ("по", self.until)];
        let shown: Vec<String> = ends
            .into_iter()
            .filter_map(|(word, day)| Some(format!("{word} {}", day_ru(day?))))
            .collect();
        shown.join(" ")
    }
}

/// «31.12.2026».
pub(crate) fn day_ru(day: Date) -> String {
    day.strftime("%d.%m.%Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_days_of_it_and_an_open_end_has_no_bound() {
        let year = Dates::parse("01.01.2026–31.12.2026").expect("days");
        let on = |dates: Dates, day: &str| dates.hold_on(day_in_full(day).expect("a day"));
        assert!(on(year, "01.01.2026") && on(year, "31.12.2026"));
        assert!(!on(year, "31.12.2025") && !on(year, "01.01.2027"));
        assert!(on(Dates::parse("с 01.07.2026").expect("days"), "2099-01-01"));
        assert!(on(Dates::parse("по 30.06.2026").expect("days"), "1999-01-01"));
        assert_eq!(year.shown(), "с 01.01.2026 по 31.12.2026");
        assert_eq!(Dates::parse("2026-01-01 — 2026-12-31"), Some(year));
    }

    #[test]
    fn what_is_no_range_of_days_is_not_guessed() {
        for written in [
            "",
            "2026",
            "31.12.26–01.01.27",
            "30.02.2026–01.03.2026",
            "02.01.2026–01.01.2026",
            "с",
        ] {
            assert_eq!(Dates::parse(written), None, "{written}");
        }
    }

    #[test]
    fn ranges_meet_when_a_day_is_in_both() {
        let dates = |written| Dates::parse(written).expect("days");
        assert!(dates("по 30.06.2026").meet(dates("с 30.06.2026")));
        assert!(!dates("по 30.06.2026").meet(dates("с 01.07.2026")));
        assert!(!dates("с 01.07.2026").meet(dates("по 30.06.2026")));
        assert!(Dates::default().meet(dates("01.01.2026–02.01.2026")));
    }
}
