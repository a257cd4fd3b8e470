//! What is wrong with a rule file, in Russian: file, line, the line itself, and the cure.
//!
//! Reading collects every finding instead of stopping at the first, so that an author repairs a file in one go.

use std::fmt;
use std::path::PathBuf;

/// One finding in the rule files.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleError {
    /// The file, as it was given.
    pub file: PathBuf,
    /// Line from 1; 0 when the finding is about the file or the whole set.
    pub line: u32,
    /// The line as written.
    pub quote: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
    /// The file could not be read at all: not the author's mistake but the machine's.
    pub environment: bool,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.quote.is_empty() {
            write!(f, "\n  {:>4} | {}", self.line, self.quote)?;
        }
        if !self.cure.is_empty() {
            write!(f, "\n  как исправить: {}", self.cure)?;
        }
        Ok(())
    }
}

/// Every finding; the rules can't be used. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", render(.0))]
pub struct RuleErrors(pub Vec<RuleError>);

fn render(errors: &[RuleError]) -> String {
    let lines: Vec<String> = errors.iter().map(RuleError::to_string).collect();
    lines.join("\n")
}
