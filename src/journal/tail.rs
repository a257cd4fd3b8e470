//! The newest stored items, in memory, so that what was just committed need not be read back from disk.
//!
//! Bounded: when the pipeline falls behind, the oldest fall out and are read from disk later. Accepting never waits
//! for publishing.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Record;

const MAX_RECORDS: usize = 8_192;
const MAX_BYTES: usize = 8 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Tail {
    inner: Mutex<Inner>,
    grown: Notify,
}

#[derive(Default)]
struct Inner {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

impl Tail {
    /// Adds records after their commit, in order of position.
    pub(super) fn push(&self, records: &mut Vec<Arc<Record>>) {
        if records.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        for record in records.drain(..) {
            inner.bytes += record.raw.body.len();
            inner.records.push_back(record);
        }
        while inner.records.len() > MAX_RECORDS || inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.records.pop_front() else { break };
            inner.bytes -= oldest.raw.body.len();
        }
        drop(inner);
        self.grown.notify_one();
    }

    /// Up to `limit` records that directly follow `position`, or `None` when the next one is not here. What was given
    /// out, and what is older, leaves.
    pub(super) fn take_after(&self, position: i64, limit: usize) -> Option<Vec<Arc<Record>>> {
        let mut inner = self.inner.lock();
        while inner.records.front().is_some_and(|record| record.position <= position) {
            let oldest = inner.records.pop_front()?;
            inner.bytes -= oldest.raw.body.len();
        }
        let mut taken = Vec::new();
        let mut next = position + 1;
        while taken.len() < limit && inner.records.front().is_some_and(|record| record.position == next) {
            let record = inner.records.pop_front()?;
            inner.bytes -= record.raw.body.len();
            taken.push(record);
            next += 1;
        }
        if taken.is_empty() { None } else { Some(taken) }
    }

    /// Waits until records were added since the last call.
    pub(super) async fn grown(&self) {
        self.grown.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use priem_sdk::{RawItem, contract::ConnectorId};

    fn record(position: i64, bytes: usize) -> Arc<Record> {
        Arc::new(Record {
            position,
            seq: position,
            stream: "updates".into(),
            conversation: None,
            raw: RawItem {
                connector: ConnectorId::new("a"),
                external_id: String::new(),
                revision: String::new(),
                ordinal: 0,
                format: String::new(),
                body: vec![0; bytes].into(),
                received_at: jiff::Timestamp::UNIX_EPOCH,
            },
        })
    }

    fn positions(records: Option<Vec<Arc<Record>>>) -> Vec<i64> {
        records
            .unwrap_or_default()
            .iter()
            .map(|record| record.position)
            .collect()
    }

    #[test]
    fn gives_only_what_directly_follows() {
        let tail = Tail::default();
        tail.push(&mut vec![record(5, 1), record(6, 1), record(8, 1)]);
        assert_eq!(
            positions(tail.take_after(3, 10)),
            [] as [i64; 0],
            "4 must be read from disk first"
        );
        assert_eq!(
            positions(tail.take_after(4, 10)),
            [5, 6],
            "7 was written by somebody else"
        );
        assert_eq!(positions(tail.take_after(7, 10)), [8]);
    }

    #[test]
    fn stays_within_its_bytes() {
        let tail = Tail::default();
        tail.push(&mut (1..=10).map(|position| record(position, MAX_BYTES / 4)).collect());
        assert_eq!(positions(tail.take_after(0, 10)), [] as [i64; 0]);
        assert_eq!(positions(tail.take_after(6, 10)), [7, 8, 9, 10]);
    }
}
