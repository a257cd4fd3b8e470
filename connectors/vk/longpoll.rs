//! Bots Long Poll of one community.
//!
//! The cursor is `ts` and nothing else. Server and key are a session: lost with the process and asked for again, they
//! never cost an event, because `ts` stays. What VK says in `failed`:
//! - 1: the history before the given `ts` is gone: go on there, and say that there is a gap;
//! - 2: the key is old: a new one, the same `ts`;
//! - 3: key and `ts` are lost: both anew, and there is a gap;
//! - 4: a version we don't speak;
//! - anything else: a new session, after a pause.
//!
//! A session that was made anew and fails the same way before it ever answered is not renewed at once: the host's
//! growing pauses keep us from spinning.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use priem_sdk::{ConnectorError, Cursor, Item, Page, Secret, http::HttpResponse};
use serde_json::value::RawValue;

use super::{api::LongPoll, client::Client, split, token::Token};

/// Longest `ts` that is taken for one.
const LONGEST_TS: usize = 64;

/// Where and with what key a community is asked. `Debug` shows neither.
#[derive(Debug, Clone)]
struct Session {
    server: Secret<String>,
    key: Secret<String>,
    /// It has answered with events or with none.
    proven: bool,
    /// What the one before had failed with.
    after: Option<i64>,
}

/// Sessions of the communities of one entry.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<i64, Session>>);

/// One community, as its long poll needs it.
pub(super) struct Source<'a> {
    pub client: &'a Client,
    pub sessions: &'a Sessions,
    pub token: &'a Arc<Token>,
    pub group: i64,
    pub wait: Duration,
}

impl Source<'_> {
    /// Asks once.
    pub async fn poll(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let known = self.sessions.0.lock().get(&self.group).cloned();
        let session = match known {
            Some(session) if !cursor.is_start() => session,
            _ => {
                let (session, ts) = self.open(None).await?;
                if cursor.is_start() {
                    // Committed before the first question, so that a crash in between loses nothing.
                    return Ok(Page {
                        next: Cursor(ts),
                        ..Page::default()
                    });
                }
                session
            }
        };
        let ts = cursor.0.as_str();
        if ts.len() > LONGEST_TS {
            return Err(ConnectorError::Misconfigured {
                hint: "the stored cursor is not a ts of long polling".into(),
            });
        }
        let response = self
            .client
            .long_poll(self.token, session.server.expose(), &session.key, ts, self.wait)
            .await?;
        let answer: LongPoll<'_> = match serde_json::from_slice(&response.body) {
            Ok(answer) if response.is_success() => answer,
            _ => return Err(self.not_an_answer(&response)),
        };
        match answer.failed {
            None => self.events(&response.body, answer, cursor),
            Some(code) => self.failed(code, answer.ts, &session, cursor).await,
        }
    }

    async fn open(&self, after: Option<i64>) -> Result<(Session, String), ConnectorError> {
        let server = self.client.long_poll_server(self.token, self.group).await?;
        let session = Session {
            server: Secret::new(server.server),
            key: Secret::new(server.key),
            proven: false,
            after,
        };
        self.sessions.0.lock().insert(self.group, session.clone());
        Ok((session, server.ts))
    }

    fn forget(&self) {
        self.sessions.0.lock().remove(&self.group);
    }

    /// Trouble of the server itself passes and leaves the session; anything else may mean that it has moved.
    fn not_an_answer(&self, response: &HttpResponse) -> ConnectorError {
        if response.status < 500 && response.status != 429 {
            self.forget();
        }
        let error = ConnectorError::transient(format_args!(
            "the long poll server answered {} with {} bytes that are not its JSON",
            response.status,
            response.body.len()
        ));
        match response.retry_after {
            Some(retry_after) => ConnectorError::RateLimited { retry_after },
            None => error,
        }
    }

    fn events(&self, body: &Bytes, answer: LongPoll<'_>, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let Some(ts) = answer.ts else {
            self.forget();
            return Err(ConnectorError::transient("the long poll answered without ts"));
        };
        if let Some(session) = self.sessions.0.lock().get_mut(&self.group) {
            session.proven = true;
        }
        let updates = answer.updates.unwrap_or_default();
        if updates.is_empty() && ts == cursor.0 {
            return Ok(Page {
                next: cursor.clone(),
                ..Page::default()
            });
        }
        let item = |update: &&RawValue| -> Item { split::item(body.slice_ref(update.get().as_bytes())) };
        Ok(Page {
            items: updates.iter().map(item).collect(),
            next: Cursor(ts),
            ..Page::default()
        })
    }

    async fn failed(
        &self,
        code: i64,
        ts: Option<String>,
        session: &Session,
        cursor: &Cursor,
    ) -> Result<Page, ConnectorError> {
        let gap = |next: String, what: &str| Page {
            next: Cursor(next),
            gap: Some(format!("community {}: {what}", self.group)),
            ..Page::default()
        };
        let may_renew = session.proven || session.after != Some(code);
        match (code, ts) {
            (1, Some(ts)) => Ok(gap(ts, "VK no longer has the events since the last answer (failed 1)")),
            (2, _) if may_renew => {
                self.open(Some(2)).await?;
                Ok(Page {
                    next: cursor.clone(),
                    ..Page::default()
                })
            }
            (3, _) if may_renew => {
                let (_, ts) = self.open(Some(3)).await?;
                Ok(gap(ts, "VK lost the place in its events (failed 3)"))
            }
            (4, _) => Err(ConnectorError::Misconfigured {
                hint: format!(
                    "community {}: VK refuses our version of long polling (failed 4)",
                    self.group
                ),
            }),
            (code, _) => {
                self.forget();
                Err(ConnectorError::transient(format_args!(
                    "community {}: the long poll failed with {code}; a new session follows",
                    self.group
                )))
            }
        }
    }
}
