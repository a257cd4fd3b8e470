//! A compiled rule set: what the files say, references resolved, inheritance done.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use priem_sdk::message::{DeadlineBasis, DeadlineStage, Recipient};

use super::calendar::Roll;
use super::condition::Condition;
use super::index::Index;

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) file: Arc<PathBuf>,
    pub(super) line: u32,
}

/// What every rule and route has.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Stable, unique in the set.
    pub(super) id: String,
    /// Russian name for people.
    pub(super) name: String,
    pub(super) origin: Origin,
    /// `None` always holds.
    pub(super) when: Option<Condition>,
}

/// An entry of `classify`.
#[derive(Debug)]
pub(super) struct ClassifyRule {
    pub(super) head: Head,
    pub(super) set: Effects,
}

/// What an entry of `classify` contributes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Effects {
    pub(super) sector: Option<String>,
    pub(super) topic: Vec<String>,
    pub(super) territory: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) flags: Vec<String>,
    pub(super) priority: Option<u8>,
    pub(super) review: Option<bool>,
    pub(super) hint: Option<String>,
    /// What few entries have.
    pub(super) handling: Option<Box<Handling>>,
    /// Later entries are not looked at.
    pub(super) stop: bool,
}

/// What an entry of `classify` says about the way of the message, over what its route says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Handling {
    pub(super) recipient: Option<Recipient>,
    pub(super) queue: Option<String>,
    /// Besides the copies of the route.
    pub(super) also: Vec<Copy>,
    pub(super) deadline_policy: Option<String>,
    pub(super) personal_data: Option<String>,
}

/// A node of the `route` tree.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) head: Head,
    /// Own settings over those of the parents.
    pub(super) target: Target,
    pub(super) children: Vec<Route>,
    /// Over `children`.
    pub(super) index: Index,
    /// The table whose row it is; a table has no condition of its own.
    pub(super) table: Option<Arc<Head>>,
}

/// Where a route sends.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Target {
    pub(super) recipient: Recipient,
    pub(super) queue: String,
    pub(super) priority: Option<u8>,
    pub(super) review: Option<bool>,
    /// Of the node and its parents.
    pub(super) tags: Vec<String>,
    /// Copies of the node and its parents.
    pub(super) also: Vec<Copy>,
    pub(super) deadline_policy: Option<String>,
    pub(super) personal_data: Option<String>,
}

/// A copy for information.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Copy {
    pub(super) recipient: Recipient,
    pub(super) queue: String,
}

/// An entry of `deadlines`.
#[derive(Debug)]
pub(super) struct DeadlineRule {
    pub(super) head: Head,
    pub(super) stage: DeadlineStage,
    pub(super) term: Period,
    /// Where the last day goes when nobody works on it.
    pub(super) roll: Option<Roll>,
    /// How much earlier the body's own date is.
    pub(super) margin: Option<Period>,
    pub(super) basis: DeadlineBasis,
}

/// How long a clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
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
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) zone: TimeZone,
}

/// Names of the sectors, in the order of the files: (id, Russian name). Empty when no file declares any.
pub(super) type Sectors = Vec<(String, String)>;
