//! Time as rules know it: working days and hours, days of validity, and when a deadline falls. Pure arithmetic; nobody here looks at a clock.

pub(crate) mod calendar;
pub(crate) mod dates;
pub(crate) mod deadline;
