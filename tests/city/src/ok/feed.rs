//! What citizens and the group's owners do: they write, comment, post, edit, remove.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    City, hooks,
    ledger::{Act, Place, Word},
    state,
};

/// A group of the city. Cheap to clone.
#[derive(Clone)]
pub struct Group {
    city: Arc<City>,
    id: String,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Where it stands.
    pub place: Place,
}

impl Group {
    pub(super) fn new(city: Arc<City>, id: &str) -> Self {
        Self {
            city,
            id: id.to_owned(),
        }
    }

    /// A citizen writes to the group privately.
    pub fn write(&self, person: u64, name: &str, text: &str) -> Sent {
        self.write_message(person, name, json!({ "text": text }))
    }

    /// The same with any message object (attachments, `reply_to`); `seq` and `mid` are set here.
    pub fn write_message(&self, person: u64, name: &str, message: Value) -> Sent {
        let sender = format!("user:{person}");
        self.city
            .world
            .lock()
            .people
            .insert(person.to_string(), name.to_owned());
        let text = message["text"].as_str().unwrap_or_default().to_owned();
        let (mid, delivery) = self.put_message(&sender, name, person, message);
        let place = Place::Message { mid };
        self.note(place.clone(), Act::Wrote, &text);
        hooks::dispatch(&self.city, &self.id, delivery);
        Sent { place }
    }

    /// The group answers a citizen: it stands in the history, is not delivered, and is not a citizen's word.
    pub fn answer(&self, person: u64, text: &str) {
        self.put_message(&format!("group:{}", self.id), "Группа", person, json!({ "text": text }));
    }

    fn put_message(&self, sender: &str, name: &str, person: u64, mut message: Value) -> (String, Value) {
        let now = self.city.millis();
        let mut world = self.city.world.lock();
        let number = world.number();
        let chat = format!("chat:C{person:x}");
        // The platform's own numbers pass 2^53.
        let seq = (u64::try_from(now).unwrap_or(0) << 16) | (number & 0xffff);
        let mid = format!("mid:C{person:x}.{seq:016x}");
        message["seq"] = seq.into();
        message["mid"] = mid.as_str().into();
        let in_history = json!({"sender": {"user_id": sender, "name": name}, "recipient": {"chat_id": chat},
            "message": message, "timestamp": now});
        let mut delivery = json!({"webhookType": "MESSAGE_CREATED", "group_id": format!("group:{}", self.id),
            "sender": {"user_id": sender}, "recipient": {"chat_id": chat}, "message": message, "timestamp": now});
        if number.is_multiple_of(2)
            && let Some(fields) = delivery.as_object_mut()
        {
            // The older documented form.
            fields.remove("webhookType");
            fields.remove("group_id");
        }
        if let Some(group) = world.groups.get_mut(&self.id) {
            let chat = group.chats.entry(chat).or_default();
            chat.messages.push(state::Message {
                at: now,
                body: in_history,
            });
            chat.last_event = now;
        }
        drop(world);
        self.city.touch();
        (mid, delivery)
    }

    /// Delivers anything, as no history shows it: a pressed button, a changed chat, a kind of tomorrow.
    pub fn deliver(&self, delivery: Value) {
        hooks::dispatch(&self.city, &self.id, delivery);
    }

    /// A citizen posts a topic.
    pub fn post(&self, person: u64, name: &str, text: &str) -> Sent {
        self.city
            .world
            .lock()
            .people
            .insert(person.to_string(), name.to_owned());
        let id = self.put_topic(&format!("user:{person}"), text);
        let place = Place::Topic { id };
        self.note(place.clone(), Act::Wrote, text);
        Sent { place }
    }

    /// The group posts a topic; not a citizen's word. Its id.
    pub fn post_as_group(&self, text: &str) -> String {
        self.put_topic(&format!("group:{}", self.id), text)
    }

    fn put_topic(&self, author: &str, text: &str) -> String {
        let now = self.city.millis();
        let mut world = self.city.world.lock();
        let id = (62_000_000_000_000 + world.number()).to_string();
        let topic = json!({"id": id, "author_ref": author, "owner_ref": format!("group:{}", self.id),
            "created_ms": now, "media": [{"type": "text", "text": text}], "like_summary": {"count": 0}});
        world.discussions.push(state::Discussion {
            group: self.id.clone(),
            kind: "GROUP_TOPIC".into(),
            id: id.clone(),
            created: now,
            last_activity: now,
            topic: Some(topic),
            comments: Vec::new(),
        });
        drop(world);
        self.city.touch();
        id
    }

    /// A photo of the group under which people may talk. Its id.
    pub fn add_photo(&self) -> String {
        let now = self.city.millis();
        let mut world = self.city.world.lock();
        let id = (87_000_000_000_000 + world.number()).to_string();
        world.discussions.push(state::Discussion {
            group: self.id.clone(),
            kind: "GROUP_PHOTO".into(),
            id: id.clone(),
            created: now,
            last_activity: now,
            topic: None,
            comments: Vec::new(),
        });
        id
    }

    /// A citizen comments a topic (`GROUP_TOPIC`) or a photo (`GROUP_PHOTO`).
    pub fn comment(&self, kind: &str, discussion: &str, person: u64, name: &str, text: &str) -> Sent {
        self.city
            .world
            .lock()
            .people
            .insert(person.to_string(), name.to_owned());
        let author =
            json!({"author_id": person.to_string(), "author_name": name, "author_ref": format!("user:{person}")});
        let id = self.put_comment(kind, discussion, author, text, None);
        let place = comment_place(kind, discussion, &id);
        self.note(place.clone(), Act::Wrote, text);
        Sent { place }
    }

    /// A citizen answers a comment; the platform leaves out the author's name.
    pub fn reply(&self, to: &Sent, person: u64, name: &str, text: &str) -> Sent {
        let Place::Comment { kind, discussion, id } = &to.place else {
            return to.clone();
        };
        self.city
            .world
            .lock()
            .people
            .insert(person.to_string(), name.to_owned());
        let author = json!({"author_id": person.to_string()});
        let id = self.put_comment(kind, discussion, author, text, Some(id));
        let place = comment_place(kind, discussion, &id);
        self.note(place.clone(), Act::Wrote, text);
        Sent { place }
    }

    /// The group comments as itself; not a citizen's word.
    pub fn comment_as_group(&self, kind: &str, discussion: &str, text: &str) {
        let author = json!({"author_id": self.id, "author_type": "GROUP", "author_name": "Группа",
            "author_ref": format!("group:{}", self.id)});
        self.put_comment(kind, discussion, author, text, None);
    }

    fn put_comment(&self, kind: &str, discussion: &str, author: Value, text: &str, to: Option<&str>) -> String {
        let now = self.city.millis();
        let mut world = self.city.world.lock();
        // Opaque, case-sensitive, with the characters of Base64.
        let id = format!("MTM5/Nz+{}==", world.number());
        let mut body = author;
        body["id"] = id.as_str().into();
        body["text"] = text.into();
        body["date"] = state::wall(now).into();
        body["type"] = "ACTIVE_MESSAGE".into();
        body["like_count"] = 0.into();
        body["attrs"] = json!({"flags": "l,s"});
        if self.city.options.millis {
            body["date_ms"] = now.into();
        }
        if let Some(to) = to {
            body["reply_to_comment_id"] = to.into();
        }
        if let Some(discussion) = world.discussion(kind, discussion) {
            discussion.last_activity = now;
            discussion.comments.push(state::Comment {
                at: now,
                removed: false,
                vanished: false,
                hidden: false,
                body,
            });
        }
        drop(world);
        self.city.touch();
        id
    }

    /// The author changes a comment or a topic: nothing announces it.
    pub fn edit(&self, sent: &Sent, text: &str) {
        {
            let mut world = self.city.world.lock();
            match &sent.place {
                Place::Comment { kind, discussion, id } => {
                    let found = world.discussion(kind, discussion);
                    for comment in found.into_iter().flat_map(|discussion| &mut discussion.comments) {
                        if comment.body["id"] == id.as_str() {
                            comment.body["text"] = text.into();
                        }
                    }
                }
                Place::Topic { id } => {
                    let found = world.discussion("GROUP_TOPIC", id);
                    if let Some(topic) = found.and_then(|discussion| discussion.topic.as_mut()) {
                        topic["media"][0]["text"] = text.into();
                    }
                }
                Place::Message { .. } => {}
            }
        }
        self.note(sent.place.clone(), Act::Changed, text);
    }

    /// A comment is removed: it is listed as removed to those who ask for such.
    pub fn remove(&self, sent: &Sent) {
        self.change_comment(sent, |comment| {
            comment.removed = true;
            comment.body["type"] = "REMOVED_MESSAGE".into();
            comment.body["text"] = "".into();
        });
        self.note(sent.place.clone(), Act::Removed, "");
    }

    /// A comment vanishes: no list shows it, and asked for by its id it is not found.
    pub fn vanish(&self, sent: &Sent) {
        self.change_comment(sent, |comment| comment.vanished = true);
        self.note(sent.place.clone(), Act::Removed, "");
    }

    /// Lists leave a comment out (or show it again) though it is still there: nothing happened to it.
    pub fn hide(&self, sent: &Sent, hidden: bool) {
        self.change_comment(sent, |comment| comment.hidden = hidden);
    }

    fn change_comment(&self, sent: &Sent, change: impl Fn(&mut state::Comment)) {
        let Place::Comment { kind, discussion, id } = &sent.place else {
            return;
        };
        let mut world = self.city.world.lock();
        let found = world.discussion(kind, discussion);
        let comments = found.into_iter().flat_map(|discussion| &mut discussion.comments);
        comments
            .filter(|comment| comment.body["id"] == id.as_str())
            .for_each(change);
    }

    /// Likes a topic: a change no reader of words cares for.
    pub fn like_topic(&self, id: &str) {
        let mut world = self.city.world.lock();
        if let Some(topic) = world.discussion("GROUP_TOPIC", id).and_then(|one| one.topic.as_mut()) {
            let likes = topic["like_summary"]["count"].as_u64().unwrap_or(0);
            topic["like_summary"]["count"] = (likes + 1).into();
        }
    }

    /// Revokes the group's token (or gives it back).
    pub fn revoke(&self, revoked: bool) {
        self.with(|group| group.revoked = revoked);
    }

    /// Registers a webhook as another program would.
    pub fn subscribe_foreign(&self, url: &str) {
        self.put_subscription(url, true);
    }

    /// Registers a webhook as an earlier installation of the client under test did.
    pub fn subscribe_earlier(&self, url: &str) {
        self.put_subscription(url, false);
    }

    fn put_subscription(&self, url: &str, foreign: bool) {
        let time = self.city.millis();
        self.with(|group| {
            group.subscriptions.push(state::Subscription {
                url: url.to_owned(),
                time,
                last_success: None,
                failing: false,
                foreign,
            });
        });
    }

    /// Addresses of the webhooks registered now.
    pub fn subscriptions(&self) -> Vec<String> {
        let mut urls = Vec::new();
        self.with(|group| urls = group.subscriptions.iter().map(|one| one.url.clone()).collect());
        urls
    }

    fn with(&self, change: impl FnOnce(&mut state::Group)) {
        if let Some(group) = self.city.world.lock().groups.get_mut(&self.id) {
            change(group);
        }
        self.city.touch();
    }

    fn note(&self, place: Place, act: Act, text: &str) {
        self.city.world.lock().ledger.push(Word {
            group: self.id.clone(),
            place,
            act,
            text: text.to_owned(),
        });
    }
}

fn comment_place(kind: &str, discussion: &str, id: &str) -> Place {
    Place::Comment {
        kind: kind.to_owned(),
        discussion: discussion.to_owned(),
        id: id.to_owned(),
    }
}
