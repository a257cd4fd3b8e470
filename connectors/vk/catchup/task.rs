//! One thing to read again, and the call it needs.
//!
//! A task stands in the cursor until its answer is stored, so a crash repeats it and loses nothing.

use serde::{Deserialize, Serialize};

use super::super::client::Call;

/// Comments or photos in one answer.
pub(super) const PAGE: usize = 100;
/// Dialogues and messages in one answer.
pub(super) const MESSAGE_PAGE: usize = 200;
/// Replies VK puts below each comment.
const REPLIES: usize = 10;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    /// Posts of a wall; `suggested` ones instead of the public ones.
    #[serde(rename = "w")]
    Wall { offset: usize, suggested: bool },
    /// Comments of a post from this id on.
    #[serde(rename = "c")]
    Comments { post: i64, from: Option<i64> },
    /// Replies to a comment.
    #[serde(rename = "t")]
    Replies { post: i64, comment: i64, offset: usize },
    /// Discussions.
    #[serde(rename = "d")]
    Topics,
    /// Comments of a discussion, newest first, from this id back.
    #[serde(rename = "b")]
    Topic { topic: i64, from: Option<i64> },
    /// Comments below all photos, newest first.
    #[serde(rename = "p")]
    PhotoComments { offset: usize },
    /// Videos.
    #[serde(rename = "v")]
    Videos,
    /// Comments below a video, newest first, from this id back.
    #[serde(rename = "f")]
    Video { video: i64, from: Option<i64> },
    /// Products.
    #[serde(rename = "g")]
    Products,
    /// Comments below a product, newest first, from this id back.
    #[serde(rename = "k")]
    Product { item: i64, from: Option<i64> },
    /// Dialogues with the community.
    #[serde(rename = "m")]
    Dialogues { offset: usize },
    /// Messages of a dialogue, newest first.
    #[serde(rename = "h")]
    History { peer: i64, offset: usize },
}

/// A thing to read in a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    #[serde(rename = "g")]
    pub group: i64,
    #[serde(rename = "w")]
    pub what: What,
    /// How often it failed for a reason of its own.
    #[serde(rename = "x", default, skip_serializing_if = "is_zero")]
    pub tries: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// From where on things count, Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Horizon {
    /// Nothing older is ever taken in: it was there before we were.
    pub floor: i64,
    /// Older things were read in an earlier round.
    pub since: i64,
    /// Posts and discussions of every community that are always looked at.
    pub window: usize,
}

impl Task {
    pub fn new(group: i64, what: What) -> Self {
        Self { group, what, tries: 0 }
    }

    /// The call that reads it.
    pub fn call(&self, horizon: &Horizon) -> Call {
        let owner = ("owner_id", (-self.group).to_string());
        let group = ("group_id", self.group.to_string());
        let page = ("count", PAGE.to_string());
        let mut from_id = None;
        let mut call = match &self.what {
            What::Wall { offset, suggested } => Call::new(
                "wall.get",
                [
                    owner,
                    ("filter", if *suggested { "suggests" } else { "all" }.into()),
                    ("offset", offset.to_string()),
                    ("count", if *offset == 0 { horizon.window } else { PAGE }.to_string()),
                ],
            ),
            What::Comments { post, from } => {
                from_id = *from;
                Call::new(
                    "wall.getComments",
                    [
                        owner,
                        ("post_id", post.to_string()),
                        ("sort", "asc".into()),
                        ("preview_length", "0".into()),
                        ("thread_items_count", REPLIES.to_string()),
                        page,
                    ],
                )
            }
            What::Replies { post, comment, offset } => Call::new(
                "wall.getComments",
                [
                    owner,
                    ("post_id", post.to_string()),
                    ("comment_id", comment.to_string()),
                    ("sort", "asc".into()),
                    ("preview_length", "0".into()),
                    ("offset", offset.to_string()),
                    page,
                ],
            ),
            What::Topics => Call::new(
                "board.getTopics",
                [group, ("order", "1".into()), ("count", horizon.window.to_string())],
            ),
            What::Topic { topic, from } => {
                from_id = *from;
                Call::new(
                    "board.getComments",
                    [group, ("topic_id", topic.to_string()), ("sort", "desc".into()), page],
                )
            }
            What::PhotoComments { offset } => {
                Call::new("photos.getAllComments", [owner, ("offset", offset.to_string()), page])
            }
            What::Videos => Call::new("video.get", [owner, ("count", horizon.window.to_string())]),
            What::Video { video, from } => {
                from_id = *from;
                Call::new(
                    "video.getComments",
                    [owner, ("video_id", video.to_string()), ("sort", "desc".into()), page],
                )
            }
            What::Products => Call::new("market.get", [owner, ("count", horizon.window.to_string())]),
            What::Product { item, from } => {
                from_id = *from;
                Call::new(
                    "market.getComments",
                    [owner, ("item_id", item.to_string()), ("sort", "desc".into()), page],
                )
            }
            What::Dialogues { offset } => Call::new(
                "messages.getConversations",
                [
                    group,
                    ("offset", offset.to_string()),
                    ("count", MESSAGE_PAGE.to_string()),
                ],
            ),
            What::History { peer, offset } => Call::new(
                "messages.getHistory",
                [
                    group,
                    ("peer_id", peer.to_string()),
                    ("offset", offset.to_string()),
                    ("count", MESSAGE_PAGE.to_string()),
                ],
            ),
        };
        call.params
            .extend(from_id.map(|id| ("start_comment_id", id.to_string())));
        call
    }
}
