//! Stage: writes each message once for each of its recipients.

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{Message, message::Routing};

use super::super::{
    parcel::{Letter, Parcel, Publication},
    processor::Processor,
};
use crate::{
    journal::{DecisionRecord, Record},
    publish::{CHANNEL_HEADER, Outgoing},
};

/// Writes what goes out and what is recorded of it.
pub(super) fn run(processor: &Processor, parcel: &mut Parcel, _: Timestamp) {
    let order_key = order_key(&parcel.record);
    parcel.publication.messages.reserve(parcel.letters.len());
    parcel.publication.decisions.reserve(parcel.letters.len());
    for letter in std::mem::take(&mut parcel.letters) {
        if let Err(error) = encode(letter, order_key, &mut parcel.publication) {
            // Only a number that JSON can't hold gets here.
            processor.count_quarantined(&parcel.record, "not_encodable");
            return parcel.quarantine(
                "not_encodable",
                format!("the message can't be written as JSON: {error}"),
            );
        }
    }
}

/// Items of one conversation have one key; items without a conversation follow their own object. The same in every
/// process, version and machine: several nodes that publish for one city must agree on it.
fn order_key(record: &Record) -> u64 {
    let conversation = record.conversation.as_ref().unwrap_or(&record.raw.external_id);
    let mut hasher = blake3::Hasher::new();
    hasher.update(record.raw.connector.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(conversation.as_bytes());
    let hash = hasher.finalize();
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// Only the routing differs between recipients, and it ends the document: the rest is written once. The journal's record of
/// the decision is a copy: it may wait for its commit longer than the body for the broker.
fn encode(letter: Letter, order_key: u64, publication: &mut Publication) -> Result<(), serde_json::Error> {
    const ENDING: &[u8] = b"}}";
    let Letter { message, routes, .. } = letter;
    let mut common = Vec::with_capacity(2048);
    serde_json::to_writer(&mut common, &message)?;
    debug_assert!(message.data.routing.is_none() && common.ends_with(ENDING));
    common.truncate(common.len() - ENDING.len());
    common.extend_from_slice(b",\"routing\":");
    for routing in routes {
        let mut body = Vec::with_capacity(common.len() + 1024);
        body.extend_from_slice(&common);
        serde_json::to_writer(&mut body, &routing)?;
        let decided = common.len()..body.len();
        body.extend_from_slice(ENDING);
        let body = Bytes::from(body);
        publication.decisions.push(DecisionRecord {
            event_id: message.id,
            event: message.event.as_str(),
            outcome: "published",
            channel: message.data.channel.clone(),
            queue: routing.queue.clone(),
            routing: Bytes::copy_from_slice(&body[decided]),
        });
        publication.messages.push(Outgoing {
            token: 0,
            event_id: message.id,
            event_type: message.event.as_str(),
            order_key,
            priority: routing.priority,
            timestamp: u64::try_from(message.time.as_second()).unwrap_or(0),
            received_at: message.data.times.received,
            headers: headers(&message, &routing),
            routing_key: routing.queue,
            body,
        });
    }
    Ok(())
}

/// What consumers filter by without opening the body.
fn headers(message: &Message, routing: &Routing) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        (CHANNEL_HEADER, message.data.channel.clone()),
        ("priority", routing.priority.to_string()),
    ];
    let optional = [
        ("sector", routing.sector.as_ref()),
        ("territory", routing.territory.as_ref()),
        ("rule", routing.matched.last()),
    ];
    headers.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.clone()))),
    );
    headers
}

#[cfg(test)]
mod tests {
    use priem_sdk::{RawItem, contract::ConnectorId};

    use super::*;

    fn record(conversation: Option<&str>) -> Record {
        Record {
            position: 1,
            seq: 1,
            stream: "updates".into(),
            conversation: conversation.map(Into::into),
            raw: RawItem {
                connector: ConnectorId::new("vk"),
                external_id: "wall-1_2".into(),
                revision: "0".into(),
                ordinal: 0,
                format: "comment".into(),
                body: Bytes::new(),
                received_at: Timestamp::UNIX_EPOCH,
            },
        }
    }

    /// Nodes of one city agree on lanes by this number; a build that changes it breaks the order of conversations.
    #[test]
    fn the_key_of_a_conversation_is_the_same_for_ever() {
        assert_eq!(order_key(&record(Some("peer 7"))), 17_093_539_332_735_398_778);
        assert_eq!(order_key(&record(None)), 9_747_704_826_774_190_552);
    }
}
