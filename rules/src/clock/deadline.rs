//! When a deadline falls. Pure arithmetic over the times of the message.

use jiff::{SignedDuration, Timestamp, ToSpan, civil, tz::TimeZone};
use priem_message::{DeadlineUnit, Moment, Precision, Times};

use crate::clock::calendar::{Calendar, Counted, Roll};

/// Last second of a day: a deadline in days lasts until the end of its day.
const END_OF_DAY: civil::Time = civil::time(23, 59, 59, 0);

/// How long a rule gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    pub(crate) length: Period,
    /// Where the last day goes when nobody works on it.
    pub(crate) roll: Option<Roll>,
    /// How much earlier the body's own date is.
    pub(crate) margin: Option<Period>,
}

/// How long a clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    /// Hours on end.
    CalendarHours(i64),
    /// Days by the calendar; the count starts the day after, the last day counts whole.
    CalendarDays(i64),
    /// Hours people work.
    WorkingHours(i64),
    /// Days people work; the count starts the day after, the last day counts whole.
    WorkingDays(i64),
}

/// Zone of the clocks.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) zone: TimeZone,
}

/// When a term ends.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) unit: DeadlineUnit,
    /// The body's own, earlier date.
    pub(crate) internal_at: Option<Timestamp>,
    /// Some year on the way has no production calendar.
    pub(crate) calendar_missing: bool,
}

/// When a term ends.
///
/// The clock starts when the source registered the message, else when the author wrote it, else when it was stored,
/// else now. Of a source that tells only the day, hours count from the beginning of that day: the result is never
/// later than the true deadline.
pub(crate) fn run(term: &Term, zone: &TimeZone, calendar: &Calendar, times: &Times, now: Timestamp) -> Due {
    let start = start(times, zone, now);
    let here = |at: Timestamp| zone.to_datetime(at);
    let mut complete = true;
    let mut whole = |counted: Counted<civil::DateTime>| {
        complete &= counted.complete;
        local(counted.value, zone)
    };
    let (due_at, unit) = match term.length {
        Period::CalendarHours(hours) => (
            start
                .saturating_add(SignedDuration::from_hours(hours))
                .unwrap_or(Timestamp::MAX),
            DeadlineUnit::CalendarHours,
        ),
        Period::CalendarDays(days) => {
            let day = here(start).date().saturating_add(days.days());
            let last = match term.roll {
                Some(roll) => calendar.roll(day, roll),
                None => Counted {
                    value: day,
                    complete: true,
                },
            };
            (whole(end_of(last)), DeadlineUnit::CalendarDays)
        }
        Period::WorkingHours(hours) => (
            whole(calendar.after(here(start), SignedDuration::from_hours(hours))),
            DeadlineUnit::WorkingHours,
        ),
        Period::WorkingDays(days) => (
            whole(end_of(calendar.working_days(here(start).date(), days))),
            DeadlineUnit::WorkingDays,
        ),
    };
    let internal_due_at = term.margin.map(|margin| {
        let earlier = match margin {
            Period::CalendarHours(hours) => due_at
                .saturating_sub(SignedDuration::from_hours(hours))
                .unwrap_or(Timestamp::MIN),
            Period::CalendarDays(days) => due_at
                .saturating_sub(SignedDuration::from_hours(24 * days))
                .unwrap_or(Timestamp::MIN),
            Period::WorkingHours(hours) => whole(calendar.before(here(due_at), SignedDuration::from_hours(hours))),
            Period::WorkingDays(days) => whole(end_of(calendar.working_days(here(due_at).date(), -days))),
        };
        // A margin longer than the period leaves no time at all, and no time before the start.
        earlier.max(start)
    });
    Due {
        at: due_at,
        unit,
        internal_at: internal_due_at,
        calendar_missing: !complete,
    }
}

/// A day lasts to its end.
fn end_of(day: Counted<civil::Date>) -> Counted<civil::DateTime> {
    Counted {
        value: day.value.to_datetime(END_OF_DAY),
        complete: day.complete,
    }
}

fn start(times: &Times, zone: &TimeZone, now: Timestamp) -> Timestamp {
    let moments = [&times.at_source, &times.occurred];
    let known = moments.into_iter().flatten().find_map(|moment| beginning(moment, zone));
    let stored = (times.received != Timestamp::UNIX_EPOCH).then_some(times.received);
    known.or(stored).unwrap_or(now)
}

fn beginning(moment: &Moment, zone: &TimeZone) -> Option<Timestamp> {
    match moment.precision {
        Precision::Date => {
            let day: civil::Date = moment.value.parse().ok()?;
            let own = TimeZone::get(&moment.zone).ok();
            Some(local(
                day.to_datetime(civil::Time::midnight()),
                own.as_ref().unwrap_or(zone),
            ))
        }
        Precision::Minute | Precision::Second => moment.instant(),
    }
}

/// The instant of a local time; one that a clock change skips or repeats is read as the clock before the change.
fn local(at: civil::DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_ambiguous_timestamp(at).compatible().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::calendar::WorkDay;

    fn due(length: Period, times: &Times) -> String {
        let zone = TimeZone::get("Asia/Yekaterinburg").expect("zone");
        let term = Term {
            length,
            roll: None,
            margin: None,
        };
        let calendar = Calendar::new(WorkDay::default());
        let now = "2026-03-01T00:00:00Z".parse().expect("instant");
        run(&term, &zone, &calendar, times, now).at.to_string()
    }

    fn received(at: &str) -> Times {
        Times {
            received: at.parse().expect("instant"),
            ..Times::default()
        }
    }

    #[test]
    fn hours_run_on_end_and_days_last_to_their_end() {
        let times = received("2026-01-15T05:00:00Z");
        assert_eq!(due(Period::CalendarHours(24), &times), "2026-01-16T05:00:00Z");
        assert_eq!(due(Period::CalendarDays(30), &times), "2026-02-14T18:59:59Z");
    }

    #[test]
    fn late_evening_in_perm_is_still_that_day() {
        // 20:30 UTC is 01:30 of the next day in Perm.
        assert_eq!(
            due(Period::CalendarDays(1), &received("2026-01-15T20:30:00Z")),
            "2026-01-17T18:59:59Z"
        );
    }

    #[test]
    fn a_bare_date_never_gives_a_later_deadline_than_the_true_one() {
        let zone = TimeZone::get("Asia/Yekaterinburg").expect("zone");
        let mut times = received("2026-01-15T13:00:00Z");
        times.at_source = Some(Moment::from_date(civil::date(2026, 1, 15), &zone));
        assert_eq!(due(Period::CalendarHours(24), &times), "2026-01-15T19:00:00Z");
    }

    #[test]
    fn without_any_time_the_clock_starts_now() {
        assert_eq!(due(Period::CalendarHours(1), &Times::default()), "2026-03-01T01:00:00Z");
    }
}
