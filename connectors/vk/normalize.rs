//! From a stored event to messages. Pure: only the bytes, the number of earlier versions and the settings count.
//!
//! What becomes of an event:
//! - new words: `received`; an edit or a restoration: `updated`, or `received` when nothing of the object was stored
//!   before; a deletion: `deleted`;
//! - a *new* comment or message that arrives when a version of it is stored already was overtaken by its edit (VK sends
//!   again for an hour and a half and keeps no order): what it says is older, and marked so (`out_of_order`);
//! - the community's own posts, comments and answers: nothing, or `staff` when the settings ask for them;
//! - service messages of chats: nothing; other events: what looks like words in them, or nothing (`others`);
//! - a name or content this version does not know: an error, so that the host keeps it whole.

use jiff::Timestamp;
use priem_sdk::{
    EventType, MessageData, NormalizeError, RawItem,
    message::{Author, AuthorKind, Kind, Moment, Regime},
    text::{from_vk, vk_answer_target},
    webhook::parse_json_bounded,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    api::{Comment, Deletion, Message, Post},
    event::{self, Act, Event, Place, Subject},
    keys::{self, Names},
    others,
    split::{self, Glance},
    words,
};

/// Peers from here on are group chats.
const FIRST_CHAT: i64 = 2_000_000_000;
/// Author of pictures uploaded on behalf of a community.
pub(super) const UPLOADED_BY_COMMUNITY: i64 = 100;

/// What the settings say about messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Policy {
    /// Publish what the community itself writes, as staff.
    pub own_words: bool,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    group_id: i64,
    object: Option<Box<RawValue>>,
}

/// An event whose object is known to have ids.
struct Known<'a> {
    raw: &'a RawItem,
    policy: Policy,
    group: i64,
    names: Names,
    act: Act,
    /// JSON of the object.
    object: &'a str,
}

/// Turns a stored event into messages.
pub(super) fn normalize(raw: &RawItem, policy: Policy) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
    if raw.format != split::FORMAT {
        let why = format!("expected {}, the item is {}", split::FORMAT, raw.format);
        return Err(NormalizeError::new("unknown_format", why));
    }
    let envelope: Envelope = parse_json_bounded(&raw.body)?;
    let (subject, act) = match event::read(&envelope.kind) {
        Event::Words(subject, act) => (subject, act),
        Event::Other => {
            let object = envelope.object.as_deref();
            return Ok(others::message(raw, policy, envelope.group_id, &envelope.kind, object));
        }
        Event::Unknown => return Err(unknown_kind(&envelope.kind)),
    };
    let Some(object) = &envelope.object else {
        return Err(NormalizeError::new("unexpected_shape", "the event has no object"));
    };
    let object = split::inner(subject, object);
    let glance: Glance = parse(object)?;
    let Some(names) = keys::names(subject, envelope.group_id, &glance) else {
        return Err(without_ids(object));
    };
    let known = Known {
        raw,
        policy,
        group: envelope.group_id,
        names,
        act,
        object,
    };
    match subject {
        Subject::Message => known.message(),
        Subject::Post => known.post(),
        Subject::Comment(place) if act == Act::Delete => known.deletion(place),
        Subject::Comment(place) => known.comment(place),
    }
}

fn parse<T: DeserializeOwned>(object: &str) -> Result<T, NormalizeError> {
    parse_json_bounded(object.as_bytes())
}

fn unknown_kind(kind: &str) -> NormalizeError {
    // VK's names are plain; anything else is not repeated.
    let plain = kind.len() <= 64 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let shown = if plain { kind } else { "(odd name)" };
    NormalizeError::new("unknown_kind", format!("not a known kind of event: {shown}"))
}

/// VK says so when events are made for a version it no longer serves.
fn without_ids(object: &str) -> NormalizeError {
    #[derive(Deserialize)]
    struct Warning {
        #[serde(rename = "warning")]
        _warning: String,
    }
    if serde_json::from_str::<Warning>(object).is_ok() {
        return NormalizeError::new(
            "old_api_version",
            "VK sends a warning instead of the object: choose API version 5.199 in the community's settings of events",
        );
    }
    NormalizeError::new("unexpected_shape", "the object has no usable ids")
}

impl Known<'_> {
    fn message(self) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
        let message: Message = parse(self.object)?;
        let own = message.out == Some(1) || message.from_id == Some(-self.group);
        if message.action.is_some() || (own && !self.policy.own_words) {
            return Ok(Vec::new());
        }
        let peer = self.names.parent;
        let is_chat = peer >= FIRST_CHAT;
        let mut data = self.data(
            if is_chat { Kind::Comment } else { Kind::Direct },
            if is_chat { "chat" } else { "private" },
        );
        words::of_message(&message, &mut data);
        if message.is_cropped == Some(true) {
            data.flags.other.push("cropped".into());
        }
        if data.body.text.is_empty() && data.attachments.is_empty() && data.place.is_empty() {
            let hidden = message.is_unavailable == Some(true) || message.is_hidden == Some(true);
            return if hidden { Ok(Vec::new()) } else { Err(no_content()) };
        }
        data.author = author(message.from_id, own, self.group);
        let answered = message
            .reply_message
            .as_ref()
            .and_then(|reply| reply.conversation_message_id);
        data.external.parent = answered.map(|id| format!("{}_{id}", self.names.conversation));
        if let Some(from) = message.reply_message.as_ref().and_then(|reply| reply.from_id) {
            let answered = author(Some(from), from == -self.group, self.group);
            data.extra
                .insert("answered_author".into(), answered.kind.as_str().into());
        }
        if let Some(parameter) = message.reference.as_deref().filter(|parameter| !parameter.is_empty()) {
            // What the link or QR code says by which the person came.
            data.extra.insert("start_parameter".into(), parameter.into());
        }
        self.publish(data, message.date, message.update_time)
    }

    fn post(self) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
        let post: Post = parse(self.object)?;
        let suggested = post.post_type.as_deref() == Some("suggest");
        let from = post.from_id.or(post.owner_id);
        let own = from == Some(-self.group) && !suggested;
        let scheduled = post.post_type.as_deref() == Some("postpone");
        if scheduled || (own && !self.policy.own_words) {
            return Ok(Vec::new());
        }
        if post.is_deleted {
            return self.deleted("wall", Kind::Post);
        }
        let owner = self.names.owner;
        let subchannel = match (suggested, own) {
            (true, _) => "suggested",
            (_, true) => "own_post",
            _ if owner != -self.group => "repost",
            _ => "wall",
        };
        let mut data = self.data(Kind::Post, subchannel);
        words::of_post(&post, &mut data);
        if suggested {
            data.flags.other.push("suggested".into());
        } else {
            data.external.url = Some(format!("https://vk.com/wall{owner}_{}", self.names.own));
        }
        if post.marked_as_ads {
            data.flags.other.push("ads".into());
        }
        let shared = post.copy_history.as_deref().unwrap_or_default();
        // Without words of one's own, sharing what the community says is no message, and so is sharing nothing.
        let is_ours = |post: &Post| post.from_id.or(post.owner_id) == Some(-self.group);
        let has_own = post.text.as_deref().is_some_and(|text| !text.trim().is_empty());
        if !has_own && data.attachments.is_empty() && !shared.is_empty() && shared.iter().all(is_ours) {
            return Ok(Vec::new());
        }
        if data.body.text.is_empty() && data.attachments.is_empty() && data.place.is_empty() {
            return if shared.is_empty() {
                Err(no_content())
            } else {
                Ok(Vec::new())
            };
        }
        data.author = author(if suggested { post.signer_id.or(from) } else { from }, own, self.group);
        self.publish(data, post.date, post.edited)
    }

    fn comment(self, place: Place) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
        let comment: Comment = parse(self.object)?;
        if comment.deleted {
            return self.deletion(place);
        }
        let own = comment.from_id == Some(-self.group);
        if own && !self.policy.own_words {
            return Ok(Vec::new());
        }
        let mut data = self.data(Kind::Comment, place.subchannel());
        let raw_text = comment.text.as_deref().unwrap_or_default();
        words::of_comment(&comment, &mut data);
        if data.body.text.is_empty() && data.attachments.is_empty() {
            return Err(no_content());
        }
        let conversation = &self.names.conversation;
        let top = comment.parents_stack.as_deref().and_then(<[i64]>::first).copied();
        let answered = match place {
            Place::Board => vk_answer_target(raw_text),
            _ => comment
                .reply_to_comment
                .or(comment.parents_stack.as_deref().and_then(<[i64]>::last).copied()),
        };
        data.external.thread = top.map(|id| format!("{conversation}_{id}"));
        data.external.parent = Some(match answered {
            Some(id) => format!("{conversation}_{id}"),
            None => conversation.clone(),
        });
        data.external.url = permalink(place, &self.names, top);
        data.author = author(comment.from_id, own, self.group);
        self.publish(data, comment.date, None)
    }

    fn deletion(self, place: Place) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
        self.deleted(place.subchannel(), Kind::Comment)
    }

    /// Something polled that was gone before we saw it is no event.
    fn deleted(self, subchannel: &str, kind: Kind) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
        if self.act == Act::Seen && self.raw.ordinal == 0 {
            return Ok(Vec::new());
        }
        let deletion: Deletion = parse(self.object).unwrap_or_default();
        let mut data = self.data(kind, subchannel);
        // `user_id` is the author in one place and the one who deleted in another: only the plain name is believed.
        let by_community = deletion
            .deleter_id
            .is_some_and(|id| id == -self.group || id == UPLOADED_BY_COMMUNITY);
        if by_community {
            data.flags.other.push("deleted_by_community".into());
        }
        Ok(vec![self.raw.message(EventType::Deleted, data)])
    }

    fn data(&self, kind: Kind, subchannel: &str) -> MessageData {
        let mut data = MessageData::new("vk", kind, Regime::OpenSourceMessage);
        data.subchannel = Some(subchannel.to_owned());
        data.external.conversation = Some(self.names.conversation.clone());
        data.extra.insert("community".into(), self.group.to_string().into());
        data
    }

    /// `occurred` is the act this event is about; for an edit `at_source` is when the object first appeared.
    fn publish(
        self,
        mut data: MessageData,
        written: Option<i64>,
        edited: Option<i64>,
    ) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
        let (written, edited) = (written.and_then(moment), edited.and_then(moment));
        match edited {
            Some(edited) if self.act == Act::Edit || self.raw.ordinal > 0 => {
                data.times.occurred = Some(edited);
                data.times.at_source = written;
            }
            // VK dates no edit of a comment: that it was written once is all we know.
            _ if self.act == Act::Edit => data.times.at_source = written,
            _ => data.times.occurred = written,
        }
        // A post comes as new again when it is published after it was suggested.
        let is_first = self.act == Act::New && data.kind != Kind::Post;
        let event = self.raw.version(is_first, &mut data.flags);
        Ok(vec![self.raw.message(event, data)])
    }
}

/// Who wrote: the community itself when `own`.
pub(super) fn author(from: Option<i64>, own: bool, group: i64) -> Author {
    let Some(from) = from.filter(|id| *id != 0 && *id != i64::MIN) else {
        return Author::default();
    };
    let (kind, id) = match from {
        _ if own => (AuthorKind::Staff, -group),
        UPLOADED_BY_COMMUNITY => (AuthorKind::Community, -group),
        ..0 => (AuthorKind::Community, from),
        _ => (AuthorKind::Person, from),
    };
    Author {
        kind,
        external_id: Some(id.to_string()),
        ..Author::default()
    }
}

fn no_content() -> NormalizeError {
    NormalizeError::new("unknown_content", "the object has no content this version knows")
}

fn moment(seconds: i64) -> Option<Moment> {
    if seconds <= 0 {
        return None;
    }
    Timestamp::from_second(seconds).ok().map(Moment::from_instant)
}

/// Public address of a comment; products have none that is known to last.
fn permalink(place: Place, names: &Names, top: Option<i64>) -> Option<String> {
    let Names { owner, parent, own, .. } = names;
    let page = format!("https://vk.com/{}{owner}_{parent}", place.prefix());
    Some(match (place, top) {
        (Place::Market, _) => return None,
        (Place::Board, _) => format!("{page}?post={own}"),
        (_, Some(top)) => format!("{page}?reply={own}&thread={top}"),
        (_, None) => format!("{page}?reply={own}"),
    })
}

/// Text of VK as people read it.
pub(super) fn plain(text: &str) -> priem_sdk::text::PlainText {
    from_vk(&priem_sdk::text::decode_entities(text))
}
