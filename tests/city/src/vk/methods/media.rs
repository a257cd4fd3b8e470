//! `photos.*`, `video.*` and `market.*`: what a community shows, and what is said under it.

use serde_json::{Map, Value, json};

use super::{ApiError, Call, walls};
use crate::vk::{
    comments::{Comment, Comments},
    state::Thing,
};

/// Album all photos of the simulated communities are in.
const ALBUM: i64 = 1;

pub(super) fn photos_get(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let count = call.count(50, 1000)?;
    let offset = call.offset()?;
    let state = community.lock();
    let all: Vec<&Thing> = state.photos.iter().filter(|photo| !photo.deleted).collect();
    let page = all.iter().skip(offset).take(count);
    let items: Vec<Value> = page.map(|photo| photo_object(photo, -state.id)).collect();
    Ok(json!({"count": all.len(), "items": items}))
}

pub(in crate::vk) fn photo_object(photo: &Thing, owner: i64) -> Value {
    let size = |kind: &str, width: i64| {
        json!({"type": kind, "width": width, "height": width * 3 / 4,
            "url": format!("https://sun9-1.userapi.com/{}/{kind}.jpg?sign=x", photo.id)})
    };
    // 100 is the technical user for what a community uploads.
    json!({"id": photo.id, "owner_id": owner, "album_id": ALBUM, "user_id": 100, "date": photo.date,
        "text": photo.title, "has_tags": false, "sizes": [size("s", 75), size("x", 604), size("z", 1080)]})
}

pub(in crate::vk) fn video_object(video: &Thing, owner: i64) -> Value {
    json!({"id": video.id, "owner_id": owner, "title": video.title, "description": "", "duration": 61,
        "date": video.date, "comments": video.comments.count(), "views": 5, "can_comment": 1,
        "image": [{"url": format!("https://sun9-1.userapi.com/v{}.jpg", video.id), "width": 320, "height": 180}]})
}

pub(super) fn photos_get_comments(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let id = call.arguments.required("photo_id")?;
    let state = community.lock();
    let photo = find(&state.photos, id)?;
    let about = about("pid", id);
    // Comments of photos are shown under `pid` by photos.getAllComments alone.
    let about = if call.method == "photos.getComments" {
        Map::new()
    } else {
        about
    };
    let answer = comments(call, photo, &about, None)?;
    drop(state);
    Ok(extended(call, answer))
}

pub(super) fn photos_get_all_comments(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let count = call.count(20, 100)?;
    let offset = call.offset()?;
    let state = community.lock();
    let mut all: Vec<(&Thing, &Comment)> = Vec::new();
    for photo in state.photos.iter().filter(|photo| !photo.deleted) {
        all.extend(photo.comments.all().map(|comment| (photo, comment)));
    }
    all.sort_by_key(|(_, comment)| std::cmp::Reverse((comment.date, comment.id)));
    let page = all.iter().skip(offset).take(count);
    let items: Vec<Value> = page
        .map(|(photo, comment)| photo.comments.shown(comment, &about("pid", photo.id), None))
        .collect();
    Ok(json!({"count": all.len(), "items": items}))
}

pub(super) fn video_get(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let count = call.count(100, 200)?;
    let offset = call.offset()?;
    let state = community.lock();
    let mut all: Vec<&Thing> = state.videos.iter().filter(|video| !video.deleted).collect();
    all.reverse();
    let page = all.iter().skip(offset).take(count);
    let items: Vec<Value> = page.map(|video| video_object(video, -state.id)).collect();
    Ok(json!({"count": all.len(), "items": items}))
}

pub(super) fn video_get_comments(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let id = call.arguments.required("video_id")?;
    let answers = walls::answers(call)?;
    let state = community.lock();
    let video = find(&state.videos, id)?;
    let answer = comments(call, video, &Map::new(), Some(answers))?;
    drop(state);
    Ok(extended(call, answer))
}

/// Products say nothing of their comments.
pub(super) fn market_get(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let count = call.count(100, 200)?;
    let offset = call.offset()?;
    let state = community.lock();
    let mut all: Vec<&Thing> = state.products.iter().filter(|product| !product.deleted).collect();
    all.reverse();
    let page = all.iter().skip(offset).take(count);
    let items: Vec<Value> = page.map(|product| product_object(product, -state.id)).collect();
    Ok(json!({"count": all.len(), "items": items}))
}

fn product_object(product: &Thing, owner: i64) -> Value {
    json!({"id": product.id, "owner_id": owner, "title": product.title, "description": "", "date": product.date,
        "availability": 0, "category": {"inner_type": "market_market_category_nested", "id": 1, "name": "Услуги"},
        "price": {"amount": "10000", "text": "100 руб.", "currency": {"id": 643, "name": "RUB", "title": "руб."}}})
}

pub(super) fn market_get_comments(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let id = call.arguments.required("item_id")?;
    let state = community.lock();
    let product = find(&state.products, id)?;
    let answer = comments(call, product, &Map::new(), None)?;
    drop(state);
    Ok(extended(call, answer))
}

fn find(things: &[Thing], id: i64) -> Result<&Thing, ApiError> {
    let found = things.iter().find(|thing| thing.id == id && !thing.deleted);
    found.ok_or_else(|| ApiError::new(15, "Access denied"))
}

fn about(name: &str, id: i64) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert(name.into(), id.into());
    about
}

/// A page of comments, and who wrote them.
fn comments(
    call: &Call<'_>,
    thing: &Thing,
    about: &Map<String, Value>,
    answers: Option<usize>,
) -> Result<(Value, Vec<i64>), ApiError> {
    let window = walls::window(call, 20)?;
    let page = thing.comments.page(&window);
    let authors = Comments::authors(&page.items);
    let shown = |comment: &&Comment| thing.comments.shown(comment, about, answers);
    let items: Vec<Value> = page.items.iter().map(shown).collect();
    let mut answer = json!({"count": thing.comments.count(), "items": items});
    if answers.is_some() {
        answer["current_level_count"] = page.current_level_count.into();
        answer["can_post"] = true.into();
        answer["show_reply_button"] = true.into();
        answer["groups_can_post"] = true.into();
    }
    if let Some(offset) = page.real_offset {
        answer["real_offset"] = offset.into();
    }
    Ok((answer, authors))
}

fn extended(call: &Call<'_>, (mut answer, authors): (Value, Vec<i64>)) -> Value {
    call.extend(&mut answer, authors);
    answer
}
