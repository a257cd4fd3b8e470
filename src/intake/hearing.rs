//! What connectors do not hear any more, over a restart: a platform says once that we were put out of a chat.
//!
//! It stands in the journal like a cursor, as a stream of its own, and is committed before the items that tell of it: a
//! process that dies in between hears them again, and nothing is said twice.

use std::{collections::HashMap, sync::Arc};

use priem_sdk::{Connector, Cursor, contract::ConnectorId, unheard::Unheard};
use prometheus::IntGauge;
use tokio::sync::Mutex;

use super::Connectors;
use crate::{
    journal::{Journal, JournalError},
    telemetry::Metrics,
};

/// The stream under which it stands in the journal.
const STREAM: &str = "unheard";

/// What every connector that can say so does not hear, as the journal has it.
#[derive(Default)]
pub(super) struct Hearing(HashMap<ConnectorId, Kept>);

struct Kept {
    connector: Arc<dyn Connector>,
    /// [`Unheard::changes`] that the journal has.
    stored: Mutex<u64>,
    count: IntGauge,
}

impl Hearing {
    /// Tells every connector what an earlier process knew.
    pub async fn restore(connectors: &Connectors, journal: &Journal, metrics: &Metrics) -> Result<Self, JournalError> {
        let mut all = HashMap::new();
        for (id, connector) in connectors {
            let Some(unheard) = connector.unheard() else { continue };
            if let Some(written) = journal.cursor(id, STREAM).await? {
                unheard.restore(&written.0);
            }
            let count = metrics.unheard_chats.with_label_values(&[id.as_str()]);
            count.set(number(unheard));
            let kept = Kept {
                connector: Arc::clone(connector),
                stored: Mutex::new(0),
                count,
            };
            all.insert(id.clone(), kept);
        }
        Ok(Self(all))
    }

    /// Stores what has changed.
    pub async fn keep(&self, connector: &ConnectorId, journal: &Journal) -> Result<(), JournalError> {
        let Some(kept) = self.0.get(connector) else {
            return Ok(());
        };
        let Some(unheard) = kept.connector.unheard() else {
            return Ok(());
        };
        let mut stored = kept.stored.lock().await;
        let changes = unheard.changes();
        if *stored != changes {
            let written = Some(Cursor(unheard.written()));
            journal.append(connector, STREAM, Vec::new(), written).await?;
            *stored = changes;
            kept.count.set(number(unheard));
        }
        Ok(())
    }
}

fn number(unheard: &Unheard) -> i64 {
    i64::try_from(unheard.count()).unwrap_or(i64::MAX)
}
