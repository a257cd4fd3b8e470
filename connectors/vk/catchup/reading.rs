//! What the answer to a task holds, and what has to be read next. Pure.
//!
//! Paging:
//! - walls are newest first, but for a pinned post, which says nothing about age;
//! - comments of a post go oldest first from the last id seen, so that new ones arriving meanwhile shift nothing; each
//!   page is counted by its own items, because `count` also counts replies; replies that a page leaves out are read
//!   thread by thread;
//! - discussions, comments of photos, videos and products, dialogues go newest first until they are older than what we know.
//!
//! A list is taken apart before anything in it is read: an entry that can't be read becomes an item as it came, to be held,
//! and the others go their ways.

use bytes::Bytes;
use priem_sdk::{Item, json::Members};
use serde_json::Value;

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

/// An entry of a list, as it came, and its members when it is an object.
struct Entry {
    raw: Bytes,
    members: Option<Members>,
}

impl Entry {
    /// The entries of the list `items`.
    fn all(list: &Bytes) -> Vec<Self> {
        let entries = Members::of(list).and_then(|list| list.list("items"));
        let entry = |raw: Bytes| Self {
            members: Members::of(&raw),
            raw,
        };
        entries.unwrap_or_default().into_iter().map(entry).collect()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.members.as_ref()?.number(name)
    }

    fn object(&self, name: &str) -> Option<Members> {
        self.members.as_ref()?.object(name)
    }

    /// Without a date nothing is old.
    fn date(&self) -> i64 {
        self.number("date").unwrap_or(i64::MAX)
    }

    fn is_pinned(&self) -> bool {
        let pinned = self.members.as_ref().and_then(|members| members.read("is_pinned"));
        pinned.is_some_and(|value: Value| is_set(&value))
    }

    /// The replies that stand in it, and how many there are in all.
    fn thread(&self) -> (Vec<Self>, i64) {
        let thread = self.members.as_ref().and_then(|members| members.raw("thread"));
        let count = self.object("thread").and_then(|thread| thread.number("count"));
        (thread.map(Self::all).unwrap_or_default(), count.unwrap_or(0))
    }
}

impl Task {
    /// What the answer holds.
    pub fn read(&self, answer: &Bytes, horizon: &Horizon) -> Found {
        let items = &Entry::all(answer)[..];
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
            What::Topics => self.containers(items, Place::Board, "topic", |topic, entry| {
                // A topic says when it last changed; a video does not, there only the number tells.
                let is_new = entry.number("updated").is_none_or(|at| at >= horizon.since);
                is_new.then_some(What::Topic { topic, from: None })
            }),
            What::Videos => self.containers(items, Place::Video, "video", |video, _| {
                Some(What::Video { video, from: None })
            }),
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
            What::Products => {
                let mut found = Found::default();
                for product in items {
                    match product.number("id") {
                        // Nothing tells how many comments there are.
                        Some(item) => found.next.push((What::Product { item, from: None }, None)),
                        None => found.items.push(self.unknown(product, Place::Market.seen())),
                    }
                }
                found
            }
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
            What::Dialogues { offset } => self.dialogues(items, *offset, horizon),
            What::History { peer, offset } => self.history(items, *peer, *offset, horizon),
        };
        if !matches!(self.what, What::Comments { .. }) {
            // These came newest first.
            found.items.reverse();
        }
        found
    }

    fn posts(&self, items: &[Entry], offset: usize, suggested: bool, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for post in items {
            if post.date() >= horizon.floor {
                found
                    .items
                    .push(self.wrap("wall_post_seen", &post.raw, &[("owner_id", -self.group)]));
            }
            let comments = post.object("comments").and_then(|comments| comments.number("count"));
            if let (Some(id), Some(state @ 1..)) = (post.number("id"), comments) {
                let mark = self.mark(format!("wall_{id}"), state);
                found.next.push((What::Comments { post: id, from: None }, mark));
            }
        }
        let wanted = if offset == 0 { horizon.window } else { PAGE };
        let mut unpinned = items.iter().filter(|post| !post.is_pinned());
        if items.len() >= wanted && unpinned.all(|post| post.date() >= horizon.since) {
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

    fn comments(&self, items: &[Entry], post: i64, from: Option<i64>, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for comment in items {
            let ids = [("post_id", post)];
            let (replies, count) = comment.thread();
            self.take(std::slice::from_ref(comment), Place::Wall, &ids, horizon, &mut found);
            self.take(&replies, Place::Wall, &ids, horizon, &mut found);
            if let Some(id) = comment.number("id")
                && count > i64::try_from(replies.len()).unwrap_or(i64::MAX)
            {
                let what = What::Replies {
                    post,
                    comment: id,
                    offset: 0,
                };
                found.next.push((what, self.mark(format!("thread_{post}_{id}"), count)));
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
        items: &[Entry],
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
        &self,
        items: &[Entry],
        place: Place,
        kind: &str,
        what: impl Fn(i64, &Entry) -> Option<What>,
    ) -> Found {
        let mut found = Found::default();
        for container in items {
            let Some(id) = container.number("id") else {
                found.items.push(self.unknown(container, place.seen()));
                continue;
            };
            if let Some(comments @ 1..) = container.number("comments")
                && let Some(what) = what(id, container)
            {
                found.next.push((what, self.mark(format!("{kind}_{id}"), comments)));
            }
        }
        found
    }

    fn dialogues(&self, items: &[Entry], offset: usize, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        let mut is_all_new = true;
        for dialogue in items {
            let last = dialogue.object("last_message").and_then(|last| last.number("date"));
            if last.is_some_and(|at| at < horizon.since) {
                is_all_new = false;
                continue;
            }
            let conversation = dialogue.object("conversation");
            let peer = conversation.and_then(|conversation| conversation.object("peer")?.number("id"));
            match peer {
                Some(peer) => found.next.push((What::History { peer, offset: 0 }, None)),
                None => found.items.push(self.unknown(dialogue, "message_seen")),
            }
        }
        if items.len() >= MESSAGE_PAGE && is_all_new {
            found.next.push((
                What::Dialogues {
                    offset: offset + items.len(),
                },
                None,
            ));
        }
        found
    }

    fn history(&self, items: &[Entry], peer: i64, offset: usize, horizon: &Horizon) -> Found {
        let mut found = Found::default();
        for message in items.iter().filter(|message| message.date() >= horizon.floor) {
            let seen = self.wrap("message_seen", &message.raw, &[("peer_id", peer)]);
            found.items.push(seen);
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

    fn take(&self, items: &[Entry], place: Place, ids: &[(&str, i64)], horizon: &Horizon, found: &mut Found) {
        let ids: Vec<(&str, i64)> = ids.iter().copied().chain([("owner_id", -self.group)]).collect();
        for comment in items.iter().filter(|comment| comment.date() >= horizon.floor) {
            // Its replies are items of their own.
            let alone = comment.members.as_ref().map(|members| members.without("thread"));
            let seen = self.wrap(place.seen(), alone.as_ref().unwrap_or(&comment.raw), &ids);
            found.items.push(seen);
        }
    }

    fn wrap(&self, kind: &str, object: &Bytes, ids: &[(&str, i64)]) -> Item {
        split::seen(kind, self.group, object, ids)
    }

    /// An entry below which people write, and nobody knows what it is: held, so that somebody looks.
    fn unknown(&self, entry: &Entry, kind: &str) -> Item {
        self.wrap(kind, &entry.raw, &[])
    }

    fn mark(&self, name: String, state: i64) -> Option<Mark> {
        Some(Mark {
            group: self.group,
            name,
            state,
        })
    }
}

/// Whether everything on a page is new enough for the next page to matter.
fn reaches(items: &[Entry], since: i64) -> bool {
    items.iter().all(|item| item.date() >= since)
}

/// Where the next page starts; `None` when this one was the last. The page may begin with the id it was asked for.
fn last_id(items: &[Entry], from: Option<i64>) -> Option<i64> {
    let last = items.iter().rev().find_map(|item| item.number("id"))?;
    (items.len() >= PAGE && Some(last) != from).then_some(last)
}
