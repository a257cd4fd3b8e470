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
//! A failure is the first of an episode or one more of it: an episode ends with an answer that holds events or none.
//! Only the first is acted on at once; the others are trouble, so that the host's growing pauses keep us from spinning and
//! catch-up begins once, and once more at the end when more was lost meanwhile.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use priem_sdk::{
    ConnectorError, Cursor, Page, Secret,
    http::{Hold, HttpResponse},
    json,
};

use super::{client::Client, split, token::Token};

/// Longest `ts` that is taken for one.
const LONGEST_TS: usize = 64;

/// Where and with what key a community is asked. `Debug` shows neither.
#[derive(Debug, Clone)]
struct Session {
    server: Secret<String>,
    key: Secret<String>,
}

/// What is known of a community between two questions.
#[derive(Debug, Clone, Default)]
struct Known {
    session: Option<Session>,
    /// Failures of this episode.
    failures: u32,
    /// It was told in this episode that events are gone.
    is_loss_told: bool,
    /// Where VK told us to go on, when it told so again: in place of the cursor.
    ts: Option<String>,
}

/// Sessions of the communities of one entry.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<i64, Known>>);

/// One community, as its long poll needs it.
pub(super) struct Source<'a> {
    pub client: &'a Client,
    pub sessions: &'a Sessions,
    pub token: &'a Arc<Token>,
    pub group: i64,
    pub hold: &'a Hold,
}

impl Source<'_> {
    /// Asks once, and once more with a new key when the old one is refused.
    pub async fn poll(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        if cursor.is_start() {
            let ts = self.open().await?;
            // Committed before the first question, so that a crash in between loses nothing.
            return Ok(Page {
                next: Cursor(ts),
                ..Page::default()
            });
        }
        if cursor.0.len() > LONGEST_TS {
            return Err(ConnectorError::Misconfigured {
                hint: "the stored cursor is not a ts of long polling".into(),
            });
        }
        if self.known(|known| known.session.is_none()) {
            self.open().await?;
        }
        match self.ask(cursor).await? {
            Answer::Events(page) => Ok(page),
            Answer::Failed(2, _) if self.failed() == 1 => {
                self.open().await?;
                match self.ask(cursor).await? {
                    Answer::Events(page) => Ok(page),
                    Answer::Failed(code, ts) => self.after(code, ts).await,
                }
            }
            Answer::Failed(code, ts) => self.after(code, ts).await,
        }
    }

    /// What a failure means that a new key alone does not end.
    async fn after(&self, code: i64, ts: Option<String>) -> Result<Page, ConnectorError> {
        match (code, ts) {
            (1, Some(ts)) => self.lost(1, ts, "VK no longer has the events since the last answer (failed 1)"),
            (3, _) => {
                let ts = self.open().await?;
                self.lost(3, ts, "VK lost the place in its events (failed 3)")
            }
            (4, _) => Err(ConnectorError::Misconfigured {
                hint: format!(
                    "community {}: VK refuses our version of long polling (failed 4)",
                    self.group
                ),
            }),
            (code, _) => Err(self.again(code)),
        }
    }

    async fn ask(&self, cursor: &Cursor) -> Result<Answer, ConnectorError> {
        let Known { session, ts, .. } = self.known(|known| known.clone());
        let Some(session) = session else {
            return Err(ConnectorError::transient("there is no session of long polling"));
        };
        let ts = ts.as_deref().unwrap_or(&cursor.0);
        let hold = self.hold.now();
        let response = self
            .client
            .long_poll(self.token, session.server.expose(), &session.key, ts, self.hold)
            .await?;
        let mut page = Page {
            next: cursor.clone(),
            is_hasty: response.as_ref().is_some_and(|response| response.is_hasty(hold)),
            ..Page::default()
        };
        let Some(response) = response else {
            return Ok(Answer::Events(page));
        };
        let Some(answer) = json::Members::of(&response.body).filter(|_| response.is_success()) else {
            return Err(self.not_an_answer(&response));
        };
        let ts: Option<String> = answer
            .read("ts")
            .or_else(|| answer.number("ts").map(|ts| ts.to_string()));
        if let Some(code) = answer.number("failed") {
            return Ok(Answer::Failed(code, ts));
        }
        let Some(ts) = ts else {
            self.forget();
            return Err(ConnectorError::transient("the long poll answered without ts"));
        };
        page.items = answer
            .list("updates")
            .unwrap_or_default()
            .into_iter()
            .map(split::item)
            .collect();
        page.next = Cursor(ts);
        page.gap = self.sound();
        Ok(Answer::Events(page))
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(self.sessions.0.lock().entry(self.group).or_default())
    }

    /// Asks for a server, a key and the `ts` of now.
    async fn open(&self) -> Result<String, ConnectorError> {
        let server = self.client.long_poll_server(self.token, self.group).await?;
        let session = Session {
            server: Secret::new(server.server),
            key: Secret::new(server.key),
        };
        self.known(|known| known.session = Some(session));
        Ok(server.ts)
    }

    fn forget(&self) {
        self.known(|known| known.session = None);
    }

    /// One more failure; how many there are.
    fn failed(&self) -> u32 {
        self.known(|known| {
            known.failures += 1;
            known.failures
        })
    }

    /// An answer that ends the episode; the gap that is to be told of now.
    fn sound(&self) -> Option<String> {
        let (failures, ts) = self.known(|known| {
            known.is_loss_told = false;
            (std::mem::take(&mut known.failures), known.ts.take())
        });
        ts.map(|_| {
            format!(
                "community {}: VK answers again, after {failures} failures; what came in between is read anew",
                self.group
            )
        })
    }

    /// Events are gone: told at the first time of an episode.
    fn lost(&self, code: i64, ts: String, what: &str) -> Result<Page, ConnectorError> {
        self.failed();
        if !self.known(|known| std::mem::replace(&mut known.is_loss_told, true)) {
            return Ok(Page {
                next: Cursor(ts),
                gap: Some(format!("community {}: {what}", self.group)),
                ..Page::default()
            });
        }
        self.known(|known| known.ts = Some(ts));
        Err(self.trouble(code))
    }

    /// One more failure that a new session did not end, or may end.
    fn again(&self, code: i64) -> ConnectorError {
        self.known(|known| known.failures += 1);
        self.forget();
        self.trouble(code)
    }

    fn trouble(&self, code: i64) -> ConnectorError {
        ConnectorError::transient(format_args!(
            "community {}: the long poll fails with {code} again and again",
            self.group
        ))
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
}

/// What an answer says.
enum Answer {
    Events(Page),
    /// The code of `failed`, and the `ts` beside it.
    Failed(i64, Option<String>),
}
