//! Telling the source what is stored, record by record or page by page.
//!
//! Only the host decides when: after the journal commit. A source that refuses one record (an error in `messages[]`, a
//! status 4xx) does not stop the others: the refusal is counted and logged with the id alone, and as an unacknowledged
//! record stays in the list, the next walk brings and acknowledges it again. A source that is away stops everything,
//! and the whole page is acknowledged again later, less what is known to be done.

use std::collections::HashSet;

use parking_lot::Mutex;
use priem_sdk::{ConfigError, ConnectorError, HttpResponse};
use serde_json::Value;
use tracing::warn;

use super::{
    Records,
    config::AcknowledgeSettings,
    line::Line,
    patience::Patience,
    pick::Pick,
    template::{RequestTemplate, Values},
};

/// Longest id that is believed to be one.
const LONGEST_ID: usize = 256;

/// How to acknowledge.
pub struct Acknowledging {
    id: Pick,
    request: RequestTemplate,
    errors: Pick,
    settled_statuses: Vec<u16>,
    in_batches: bool,
    patience: Patience,
    /// Of the ids told last: those done, so that trouble in the middle repeats little.
    done: Mutex<HashSet<String>>,
}

/// What became of one request.
enum Outcome {
    Done,
    Refused(u16),
    /// Worth another attempt.
    Failed(ConnectorError),
}

impl Acknowledging {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key below `poll`.
    pub fn new(settings: &AcknowledgeSettings) -> Result<Self, ConfigError> {
        let request = RequestTemplate::new(&settings.request, &["id", "ids"], "acknowledge.request")?;
        let in_batches = request.uses("ids");
        if in_batches == request.uses("id") {
            return Err(ConfigError::new(
                "acknowledge.request",
                "use either `{id}` (a request for each record) or `{ids}` (one for a page)",
            ));
        }
        Ok(Self {
            id: Pick::compile(&settings.id, "acknowledge.id")?,
            request,
            errors: Pick::compile(&settings.errors, "acknowledge.errors")?,
            settled_statuses: settings.settled_statuses.clone(),
            in_batches,
            patience: Patience::default(),
            done: Mutex::default(),
        })
    }

    /// The id of a record; none when it has none that could be one.
    pub fn id_of(&self, record: &Value) -> Option<String> {
        self.id.text(record).filter(|id| id.len() <= LONGEST_ID)
    }

    /// Tells the source. May be called again with the same ids.
    ///
    /// # Errors
    /// A decision for the host, which calls again.
    pub async fn tell(&self, line: &Line, records: &dyn Records, ids: &[String]) -> Result<(), ConnectorError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.done.lock().retain(|id| ids.contains(id));
        let mut failed = None;
        if self.in_batches {
            let open: Vec<&String> = ids.iter().filter(|id| !self.done.lock().contains(*id)).collect();
            if !open.is_empty() {
                let values = Values::default().with("ids", serde_json::json!(open));
                let outcome = self.send(line, records, &values).await?;
                failed = self.note(ids, outcome);
            }
        } else {
            for id in ids {
                if self.done.lock().contains(id) {
                    continue;
                }
                let outcome = self
                    .send(line, records, &Values::default().with("id", id.clone()))
                    .await?;
                failed = self.note(std::slice::from_ref(id), outcome).or(failed);
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.done.lock().clear();
                Ok(())
            }
        }
    }

    /// Remembers what became of ids; the error when they are worth another attempt.
    fn note(&self, ids: &[String], outcome: Outcome) -> Option<ConnectorError> {
        let name = ids.first().map(String::as_str).unwrap_or_default();
        match outcome {
            Outcome::Done => {}
            Outcome::Refused(status) => {
                warn!(
                    status,
                    id = name,
                    records = ids.len(),
                    "the source refuses an acknowledgement"
                );
            }
            Outcome::Failed(error) if !self.patience.is_over(name) => {
                self.patience.failed(name);
                return Some(error);
            }
            Outcome::Failed(error) => {
                warn!(%error, id = name, records = ids.len(), "the source takes no acknowledgement; left to the next walk");
            }
        }
        self.patience.served(name);
        self.done.lock().extend(ids.iter().cloned());
        None
    }

    /// One request. An error means that nobody is there to tell.
    async fn send(&self, line: &Line, records: &dyn Records, values: &Values) -> Result<Outcome, ConnectorError> {
        let request = self.request.request(line.base_url(), values, &[])?;
        let answer = line.send(request).await?;
        let status = answer.status;
        if self.settled_statuses.contains(&status) {
            return Ok(Outcome::Done);
        }
        if status < 500 && self.has_errors(records, &answer) {
            return Ok(Outcome::Refused(status));
        }
        Ok(match status {
            200..=299 => Outcome::Done,
            500.. => match answer.error_for_status() {
                Ok(_) => Outcome::Done,
                Err(error) => Outcome::Failed(error),
            },
            _ => Outcome::Refused(status),
        })
    }

    /// Whether the answer itself names errors. A body that can't be read says nothing.
    fn has_errors(&self, records: &dyn Records, answer: &HttpResponse) -> bool {
        if answer.body.is_empty() {
            return false;
        }
        let Ok(body) = records.read(&answer.body) else {
            return false;
        };
        let errors = self.errors.all(&body).unwrap_or_default();
        errors
            .iter()
            .any(|error| !matches!(error, Value::Null | Value::Bool(false)))
    }
}
