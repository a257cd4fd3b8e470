//! What people do in a community: they write, answer, propose, comment. Each deed changes what the methods show,
//! stands in the ledger, and becomes an event where the platform makes one.

use serde_json::{Map, Value, json};

use super::{
    Citizen, Community,
    announce::{kinds_of, merge},
    comments::{Comment, Comments},
    ledger::{Place, Written},
    state::{self, Post, Thing, comments_of},
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

    /// Offers a product.
    pub fn offer(&self, title: &str) -> Written {
        let id = self.add_thing(&self.itself(), title, |state| &mut state.products);
        self.named(Place::Product, id)
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

    /// A comment under a post, in a discussion, under a photo, a video or a product; or an answer to a comment under a post.
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
        Place::Product => Place::MarketComment { item: on.id },
        other => other,
    }
}
