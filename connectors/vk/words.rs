//! Words, attachments and places of messages, posts and comments.
//!
//! The author's own words come first; what they forwarded or shared follows them or, when they wrote something
//! themselves, stands in `quote`. Names of forwarded people belong to third persons and are not passed on.

use priem_sdk::{MessageData, message::Mention};
use serde_json::Value;

use super::{
    api::{Comment, Message, Post},
    attachments, geo,
    normalize::plain,
};

/// How deep forwarded messages are followed, and how many are read.
const MOST_DEPTH: usize = 5;
const MOST_FORWARDED: usize = 50;
/// Posts inside a post: a share of a share.
const MOST_SHARED: usize = 5;

/// Fills in what a private or chat message says.
pub(super) fn of_message(message: &Message, data: &mut MessageData) {
    let mut others = Vec::new();
    own(
        message.text.as_deref(),
        message.attachments.as_deref(),
        data,
        &mut others,
    );
    let mut left = MOST_FORWARDED;
    for forwarded in message.fwd_messages.iter().flatten() {
        data.flags.forwarded = true;
        follow(forwarded, data, &mut others, 1, &mut left);
    }
    data.flags.forwarded |= attached(message.attachments.as_deref(), &["wall", "wall_reply"]);
    place(message.geo.as_ref(), data);
    let answered = message.reply_message.as_ref().and_then(|reply| reply.text.as_deref());
    combine(data, &others, answered);
}

/// Fills in what a post says.
pub(super) fn of_post(post: &Post, data: &mut MessageData) {
    let mut others = Vec::new();
    own(post.text.as_deref(), post.attachments.as_deref(), data, &mut others);
    place(post.geo.as_ref(), data);
    for shared in post.copy_history.iter().flatten().take(MOST_SHARED) {
        data.flags.forwarded = true;
        if data.relation.forwarded_from.is_none()
            && let (Some(owner), Some(id)) = (shared.owner_id, shared.id)
        {
            data.relation.forwarded_from = Some(format!("https://vk.com/wall{owner}_{id}"));
        }
        others.extend(shared.text.as_deref().map(|text| plain(text).text));
        let attached = shared.attachments.as_deref().unwrap_or_default();
        others.extend(inside(attached));
    }
    // Shared without words of one's own: what is shared is what the person says.
    combine(data, &others, None);
}

/// Fills in what a comment says.
pub(super) fn of_comment(comment: &Comment, data: &mut MessageData) {
    let mut others = Vec::new();
    own(
        comment.text.as_deref(),
        comment.attachments.as_deref(),
        data,
        &mut others,
    );
    combine(data, &others, None);
}

fn own(text: Option<&str>, attached: Option<&[Value]>, data: &mut MessageData, others: &mut Vec<String>) {
    let words = plain(text.unwrap_or_default());
    let attached = attached.unwrap_or_default();
    if attachments::is_transcribed(attached) {
        data.flags.set("transcribed");
    }
    let spoken = attachments::own_words(attached)
        .into_iter()
        .map(|text| plain(&text).text);
    data.body.text = joined(&std::iter::once(words.text).chain(spoken).collect::<Vec<_>>());
    data.body.mentions = words.mentions;
    data.attachments = attachments::read(attached);
    others.extend(attachments::shared_words(attached).iter().map(|text| plain(text).text));
}

fn follow(message: &Message, data: &mut MessageData, others: &mut Vec<String>, depth: usize, left: &mut usize) {
    if depth > MOST_DEPTH || *left == 0 {
        return;
    }
    *left -= 1;
    let words = plain(message.text.as_deref().unwrap_or_default());
    others.push(words.text);
    let attached = message.attachments.as_deref().unwrap_or_default();
    data.attachments.extend(attachments::read(attached));
    others.extend(inside(attached));
    if data.place.is_empty() {
        place(message.geo.as_ref(), data);
    }
    for forwarded in message.fwd_messages.iter().flatten() {
        follow(forwarded, data, others, depth + 1, left);
    }
}

/// Every word inside attachments of others.
fn inside(attached: &[Value]) -> impl Iterator<Item = String> {
    let words = [attachments::own_words(attached), attachments::shared_words(attached)].concat();
    words.into_iter().map(|text| plain(&text).text)
}

fn place(found: Option<&Value>, data: &mut MessageData) {
    if let Some(found) = found {
        data.place = geo::place(found);
    }
}

fn attached(list: Option<&[Value]>, kinds: &[&str]) -> bool {
    let mut types = list.into_iter().flatten().filter_map(|entry| entry["type"].as_str());
    types.any(|kind| kinds.contains(&kind))
}

/// Nothing of one's own: what was passed on is the message. Otherwise it is the quote.
fn combine(data: &mut MessageData, others: &[String], answered: Option<&str>) {
    let passed_on = joined(others);
    let answered = answered.map(|text| plain(text).text).filter(|text| !text.is_empty());
    if data.body.text.is_empty() {
        data.body.text = passed_on;
        data.body.quote = answered;
    } else {
        data.body.quote = if passed_on.is_empty() {
            answered
        } else {
            Some(passed_on)
        };
    }
    data.body.mentions.retain(|Mention { text, .. }| !text.is_empty());
}

fn joined(parts: &[String]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n\n")
}
