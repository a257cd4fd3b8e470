//! The methods one who listens has business with: who may call each, with which parameters.

use serde_json::Value;

use super::{ApiError, Call, boards, callbacks, groups, media, messages, users, walls};
use crate::vk::events::KINDS;

type Run = fn(&Call<'_>) -> Result<Value, ApiError>;

/// A method.
pub(super) struct Method {
    pub name: &'static str,
    /// Kinds of tokens, by the names of the official schema.
    pub kinds: &'static [&'static str],
    /// The right a community token needs.
    pub right: Option<&'static str>,
    pub required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Also takes a switch for every kind of event.
    has_switches: bool,
    pub run: Run,
}

/// What can be compared with the official schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodFacts {
    /// Name.
    pub name: &'static str,
    /// Kinds of tokens: `user`, `group`, `service`.
    pub token_kinds: &'static [&'static str],
    /// Parameters without which it fails.
    pub required: &'static [&'static str],
    /// Every parameter it takes.
    pub parameters: Vec<&'static str>,
}

impl Method {
    pub fn knows(&self, parameter: &str) -> bool {
        self.required.contains(&parameter)
            || self.optional.contains(&parameter)
            || (self.has_switches && KINDS.contains(&parameter))
    }

    pub fn facts(&self) -> MethodFacts {
        let mut parameters = [self.required, self.optional].concat();
        if self.has_switches {
            parameters.extend(KINDS);
        }
        MethodFacts {
            name: self.name,
            token_kinds: self.kinds,
            required: self.required,
            parameters,
        }
    }
}

const fn method(
    name: &'static str,
    kinds: &'static [&'static str],
    required: &'static [&'static str],
    optional: &'static [&'static str],
    run: Run,
) -> Method {
    Method {
        name,
        kinds,
        right: None,
        required,
        optional,
        has_switches: false,
        run,
    }
}

/// A method of management: a community token needs the right `manage`.
const fn manage(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    has_switches: bool,
    run: Run,
) -> Method {
    Method {
        name,
        kinds: USER_OR_GROUP,
        right: Some("manage"),
        required,
        optional,
        has_switches,
        run,
    }
}

const fn dialogs(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    run: Run,
) -> Method {
    Method {
        name,
        kinds: USER_OR_GROUP,
        right: Some("messages"),
        required,
        optional,
        has_switches: false,
        run,
    }
}

const ALL: &[&str] = &["user", "group", "service"];
const USER_OR_GROUP: &[&str] = &["user", "group"];
const USER_OR_SERVICE: &[&str] = &["user", "service"];
const USER: &[&str] = &["user"];

pub(super) static METHODS: &[Method] = &[
    method(
        "users.get",
        ALL,
        &[],
        &["user_ids", "fields", "name_case", "from_group_id"],
        users::get,
    ),
    method(
        "utils.resolveScreenName",
        ALL,
        &["screen_name"],
        &[],
        groups::resolve_screen_name,
    ),
    method(
        "groups.getById",
        ALL,
        &[],
        &["group_ids", "group_id", "fields"],
        groups::get_by_id,
    ),
    method(
        "groups.getTokenPermissions",
        &["group"],
        &[],
        &[],
        groups::get_token_permissions,
    ),
    manage(
        "groups.getLongPollServer",
        &["group_id"],
        &[],
        false,
        groups::get_long_poll_server,
    ),
    manage(
        "groups.getLongPollSettings",
        &["group_id"],
        &[],
        false,
        groups::get_long_poll_settings,
    ),
    manage(
        "groups.setLongPollSettings",
        &["group_id"],
        &["enabled", "api_version"],
        true,
        groups::set_long_poll_settings,
    ),
    manage(
        "groups.getCallbackConfirmationCode",
        &["group_id"],
        &[],
        false,
        callbacks::get_confirmation_code,
    ),
    manage(
        "groups.getCallbackServers",
        &["group_id"],
        &["server_ids"],
        false,
        callbacks::get_servers,
    ),
    manage(
        "groups.getCallbackSettings",
        &["group_id"],
        &["server_id"],
        false,
        callbacks::get_settings,
    ),
    manage(
        "groups.setCallbackSettings",
        &["group_id"],
        &["server_id", "api_version"],
        true,
        callbacks::set_settings,
    ),
    manage(
        "groups.addCallbackServer",
        &["group_id", "url", "title"],
        &["secret_key"],
        false,
        callbacks::add_server,
    ),
    manage(
        "groups.editCallbackServer",
        &["group_id", "server_id", "url", "title"],
        &["secret_key"],
        false,
        callbacks::edit_server,
    ),
    manage(
        "groups.deleteCallbackServer",
        &["group_id", "server_id"],
        &[],
        false,
        callbacks::delete_server,
    ),
    method(
        "wall.get",
        USER_OR_SERVICE,
        &[],
        &["owner_id", "domain", "offset", "count", "filter", "extended", "fields"],
        walls::get,
    ),
    method(
        "wall.getById",
        USER_OR_SERVICE,
        &["posts"],
        &["extended", "copy_history_depth", "fields"],
        walls::get_by_id,
    ),
    method(
        "wall.getComment",
        USER,
        &["comment_id"],
        &["owner_id", "extended", "fields"],
        walls::get_comment,
    ),
    method(
        "wall.getComments",
        USER_OR_SERVICE,
        &[],
        &[
            "owner_id",
            "post_id",
            "need_likes",
            "start_comment_id",
            "offset",
            "count",
            "sort",
            "preview_length",
            "extended",
            "fields",
            "comment_id",
            "thread_items_count",
        ],
        walls::get_comments,
    ),
    method(
        "board.getTopics",
        USER_OR_SERVICE,
        &["group_id"],
        &[
            "topic_ids",
            "order",
            "offset",
            "count",
            "extended",
            "preview",
            "preview_length",
        ],
        boards::get_topics,
    ),
    method(
        "board.getComments",
        USER_OR_SERVICE,
        &["group_id", "topic_id"],
        &["need_likes", "start_comment_id", "offset", "count", "extended", "sort"],
        boards::get_comments,
    ),
    method(
        "photos.get",
        USER_OR_SERVICE,
        &[],
        &[
            "owner_id",
            "album_id",
            "photo_ids",
            "rev",
            "extended",
            "photo_sizes",
            "offset",
            "count",
        ],
        media::photos_get,
    ),
    method(
        "photos.getComments",
        USER,
        &["photo_id"],
        &[
            "owner_id",
            "need_likes",
            "start_comment_id",
            "offset",
            "count",
            "sort",
            "access_key",
            "extended",
            "fields",
        ],
        media::photos_get_comments,
    ),
    method(
        "photos.getAllComments",
        USER,
        &[],
        &["owner_id", "album_id", "need_likes", "offset", "count"],
        media::photos_get_all_comments,
    ),
    method(
        "video.get",
        USER,
        &[],
        &[
            "owner_id", "videos", "album_id", "count", "offset", "extended", "fields",
        ],
        media::video_get,
    ),
    method(
        "video.getComments",
        USER,
        &["video_id"],
        &[
            "owner_id",
            "need_likes",
            "start_comment_id",
            "offset",
            "count",
            "sort",
            "extended",
            "fields",
            "comment_id",
            "thread_items_count",
        ],
        media::video_get_comments,
    ),
    method(
        "market.get",
        USER,
        &["owner_id"],
        &[
            "album_id",
            "count",
            "offset",
            "extended",
            "date_from",
            "date_to",
            "need_variants",
            "with_disabled",
            "fields",
        ],
        media::market_get,
    ),
    method(
        "market.getComments",
        USER,
        &["owner_id", "item_id"],
        &[
            "need_likes",
            "start_comment_id",
            "offset",
            "count",
            "sort",
            "extended",
            "fields",
        ],
        media::market_get_comments,
    ),
    dialogs(
        "messages.getConversations",
        &[],
        &[
            "offset",
            "count",
            "filter",
            "extended",
            "start_message_id",
            "fields",
            "group_id",
        ],
        messages::get_conversations,
    ),
    dialogs(
        "messages.getHistory",
        &[],
        &[
            "offset",
            "count",
            "user_id",
            "peer_id",
            "start_message_id",
            "rev",
            "extended",
            "fields",
            "group_id",
        ],
        messages::get_history,
    ),
    dialogs(
        "messages.getById",
        &[],
        &[
            "message_ids",
            "preview_length",
            "extended",
            "fields",
            "group_id",
            "cmids",
            "peer_id",
        ],
        messages::get_by_id,
    ),
    dialogs(
        "messages.getByConversationMessageId",
        &["peer_id", "conversation_message_ids"],
        &["extended", "fields", "group_id"],
        messages::get_by_conversation_message_id,
    ),
];
