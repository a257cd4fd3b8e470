//! A token, and the gate every token has: after a flood, a limit or a captcha it stays shut for a while, and calls are
//! refused here without asking VK, whoever asks. One token's gate is nobody else's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::{ConnectorError, Secret};

use super::{
    api::ApiError,
    errors::{self, Class},
};

/// Pause after the first flood or limit; doubles each time, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Silence after a captcha was asked for.
const CAPTCHA_PAUSE: Duration = Duration::from_secs(3600);

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Community,
    Service,
    User,
}

/// A token and its gate. `Debug` shows neither.
#[derive(Debug)]
pub(super) struct Token {
    secret: Secret<String>,
    pub kind: TokenKind,
    /// For operators: `token of community 9`.
    pub whose: String,
    gate: Mutex<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    strikes: u32,
    shut: Option<(Instant, bool)>,
}

impl Token {
    pub fn new(secret: Secret<String>, kind: TokenKind, whose: String) -> Arc<Self> {
        Arc::new(Self {
            secret,
            kind,
            whose,
            gate: Mutex::default(),
        })
    }

    /// The token itself.
    pub fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// Whether VK may be asked with this token now.
    pub fn require_open(&self) -> Result<(), ConnectorError> {
        let mut gate = self.gate.lock();
        let Some((until, captcha)) = gate.shut else {
            return Ok(());
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            gate.shut = None;
            return Ok(());
        }
        if captcha {
            return Err(ConnectorError::Misconfigured {
                hint: format!(
                    "{}: VK asked for a captcha; no calls for another {} min",
                    self.whose,
                    left.as_secs() / 60 + 1
                ),
            });
        }
        Err(ConnectorError::RateLimited { retry_after: left })
    }

    /// A call went well: pauses start from the shortest again.
    pub fn succeeded(&self) {
        self.gate.lock().strikes = 0;
    }

    /// Shuts the gate where the error asks for silence, and says what the host should do.
    pub fn decide(&self, error: &ApiError) -> ConnectorError {
        let mut gate = self.gate.lock();
        match errors::class(error) {
            Class::LongPause => {
                let pause = (SHORTEST_PAUSE * 2_u32.saturating_pow(gate.strikes.min(10))).min(LONGEST_PAUSE);
                gate.strikes += 1;
                gate.shut = Some((Instant::now() + pause, false));
                ConnectorError::RateLimited { retry_after: pause }
            }
            Class::Captcha => {
                gate.shut = Some((Instant::now() + CAPTCHA_PAUSE, true));
                errors::decide(error, &self.whose)
            }
            _ => errors::decide(error, &self.whose),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_make_the_pause_grow_and_shut_the_gate() {
        let token = Token::new(Secret::new("x".into()), TokenKind::Community, "token".into());
        let error = ApiError {
            code: 29,
            subcode: None,
            message: String::new(),
        };
        let pause = || match token.decide(&error) {
            ConnectorError::RateLimited { retry_after } => retry_after.as_secs(),
            _ => 0,
        };
        assert_eq!([pause(), pause(), pause()], [60, 120, 240]);
        assert_eq!(
            token.require_open().err().map(|error| error.kind()),
            Some("rate_limited")
        );
        token.succeeded();
        assert_eq!(pause(), 60);
        token.decide(&ApiError {
            code: 14,
            ..error.clone()
        });
        assert_eq!(
            token.require_open().err().map(|error| error.kind()),
            Some("misconfigured")
        );
    }
}
