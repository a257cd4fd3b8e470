//! The Graph API of a group, for a client that only receives.

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::{
    City,
    serve::Call,
    state::{Group, Subscription, World, error},
};

const KINDS: [&str; 3] = ["MESSAGE_CREATED", "MESSAGE_CALLBACK", "CHAT_SYSTEM"];
/// Entries in one page when the client does not say.
const USUAL_COUNT: i64 = 50;

/// Answers a call below `/graph/me/`.
pub(super) fn answer(city: &City, call: &Call, method: &str) -> Value {
    let now = city.millis();
    let mut world = city.world.lock();
    let name = method.split('/').next().unwrap_or_default().to_owned();
    *world.calls.entry(format!("graph/{name}")).or_default() += 1;
    world.drop_dead(now);
    let group = match world.group_by_token(call.text("access_token")) {
        Some(group) if group.revoked => return error(102, "PARAM_SESSION_EXPIRED : Session expired"),
        Some(group) => group.clone(),
        None => return error(103, "PARAM_SESSION_KEY : Invalid session key"),
    };
    match (&call.method, name.as_str()) {
        (&Method::GET, "info") => json!({"name": group.title, "group_id": format!("group:{}", group.id)}),
        (&Method::GET, "subscriptions") => {
            let list: Vec<Value> = group
                .subscriptions
                .iter()
                .map(|one| json!({"url": one.url, "time": one.time}))
                .collect();
            if list.is_empty() {
                json!({})
            } else {
                json!({ "subscriptions": list })
            }
        }
        (&Method::POST, "subscribe" | "unsubscribe") => change(&mut world, call, &group.id, &name, now),
        (&Method::GET, "chats") => chats(city, &mut world, call, &group),
        (&Method::GET, "chat") => chat(method, &group),
        (&Method::GET, "messages") => messages(&mut world, call, method, &group),
        (&Method::POST, _) => {
            world.violate(format!("a write: POST graph/me/{name}"));
            error(10, "PERMISSION_DENIED")
        }
        _ => error(3, "METHOD : Method not found"),
    }
}

fn change(world: &mut World, call: &Call, group: &str, name: &str, now: i64) -> Value {
    let kind = call
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if kind.map(|kind| kind.replace(' ', "").to_ascii_lowercase()).as_deref() != Some("application/json;charset=utf-8")
    {
        world.violate(format!("{name} without its content type"));
    }
    let arguments: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let Some(url) = arguments["url"].as_str().filter(|url| url.starts_with("http")) else {
        return error(2001, "GRAPH_PARAM_REQUEST : url");
    };
    if name == "unsubscribe" {
        let is_foreign = world.subscription(group, url).is_some_and(|known| known.foreign);
        if is_foreign && !world.may_take_over {
            world.violate("somebody else's subscription was removed");
        }
        if let Some(group) = world.groups.get_mut(group) {
            group.subscriptions.retain(|one| one.url != url);
        }
        return json!({"success": true});
    }
    let kinds = arguments["types"].as_array().into_iter().flatten();
    if kinds.clone().any(|kind| !KINDS.iter().any(|known| kind == known)) {
        return error(2001, "GRAPH_PARAM_REQUEST : types");
    }
    match world.subscription(group, url) {
        Some(known) => known.time = now,
        None => {
            if let Some(group) = world.groups.get_mut(group) {
                group.subscriptions.push(Subscription {
                    url: url.to_owned(),
                    time: now,
                    last_success: None,
                    failing: false,
                    foreign: false,
                });
            }
        }
    }
    json!({"success": true})
}

/// Newest activity first; no marker on the last page.
fn chats(city: &City, world: &mut World, call: &Call, group: &Group) -> Value {
    let Some(count) = count(world, call) else {
        return error(2001, "GRAPH_PARAM_REQUEST : count");
    };
    let mut all: Vec<_> = group.chats.iter().collect();
    all.sort_by_key(|(_, chat)| std::cmp::Reverse(chat.last_event));
    let marker = call.text("marker");
    let from = match marker.strip_prefix('m') {
        Some(number) => number.parse().unwrap_or(usize::MAX),
        None if marker.is_empty() => 0,
        None => return error(2001, "GRAPH_PARAM_REQUEST : marker"),
    };
    let list: Vec<Value> = all
        .iter()
        .skip(from)
        .take(count)
        .map(|(id, chat)| {
            json!({"chat_id": id, "type": "DIALOG", "status": "ACTIVE", "lastEventTime": chat.last_event,
                "participants": {}, "group_id": format!("group:{}", group.id)})
        })
        .collect();
    match (list.is_empty(), from + count < all.len()) {
        (true, _) => json!({}),
        (false, true) => json!({"chats": list, "marker": format!("m{}", from + count)}),
        (false, false) if city.options.endless_lists => json!({"chats": list, "marker": "m0"}),
        (false, false) => json!({ "chats": list }),
    }
}

fn chat(method: &str, group: &Group) -> Value {
    let found = method.split_once('/').and_then(|(_, id)| group.chats.get_key_value(id));
    match found {
        Some((id, chat)) => {
            json!({"chat_id": id, "type": "DIALOG", "status": "ACTIVE", "lastEventTime": chat.last_event})
        }
        None => error(705, "CHAT_NOT_FOUND"),
    }
}

/// Newest first; `from` is the later bound.
fn messages(world: &mut World, call: &Call, method: &str, group: &Group) -> Value {
    let Some(count) = count(world, call) else {
        return error(2001, "GRAPH_PARAM_REQUEST : count");
    };
    let id = method.split_once('/').map_or(call.text("chat_id"), |(_, id)| id);
    let Some(chat) = group.chats.get(id) else {
        return error(705, "CHAT_NOT_FOUND");
    };
    let (from, to) = (call.number("from").unwrap_or(i64::MAX), call.number("to").unwrap_or(0));
    if from < to {
        return error(2001, "GRAPH_PARAM_REQUEST : from must be later than to");
    }
    let between = chat.messages.iter().rev().filter(|one| (to..=from).contains(&one.at));
    let list: Vec<&Value> = between.take(count).map(|one| &one.body).collect();
    if list.is_empty() {
        Value::Null
    } else {
        json!({ "messages": list })
    }
}

/// 1 to 100.
fn count(world: &mut World, call: &Call) -> Option<usize> {
    let count = call.number("count").unwrap_or(USUAL_COUNT);
    if !(1..=100).contains(&count) {
        world.violate(format!("count {count} in {}", call.path));
        return None;
    }
    usize::try_from(count).ok()
}
