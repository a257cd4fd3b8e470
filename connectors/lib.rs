//! Every channel Priem knows: one folder each.

pub mod files;

use priem_sdk::ConnectorType;

/// Every channel Priem knows, in the order of the reference page.
pub static CONNECTORS: &[ConnectorType] = &[files::TYPE];
