//! From a stored update to messages. Pure: only the bytes and the settings count.
//!
//! What becomes of an update:
//! - a message, post, comment, business or guest message: one `received`; its edit: `updated` (or `received` when
//!   nothing of it was stored before: the original is older than the queue or was sent before we listened);
//! - `deleted_business_messages`: one `deleted` per message;
//! - service messages in which nobody says anything, copies of channel posts in their discussion group, pins, outgoing messages of a business
//!   account, and update kinds without a citizen's words: nothing;
//! - a kind or content this version does not know: an error, so that the host keeps it whole.
//!
//! Who the author is: `sender_chat` wins over `from`, which Telegram fills with a stand-in. A message on behalf of a
//! chat is a community's (also of an anonymous administrator: whether they are the body's staff, Telegram doesn't
//! say). Names of forwarded people, contact cards and signatures of administrators belong to third persons and are
//! not passed on.

use std::collections::HashSet;

use jiff::Timestamp;
use priem_sdk::{
    EventType, MessageData, NormalizeError, RawItem,
    message::{Attachment, AttachmentKind, Author, AuthorKind, External, Kind, Moment, Regime, Topic, TopicNode},
    webhook::parse_json_bounded,
};

use super::{
    api::{BusinessMessagesDeleted, Chat, Message, MessageOrigin, Reply, Update, User},
    attachments, split, text, wordless,
};

/// Classifier of the topics of a forum: people of the chat make them.
const TOPICS: &str = "chat_topics";

/// What the settings say about messages.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// Groups and channels to listen to; `None`: all the bot is in. Private and business chats always count.
    pub only_chats: Option<HashSet<i64>>,
    /// Publish what the owner of a business account writes, as staff.
    pub business_outgoing: bool,
}

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Chat,
    Business,
    Guest,
}

/// Turns a stored update into messages.
pub(super) fn normalize(raw: &RawItem, policy: &Policy) -> Result<Vec<priem_sdk::Message>, NormalizeError> {
    let is_followed = raw.format == split::FOLLOWED;
    if raw.format != split::FORMAT && !is_followed {
        return Err(NormalizeError::new(
            "unknown_format",
            format!("expected {}, the item is {}", split::FORMAT, raw.format),
        ));
    }
    let update: Update = parse_json_bounded(&raw.body)?;
    let payloads = [
        (update.message, Source::Chat, false),
        (update.edited_message, Source::Chat, true),
        (update.channel_post, Source::Chat, false),
        (update.edited_channel_post, Source::Chat, true),
        (update.business_message, Source::Business, false),
        (update.edited_business_message, Source::Business, true),
        (update.guest_message, Source::Guest, false),
    ];
    let found = payloads
        .into_iter()
        .find_map(|(message, source, edit)| Some((message?, source, edit)));
    let Some((message, source, edit)) = found else {
        return match update.deleted_business_messages {
            Some(deleted) => Ok(deletions(raw, &deleted)),
            None => wordless::update(&raw.body),
        };
    };
    if message.is_automatic_forward || message.sender_business_bot.is_some() {
        return Ok(Vec::new());
    }
    let outgoing = source == Source::Business && is_outgoing(&message);
    if outgoing && !policy.business_outgoing {
        return Ok(Vec::new());
    }
    let is_private = source == Source::Business || message.chat.kind == "private";
    if let Some(only) = &policy.only_chats
        && !is_private
        && !is_followed
        && !only.contains(&message.chat.id)
    {
        return Ok(Vec::new());
    }
    let mut data = MessageData::new("telegram", kind_of(&message.chat, source), Regime::OpenSourceMessage);
    let words = text::words_of(&message);
    data.attachments = attachments::attachments_of(&message);
    data.attachments.extend(words.links.into_iter().map(|url| Attachment {
        url: Some(url),
        ..Attachment::new(AttachmentKind::Link)
    }));
    data.place = attachments::place_of(&message);
    data.body.text = words.text;
    if data.body.text.trim().is_empty() && data.attachments.is_empty() {
        match wordless::message(&raw.body)? {
            Some(words) => data.body.text = words,
            None => return Ok(Vec::new()),
        }
    }
    data.body.mentions = words.mentions;
    data.body.quote = quote_of(&message);
    data.author = author_of(&message, outgoing);
    place_externally(&mut data, &message, source);
    answered(&mut data, &message);
    if let Some(parameter) = data.body.text.strip_prefix("/start ") {
        // What the link or QR code says by which the person came.
        let parameter = parameter.trim().to_owned();
        data.extra.insert("start_parameter".into(), parameter.into());
    }
    set_times(&mut data, &message, edit);
    set_marks(&mut data, &message);
    let event = raw.version(!edit, &mut data.flags);
    Ok(vec![raw.message(event, data)])
}

/// In a private business chat the chat is the citizen's, so whoever else writes is the account's owner. The update
/// alone tells; the connection's own user id is not needed.
fn is_outgoing(message: &Message) -> bool {
    message.chat.kind == "private" && message.from.as_ref().is_some_and(|from| from.id != message.chat.id)
}

fn kind_of(chat: &Chat, source: Source) -> Kind {
    match (source, chat.kind.as_str()) {
        (Source::Business, _) | (_, "private") => Kind::Direct,
        (_, "channel") => Kind::Post,
        _ if chat.is_direct_messages => Kind::Direct,
        _ => Kind::Comment,
    }
}

fn subchannel_of(message: &Message, source: Source) -> &'static str {
    let answers_post = message
        .reply_to_message
        .as_ref()
        .is_some_and(|reply| reply.is_automatic_forward);
    match (source, message.chat.kind.as_str()) {
        (Source::Business, _) => "business",
        (Source::Guest, _) => "guest",
        (_, "private") => "private",
        (_, "channel") => "channel",
        _ if message.chat.is_direct_messages => "channel_direct",
        _ if answers_post => "discussion",
        _ => "group",
    }
}

fn author_of(message: &Message, outgoing: bool) -> Author {
    let author = match (&message.sender_chat, &message.from) {
        (Some(chat), _) => community(chat),
        (None, Some(user)) => person(user),
        (None, None) if message.chat.kind == "channel" => community(&message.chat),
        (None, None) if message.chat.kind == "private" => Author {
            kind: AuthorKind::Person,
            external_id: Some(message.chat.id.to_string()),
            name: name_of(message.chat.first_name.as_deref(), message.chat.last_name.as_deref()),
            username: message.chat.username.clone(),
            ..Author::default()
        },
        (None, None) => Author::default(),
    };
    if outgoing {
        return Author {
            kind: AuthorKind::Staff,
            ..author
        };
    }
    author
}

fn community(chat: &Chat) -> Author {
    Author {
        kind: AuthorKind::Community,
        external_id: Some(chat.id.to_string()),
        name: chat.title.clone(),
        username: chat.username.clone(),
        ..Author::default()
    }
}

fn person(user: &User) -> Author {
    Author {
        // A bot speaks for whoever runs it: nobody we could call a citizen.
        kind: if user.is_bot {
            AuthorKind::Community
        } else {
            AuthorKind::Person
        },
        external_id: Some(user.id.to_string()),
        name: name_of(Some(&user.first_name), user.last_name.as_deref()),
        username: user.username.clone(),
        ..Author::default()
    }
}

fn name_of(first: Option<&str>, last: Option<&str>) -> Option<String> {
    let parts: Vec<&str> = [first, last]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn place_externally(data: &mut MessageData, message: &Message, source: Source) {
    let connection = message.business_connection_id.as_deref();
    let conversation = split::conversation(message.chat.id, connection, source == Source::Guest);
    data.subchannel = Some(subchannel_of(message, source).to_owned());
    data.external.parent = parent_of(message, &conversation);
    data.external.conversation = Some(conversation);
    data.external.group.clone_from(&message.media_group_id);
    data.external.thread = match &message.direct_messages_topic {
        Some(topic) => Some(topic.topic_id.to_string()),
        None => message.message_thread_id.map(|thread| thread.to_string()),
    };
    if let Some(number) = thread_number(message) {
        data.extra
            .insert(External::THREAD_NUMBER.into(), number.to_string().into());
        if data.subchannel.as_deref() == Some("discussion") {
            // Everybody below the post is in the thread of its copy; the copy is never published.
            data.external.thread.clone_from(&data.external.parent);
        }
    }
    if source == Source::Chat && message.message_id != 0 && !message.chat.is_direct_messages {
        data.external.url = permalink(&message.chat, message.message_id);
    }
    if !matches!(message.chat.kind.as_str(), "private" | "")
        && let Some(title) = &message.chat.title
    {
        data.extra.insert("chat_title".into(), title.clone().into());
    }
}

/// The answered message. A comment below a channel post answers the post itself, not its copy in the group: the copy
/// is never published.
fn parent_of(message: &Message, conversation: &str) -> Option<String> {
    if let Some(reply) = &message.reply_to_message {
        if reply.is_automatic_forward
            && let Some((chat, id)) = reply.forward_origin.as_ref().and_then(origin_post)
        {
            return Some(format!("{}:{id}", chat.id));
        }
        // In a forum everything "answers" the message that opened the topic; that is not an answer.
        let is_answer = !opens_topic(message, reply);
        return (is_answer && reply.message_id != 0).then(|| format!("{conversation}:{}", reply.message_id));
    }
    let external = message.external_reply.as_ref()?;
    Some(format!("{}:{}", external.chat.as_ref()?.id, external.message_id?))
}

/// The message that opened the topic it stands in: in a forum everything without another answer "answers" it.
fn opens_topic(message: &Message, reply: &Reply) -> bool {
    message.is_topic_message && message.message_thread_id == Some(reply.message_id)
}

/// Whether a thread of a group stands for something else: a post of a channel, or the first of a row of answers.
fn thread_number(message: &Message) -> Option<i64> {
    let is_group = matches!(message.chat.kind.as_str(), "supergroup" | "group") && !message.chat.is_direct_messages;
    message
        .message_thread_id
        .filter(|_| is_group && !message.is_topic_message)
}

/// The fragment that was quoted, else the whole of what is answered.
fn quote_of(message: &Message) -> Option<String> {
    let fragment = message.quote.as_ref().map(|quote| quote.text.clone());
    let answered = || {
        let reply = message
            .reply_to_message
            .as_ref()
            .filter(|reply| !opens_topic(message, reply))?;
        Some(text::words_of_answered(reply))
    };
    fragment
        .filter(|text| !text.is_empty())
        .or_else(answered)
        .filter(|text| !text.is_empty())
}

/// Who wrote what is answered, and in which topic it stands.
fn answered(data: &mut MessageData, message: &Message) {
    let Some(reply) = &message.reply_to_message else { return };
    if let Some(topic) = &reply.forum_topic_created
        && opens_topic(message, reply)
        && !topic.name.is_empty()
    {
        data.topic = Some(Topic {
            classifier: TOPICS.into(),
            version: None,
            path: vec![TopicNode {
                id: message.message_thread_id.map(|thread| thread.to_string()),
                name: topic.name.clone(),
            }],
            starred: false,
        });
        return;
    }
    let author = match (&reply.sender_chat, &reply.from) {
        (Some(_), _) => AuthorKind::Community,
        (None, Some(user)) => person(user).kind,
        (None, None) => return,
    };
    data.extra.insert("answered_author".into(), author.as_str().into());
}

fn origin_post(origin: &MessageOrigin) -> Option<(&Chat, i64)> {
    origin.chat.as_ref().zip(origin.message_id)
}

/// Public address: by name, or `/c/` for members of a nameless supergroup or channel. Other chats have none.
fn permalink(chat: &Chat, message_id: i64) -> Option<String> {
    if !matches!(chat.kind.as_str(), "supergroup" | "channel") {
        return None;
    }
    if let Some(username) = &chat.username {
        return Some(format!("https://t.me/{username}/{message_id}"));
    }
    let id = chat.id.to_string();
    let inner = id.strip_prefix("-100")?;
    Some(format!("https://t.me/c/{inner}/{message_id}"))
}

/// `occurred` is the act this event is about (writing, or editing); for an edit `at_source` is when the message first
/// appeared. Date 0 means that the date is not known.
fn set_times(data: &mut MessageData, message: &Message, edit: bool) {
    let written = moment(message.date);
    let edited = message.edit_date.and_then(moment);
    match (edit, edited) {
        (true, Some(edited)) => {
            data.times.occurred = Some(edited);
            data.times.at_source = written;
        }
        _ => data.times.occurred = written,
    }
}

fn moment(seconds: i64) -> Option<Moment> {
    if seconds <= 0 {
        return None;
    }
    Timestamp::from_second(seconds).ok().map(Moment::from_instant)
}

fn set_marks(data: &mut MessageData, message: &Message) {
    let flat = message.forward_from_chat.as_ref().zip(message.forward_from_message_id);
    data.flags.forwarded = message.forward_origin.is_some() || message.forward_date.is_some();
    data.relation.forwarded_from = match &message.forward_origin {
        Some(origin) => match (origin_post(origin), &origin.sender_chat) {
            (Some((chat, id)), _) => permalink(chat, id).or_else(|| chat.title.clone()),
            (None, Some(chat)) => chat.title.clone(),
            (None, None) => None,
        },
        None => flat.and_then(|(chat, id)| permalink(chat, id).or_else(|| chat.title.clone())),
    };
    for (present, mark) in [
        (message.has_protected_content, "protected"),
        (message.via_bot.is_some(), "via_bot"),
        (
            message.from.as_ref().is_some_and(|from| from.is_bot) && message.sender_chat.is_none(),
            "from_bot",
        ),
    ] {
        if present {
            data.flags.other.push(mark.into());
        }
    }
}

fn deletions(raw: &RawItem, deleted: &BusinessMessagesDeleted) -> Vec<priem_sdk::Message> {
    let conversation = split::conversation(deleted.chat.id, Some(&deleted.business_connection_id), false);
    deleted
        .message_ids
        .iter()
        .map(|id| {
            let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
            data.subchannel = Some("business".into());
            data.external.id = format!("{conversation}:{id}");
            data.external.revision = "deleted".into();
            data.external.conversation = Some(conversation.clone());
            raw.message(EventType::Deleted, data)
        })
        .collect()
}
