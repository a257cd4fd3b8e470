//! Proofs about a rule set: what can never happen, and messages that show it.
//!
//! Conditions are a closed set, so a search over them ends with one of three answers: a message (built, then given to
//! the engine, which must agree), a proof that there is none, or «don't know», which is no finding. What makes a proof
//! valid is written in `search`.
//!
//! Nothing here compares texts of conditions: two rules that are spelt differently and mean the same are found alike.

mod classify;
mod routes;
mod sample;
mod search;
mod words;

#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::PathBuf;

use jiff::Timestamp;
use priem_message::Message;
use serde::Serialize;

use crate::engine::compiled::Compiled;
use crate::engine::model::Origin;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something in the rules can't work.
    Error,
    /// Something in the rules probably does not do what was meant.
    Warning,
    /// Worth a look.
    Note,
}

impl Level {
    fn russian(self) -> &'static str {
        match self {
            Self::Error => "ошибка",
            Self::Warning => "предупреждение",
            Self::Note => "замечание",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Stable word for programs: `dead`, `conflict`, `shadowed`, `useless-word`, `contradiction`, `redundant-word`,
    /// `dead-route`, `dead-rows`, `default-only`, `unused-sector`, `suspicious-word`.
    pub kind: &'static str,
    /// File of the entry.
    pub file: PathBuf,
    /// Its line, from 1; 0 when the finding is about the whole set.
    pub line: u32,
    /// Id of the rule, route, deadline or sector.
    pub id: String,
    /// What is wrong and what to do, in Russian.
    pub text: String,
    /// A message that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
}

/// A message that shows a finding; made up, no citizen wrote it.
#[derive(Debug, Clone, Serialize)]
pub struct Witness {
    /// The message.
    pub message: Message,
    /// Text and the fields that matter, in Russian.
    pub shown: String,
    /// The entry that wins in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
}

impl Finding {
    fn new(level: Level, kind: &'static str, origin: &Origin, id: &str, text: String) -> Self {
        Self {
            level,
            kind,
            file: origin.file.as_ref().clone(),
            line: origin.line,
            id: id.to_owned(),
            text,
            witness: None,
        }
    }

    fn shown_by(mut self, witness: Option<Witness>) -> Self {
        self.witness = witness;
        self
    }

    /// The finding as Russian text.
    pub fn render_ru(&self) -> String {
        let mut out = String::new();
        if self.line > 0 {
            let _ = write!(out, "{}:{}: ", self.file.display(), self.line);
        }
        let _ = write!(out, "{}: «{}»: {}", self.level.russian(), self.id, self.text);
        if let Some(witness) = &self.witness {
            let _ = write!(out, "\n    пример: {}", witness.shown);
            if let Some(winner) = &witness.winner {
                let _ = write!(out, "\n    решает: {winner}");
            }
        }
        out
    }
}

/// Moment at which witnesses are decided; no condition looks at it.
const MOMENT: Timestamp = Timestamp::UNIX_EPOCH;

/// Every finding, the worst first, then in the order of the files.
pub(crate) fn run(rules: &Compiled) -> Vec<Finding> {
    let samples = sample::Samples::new(rules);
    let mut findings = Vec::new();
    let live = classify::check(rules, &samples, &mut findings);
    routes::check(rules, &samples, &live, &mut findings);
    words::check(rules, &samples, &mut findings);
    findings.sort_by(|a, b| {
        let place = |finding: &Finding| (finding.level, finding.file.clone(), finding.line);
        place(a).cmp(&place(b))
    });
    findings
}
