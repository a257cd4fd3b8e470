//! One bad item never holds the others: a batch with a damaged item of any kind gives all the others as they came, the
//! damaged one is kept or mended, and the cursor moves on; by poll and by webhook, on every platform.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use priem_connectors::CONNECTORS;
use priem_sdk::{
    BuildContext, Connector, Cursor, Cx, Item, RawItem,
    conformance::{ScriptedAnswer, ScriptedRequest, ScriptedServer},
    contract::ConnectorId,
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
            Self::NoObject => b"7".to_vec(),
            Self::WrongEscape => with("\"Яма\\u12\"".as_bytes()),
        }
    }
}

/// A platform that is polled.
struct Platform {
    name: &'static str,
    stream: String,
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

fn platforms() -> [Platform; 4] {
    [
        Platform {
            name: "telegram",
            stream: "updates".into(),
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
            name: "vk",
            stream: format!("longpoll/{GROUP}"),
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
        Platform {
            name: "ok",
            stream: format!("history/{GROUP}"),
            settings: |url| json!({"mode": "poll", "api_url": url, "groups": [{"id": GROUP.to_string(), "token": secret()}]}),
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
    ]
}

/// Polls until there are items, at most a few times.
async fn polled(platform: &Platform, list: Vec<u8>) -> (Vec<Item>, bool, Arc<dyn Connector>) {
    let address = Arc::new(OnceLock::<String>::new());
    let (own, answer) = (Arc::clone(&address), platform.answer);
    let server = ScriptedServer::start(move |request| ScriptedAnswer {
        status: 200,
        headers: Vec::new(),
        body: answer(request, own.get().map_or("", String::as_str), &list).into(),
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
    let mut cursor = Cursor(if platform.name == "ok" { "" } else { "1" }.into());
    for _ in 0..5 {
        let page = connector.poll(&cx, &platform.stream, &cursor).await.expect("a page");
        let moved = page.next != cursor;
        if !page.items.is_empty() {
            return (page.items, moved, connector);
        }
        cursor = page.next;
    }
    panic!("{}: nothing came", platform.name);
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
    let (items, moved, connector) = polled(platform, list.join(&b',')).await;
    let name = format!("{}, {damage:?} at {place}", platform.name);
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
        let kept = items.iter().filter(|item| item.body == bad).count();
        assert_eq!(kept, 1, "{name}: the bad item is kept as it came");
    }
}

#[tokio::test]
async fn a_mark_before_an_answer_costs_nothing() {
    for platform in platforms() {
        let list = (platform.item)(1).to_string().into_bytes();
        let answer = platform.answer;
        let marked = Platform {
            answer: match platform.name {
                "telegram" => |_, _, list| around("\u{feff}{\"ok\":true,\"result\":", list, "}"),
                "max" => |_, _, list| around("\u{feff}{\"updates\":", list, ",\"marker\":1}"),
                _ => answer,
            },
            ..platform
        };
        let (items, _, connector) = polled(&marked, list).await;
        assert!(is_whole(connector.as_ref(), &items[0]), "{}", marked.name);
    }
}

#[tokio::test]
async fn a_damaged_delivery_is_taken_and_kept() {
    for platform in platforms() {
        let kind = CONNECTORS
            .iter()
            .find(|kind| kind.name == platform.name)
            .expect("a platform");
        let subject = (kind.conformance)();
        let sample = subject
            .hooks
            .iter()
            .find(|sample| sample.items == 1)
            .expect("a delivery");
        let body = std::str::from_utf8(&sample.body).expect("UTF-8");
        let open = body.find('{').expect("an object") + 1;
        for (name, damage, is_mended) in [
            ("not UTF-8", &b"\"x\":\"\xFF\","[..], false),
            ("half of an emoji", b"\"x\":\"\\ud83d\",", true),
            ("a null", b"\"x\":null,", true),
        ] {
            let damaged = [&body.as_bytes()[..open], damage, &body.as_bytes()[open..]].concat();
            let request = (sample.prove)(Bytes::from(damaged));
            let receipt = subject.connector.receive(&request).expect("proven");
            assert_eq!(receipt.items.len(), 1, "{}: {name}", platform.name);
            let has_problem = receipt.items[0].problem.is_some();
            assert_eq!(has_problem, !is_mended, "{}: {name}", platform.name);
        }
        let marked = [b"\xEF\xBB\xBF", body.as_bytes()].concat();
        let receipt = subject
            .connector
            .receive(&(sample.prove)(Bytes::from(marked)))
            .expect("proven");
        assert_eq!(receipt.items[0].problem, None, "{}: a mark", platform.name);
    }
}
