//! What the report says, for programs as it stands; `sections` says the same for people. Holds no contacts, no names of
//! authors and no addresses of their pages.

use jiff::{Timestamp, tz::TimeZone};
use priem_connectors::files::probe::{Failure, KnownColumn, ProbeReport};
use serde::Serialize;

/// The report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The moment terms are compared with.
    pub at: Timestamp,
    /// The same as people of the zone read it.
    pub at_local: String,
    /// Version of the rules that decided.
    pub rules_version: String,
    /// Every file, by name.
    pub files: Vec<FileReport>,
    /// Different messages in all files.
    pub messages: u64,
    /// Names in the folder that are never read, each with the reason.
    pub left_alone: Vec<String>,
    /// Rows that were another state of a message already seen.
    pub repeated_rows: u64,
    /// Rows that need a hand, the first of each file.
    pub bad_rows: Vec<Bad>,
    /// How many there are.
    pub bad_rows_in_all: u64,
    /// Sectors and recipients the rules choose, the busiest first.
    pub destinations: Vec<Destination>,
    /// Messages that only the default route caught.
    pub default_route: u64,
    /// Open messages whose term has passed, the oldest first.
    pub overdue: Vec<Due>,
    /// How many there are.
    pub overdue_in_all: u64,
    /// Open messages whose term ends soon.
    pub near: Vec<Due>,
    /// How many there are.
    pub near_in_all: u64,
    /// Topics that are not in the classifier.
    pub unknown_topics: Vec<Unknown>,
    /// Statuses without a known meaning.
    pub unknown_statuses: Vec<Unknown>,
    /// Likely duplicates, those between systems first.
    pub duplicates: Vec<Cluster>,
    /// How many groups there are.
    pub duplicates_in_all: u64,
}

impl Report {
    /// An empty report.
    pub fn new(at: Timestamp, zone: &TimeZone, rules_version: &str) -> Self {
        Self {
            at,
            at_local: zone.to_datetime(at).strftime("%d.%m.%Y %H:%M").to_string(),
            rules_version: rules_version.to_owned(),
            files: Vec::new(),
            messages: 0,
            left_alone: Vec::new(),
            repeated_rows: 0,
            bad_rows: Vec::new(),
            bad_rows_in_all: 0,
            destinations: Vec::new(),
            default_route: 0,
            overdue: Vec::new(),
            overdue_in_all: 0,
            near: Vec::new(),
            near_in_all: 0,
            unknown_topics: Vec::new(),
            unknown_statuses: Vec::new(),
            duplicates: Vec::new(),
            duplicates_in_all: 0,
        }
    }

    /// Whether nothing needs a hand before these files can be imported.
    pub fn is_clean(&self) -> bool {
        self.bad_rows_in_all == 0 && self.files.iter().all(|file| file.failure.is_none())
    }
}

/// One file.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// What it was taken for.
    pub mapping: &'static str,
    /// The same for people.
    pub mapping_title: &'static str,
    /// Rows that become messages.
    pub good_rows: u64,
    /// Rows that need a hand.
    pub bad_rows: u64,
    /// What was guessed and left out, in Russian.
    pub notes: Vec<String>,
    /// Rows passed over: they number columns, or are totals.
    pub skipped_rows: u64,
    /// Rows whose number was in the file before, with another content.
    pub contradicting_rows: u64,
    /// Columns whose meaning is known, and how many rows fill them.
    pub columns: Vec<KnownColumn>,
    /// Columns that stay in the journal only.
    pub unknown_columns: Vec<String>,
    /// Columns that are not even stored.
    pub forbidden_columns: Vec<String>,
    /// Columns that rules usually need and the file has not.
    pub missing: Vec<&'static str>,
    /// Why the file can't be imported, or not to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl From<ProbeReport> for FileReport {
    fn from(probed: ProbeReport) -> Self {
        Self {
            file: probed.file,
            mapping: probed.mapping,
            mapping_title: probed.mapping_title,
            good_rows: probed.good_rows,
            bad_rows: probed.bad_rows,
            notes: probed.notes,
            skipped_rows: probed.skipped_rows,
            contradicting_rows: probed.contradicting_rows,
            columns: probed.columns,
            unknown_columns: probed.unknown_columns,
            forbidden_columns: probed.forbidden_columns,
            missing: probed.missing,
            // What the file holds may be anybody's name.
            failure: probed.failure.map(|failure| Failure {
                why_ru: failure.advice_ru.clone(),
                ..failure
            }),
        }
    }
}

/// A row that needs a hand.
#[derive(Debug, Serialize)]
pub struct Bad {
    /// File.
    pub file: String,
    /// Number of the row.
    pub row: u64,
    /// Why, in Russian.
    pub why: String,
}

/// Where messages go.
#[derive(Debug, Serialize)]
pub struct Destination {
    /// Sector in Russian; a dash for none.
    pub sector: String,
    /// Body and role.
    pub recipient: String,
    /// Queue.
    pub queue: String,
    /// How many.
    pub messages: u64,
}

/// Where a message stands.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// Channel.
    pub channel: String,
    /// Number at the source.
    pub id: String,
    /// File.
    pub file: String,
    /// Row.
    pub row: u64,
}

/// A term.
#[derive(Debug, Serialize)]
pub struct Due {
    /// The message.
    pub message: Member,
    /// When.
    pub due_at: Timestamp,
    /// When, for people of the zone.
    pub due_local: String,
    /// Who says so, in Russian.
    pub basis: &'static str,
    /// Who has to answer by the rules.
    pub recipient: String,
    /// Beginning of the text, contacts masked.
    pub excerpt: String,
}

/// A name that no table knows.
#[derive(Debug, Serialize)]
pub struct Unknown {
    /// Channel.
    pub channel: String,
    /// The name.
    pub name: String,
    /// Messages with it.
    pub messages: u64,
}

/// Messages that look like one.
#[derive(Debug, Serialize)]
pub struct Cluster {
    /// Bounded name.
    pub reason: &'static str,
    /// In Russian.
    pub reason_ru: &'static str,
    /// Whether they are of different systems.
    pub across_systems: bool,
    /// Beginning of the text of the first, contacts masked.
    pub excerpt: String,
    /// The messages.
    pub messages: Vec<Member>,
}
