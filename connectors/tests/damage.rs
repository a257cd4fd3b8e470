//! One bad item never holds the others: a batch with a damaged item of any kind gives all the others as they came, the
//! damaged one is kept or mended, and the cursor moves on; by poll and by webhook, on every platform.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use priem_connectors::CONNECTORS;
use priem_sdk::{
    BuildContext, Connector, Cursor, Cx, Item, RawItem,
    conformance::{HookSample, ScriptedAnswer, ScriptedRequest, ScriptedServer},
    contract::ConnectorId,
    json::Members,
};
use serde_json::{Value, json};

const GROUP: i64 = 57_000_001;
const TEXT: &str = "Яма у дома";

/// What can be wrong with one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    NotUtf8,
    HalfOfAnEmoji,
    ControlCharacter,
    NoNumber,
    AnotherType,
    Deep,
    Null,
    NoObject,
    WrongEscape,
}

const DAMAGES: [Damage; 9] = [
    Damage::NotUtf8,
    Damage::HalfOfAnEmoji,
    Damage::ControlCharacter,
    Damage::NoNumber,
    Damage::AnotherType,
    Damage::Deep,
    Damage::Null,
    Damage::NoObject,
    Damage::WrongEscape,
];

impl Damage {
    /// The item with the damage in its text, or in place of it.
    fn done_to(self, item: &Value) -> Vec<u8> {
        let whole = item.to_string();
        let quoted = format!("\"{TEXT}\"");
        assert!(whole.contains(&quoted), "the sample has words");
        let with = |text: &[u8]| {
            let (before, after) = whole.split_once(&quoted).expect("the sample has words");
            [before.as_bytes(), text, after.as_bytes()].concat()
        };
        match self {
            Self::NotUtf8 => with(b"\"\xD0\xAF\xD0\xBC\xD0\""),
            Self::HalfOfAnEmoji => with("\"Яма \\ud83d\"".as_bytes()),
            Self::ControlCharacter => with("\"Яма\nу дома\"".as_bytes()),
            Self::NoNumber => with(b"NaN"),
            Self::AnotherType => with(b"[[7]]"),
            Self::Deep => with(format!("{}{}", "[".repeat(400), "]".repeat(400)).as_bytes()),
            Self::Null => with(b"null"),
            Self::NoObject => b"7777777".to_vec(),
            Self::WrongEscape => with("\"Яма\\u12\"".as_bytes()),
        }
    }
}

/// A list of a platform that is polled.
struct Platform {
    name: &'static str,
    stream: String,
    /// The cursor from which it is asked.
    from: &'static str,
    settings: fn(&str) -> Value,
    /// The n-th item of its list.
    item: fn(i64) -> Value,
    /// The whole answer to a request, around the list.
    answer: fn(&ScriptedRequest, &str, &[u8]) -> Vec<u8>,
}

fn secret() -> Value {
    static FILE: OnceLock<tempfile::NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "123456:planted-token-of-this-test-0001").expect("written");
        file
    });
    json!({"file": file.path()})
}

fn around(before: &str, list: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), b"[", list, b"]", after.as_bytes()].concat()
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn vk_catch_up(url: &str) -> Value {
    json!({"mode": "longpoll", "api_url": url, "communities": [{"id": GROUP, "token": secret()}],
        "catch_up": {"token": secret(), "token_kind": "user", "boards": false, "photos": false, "videos": false,
            "suggested": true},
        "http": {"requests_per_second": 1000}})
}

fn ok_groups(url: &str) -> Value {
    json!({"mode": "poll", "api_url": url, "groups": [{"id": GROUP.to_string(), "token": secret()}],
        "application": {"key": "CBATEST", "secret": secret(), "access_token": secret()},
        "http": {"requests_per_second": 1000}})
}

/// The lists of OK's discussions: a topic and what they say about it, or neither.
fn ok_rest(request: &ScriptedRequest, wanted: &str, list: &[u8]) -> Vec<u8> {
    let body = String::from_utf8_lossy(&request.body);
    if body.contains(&format!("method={wanted}")) {
        return match wanted {
            "stream.get" => around("{\"entities\":{\"media_topics\":", list, "}}"),
            _ => around("{\"comments\":", list, "}"),
        };
    }
    if wanted == "discussions.getComments" && body.contains("method=discussions.getList") {
        let at = Timestamp::now().as_millisecond();
        let discussion = json!({"object_type": "GROUP_TOPIC", "object_id": "62", "total_comments_count": 3,
            "last_activity_date_ms": at, "ref_objects": [{"type": "GROUP", "id": GROUP.to_string()}]});
        return json!({ "discussions": [discussion] }).to_string().into_bytes();
    }
    b"{}".to_vec()
}

fn platforms() -> Vec<Platform> {
    vec![
        Platform {
            name: "telegram",
            stream: "updates".into(),
            from: "1",
            settings: |url| json!({"token": secret(), "mode": "poll", "api_url": url}),
            item: |number| {
                json!({"update_id": 10 + number, "message": {"message_id": number, "date": 1_780_000_000,
                    "chat": {"id": 5, "type": "private"}, "from": {"id": 5, "first_name": "Анна"}, "text": TEXT}})
            },
            answer: |_, _, list| around("{\"ok\":true,\"result\":", list, "}"),
        },
        Platform {
            name: "max",
            stream: "updates".into(),
            from: "1",
            settings: |url| json!({"token": secret(), "mode": "poll", "api_url": url, "history": {"enabled": false}}),
            item: |number| {
                json!({"update_type": "message_created", "timestamp": 1_780_000_000_000_i64 + number, "message": {
                    "recipient": {"chat_id": 5, "chat_type": "dialog"}, "timestamp": 1_780_000_000_000_i64,
                    "sender": {"user_id": 8, "first_name": "Анна", "is_bot": false},
                    "body": {"mid": format!("mid.{number}"), "seq": number, "text": TEXT}}})
            },
            answer: |_, _, list| around("{\"updates\":", list, ",\"marker\":\"77\"}"),
        },
        Platform {
            name: "max",
            stream: "history".into(),
            from: "",
            settings: |url| json!({"token": secret(), "mode": "poll", "api_url": url, "chats": [{"id": -5}]}),
            item: |number| {
                json!({"recipient": {"chat_id": -5, "chat_type": "chat"}, "timestamp": 1000 * now() - number,
                    "sender": {"user_id": 8, "first_name": "Анна", "is_bot": false},
                    "body": {"mid": format!("mid.{number}"), "seq": number, "text": TEXT}})
            },
            answer: |_, _, list| around("{\"messages\":", list, "}"),
        },
        Platform {
            name: "vk",
            stream: format!("longpoll/{GROUP}"),
            from: "1",
            settings: |url| json!({"mode": "longpoll", "api_url": url, "communities": [{"id": GROUP, "token": secret()}]}),
            item: |number| {
                json!({"type": "wall_reply_new", "group_id": GROUP, "event_id": format!("e{number}"), "object": {
                    "id": number, "from_id": 501, "date": 1_780_000_000, "post_id": 3, "post_owner_id": -GROUP,
                    "text": TEXT}})
            },
            answer: |request, own, list| {
                if request.target.contains("getLongPollServer") {
                    let server = json!({"response": {"server": format!("{own}/lp"), "key": "k", "ts": "1"}});
                    return server.to_string().into_bytes();
                }
                around("{\"ts\":77,\"updates\":", list, "}")
            },
        },
        // Posts, in a batch with an empty list.
        Platform {
            name: "vk",
            stream: "walls".into(),
            from: "",
            settings: vk_catch_up,
            item: |number| {
                json!({"id": number, "owner_id": -GROUP, "from_id": 501, "date": now() - number, "post_type": "post",
                    "text": TEXT, "comments": {"count": 0}})
            },
            answer: |_, _, list| around("{\"response\":[{\"count\":3,\"items\":", list, "},{\"items\":[]}]}"),
        },
        // Comments below one of them.
        Platform {
            name: "vk",
            stream: "walls".into(),
            from: "",
            settings: vk_catch_up,
            item: |number| json!({"id": number, "from_id": 501, "date": now() - 9 + number, "text": TEXT}),
            answer: |request, _, list| {
                if request.target.contains("wall.getComments") {
                    return around("{\"response\":{\"items\":", list, "}}");
                }
                let post = json!({"id": 3, "date": now() - 999_999, "comments": {"count": 3}});
                let lists = json!({"response": [{"items": [post]}, {"items": []}]});
                lists.to_string().into_bytes()
            },
        },
        Platform {
            name: "vk",
            stream: "messages".into(),
            from: "",
            settings: vk_catch_up,
            item: |number| {
                json!({"id": number, "conversation_message_id": number, "peer_id": 501, "from_id": 501,
                    "date": now() - number, "text": TEXT})
            },
            answer: |request, _, list| {
                if request.target.contains("messages.getHistory") {
                    return around("{\"response\":{\"items\":", list, "}}");
                }
                let dialogue = json!({"conversation": {"peer": {"id": 501}}, "last_message": {"date": now()}});
                json!({"response": {"items": [dialogue]}}).to_string().into_bytes()
            },
        },
        Platform {
            name: "ok",
            stream: format!("history/{GROUP}"),
            from: "",
            settings: ok_groups,
            item: |number| {
                let at = Timestamp::now().as_millisecond() - 60_000 + number;
                json!({"sender": {"user_id": "user:9"}, "recipient": {"chat_id": "chat:C1"}, "timestamp": at,
                    "message": {"mid": format!("mid:{number}"), "text": TEXT, "seq": number}})
            },
            answer: |request, _, list| {
                if request.target.contains("/chats?") {
                    let at = Timestamp::now().as_millisecond();
                    let chats = json!({"chats": [{"chat_id": "chat:C1", "last_event_time": at}]});
                    return chats.to_string().into_bytes();
                }
                around("{\"messages\":", list, "}")
            },
        },
        Platform {
            name: "ok",
            stream: format!("discussions/{GROUP}"),
            from: "",
            settings: ok_groups,
            item: |number| {
                json!({"id": format!("62{number}"), "author_ref": "user:9", "created_ms": 1000 * now() - number,
                    "media": [{"type": "text", "text": TEXT}]})
            },
            answer: |request, _, list| ok_rest(request, "stream.get", list),
        },
        Platform {
            name: "ok",
            stream: format!("discussions/{GROUP}"),
            from: "",
            settings: ok_groups,
            item: |number| json!({"id": format!("c{number}"), "author_id": "9", "date_ms": 1000 * now() - 9 + number, "text": TEXT}),
            answer: |request, _, list| ok_rest(request, "discussions.getComments", list),
        },
    ]
}

/// Polls until there are items, at most a few times. Every answer begins with a mark.
async fn polled(platform: &Platform, list: Vec<u8>, mark: &'static str) -> (Vec<Item>, bool, Arc<dyn Connector>) {
    let address = Arc::new(OnceLock::<String>::new());
    let (own, answer) = (Arc::clone(&address), platform.answer);
    let server = ScriptedServer::start(move |request| {
        let answer = answer(request, own.get().map_or("", String::as_str), &list);
        ScriptedAnswer {
            status: 200,
            headers: Vec::new(),
            body: [mark.as_bytes(), &answer].concat().into(),
        }
    });
    let server = server.await.expect("a free port");
    let url = address.get_or_init(|| server.url()).clone();
    let kind = CONNECTORS
        .iter()
        .find(|kind| kind.name == platform.name)
        .expect("a platform");
    let context = BuildContext {
        id: ConnectorId::new("test"),
        base_dir: std::env::temp_dir(),
        public_url: None,
    };
    let connector = (kind.build)((platform.settings)(&url), &context).expect("settings");
    let cx = Cx {
        id: ConnectorId::new("test"),
        take_over: false,
    };
    let mut cursor = Cursor(platform.from.into());
    for _ in 0..5 {
        let page = connector.poll(&cx, &platform.stream, &cursor).await.expect("a page");
        let moved = page.next != cursor;
        if !page.items.is_empty() {
            return (page.items, moved, connector);
        }
        cursor = page.next;
    }
    panic!("{} {}: nothing came", platform.name, platform.stream);
}

fn is_whole(connector: &dyn Connector, item: &Item) -> bool {
    let raw = RawItem {
        connector: ConnectorId::new("test"),
        external_id: item.external_id.clone(),
        revision: "0".into(),
        ordinal: 0,
        format: item.format.to_owned(),
        body: item.body.clone(),
        received_at: Timestamp::UNIX_EPOCH,
    };
    item.problem.is_none() && connector.normalize(&raw).is_ok_and(|messages| messages.len() == 1)
}

#[tokio::test]
async fn one_bad_item_of_a_batch_holds_none_of_the_others() {
    let platforms = platforms();
    let each = platforms.iter().map(|platform| async move {
        for (damage, place) in DAMAGES.into_iter().zip([0, 1, 2].into_iter().cycle()) {
            with_a_bad_item(platform, damage, place).await;
        }
    });
    futures::future::join_all(each).await;
}

async fn with_a_bad_item(platform: &Platform, damage: Damage, place: usize) {
    let items: Vec<Value> = (1..=3).map(platform.item).collect();
    let mut list: Vec<Vec<u8>> = items.iter().map(|item| item.to_string().into_bytes()).collect();
    list[place] = damage.done_to(&items[place]);
    let bad = list[place].clone();
    let (items, moved, connector) = polled(platform, list.join(&b','), "").await;
    let name = format!("{} {}, {damage:?} at {place}", platform.name, platform.stream);
    assert_eq!(items.len(), 3, "{name}");
    assert!(moved, "{name}: the cursor stays");
    let whole = items.iter().filter(|item| is_whole(connector.as_ref(), item)).count();
    match damage {
        Damage::HalfOfAnEmoji => assert_eq!(whole, 3, "{name}"),
        // Words that are null are no words: what that means is the platform's.
        Damage::Null => assert!(whole >= 2, "{name}"),
        _ => assert_eq!(whole, 2, "{name}"),
    }
    if damage != Damage::HalfOfAnEmoji {
        // What has no envelope of its own gets one, and its ids at the end.
        let bad = bad.strip_suffix(b"}").unwrap_or(&bad);
        let holds = |item: &&Item| item.body.windows(bad.len()).any(|window| window == bad);
        let kept = items.iter().filter(holds).count();
        assert_eq!(kept, 1, "{name}: the bad item is kept as it came");
    }
}

#[tokio::test]
async fn a_mark_before_an_answer_costs_nothing() {
    for platform in platforms() {
        let list = (platform.item)(1).to_string().into_bytes();
        let (items, _, connector) = polled(&platform, list, "\u{feff}").await;
        let name = format!("{} {}", platform.name, platform.stream);
        assert!(is_whole(connector.as_ref(), &items[0]), "{name}");
    }
}

/// Puts other words into a delivery.
fn reword(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter_mut().any(|(key, value)| match value {
            Value::String(words) if key == "text" => {
                TEXT.clone_into(words);
                true
            }
            value => reword(value),
        }),
        Value::Array(values) => values.iter_mut().any(reword),
        _ => false,
    }
}

#[tokio::test]
async fn a_damaged_delivery_is_taken_and_kept() {
    for name in ["telegram", "vk", "ok", "max"] {
        let kind = CONNECTORS.iter().find(|kind| kind.name == name);
        let subject = (kind.expect("a platform").conformance)();
        let connector = subject.connector.as_ref();
        let sound = |hook: &&HookSample| {
            let mut delivery: Value = serde_json::from_slice(&hook.body).ok()?;
            let has_words = hook.items == 1 && reword(&mut delivery);
            let receipt = connector.receive(&(hook.prove)(delivery.to_string().into())).ok()?;
            (has_words && is_whole(connector, receipt.items.first()?)).then_some(delivery)
        };
        let (hook, delivery) = subject
            .hooks
            .iter()
            .find_map(|hook| Some((hook, sound(&hook)?)))
            .expect("a delivery with words");
        let take = |body: Vec<u8>| {
            let receipt = connector.receive(&(hook.prove)(body.into())).expect("proven");
            assert_eq!(receipt.items.len(), 1, "{name}");
            receipt.items.into_iter().next().expect("one")
        };
        for damage in DAMAGES {
            // Without its fields a delivery that is proven by one of them is a stranger's.
            if hook.proof_in_body && damage == Damage::NoObject {
                continue;
            }
            let bad = Bytes::from(damage.done_to(&delivery));
            let item = take(bad.to_vec());
            // A secret in a body is not kept with it.
            let kept = match Members::of(&bad) {
                Some(members) if hook.proof_in_body => members.without("secret"),
                _ => bad,
            };
            match damage {
                Damage::HalfOfAnEmoji => assert!(is_whole(connector, &item), "{name}, {damage:?}"),
                Damage::Null => {}
                _ => assert!(!is_whole(connector, &item) && item.body == kept, "{name}, {damage:?}"),
            }
        }
        let marked = take([b"\xEF\xBB\xBF", delivery.to_string().as_bytes()].concat());
        assert!(is_whole(connector, &marked), "{name}: a mark");
    }
}
