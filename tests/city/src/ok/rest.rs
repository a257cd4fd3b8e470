//! The signed REST API, for a client that only reads.

use serde_json::{Value, json};

use super::{
    City,
    serve::Call,
    sign,
    state::{Application, Discussion, World, error, wall},
};

/// Parts of names of methods that change something.
const WRITES: [&str; 9] = ["add", "post", "send", "edit", "remove", "delete", "mark", "like", "set"];

/// Answers a call of `fb.do` or `/api/<group>/<method>`.
pub(super) fn answer(city: &City, call: &Call) -> Value {
    let method = match (call.path.as_str(), call.path.strip_prefix("/api/")) {
        ("/fb.do", _) => call.text("method").to_owned(),
        (_, Some(rest)) => rest.replacen('/', ".", 1),
        _ => return error(3, "METHOD : Method not found"),
    };
    let mut world = city.world.lock();
    *world.calls.entry(method.clone()).or_default() += 1;
    if call.query.contains_key("access_token") {
        world.violate("a token in the address of a REST call");
    }
    let Some(application) = world.application.clone() else {
        return error(101, "PARAM_API_KEY : No application key");
    };
    if let Err(refused) = authenticate(&mut world, &application, call) {
        return refused;
    }
    let verb = method.split('.').nth(1).unwrap_or_default();
    if WRITES.iter().any(|write| verb.starts_with(write)) {
        world.violate(format!("a write: {method}"));
        return error(10, "PERMISSION_DENIED");
    }
    if application.forbidden.contains(&method) {
        return error(10, "PERMISSION_DENIED : No permission to call this method");
    }
    let count = call.number("count").unwrap_or(50);
    if !(1..=100).contains(&count) {
        world.violate(format!("count {count} in {method}"));
        return error(100, "PARAM : count");
    }
    let count = usize::try_from(count).unwrap_or(1);
    match method.as_str() {
        "users.getCurrentUser" => json!({"uid": "500000000001", "first_name": "Админ", "locale": "ru"}),
        "users.getInfo" => named(&mut world, call, |world, id| {
            let name = world.people.get(id)?;
            Some(json!({"uid": id, "first_name": name, "last_name": "", "name": name}))
        }),
        "group.getInfo" => named(&mut world, call, |world, id| {
            Some(json!({"uid": id, "name": world.groups.get(id)?.title}))
        }),
        "auth.touchSession" => json!({"success": true}),
        "stream.get" => topics(city, &world, call, count),
        "mediatopic.getByIds" => topics_by_ids(&mut world, call),
        "discussions.getList" => discussions(city, &world, call, count),
        "discussions.getComments" => comments(city, &mut world, call, count),
        "discussions.getComment" => comment(&mut world, call),
        _ => error(3, "METHOD : Method not found"),
    }
}

fn authenticate(world: &mut World, application: &Application, call: &Call) -> Result<(), Value> {
    if call.text("application_key") != application.key {
        return Err(error(101, "PARAM_API_KEY : Invalid application key"));
    }
    if call.text("format") != "json" {
        world.violate("a REST call that does not ask for JSON");
    }
    if application.expired.iter().any(|old| old == call.text("access_token")) {
        return Err(error(102, "PARAM_SESSION_EXPIRED : Session expired"));
    }
    if call.text("access_token") != application.access_token {
        return Err(error(103, "PARAM_SESSION_KEY : Invalid session key"));
    }
    if call.text("sig") != sign::expected(&call.parameters, &application.session_secret) {
        world.violate("a signature that does not hold");
        return Err(error(104, "PARAM_SIGNATURE : Invalid signature"));
    }
    if application.revoked {
        return Err(error(102, "PARAM_SESSION_EXPIRED : Session expired"));
    }
    Ok(())
}

/// A bare list, as `…getInfo` answers; `null` when nobody is found.
fn named(world: &mut World, call: &Call, find: impl Fn(&World, &str) -> Option<Value>) -> Value {
    let ids: Vec<&str> = call.text("uids").split(',').filter(|id| !id.is_empty()).collect();
    if ids.is_empty() || ids.len() > 100 {
        world.violate(format!("{} ids at once", ids.len()));
        return error(100, "PARAM : uids");
    }
    let list: Vec<Value> = ids.iter().filter_map(|id| find(world, id)).collect();
    if list.is_empty() { Value::Null } else { json!(list) }
}

/// Newest topic first.
fn topics(city: &City, world: &World, call: &Call, count: usize) -> Value {
    if call.text("patterns") != "POST" || call.text("fields").is_empty() {
        return error(100, "PARAM : patterns, fields");
    }
    if !world.groups.contains_key(call.text("gid")) {
        return error(160, "PARAM_GROUP_ID : Invalid group id");
    }
    let mut all: Vec<&Discussion> = world
        .discussions
        .iter()
        .filter(|one| one.group == call.text("gid") && one.topic.is_some())
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.created, one.id.clone())));
    let from = anchor(call);
    let page: Vec<Value> = all.iter().skip(from).take(count).filter_map(|one| topic(one)).collect();
    if page.is_empty() {
        return json!({"feeds": []});
    }
    let references: Vec<Value> = page
        .iter()
        .map(|topic| json!({"pattern": "POST", "target_refs": [topic["id"]]}))
        .collect();
    let next = next(city, from + count, all.len());
    json!({"feeds": references, "entities": {"media_topics": page}, "anchor": next,
        "has_more": city.options.endless_lists || from + count < all.len()})
}

fn topic(discussion: &Discussion) -> Option<Value> {
    let mut topic = discussion.topic.clone()?;
    topic["discussion_summary"] = json!({"discussion_id": discussion.id, "discussion_type": discussion.kind,
        "comments_count": discussion.living(), "last_activity_date": wall(discussion.last_activity)});
    Some(topic)
}

fn topics_by_ids(world: &mut World, call: &Call) -> Value {
    let ids: Vec<&str> = call.text("topic_ids").split(',').collect();
    if ids.len() > 1 && !(1..=3).contains(&call.number("media_limit").unwrap_or(0)) {
        world.violate("several topics without media_limit");
        return error(100, "PARAM : media_limit");
    }
    let found = world.discussions.iter().filter(|one| ids.contains(&one.id.as_str()));
    json!({"media_topics": found.filter_map(topic).collect::<Vec<_>>()})
}

/// Latest activity first, of all groups; without `has_more`, and without the list when there is nothing.
fn discussions(city: &City, world: &World, call: &Call, count: usize) -> Value {
    if call.text("category").is_empty() || call.text("fields").is_empty() {
        return error(100, "PARAM : category, fields");
    }
    let mut all: Vec<&Discussion> = world.discussions.iter().collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.last_activity, one.id.clone())));
    let from = anchor(call);
    let page: Vec<Value> = all
        .iter()
        .skip(from)
        .take(count)
        .map(|one| {
            json!({"object_id": one.id, "object_type": one.kind, "title": "Обсуждение", "message": "{group:1}Мы{group}",
                "owner_uid": "500000000001", "creation_date": wall(one.created),
                "last_activity_date": wall(one.last_activity), "total_comments_count": one.living(),
                "new_comments_count": 0, "ref_objects": [{"id": one.group, "type": "GROUP"}]})
        })
        .collect();
    if page.is_empty() {
        return json!({});
    }
    json!({"discussions": page, "anchor": next(city, from + count, all.len())})
}

/// The anchor behind so many entries of a list.
fn next(city: &City, shown: usize, all: usize) -> String {
    let is_circle = city.options.endless_lists && shown >= all;
    format!("p{}", if is_circle { 0 } else { shown })
}

/// The anchor of a list: how many were shown.
fn anchor(call: &Call) -> usize {
    call.text("anchor")
        .strip_prefix('p')
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// One comment by its id, in whatever state; one that vanished is an error.
fn comment(world: &mut World, call: &Call) -> Value {
    let Some(discussion) = world.discussion(call.text("discussionType"), call.text("discussionId")) else {
        return error(300, "NOT_FOUND : discussion");
    };
    let wanted = call.text("comment_id");
    let mut known = discussion.comments.iter().filter(|one| !one.vanished);
    match known.find(|one| one.body["id"] == wanted) {
        Some(found) => json!({ "comment": found.body }),
        None => error(700, "COMMENT_NOT_FOUND : Comment not found"),
    }
}

fn comments(city: &City, world: &mut World, call: &Call, count: usize) -> Value {
    if call.text("mark_as_read") != "false" {
        world.violate("comments were marked as read");
    }
    let count = count.min(city.options.comments_per_page);
    let with_removed = call.text("includeRemoved") == "true";
    let Some(discussion) = world.discussion(call.text("discussionType"), call.text("discussionId")) else {
        return error(300, "NOT_FOUND : discussion");
    };
    let all: Vec<(usize, Value)> = discussion
        .comments
        .iter()
        .enumerate()
        .filter(|(_, comment)| !comment.vanished && !comment.hidden && (with_removed || !comment.removed))
        .map(|(number, comment)| (number, comment.body.clone()))
        .collect();
    debug_assert!(discussion.comments.is_sorted_by_key(|comment| comment.at));
    let end = discussion.comments.len();
    let is_forward = call.text("direction") != "BACKWARD";
    let start = match call.text("anchor") {
        "FIRST" => 0,
        "LAST" | "UNREAD" | "" => usize::MAX,
        opaque => match opaque.strip_prefix('c').and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => number,
            None => return error(100, "PARAM : anchor"),
        },
    };
    // An anchor names the comment the next page borders on.
    let mut page: Vec<(usize, Value)> = if is_forward {
        all.into_iter()
            .filter(|(number, _)| *number >= start)
            .take(count)
            .collect()
    } else {
        let before = all.into_iter().rev().filter(|(number, _)| *number < start);
        before.take(count).collect()
    };
    let Some(next) = page
        .last()
        .map(|(number, _)| if is_forward { number + 1 } else { *number })
    else {
        return Value::Null;
    };
    let is_circle = city.options.endless_lists && !is_forward && next == 0;
    let next = if is_circle { end } else { next };
    if city.options.newest_first == is_forward {
        page.reverse();
    }
    let list: Vec<Value> = page.into_iter().map(|(_, body)| body).collect();
    json!({"comments": list, "anchor": format!("c{next}"), "discussionId": call.text("discussionId"),
        "discussionType": call.text("discussionType")})
}
