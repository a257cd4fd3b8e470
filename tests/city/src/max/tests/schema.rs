//! What the simulator sends, held against the platform's own schema, so that simulator and connector can't share an
//! error. The schema is not part of this repository: `PRIEM_CHANNEL_SCHEMAS` names the folder it was put into.

use serde_json::{Map, Value, json};

use super::*;

/// Fields the schema calls required and the real platform leaves out: see the module of the feed.
const MISSING_IN_LIFE: [&str; 7] = [
    "attachments",
    "username",
    "name",
    "link",
    "text",
    "last_activity_time",
    "body",
];

struct Schema(Value);

impl Schema {
    fn load() -> Option<Self> {
        let folder = std::env::var_os("PRIEM_CHANNEL_SCHEMAS")?;
        let path = std::path::Path::new(&folder).join("max/max-bot-api-schema_2026_07_01.json");
        let text = std::fs::read_to_string(&path).expect("the schema named by PRIEM_CHANNEL_SCHEMAS is readable");
        Some(Self(serde_json::from_str(&text).expect("the schema is JSON")))
    }

    fn named(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            Some(name) => self.named(name),
            None => schema,
        }
    }

    /// The schema a discriminator chooses for a value; its mapping holds names or objects with a reference.
    fn chosen<'a>(&'a self, schema: &'a Value, value: &Value) -> Option<&'a Value> {
        let discriminator = schema.get("discriminator")?;
        let key = value[discriminator["propertyName"].as_str()?].as_str()?;
        let target = &discriminator["mapping"][key];
        let path = target.as_str().or_else(|| target["$ref"].as_str())?;
        Some(self.named(path.rsplit('/').next()?))
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        let schema = self.resolved(schema);
        if value.is_null() {
            let nullable = schema["nullable"] == true || schema["allOf"][0]["nullable"] == true;
            if !nullable {
                problems.push(format!("{at}: null"));
            }
            return;
        }
        let right = match schema["type"].as_str() {
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => true,
        };
        if !right {
            problems.push(format!("{at}: not {}", schema["type"]));
            return;
        }
        // The list of chat types has one entry, life has three.
        let listed = schema["enum"].as_array().filter(|_| !at.ends_with("type"));
        if listed.is_some_and(|listed| !listed.contains(value)) {
            problems.push(format!("{at}: {value} is not listed"));
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            // A chosen schema names its parent, which would choose it again.
            let mut part = self.resolved(part).clone();
            if let Some(fields) = part.as_object_mut() {
                fields.remove("discriminator");
            }
            self.check(&part, value, at, problems);
        }
        for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            if let Some(field) = value.get(name) {
                self.check(property, field, &format!("{at}/{name}"), problems);
            }
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if value.get(name).is_none() && !MISSING_IN_LIFE.contains(&name) {
                problems.push(format!("{at}: {name} is missing"));
            }
        }
        for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], entry, &format!("{at}/{index}"), problems);
        }
        if let Some(chosen) = self.chosen(schema, value) {
            self.check(chosen, value, at, problems);
        }
    }
}

#[tokio::test]
async fn what_is_sent_fits_the_platforms_schema() {
    let Some(schema) = Schema::load() else {
        println!("not held against the schema: PRIEM_CHANNEL_SCHEMAS is not set");
        return;
    };
    let caller = caller(fast()).await;
    let (bot, person) = (&caller.bot, Person::new(7, "Житель"));
    bot.add_chat(-5, "chat", "Двор", &["read_all_messages"]);
    let group = Place::Group(-5);
    let first = bot.write(&person, &group, "яма");
    bot.write_photo(&person, &Place::Dialog, "вот", "https://i.oneme.ru/i?r=x");
    bot.write(&person, &Place::Channel(-6), "пост");
    bot.answer(&person, &group, &first, "и у нас");
    bot.forward(&person, &Place::Dialog, &first);
    bot.edit(&first, "ямы");
    bot.remove(&first);
    let (_, updates) = caller.get("/updates?marker=0&timeout=0").await;
    caller
        .subscribe(json!({"url": "http://127.0.0.1:9/x", "secret": "secret-1"}))
        .await;
    let answers = [
        ("UpdateList", updates),
        ("GetSubscriptionsResult", caller.get("/subscriptions").await.1),
        ("BotInfo", caller.get("/me").await.1),
        ("Chat", caller.get("/chats/-5").await.1),
        ("ChatMember", caller.get("/chats/-5/members/me").await.1),
        ("MessageList", caller.get("/messages?chat_id=-5").await.1),
        ("Error", caller.get("/chats/-99").await.1),
    ];
    let mut problems = Vec::new();
    for (name, answer) in &answers {
        schema.check(schema.named(name), answer, name, &mut problems);
    }
    assert_eq!(answers[0].1["updates"].as_array().map(Vec::len), Some(7));
    assert!(problems.is_empty(), "{problems:#?}");
    // The check itself can say no.
    let wrong = json!({"updates": [{"update_type": "message_created", "timestamp": "soon", "message": {"timestamp": 1}}], "marker": null});
    schema.check(schema.named("UpdateList"), &wrong, "wrong", &mut problems);
    assert!(problems.len() >= 2, "{problems:#?}");
}
