//! Publishing: confirmed, in the order of each conversation, never lost.
//!
//! The pipeline hands over [`Outgoing`] messages and learns of each exactly one [`Settled`], after the broker (or the
//! NDJSON file) has taken it for good. Until then the journal keeps the item, so a crash only means sending it again
//! under the same id.

use bytes::Bytes;
use uuid::Uuid;

/// One encoded event on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Names the delivery back to the pipeline; opaque here.
    pub token: u64,
    /// Event id: AMQP `message_id`.
    pub event_id: Uuid,
    /// Event type on the wire: AMQP `type`.
    pub event_type: &'static str,
    /// Messages with equal values are published in the order they were handed over.
    pub order_key: u64,
    /// Routing key.
    pub routing_key: String,
    /// 0 to 9.
    pub priority: u8,
    /// Unix seconds: AMQP `timestamp`.
    pub timestamp: u64,
    /// AMQP headers: channel, sector, territory, rule …
    pub headers: Vec<(&'static str, String)>,
    /// CloudEvents JSON, one line.
    pub body: Bytes,
}

/// What became of an [`Outgoing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// [`Outgoing::token`].
    pub token: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a publication ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it for good.
    Confirmed,
    /// The broker has no queue for it (`mandatory`): park and alarm.
    Returned {
        /// AMQP reply code and text (`312 NO_ROUTE`).
        reason: String,
    },
}
