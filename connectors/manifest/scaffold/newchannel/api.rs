//! The platform's HTTP interface, and nothing but it.

use bytes::Bytes;
use priem_sdk::{ConnectorError, HttpClient, HttpRequest, Retry, Secret};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Calls of the platform.
pub struct Api {
    http: HttpClient,
    messages: String,
    token: Secret<String>,
}

/// The answer of the list; the messages stay as they came.
#[derive(Deserialize)]
struct Listed {
    messages: Vec<Box<RawValue>>,
}

/// What identifies a message.
#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

impl Api {
    pub fn new(http: HttpClient, api_url: &str, token: Secret<String>) -> Self {
        Self {
            http,
            messages: format!("{}/messages", api_url.trim_end_matches('/')),
            token,
        }
    }

    /// Messages after a number, oldest first.
    pub async fn after(&self, number: u64) -> Result<Vec<Bytes>, ConnectorError> {
        let request = HttpRequest::get(&self.messages)
            .query([("after", number.to_string().as_str())])
            .header("authorization", &format!("Bearer {}", self.token.expose()))
            .limit_key(&self.token)
            .retry(Retry::Idempotent);
        let answer = self.http.send(request).await?.error_for_status()?;
        let listed: Listed = answer.json()?;
        let bytes = |raw: Box<RawValue>| Bytes::from(String::from(Box::<str>::from(raw)));
        Ok(listed.messages.into_iter().map(bytes).collect())
    }
}

/// Number of a message, when it has one.
pub fn number(message: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Numbered>(message)
        .ok()
        .map(|message| message.id)
}
