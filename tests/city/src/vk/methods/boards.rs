//! `board.*`: discussions of a community, by its positive id.

use serde_json::{Map, Value, json};

use super::{ApiError, Call, walls::window};
use crate::vk::{
    comments::{Comment, Comments},
    state::Thing,
};

pub(super) fn get_topics(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.group(call.arguments.required("group_id")?)?;
    let count = call.count(40, 100)?;
    let offset = call.offset()?;
    let order = call.arguments.integer("order")?.unwrap_or(0);
    let wanted = call.arguments.list("topic_ids");
    let preview = call.arguments.integer("preview")?.unwrap_or(0);
    let state = community.lock();
    let is_wanted = |topic: &&Thing| wanted.is_empty() || wanted.contains(&topic.id.to_string().as_str());
    let mut topics: Vec<&Thing> = state
        .topics
        .iter()
        .filter(|topic| !topic.deleted)
        .filter(is_wanted)
        .collect();
    match order {
        0 | 1 => topics.sort_by_key(|topic| std::cmp::Reverse(updated(topic))),
        2 => topics.sort_by_key(|topic| std::cmp::Reverse((topic.date, topic.id))),
        -1 => topics.sort_by_key(|topic| updated(topic)),
        -2 => topics.sort_by_key(|topic| (topic.date, topic.id)),
        _ => return Err(ApiError::parameter("order is invalid")),
    }
    let all = topics.len();
    let page: Vec<&Thing> = topics.into_iter().skip(offset).take(count).collect();
    let authors = page.iter().map(|topic| topic.by).collect();
    let items: Vec<Value> = page.iter().map(|topic| shown(topic, preview)).collect();
    drop(state);
    let mut answer = json!({"count": all, "items": items, "default_order": 1, "can_add_topics": 1});
    call.extend(&mut answer, authors);
    Ok(answer)
}

/// When somebody last wrote, with the number of that comment: comments of one second keep their order.
fn updated(topic: &Thing) -> (i64, i64) {
    let last = topic.comments.all().next_back();
    last.map_or((topic.date, topic.id), |comment| (comment.date, comment.id))
}

fn shown(topic: &Thing, preview: i64) -> Value {
    let last = topic.comments.all().next_back();
    let mut shown = json!({"id": topic.id, "title": topic.title, "created": topic.date, "created_by": topic.by,
        "updated": updated(topic).0, "updated_by": last.map_or(topic.by, |comment| comment.from_id),
        "is_closed": 0, "is_fixed": 0, "comments": topic.comments.count()});
    if preview & 1 != 0 {
        let first = topic.comments.all().next();
        shown["first_comment"] = first.map(|comment| comment.text.as_str()).unwrap_or_default().into();
    }
    if preview & 2 != 0 {
        shown["last_comment"] = last.map(|comment| comment.text.as_str()).unwrap_or_default().into();
    }
    shown
}

pub(super) fn get_comments(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.group(call.arguments.required("group_id")?)?;
    let id = call.arguments.required("topic_id")?;
    let window = window(call, 20)?;
    let state = community.lock();
    let topic = state.topics.iter().find(|topic| topic.id == id && !topic.deleted);
    let topic = topic.ok_or_else(|| ApiError::new(15, "Access denied"))?;
    let page = topic.comments.page(&window);
    let authors = Comments::authors(&page.items);
    let nothing = Map::new();
    let shown = |comment: &&Comment| topic.comments.shown(comment, &nothing, None);
    let items: Vec<Value> = page.items.iter().map(shown).collect();
    let mut answer = json!({"count": topic.comments.count(), "items": items});
    if let Some(offset) = page.real_offset {
        answer["real_offset"] = offset.into();
    }
    drop(state);
    call.extend(&mut answer, authors);
    Ok(answer)
}
