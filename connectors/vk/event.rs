//! Names of events: what an event is about and what happened to it.
//!
//! The enum of names in the official schema is not complete, so an unknown name is a value, not an error. Objects that
//! were polled get names of the same form with the ending `_seen`.

/// Where a comment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Wall,
    Board,
    Photo,
    Video,
    Market,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Message,
    Post,
    Comment(Place),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    New,
    Edit,
    Restore,
    Delete,
    /// Found by polling: new, edited or known.
    Seen,
}

/// An event's name, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Citizens' words, or the end of them.
    Words(Subject, Act),
    /// Known and neither a message, nor a post, nor a comment: `like_add`, `lead_forms_new` …
    Other,
    /// Not known to this version.
    Unknown,
}

/// Events whose words we want; `check` warns when one is switched off. `message_reply` is not needed: the community's
/// own answers are not citizens' messages.
pub(super) const WANTED: [&str; 24] = [
    "message_new",
    "message_edit",
    "wall_post_new",
    "wall_repost",
    "wall_reply_new",
    "wall_reply_edit",
    "wall_reply_restore",
    "wall_reply_delete",
    "board_post_new",
    "board_post_edit",
    "board_post_restore",
    "board_post_delete",
    "photo_comment_new",
    "photo_comment_edit",
    "photo_comment_restore",
    "photo_comment_delete",
    "video_comment_new",
    "video_comment_edit",
    "video_comment_restore",
    "video_comment_delete",
    "market_comment_new",
    "market_comment_edit",
    "market_comment_restore",
    "market_comment_delete",
];

/// Names of events about something else than messages, posts and comments.
const OTHERS: &[&str] = &[
    "app_payload",
    "audio_new",
    "confirmation",
    "donut_money_withdraw",
    "donut_money_withdraw_error",
    "donut_subscription_cancelled",
    "donut_subscription_create",
    "donut_subscription_expired",
    "donut_subscription_price_changed",
    "donut_subscription_prolonged",
    "group_change_photo",
    "group_change_settings",
    "group_join",
    "group_leave",
    "group_officers_edit",
    "lead_forms_new",
    "like_add",
    "like_remove",
    "market_order_edit",
    "market_order_new",
    "message_allow",
    "message_deny",
    "message_event",
    "message_reaction_event",
    "message_read",
    "message_typing_state",
    "photo_new",
    "poll_vote_new",
    "user_block",
    "user_unblock",
    "video_new",
    "vkpay_transaction",
    "wall_schedule_post_delete",
    "wall_schedule_post_new",
];

/// Understands a name.
pub(super) fn read(name: &str) -> Event {
    match name {
        "message_new" => return Event::Words(Subject::Message, Act::New),
        "message_reply" => return Event::Words(Subject::Message, Act::New),
        "message_edit" => return Event::Words(Subject::Message, Act::Edit),
        "message_seen" => return Event::Words(Subject::Message, Act::Seen),
        "wall_post_new" | "wall_repost" => return Event::Words(Subject::Post, Act::New),
        "wall_post_seen" => return Event::Words(Subject::Post, Act::Seen),
        _ if OTHERS.contains(&name) => return Event::Other,
        _ => {}
    }
    let places = [
        ("wall_reply_", Place::Wall),
        ("board_post_", Place::Board),
        ("photo_comment_", Place::Photo),
        ("video_comment_", Place::Video),
        ("market_comment_", Place::Market),
    ];
    for (prefix, place) in places {
        let act = match name.strip_prefix(prefix) {
            Some("new") => Act::New,
            Some("edit") => Act::Edit,
            Some("restore") => Act::Restore,
            Some("delete") => Act::Delete,
            Some("seen") => Act::Seen,
            _ => continue,
        };
        return Event::Words(Subject::Comment(place), act);
    }
    Event::Unknown
}

impl Place {
    /// Name of a comment's place in our ids and, but for `market`, in addresses of VK.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Board => "topic",
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Market => "market",
        }
    }

    /// `subchannel` of a message.
    pub fn subchannel(self) -> &'static str {
        match self {
            Self::Wall => "wall_comment",
            Self::Board => "board",
            Self::Photo => "photo_comment",
            Self::Video => "video_comment",
            Self::Market => "market_comment",
        }
    }

    /// Name of a polled comment.
    pub fn seen(self) -> &'static str {
        match self {
            Self::Wall => "wall_reply_seen",
            Self::Board => "board_post_seen",
            Self::Photo => "photo_comment_seen",
            Self::Video => "video_comment_seen",
            Self::Market => "market_comment_seen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_or_unknown_never_an_error() {
        assert_eq!(
            read("board_post_restore"),
            Event::Words(Subject::Comment(Place::Board), Act::Restore)
        );
        assert_eq!(
            read("market_comment_delete"),
            Event::Words(Subject::Comment(Place::Market), Act::Delete)
        );
        assert_eq!(read("like_add"), Event::Other);
        for name in ["wall_reply_", "wall_reply_pin", "neural_new", ""] {
            assert_eq!(read(name), Event::Unknown, "{name}");
        }
        for name in WANTED {
            assert!(matches!(read(name), Event::Words(..)), "{name}");
        }
    }
}
