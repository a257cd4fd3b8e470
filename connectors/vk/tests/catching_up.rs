//! Catch-up against a small town that answers as VK does: paging, pinned posts, threads, discussions, dialogues.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use priem_sdk::{ConnectorError, Wait};

use super::*;

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Comment `id` below a post, with this many replies, whose ids start at `id * 1000`.
fn comment(id: i64, replies: i64) -> (Value, Vec<Value>) {
    let date = now() - 3000 + id % 1000;
    let all: Vec<Value> = (1..=replies)
        .map(|reply| {
            json!({"id": id * 1000 + reply, "from_id": 5, "date": date, "text": format!("ответ {reply}"),
                "parents_stack": [id], "reply_to_comment": id})
        })
        .collect();
    let shown: Vec<&Value> = all.iter().take(10).collect();
    let thread = json!({"count": replies, "items": shown});
    (
        json!({"id": id, "from_id": 5, "date": date, "text": format!("слово {id}"), "thread": thread}),
        all,
    )
}

fn list(items: Vec<Value>) -> Value {
    json!({"count": items.len(), "items": items})
}

/// A page as VK cuts it: from `start_comment_id` (itself included), then `offset`, then `count`.
fn page(call: &Heard, mut items: Vec<Value>) -> Value {
    if call.params.contains_key("start_comment_id") {
        let start = call.number("start_comment_id");
        let at = items.iter().position(|item| item["id"] == start).unwrap_or(items.len());
        items.drain(..at);
    }
    let offset = usize::try_from(call.number("offset")).unwrap_or(0).min(items.len());
    items.drain(..offset);
    items.truncate(usize::try_from(call.number("count")).unwrap_or(20));
    list(items)
}

/// Every community has: an old pinned post with 3 comments, a post with 250 comments, of which the first has 25
/// replies, an older post without comments, a discussion with 130 posts.
fn town(call: &Heard) -> Value {
    let post = |id: i64, age: i64, comments: i64| {
        json!({"id": id, "owner_id": call.number("owner_id"), "from_id": 5, "date": now() - age, "text": format!("пост {id}"),
            "post_type": "post", "comments": {"count": comments}})
    };
    match call.method.as_str() {
        "wall.get" => {
            let mut pinned = post(1, 400 * 24 * 3600, 3);
            pinned["is_pinned"] = 1.into();
            page(call, vec![pinned, post(3, 600, 275), post(2, 1200, 0)])
        }
        "wall.getComments" => {
            let comments: Vec<(Value, Vec<Value>)> = match call.number("post_id") {
                1 => (11..=13).map(|id| comment(id, 0)).collect(),
                3 => (101..=350)
                    .map(|id| comment(id, if id == 101 { 25 } else { 0 }))
                    .collect(),
                _ => Vec::new(),
            };
            if call.params.contains_key("comment_id") {
                let top = call.number("comment_id");
                let thread = comments.into_iter().find(|(comment, _)| comment["id"] == top);
                return page(call, thread.map(|(_, replies)| replies).unwrap_or_default());
            }
            page(call, comments.into_iter().map(|(comment, _)| comment).collect())
        }
        "board.getTopics" => list(vec![
            json!({"id": 9, "title": "Двор", "updated": now() - 50, "comments": 130}),
            json!({"id": 8, "title": "Старое", "updated": now() - 100 * 24 * 3600, "comments": 5}),
        ]),
        "board.getComments" if call.number("topic_id") == 9 => {
            let item =
                |id: i64| json!({"id": id, "from_id": 5, "date": now() - 3000 + id, "text": format!("мнение {id}")});
            page(call, (1..=130).rev().map(item).collect())
        }
        other => panic!("{other} was not to be called: {:?}", call.params),
    }
}

/// What one community holds: posts 2 and 3 (the pinned one is too old), comments of both commented posts, replies, the
/// discussion.
const IN_A_COMMUNITY: usize = 2 + 3 + 250 + 25 + 130;

/// The parts of an `execute`.
fn parts(call: &Heard) -> Vec<Heard> {
    let code = call.param("code").trim_start_matches("return [").trim_end_matches("];");
    code.split("API.")
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (method, arguments) = part.trim_end_matches(',').split_once('(').expect("a call");
            let arguments: HashMap<String, Value> =
                serde_json::from_str(arguments.trim_end_matches(')')).expect("JSON");
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Heard {
                method: method.to_owned(),
                params: arguments.into_iter().map(|(key, value)| (key, text(value))).collect(),
            }
        })
        .collect()
}

/// Polls until the round is over; how many pages it took.
async fn round(
    connector: &mut Arc<dyn Connector>,
    stream: &str,
    journal: &mut Journal,
    cursor: &mut Cursor,
    mut crash: impl FnMut() -> Option<Arc<dyn Connector>>,
) -> usize {
    for number in 1..1000 {
        let page = connector.poll(&cx(), stream, cursor).await.expect("a page");
        if let Some(fresh) = crash() {
            *connector = fresh;
            continue;
        }
        let wait = page.wait;
        *cursor = journal.commit(connector, stream, page).await;
        if matches!(wait, Wait::For(pause) if pause > std::time::Duration::from_secs(60)) {
            return number;
        }
    }
    panic!("the round has no end");
}

fn two(catch_up: Value) -> Value {
    json!({"communities": [listed(GROUP), listed(GROUP + 1)], "catch_up": catch_up})
}

fn assert_whole(journal: &Journal) {
    let unique: HashSet<&str> = journal.ids().into_iter().collect();
    assert_eq!(
        (journal.stored.len(), unique.len()),
        (2 * IN_A_COMMUNITY, 2 * IN_A_COMMUNITY)
    );
}

#[tokio::test]
async fn a_round_reads_everything_once_and_the_next_only_what_is_new() {
    let setup = planted();
    let vk = Vk::start(|call| json!({"response": town(call)})).await;
    let mut connector = setup.against(vk.api_url(), two(json!({"token": setup.file("service")})));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    round(&mut connector, "walls", &mut journal, &mut cursor, || None).await;
    assert_whole(&journal);
    let messages = journal.told(&connector);
    assert_eq!(messages.len(), 2 * IN_A_COMMUNITY);
    assert!(vk.calls("execute").is_empty(), "a service key may not");
    assert!(
        vk.heard()
            .iter()
            .all(|call| call.param("access_token") == SERVICE && call.param("v") == "5.199")
    );
    // Not due yet: nothing is asked.
    let before = vk.heard().len();
    let page = connector.poll(&cx(), "walls", &cursor).await.expect("a page");
    assert_eq!(
        (page.next == cursor, page.items.len(), vk.heard().len()),
        (true, 0, before)
    );
    assert!(matches!(page.wait, Wait::For(_)));
}

#[tokio::test]
async fn a_crash_between_any_two_steps_loses_and_doubles_nothing() {
    let setup = planted();
    let vk = Vk::start(|call| json!({"response": town(call)})).await;
    let settings = two(json!({"token": setup.file("service")}));
    let open = || setup.against(vk.api_url(), settings.clone());
    let (mut connector, mut journal, mut cursor) = (open(), Journal::default(), Cursor::start());
    let mut turn = 0;
    round(&mut connector, "walls", &mut journal, &mut cursor, || {
        turn += 1;
        (turn % 3 == 0).then(open)
    })
    .await;
    assert_whole(&journal);
}

#[tokio::test]
async fn a_users_token_works_in_batches_and_a_part_may_fail() {
    let setup = planted();
    let vk = Vk::start(|call| {
        assert!(
            call.method == "execute" || call.method.starts_with("wall."),
            "{}",
            call.method
        );
        if call.method != "execute" {
            return json!({"response": town(call)});
        }
        let parts = parts(call);
        assert!(parts.len() <= 25);
        let mut errors = Vec::new();
        let answers: Vec<Value> = parts
            .iter()
            .map(|part| match part.method.as_str() {
                // Comments are closed in the second community's discussions.
                "board.getTopics" if part.number("group_id") == GROUP + 1 => {
                    errors.push(json!({"method": part.method, "error_code": 15, "error_msg": "Access denied"}));
                    false.into()
                }
                "photos.getAllComments" => list(vec![
                    json!({"id": 70, "pid": 5, "from_id": 6, "date": now(), "text": "фото"}),
                ]),
                "video.get" => list(vec![
                    json!({"id": 6, "owner_id": part.number("owner_id"), "date": 1, "comments": 1}),
                ]),
                "video.getComments" => list(vec![json!({"id": 80, "from_id": 6, "date": now(), "text": "видео"})]),
                _ => town(part),
            })
            .collect();
        json!({"response": answers, "execute_errors": errors})
    })
    .await;
    let mut connector = setup.against(
        vk.api_url(),
        two(json!({"token": setup.file("service"), "token_kind": "user"})),
    );
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    let pages = round(&mut connector, "walls", &mut journal, &mut cursor, || None).await;
    assert_eq!(journal.stored.len(), 2 * (IN_A_COMMUNITY + 2) - 130);
    assert!(pages <= 6, "{pages} pages");
    let ids = journal.ids();
    assert!(
        ids.contains(&format!("photo-{GROUP}_5_70").as_str()) && ids.contains(&format!("video-{GROUP}_6_80").as_str())
    );
}

#[tokio::test]
async fn unchanged_posts_are_not_read_again_but_after_a_gap_they_are() {
    let setup = planted();
    let vk = Vk::start(|call| match call.method.as_str() {
        "groups.getLongPollServer" => json!({"response": {"server": "{own}/lp", "key": "k", "ts": "1"}}),
        "a_check" => json!({"failed": 1, "ts": 7}),
        "messages.getConversations" => json!({"response": list(Vec::new())}),
        _ => json!({"response": town(call)}),
    })
    .await;
    let mut connector = setup.against(vk.api_url(), two(json!({"token": setup.file("service")})));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    round(&mut connector, "walls", &mut journal, &mut cursor, || None).await;
    let comments = |vk: &Vk| vk.calls("wall.getComments").len();
    let first = comments(&vk);
    // The same round again, as if its time had come.
    let mut due: Value = serde_json::from_str(&cursor.0).expect("JSON");
    due["last_begun"] = 1.into();
    let mut due = Cursor(due.to_string());
    round(&mut connector, "walls", &mut journal, &mut due, || None).await;
    assert_eq!(comments(&vk), first, "nothing has changed");
    let gap = connector
        .poll(&cx(), "longpoll/190700001", &Cursor("1".into()))
        .await
        .expect("a page");
    assert!(gap.gap.is_some());
    round(&mut connector, "walls", &mut journal, &mut due, || None).await;
    assert_eq!(
        comments(&vk),
        first + first / 2,
        "at once, believing nothing, and only the one that lost events"
    );
    assert_whole(&journal);
}

#[tokio::test]
async fn trouble_of_the_token_is_told_and_the_place_is_kept() {
    for (code, kind) in [
        (5, "auth_rejected"),
        (6, "rate_limited"),
        (14, "misconfigured"),
        (27, "misconfigured"),
        (29, "rate_limited"),
    ] {
        let setup = planted();
        let vk = Vk::start(move |_| json!({"error": {"error_code": code, "error_msg": "no"}})).await;
        let connector = setup.against(vk.api_url(), two(json!({"token": setup.file("service")})));
        let error: ConnectorError = connector
            .poll(&cx(), "walls", &Cursor::start())
            .await
            .expect_err("no page");
        assert_eq!(error.kind(), kind, "{code}");
    }
}

#[tokio::test]
async fn a_part_that_always_fails_does_not_hold_up_the_rest() {
    let setup = planted();
    let vk = Vk::start(|call| match call.method.as_str() {
        "wall.get" if call.number("owner_id") == -GROUP => {
            json!({"error": {"error_code": 10, "error_msg": "Internal"}})
        }
        _ => json!({"response": town(call)}),
    })
    .await;
    let mut connector = setup.against(vk.api_url(), two(json!({"token": setup.file("service")})));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    round(&mut connector, "walls", &mut journal, &mut cursor, || None).await;
    assert_eq!(journal.stored.len(), IN_A_COMMUNITY + 130);
}

/// Dialogues of each community: one with 230 messages, one that is older than we look.
fn dialogues(call: &Heard) -> Value {
    let message = |id: i64| {
        json!({"id": 9000 + id, "conversation_message_id": id, "peer_id": 5, "from_id": 5, "out": 0,
            "date": now() - 2000 + id, "text": format!("письмо {id}")})
    };
    match call.method.as_str() {
        "messages.getConversations" => list(vec![
            json!({"conversation": {"peer": {"id": 5, "type": "user"}}, "last_message": message(230)}),
            json!({"conversation": {"peer": {"id": 6, "type": "user"}}, "last_message": {"date": 1}}),
        ]),
        "messages.getHistory" => {
            assert_eq!(call.number("peer_id"), 5, "the other dialogue has nothing new");
            page(call, (1..=230).rev().map(message).collect())
        }
        other => panic!("{other} was not to be called"),
    }
}

#[tokio::test]
async fn dialogues_are_read_with_each_communitys_own_key() {
    let setup = planted();
    let vk = Vk::start(|call| {
        if call.method == "execute" {
            let answers: Vec<Value> = parts(call).iter().map(dialogues).collect();
            return json!({"response": answers});
        }
        assert_eq!(call.param("access_token"), token(call.number("group_id")));
        json!({"response": dialogues(call)})
    })
    .await;
    let mut connector = setup.against(vk.api_url(), two(json!({})));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    round(&mut connector, "messages", &mut journal, &mut cursor, || None).await;
    assert_eq!(journal.stored.len(), 460);
    let messages = journal.told(&connector);
    assert_eq!(messages.len(), 460);
}

#[tokio::test]
async fn a_dead_key_does_not_stop_the_others_and_nothing_is_forgotten_meanwhile() {
    let setup = planted();
    let dead = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&dead);
    let vk = Vk::start(move |call| {
        if state.load(Ordering::Relaxed) && call.param("access_token") == token(GROUP) {
            return json!({"error": {"error_code": 5, "error_msg": "User authorization failed"}});
        }
        json!({"response": dialogues(call)})
    })
    .await;
    let mut connector = setup.against(vk.api_url(), two(json!({})));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    round(&mut connector, "messages", &mut journal, &mut cursor, || None).await;
    assert_eq!(journal.stored.len(), 230);
    dead.store(false, Ordering::Relaxed);
    // A day later: what the other community has read is behind its horizon, what this one has not read is not.
    let mut due: Value = serde_json::from_str(&cursor.0).expect("JSON");
    due["last_begun"] = 1.into();
    due["since"] = (now() + 1000).into();
    cursor = Cursor(due.to_string());
    round(&mut connector, "messages", &mut journal, &mut cursor, || None).await;
    assert_eq!(journal.stored.len(), 460);
    let asked = vk.calls("messages.getHistory");
    assert_eq!(
        asked.iter().filter(|call| call.number("group_id") == GROUP + 1).count(),
        2,
        "only in the first round"
    );
}

#[tokio::test]
async fn a_message_vk_has_cut_is_read_again_whole() {
    let setup = planted();
    let vk = Vk::start(|call| {
        let cut = json!({"id": 9230, "conversation_message_id": 230, "peer_id": 5, "from_id": 5, "out": 0, "date": now(),
            "text": "начало", "is_cropped": true});
        match call.method.as_str() {
            "groups.getLongPollServer" => json!({"response": {"server": "{own}/lp", "key": "k", "ts": "1"}}),
            "a_check" => json!({"ts": "2", "updates": [
                {"type": "message_new", "group_id": GROUP, "event_id": "e", "object": {"message": cut}}]}),
            "execute" => json!({"response": parts(call).iter().map(dialogues).collect::<Vec<Value>>()}),
            _ => json!({"response": dialogues(call)}),
        }
    })
    .await;
    let mut connector = setup.against(vk.api_url(), json!({}));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    let page = connector
        .poll(&cx(), "longpoll/190700001", &Cursor("1".into()))
        .await
        .expect("a page");
    journal.commit(&connector, "longpoll/190700001", page).await;
    // As if a whole round had just ended.
    let floor = now() - 10_000;
    cursor.0 = json!({"floor": floor, "since": floor, "begun": null, "last_begun": now(), "at": 0}).to_string();
    round(&mut connector, "messages", &mut journal, &mut cursor, || None).await;
    let told: Vec<_> = journal
        .told(&connector)
        .into_iter()
        .filter(|(_, text)| text == "начало" || text == "письмо 230")
        .collect();
    use priem_sdk::EventType::{Received, Updated};
    assert_eq!(
        told,
        [(Received, "начало".to_owned()), (Updated, "письмо 230".to_owned())]
    );
    assert_eq!(journal.stored.len(), 231);
}

#[tokio::test]
async fn an_entry_that_names_nothing_is_held_and_the_next_page_is_read() {
    let setup = planted();
    let vk = Vk::start(|call| {
        let answer = |call: &Heard| match call.method.as_str() {
            "messages.getConversations" => {
                let last = json!({"date": now()});
                let named = (1..=200).map(|id| json!({"conversation": {"peer": {"id": id}}, "last_message": last}));
                page(call, [json!({"last_message": last})].into_iter().chain(named).collect())
            }
            "messages.getHistory" => list(vec![json!({"id": 1, "conversation_message_id": 1, "from_id": 5,
                "date": now(), "text": "письмо"})]),
            "board.getTopics" => list(vec![json!({"title": "Двор", "comments": 5})]),
            "wall.get" => list(vec![json!({"date": now(), "text": "пост"})]),
            other => panic!("{other} was not to be called"),
        };
        if call.method == "execute" {
            return json!({"response": parts(call).iter().map(answer).collect::<Vec<Value>>()});
        }
        json!({"response": answer(call)})
    })
    .await;
    let mut connector = setup.against(vk.api_url(), json!({"catch_up": {"token": setup.file("service")}}));
    for (stream, read, held) in [("messages", 200, 1), ("walls", 0, 2)] {
        let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
        round(&mut connector, stream, &mut journal, &mut cursor, || None).await;
        let (good, bad): (Vec<_>, Vec<_>) = journal.stored.iter().partition(|raw| connector.normalize(raw).is_ok());
        assert_eq!((good.len(), bad.len()), (read, held), "{stream}");
    }
}

#[test]
fn a_damaged_post_is_one_version_whatever_its_counters_say() {
    let seen = |likes: i64, text: &str| {
        let post = format!("{{\"id\":7,\"date\":5,\"likes\":{{\"count\":{likes}}},\"text\":{text},\"x\":NaN}}");
        super::super::split::seen("wall_post_seen", GROUP, &post.into(), &[("owner_id", -GROUP)])
    };
    let (first, later) = (seen(1, "[7]"), seen(2, "[7]"));
    assert_eq!(first.external_id, format!("wall-{GROUP}_7"));
    assert_eq!(
        (&first.external_id, first.fingerprint),
        (&later.external_id, later.fingerprint)
    );
    assert_ne!(first.fingerprint, seen(2, "[8]").fingerprint, "other words");
}
