//! The Telegram simulator against the machine-readable Bot API.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use priem_city::telegram::{Options, Person, TelegramCity};
use serde_json::{Value, json};

use crate::{
    folder, read_json, settle,
    shape::{Book, Field, Shape},
};

const TOKEN: &str = "42:secret";

/// Where the service differs from its schema, and why that is right.
const KNOWN: &[(&str, &str)] = &[];

/// Types of the document as shapes.
fn read(document: &Value) -> Book {
    let mut book = Book::default();
    for (name, described) in document["types"].as_object().into_iter().flatten() {
        let shape = match described["subtypes"].as_array() {
            Some(names) => Shape::Either(names.iter().filter_map(Value::as_str).map(shape).collect()),
            None => object(described),
        };
        book.add(name, shape);
    }
    book
}

fn object(described: &Value) -> Shape {
    let fields: BTreeMap<String, Field> = described["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|field| {
            let names = field["types"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let shapes: Vec<Shape> = names.map(shape).collect();
            let name = field["name"].as_str().unwrap_or_default().to_owned();
            let field = Field {
                shape: Shape::Either(shapes),
                required: field["required"] == true,
            };
            (name, field)
        })
        .collect();
    Shape::Object(fields)
}

fn shape(name: &str) -> Shape {
    let scalar = |name: &str| Shape::Scalar(vec![name.to_owned()]);
    match name {
        "Integer" => scalar("integer"),
        "String" => scalar("string"),
        "Float" => scalar("number"),
        "Boolean" => scalar("boolean"),
        "True" => Shape::OneOfValues(vec![true.into()]),
        _ => match name.strip_prefix("Array of ") {
            Some(inner) => Shape::List(Box::new(shape(inner))),
            None => Shape::Named(name.to_owned()),
        },
    }
}

#[test]
fn the_dialect_is_understood() {
    let document = json!({"types": {
        "Update": {"fields": [
            {"name": "id", "types": ["Integer"], "required": true},
            {"name": "chat", "types": ["Chat"], "required": false},
            {"name": "photo", "types": ["Array of Array of String"], "required": false},
        ]},
        "Chat": {"subtypes": ["ChatOwner"]},
        "ChatOwner": {"fields": [{"name": "ok", "types": ["True"], "required": true}]},
    }});
    let book = read(&document);
    let good = json!({"id": 1, "chat": {"ok": true}, "photo": [["a"]]});
    assert!(book.differences("Update", &good).is_empty());
    let bad = json!({"id": 1, "chat": {"ok": false}, "photo": ["a"]});
    assert_eq!(book.differences("Update", &bad).len(), 2);
}

#[tokio::test]
async fn updates_and_answers_fit_the_bot_api() {
    let Some(folder) = folder("telegram") else { return };
    let book = read(&read_json(&folder.join("bot-api-10.1.trimmed.json")));
    let city = TelegramCity::start(Options {
        second: Duration::from_millis(5),
        ..Options::default()
    })
    .await
    .expect("a free port");
    let bot = city.bot(TOKEN);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let call = async |method: &str, arguments: Value| -> Value {
        let url = format!("{}/bot{TOKEN}/{method}", city.api_url());
        let request = http.post(url).header("content-type", "application/json");
        let answer = request.body(arguments.to_string()).send().await.expect("an answer");
        let mut answer: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["result"].take()
    };
    let mut person = Person::new(7, "Зоя");
    person.last_name = Some("Мороз".into());
    person.username = Some("zoya".into());
    let kinds = [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
    ];
    call("getUpdates", json!({"allowed_updates": kinds})).await;
    let words = bot.send_private(&person, "Яма");
    bot.edit(&words, "Ямы");
    bot.send_group(-1001, "Жители", &person, "Снег");
    bot.edit(&bot.send_channel_post(-1002, "Город", "Новость"), "Новости");
    let business = bot.send_business("b1", &person, "Приём");
    bot.edit(&business, "Приём!");
    bot.delete_business(&[&business]);
    bot.edit(&bot.send_photo(&person, "Вот"), "Вот так");
    bot.send_album(&person, "Альбом", 3);
    bot.add_chat(json!({"id": -1001, "type": "supergroup", "title": "Жители"}), "member");
    let updates = call("getUpdates", json!({"allowed_updates": kinds})).await;
    let updates = updates.as_array().expect("a list");
    assert_eq!(updates.len(), 13);
    let mut found: BTreeSet<String> = BTreeSet::new();
    for update in updates {
        found.extend(book.differences("Update", update));
    }
    found.extend(book.differences("User", &call("getMe", json!({})).await));
    found.extend(book.differences("WebhookInfo", &call("getWebhookInfo", json!({})).await));
    let chat = json!({"chat_id": -1001});
    found.extend(book.differences("ChatFullInfo", &call("getChat", chat).await));
    let member = json!({"chat_id": -1001, "user_id": 42});
    found.extend(book.differences("ChatMember", &call("getChatMember", member).await));
    settle(found, KNOWN);
}
