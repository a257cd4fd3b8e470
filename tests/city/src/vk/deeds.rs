//! What people do in a community: they write, answer, propose, edit, delete. Each deed changes what the methods show,
//! stands in the ledger, and becomes an event where the platform makes one.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    Citizen, Community, callback,
    comments::{Comment, Comments},
    events::Event,
    ledger::{Place, Written},
    state::{self, Post, Thing},
};

/// Peers above this are group chats.
const CHATS: i64 = 2_000_000_000;

/// What is written: text, and what comes with it.
#[derive(Debug, Clone, Default)]
pub struct Words {
    text: String,
    extra: Map<String, Value>,
}

impl Words {
    /// Plain text.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            extra: Map::new(),
        }
    }

    /// With a field as the platform writes it: `geo`, `reply_message`, `copy_history`, `is_cropped`…
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.extra.insert(field.to_owned(), value);
        self
    }

    /// With an attachment of a type.
    #[must_use]
    pub fn attach(mut self, kind: &str, object: Value) -> Self {
        let attachments = self.extra.entry("attachments").or_insert_with(|| json!([]));
        if let Some(list) = attachments.as_array_mut() {
            list.push(json!({"type": kind, kind: object}));
        }
        self
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Community {
    /// The community as an author.
    pub fn itself(&self) -> Citizen {
        Citizen::community(self.id)
    }

    /// A private message to the community.
    pub fn write(&self, by: &Citizen, words: impl Into<Words>) -> Written {
        self.message(by.id, by, words.into(), "message_new")
    }

    /// A message in a group chat the community is in; its `id` is 0.
    pub fn write_in_chat(&self, chat: i64, by: &Citizen, words: impl Into<Words>) -> Written {
        self.message(CHATS + chat, by, words.into(), "message_new")
    }

    /// An answer of the community in a dialog: no citizen's message.
    pub fn answer(&self, peer: i64, words: impl Into<Words>) -> Written {
        self.message(peer, &self.itself(), words.into(), "message_reply")
    }

    fn message(&self, peer: i64, by: &Citizen, words: Words, kind: &'static str) -> Written {
        self.know(by);
        let now = self.network.unix();
        let (written, message) = {
            let mut state = self.state.lock();
            let number = if peer > CHATS { 0 } else { state.take_id() };
            let messages = state.dialogs.entry(peer).or_default();
            let cmid = messages.len() as i64 + 1;
            let mut message = json!({"date": now, "from_id": by.id, "id": number, "version": 10_000_000 + cmid,
                "out": u8::from(by.id < 0), "fwd_messages": [], "important": false, "is_hidden": false,
                "attachments": [], "conversation_message_id": cmid, "text": words.text, "peer_id": peer,
                "random_id": 0});
            if by.id < 0 {
                message["admin_author_id"] = 1.into();
            }
            merge(&mut message, words.extra);
            messages.push(message.clone());
            let written = Written {
                group: self.id,
                place: Place::Dialog { peer },
                id: cmid,
            };
            (written, message)
        };
        self.network.ledger.lock().add(written, by.id, &words.text, now);
        let object = if kind == "message_new" {
            json!({"message": message, "client_info": {"button_actions": ["text", "open_link", "callback"],
                "keyboard": true, "inline_keyboard": true, "carousel": true, "lang_id": 0}})
        } else {
            message
        };
        self.announce(kind, object, Some(written));
        written
    }

    /// A post of the community on its own wall.
    pub fn post(&self, words: impl Into<Words>) -> Written {
        self.post_by(&self.itself(), words.into(), Place::Wall)
    }

    /// A post of a citizen on a wall that is open to all.
    pub fn post_of(&self, by: &Citizen, words: impl Into<Words>) -> Written {
        self.post_by(by, words.into(), Place::Wall)
    }

    /// A post a citizen proposes.
    pub fn suggest(&self, by: &Citizen, words: impl Into<Words>) -> Written {
        self.post_by(by, words.into(), Place::Suggestion)
    }

    fn post_by(&self, by: &Citizen, words: Words, place: Place) -> Written {
        self.know(by);
        let now = self.network.unix();
        let (written, object) = {
            let mut state = self.state.lock();
            let id = state.take_id();
            let post = Post {
                id,
                from_id: by.id,
                date: now,
                text: words.text.clone(),
                suggested: place == Place::Suggestion,
                pinned: false,
                deleted: false,
                edited: None,
                extra: words.extra,
                comments: Comments::default(),
            };
            let object = post.object(-self.id);
            state.posts.push(post);
            (self.named(place, id), object)
        };
        self.network.ledger.lock().add(written, by.id, &words.text, now);
        self.announce("wall_post_new", object, Some(written));
        written
    }

    /// The community publishes a proposal, signed with its author's name; the post has a number of its own.
    pub fn accept(&self, suggestion: &Written) -> Option<Written> {
        let (author, text) = {
            let mut state = self.state.lock();
            let post = state
                .posts
                .iter_mut()
                .find(|post| post.id == suggestion.id && post.suggested)?;
            post.deleted = true;
            (post.from_id, post.text.clone())
        };
        Some(self.post(Words::new(&text).with("signer_id", author.into())))
    }

    /// Pins a post to the top of the wall.
    pub fn pin(&self, post: &Written) {
        let mut state = self.state.lock();
        for one in &mut state.posts {
            one.pinned = one.id == post.id;
        }
    }

    /// Opens a discussion; the first comment in it is its text.
    pub fn open_topic(&self, by: &Citizen, title: &str, words: impl Into<Words>) -> Written {
        let id = self.add_thing(by, title, |state| &mut state.topics);
        let topic = self.named(Place::Topic, id);
        self.network.ledger.lock().add(topic, by.id, title, self.network.unix());
        self.comment(&topic, by, words);
        topic
    }

    /// Shows a photo.
    pub fn show_photo(&self, title: &str) -> Written {
        let id = self.add_thing(&self.itself(), title, |state| &mut state.photos);
        self.named(Place::Photo, id)
    }

    /// Shows a video.
    pub fn show_video(&self, title: &str) -> Written {
        let id = self.add_thing(&self.itself(), title, |state| &mut state.videos);
        self.named(Place::Video, id)
    }

    fn add_thing(&self, by: &Citizen, title: &str, list: impl FnOnce(&mut state::Community) -> &mut Vec<Thing>) -> i64 {
        self.know(by);
        let date = self.network.unix();
        let mut state = self.state.lock();
        let id = state.take_id();
        list(&mut state).push(Thing {
            id,
            by: by.id,
            date,
            title: title.to_owned(),
            deleted: false,
            comments: Comments::default(),
        });
        id
    }

    /// A comment under a post, in a discussion, under a photo or a video; or an answer to a comment under a post.
    ///
    /// # Panics
    /// When there is nothing of that name, or nothing that can be commented.
    pub fn comment(&self, on: &Written, by: &Citizen, words: impl Into<Words>) -> Written {
        self.know(by);
        let words = words.into();
        let now = self.network.unix();
        let (written, kind, object) = {
            let mut state = self.state.lock();
            let id = state.take_id();
            let mut comment = Comment {
                id,
                from_id: by.id,
                date: now,
                text: words.text.clone(),
                extra: words.extra,
                thread: None,
                reply_to_user: None,
                reply_to_comment: None,
                deleted: false,
            };
            let place = place_of_comment(on);
            let comments = comments_of(&mut state, place).expect("what is commented is there");
            if let Place::WallComment { .. } = on.place {
                let to = comments.find(on.id).expect("the comment that is answered is there");
                comment.thread = to.thread.or(Some(to.id));
                comment.reply_to_user = Some(to.from_id);
                comment.reply_to_comment = Some(to.id);
            }
            let place = match place {
                Place::WallComment { post, .. } => Place::WallComment {
                    post,
                    thread: comment.thread,
                },
                other => other,
            };
            let object = self.comment_object(&comment, place);
            comments.push(comment);
            (self.named(place, id), kinds_of(place)[0], object)
        };
        self.network.ledger.lock().add(written, by.id, &words.text, now);
        self.announce(kind, object, Some(written));
        written
    }

    /// The author changes the text. Nothing is announced where the platform is silent: for posts, and for private
    /// messages of citizens.
    pub fn edit(&self, what: &Written, text: &str) {
        let now = self.network.unix();
        let event = {
            let mut state = self.state.lock();
            match what.place {
                Place::Dialog { peer } => edit_message(&mut state, peer, what.id, text, now),
                Place::Wall | Place::Suggestion => {
                    if let Some(post) = state.posts.iter_mut().find(|post| post.id == what.id) {
                        text.clone_into(&mut post.text);
                        post.edited = Some(now);
                    }
                    None
                }
                place => {
                    let comment = comments_of(&mut state, place).and_then(|comments| comments.find_mut(what.id));
                    comment.map(|comment| {
                        text.clone_into(&mut comment.text);
                        (kinds_of(place)[1], self.comment_object(comment, place))
                    })
                }
            }
        };
        self.network.ledger.lock().change(what, |entry| {
            let former = std::mem::replace(&mut entry.text, text.to_owned());
            entry.former.push(former);
        });
        if let Some((kind, object)) = event {
            self.announce(kind, object, Some(*what));
        }
    }

    /// Somebody deletes it. Announced for comments only.
    pub fn delete(&self, what: &Written, by: &Citizen) {
        let now = self.network.unix();
        let event = {
            let mut state = self.state.lock();
            match what.place {
                Place::Dialog { peer } => {
                    if let Some(messages) = state.dialogs.get_mut(&peer) {
                        messages.retain(|message| message["conversation_message_id"] != what.id);
                    }
                    None
                }
                Place::Wall | Place::Suggestion => {
                    if let Some(post) = state.posts.iter_mut().find(|post| post.id == what.id) {
                        post.deleted = true;
                    }
                    None
                }
                place => {
                    let comment = comments_of(&mut state, place).and_then(|comments| comments.find_mut(what.id));
                    comment.map(|comment| {
                        comment.deleted = true;
                        (kinds_of(place)[2], self.deletion_object(comment, place, by.id))
                    })
                }
            }
        };
        self.network
            .ledger
            .lock()
            .change(what, |entry| entry.deleted_at = Some(now));
        if let Some((kind, object)) = event {
            self.announce(kind, object, Some(*what));
        }
    }

    /// A deleted comment comes back.
    pub fn restore(&self, what: &Written) {
        let event = {
            let mut state = self.state.lock();
            let comment = comments_of(&mut state, what.place).and_then(|comments| comments.find_mut(what.id));
            comment.map(|comment| {
                comment.deleted = false;
                (kinds_of(what.place)[3], self.comment_object(comment, what.place))
            })
        };
        self.network.ledger.lock().change(what, |entry| entry.deleted_at = None);
        if let Some((kind, object)) = event {
            self.announce(kind, object, Some(*what));
        }
    }

    /// An event of any kind with any object, as only the platform could make it.
    pub fn push(&self, kind: &str, object: Value) {
        self.put(kind, object, None);
    }

    fn announce(&self, kind: &'static str, object: Value, written: Option<Written>) {
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

    fn know(&self, by: &Citizen) {
        if by.id > 0 {
            self.network.people.lock().entry(by.id).or_insert_with(|| by.clone());
        }
    }

    fn named(&self, place: Place, id: i64) -> Written {
        Written {
            group: self.id,
            place,
            id,
        }
    }

    /// A comment as an event shows it.
    fn comment_object(&self, comment: &Comment, place: Place) -> Value {
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
            _ if self.network.options.as_in_schema => "owner_id",
            _ => "post_owner_id",
        }
    }

    fn deletion_object(&self, comment: &Comment, place: Place, by: i64) -> Value {
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
fn kinds_of(place: Place) -> [&'static str; 4] {
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
        _ => ("id", 0),
    }
}

/// Where a comment on something is.
fn place_of_comment(on: &Written) -> Place {
    match on.place {
        Place::Wall | Place::Suggestion => Place::WallComment {
            post: on.id,
            thread: None,
        },
        Place::Topic => Place::Board { topic: on.id },
        Place::Photo => Place::PhotoComment { photo: on.id },
        Place::Video => Place::VideoComment { video: on.id },
        other => other,
    }
}

fn comments_of(state: &mut state::Community, place: Place) -> Option<&mut Comments> {
    fn of(things: &mut [Thing], id: i64) -> Option<&mut Comments> {
        let thing = things.iter_mut().find(|thing| thing.id == id)?;
        Some(&mut thing.comments)
    }
    match place {
        Place::WallComment { post, .. } => {
            let post = state.posts.iter_mut().find(|one| one.id == post)?;
            Some(&mut post.comments)
        }
        Place::Board { topic } => of(&mut state.topics, topic),
        Place::PhotoComment { photo } => of(&mut state.photos, photo),
        Place::VideoComment { video } => of(&mut state.videos, video),
        _ => None,
    }
}

/// Changes a message; an event only when the community wrote it.
fn edit_message(
    state: &mut state::Community,
    peer: i64,
    cmid: i64,
    text: &str,
    now: i64,
) -> Option<(&'static str, Value)> {
    let messages = state.dialogs.get_mut(&peer)?;
    let message = messages
        .iter_mut()
        .find(|message| message["conversation_message_id"] == cmid)?;
    message["text"] = text.into();
    message["update_time"] = now.into();
    (message["out"] == 1).then(|| ("message_edit", message.clone()))
}

fn merge(object: &mut Value, extra: Map<String, Value>) {
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
