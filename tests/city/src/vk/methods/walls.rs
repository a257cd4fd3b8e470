//! `wall.*`: posts newest first with the pinned one on top, comments level by level.

use serde_json::{Map, Value, json};

use super::{ApiError, Call};
use crate::vk::{
    comments::{Comment, Comments, Window},
    network::SharedCommunity,
    state::{Community, Post},
    tokens::TokenKind,
};

/// Answers that come with a comment at most.
const MOST_ANSWERS: i64 = 10;

pub(super) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = wall(call)?;
    let count = call.count(20, 100)?;
    let offset = call.offset()?;
    let state = community.lock();
    let owner = -state.id;
    let filter = call.arguments.text("filter").unwrap_or("all");
    if matches!(filter, "suggests" | "postponed") && !matches!(call.kind, TokenKind::User(_)) {
        return Err(ApiError::new(
            15,
            "Access denied: filter is available with a user token",
        ));
    }
    let mut posts: Vec<&Post> = state.posts.iter().filter(|post| fits(post, filter, owner)).collect();
    posts.sort_by_key(|post| std::cmp::Reverse((post.pinned, post.date, post.id)));
    let all = posts.len();
    let page: Vec<&Post> = posts.into_iter().skip(offset).take(count).collect();
    let authors = page.iter().map(|post| post.from_id).chain([owner]).collect();
    let items: Vec<Value> = page.iter().map(|post| shown(post, owner)).collect();
    drop(state);
    let mut answer = json!({"count": all, "items": items});
    call.extend(&mut answer, authors);
    Ok(answer)
}

fn fits(post: &Post, filter: &str, owner: i64) -> bool {
    !post.deleted
        && match filter {
            "suggests" => post.suggested,
            "owner" => !post.suggested && post.from_id == owner,
            "others" => !post.suggested && post.from_id != owner,
            "all" => !post.suggested,
            _ => false,
        }
}

/// A post as the methods show it: with counters.
fn shown(post: &Post, owner: i64) -> Value {
    let mut object = post.object(owner);
    object["comments"] = json!({"count": post.comments.count(), "can_post": 1, "groups_can_post": true});
    object["likes"] = json!({"count": 0, "user_likes": 0, "can_like": 1, "can_publish": 1});
    object["reposts"] = json!({"count": 0, "user_reposted": 0});
    object["views"] = json!({"count": 10 + post.id});
    if post.pinned {
        object["is_pinned"] = 1.into();
    }
    object
}

/// The wall of a community by `owner_id`, which the service takes though the schema lacks it, or by `domain`.
fn wall(call: &Call<'_>) -> Result<SharedCommunity, ApiError> {
    if call.arguments.text("owner_id").is_some() {
        return call.owner();
    }
    let domain = call.arguments.text("domain").unwrap_or_default();
    let group = domain.strip_prefix("club").or(domain.strip_prefix("public"));
    let group = group.and_then(|id| id.parse().ok());
    let found = group.and_then(|id| call.network.community(id));
    found.ok_or_else(|| ApiError::parameter("owner_id is undefined"))
}

pub(super) fn get_by_id(call: &Call<'_>) -> Result<Value, ApiError> {
    let mut items = Vec::new();
    let mut authors = Vec::new();
    let asked = call.arguments.list("posts");
    if asked.len() > 100 {
        call.violate("more than 100 posts at once");
    }
    for name in asked {
        let Some((owner, id)) = name.rsplit_once('_') else {
            return Err(ApiError::parameter("posts is invalid"));
        };
        let (Ok(owner), Ok(id)) = (owner.parse::<i64>(), id.parse()) else {
            return Err(ApiError::parameter("posts is invalid"));
        };
        let Some(community) = call.network.community(-owner) else {
            continue;
        };
        let state = community.lock();
        if let Some(post) = state.post(id) {
            items.push(shown(post, owner));
            authors.extend([post.from_id, owner]);
        }
    }
    let mut answer = json!({"items": items});
    call.extend(&mut answer, authors);
    Ok(answer)
}

pub(super) fn get_comments(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let id = call.arguments.required("post_id")?;
    let window = window(call, 10)?;
    let answers = answers(call)?;
    let state = community.lock();
    let post = state.post(id).ok_or_else(no_post)?;
    let about = about(&state, post);
    let page = post.comments.page(&window);
    let authors = Comments::authors(&page.items);
    let shown = |comment: &&Comment| post.comments.shown(comment, &about, Some(answers));
    let items: Vec<Value> = page.items.iter().map(shown).collect();
    let mut answer = json!({"count": post.comments.count(), "items": items,
        "current_level_count": page.current_level_count, "can_post": true, "show_reply_button": true,
        "groups_can_post": true});
    if let Some(offset) = page.real_offset {
        answer["real_offset"] = offset.into();
    }
    drop(state);
    call.extend(&mut answer, authors);
    Ok(answer)
}

pub(super) fn get_comment(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.owner()?;
    let id = call.arguments.required("comment_id")?;
    let state = community.lock();
    let found = state
        .posts
        .iter()
        .find_map(|post| Some((post, post.comments.find(id)?)));
    let (post, comment) = found
        .filter(|(_, comment)| !comment.deleted)
        .ok_or_else(|| ApiError::new(15, "Access denied"))?;
    let item = post.comments.shown(comment, &about(&state, post), Some(0));
    let author = comment.from_id;
    drop(state);
    let mut answer = json!({"items": [item], "can_post": true, "show_reply_button": true, "groups_can_post": true});
    call.extend(&mut answer, vec![author]);
    Ok(answer)
}

fn no_post() -> ApiError {
    ApiError::new(15, "Access denied: post was not found check post_id param")
}

fn about(state: &Community, post: &Post) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert("owner_id".into(), (-state.id).into());
    about.insert("post_id".into(), post.id.into());
    about
}

/// Which comments are asked for; the same parameters everywhere.
pub(super) fn window(call: &Call<'_>, usual: usize) -> Result<Window, ApiError> {
    let start_comment_id = call.arguments.integer("start_comment_id")?;
    let offset = call.arguments.integer("offset")?.unwrap_or(0);
    if offset < 0 && start_comment_id.is_none() {
        return Err(ApiError::parameter("offset should be positive"));
    }
    Ok(Window {
        start_comment_id,
        offset,
        count: call.count(usual, 100)?,
        descending: match call.arguments.text("sort") {
            None | Some("asc" | "smart") => false,
            Some("desc") => true,
            Some(_) => return Err(ApiError::parameter("sort is invalid")),
        },
        comment_id: call.arguments.integer("comment_id")?,
    })
}

/// How many answers shall come with a comment.
pub(super) fn answers(call: &Call<'_>) -> Result<usize, ApiError> {
    let asked = call.arguments.integer("thread_items_count")?.unwrap_or(0);
    if !(0..=MOST_ANSWERS).contains(&asked) {
        call.violate("thread_items_count is above 10");
        return Err(ApiError::parameter("thread_items_count should be less or equal to 10"));
    }
    Ok(asked as usize)
}
