//! From a stored item to messages. Pure: only the bytes, the key and the settings count.
//!
//! What becomes of an item:
//! - a private message, a comment, a topic: `received`, a later version `updated`;
//! - a comment the platform lists as removed, or does not find any more: `deleted`, when a version of it was stored before;
//! - words on behalf of the group itself: nothing, or a message of `staff` when the settings say so;
//! - a button (`MESSAGE_CALLBACK`) and changes of a chat (`CHAT_SYSTEM`): nothing;
//! - a kind this version does not know, or a message without words and attachments: an error, so that the host keeps
//!   it whole.

use priem_sdk::{
    EventType, Message, MessageData, NormalizeError, RawItem,
    message::{Author, AuthorKind, Kind, Regime},
    webhook::parse_json_bounded,
};

use super::{
    api::{self, Comment, Delivery, Text, Topic, bare_id},
    attachments, split, text, time, topic,
};

/// What the settings say about messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Policy {
    /// Publish what the group itself writes, as staff.
    pub own_words: bool,
}

/// Turns a stored item into messages.
pub(super) fn normalize(raw: &RawItem, policy: Policy) -> Result<Vec<Message>, NormalizeError> {
    match raw.format.as_str() {
        split::MESSAGE => message(raw, policy),
        split::COMMENT => comment(raw, policy),
        split::TOPIC => post(raw, policy),
        other => Err(NormalizeError::new(
            "unknown_format",
            format!("the item is {other}, which this connector never makes"),
        )),
    }
}

/// The group an item's key names.
fn group_of(raw: &RawItem) -> &str {
    raw.external_id.split_once('/').map_or("", |(group, _)| group)
}

fn message(raw: &RawItem, policy: Policy) -> Result<Vec<Message>, NormalizeError> {
    let delivery: Delivery = parse_json_bounded(&raw.body)?;
    match delivery.kind.text() {
        None | Some("MESSAGE_CREATED") => {}
        Some("MESSAGE_CALLBACK" | "CHAT_SYSTEM") => return Ok(Vec::new()),
        Some(_) => {
            return Err(NormalizeError::new(
                "unknown_kind",
                "webhookType is none of those this version knows",
            ));
        }
    }
    let Some(message) = &delivery.message else {
        return Err(NormalizeError::new("unexpected_shape", "a delivery without a message"));
    };
    let group = group_of(raw);
    let sender = delivery.sender.as_ref();
    let id = sender.and_then(|sender| sender.user_id.text());
    let author = match id {
        Some(id) => author(
            id.starts_with("group:"),
            bare_id(id),
            sender.map(|sender| &sender.name),
            group,
        ),
        None => Author::default(),
    };
    if author.kind == AuthorKind::Staff && !policy.own_words {
        return Ok(Vec::new());
    }
    let list = message.attachments.as_deref().unwrap_or_default();
    let mut data = MessageData::new("ok", Kind::Direct, Regime::OpenSourceMessage);
    data.subchannel = Some("messages".into());
    set_words(&mut data, &message.text, list)?;
    data.author = author;
    let conversation = split::conversation(group, delivery.recipient.as_ref(), sender);
    data.external.conversation = Some(conversation);
    let answered = message.reply_to.as_ref().and_then(|reply| reply.mid());
    data.external.parent = answered.map(|mid| format!("{group}/{mid}"));
    data.times.occurred = time::moment(&delivery.timestamp, &Text::default());
    Ok(vec![finish(raw, group, data)])
}

fn comment(raw: &RawItem, policy: Policy) -> Result<Vec<Message>, NormalizeError> {
    let comment: Comment = parse_json_bounded(&raw.body)?;
    let mut parts = raw.external_id.splitn(4, '/');
    let (Some(group), Some(kind), Some(discussion), Some(_)) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(NormalizeError::new(
            "unexpected_shape",
            "the key of a comment names no discussion",
        ));
    };
    let author = comment_author(&comment, group);
    if author.kind == AuthorKind::Staff && !policy.own_words {
        return Ok(Vec::new());
    }
    let place = format!("{group}/{kind}/{discussion}");
    let mut data = MessageData::new("ok", Kind::Comment, Regime::OpenSourceMessage);
    data.subchannel = Some(kind.to_ascii_lowercase());
    data.author = author;
    data.external.thread = Some(discussion.to_owned());
    data.external.parent = match comment.reply_to_comment_id.text() {
        Some(answered) => Some(format!("{place}/{answered}")),
        None => Some(place.clone()),
    };
    data.external.conversation = Some(place);
    data.external.url = permalink(group, kind, discussion);
    data.times.occurred = time::moment(&comment.date_ms, &comment.date);
    if comment.is_removed() {
        data.extra.insert("group_id".into(), group.into());
        // What was removed before we saw it was never published: nobody needs to take it back.
        let seen = raw.ordinal > 0;
        return Ok(seen
            .then(|| raw.message(EventType::Deleted, data))
            .into_iter()
            .collect());
    }
    set_words(
        &mut data,
        &comment.text,
        comment.attachments.as_deref().unwrap_or_default(),
    )?;
    Ok(vec![finish(raw, group, data)])
}

fn post(raw: &RawItem, policy: Policy) -> Result<Vec<Message>, NormalizeError> {
    let post: Topic = parse_json_bounded(&raw.body)?;
    let group = group_of(raw);
    // A topic without an author is the owner's.
    let reference = post.author_ref.text().or(post.owner_ref.text());
    let author = match reference {
        Some(id) => author(id.starts_with("group:"), bare_id(id), Some(&post.author_name), group),
        None => Author::default(),
    };
    if author.kind == AuthorKind::Staff && !policy.own_words {
        return Ok(Vec::new());
    }
    let content = topic::content_of(post.media.as_deref().unwrap_or_default());
    if content.text.is_empty() && content.attachments.is_empty() {
        return Err(wordless());
    }
    let mut data = MessageData::new("ok", Kind::Post, Regime::OpenSourceMessage);
    data.subchannel = Some("group_topic".into());
    data.body.text = content.text;
    data.body.mentions = content.mentions;
    data.attachments = content.attachments;
    data.author = author;
    if let Some(id) = post.id.text() {
        data.external.thread = Some(id.to_owned());
        data.external.conversation = Some(format!("{group}/{}/{id}", split::GROUP_TOPIC));
        data.external.url = permalink(group, split::GROUP_TOPIC, id);
    }
    data.times.occurred = time::moment(&post.created_ms, &Text::default());
    for (marked, mark) in [
        (&post.on_moderation, "on_moderation"),
        (&post.is_text_cut, "text_cut"),
        (&post.has_more, "media_cut"),
    ] {
        if marked.is_true() {
            data.flags.other.push(mark.into());
        }
    }
    Ok(vec![finish(raw, group, data)])
}

fn finish(raw: &RawItem, group: &str, mut data: MessageData) -> Message {
    data.extra.insert("group_id".into(), group.into());
    let event = if raw.ordinal > 0 {
        EventType::Updated
    } else {
        EventType::Received
    };
    raw.message(event, data)
}

fn set_words(data: &mut MessageData, words: &Text, list: &[serde_json::Value]) -> Result<(), NormalizeError> {
    let words = text::plain(words.text().unwrap_or_default());
    if words.text.is_empty() && list.is_empty() {
        return Err(wordless());
    }
    let inside = attachments::words_of(list).join("\n");
    if words.text.is_empty() {
        data.body.text = inside;
    } else {
        data.body.text = words.text;
        data.body.quote = Some(inside).filter(|inside| !inside.is_empty());
    }
    data.body.mentions = words.mentions;
    data.attachments = attachments::attachments_of(list);
    data.place = attachments::place_of(list);
    Ok(())
}

fn wordless() -> NormalizeError {
    NormalizeError::new(
        "unknown_content",
        "neither words nor attachments: something this version does not know",
    )
}

/// Whether a comment is the listed group's own.
pub(super) fn is_own(comment: &Comment, group: &str) -> bool {
    comment_author(comment, group).kind == AuthorKind::Staff
}

fn comment_author(comment: &Comment, group: &str) -> Author {
    let reference = comment.author_ref.text();
    let Some(id) = comment.author_id.text().or(reference.map(bare_id)) else {
        return Author::default();
    };
    let is_group = comment
        .author_type
        .text()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("GROUP"))
        || reference.is_some_and(|reference| reference.starts_with("group:"));
    author(is_group, bare_id(id), Some(&comment.author_name), group)
}

/// A person, another community, or the listed group itself.
fn author(is_group: bool, id: &str, name: Option<&api::Text>, group: &str) -> Author {
    Author {
        kind: match is_group {
            true if id == group => AuthorKind::Staff,
            true => AuthorKind::Community,
            false => AuthorKind::Person,
        },
        external_id: Some(id.to_owned()),
        name: name.and_then(|name| name.text()).map(str::to_owned),
        ..Author::default()
    }
}

/// Public address of a topic. Other discussions need ids that comments don't carry.
fn permalink(group: &str, kind: &str, discussion: &str) -> Option<String> {
    let plain = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    (kind == split::GROUP_TOPIC && plain(group) && plain(discussion))
        .then(|| format!("https://ok.ru/group/{group}/topic/{discussion}"))
}
