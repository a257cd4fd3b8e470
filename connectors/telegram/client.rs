//! Calls to the Bot API and what their refusals mean for the host.
//!
//! The token is part of every address, so no address, description or body reaches an error before it was cleaned.

use std::time::Duration;

use bytes::Bytes;
use priem_sdk::{
    ConnectorError, Secret,
    http::{Hold, HttpClient, HttpRequest, HttpResponse, Retry},
    json,
    secret::cleaned,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::api::{Answer, ChatMember, Me, ResponseParameters, WebhookInfo};

/// How much longer than the server's own hold we wait for the answer of a long poll.
const POLL_MARGIN: Duration = Duration::from_secs(10);
/// Pause after a 429 that does not say how long.
const UNNAMED_PAUSE: Duration = Duration::from_secs(30);

/// A call did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A decision for the host.
    Decision(ConnectorError),
    /// The server refused this very call (400, 403): the caller knows what that means.
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's words, cleaned.
        description: String,
        /// The supergroup a group has become.
        migrated_to: Option<i64>,
    },
}

impl From<Trouble> for ConnectorError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Decision(error) => error,
            Trouble::Refused {
                status, description, ..
            } => Self::Misconfigured {
                hint: format!("Telegram refused the call ({status}): {description}"),
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

    /// Long poll. `offset` confirms everything below it. The response holds the raw updates; there is none when
    /// something on the way cut the call.
    pub async fn get_updates(
        &self,
        offset: Option<i64>,
        limit: u32,
        hold: &Hold,
        allowed: &[&str],
    ) -> Result<Option<HttpResponse>, Trouble> {
        // `allowed_updates` is remembered by the server: it is sent every time, so that nobody's test changes ours.
        let held = hold.now();
        let mut arguments = serde_json::json!({"limit": limit, "timeout": held.as_secs(), "allowed_updates": allowed});
        if let Some(offset) = offset {
            arguments["offset"] = offset.into();
        }
        let request = self.request("getUpdates", &arguments).timeout(held + POLL_MARGIN);
        self.http.send_held(request, hold).await.map_err(Trouble::Decision)
    }

    pub async fn get_me(&self) -> Result<Me, Trouble> {
        self.call("getMe", &serde_json::json!({}), Retry::Idempotent).await
    }

    pub async fn get_webhook_info(&self) -> Result<WebhookInfo, Trouble> {
        self.call("getWebhookInfo", &serde_json::json!({}), Retry::Idempotent)
            .await
    }

    pub async fn set_webhook(&self, arguments: &Value) -> Result<(), Trouble> {
        self.call::<bool>("setWebhook", arguments, Retry::None).await.map(drop)
    }

    /// Removes the webhook; what waits in the queue stays.
    pub async fn delete_webhook(&self) -> Result<(), Trouble> {
        let arguments = serde_json::json!({"drop_pending_updates": false});
        self.call::<bool>("deleteWebhook", &arguments, Retry::None)
            .await
            .map(drop)
    }

    pub async fn get_chat(&self, chat: i64) -> Result<super::api::Chat, Trouble> {
        self.call("getChat", &serde_json::json!({"chat_id": chat}), Retry::Idempotent)
            .await
    }

    pub async fn get_chat_member(&self, chat: i64, user: i64) -> Result<ChatMember, Trouble> {
        let arguments = serde_json::json!({"chat_id": chat, "user_id": user});
        self.call("getChatMember", &arguments, Retry::Idempotent).await
    }

    /// Path of a file on the server, for about an hour.
    pub async fn get_file(&self, file_id: &str) -> Result<Option<String>, Trouble> {
        #[derive(Deserialize)]
        struct File {
            file_path: Option<String>,
        }
        let arguments = serde_json::json!({"file_id": file_id});
        let file: File = self.call("getFile", &arguments, Retry::Idempotent).await?;
        Ok(file.file_path)
    }

    /// Address of a file. Holds the token.
    pub fn file_address(&self, path: &str) -> Secret<String> {
        Secret::new(format!("{}/file/bot{}/{path}", self.api_url, self.token.expose()))
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, arguments: &Value, retry: Retry) -> Result<T, Trouble> {
        let request = self.request(method, arguments).retry(retry);
        let response = self.http.send(request).await.map_err(Trouble::Decision)?;
        self.read(&response)
    }

    fn request(&self, method: &str, arguments: &Value) -> HttpRequest {
        HttpRequest::post(format!("{}/bot{}/{method}", self.api_url, self.token.expose()))
            .json(arguments)
            .limit_key(&self.token)
    }

    /// The updates of a batch, each as it came: one that can't be read must not hold the others.
    pub fn updates(&self, response: &HttpResponse) -> Result<Vec<Bytes>, Trouble> {
        let answer = json::Members::of(&response.body).filter(|_| response.is_success());
        answer
            .filter(|answer| answer.read("ok") == Some(true))
            .and_then(|answer| answer.list("result"))
            .ok_or_else(|| self.refusal(response))
    }

    /// Reads an answer. A body that is not the API's JSON is trouble on the way (a proxy's page), never "no updates".
    fn read<T: DeserializeOwned>(&self, response: &HttpResponse) -> Result<T, Trouble> {
        if response.is_success()
            && let Ok(Answer {
                ok: true,
                result: Some(result),
                ..
            }) = json::from_slice::<Answer<T>>(&response.body)
        {
            return Ok(result);
        }
        Err(self.refusal(response))
    }

    /// What an answer means that is not what was asked for.
    fn refusal(&self, response: &HttpResponse) -> Trouble {
        let refusal: Option<Answer<serde::de::IgnoredAny>> = json::from_slice(&response.body).ok();
        let is_api = refusal.as_ref().is_some_and(|answer| !answer.ok);
        let (description, parameters) = match refusal {
            Some(answer) => (
                cleaned(&answer.description.unwrap_or_default(), &[&self.token]),
                answer.parameters.unwrap_or_default(),
            ),
            None => (String::new(), ResponseParameters::default()),
        };
        decide(response, is_api, description, parameters)
    }
}

fn decide(response: &HttpResponse, is_api: bool, description: String, parameters: ResponseParameters) -> Trouble {
    let status = response.status;
    Trouble::Decision(match status {
        429 => ConnectorError::RateLimited {
            retry_after: parameters
                .retry_after
                .map(Duration::from_secs)
                .or(response.retry_after)
                .unwrap_or(UNNAMED_PAUSE),
        },
        _ if !is_api => response.from_another("the Bot API"),
        401 => ConnectorError::AuthRejected {
            hint: format!(
                "Telegram says {description:?}: the token is wrong or was revoked; take the current one from @BotFather"
            ),
        },
        404 => ConnectorError::AuthRejected {
            hint: format!(
                "Telegram says {description:?}: the token is malformed, or `api_url` is not a Bot API server"
            ),
        },
        409 => return Trouble::Decision(conflict(&description)),
        400 | 403 => {
            return Trouble::Refused {
                status,
                description,
                migrated_to: parameters.migrate_to_chat_id,
            };
        }
        421 | 500.. => ConnectorError::transient(format_args!("Telegram answered {status}: {description}")),
        200..=399 => ConnectorError::transient(format_args!("Telegram answered {status} without a result")),
        _ => ConnectorError::Misconfigured {
            hint: format!("Telegram answered {status}: {description}"),
        },
    })
}

/// The variants of 409: a webhook is a matter of set-up, another poller may go away.
fn conflict(description: &str) -> ConnectorError {
    if description.to_ascii_lowercase().contains("webhook") {
        return ConnectorError::Misconfigured {
            hint: format!(
                "a webhook is set for this bot ({description}): use mode: webhook, or let Priem remove it with --take-over"
            ),
        };
    }
    ConnectorError::transient(format_args!(
        "another getUpdates runs with this token ({description}): if this goes on, a second instance is running"
    ))
}
