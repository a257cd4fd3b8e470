//! What the answer to a task holds, and what has to be read next. Pure.
//!
//! Paging:
//! - walls are newest first, but for a pinned post, which says nothing about age;
//! - comments of a post go oldest first from the last id seen, so that new ones arriving meanwhile shift nothing; each
//!   page is counted by its own items, because `count` also counts replies; replies that a page leaves out are read
//!   thread by thread;
//! - discussions, comments of photos, videos and products, dialogues go newest first until they are older than what we know.

use priem_sdk::Item;
use serde_json::{Map, Value};

use super::{
    super::{api::is_set, event::Place, split},
    task::{Horizon, MESSAGE_PAGE, PAGE, Task, What},
};

/// What an answer leads to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oldest first.
    pub items: Vec<Item>,
    /// What has to be read next, and a mark that says "unchanged since" where there is one.
    pub next: Vec<(What, Option<Mark>)>,
}

/// Something whose number of comments tells whether it has to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub group: i64,
    pub name: String,
    pub state: i64,
}

impl Task {
    /// What the answer holds.
    pub fn read(&self, answer: &Value, horizon: &Horizon) -> Found {
        let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found = match &self.what {
            What::Wall { offset, suggested } => self.posts(items, *offset, *suggested, horizon),
            What::Comments { post, from } => self.comments(items, *post, *from, horizon),
            What::Replies { post, comment, offset } => {
                let mut found = Found::default();
                self.take(items, Place::Wall, &[("post_id", *post)], horizon, &mut found);
                if items.len() >= PAGE {
                    found.next.push((
                        What::Replies {
                            post: *post,
                            comment: *comment,
                            offset: offset + items.len(),
                        },
                        None,
                    ));
                }
                return found;
            }
            What::Topics => Self::containers(
                items,
                "updated",
                horizon,
                |topic| What::Topic { topic, from: None },
                self.group,
                "topic",
            ),
            What::Videos => Self::containers(
                items,
                "date",
                horizon,
                |video| What::Video { video, from: None },
                self.group,
                "video",
            ),
            What::Topic { topic, from } => {
                let next = |last| What::Topic {
                    topic: *topic,
                    from: Some(last),
                };
                self.backwards(items, Place::Board, ("topic_id", *topic), *from, horizon, next)
            }
            What::Video { video, from } => {
                let next = |last| What::Video {
                    video: *video,
                    from: Some(last),
                };
                self.backwards(items, Place::Video, ("video_id", *video), *from, horizon, next)
            }
            What::Products => Found {
                next: items
                    .iter()
                    .filter_map(|product| product["id"].as_i64())
                    // Nothing tells how many comments there are.
                    .map(|item| (What::Product { item, from: None }, None))
                    .collect(),
                ..Found::default()
            },
            What::Product { item, from } => {
                let next = |last| What::Product {
                    item: *item,
                    from: Some(last),
                };
                self.backwards(items, Place::Market, ("item_id", *item), *from, horizon, next)
            }
            What::PhotoComments { offset } => {
                let mut found = Found::default();
                self.take(items, Place::Photo, &[], horizon, &mut found);
                if items.len() >= PAGE && reaches(items, horizon.since) {
                    found.next.push((
                        What::PhotoComments {
                            offset: offset + items.len(),
                        },
                        None,
                    ));
                }
                found
            }
            What::Dialogues { offset } => Self::dialogues(items, *offset, horizon),
            What::History { peer, offset } => self.history(items, *peer, *offset, horizon),
        };
        if !matches!(self.what, What::Comments { .. }) {
            // These came newest first.
            found.items.reverse();
        }
        found
    }

    fn posts(&self, items: &[Value], offset: usize, suggested: bool, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for post in items {
            let Some(id) = post["id"].as_i64() else { continue };
            if date(post) >= horizon.floor
                && let Some(object) = post.as_object()
            {
                found
                    .items
                    .push(self.wrap("wall_post_seen", object.clone(), &[("owner_id", -self.group)]));
            }
            let comments = post["comments"]["count"].as_i64().unwrap_or(0);
            if comments > 0 {
                let mark = Mark {
                    group: self.group,
                    name: format!("wall_{id}"),
                    state: comments,
                };
                found.next.push((What::Comments { post: id, from: None }, Some(mark)));
            }
        }
        let wanted = if offset == 0 { horizon.window } else { PAGE };
        let unpinned: Vec<Value> = items
            .iter()
            .filter(|post| !is_set(&post["is_pinned"]))
            .cloned()
            .collect();
        if items.len() >= wanted && reaches(&unpinned, horizon.since) {
            found.next.push((
                What::Wall {
                    offset: offset + items.len(),
                    suggested,
                },
                None,
            ));
        }
        found
    }

    fn comments(&self, items: &[Value], post: i64, from: Option<i64>, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for comment in items {
            self.take(
                std::slice::from_ref(comment),
                Place::Wall,
                &[("post_id", post)],
                horizon,
                &mut found,
            );
            let replies = comment["thread"]["items"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            self.take(replies, Place::Wall, &[("post_id", post)], horizon, &mut found);
            let count = comment["thread"]["count"].as_i64().unwrap_or(0);
            if let Some(id) = comment["id"].as_i64()
                && count > i64::try_from(replies.len()).unwrap_or(i64::MAX)
            {
                let mark = Mark {
                    group: self.group,
                    name: format!("thread_{post}_{id}"),
                    state: count,
                };
                found.next.push((
                    What::Replies {
                        post,
                        comment: id,
                        offset: 0,
                    },
                    Some(mark),
                ));
            }
        }
        if let Some(last) = last_id(items, from) {
            found.next.push((What::Comments { post, from: Some(last) }, None));
        }
        found
    }

    /// Comments newest first, until they are older than what we know.
    fn backwards(
        &self,
        items: &[Value],
        place: Place,
        parent: (&str, i64),
        from: Option<i64>,
        horizon: &Horizon,
        next: impl Fn(i64) -> What,
    ) -> Found {
        let mut found = Found::default();
        self.take(items, place, &[parent], horizon, &mut found);
        if let Some(last) = last_id(items, from)
            && reaches(items, horizon.since)
        {
            found.next.push((next(last), None));
        }
        found
    }

    /// Topics or videos whose comments may be new.
    fn containers(
        items: &[Value],
        newest: &str,
        horizon: &Horizon,
        what: impl Fn(i64) -> What,
        group: i64,
        kind: &str,
    ) -> Found {
        let mut found = Found::default();
        for container in items {
            let Some(id) = container["id"].as_i64() else { continue };
            let comments = container["comments"].as_i64().unwrap_or(0);
            // A topic says when it last changed; a video does not, there only the number tells.
            let may_be_new = newest != "updated" || container[newest].as_i64().is_none_or(|at| at >= horizon.since);
            if comments > 0 && may_be_new {
                let mark = Mark {
                    group,
                    name: format!("{kind}_{id}"),
                    state: comments,
                };
                found.next.push((what(id), Some(mark)));
            }
        }
        found
    }

    fn dialogues(items: &[Value], offset: usize, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for dialogue in items {
            let new = dialogue["last_message"]["date"]
                .as_i64()
                .is_none_or(|at| at >= horizon.since);
            if let (true, Some(peer)) = (new, dialogue["conversation"]["peer"]["id"].as_i64()) {
                found.next.push((What::History { peer, offset: 0 }, None));
            }
        }
        let all_new = found.next.len() == items.len();
        if items.len() >= MESSAGE_PAGE && all_new {
            found.next.push((
                What::Dialogues {
                    offset: offset + items.len(),
                },
                None,
            ));
        }
        found
    }

    fn history(&self, items: &[Value], peer: i64, offset: usize, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for message in items {
            if date(message) >= horizon.floor
                && let Some(object) = message.as_object()
            {
                found
                    .items
                    .push(self.wrap("message_seen", object.clone(), &[("peer_id", peer)]));
            }
        }
        if items.len() >= MESSAGE_PAGE && reaches(items, horizon.since) {
            found.next.push((
                What::History {
                    peer,
                    offset: offset + items.len(),
                },
                None,
            ));
        }
        found
    }

    fn take(&self, items: &[Value], place: Place, ids: &[(&str, i64)], horizon: &Horizon, found: &mut Found) {
        for comment in items {
            if date(comment) < horizon.floor {
                continue;
            }
            let Some(object) = comment.as_object() else { continue };
            let mut object = object.clone();
            // Its replies are items of their own.
            object.remove("thread");
            let ids: Vec<(&str, i64)> = ids.iter().copied().chain([("owner_id", -self.group)]).collect();
            found.items.push(self.wrap(place.seen(), object, &ids));
        }
    }

    fn wrap(&self, kind: &str, object: Map<String, Value>, ids: &[(&str, i64)]) -> Item {
        split::seen(kind, self.group, object, ids)
    }
}

/// Without a date nothing is old.
fn date(object: &Value) -> i64 {
    object["date"].as_i64().unwrap_or(i64::MAX)
}

/// Whether everything on a page is new enough for the next page to matter.
fn reaches(items: &[Value], since: i64) -> bool {
    items.iter().all(|item| date(item) >= since)
}

/// Where the next page starts; `None` when this one was the last. The page may begin with the id it was asked for.
fn last_id(items: &[Value], from: Option<i64>) -> Option<i64> {
    let last = items.last()?["id"].as_i64()?;
    (items.len() >= PAGE && Some(last) != from).then_some(last)
}
