//! What goes where something before it went, through the real daemon: removals, late originals, albums and photos in a
//! row, whatever the order and across a restart.

use priem_city::{
    telegram::TelegramCity,
    vk::{Options, TokenKind, VkCity},
};
use serde_json::{Value, json};

use crate::support::{
    Installation,
    flow::{self, HOOK_PATH, HOOK_SECRET},
    http, until,
};

const WORDS: &str = "Глубокая яма на дороге у дома 7 по улице Садовой, пробил колесо";
const ROADS: &str = "mcu.roads";
const COORDINATOR: &str = "mcu.coordinator";
/// Person of the private chats.
const CITIZEN: i64 = 4_004;

async fn install() -> (TelegramCity, Installation) {
    let city = flow::telegram().await;
    let daemon = flow::install(&(flow::settings(None) + &flow::hook(&city.api_url())));
    (city, daemon)
}

async fn give(daemon: &Installation, update: &Value) {
    let answer = http()
        .post(format!("http://127.0.0.1:{}/hooks/hook/{HOOK_PATH}", daemon.hooks))
        .header("x-telegram-bot-api-secret-token", HOOK_SECRET)
        .body(update.to_string())
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 200);
}

/// What came out: object, event, queue, whether it is a copy, whether it has a deadline.
fn out(daemon: &Installation) -> Vec<(String, String, String, bool, bool)> {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let word = |event: &Value, pointer: &str| {
        let found = event.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    events
        .map(|event| {
            let kind = word(&event, "/type");
            (
                word(&event, "/subject"),
                kind.trim_start_matches("ru.priem.message.")
                    .trim_end_matches(".v1")
                    .to_owned(),
                word(&event, "/data/routing/queue"),
                event.pointer("/data/routing/copy") == Some(&Value::Bool(true)),
                event.pointer("/data/deadlines/0").is_some(),
            )
        })
        .collect()
}

/// The deadlines of the message that came out in this place.
fn due(daemon: &Installation, place: usize) -> Value {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("it is there");
    let event: Value = serde_json::from_str(text.lines().nth(place).expect("a line")).expect("JSON");
    event["data"]["deadlines"].clone()
}

/// Gives an update and waits until everything is out.
async fn heard(daemon: &Installation, update: &Value) {
    give(daemon, update).await;
    until("it is settled", async || daemon.stats()["pending"] == 0).await;
}

fn message(kind: &str, id: i64, more: &Value) -> Value {
    let mut message = json!({"message_id": id, "date": 1_764_000_000 + id,
        "from": {"id": CITIZEN, "is_bot": false, "first_name": "Вера"},
        "chat": {"id": CITIZEN, "type": "private", "first_name": "Вера"}});
    for (key, value) in more.as_object().expect("an object") {
        message[key] = value.clone();
    }
    let mut update = json!({"update_id": 9_000 + id});
    update[kind] = message;
    update
}

fn business(id: i64) -> Value {
    message(
        "business_message",
        id,
        &json!({"text": WORDS, "business_connection_id": "bc"}),
    )
}

fn removal(number: i64, ids: &[i64]) -> Value {
    json!({"update_id": number, "deleted_business_messages": {"business_connection_id": "bc",
        "chat": {"id": CITIZEN, "type": "private", "first_name": "Вера"}, "message_ids": ids}})
}

fn photo(id: i64, album: Option<&str>, caption: Option<&str>) -> Value {
    let mut more = json!({"photo": [{"file_id": format!("f{id}"), "file_unique_id": format!("u{id}"),
        "width": 9, "height": 9}]});
    if let Some(album) = album {
        more["media_group_id"] = album.into();
    }
    if let Some(caption) = caption {
        more["caption"] = caption.into();
    }
    message("message", id, &more)
}

fn comment(id: i64, text: &str, answered: &Value) -> Value {
    let group = json!({"id": -1_001_700, "type": "supergroup", "title": "Жители"});
    let mut answered = answered.clone();
    answered["chat"] = group.clone();
    let more = json!({"text": text, "chat": group, "message_thread_id": 500, "reply_to_message": answered});
    message("message", id, &more)
}

/// Subchannel, thread and quote of everything that came out.
fn context(daemon: &Installation) -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let word = |event: &Value, pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let pointers = ["/data/subchannel", "/data/external/thread", "/data/body/quote"];
    events
        .map(|event| {
            let [subchannel, thread, quote] = pointers.map(|pointer| word(&event, pointer));
            (subchannel, thread, quote)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_below_a_post_is_tied_to_the_post() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    let post = json!({"message_id": 500, "is_automatic_forward": true, "text": "Перекрыта Садовая",
        "sender_chat": {"id": -1_001_800, "type": "channel", "title": "Город"},
        "forward_origin": {"type": "channel", "message_id": 12, "chat": {"id": -1_001_800, "type": "channel"}}});
    heard(&daemon, &comment(501, "Надолго?", &post)).await;
    daemon.stop().await;
    daemon.start().await;
    // The one that is answered has no words in the update: they are in the journal.
    heard(&daemon, &comment(502, "И объезда нет", &json!({"message_id": 501}))).await;
    heard(
        &daemon,
        &comment(503, "Второй день", &json!({"message_id": 502, "text": "И объезда нет"})),
    )
    .await;
    let tied = |quote: &str| ("discussion".to_owned(), "-1001800:12".to_owned(), quote.to_owned());
    assert_eq!(
        context(&daemon),
        [tied("Перекрыта Садовая"), tied("Надолго?"), tied("И объезда нет")]
    );
    daemon.stop().await;
}

fn row(id: &str, event: &str, queue: &str, copy: bool, deadline: bool) -> (String, String, String, bool, bool) {
    (id.into(), event.into(), queue.into(), copy, deadline)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_goes_where_its_message_went_and_nobody_hears_of_what_nobody_heard_of() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    heard(&daemon, &business(10)).await;
    daemon.stop().await;
    daemon.start().await;
    heard(&daemon, &removal(9_500, &[10, 11])).await;
    daemon
        .metric_reaches("priem_unheard_deletions_total", "connector=\"hook\"", 1.0)
        .await;
    daemon.stop().await;
    let id = format!("bc:{CITIZEN}:10");
    assert_eq!(
        out(&daemon),
        [
            row(&id, "received", ROADS, false, true),
            row(&id, "deleted", ROADS, false, false)
        ]
    );
    assert!(daemon.priem(&["journal", "verify"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_on_the_heels_of_its_message_goes_there_too() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    // All of them wait together: nothing of the first is settled when the last is decided.
    let many = (20..120).flat_map(|id| [business(id), removal(10_000 + id, &[id])]);
    for update in many {
        give(&daemon, &update).await;
    }
    until("everything is out", async || out(&daemon).len() == 200).await;
    assert!(out(&daemon).iter().all(|(_, _, queue, ..)| queue == ROADS));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_original_is_marked_and_goes_where_its_edit_went() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    let edit = message(
        "edited_message",
        30,
        &json!({"text": WORDS, "edit_date": 1_764_000_900}),
    );
    heard(&daemon, &edit).await;
    heard(&daemon, &message("message", 30, &json!({"text": "Пример"}))).await;
    let id = format!("{CITIZEN}:30");
    assert_eq!(
        out(&daemon),
        [
            row(&id, "received", ROADS, false, true),
            row(&id, "received", ROADS, false, false)
        ]
    );
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("it is there");
    assert_eq!(text.matches("out_of_order").count(), 1, "{text}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_stays_with_its_message_or_tells_of_the_move() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    let edit = |number: i64, text: &str| {
        let mut update = message(
            "edited_message",
            35,
            &json!({"text": text, "edit_date": 1_764_000_900 + number}),
        );
        update["update_id"] = (9_600 + number).into();
        update
    };
    heard(&daemon, &message("message", 35, &json!({"text": WORDS}))).await;
    heard(&daemon, &edit(1, "Спасибо, уже не надо")).await;
    daemon.stop().await;
    daemon.start().await;
    heard(&daemon, &edit(2, "В подъезде нет отопления, батареи холодные")).await;
    let id = format!("{CITIZEN}:35");
    let all = out(&daemon);
    assert_eq!(
        all[..2],
        [
            row(&id, "received", ROADS, false, true),
            row(&id, "updated", ROADS, false, false)
        ]
    );
    let queues: Vec<_> = all[2..]
        .iter()
        .map(|(_, _, queue, copy, _)| (queue.as_str(), *copy))
        .collect();
    assert!(
        queues.contains(&(ROADS, true)),
        "who had it hears of the move: {queues:?}"
    );
    let is_elsewhere = |(queue, copy): &(&str, bool)| !copy && ![ROADS, COORDINATOR].contains(queue);
    assert!(queues.iter().any(is_elsewhere), "the new words decide: {queues:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_edit_that_comes_late_is_marked_and_decides_nothing() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    let edit = |number: i64, at: i64, text: &str| {
        let mut update = message(
            "edited_message",
            36,
            &json!({"text": text, "edit_date": 1_764_000_900 + at}),
        );
        update["update_id"] = (9_700 + number).into();
        update
    };
    heard(&daemon, &message("message", 36, &json!({"text": WORDS}))).await;
    heard(&daemon, &edit(1, 100, &format!("{WORDS}!"))).await;
    daemon.stop().await;
    daemon.start().await;
    heard(&daemon, &edit(2, 50, "В подъезде нет отопления, батареи холодные")).await;
    // Newer than the last that came, older than the newest.
    heard(&daemon, &edit(3, 70, "В подъезде холодно, батареи холодные")).await;
    heard(&daemon, &edit(4, 110, &format!("{WORDS}!!"))).await;
    assert!(out(&daemon).iter().all(|(_, _, queue, ..)| queue == ROADS));
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("it is there");
    let marked: Vec<_> = text.lines().map(|line| line.contains("out_of_order")).collect();
    assert_eq!(marked, [false, false, true, true, false]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_whose_words_come_late_leaves_the_words_before_it() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    let before = json!({"text": "В подъезде нет отопления, батареи холодные"});
    heard(&daemon, &message("message", 45, &before)).await;
    let elsewhere = out(&daemon)[0].2.clone();
    assert!(![ROADS, COORDINATOR].contains(&&*elsewhere), "{elsewhere}");
    // As fast as they come: nothing of them is settled when the words come.
    for id in 46..49 {
        give(&daemon, &photo(id, Some("g4"), None)).await;
    }
    heard(&daemon, &photo(49, Some("g4"), Some(WORDS))).await;
    heard(&daemon, &photo(50, Some("g4"), None)).await;
    let all = out(&daemon);
    for id in 46..=50 {
        let id = format!("{CITIZEN}:{id}");
        assert!(
            all.iter().any(|(object, _, queue, ..)| *object == id && queue == ROADS),
            "{id}: {all:?}"
        );
    }
    let clocks = all.iter().filter(|(_, _, queue, _, clock)| queue == ROADS && *clock);
    assert_eq!(clocks.count(), 1, "{all:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_is_one_matter_in_any_order_and_across_a_restart() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    heard(&daemon, &photo(41, Some("g1"), Some(WORDS))).await;
    heard(&daemon, &photo(42, Some("g1"), None)).await;
    daemon.stop().await;
    daemon.start().await;
    heard(&daemon, &photo(43, Some("g1"), None)).await;
    let [one, two, three] = [41, 42, 43].map(|id| format!("{CITIZEN}:{id}"));
    assert_eq!(
        out(&daemon),
        [
            row(&one, "received", ROADS, false, true),
            row(&two, "received", ROADS, false, false),
            row(&three, "received", ROADS, false, false),
        ]
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_come_late_bring_their_photos_along() {
    for restart in [false, true] {
        let (_city, mut daemon) = install().await;
        daemon.start().await;
        heard(&daemon, &photo(51, Some("g2"), None)).await;
        heard(&daemon, &photo(52, Some("g2"), None)).await;
        if restart {
            daemon.stop().await;
            daemon.start().await;
        }
        heard(&daemon, &photo(53, Some("g2"), Some(WORDS))).await;
        let [one, two, three] = [51, 52, 53].map(|id| format!("{CITIZEN}:{id}"));
        let mut all = out(&daemon);
        let first = all.drain(..2).collect::<Vec<_>>();
        assert_eq!(
            first,
            [
                row(&one, "received", COORDINATOR, false, true),
                row(&two, "received", COORDINATOR, false, false),
            ],
            "nobody knows of the words yet; one clock"
        );
        all.sort();
        assert_eq!(
            all,
            [
                row(&one, "received", ROADS, false, false),
                row(&two, "received", ROADS, false, false),
                row(&three, "received", COORDINATOR, true, true),
                row(&three, "received", ROADS, false, true),
            ]
        );
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_sent_in_a_row_go_with_the_words_before_them() {
    let (_city, mut daemon) = install().await;
    daemon.start().await;
    heard(&daemon, &message("message", 60, &json!({"text": WORDS}))).await;
    heard(&daemon, &photo(61, None, None)).await;
    heard(&daemon, &photo(900, None, None)).await;
    let queues: Vec<_> = out(&daemon)
        .into_iter()
        .map(|(_, _, queue, _, clock)| (queue, clock))
        .collect();
    let wanted = [(ROADS, true), (ROADS, false), (COORDINATOR, true)];
    assert_eq!(
        queues,
        wanted.map(|(queue, clock)| (queue.to_owned(), clock)),
        "the last one came much later"
    );
    daemon.stop().await;
}

/// Community and its key.
const GROUP: i64 = 190_700_001;
const KEY: &str = "vk1.a.following-nobody-may-see";

async fn vk() -> (VkCity, Installation) {
    let city = VkCity::start(Options::default()).await.expect("a VK simulator");
    city.community(GROUP);
    city.add_token(KEY, TokenKind::Community(GROUP));
    let entry = format!(
        "  vk:\n    type: vk\n    mode: callback\n    api_url: {}\n    communities:\n      \
         - {{ id: {GROUP}, token: {{ file: \"{{folder}}/secrets/vk\" }} }}\n    \
         callback: {{ secret: {{ file: \"{{folder}}/secrets/hook-secret\" }} }}\n",
        city.api_url()
    );
    let daemon = flow::install(&(flow::settings(None) + &entry));
    daemon.secret("vk", KEY);
    (city, daemon)
}

/// Gives an event of the community and waits until everything is out.
async fn called(daemon: &Installation, kind: &str, id: &str, object: &Value) {
    let event = json!({"type": kind, "group_id": GROUP, "event_id": id, "v": "5.199", "secret": HOOK_SECRET,
        "object": object});
    let address = format!("http://127.0.0.1:{}/hooks/vk", daemon.hooks);
    let answer = http().post(address).body(event.to_string()).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    until("it is settled", async || daemon.stats()["pending"] == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_of_a_community_are_followed_and_quote_its_own_posts() {
    let (_city, mut daemon) = vk().await;
    daemon.start().await;
    let comment = |id: i64, from: i64, text: &str| json!({"id": id, "from_id": from, "date": 1_764_000_000, "text": text, "post_id": 3, "post_owner_id": -GROUP});
    let gone = |id: i64| json!({"id": id, "owner_id": -GROUP, "post_id": 3, "deleter_id": 555});
    let post = json!({"id": 3, "owner_id": -GROUP, "from_id": -GROUP, "date": 1_764_000_000, "text": "Ремонт Садовой",
        "post_type": "post"});
    called(&daemon, "wall_post_new", "p1", &post).await;
    called(&daemon, "wall_reply_new", "c1", &comment(7, 555, WORDS)).await;
    called(&daemon, "wall_reply_delete", "c2", &gone(7)).await;
    // Never seen; and the community's own, which is stored and not published.
    called(&daemon, "wall_reply_delete", "c3", &gone(8)).await;
    called(&daemon, "wall_reply_new", "c4", &comment(9, -GROUP, WORDS)).await;
    called(&daemon, "wall_reply_delete", "c5", &gone(9)).await;
    daemon
        .metric_reaches("priem_unheard_deletions_total", "connector=\"vk\"", 2.0)
        .await;
    let id = format!("wall-{GROUP}_3_7");
    assert_eq!(
        out(&daemon),
        [
            row(&id, "received", ROADS, false, true),
            row(&id, "deleted", ROADS, false, false)
        ]
    );
    assert_eq!(context(&daemon)[0].2, "Ремонт Садовой");
    // There again: with the deadlines of its first version.
    called(&daemon, "wall_reply_restore", "c6", &comment(7, 555, WORDS)).await;
    assert_eq!(out(&daemon).last(), Some(&row(&id, "updated", ROADS, false, true)));
    assert_eq!(due(&daemon, 2), due(&daemon, 0));
    // A photo of the same person in the dialogue goes with the words before it.
    let written = |number: i64, text: &str, attachments: Value| {
        json!({"message": {"id": number, "conversation_message_id": number, "peer_id": 556, "from_id": 556, "out": 0,
            "date": 1_764_000_100 + number, "text": text, "attachments": attachments}})
    };
    called(&daemon, "message_new", "m1", &written(1, WORDS, json!([]))).await;
    let photo = json!([{"type": "photo", "photo": {"id": 1, "owner_id": 556, "sizes": []}}]);
    called(&daemon, "message_new", "m2", &written(2, "", photo)).await;
    let last = out(&daemon).pop();
    assert_eq!(
        last,
        Some(row(&format!("im{GROUP}_556_2"), "received", ROADS, false, false))
    );
    daemon.stop().await;
}
