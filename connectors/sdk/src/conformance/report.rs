//! What the kit found, check by check.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{Subject, checks};
use crate::registry::ConnectorType;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The connector keeps this part of the contract.
    Ok,
    /// It does not.
    Failed,
    /// Excused by the subject, with a reason.
    Waived,
    /// The connector has nothing this check could examine.
    NotApplicable,
}

/// One check of one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// Name of the connector type.
    pub connector: &'static str,
    /// Name of the check (`normalize.deterministic`).
    pub check: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How much was tried, what failed first, or why it was waived.
    pub detail: String,
}

impl CheckResult {
    /// What was examined, in a sentence for an acceptance protocol (in Russian).
    pub fn title(&self) -> &'static str {
        checks::title(self.check)
    }
}

/// Every check of one connector, in the order they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the connector type.
    pub connector: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// The checks.
    pub results: Vec<CheckResult>,
}

impl Report {
    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.results.iter().any(|result| result.outcome == Outcome::Failed)
    }

    /// Outcome of a check by its name.
    pub fn outcome(&self, check: &str) -> Option<Outcome> {
        self.results
            .iter()
            .find(|result| result.check == check)
            .map(|result| result.outcome)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.results {
            let outcome = match result.outcome {
                Outcome::Ok => "ok    ",
                Outcome::Failed => "FAILED",
                Outcome::Waived => "waived",
                Outcome::NotApplicable => "-     ",
            };
            writeln!(f, "{outcome} {} {}: {}", result.connector, result.check, result.detail)?;
        }
        Ok(())
    }
}

/// Collects results and looks for planted secrets in everything the connector says.
pub(super) struct Recorder {
    connector: &'static str,
    title: &'static str,
    secrets: Vec<String>,
    results: Vec<CheckResult>,
    texts_examined: usize,
    leaks: Vec<String>,
}

impl Recorder {
    pub(super) fn new(kind: &ConnectorType, subject: &Subject) -> Self {
        Self {
            connector: kind.name,
            title: kind.title,
            secrets: subject.secrets.iter().map(|secret| secret.expose().clone()).collect(),
            results: Vec::new(),
            texts_examined: 0,
            leaks: Vec::new(),
        }
    }

    /// Records a check: `Ok` with what was tried, `Err` with what failed.
    pub(super) fn record(&mut self, check: &'static str, outcome: Result<String, String>) {
        let (outcome, detail) = match outcome {
            Ok(detail) => (Outcome::Ok, detail),
            Err(detail) => (Outcome::Failed, detail),
        };
        self.push(check, outcome, detail);
    }

    /// Records a check that has nothing to examine here.
    pub(super) fn not_applicable(&mut self, check: &'static str, why: &str) {
        self.push(check, Outcome::NotApplicable, why.to_owned());
    }

    /// Looks for planted secrets in something the connector said; `place` says where it was said.
    pub(super) fn hear(&mut self, place: &str, text: &str) {
        self.texts_examined += 1;
        if self.secrets.iter().any(|secret| text.contains(secret.as_str())) && self.leaks.len() < 3 {
            self.leaks.push(place.to_owned());
        }
    }

    /// Adds the check of secrets and applies the subject's waivers.
    pub(super) fn finish(mut self, subject: &Subject) -> Report {
        let secrets = if self.secrets.is_empty() {
            Err("the subject plants no secrets: plant each one its settings know, or waive this".to_owned())
        } else if self.leaks.is_empty() {
            Ok(format!(
                "{} secrets looked for in {} texts",
                self.secrets.len(),
                self.texts_examined
            ))
        } else {
            Err(format!("a planted secret stands in: {}", self.leaks.join("; ")))
        };
        self.record("secrets.never_said", secrets);
        let mut waivers: BTreeMap<&str, &str> = subject.waivers.iter().copied().collect();
        for result in &mut self.results {
            let Some(reason) = waivers.remove(result.check) else {
                continue;
            };
            match result.outcome {
                Outcome::Failed => {
                    result.outcome = Outcome::Waived;
                    result.detail = format!("{reason} (without the waiver: {})", result.detail);
                }
                Outcome::Ok | Outcome::Waived | Outcome::NotApplicable => {
                    result.outcome = Outcome::Failed;
                    result.detail = format!("the waiver {reason:?} is not needed: remove it");
                }
            }
        }
        for unknown in waivers.into_keys() {
            self.results.push(CheckResult {
                connector: self.connector,
                check: "waivers",
                outcome: Outcome::Failed,
                detail: format!("there is no check {unknown}"),
            });
        }
        Report {
            connector: self.connector,
            title: self.title,
            results: self.results,
        }
    }

    fn push(&mut self, check: &'static str, outcome: Outcome, detail: String) {
        self.results.push(CheckResult {
            connector: self.connector,
            check,
            outcome,
            detail,
        });
    }
}
