//! The configured connectors, and what one of them makes of a stored item.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use priem_sdk::{Connector, Message, NormalizeError, RawItem, contract::ConnectorId};

/// Connectors by their configured names.
pub type Connectors = HashMap<ConnectorId, Arc<dyn Connector>>;

/// The messages of an item, or why there are none. A panic of the connector is one of the reasons.
///
/// # Errors
/// The item goes to quarantine.
pub fn normalize(connectors: &Connectors, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
    let Some(connector) = connectors.get(&raw.connector) else {
        let why = format!(
            "connector {} is not in the configuration any more; add it and retry",
            raw.connector
        );
        return Err(NormalizeError::new("no_connector", why));
    };
    catch_unwind(AssertUnwindSafe(|| connector.normalize(raw))).unwrap_or_else(|_| {
        Err(NormalizeError::new(
            "panic",
            "the connector panicked; please report it as a bug",
        ))
    })
}
