//! Telegram updates as citizens cause them: private messages, some from a group, some photos with a caption. Every
//! number gives another message, so that nothing is a duplicate; texts and people are those of the city.

use std::{fmt::Write as _, sync::LazyLock};

use priem_city::voices;
use priem_sdk::{Connector, HookRequest, Item};
use serde_json::json;

/// People who write.
const PEOPLE: u64 = 1000;
const GROUP: &str = r#"{"id":-1001000000001,"type":"supergroup","title":"Двор на Берёзовой"}"#;

/// JSON of everything that repeats.
struct Pieces {
    /// Sender and private chat of each person.
    people: Vec<(String, String)>,
    texts: Vec<String>,
}

static PIECES: LazyLock<Pieces> = LazyLock::new(|| {
    let people = (0..PEOPLE).map(|number| {
        let person = voices::person(number);
        let mut chat = json!({"id": person.id, "type": "private", "first_name": person.first_name});
        let mut user =
            json!({"id": person.id, "is_bot": false, "first_name": person.first_name, "language_code": "ru"});
        for (key, value) in [("last_name", &person.last_name), ("username", &person.username)] {
            if let Some(value) = value {
                chat[key] = value.as_str().into();
                user[key] = value.as_str().into();
            }
        }
        (user.to_string(), chat.to_string())
    });
    let texts = voices::all().iter().map(|voice| json!(voice.text).to_string());
    Pieces {
        people: people.collect(),
        texts: texts.collect(),
    }
});

/// Update number `number`, as JSON.
pub fn update(number: u64) -> String {
    let (user, private) = &PIECES.people[(number % PEOPLE) as usize];
    let text = &PIECES.texts[(number.wrapping_mul(2_654_435_761) >> 7) as usize % PIECES.texts.len()];
    let chat = if number % 8 == 5 { GROUP } else { private };
    let mut update = String::with_capacity(1024);
    let (update_id, message_id, date) = (700_000_000 + number, 1 + number, 1_760_000_000 + number / 50);
    let _ = write!(
        update,
        r#"{{"update_id":{update_id},"message":{{"message_id":{message_id},"from":{user},"chat":{chat},"date":{date},"#
    );
    if number % 16 == 7 {
        let _ = write!(
            update,
            r#""photo":[{{"file_id":"AgAD{number}s","file_unique_id":"u{number}s","width":90,"height":67,"file_size":1400}},{{"file_id":"AgAD{number}x","file_unique_id":"u{number}x","width":1280,"height":960,"file_size":163840}}],"caption":{text}}}}}"#
        );
    } else {
        let _ = write!(update, r#""text":{text}}}}}"#);
    }
    update
}

/// Headers of a webhook request that the connector of [`crate::daemon`] believes.
pub fn headers() -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    let secret = http::HeaderValue::from_static(crate::daemon::HOOK_SECRET);
    headers.insert("x-telegram-bot-api-secret-token", secret);
    headers
}

/// The items the connector makes of updates.
///
/// # Errors
/// When the connector refuses one.
pub fn items(connector: &dyn Connector, numbers: std::ops::Range<u64>) -> anyhow::Result<Vec<Item>> {
    received(connector, numbers.map(update))
}

/// The items the connector makes of updates in JSON.
///
/// # Errors
/// When the connector refuses one.
pub fn received(connector: &dyn Connector, updates: impl Iterator<Item = String>) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    for update in updates {
        let request = HookRequest {
            headers: headers(),
            ..HookRequest::post(crate::daemon::HOOK_PATH, update)
        };
        let receipt = connector
            .receive(&request)
            .map_err(|refusal| anyhow::anyhow!("the connector refused an update: {}", refusal.kind()))?;
        items.extend(receipt.items);
    }
    Ok(items)
}
