//! What a source gave us: an item as it comes, and as the journal hands it out.

use bytes::Bytes;
use jiff::Timestamp;

use super::ConnectorId;
use crate::{
    error::NormalizeError,
    language,
    message::{EventType, Flags, Message, MessageData},
};

/// One thing a source gave us, before anything in it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Identity of the object in the source (`chat:message`, incident number).
    pub external_id: String,
    /// Exact name of this version, when the source gives one. `None`: the journal tells versions apart by
    /// `fingerprint` alone and numbers them.
    pub revision: Option<String>,
    /// Hash of what a reader would see. When it equals that of the newest stored version of the object, the item
    /// changes nothing and is dropped as unchanged. `None`: never compared.
    pub fingerprint: Option<[u8; 16]>,
    /// Items with the same conversation are published in the order of their arrival.
    pub conversation: Option<String>,
    /// Bounded name of the body's shape, for `normalize` (`telegram.update`, `files.row`).
    pub format: &'static str,
    /// The item as the source gave it.
    pub body: Bytes,
    /// Set when the item can't be understood already on arrival: it is stored and quarantined with this reason.
    pub problem: Option<NormalizeError>,
}

impl Item {
    /// An item nothing is known about: its identity is the hash of its bytes, and it goes to quarantine.
    pub fn malformed(format: &'static str, body: Bytes, problem: NormalizeError) -> Self {
        let hash = blake3::hash(&body);
        Self {
            external_id: format!("blake3:{}", &hash.to_hex()[..32]),
            revision: Some("0".into()),
            fingerprint: None,
            conversation: None,
            format,
            body,
            problem: Some(problem),
        }
    }
}

/// Hash for [`Item::fingerprint`] over the parts a reader would see; part boundaries count.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// A stored item, as `normalize` sees it again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawItem {
    /// Which connector took it in.
    pub connector: ConnectorId,
    /// [`Item::external_id`].
    pub external_id: String,
    /// [`Item::revision`], or the one the journal gave: `c` and the first 16 hex digits of the fingerprint, followed
    /// by `.N` when the object has had that content before.
    pub revision: String,
    /// How many versions of the object were stored before this one; 0 for the first.
    pub ordinal: u32,
    /// [`Item::format`].
    pub format: String,
    /// [`Item::body`].
    pub body: Bytes,
    /// When the journal took it.
    pub received_at: Timestamp,
}

impl RawItem {
    /// The event of a stored version. `is_first`: the source gives it as the first version of the object, not as an edit.
    ///
    /// Platforms keep no order: a first version may come after its edit or removal. It is published as what it is,
    /// `received`, and marked [`Flags::OUT_OF_ORDER`]: the newest text stays the one that counts. An edit of what never
    /// came is `received` too.
    pub fn version(&self, is_first: bool, flags: &mut Flags) -> EventType {
        if self.ordinal == 0 {
            return EventType::Received;
        }
        if !is_first {
            return EventType::Updated;
        }
        flags.set(Flags::OUT_OF_ORDER);
        EventType::Received
    }

    /// Builds a message about this very item: `external.id`, `external.revision` and `times.received` are filled
    /// from the item, unless `data` already names another object, and `body.language` from the letters of the text.
    pub fn message(&self, event: EventType, mut data: MessageData) -> Message {
        if data.external.id.is_empty() {
            data.external.id.clone_from(&self.external_id);
        }
        if data.external.revision.is_empty() {
            data.external.revision.clone_from(&self.revision);
        }
        if data.body.language.is_none() {
            data.body.language = language::detect(&data.body.text).map(str::to_owned);
        }
        data.connector = self.connector.to_string();
        data.times.received = self.received_at;
        Message::new(event, data)
    }
}
