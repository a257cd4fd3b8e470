//! What `check` found.

use serde::Serialize;

/// What `check` found, for people and for exit codes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CheckReport {
    /// Findings in the order they were made.
    pub findings: Vec<CheckFinding>,
}

impl CheckReport {
    /// Adds something that is as it should be.
    pub fn ok(&mut self, what: &'static str, detail: impl Into<String>) {
        self.push("ok", what, detail, None);
    }

    /// Adds something that works but should be looked at, with the cure.
    pub fn warn(&mut self, what: &'static str, detail: impl Into<String>, cure: impl Into<String>) {
        self.push("warning", what, detail, Some(cure.into()));
    }

    /// Adds something that does not work, with the cure.
    pub fn fail(&mut self, what: &'static str, detail: impl Into<String>, cure: impl Into<String>) {
        self.push("failed", what, detail, Some(cure.into()));
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.outcome == "failed")
    }

    fn push(&mut self, outcome: &'static str, what: &'static str, detail: impl Into<String>, cure: Option<String>) {
        self.findings.push(CheckFinding {
            outcome,
            what,
            detail: detail.into(),
            cure,
        });
    }
}

/// One line of a [`CheckReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckFinding {
    /// `ok`, `warning` or `failed`.
    pub outcome: &'static str,
    /// What was looked at (`token`, `webhook`, `pending`).
    pub what: &'static str,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}
