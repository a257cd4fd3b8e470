//! Calls to OK with its two kinds of tokens: [`Graph`] speaks for a group (private messages), [`Rest`] for the account
//! of an application (topics and comments, names).
//!
//! Invariants: one request in flight per token; tokens reach no error, because errors hold no address and the
//! platform's words are cleaned; an answer that is not the platform's JSON is never taken for "nothing new".

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use priem_sdk::{
    ConnectorError, Secret,
    http::{HttpClient, HttpRequest, HttpResponse, Retry},
    json,
    secret::cleaned,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    api::{Named, Subscription, Text},
    errors::{ErrorBody, Trouble, decide},
    session::{Session, Sessions},
};

/// PARAM_SESSION_EXPIRED: the one error a renewed token helps against.
const SESSION_EXPIRED: i64 = 102;
/// The content type the Graph API asks for.
const JSON_UTF8: &str = "application/json;charset=utf-8";
/// Chats and messages in one page.
pub(super) const PAGE: &str = "100";
/// Names asked for in one call.
pub(super) const NAMES_AT_ONCE: usize = 100;

/// A page of raw objects.
pub(super) struct RawPage {
    /// The objects, as bytes of the answer.
    pub objects: Vec<Bytes>,
    /// Where the next page starts, when there is one.
    pub more: Option<String>,
}

/// What both kinds share: the way to the platform and the care for secrets.
#[derive(Debug, Clone)]
struct Line {
    http: HttpClient,
    /// Who speaks, for messages to operators.
    whom: String,
    /// Held while a request is in flight.
    turn: Arc<Mutex<()>>,
}

impl Line {
    /// One exchange; what the answer says is not looked at. `pace` names whose limit counts.
    async fn exchange(&self, request: HttpRequest, pace: &Secret<String>) -> Result<HttpResponse, Trouble> {
        let _turn = self.turn.lock().await;
        Ok(self.http.send(request.limit_key(pace)).await?)
    }

    /// An answer that is no error.
    fn judge(&self, response: HttpResponse, token: &Secret<String>) -> Result<HttpResponse, Trouble> {
        match ErrorBody::of(&response.body) {
            Some((code, words)) => Err(decide(code, cleaned(&words, &[token]), &self.whom, &response)),
            None if response.is_success() => Ok(response),
            None if response.status == 404 => Err(ConnectorError::transient(format_args!(
                "{}: the address answers 404 without an error of OK: something on the way answered",
                self.whom
            ))
            .into()),
            None => Err(match response.error_for_status() {
                Err(error) => error.into(),
                Ok(_) => ConnectorError::transient("an answer that is success and is none").into(),
            }),
        }
    }

    /// Reads an answer; `null` reads as nothing.
    fn read<T: DeserializeOwned + Default>(&self, response: &HttpResponse) -> Result<T, Trouble> {
        let read: Option<Option<T>> = json::from_slice(&response.body).ok();
        read.map(Option::unwrap_or_default)
            .ok_or_else(|| self.not_expected(response))
    }

    /// The members of an answer, none of them read yet: an object that can't be read must not hold the others. `null`
    /// has none.
    fn members(&self, response: &HttpResponse) -> Result<json::Members, Trouble> {
        if response.body.trim_ascii() == b"null" {
            return Ok(json::Members::default());
        }
        json::Members::of(&response.body).ok_or_else(|| self.not_expected(response))
    }

    fn not_expected(&self, response: &HttpResponse) -> Trouble {
        let why = format!(
            "{}: the answer is not the JSON expected (status {}, {} bytes)",
            self.whom,
            response.status,
            response.body.len()
        );
        ConnectorError::Transient { why }.into()
    }
}

/// The Graph API of one group.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    line: Line,
    token: Secret<String>,
    base: String,
}

impl Graph {
    pub fn new(http: HttpClient, api_url: &str, group: &str, token: Secret<String>) -> Self {
        let line = Line {
            http,
            whom: format!("token of group {group}"),
            turn: Arc::default(),
        };
        Self {
            line,
            token,
            base: format!("{}/graph/me/", api_url.trim_end_matches('/')),
        }
    }

    /// The group the token speaks for.
    pub async fn info(&self) -> Result<Named, Trouble> {
        self.get("info", &[]).await
    }

    /// Registered webhooks, ours and others'.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Trouble> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            subscriptions: Option<Vec<Subscription>>,
        }
        let answer: Answer = self.get("subscriptions", &[]).await?;
        Ok(answer.subscriptions.unwrap_or_default())
    }

    /// Registers a webhook, or refreshes it.
    pub async fn subscribe(&self, url: &Secret<String>, kinds: &[&str]) -> Result<(), Trouble> {
        self.change("subscribe", &serde_json::json!({"types": kinds, "url": url.expose()}))
            .await
    }

    /// Removes a webhook.
    pub async fn unsubscribe(&self, url: &str) -> Result<(), Trouble> {
        self.change("unsubscribe", &serde_json::json!({ "url": url })).await
    }

    /// A page of chats as they came, newest activity first, and where the next begins; no marker means the last page.
    pub async fn chats(&self, marker: Option<&str>) -> Result<(Vec<Bytes>, Option<String>), Trouble> {
        let mut parameters = vec![("count", PAGE)];
        parameters.extend(marker.map(|marker| ("marker", marker)));
        let response = self.fetch("chats", &parameters).await?;
        let answer = self.line.members(&response)?;
        let marker: Text = answer.read("marker").unwrap_or_default();
        Ok((answer.list("chats").unwrap_or_default(), marker.into_text()))
    }

    /// Messages of a chat at or before `from` (the *later* bound, ms), newest first.
    pub async fn messages(&self, chat: &str, from: Option<i64>) -> Result<Vec<Bytes>, Trouble> {
        let from = from.map(|from| from.to_string());
        let mut parameters = vec![("chat_id", chat), ("count", PAGE)];
        parameters.extend(from.as_deref().map(|from| ("from", from)));
        let response = self.fetch("messages", &parameters).await?;
        Ok(self.line.members(&response)?.list("messages").unwrap_or_default())
    }

    async fn get<T: DeserializeOwned + Default>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<T, Trouble> {
        let response = self.fetch(path, parameters).await?;
        self.line.read(&response)
    }

    async fn fetch(&self, path: &str, parameters: &[(&str, &str)]) -> Result<HttpResponse, Trouble> {
        let request = HttpRequest::get(format!("{}{path}", self.base))
            .query(parameters.iter().copied())
            .query([("access_token", self.token.expose().as_str())])
            .retry(Retry::Idempotent);
        self.send(request).await
    }

    async fn change(&self, path: &str, arguments: &Value) -> Result<(), Trouble> {
        let request = HttpRequest::post(format!("{}{path}", self.base))
            .query([("access_token", self.token.expose().as_str())])
            .body(JSON_UTF8, arguments.to_string());
        self.send(request).await.map(drop)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Trouble> {
        let response = self.line.exchange(request, &self.token).await?;
        self.line.judge(response, &self.token)
    }
}

/// The REST API of an application's account.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    line: Line,
    url: String,
    application_key: Secret<String>,
    sessions: Sessions,
}

impl Rest {
    pub fn new(http: HttpClient, api_url: &str, application_key: &str, sessions: Sessions) -> Self {
        let line = Line {
            http,
            whom: "access token of the application".into(),
            turn: Arc::default(),
        };
        Self {
            line,
            url: format!("{}/fb.do", api_url.trim_end_matches('/')),
            application_key: Secret::new(application_key.to_owned()),
            sessions,
        }
    }

    /// Calls a method; once more when the token has expired and could be renewed.
    pub async fn call(&self, method: &str, parameters: &[(&str, &str)]) -> Result<HttpResponse, Trouble> {
        let session = self.sessions.current().await?;
        let response = self.once(&session, method, parameters).await?;
        let is_over = matches!(ErrorBody::of(&response.body), Some((SESSION_EXPIRED, _)));
        if !is_over || !self.sessions.can_renew() {
            return self.line.judge(response, &session.token);
        }
        let session = self.sessions.after(&session).await?;
        let response = self.once(&session, method, parameters).await?;
        self.line.judge(response, &session.token)
    }

    /// The token goes in the body, so no address ever holds it.
    async fn once(
        &self,
        session: &Session,
        method: &str,
        parameters: &[(&str, &str)],
    ) -> Result<HttpResponse, Trouble> {
        let mut all = vec![
            ("application_key", self.application_key.expose().as_str()),
            ("format", "json"),
            ("method", method),
        ];
        all.extend_from_slice(parameters);
        let sig = session.signer.sign(&all);
        all.push(("access_token", session.token.expose()));
        all.push(("sig", &sig));
        let request = HttpRequest::post(&self.url).form(all).retry(Retry::Idempotent);
        // Tokens come and go; the application and its account stay.
        self.line.exchange(request, &self.application_key).await
    }

    /// The same, read.
    pub async fn ask<T: DeserializeOwned + Default>(
        &self,
        method: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, Trouble> {
        let response = self.call(method, parameters).await?;
        self.line.read(&response)
    }

    /// A page of the list `key` in the answer, which may lie in `entities`. A missing list is an empty one.
    pub async fn page(&self, method: &str, parameters: &[(&str, &str)], key: &str) -> Result<RawPage, Trouble> {
        let response = self.call(method, parameters).await?;
        let answer = self.line.members(&response)?;
        let entities = answer.object("entities").and_then(|entities| entities.list(key));
        let objects = entities.or_else(|| answer.list(key)).unwrap_or_default();
        let goes_on = answer.read("has_more").unwrap_or(!objects.is_empty());
        let anchor: Text = answer.read("anchor").unwrap_or_default();
        Ok(RawPage {
            more: anchor.into_text().filter(|_| goes_on),
            objects,
        })
    }

    /// One comment by its id.
    pub async fn comment(&self, parameters: &[(&str, &str)]) -> Result<Option<Bytes>, Trouble> {
        let response = self.call("discussions.getComment", parameters).await?;
        Ok(self.line.members(&response)?.raw("comment").cloned())
    }

    /// Names of people (`users.getInfo`) or groups (`group.getInfo`), at most [`NAMES_AT_ONCE`].
    pub async fn names(&self, method: &str, ids: &[&str]) -> Result<Vec<Named>, Trouble> {
        let fields = match method {
            "users.getInfo" => "uid,first_name,last_name,name",
            _ => "uid,name",
        };
        self.ask(method, &[("uids", &ids.join(",")), ("fields", fields)]).await
    }
}

/// Pause before the next look, for [`priem_sdk::Wait`].
pub(super) fn pause(every: jiff::SignedDuration) -> Duration {
    Duration::try_from(every).unwrap_or_default()
}
