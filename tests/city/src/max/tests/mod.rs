//! The server answers as the reference says, seen through a plain HTTP client.

mod schema;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::telegram::Person;

const TOKEN: &str = "city-token-of-a-bot-0001";

struct Caller {
    city: MaxCity,
    bot: Bot,
    http: reqwest::Client,
}

fn fast() -> Options {
    Options {
        second: Duration::from_millis(5),
        polls_per_second: 1000,
        requests_per_second: 1000,
        ..Options::default()
    }
}

async fn caller(options: Options) -> Caller {
    let city = MaxCity::start(options).await.expect("a free port");
    let bot = city.bot(TOKEN);
    Caller {
        bot,
        http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        city,
    }
}

impl Caller {
    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.header("authorization", TOKEN).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, target: &str) -> (u16, Value) {
        self.send(self.http.get(format!("{}{target}", self.city.api_url())))
            .await
    }

    async fn subscribe(&self, body: Value) -> (u16, Value) {
        let url = format!("{}/subscriptions", self.city.api_url());
        self.send(self.http.post(url).body(body.to_string())).await
    }

    /// The texts of an answer of `GET /updates`, and its marker.
    async fn texts(&self, query: &str) -> (Vec<String>, Value) {
        let (status, answer) = self.get(&format!("/updates?timeout=0{query}")).await;
        assert_eq!(status, 200, "{answer}");
        let text = |update: &Value| update["message"]["body"]["text"].as_str().unwrap_or("?").to_owned();
        let updates = answer["updates"].as_array().expect("a list");
        (updates.iter().map(text).collect(), answer["marker"].clone())
    }

    fn say(&self, text: &str) -> Written {
        self.bot.write(&Person::new(7, "Житель"), &Place::Dialog, text)
    }
}

#[tokio::test]
async fn a_marker_acknowledges_and_the_first_is_zero() {
    let caller = caller(fast()).await;
    assert_eq!(caller.texts("").await, (vec![], json!(0)));
    for text in ["а", "б", "в"] {
        caller.say(text);
    }
    assert_eq!(
        caller.texts("").await,
        (vec!["в".into()], json!(3)),
        "the last one only"
    );
    assert_eq!(
        caller.texts("&marker=0&limit=2").await,
        (vec!["а".into(), "б".into()], json!(2))
    );
    assert_eq!(caller.bot.pending(), 3, "nothing is acknowledged by being given out");
    assert_eq!(caller.texts("&marker=2").await, (vec!["в".into()], json!(3)));
    assert_eq!(
        caller.texts("&marker=0").await.0,
        ["в"],
        "what was acknowledged is gone"
    );
    assert_eq!(caller.texts("&marker=3").await, (vec![], json!(3)));
    assert_eq!((caller.bot.pending(), caller.bot.delivered()), (0, 3));
    caller.city.fault(Fault::NullMarker { times: 1 });
    assert_eq!(caller.texts("&marker=3").await, (vec![], Value::Null));
    assert!(caller.city.violations().is_empty());
    caller.texts("&marker=99").await;
    assert_eq!(caller.city.violations(), ["the marker 99 was never given out"]);
}

#[tokio::test]
async fn a_poll_waits_for_somebody_to_write_and_gives_a_hundred_at_most() {
    let caller = caller(Options {
        second: Duration::from_secs(5),
        ..fast()
    })
    .await;
    let request = caller.get("/updates?timeout=90&marker=0&limit=1000");
    let writing = async {
        caller.bot.wait_until(Bot::is_polled).await;
        for number in 0..150 {
            caller.say(&number.to_string());
        }
    };
    let ((_, answer), ()) = tokio::join!(request, writing);
    assert!(answer["updates"].as_array().is_some_and(|updates| !updates.is_empty()));
    let (texts, _) = caller.texts("&marker=0&limit=1000").await;
    assert_eq!(texts.len(), 100);
}

#[tokio::test]
async fn what_nobody_fetches_is_lost_after_a_day() {
    let caller = caller(fast()).await;
    caller.say("старое");
    caller.city.advance(Duration::from_secs(23 * 3600));
    caller.say("новое");
    caller.city.advance(Duration::from_secs(2 * 3600));
    assert_eq!(caller.texts("&marker=0").await.0, ["новое"]);
    assert_eq!(caller.bot.lost(), 1);
}

#[tokio::test]
async fn wrong_calls_are_refused_and_written_down() {
    let caller = caller(Options {
        polls_per_second: 2,
        requests_per_second: 30,
        ..fast()
    })
    .await;
    let address = caller.city.api_url();
    let status = async |request: reqwest::RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    assert_eq!(status(caller.http.get(format!("{address}/me"))).await, 401);
    let bearer = caller
        .http
        .get(format!("{address}/me"))
        .header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(status(bearer).await, 401);
    assert_eq!(
        status(caller.http.get(format!("{address}/me?access_token={TOKEN}"))).await,
        401
    );
    let (refused, _) = caller.send(caller.http.post(format!("{address}/messages"))).await;
    assert_eq!(refused, 404);
    for _ in 0..3 {
        caller.get("/updates?timeout=0").await;
    }
    assert_eq!(
        caller.city.violations(),
        [
            "a call without a token",
            "the token came with `Bearer`",
            "the token stands in the query string",
            "a call without a token",
            "POST /messages was called",
            "more than 2 long polls in a second",
        ]
    );
    caller.bot.revoke(true);
    assert_eq!(caller.get("/me").await.1["code"], "verify.token");
}

#[tokio::test]
async fn subscriptions_accumulate_are_validated_and_end_polling() {
    let caller = caller(Options {
        allow_http_webhooks: false,
        ..fast()
    })
    .await;
    for url in ["http://a.example.ru/x", "https://a.example.ru:8443/x", "nonsense"] {
        let (status, answer) = caller.subscribe(json!({"url": url})).await;
        assert_eq!(
            (status, &answer["success"]),
            (200, &json!(false)),
            "a refusal comes with 200"
        );
    }
    let short = json!({"url": "https://a.example.ru/x", "secret": "abc"});
    assert_eq!(caller.subscribe(short).await.0, 400);
    for url in ["https://a.example.ru/x", "https://b.example.ru/y"] {
        assert_eq!(caller.subscribe(json!({"url": url})).await.1["success"], true);
    }
    let (_, list) = caller.get("/subscriptions").await;
    assert_eq!(list["subscriptions"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        list["subscriptions"][0]["secret"],
        Value::Null,
        "the secret is never told"
    );
    assert_eq!(caller.get("/updates").await.0, 405);
    for url in ["https://a.example.ru/x", "https://b.example.ru/y"] {
        let request = caller.http.delete(format!("{}/subscriptions", caller.city.api_url()));
        assert_eq!(caller.send(request.query(&[("url", url)])).await.1["success"], true);
    }
    assert_eq!(caller.get("/updates?timeout=0").await.0, 200);
}

/// A listener that answers with these statuses, then with 200; what came is sent to the channel.
async fn listener(statuses: Vec<u16>) -> (String, tokio::sync::mpsc::UnboundedReceiver<(Option<String>, Value)>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let left = Arc::new(Mutex::new(VecDeque::from(statuses)));
    let router = axum::Router::new().fallback(move |headers: axum::http::HeaderMap, body: String| {
        let (sender, left) = (sender.clone(), Arc::clone(&left));
        async move {
            let secret = headers
                .get("x-max-bot-api-secret")
                .and_then(|value| value.to_str().ok());
            let body = serde_json::from_str(&body).unwrap_or(Value::Null);
            // The test may have gone away.
            let _ = sender.send((secret.map(str::to_owned), body));
            let status = left.lock().pop_front().unwrap_or(200);
            axum::http::StatusCode::from_u16(status).expect("a status")
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, receiver)
}

#[tokio::test]
async fn only_200_counts_and_a_failed_delivery_comes_again_later() {
    let caller = caller(fast()).await;
    let (url, mut came) = listener(vec![201, 500]).await;
    caller.subscribe(json!({"url": url, "secret": "secret-1"})).await;
    let started = caller.city.city.clock.seconds();
    caller.say("первое");
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let (secret, body) = came.recv().await.expect("a delivery");
        assert_eq!(secret.as_deref(), Some("secret-1"));
        bodies.push(body);
    }
    caller.bot.wait_until(|bot| bot.pending() == 0).await;
    assert!(bodies.windows(2).all(|two| two[0] == two[1]), "the same body each time");
    let waited = caller.city.city.clock.seconds() - started;
    assert!(waited >= 60.0 + 150.0, "{waited} simulated seconds");
    assert_eq!(caller.bot.delivered(), 1);
}

#[tokio::test]
async fn eight_hours_of_failures_end_the_subscription() {
    let caller = caller(fast()).await;
    let (url, mut came) = listener(vec![500; 1000]).await;
    caller.subscribe(json!({"url": url})).await;
    caller.say("раз");
    came.recv().await.expect("a delivery");
    let mut deliveries = 1;
    while !caller.bot.webhook_urls().is_empty() {
        caller.city.advance(Duration::from_secs(600));
        while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(20), came.recv()).await {
            deliveries += 1;
        }
    }
    assert_eq!(caller.bot.dropped_subscriptions(), 1);
    assert!((5..=9).contains(&deliveries), "{deliveries}: the pauses grow");
    caller.bot.wait_until(|bot| bot.lost() == 1).await;
    caller.say("два");
    assert_eq!(caller.texts("&marker=0").await.0, ["два"], "polling works again");
}

#[tokio::test]
async fn history_is_newest_first_between_its_bounds_and_as_it_is_now() {
    let caller = caller(fast()).await;
    caller.bot.add_chat(-5, "chat", "Двор", &["read_all_messages"]);
    caller.bot.add_chat(-6, "chat", "Чужой двор", &["write"]);
    let person = Person::new(7, "Житель");
    let all: Vec<Written> = ["а", "б", "в", "г"]
        .iter()
        .map(|text| caller.bot.write(&person, &Place::Group(-5), text))
        .collect();
    caller.bot.edit(&all[1], "бб");
    caller.bot.remove(&all[2]);
    let texts = async |query: String| {
        let (_, answer) = caller.get(&format!("/messages?chat_id=-5{query}")).await;
        let messages = answer["messages"].as_array().cloned().unwrap_or_default();
        let text = |message: &Value| message["body"]["text"].as_str().unwrap_or("?").to_owned();
        messages.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(texts(String::new()).await, ["г", "бб", "а"]);
    assert_eq!(texts(format!("&from={}&to={}", all[1].at, all[1].at)).await, ["бб"]);
    assert_eq!(texts(format!("&to={}&count=1", all[0].at)).await, ["г"]);
    assert_eq!(caller.get("/messages?chat_id=-6").await.0, 403);
    assert_eq!(caller.get("/messages?chat_id=-7").await.0, 404);
    assert!(caller.city.violations().is_empty());
    texts(format!("&from={}&to={}", all[0].at, all[3].at)).await;
    assert_eq!(
        caller.city.violations(),
        ["GET /messages with its bounds the wrong way round"]
    );
}

#[tokio::test]
async fn a_platform_that_is_down_ends_connections_and_keeps_what_people_write() {
    let caller = caller(fast()).await;
    let (url, mut came) = listener(Vec::new()).await;
    caller.subscribe(json!({"url": url})).await;
    caller.city.set_down(true);
    let broken = caller.http.get(format!("{}/me", caller.city.api_url())).send().await;
    let broken = match broken {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(broken);
    caller.say("пока лежит");
    caller.city.advance(Duration::from_secs(12 * 3600));
    caller.city.set_down(false);
    assert_eq!(
        came.recv().await.expect("a delivery").1["message"]["body"]["text"],
        "пока лежит"
    );
}
