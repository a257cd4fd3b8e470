//! From a stored update or message to what is published. Pure: only the bytes and the settings count.
//!
//! - a message or comment: one `received`; its edit: `updated` (or `received` when nothing of it was stored before);
//! - a removal: one `deleted`; clearing a dialogue is none, the messages stay;
//! - a message read from the history: `received` when it is new to us, `updated` when it shows something else than the
//!   version we hold (an edit nobody told us about: when it was made is unknown);
//! - a bot's messages, our own among them: nothing; of other updates what a person says in them, if anything;
//! - a kind or content this version does not know: an error, so that the host keeps it whole.
//!
//! A forward may have no words of its own: they stand in `link` then. Names of forwarded people and contact cards
//! belong to third persons and are not passed on.

use std::collections::HashSet;

use jiff::Timestamp;
use priem_sdk::{
    EventType, MessageData, NormalizeError, RawItem,
    message::{Attachment, AttachmentKind, Author, AuthorKind, Kind, Moment, Regime},
    unread,
    webhook::parse_json_bounded,
};

use super::{
    api::{Body, Link, Message, Update, User},
    attachments,
    kinds::{self, Act},
    split,
    text::Words,
};

/// Most keys named when content is unknown.
const MOST_NAMES: usize = 20;

/// What the settings say about messages.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// Groups and channels to listen to; `None`: all the bot is in. Dialogues always count.
    pub only_chats: Option<HashSet<i64>>,
    /// Publish what other bots write.
    pub bots: bool,
}

/// What an event says beside the message itself.
#[derive(Clone, Copy)]
struct Event<'a> {
    /// `None`: read from the history.
    act: Option<Act>,
    is_comment: bool,
    /// Time of the event, milliseconds.
    at: Option<i64>,
    post: Option<&'a str>,
}

/// Turns a stored item into messages.
pub(super) fn normalize(raw: &RawItem, policy: &Policy) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
    match raw.format.as_str() {
        split::UPDATE => update(raw, policy),
        split::MESSAGE => {
            let message: Message = parse_json_bounded(&raw.body)?;
            let event = Event {
                act: None,
                is_comment: false,
                at: None,
                post: None,
            };
            written(raw, &message, event, policy)
        }
        other => Err(NormalizeError::new(
            "unknown_format",
            format!("expected {} or {}, the item is {other}", split::UPDATE, split::MESSAGE),
        )),
    }
}

fn update(raw: &RawItem, policy: &Policy) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
    let update: Update = parse_json_bounded(&raw.body)?;
    let kind = update.update_type.as_str();
    let Some(act) = kinds::act_of(kind) else {
        if kinds::is_wordless(kind) {
            return Ok(said_beside(raw, &update).into_iter().collect());
        }
        let why = format!("not a known kind of update: {}", unread::shown(kind));
        return Err(NormalizeError::new("unknown_kind", why));
    };
    let event = Event {
        act: Some(act),
        is_comment: kinds::is_comment(kind),
        at: update.timestamp,
        post: update.post_id.as_deref(),
    };
    match (act, &update.message) {
        (Act::Removed, _) => removed(raw, &update, event, policy),
        (_, Some(message)) => written(raw, message, event, policy),
        (_, None) => Err(NormalizeError::new(
            "unexpected_shape",
            format!("{kind} without a message"),
        )),
    }
}

/// What a person says in an update that is about no message: how they came, or whatever looks like words.
fn said_beside(raw: &RawItem, update: &Update) -> Option<priem_sdk::Message> {
    let kind = update.update_type.as_str();
    let parameter = update.payload.as_deref().filter(|_| kind == kinds::STARTED);
    let mut data = MessageData::new("max", Kind::Direct, Regime::OpenSourceMessage);
    if let Some(parameter) = parameter.filter(|parameter| !parameter.is_empty()) {
        // The link or QR code by which the person came; as Telegram writes it.
        data.body.text = format!("/start {parameter}");
        data.extra.insert("start_parameter".into(), parameter.into());
    } else {
        data.body.text = kinds::words_of(kind, &raw.body).join("\n");
    }
    if data.body.text.is_empty() {
        return None;
    }
    let user = update.user.as_ref();
    data.subchannel = Some(kind.to_owned());
    data.author = user.map(person).unwrap_or_default();
    data.external.conversation = split::conversation(update.chat_id, user.and_then(|user| user.user_id));
    data.times.occurred = update.timestamp.and_then(moment);
    Some(raw.message(EventType::Received, data))
}

fn removed(
    raw: &RawItem,
    update: &Update,
    event: Event<'_>,
    policy: &Policy,
) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
    let Some(id) = update.message_id.as_ref().filter(|id| !id.is_empty()) else {
        return Err(NormalizeError::new("unexpected_shape", "a removal without message_id"));
    };
    let is_dialog = update.chat_id.is_some_and(|chat| chat > 0);
    if !is_dialog && !is_listed(update.chat_id, policy) {
        return Ok(Vec::new());
    }
    // Which sort of chat it was is not told; groups and channels have negative ids.
    let (kind, subchannel) = match (event.is_comment, is_dialog) {
        (true, _) => (Kind::Comment, Some("discussion")),
        (false, true) => (Kind::Direct, Some("private")),
        (false, false) => (Kind::Comment, None),
    };
    let mut data = MessageData::new("max", kind, Regime::OpenSourceMessage);
    data.subchannel = subchannel.map(str::to_owned);
    data.external.id.clone_from(id);
    data.external.conversation = split::conversation(update.chat_id, None);
    data.external.thread = event.post.map(str::to_owned);
    data.times.occurred = event.at.and_then(moment);
    Ok(vec![raw.message(EventType::Deleted, data)])
}

fn written(
    raw: &RawItem,
    message: &Message,
    event: Event<'_>,
    policy: &Policy,
) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
    let chat_type = message.recipient.chat_type.as_deref().unwrap_or_default();
    if chat_type != "dialog" && !is_listed(message.recipient.chat_id, policy) {
        return Ok(Vec::new());
    }
    let by_bot = message.sender.as_ref().is_some_and(|sender| sender.is_bot);
    if by_bot && !policy.bots {
        return Ok(Vec::new());
    }
    let (kind, subchannel) = match (event.is_comment, chat_type) {
        (true, _) => (Kind::Comment, "discussion"),
        (_, "dialog") => (Kind::Direct, "private"),
        (_, "channel") => (Kind::Post, "channel"),
        (_, "chat") => (Kind::Comment, "group"),
        (_, other) => (Kind::Comment, unread::shown(other)),
    };
    let mut data = MessageData::new("max", kind, Regime::OpenSourceMessage);
    data.subchannel = Some(subchannel.to_owned());
    set_content(&mut data, message);
    if data.body.text.is_empty() && data.attachments.is_empty() {
        return Err(unknown_content(message));
    }
    data.author = author_of(message, kind);
    set_place_in_conversation(&mut data, message, event);
    set_times(&mut data, message, event, raw.ordinal > 0);
    if by_bot {
        data.flags.other.push("from_bot".into());
    }
    let event = raw.version(event.act == Some(Act::Created), &mut data.flags);
    Ok(vec![raw.message(event, data)])
}

fn is_listed(chat: Option<i64>, policy: &Policy) -> bool {
    match (&policy.only_chats, chat) {
        (Some(only), Some(chat)) => only.contains(&chat),
        _ => true,
    }
}

/// Words, attachments and place: the message's own, then those of what it forwards.
fn set_content(data: &mut MessageData, message: &Message) {
    let forwarded = forward(message).and_then(|link| link.message.as_ref());
    let mut words = Words::default();
    let mut others = Vec::new();
    for body in message.body.iter().chain(forwarded) {
        words.add(body);
        let inside = attachments::words_of(body);
        words.say(&inside.0);
        others.extend(inside.1);
        data.attachments.extend(attachments::attachments_of(body));
        if let Some(place) = attachments::place_of(body) {
            data.place = place;
        }
        if let Some(heard) = attachments::transcription_of(body)
            && words.plain.text.is_empty()
        {
            heard.clone_into(&mut words.plain.text);
            data.flags.other.push("transcribed".into());
        }
    }
    data.attachments
        .extend(std::mem::take(&mut words.links).into_iter().map(|url| Attachment {
            url: Some(url),
            ..Attachment::new(AttachmentKind::Link)
        }));
    let answered = answered(message).and_then(|body| body.text.clone());
    data.body.quote = answered.filter(|text| !text.is_empty());
    if words.plain.text.is_empty() {
        words.say(&others);
    } else if data.body.quote.is_none() && !others.is_empty() {
        data.body.quote = Some(others.join("\n"));
    }
    data.body.text = words.plain.text;
    data.body.mentions = words.plain.mentions;
    if let Some(link) = forward(message) {
        data.flags.forwarded = true;
        // A channel speaks as itself; a person's name is not ours to pass on.
        data.relation.forwarded_from = match (&link.sender, link.chat_id) {
            (None, Some(chat)) => Some(chat.to_string()),
            _ => None,
        };
    }
}

fn forward(message: &Message) -> Option<&Link> {
    message.link.as_ref().filter(|link| link.kind == "forward")
}

/// What a message answers.
fn answered(message: &Message) -> Option<&Body> {
    message
        .link
        .as_ref()
        .filter(|link| link.kind == "reply")?
        .message
        .as_ref()
}

fn author_of(message: &Message, kind: Kind) -> Author {
    match &message.sender {
        // A channel's post is the channel's word, whoever of its administrators is named.
        _ if kind == Kind::Post => Author {
            kind: AuthorKind::Community,
            external_id: message.recipient.chat_id.map(|chat| chat.to_string()),
            ..Author::default()
        },
        Some(user) => person(user),
        None => Author::default(),
    }
}

fn person(user: &User) -> Author {
    let parts: Vec<&str> = [user.first_name.as_deref(), user.last_name.as_deref()]
        .into_iter()
        .flatten()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let name = match parts.is_empty() {
        true => user.name.clone().filter(|name| !name.is_empty()),
        false => Some(parts.join(" ")),
    };
    Author {
        // A bot speaks for whoever runs it: nobody we could call a citizen.
        kind: if user.is_bot {
            AuthorKind::Community
        } else {
            AuthorKind::Person
        },
        external_id: user.user_id.map(|id| id.to_string()),
        name,
        username: user.username.clone().filter(|name| !name.is_empty()),
        ..Author::default()
    }
}

fn set_place_in_conversation(data: &mut MessageData, message: &Message, event: Event<'_>) {
    let sender = message.sender.as_ref().and_then(|sender| sender.user_id);
    data.external.conversation = split::conversation(message.recipient.chat_id, sender);
    let wrote = message.link.as_ref().filter(|link| link.kind == "reply");
    if let Some(author) = wrote.and_then(|link| link.sender.as_ref()) {
        data.extra
            .insert("answered_author".into(), person(author).kind.as_str().into());
    }
    let answered = answered(message).and_then(|body| body.mid.clone());
    if event.is_comment {
        let post = event.post.or(message.post_id.as_deref()).map(str::to_owned);
        data.external.thread.clone_from(&post);
        data.external.parent = answered.or(post);
    } else {
        data.external.parent = answered;
    }
    data.external.url = message.url.clone().filter(|url| url.starts_with("https://"));
}

/// `occurred` is the act this event is about; for a change `at_source` is when the message first appeared.
fn set_times(data: &mut MessageData, message: &Message, event: Event<'_>, is_known: bool) {
    let written = message.timestamp.and_then(moment);
    match (event.act, is_known) {
        (Some(Act::Edited), _) => {
            data.times.occurred = event.at.and_then(moment);
            data.times.at_source = written;
        }
        // Found changed in the history: nobody knows since when.
        (None, true) => data.times.at_source = written,
        _ => data.times.occurred = written.or_else(|| event.at.and_then(moment)),
    }
}

fn moment(milliseconds: i64) -> Option<Moment> {
    if milliseconds <= 0 {
        return None;
    }
    Timestamp::from_millisecond(milliseconds).ok().map(Moment::from_instant)
}

fn unknown_content(message: &Message) -> NormalizeError {
    let link = message.link.as_ref().map(|link| unread::shown(&link.kind));
    let attachments = message.body.iter().flat_map(|body| body.attachments.iter().flatten());
    let names: Vec<&str> = attachments
        .filter_map(|attachment| attachment["type"].as_str())
        .map(unread::shown)
        .chain(link)
        .take(MOST_NAMES)
        .collect();
    let why = format!(
        "the message has no content this version knows; it holds: [{}]",
        names.join(", ")
    );
    NormalizeError::new("unknown_content", why)
}
