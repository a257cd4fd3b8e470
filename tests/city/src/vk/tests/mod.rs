//! The network answers as the reference says, seen through a plain HTTP client.

mod api;
mod callbacks;
mod deeds;
mod limits;
mod polling;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const GROUP: i64 = 77;
const TOKEN: &str = "vk1.a.community";
const SERVICE: &str = "service-key";
const USER: &str = "vk1.a.user";

/// A careful client with tokens of all kinds.
struct Caller {
    city: VkCity,
    community: Community,
    http: reqwest::Client,
}

fn fast() -> Options {
    Options {
        second: Duration::from_millis(5),
        ..Options::default()
    }
}

async fn caller(options: Options) -> Caller {
    let city = VkCity::start(options).await.expect("a free port");
    let community = city.community(GROUP);
    city.add_token(TOKEN, TokenKind::Community(GROUP));
    city.add_token(SERVICE, TokenKind::Service);
    city.add_token(USER, TokenKind::User(900));
    city.know(&Citizen::new(900, "Ольга", "Дежурная"));
    Caller {
        community,
        city,
        http: reqwest::Client::builder().no_proxy().build().expect("a client"),
    }
}

fn citizen() -> Citizen {
    Citizen::new(7, "Пётр", "Житель")
}

impl Caller {
    /// A method with the token in its header and the arguments in a form; the whole envelope.
    async fn envelope(&self, token: &str, method: &str, arguments: Value) -> Value {
        let mut url = reqwest::Url::parse("http://form/").expect("an address");
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("v", VERSION);
            for (name, value) in arguments.as_object().expect("an object") {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                pairs.append_pair(name, &text);
            }
        }
        let request = self
            .http
            .post(format!("{}/method/{method}", self.city.api_url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Bearer {token}"));
        let answer = request
            .body(url.query().unwrap_or_default().to_owned())
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    async fn call(&self, token: &str, method: &str, arguments: Value) -> Value {
        let mut envelope = self.envelope(token, method, arguments).await;
        assert_eq!(envelope["error"], Value::Null, "{method}");
        envelope["response"].take()
    }

    async fn error(&self, token: &str, method: &str, arguments: Value) -> i64 {
        let envelope = self.envelope(token, method, arguments).await;
        envelope["error"]["error_code"]
            .as_i64()
            .unwrap_or_else(|| panic!("{method}: {envelope}"))
    }

    async fn session(&self) -> Session {
        let server = self
            .call(TOKEN, "groups.getLongPollServer", json!({"group_id": GROUP}))
            .await;
        let text = |name: &str| server[name].as_str().expect("text").to_owned();
        Session {
            server: text("server"),
            key: text("key"),
            ts: text("ts"),
        }
    }

    async fn poll(&self, session: &Session, wait: u32) -> Value {
        let request = self.http.get(&session.server).query(&[
            ("act", "a_check"),
            ("key", &session.key),
            ("ts", &session.ts),
            ("wait", &wait.to_string()),
        ]);
        let answer = request.send().await.expect("an answer");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    /// Polls, follows `ts`, and returns the kinds of the events.
    async fn kinds(&self, session: &mut Session) -> Vec<String> {
        let answer = self.poll(session, 1).await;
        session.ts = answer["ts"].as_str().expect("ts").to_owned();
        let updates = answer["updates"].as_array().expect("a list");
        updates
            .iter()
            .map(|update| update["type"].as_str().expect("a kind").to_owned())
            .collect()
    }
}

/// What a client knows of the long poll server.
#[derive(Debug, Clone)]
struct Session {
    server: String,
    key: String,
    ts: String,
}
