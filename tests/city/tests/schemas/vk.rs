//! The VK simulator against VK's own schema of version 5.199: who may call which method with what, the answers, and
//! the objects of events.

use std::{collections::BTreeSet, path::Path, time::Duration};

use priem_city::vk::{Citizen, Community, Fault, KINDS, Options, TokenKind, VERSION, VkCity, Words, methods};
use serde_json::{Value, json};

use crate::{
    folder, read_json, settle,
    shape::Book,
    vk_dialect::{name_of, read},
};

const GROUP: i64 = 77;

/// What the schema says of a method.
fn described(folder: &Path, method: &str) -> Value {
    let section = method.split('.').next().expect("a section");
    let document = read_json(&folder.join(section).join("methods.json"));
    let all = document["methods"].as_array().expect("a list").clone();
    let found = all.into_iter().find(|one| one["name"] == method);
    found.unwrap_or_else(|| panic!("{method} is not in the schema"))
}

#[test]
fn methods_take_what_the_schema_says_from_whom_it_says() {
    let Some(folder) = folder("vk") else { return };
    let mut found = BTreeSet::new();
    for method in methods() {
        let described = described(&folder, method.name);
        let texts = |value: &Value| -> BTreeSet<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let owned = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        if texts(&described["access_token_type"]) != owned(method.token_kinds) {
            found.insert(format!("{}: other kinds of tokens", method.name));
        }
        let parameters = described["parameters"].as_array().cloned().unwrap_or_default();
        let named = |required: bool| -> BTreeSet<String> {
            let wanted = parameters.iter().filter(|one| !required || one["required"] == true);
            wanted
                .filter_map(|one| one["name"].as_str())
                .map(str::to_owned)
                .collect()
        };
        if named(true) != owned(method.required) {
            found.insert(format!("{}: other required parameters", method.name));
        }
        for invented in owned(&method.parameters).difference(&named(false)) {
            found.insert(format!("{}: parameter {invented} is not in the schema", method.name));
        }
    }
    settle(
        found,
        &[
            (
                "wall.get: parameter owner_id is not in the schema",
                "the service takes it, and everybody uses it",
            ),
            (
                "groups.setLongPollSettings: parameter wall_schedule_post_delete is not in the schema",
                "one list serves both settings",
            ),
            (
                "groups.setLongPollSettings: parameter wall_schedule_post_new is not in the schema",
                "one list serves both settings",
            ),
            (
                "groups.setLongPollSettings: parameter market_order_edit is not in the schema",
                "one list serves both settings",
            ),
            (
                "groups.setLongPollSettings: parameter market_order_new is not in the schema",
                "one list serves both settings",
            ),
            (
                "groups.setLongPollSettings: parameter lead_forms_new is not in the schema",
                "one list serves both settings",
            ),
        ],
    );
}

/// A network in which everything has happened, and a client.
struct Visit {
    city: VkCity,
    community: Community,
    http: reqwest::Client,
    session: Value,
    keys: std::cell::Cell<usize>,
}

impl Visit {
    async fn start(as_in_schema: bool) -> Self {
        let city = VkCity::start(Options {
            second: Duration::from_millis(5),
            as_in_schema,
            ..Options::default()
        })
        .await
        .expect("a free port");
        let community = city.community(GROUP);
        let mut visit = Self {
            community,
            city,
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            session: Value::Null,
            keys: std::cell::Cell::new(0),
        };
        visit.city.know(&Citizen::new(900, "Ольга", "Дежурная"));
        visit.session = visit
            .call("group", "groups.getLongPollServer", json!({"group_id": GROUP}))
            .await;
        visit
    }

    /// Calls with a fresh token of a kind: limits of calls are not what is looked at here.
    async fn envelope(&self, kind: &str, method: &str, arguments: Value) -> Value {
        let token = format!("{kind}-{}", self.keys.replace(self.keys.get() + 1));
        self.city.add_token(
            &token,
            match kind {
                "group" => TokenKind::Community(GROUP),
                "user" => TokenKind::User(900),
                _ => TokenKind::Service,
            },
        );
        let url = format!("{}/method/{method}", self.city.api_url());
        let mut query = vec![("v".to_owned(), VERSION.to_owned())];
        for (name, value) in arguments.as_object().expect("an object") {
            query.push((
                name.clone(),
                value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            ));
        }
        let request = self
            .http
            .get(url)
            .query(&query)
            .header("authorization", format!("Bearer {token}"));
        let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
        serde_json::from_slice(&answer).expect("JSON")
    }

    async fn call(&self, kind: &str, method: &str, arguments: Value) -> Value {
        let mut envelope = self.envelope(kind, method, arguments).await;
        assert_eq!(envelope["error"], Value::Null, "{method}");
        envelope["response"].take()
    }

    async fn events(&self) -> Vec<Value> {
        let text = |name: &str| self.session[name].as_str().expect("text");
        let query = [
            ("act", "a_check"),
            ("key", text("key")),
            ("ts", text("ts")),
            ("wait", "1"),
        ];
        let request = self.http.get(text("server")).query(&query);
        let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answer["updates"].as_array().expect("a list").clone()
    }

    /// Everything a community can see.
    fn live(&self) {
        let (here, by) = (&self.community, Citizen::new(7, "Пётр", "Житель"));
        let place = json!({"type": "point", "coordinates": {"latitude": 55.75, "longitude": 37.61}});
        here.write(&by, Words::new("Яма").with("geo", place));
        here.write_in_chat(3, &by, "В беседе");
        let answer = here.answer(7, "Приняли");
        here.edit(&answer, "Передали");
        let post = here.post("Пост");
        let proposed = here.suggest(&by, "Предлагаю");
        here.accept(&proposed);
        here.post_of(&by, "На стене");
        let topic = here.open_topic(&by, "Тема", "Вопрос");
        for on in [
            post,
            topic,
            here.show_photo("Фото"),
            here.show_video("Видео"),
            here.offer("Дрова"),
        ] {
            let comment = here.comment(&on, &by, "Было");
            here.edit(&comment, "Стало");
            here.delete(&comment, &by);
            here.restore(&comment);
        }
        let comment = here.comment(&post, &by, "Почему?");
        here.comment(&comment, &here.itself(), "Потому");
    }
}

/// The definition an object of an event has to fit.
fn definition(kind: &str) -> String {
    let section = kind.rsplit_once('_').map_or(kind, |(section, _)| section);
    match (section, kind) {
        (_, "message_reply" | "message_edit") => "callback_message".into(),
        (_, "wall_reply_delete") => "callback_wall_comment_delete".into(),
        ("photo_comment" | "video_comment" | "market_comment", kind) if !kind.ends_with("_delete") => {
            format!("callback_{section}")
        }
        _ => format!("callback_{kind}"),
    }
}

/// Where events differ from the schema however they are written.
const ALWAYS: &[(&str, &str)] = &[
    (
        "board_topic_comment/topic_id: is not in the schema",
        "an event must say which discussion",
    ),
    (
        "board_topic_comment/topic_owner_id: is not in the schema",
        "seen in captures",
    ),
    (
        "callback_board_post_delete/topic_owner_id: is out of limits",
        "communities are negative",
    ),
    (
        "callback_photo_comment/photo_owner_id: is out of limits",
        "communities are negative",
    ),
    (
        "callback_photo_comment_delete/owner_id: is out of limits",
        "communities are negative",
    ),
    (
        "callback_market_comment/item_id: is not in the schema",
        "an event must say which product",
    ),
];

/// Where the service is known to send something else than its schema says.
const AS_SENT: &[(&str, &str)] = &[
    (
        "callback_wall_comment_delete/deleter_id: is not in the schema",
        "sent instead of user_id",
    ),
    ("callback_wall_comment_delete/user_id: is missing", "deleter_id is sent"),
    (
        "wall_wall_comment/post_owner_id: is not in the schema",
        "sent instead of owner_id",
    ),
];

async fn differences_of_events(book: &Book, as_in_schema: bool) -> BTreeSet<String> {
    let visit = Visit::start(as_in_schema).await;
    visit.live();
    let mut found = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for mut event in visit.events().await {
        let kind = event["type"].as_str().expect("a kind").to_owned();
        assert!(KINDS.contains(&kind.as_str()), "{kind}");
        let object = event
            .as_object_mut()
            .expect("an object")
            .remove("object")
            .expect("an object");
        found.extend(book.differences("callback_base", &event));
        found.extend(book.differences(&definition(&kind), &object));
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 20, "{kinds:?}");
    found
}

#[tokio::test]
async fn events_fit_the_schema() {
    let Some(folder) = folder("vk") else { return };
    let book = read(&folder);
    settle(differences_of_events(&book, true).await, ALWAYS);
    settle(differences_of_events(&book, false).await, &[ALWAYS, AS_SENT].concat());
}

#[tokio::test]
async fn answers_fit_the_schema() {
    let Some(folder) = folder("vk") else { return };
    let book = read(&folder);
    let visit = Visit::start(false).await;
    visit.live();
    visit
        .community
        .add_callback_server("http://127.0.0.1:1/x", "priem", "s");
    let ledger = visit.city.ledger();
    let id_of = |name: &str| {
        ledger
            .iter()
            .find(|entry| entry.written.place.name() == name)
            .expect("is there")
            .written
    };
    let (post, topic, comment) = (id_of("wall").id, id_of("topic").id, id_of("wall_comment").id);
    let photo = visit.call("user", "photos.get", json!({"owner_id": -GROUP})).await["items"][0]["id"].clone();
    let video = visit.call("user", "video.get", json!({"owner_id": -GROUP})).await["items"][0]["id"].clone();
    let item = visit.call("user", "market.get", json!({"owner_id": -GROUP})).await["items"][0]["id"].clone();
    let group = json!({"group_id": GROUP});
    let owner = json!({"owner_id": -GROUP});
    let calls = [
        ("user", "users.get", json!({"user_ids": "7,900,5"})),
        ("group", "groups.getById", json!({})),
        ("group", "groups.getTokenPermissions", json!({})),
        ("group", "groups.getLongPollServer", group.clone()),
        ("group", "groups.getLongPollSettings", group.clone()),
        ("group", "groups.getCallbackConfirmationCode", group.clone()),
        ("group", "groups.getCallbackServers", group.clone()),
        (
            "group",
            "groups.getCallbackSettings",
            json!({"group_id": GROUP, "server_id": 1}),
        ),
        ("service", "utils.resolveScreenName", json!({"screen_name": "club77"})),
        ("service", "wall.get", owner.clone()),
        ("user", "wall.get", json!({"owner_id": -GROUP, "filter": "suggests"})),
        ("service", "wall.get", json!({"owner_id": -GROUP, "extended": 1})),
        ("service", "wall.getById", json!({"posts": format!("-{GROUP}_{post}")})),
        (
            "user",
            "wall.getComment",
            json!({"owner_id": -GROUP, "comment_id": comment}),
        ),
        (
            "service",
            "wall.getComments",
            json!({"owner_id": -GROUP, "post_id": post, "thread_items_count": 10}),
        ),
        (
            "service",
            "wall.getComments",
            json!({"owner_id": -GROUP, "post_id": post, "extended": 1}),
        ),
        ("service", "board.getTopics", json!({"group_id": GROUP, "preview": 3})),
        ("service", "board.getTopics", json!({"group_id": GROUP, "extended": 1})),
        (
            "service",
            "board.getComments",
            json!({"group_id": GROUP, "topic_id": topic}),
        ),
        (
            "service",
            "board.getComments",
            json!({"group_id": GROUP, "topic_id": topic, "start_comment_id": 1, "extended": 1}),
        ),
        ("service", "photos.get", owner.clone()),
        (
            "user",
            "photos.getComments",
            json!({"owner_id": -GROUP, "photo_id": photo}),
        ),
        ("user", "photos.getAllComments", owner.clone()),
        ("user", "video.get", owner.clone()),
        (
            "user",
            "video.getComments",
            json!({"owner_id": -GROUP, "video_id": video}),
        ),
        ("user", "market.get", owner.clone()),
        (
            "user",
            "market.getComments",
            json!({"owner_id": -GROUP, "item_id": item, "extended": 1}),
        ),
        ("group", "messages.getConversations", json!({"extended": 1})),
        ("group", "messages.getHistory", json!({"peer_id": 7, "extended": 1})),
        ("group", "messages.getById", json!({"peer_id": 7, "cmids": 1})),
        (
            "group",
            "messages.getByConversationMessageId",
            json!({"peer_id": 7, "conversation_message_ids": 1}),
        ),
    ];
    let mut found = BTreeSet::new();
    for (kind, method, arguments) in calls {
        let responses = &described(&folder, method)["responses"];
        let extended =
            Some(&responses["extendedResponse"]).filter(|form| arguments["extended"] == 1 && form.is_object());
        let form = extended.unwrap_or(&responses["response"]);
        let reference = form["$ref"]
            .as_str()
            .unwrap_or_else(|| panic!("{method} has no answer"));
        let envelope = visit.envelope(kind, method, arguments).await;
        found.extend(book.differences(name_of(reference), &envelope));
    }
    let switches = "the settings have this switch: it is a parameter of the methods that set them";
    settle(
        found,
        &[
            ("groups_long_poll_events/like_add: is not in the schema", switches),
            ("groups_long_poll_events/like_remove: is not in the schema", switches),
            ("groups_long_poll_events/message_event: is not in the schema", switches),
        ],
    );
}

#[tokio::test]
async fn errors_are_those_of_the_schema() {
    let Some(folder) = folder("vk") else { return };
    let listed = read_json(&folder.join("errors.json"));
    let codes: BTreeSet<i64> = listed["errors"]
        .as_object()
        .expect("a list")
        .values()
        .filter_map(|one| one["code"].as_i64())
        .collect();
    let visit = Visit::start(false).await;
    for code in [1, 5, 6, 9, 10, 14, 15, 17, 27, 28, 29] {
        visit.city.fault(Fault::api_error(code));
        let error = &visit.envelope("group", "users.get", json!({})).await["error"];
        assert_eq!(error["error_code"], code);
        assert!(codes.contains(&code), "{code}");
        for field in ["error_msg", "request_params"] {
            assert!(!error[field].is_null(), "{field} of {code}");
        }
    }
}
