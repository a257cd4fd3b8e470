//! Events: the kinds a community can switch on, and how one is written down for a version of the API.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use serde_json::{Value, json};

/// Version of the API this simulator speaks.
pub const VERSION: &str = "5.199";
/// From here on `message_new` carries `{message, client_info}`.
const NESTED_MESSAGE: (u32, u32) = (5, 103);
/// Below this an event carries a warning instead of data.
const OLDEST: (u32, u32) = (5, 81);

/// Every kind of event the settings know.
pub const KINDS: &[&str] = &[
    "message_new",
    "message_reply",
    "message_allow",
    "message_edit",
    "message_deny",
    "message_typing_state",
    "message_read",
    "photo_new",
    "audio_new",
    "video_new",
    "wall_reply_new",
    "wall_reply_edit",
    "wall_reply_delete",
    "wall_reply_restore",
    "wall_post_new",
    "wall_repost",
    "wall_schedule_post_new",
    "wall_schedule_post_delete",
    "board_post_new",
    "board_post_edit",
    "board_post_restore",
    "board_post_delete",
    "photo_comment_new",
    "photo_comment_edit",
    "photo_comment_delete",
    "photo_comment_restore",
    "video_comment_new",
    "video_comment_edit",
    "video_comment_delete",
    "video_comment_restore",
    "market_comment_new",
    "market_comment_edit",
    "market_comment_delete",
    "market_comment_restore",
    "market_order_new",
    "market_order_edit",
    "poll_vote_new",
    "group_join",
    "group_leave",
    "group_change_settings",
    "group_change_photo",
    "group_officers_edit",
    "user_block",
    "user_unblock",
    "lead_forms_new",
    "like_add",
    "like_remove",
    "message_event",
    "message_reaction_event",
    "donut_subscription_create",
    "donut_subscription_prolonged",
    "donut_subscription_cancelled",
    "donut_subscription_price_changed",
    "donut_subscription_expired",
    "donut_money_withdraw",
    "donut_money_withdraw_error",
];

static ALL: LazyLock<Arc<BTreeSet<String>>> =
    LazyLock::new(|| Arc::new(KINDS.iter().map(|kind| (*kind).to_owned()).collect()));

/// What is switched on for one way out: the long poll server or one callback server.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub version: String,
    /// Shared by all communities that have not changed it: a thousand of them are cheap.
    pub kinds: Arc<BTreeSet<String>>,
}

impl Settings {
    /// Everything on, in the present version.
    pub fn all_on() -> Self {
        Self {
            version: VERSION.to_owned(),
            kinds: Arc::clone(&ALL),
        }
    }

    /// As the platform sets it up: nothing on.
    pub fn all_off() -> Self {
        Self {
            version: VERSION.to_owned(),
            kinds: Arc::default(),
        }
    }

    /// Whether events of this kind are sent. Kinds the settings do not know can't be switched off.
    pub fn sends(&self, kind: &str) -> bool {
        self.kinds.contains(kind) || !KINDS.contains(&kind)
    }

    pub fn switch(&mut self, kind: &str, on: bool) {
        let kinds = Arc::make_mut(&mut self.kinds);
        if on {
            kinds.insert(kind.to_owned());
        } else {
            kinds.remove(kind);
        }
    }

    /// The map of the settings methods.
    pub fn map(&self) -> Value {
        let flags = KINDS
            .iter()
            .map(|kind| ((*kind).to_owned(), u8::from(self.kinds.contains(*kind)).into()));
        Value::Object(flags.collect())
    }
}

/// Something that happened. One allocation of the object serves the long poll history and every callback server.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub kind: String,
    pub object: Arc<Value>,
    pub event_id: String,
    /// Simulated Unix second.
    pub at: i64,
}

impl Event {
    /// The envelope for one way out.
    pub fn envelope(&self, group: i64, version: &str) -> Value {
        let object = self.object_for(version);
        let mut envelope = json!({"group_id": group, "type": self.kind});
        envelope["event_id"] = self.event_id.as_str().into();
        envelope["v"] = version.into();
        envelope["object"] = object;
        envelope
    }

    fn object_for(&self, version: &str) -> Value {
        let number = parse_version(version).unwrap_or((0, 0));
        if number < OLDEST {
            return json!({"warning": format!("Version {version} is deprecated. Please use version {VERSION}.")});
        }
        if self.kind == "message_new" && number < NESTED_MESSAGE {
            return self.object.get("message").cloned().unwrap_or(Value::Null);
        }
        Value::clone(&self.object)
    }
}

/// Major and minor number of a version.
pub(super) fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
