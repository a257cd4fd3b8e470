//! The application's access token and what becomes of it when it expires: OK answers 102, and a refresh token, where
//! there is one, buys the next access token.
//!
//! Invariants: one renewal at a time, and none for a token that is not the newest any more; a renewed token lives in
//! memory only (after a restart the first 102 renews it again); no secret reaches an error.

use std::sync::Arc;

use priem_sdk::{
    ConnectorError, Secret,
    http::{HttpClient, HttpRequest, HttpResponse},
    secret::cleaned,
};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    api::Text,
    errors::{ErrorBody, Trouble, decide},
    sign::Signer,
};

/// Who speaks, for messages to operators.
const WHOM: &str = "refresh token of the application";

/// An access token and what signs its calls.
#[derive(Debug)]
pub(super) struct Session {
    pub token: Secret<String>,
    pub signer: Signer,
}

impl Session {
    /// A token with the secret it came with, or that of the application; `None` without either.
    pub fn new(
        token: Secret<String>,
        session_secret: Option<Secret<String>>,
        application_secret: Option<&Secret<String>>,
    ) -> Option<Self> {
        let signer = match session_secret {
            Some(session_secret) => Signer::with_session_secret(session_secret),
            None => Signer::from_application(&token, application_secret?),
        };
        Some(Self { token, signer })
    }
}

/// What renews access tokens.
#[derive(Debug)]
pub(super) struct Renewal {
    application_id: String,
    application_secret: Secret<String>,
    refresh_token: Secret<String>,
}

impl Renewal {
    pub fn new(application_id: &str, application_secret: Secret<String>, refresh_token: Secret<String>) -> Self {
        Self {
            application_id: application_id.to_owned(),
            application_secret,
            refresh_token,
        }
    }
}

/// The newest session of an application. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    http: HttpClient,
    url: String,
    /// Held while a renewal is under way.
    newest: Arc<Mutex<Option<Arc<Session>>>>,
    renewal: Option<Arc<Renewal>>,
}

/// The answer of the authorization server; of OAuth's own errors and OK's either may come.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    access_token: Text,
    session_secret_key: Text,
    error: Text,
    error_description: Text,
}

impl Sessions {
    pub fn new(http: HttpClient, api_url: &str, first: Option<Session>, renewal: Option<Renewal>) -> Self {
        Self {
            http,
            url: format!("{}/oauth/token.do", api_url.trim_end_matches('/')),
            newest: Arc::new(Mutex::new(first.map(Arc::new))),
            renewal: renewal.map(Arc::new),
        }
    }

    /// Whether there is a refresh token.
    pub fn can_renew(&self) -> bool {
        self.renewal.is_some()
    }

    /// The newest session; the first one is bought when none was given.
    pub async fn current(&self) -> Result<Arc<Session>, Trouble> {
        let mut newest = self.newest.lock().await;
        if let Some(session) = &*newest {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.renew().await?);
        Ok(Arc::clone(newest.insert(session)))
    }

    /// The session that follows one that has expired.
    pub async fn after(&self, expired: &Arc<Session>) -> Result<Arc<Session>, Trouble> {
        let mut newest = self.newest.lock().await;
        if let Some(session) = newest.as_ref().filter(|session| !Arc::ptr_eq(session, expired)) {
            // Another stream was faster.
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.renew().await?);
        Ok(Arc::clone(newest.insert(session)))
    }

    async fn renew(&self) -> Result<Session, Trouble> {
        let Some(renewal) = &self.renewal else {
            return Err(rejected("there is none"));
        };
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", renewal.refresh_token.expose()),
            ("client_id", &renewal.application_id),
            ("client_secret", renewal.application_secret.expose()),
        ];
        let request = HttpRequest::post(&self.url).form(form);
        let response = self.http.send(request.limit_key(&renewal.refresh_token)).await?;
        let secrets = [&renewal.refresh_token, &renewal.application_secret];
        let answer = read(response, &secrets)?;
        let (Some(token), session_secret) = (answer.access_token.into_text(), answer.session_secret_key.into_text())
        else {
            let why = format!("{WHOM}: the answer holds no access token");
            return Err(ConnectorError::Transient { why }.into());
        };
        let session_secret = session_secret.map(Secret::new);
        let session = Session::new(Secret::new(token), session_secret, Some(&renewal.application_secret));
        Ok(session.expect("the application's secret is given"))
    }
}

fn read(response: HttpResponse, secrets: &[&Secret<String>]) -> Result<Answer, Trouble> {
    if let Some((code, words)) = ErrorBody::of(&response.body) {
        return Err(decide(code, cleaned(&words, secrets), WHOM, &response));
    }
    match serde_json::from_slice::<Answer>(&response.body) {
        Ok(answer) if answer.error.text().is_some() => {
            let words = [&answer.error, &answer.error_description].map(|part| part.text().unwrap_or_default());
            Err(rejected(&cleaned(words.join(" ").trim(), secrets)))
        }
        Ok(answer) if response.is_success() => Ok(answer),
        _ => {
            let status = response.status;
            response.error_for_status()?;
            let why = format!("{WHOM}: the answer is not the JSON expected (status {status})");
            Err(ConnectorError::Transient { why }.into())
        }
    }
}

fn rejected(words: &str) -> Trouble {
    let hint = format!("{WHOM}: OK does not take it ({words}): log in again and give the new refresh token");
    ConnectorError::AuthRejected { hint }.into()
}
