//! The server answers as the reference says, seen through a plain HTTP client.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "42:secret";

struct Caller {
    city: TelegramCity,
    bot: Bot,
    http: reqwest::Client,
}

async fn caller(options: Options) -> Caller {
    let city = TelegramCity::start(options).await.expect("a free port");
    let bot = city.bot(TOKEN);
    Caller {
        bot,
        http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        city,
    }
}

fn fast() -> Options {
    Options {
        second: Duration::from_millis(5),
        ..Options::default()
    }
}

impl Caller {
    async fn call(&self, method: &str, arguments: Value) -> (u16, Value) {
        let url = format!("{}/bot{TOKEN}/{method}", self.city.api_url());
        let request = self.http.post(url).header("content-type", "application/json");
        let answer = request.body(arguments.to_string()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// getUpdates as a careful client makes it; the texts that came.
    async fn texts(&self, arguments: Value) -> Vec<String> {
        let mut all = json!({"allowed_updates": ["message", "edited_message"]});
        let fields = arguments.as_object().expect("an object").clone();
        all.as_object_mut().expect("an object").extend(fields);
        let (status, answer) = self.call("getUpdates", all).await;
        assert_eq!(status, 200, "{answer}");
        let updates = answer["result"].as_array().expect("a list").clone();
        let text = |update: &Value| update["message"]["text"].as_str().unwrap_or("?").to_owned();
        updates.iter().map(text).collect()
    }

    fn say(&self, texts: &[&str]) -> i64 {
        let person = Person::new(7, "Житель");
        let sent: Vec<Sent> = texts.iter().map(|text| self.bot.send_private(&person, text)).collect();
        sent[0].update_id.expect("asked for")
    }
}

#[tokio::test]
async fn an_offset_confirms_and_nothing_else_does() {
    let caller = caller(fast()).await;
    let first = caller.say(&["а", "б", "в"]);
    assert_eq!(caller.texts(json!({})).await, ["а", "б", "в"]);
    assert_eq!(caller.texts(json!({"limit": 2})).await, ["а", "б"]);
    assert_eq!(caller.texts(json!({"offset": first + 1})).await, ["б", "в"]);
    assert_eq!(caller.bot.delivered(), 1);
    // Unknown offsets, too old and too new, mean the head of the queue.
    assert_eq!(caller.texts(json!({"offset": 5})).await, ["б", "в"]);
    assert_eq!(caller.texts(json!({"offset": first + 1000})).await, ["б", "в"]);
    assert_eq!(caller.texts(json!({"offset": first + 3})).await, Vec::<String>::new());
    assert_eq!(caller.bot.delivered(), 3);
    assert!(caller.city.violations().is_empty());
}

#[tokio::test]
async fn arguments_come_as_query_form_or_json() {
    let caller = caller(fast()).await;
    caller.say(&["а", "б"]);
    let base = format!("{}/bot{TOKEN}/GETUPDATES", caller.city.api_url());
    let query = format!("{base}?limit=1&allowed_updates=%5B%22message%22%5D");
    let answer = caller
        .http
        .get(query)
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["result"].as_array().map(Vec::len), Some(1));
    let form = caller
        .http
        .post(base)
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = form.body("limit=1&allowed_updates=[]").send().await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(answer["result"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_batch_is_limited_by_size() {
    let caller = caller(fast()).await;
    let long = "я".repeat(1_000_000);
    caller.say(&[&long, &long, &long]);
    assert_eq!(caller.texts(json!({})).await.len(), 2, "three would pass 4 MB");
}

#[tokio::test]
async fn kinds_not_asked_for_are_never_queued_and_the_wish_sticks() {
    let caller = caller(fast()).await;
    caller
        .call("getUpdates", json!({"allowed_updates": ["channel_post"]}))
        .await;
    assert_eq!(
        caller.bot.send_private(&Person::new(7, "Житель"), "мимо").update_id,
        None
    );
    caller.call("getUpdates", json!({})).await;
    assert_eq!(caller.bot.allowed_updates(), Some(vec!["channel_post".to_owned()]));
    assert_eq!(caller.city.violations(), ["getUpdates without allowed_updates"]);
}

#[tokio::test]
async fn updates_die_after_a_day() {
    let caller = caller(fast()).await;
    caller.say(&["старое"]);
    caller.city.advance(Duration::from_secs(23 * 3600));
    caller.say(&["новое"]);
    caller.city.advance(Duration::from_secs(2 * 3600));
    assert_eq!(caller.texts(json!({})).await, ["новое"]);
    assert_eq!(caller.bot.expired(), 1);
}

#[tokio::test]
async fn a_client_that_loops_is_slowed_down() {
    let caller = caller(Options {
        second: Duration::from_secs(10),
        ..Options::default()
    })
    .await;
    let first = caller.say(&["а", "б"]);
    assert_eq!(caller.texts(json!({"offset": first})).await.len(), 2);
    assert_eq!(
        caller.texts(json!({"offset": first})).await.len(),
        1,
        "asked again at once"
    );
}

#[tokio::test]
async fn wrong_calls_are_refused_and_written_down() {
    let caller = caller(fast()).await;
    caller.say(&["а", "б", "в"]);
    assert_eq!(
        caller
            .call("getUpdates", json!({"offset": -1, "allowed_updates": []}))
            .await
            .0,
        200
    );
    assert_eq!(caller.bot.pending(), 1, "a negative offset forgets");
    assert_eq!(caller.call("logOut", json!({})).await.0, 200);
    assert_eq!(caller.call("getNothing", json!({})).await.0, 404);
    assert_eq!(
        caller.city.violations(),
        ["getUpdates with a negative offset", "logout was called"]
    );
    caller.bot.revoke(true);
    assert_eq!(caller.call("getMe", json!({})).await.0, 401);
    for number in 0..21 {
        let url = format!("{}/bot{number}:nobody/getMe", caller.city.api_url());
        let status = caller.http.get(url).send().await.expect("an answer").status().as_u16();
        assert_eq!(status, if number < 20 { 401 } else { 429 });
    }
    let url = format!("{}/botnonsense/getMe", caller.city.api_url());
    caller.city.advance(Duration::from_secs(120));
    assert_eq!(
        caller.http.get(url).send().await.expect("an answer").status().as_u16(),
        404
    );
}

#[tokio::test]
async fn webhooks_are_validated_and_exclude_polling() {
    let caller = caller(Options {
        allow_http_webhooks: false,
        ..fast()
    })
    .await;
    let refused = async |arguments: Value| {
        let (status, answer) = caller.call("setWebhook", arguments).await;
        (status, answer["description"].as_str().unwrap_or_default().to_owned())
    };
    assert!(refused(json!({"url": "http://a.example.ru"})).await.1.contains("HTTPS"));
    assert!(
        refused(json!({"url": "https://a.example.ru:9000"}))
            .await
            .1
            .contains("ports")
    );
    let long = "a".repeat(257);
    assert!(
        refused(json!({"url": "https://a.example.ru", "secret_token": long}))
            .await
            .1
            .contains("too long")
    );
    assert!(
        refused(json!({"url": "https://a.example.ru", "secret_token": "а"}))
            .await
            .1
            .contains("unallowed")
    );
    assert_eq!(
        refused(json!({"url": "https://a.example.ru:8443", "secret_token": "a_b-1"}))
            .await
            .0,
        200
    );
    let (status, answer) = caller.call("getUpdates", json!({"allowed_updates": []})).await;
    assert_eq!(status, 409);
    assert!(
        answer["description"]
            .as_str()
            .is_some_and(|text| text.contains("webhook is active")),
        "{answer}"
    );
    let (_, info) = caller.call("getWebhookInfo", json!({})).await;
    assert_eq!(info["result"]["url"], "https://a.example.ru:8443");
    assert_eq!(caller.call("deleteWebhook", json!({})).await.0, 200);
    assert_eq!(caller.call("getUpdates", json!({"allowed_updates": []})).await.0, 200);
}

#[tokio::test]
async fn a_webhook_ends_a_waiting_poll() {
    let caller = caller(fast()).await;
    let url = format!(
        "{}/bot{TOKEN}/getUpdates?timeout=50&allowed_updates=[]",
        caller.city.api_url()
    );
    let poll = tokio::spawn(caller.http.get(url).send());
    caller.bot.wait_until(Bot::is_polled).await;
    caller.call("setWebhook", json!({"url": "http://127.0.0.1:1/"})).await;
    let answer = poll.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status().as_u16(), 409);
    let text = String::from_utf8(answer.bytes().await.expect("a body").to_vec()).expect("text");
    assert!(text.contains("terminated by setWebhook"), "{text}");
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_poll() {
    let caller = caller(fast()).await;
    let url = format!(
        "{}/bot{TOKEN}/getUpdates?timeout=50&allowed_updates=[]",
        caller.city.api_url()
    );
    let poll = tokio::spawn(caller.http.get(url).send());
    caller.bot.wait_until(Bot::is_polled).await;
    poll.abort();
    caller.bot.wait_until(|bot| !bot.is_polled()).await;
    assert!(caller.city.violations().is_empty());
}
