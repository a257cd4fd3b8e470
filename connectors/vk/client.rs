//! Calls to VK, alone and in batches, and what refusals mean.
//!
//! The token travels in the body, never in an address; an answer that is not VK's is trouble on the way.

use std::time::Duration;

use bytes::Bytes;
use priem_sdk::{
    ConnectorError, Secret,
    http::{Hold, HttpClient, HttpRequest, HttpResponse, Retry, is_loopback},
    json::{self, Members},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    api::{ApiError, LongPollServer},
    errors::{self, Class},
    token::{Token, TokenKind},
};

/// API version of our calls and of the events we ask for.
pub(super) const VERSION: &str = "5.199";
/// Calls one `execute` may hold.
pub(super) const MOST_IN_BATCH: usize = 25;
/// How much longer than VK's own hold we wait for the answer of a long poll.
const POLL_MARGIN: Duration = Duration::from_secs(10);

/// A call did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A decision for the host.
    Decision(ConnectorError),
    /// VK refused this very call; the token's gate knows of it.
    Refused { error: ApiError, decision: ConnectorError },
}

impl From<Trouble> for ConnectorError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Decision(decision) | Trouble::Refused { decision, .. } => decision,
        }
    }
}

impl Trouble {
    /// Whether the same call may succeed soon without anybody's help.
    pub fn is_passing(&self) -> bool {
        let (Self::Decision(decision) | Self::Refused { decision, .. }) = self;
        matches!(
            decision,
            ConnectorError::Transient { .. } | ConnectorError::RateLimited { .. }
        )
    }
}

/// A call of a method, for [`Client::call`] and [`Client::batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub method: &'static str,
    pub params: Vec<(&'static str, String)>,
}

impl Call {
    pub fn new<const N: usize>(method: &'static str, params: [(&'static str, String); N]) -> Self {
        Self {
            method,
            params: params.into(),
        }
    }

    /// The call in the language of `execute`; numbers stay numbers.
    fn as_code(&self) -> String {
        let arguments: Map<String, Value> = self
            .params
            .iter()
            .map(|(key, text)| {
                let value = text
                    .parse::<i64>()
                    .map_or_else(|_| Value::from(text.as_str()), Value::from);
                ((*key).to_owned(), value)
            })
            .collect();
        format!("API.{}({})", self.method, Value::Object(arguments))
    }
}

/// What a batch brought: one result for each call that was made, as it came and in order, and what stopped it before the
/// end.
#[derive(Debug)]
pub(super) struct Batch {
    pub results: Vec<Result<Bytes, ApiError>>,
    pub stopped: Option<Trouble>,
}

/// VK. Community tokens and the others have paces of their own.
#[derive(Debug, Clone)]
pub(super) struct Client {
    community: HttpClient,
    other: HttpClient,
    api_url: String,
}

impl Client {
    pub fn new(community: HttpClient, other: HttpClient, api_url: &str) -> Self {
        Self {
            community,
            other,
            api_url: api_url.trim_end_matches('/').to_owned(),
        }
    }

    /// Calls a method that changes nothing.
    pub async fn call<T: DeserializeOwned>(&self, token: &Token, call: &Call) -> Result<T, Trouble> {
        let answer = self.send(token, call, Retry::Idempotent).await?;
        answer.read()
    }

    /// Calls a method that changes something: one attempt.
    pub async fn change<T: DeserializeOwned>(&self, token: &Token, call: &Call) -> Result<T, Trouble> {
        let answer = self.send(token, call, Retry::None).await?;
        answer.read()
    }

    /// Makes several calls: as one `execute` where the token may, otherwise one by one. A refusal of one call is its
    /// result; what concerns the token or the line stops the batch.
    pub async fn batch(&self, token: &Token, calls: &[Call]) -> Batch {
        if token.kind == TokenKind::Service || calls.len() < 2 {
            return self.one_by_one(token, calls).await;
        }
        let code: Vec<String> = calls.iter().take(MOST_IN_BATCH).map(Call::as_code).collect();
        let execute = Call::new("execute", [("code", format!("return [{}];", code.join(",")))]);
        let parts = self.send(token, &execute, Retry::Idempotent).await;
        match parts.and_then(|answer| answer.parts()) {
            Ok(parts) => cut_at_trouble(token, parts),
            // Too much for one answer: the first call alone always makes progress.
            Err(Trouble::Refused { error, .. }) if errors::class(&error) == Class::Batch => {
                self.one_by_one(token, &calls[..1]).await
            }
            Err(trouble) => Batch {
                results: Vec::new(),
                stopped: Some(trouble),
            },
        }
    }

    async fn one_by_one(&self, token: &Token, calls: &[Call]) -> Batch {
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            match self.send(token, call, Retry::Idempotent).await {
                Ok(answer) => results.push(Ok(answer.response)),
                Err(Trouble::Refused { error, .. }) if errors::concerns_object_only(&error) => results.push(Err(error)),
                Err(trouble) => {
                    return Batch {
                        results,
                        stopped: Some(trouble),
                    };
                }
            }
        }
        Batch { results, stopped: None }
    }

    /// Asks the long poll server of one community. The key travels in its address, as VK wants it: encoded, and shown
    /// by nobody.
    pub async fn long_poll(
        &self,
        token: &Token,
        server: &str,
        key: &Secret<String>,
        ts: &str,
        hold: &Hold,
    ) -> Result<Option<HttpResponse>, ConnectorError> {
        let address = self.server_address(server)?;
        let held = hold.now();
        let wait = held.as_secs().to_string();
        let query = [("act", "a_check"), ("key", key.expose()), ("ts", ts), ("wait", &wait)];
        let request = HttpRequest::get(address)
            .query(query)
            .limit_key(token.secret())
            .timeout(held + POLL_MARGIN);
        self.community.send_held(request, hold).await
    }

    /// The server is named by VK with its scheme; older answers leave it out. Plain http only beside a plain API.
    fn server_address(&self, server: &str) -> Result<String, ConnectorError> {
        if server.starts_with("https://")
            || (server.starts_with("http://") && is_loopback(server) && is_loopback(&self.api_url))
        {
            return Ok(server.to_owned());
        }
        if !server.is_empty() && !server.contains("://") {
            return Ok(format!("https://{server}"));
        }
        Err(ConnectorError::transient("VK named a long poll server without https"))
    }

    /// Where to ask for a community's events.
    pub async fn long_poll_server(&self, token: &Token, group: i64) -> Result<LongPollServer, Trouble> {
        let call = Call::new("groups.getLongPollServer", [("group_id", group.to_string())]);
        self.call(token, &call).await
    }

    async fn send(&self, token: &Token, call: &Call, retry: Retry) -> Result<Answer, Trouble> {
        token.require_open().map_err(Trouble::Decision)?;
        let fixed = [
            ("access_token", token.secret().expose().as_str()),
            ("v", VERSION),
            ("lang", "ru"),
        ];
        let pairs = call.params.iter().map(|(key, value)| (*key, value.as_str()));
        let request = HttpRequest::post(format!("{}/method/{}", self.api_url, call.method))
            .form(fixed.into_iter().chain(pairs))
            .limit_key(token.secret())
            .retry(retry);
        let http = match token.kind {
            TokenKind::Community => &self.community,
            TokenKind::Service | TokenKind::User => &self.other,
        };
        let response = http.send(request).await.map_err(Trouble::Decision)?;
        let response = match response.status {
            // VK answers 200 to everything it understood; these two come from whoever stands before it.
            401 | 403 => return Err(Trouble::Decision(response.from_another("VK"))),
            _ => response.error_for_status().map_err(Trouble::Decision)?,
        };
        let Some(members) = Members::of(&response.body) else {
            return Err(Trouble::Decision(response.from_another("VK")));
        };
        if let Some(value) = members.raw("response").cloned() {
            token.succeeded();
            return Ok(Answer {
                response: value,
                errors: members.read("execute_errors").unwrap_or_default(),
                http: response,
            });
        }
        let Some(mut error) = members.read::<ApiError>("error") else {
            return Err(Trouble::Decision(response.from_another("VK")));
        };
        error.message = error.message.replace(token.secret().expose().as_str(), "***");
        let decision = token.decide(&error);
        Err(Trouble::Refused { error, decision })
    }
}

/// VK's answer to a call, not read yet: a record in it that can't be read must not hold the others.
struct Answer {
    response: Bytes,
    /// Of the parts of an `execute`.
    errors: Vec<ApiError>,
    http: HttpResponse,
}

impl Answer {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        json::from_slice(&self.response).map_err(|_| Trouble::Decision(self.http.from_another("VK")))
    }

    /// Results of an `execute`. Each `false` is a call that failed; their errors stand beside, in the same order.
    fn parts(self) -> Result<Vec<Result<Bytes, ApiError>>, Trouble> {
        let parts = json::elements(&self.response).ok_or_else(|| Trouble::Decision(self.http.from_another("VK")))?;
        Ok(with_errors(parts, self.errors))
    }
}

/// A part that failed for more than its object (a limit, the token) ends the batch there.
fn cut_at_trouble(token: &Token, mut results: Vec<Result<Bytes, ApiError>>) -> Batch {
    let is_trouble =
        |result: &Result<Bytes, ApiError>| matches!(result, Err(error) if !errors::concerns_object_only(error));
    let rest = match results.iter().position(is_trouble) {
        Some(at) => results.split_off(at),
        None => Vec::new(),
    };
    let stopped = rest
        .into_iter()
        .next()
        .and_then(Result::err)
        .map(|error| Trouble::Refused {
            decision: token.decide(&error),
            error,
        });
    Batch { results, stopped }
}

fn with_errors(parts: Vec<Bytes>, errors: Vec<ApiError>) -> Vec<Result<Bytes, ApiError>> {
    let mut errors = errors.into_iter();
    let unnamed = || ApiError {
        code: 1,
        subcode: None,
        message: "a part of the batch failed without a reason".into(),
    };
    parts
        .into_iter()
        .map(|part| match &part[..] {
            b"false" | b"null" => Err(errors.next().unwrap_or_else(unnamed)),
            _ => Ok(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_part_of_a_batch_gets_its_own_error() {
        let error = |code| ApiError {
            code,
            subcode: None,
            message: String::new(),
        };
        let results = with_errors(
            ["{\"a\": 1}", "false", "[]", "false", "false"]
                .map(Bytes::from)
                .to_vec(),
            vec![error(15), error(212)],
        );
        let codes: Vec<Option<i64>> = results
            .iter()
            .map(|result| result.as_ref().err().map(|error| error.code))
            .collect();
        assert_eq!(codes, [None, Some(15), None, Some(212), Some(1)]);
    }

    #[test]
    fn a_call_is_written_as_code_without_a_way_out_of_its_quotes() {
        let call = Call::new(
            "wall.get",
            [("owner_id", "-9".into()), ("filter", "a\"});API.x({\"".into())],
        );
        assert_eq!(
            call.as_code(),
            r#"API.wall.get({"owner_id":-9,"filter":"a\"});API.x({\""})"#
        );
    }
}
