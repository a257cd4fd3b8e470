//! How deeds become events: their kinds, their objects, and the ways out they take.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    Citizen, Community, callback,
    comments::Comment,
    events::Event,
    ledger::{Place, Written},
};

impl Community {
    /// An event of any kind with any object, as only the platform could make it.
    pub fn push(&self, kind: &str, object: Value) {
        self.put(kind, object, None);
    }

    pub(super) fn announce(&self, kind: &'static str, object: Value, written: Option<Written>) {
        self.put(kind, object, written.map(|written| (written, kind)));
    }

    fn put(&self, kind: &str, mut object: Value, written: Option<(Written, &'static str)>) {
        if self.network.options.unknown_fields {
            add_unknown_fields(&mut object);
        }
        let (event, is_kept) = {
            let mut state = self.state.lock();
            let event = Event {
                kind: kind.to_owned(),
                object: Arc::new(object),
                event_id: state.take_event_id(),
                at: self.network.unix(),
            };
            let is_kept = state.remember(event.clone(), self.network.options.history_events);
            (event, is_kept)
        };
        if let (true, Some((written, kind))) = (is_kept, written) {
            self.network
                .ledger
                .lock()
                .change(&written, |entry| entry.announced.push(kind));
        }
        callback::dispatch(&self.network, &self.state, &event, written);
        self.network.touch();
    }

    pub(super) fn know(&self, by: &Citizen) {
        if by.id > 0 {
            self.network.people.lock().entry(by.id).or_insert_with(|| by.clone());
        }
    }

    pub(super) fn named(&self, place: Place, id: i64) -> Written {
        Written {
            group: self.id,
            place,
            id,
        }
    }

    /// A comment as an event shows it.
    pub(super) fn comment_object(&self, comment: &Comment, place: Place) -> Value {
        let mut object = Value::Object(comment.minimum());
        let owner = self.owner_field(place);
        object[owner] = (-self.id).into();
        let (name, id) = parent_of(place);
        object[name] = id.into();
        if let (Place::WallComment { .. }, Some(thread)) = (place, comment.thread) {
            object["parents_stack"] = json!([thread]);
        }
        merge(&mut object, comment.extra.clone());
        object
    }

    fn owner_field(&self, place: Place) -> &'static str {
        match place {
            Place::Board { .. } => "topic_owner_id",
            Place::PhotoComment { .. } => "photo_owner_id",
            Place::VideoComment { .. } => "video_owner_id",
            Place::MarketComment { .. } => "market_owner_id",
            _ if self.network.options.as_in_schema => "owner_id",
            _ => "post_owner_id",
        }
    }

    pub(super) fn deletion_object(&self, comment: &Comment, place: Place, by: i64) -> Value {
        let (name, id) = parent_of(place);
        let mut object = json!({"id": comment.id, name: id});
        let owner = if matches!(place, Place::Board { .. }) {
            "topic_owner_id"
        } else {
            "owner_id"
        };
        object[owner] = (-self.id).into();
        match place {
            Place::WallComment { .. } if self.network.options.as_in_schema => object["user_id"] = by.into(),
            Place::MarketComment { .. } => object["user_id"] = comment.from_id.into(),
            Place::PhotoComment { .. } => {
                object["user_id"] = comment.from_id.into();
                object["deleter_id"] = by.into();
            }
            _ => object["deleter_id"] = by.into(),
        }
        object
    }
}

/// Kinds of events for a comment: new, edit, delete, restore.
pub(super) fn kinds_of(place: Place) -> [&'static str; 4] {
    match place {
        Place::Board { .. } => [
            "board_post_new",
            "board_post_edit",
            "board_post_delete",
            "board_post_restore",
        ],
        Place::PhotoComment { .. } => [
            "photo_comment_new",
            "photo_comment_edit",
            "photo_comment_delete",
            "photo_comment_restore",
        ],
        Place::VideoComment { .. } => [
            "video_comment_new",
            "video_comment_edit",
            "video_comment_delete",
            "video_comment_restore",
        ],
        Place::MarketComment { .. } => [
            "market_comment_new",
            "market_comment_edit",
            "market_comment_delete",
            "market_comment_restore",
        ],
        _ => [
            "wall_reply_new",
            "wall_reply_edit",
            "wall_reply_delete",
            "wall_reply_restore",
        ],
    }
}

/// Name and number of what a comment is under.
fn parent_of(place: Place) -> (&'static str, i64) {
    match place {
        Place::WallComment { post, .. } => ("post_id", post),
        Place::Board { topic } => ("topic_id", topic),
        Place::PhotoComment { photo } => ("photo_id", photo),
        Place::VideoComment { video } => ("video_id", video),
        Place::MarketComment { item } => ("item_id", item),
        _ => ("id", 0),
    }
}

pub(super) fn merge(object: &mut Value, extra: Map<String, Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.extend(extra);
    }
}

/// Fields nobody has heard of, in the object and in the objects inside it.
fn add_unknown_fields(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        for inner in fields.values_mut() {
            add_unknown_fields(inner);
        }
        fields.insert("hologram_mode".into(), json!({"depth": [1, null, "б"]}));
    }
}
