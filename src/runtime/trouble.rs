//! What stops a turn of a stream, and what that says about the stream.

use priem_sdk::ConnectorError;

use super::streams::StreamHealth;
use crate::journal::JournalError;

/// What stopped a turn.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The source.
    #[error(transparent)]
    Source(#[from] ConnectorError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Trouble {
    /// Bounded name, the `result` of `priem_polls_total`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Source(error) => error.kind(),
            Self::Journal(_) => "journal",
        }
    }

    /// How the stream stands now.
    pub fn health(&self) -> StreamHealth {
        match self {
            Self::Source(
                ConnectorError::AuthRejected { .. }
                | ConnectorError::Misconfigured { .. }
                | ConnectorError::Unsupported(_),
            ) => StreamHealth::Human,
            Self::Source(_) | Self::Journal(_) => StreamHealth::Trouble,
        }
    }
}
