//! Calls to the MAX Bot API and what their refusals mean for the host.
//!
//! The token goes into the header `Authorization` alone, without `Bearer`; the query parameter the schema still shows
//! is not accepted any more. Decisions follow the HTTP status: the code strings of errors are hardly documented.

use std::time::Duration;

use bytes::Bytes;
use priem_sdk::{
    ConnectorError, Secret,
    http::{Hold, HttpClient, HttpRequest, HttpResponse, Retry},
    json,
    secret::cleaned,
};
use serde::de::DeserializeOwned;

use super::api::{self, ApiError, Chat, Done, Me, Membership, Subscription, Subscriptions};

/// How much longer than the server's own hold we wait for the answer of a long poll.
const POLL_MARGIN: Duration = Duration::from_secs(10);
/// Longest hold of the server, whatever is asked for.
const LONGEST_HOLD: Duration = Duration::from_secs(90);
/// Pause after a 429 that does not say how long.
const UNNAMED_PAUSE: Duration = Duration::from_secs(10);
/// Messages in one page of history: the most the server gives.
pub(super) const PAGE: usize = 100;

/// A call did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A decision for the host.
    Decision(ConnectorError),
    /// The server refused this very call (400, 403, 404, 405, `success: false`): the caller knows what that means.
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's words, cleaned.
        message: String,
    },
}

impl From<Trouble> for ConnectorError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Decision(error) => error,
            Trouble::Refused { status: 405, message } => Self::Misconfigured {
                hint: format!(
                    "MAX refuses polling ({message}): a webhook is subscribed for this bot; use mode: webhook, or let Priem \
                     remove it with --take-over"
                ),
            },
            Trouble::Refused { status, message } => Self::Misconfigured {
                hint: format!("MAX refused the call ({status}): {message}"),
            },
        }
    }
}

/// The Bot API of one bot.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: HttpClient,
    api_url: String,
    token: Secret<String>,
}

impl Client {
    pub fn new(http: HttpClient, api_url: &str, token: Secret<String>) -> Self {
        Self {
            http,
            api_url: api_url.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Long poll. `marker` acknowledges everything before it, for good. No kinds are named: a filter would hide the
    /// kinds of the next version.
    pub async fn updates(&self, marker: Option<i64>, limit: u32, hold: &Hold) -> Result<Option<HttpResponse>, Trouble> {
        let held = hold.now();
        let (limit, seconds) = (limit.to_string(), held.as_secs().to_string());
        let marker = marker.map(|marker| marker.to_string());
        let mut request = self
            .get("/updates")
            .query([("limit", limit.as_str()), ("timeout", seconds.as_str())]);
        if let Some(marker) = &marker {
            request = request.query([("marker", marker.as_str())]);
        }
        let request = self.of_bot(request.timeout(held.min(LONGEST_HOLD) + POLL_MARGIN));
        self.http.send_held(request, hold).await.map_err(Trouble::Decision)
    }

    pub async fn me(&self) -> Result<Me, Trouble> {
        self.ask("/me").await
    }

    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Trouble> {
        let list: Subscriptions = self.ask("/subscriptions").await?;
        Ok(list.subscriptions)
    }

    /// Registers a webhook for every kind of update.
    pub async fn subscribe(&self, url: &Secret<String>, secret: &Secret<String>) -> Result<(), Trouble> {
        let body = serde_json::json!({"url": url.expose(), "secret": secret.expose()});
        let request = HttpRequest::post(self.address("/subscriptions")).json(&body);
        self.change(request).await
    }

    /// Removes one webhook.
    pub async fn unsubscribe(&self, url: &str) -> Result<(), Trouble> {
        let request = HttpRequest::delete(self.address("/subscriptions")).query([("url", url)]);
        self.change(request).await
    }

    pub async fn chat(&self, chat: i64) -> Result<Chat, Trouble> {
        self.ask(&format!("/chats/{chat}")).await
    }

    pub async fn membership(&self, chat: i64) -> Result<Membership, Trouble> {
        self.ask(&format!("/chats/{chat}/members/me")).await
    }

    /// A page of a chat's history, newest first. `before` is the newer bound, `since` the older one, milliseconds; the
    /// API calls them `from` and `to`.
    pub async fn messages(&self, chat: i64, before: Option<i64>, since: i64) -> Result<HttpResponse, Trouble> {
        let (chat, since, count) = (chat.to_string(), since.to_string(), PAGE.to_string());
        let before = before.map(|before| before.to_string());
        let mut request = self.get("/messages").query([
            ("chat_id", chat.as_str()),
            ("to", since.as_str()),
            ("count", count.as_str()),
        ]);
        if let Some(before) = &before {
            request = request.query([("from", before.as_str())]);
        }
        self.send(request.retry(Retry::Idempotent)).await
    }

    /// Address of the best version of a film; `None` while it is being converted.
    pub async fn video(&self, token: &str) -> Result<Option<String>, Trouble> {
        let details: api::Video = self.ask(&format!("/videos/{token}")).await?;
        Ok(details.urls.and_then(|urls| urls.best()))
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let response = self.send(self.get(path).retry(Retry::Idempotent)).await?;
        self.read(&response)
    }

    async fn change(&self, request: HttpRequest) -> Result<(), Trouble> {
        let response = self.send(request).await?;
        let done: Done = self.read(&response)?;
        if done.success {
            return Ok(());
        }
        Err(Trouble::Refused {
            status: response.status,
            message: cleaned(done.message.as_deref().unwrap_or("without a reason"), &[&self.token]),
        })
    }

    fn get(&self, path: &str) -> HttpRequest {
        HttpRequest::get(self.address(path))
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.api_url)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Trouble> {
        self.http.send(self.of_bot(request)).await.map_err(Trouble::Decision)
    }

    fn of_bot(&self, request: HttpRequest) -> HttpRequest {
        request
            .header("authorization", self.token.expose())
            .limit_key(&self.token)
    }

    /// The members of an answer, none of them read yet: a record that can't be read must not hold the others.
    pub fn members(&self, response: &HttpResponse, list: &str) -> Result<(json::Members, Vec<Bytes>), Trouble> {
        let answer = json::Members::of(&response.body).filter(|_| response.is_success());
        answer
            .and_then(|answer| answer.list(list).map(|list| (answer, list)))
            .ok_or_else(|| self.refusal(response))
    }

    /// Reads an answer. A body that is not the API's JSON is trouble on the way (a proxy's page), never "no updates".
    fn read<T: DeserializeOwned>(&self, response: &HttpResponse) -> Result<T, Trouble> {
        let read = json::from_slice(&response.body).ok().filter(|_| response.is_success());
        read.ok_or_else(|| self.refusal(response))
    }

    fn refusal(&self, response: &HttpResponse) -> Trouble {
        self.decide(response, json::from_slice(&response.body).ok())
    }

    fn decide(&self, response: &HttpResponse, error: Option<ApiError>) -> Trouble {
        let status = response.status;
        if status == 429 {
            return Trouble::Decision(ConnectorError::RateLimited {
                retry_after: response.retry_after.unwrap_or(UNNAMED_PAUSE),
            });
        }
        if let (503, Some(retry_after)) = (status, response.retry_after) {
            return Trouble::Decision(ConnectorError::RateLimited { retry_after });
        }
        let Some(error) = error else {
            return Trouble::Decision(response.from_another("the Bot API"));
        };
        let message = cleaned(&format!("{}: {}", error.code, error.message), &[&self.token]);
        match status {
            401 => Trouble::Decision(ConnectorError::AuthRejected {
                hint: format!(
                    "MAX says {message:?}: the token is wrong or was revoked; take the current one from the partner \
                     cabinet (business.max.ru)"
                ),
            }),
            400 | 403 | 404 | 405 => Trouble::Refused { status, message },
            408 | 421 | 425 | 500.. => Trouble::Decision(ConnectorError::transient(format_args!(
                "MAX answered {status}: {message}"
            ))),
            200..=399 => Trouble::Decision(ConnectorError::transient(format_args!(
                "MAX answered {status} with something else than expected"
            ))),
            _ => Trouble::Decision(ConnectorError::Misconfigured {
                hint: format!("MAX answered {status}: {message}"),
            }),
        }
    }
}
