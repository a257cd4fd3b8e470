//! The one door into the journal, for pollers and webhooks alike. Counts what comes in.

mod connectors;
mod hearing;

pub use connectors::{Connectors, normalize};

use std::sync::Arc;

use jiff::civil::DateTime;
use priem_sdk::{Cursor, Item, Stream, contract::ConnectorId};
use tracing::info;

use crate::{
    journal::{Appended, Journal, JournalError},
    telemetry::{Metrics, unix_now},
};

/// A stream as the host names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamId {
    /// Bounded: a metric label.
    pub name: &'static str,
    /// [`Stream::id`]: names the stream in the journal. Shared, because every request carries it there.
    pub id: Arc<str>,
}

impl From<&Stream> for StreamId {
    fn from(stream: &Stream) -> Self {
        Self {
            name: stream.name,
            id: stream.id().into(),
        }
    }
}

/// Takes items in. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    journal: Journal,
    metrics: Metrics,
    hearing: Arc<hearing::Hearing>,
}

impl Intake {
    /// An intake into a journal.
    pub fn new(journal: Journal, metrics: Metrics) -> Self {
        Self {
            journal,
            metrics,
            hearing: Arc::default(),
        }
    }

    /// The same, with what connectors do not hear any more: they are told what an earlier process knew.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn hearing_by(mut self, connectors: &Connectors) -> Result<Self, JournalError> {
        let hearing = hearing::Hearing::restore(connectors, &self.journal, &self.metrics).await?;
        self.hearing = Arc::new(hearing);
        Ok(self)
    }

    /// Stores items, and with them the stream's new cursor. Returns after the commit: only now may anybody be told
    /// that the items are taken.
    ///
    /// # Errors
    /// Nothing of the call is stored; the source must keep the items.
    pub async fn store(
        &self,
        connector: &ConnectorId,
        stream: &StreamId,
        items: Vec<Item>,
        cursor: Option<Cursor>,
        as_of: Option<DateTime>,
    ) -> Result<Appended, JournalError> {
        self.hearing.keep(connector, &self.journal).await?;
        let count = items.len() as u64;
        let as_of = as_of.map(seconds);
        let appended = self
            .journal
            .append_as_of(connector, Arc::clone(&stream.id), items, cursor, as_of)
            .await?;
        let name = connector.as_str();
        if count > 0 {
            self.metrics
                .received
                .with_label_values(&[name, stream.name])
                .inc_by(count);
        }
        for (kind, count) in [
            ("seen", appended.seen),
            ("unchanged", appended.unchanged),
            ("older", appended.older),
        ] {
            if count > 0 {
                self.metrics
                    .duplicates
                    .with_label_values(&[name, kind])
                    .inc_by(count as u64);
            }
        }
        if appended.older > 0 {
            info!(
                connector = name,
                items = appended.older,
                "left out what is older than what is known: the source speaks of an earlier time"
            );
        }
        if appended.superseded > 0 {
            info!(
                connector = name,
                items = appended.superseded,
                "the source repeated quarantined items, sound this time"
            );
        }
        for reason in &appended.quarantined {
            self.metrics.quarantined.with_label_values(&[name, reason]).inc();
        }
        if appended.new > 0 || !appended.quarantined.is_empty() {
            self.metrics
                .last_item
                .with_label_values(&[name, stream.name])
                .set(unix_now());
        }
        Ok(appended)
    }
}

/// A moment of some clock as a number that grows with it.
fn seconds(moment: DateTime) -> i64 {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    moment.duration_since(epoch).as_secs()
}

/// Takes a proven request's items into the journal; returns only after the commit.
#[async_trait::async_trait]
pub trait Accept: Send + Sync {
    /// Stores the items of one request in one commit.
    ///
    /// # Errors
    /// [`NotAccepted`]: nothing was stored, the platform must send again.
    async fn accept(&self, connector: &ConnectorId, stream: &StreamId, items: Vec<Item>) -> Result<(), NotAccepted>;
}

/// Why items were not stored. The platform is asked to send again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The journal has reached its limit of size or free space.
    #[error("the journal is full")]
    Full,
    /// The journal can't commit now.
    #[error("the journal is not available")]
    Unavailable,
}

#[async_trait::async_trait]
impl Accept for Intake {
    async fn accept(&self, connector: &ConnectorId, stream: &StreamId, items: Vec<Item>) -> Result<(), NotAccepted> {
        match self.store(connector, stream, items, None, None).await {
            Ok(_) => Ok(()),
            Err(JournalError::Full { .. }) => Err(NotAccepted::Full),
            Err(_) => Err(NotAccepted::Unavailable),
        }
    }
}
