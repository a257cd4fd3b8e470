//! What is read from a journal in use, beside its writer.

use std::{sync::Arc, time::Duration};

use priem_sdk::{Cursor, contract::ConnectorId};
use rusqlite::{Connection, OptionalExtension};

use super::{
    super::{JournalError, Record, job::Look, read},
    Journal,
};

/// How long the pipeline waits before it looks for items that another process (`quarantine retry`) made pending.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Journal {
    /// Looks at what is stored.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub(crate) async fn look<L: Look>(&self, question: L) -> Result<L::Answer, JournalError> {
        self.read(move |reader| question.look(reader)).await
    }

    /// The same, on the caller's thread, which may block.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub(crate) fn look_now<L: Look>(&self, question: &L) -> Result<L::Answer, JournalError> {
        Ok(question.look(&self.shared.reader.lock())?)
    }

    /// Where a stream goes on.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn cursor(&self, connector: &ConnectorId, stream: &str) -> Result<Option<Cursor>, JournalError> {
        let (connector, stream) = (connector.to_string(), stream.to_owned());
        self.read(move |reader| {
            reader
                .query_row(
                    "SELECT value FROM cursor WHERE connector = (SELECT id FROM connector WHERE name = ?1) \
                     AND stream = ?2",
                    [connector, stream],
                    |row| row.get(0).map(Cursor),
                )
                .optional()
        })
        .await
    }

    /// The next pending items after a position, in order; waits until there is one. Cancel-safe.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn pending_after(&self, position: i64, limit: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        loop {
            if let Some(records) = self.shared.tail.take_after(position, limit) {
                return Ok(records);
            }
            let records = self
                .read(move |reader| read::pending_after(reader, position, limit))
                .await?;
            if !records.is_empty() {
                return Ok(records);
            }
            // Either way we look again; the pause only bounds how long a retry from outside goes unnoticed.
            let _ = tokio::time::timeout(LOOK_EVERY, self.shared.tail.grown()).await;
        }
    }

    /// Pending items from a position to another, in order, as they are on disk.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn pending_between(&self, from: i64, until: i64, limit: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        self.read(move |reader| read::pending_between(reader, from, until, limit))
            .await
    }

    /// Runs a read on a thread where blocking is allowed.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let reader = Arc::clone(&self.shared.reader);
        let result = tokio::task::spawn_blocking(move || work(&reader.lock())).await;
        match result {
            Ok(value) => Ok(value?),
            Err(_) => Err(JournalError::Closed),
        }
    }
}
