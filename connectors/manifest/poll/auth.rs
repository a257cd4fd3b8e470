//! Proving ourselves: fixed credentials, and OAuth 2 tokens that are fetched, kept and fetched again.
//!
//! Invariants: a token is kept until shortly before it expires and fetched by one task at a time; a refused token is
//! fetched anew once, and a second refusal needs a human; nothing here is ever printed.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use priem_sdk::{ConfigError, ConnectorError, HttpClient, HttpRequest, Secret, http::require_safe_address};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    config::{AuthSettings, ClientAuth, OauthSettings},
    refresh::Refresh,
};

/// A token is not used in the last part of its life: it must live until the answer.
const MARGIN: Duration = Duration::from_secs(30);
/// No token is kept longer, whatever the server says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What goes with every request.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// A header.
    Header(String, Secret<String>),
    /// A query parameter.
    Query(String, Secret<String>),
}

impl Credential {
    /// Adds it to a request. The rate limit counts by it.
    pub fn put_on(&self, request: HttpRequest) -> HttpRequest {
        match self {
            Self::None => request,
            Self::Header(name, value) => request.header(name, value.expose()),
            Self::Query(name, value) => request.query([(name.as_str(), value.expose().as_str())]),
        }
    }
}

/// Where credentials come from.
pub enum Authority {
    /// They never change.
    Fixed(Credential),
    /// They are fetched.
    Oauth(Box<Oauth>),
}

/// OAuth 2 with its token.
pub struct Oauth {
    url: String,
    form: Vec<(String, Secret<String>)>,
    basic: Option<Secret<String>>,
    default_life: Duration,
    held: Mutex<Held>,
}

/// What changes while we run.
#[derive(Default)]
struct Held {
    token: Option<Token>,
    refresh: Option<Refresh>,
}

#[derive(Clone)]
struct Token {
    value: Secret<String>,
    until: Instant,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed(***)",
            Self::Oauth(_) => "Oauth(***)",
        })
    }
}

impl Authority {
    /// Reads the secrets. Relative files start from `base_dir`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key below `auth`.
    pub fn new(settings: &AuthSettings, base_url: &str, base_dir: &Path) -> Result<Self, ConfigError> {
        let authorization = |value: String| Credential::Header("authorization".into(), Secret::new(value));
        Ok(Self::Fixed(match settings {
            AuthSettings::None => Credential::None,
            AuthSettings::Basic { user, password } => {
                let user = user.read("auth.user", base_dir)?;
                let password = password.read_for("auth.password", base_dir)?;
                authorization(basic(user.expose(), password.expose()))
            }
            AuthSettings::Bearer { token } => {
                let token = token.read_for("auth.token", base_dir)?;
                authorization(format!("Bearer {}", token.expose()))
            }
            AuthSettings::ApiKey { header, query, key } => {
                let key = key.read_for("auth.key", base_dir)?;
                match (header, query) {
                    (Some(header), None) => Credential::Header(header.to_ascii_lowercase(), key),
                    (None, Some(query)) => Credential::Query(query.clone(), key),
                    _ => return Err(ConfigError::new("auth", "give one of `header` and `query`")),
                }
            }
            AuthSettings::Oauth2(settings) => {
                return Ok(Self::Oauth(Box::new(Oauth::new(settings, base_url, base_dir)?)));
            }
        }))
    }

    /// The credential to use now; fetches a token when there is none.
    ///
    /// # Errors
    /// A decision for the host: [`ConnectorError::AuthRejected`] when the token server refuses.
    pub async fn credential(&self, http: &HttpClient) -> Result<Credential, ConnectorError> {
        match self {
            Self::Fixed(credential) => Ok(credential.clone()),
            Self::Oauth(oauth) => oauth.credential(http).await,
        }
    }

    /// The server refused this credential: whether asking for another one makes sense.
    pub async fn refused(&self, credential: &Credential) -> bool {
        let (Self::Oauth(oauth), Credential::Header(_, refused)) = (self, credential) else {
            return false;
        };
        let token = &mut oauth.held.lock().await.token;
        // Somebody else may have fetched a new one meanwhile.
        if token.as_ref().is_some_and(|token| token.value == *refused) {
            *token = None;
        }
        true
    }

    /// Name of the query parameter that holds a secret, when one does.
    pub fn secret_parameter(&self) -> Option<&str> {
        match self {
            Self::Fixed(Credential::Query(name, _)) => Some(name),
            _ => None,
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

impl Oauth {
    fn new(settings: &OauthSettings, base_url: &str, base_dir: &Path) -> Result<Self, ConfigError> {
        let url = if settings.token_url.starts_with('/') {
            format!("{}{}", base_url.trim_end_matches('/'), settings.token_url)
        } else {
            require_safe_address(
                "auth.token_url",
                &settings.token_url,
                "https://login.example.ru/oauth/token",
            )?;
            settings.token_url.clone()
        };
        let needed = |name: &str| ConfigError::new(format!("auth.{name}"), "is needed for this grant");
        let mut form = vec![("grant_type".to_owned(), Secret::new(settings.grant.as_str().to_owned()))];
        let further = settings.form.iter();
        form.extend(further.map(|(name, value)| (name.clone(), Secret::new(value.clone()))));
        let mut refresh = None;
        match settings.grant {
            super::config::Grant::Password => {
                let user = settings.username.as_ref().ok_or_else(|| needed("username"))?;
                let password = settings.password.as_ref().ok_or_else(|| needed("password"))?;
                form.push(("username".into(), user.read("auth.username", base_dir)?));
                form.push(("password".into(), password.read_for("auth.password", base_dir)?));
            }
            super::config::Grant::RefreshToken => {
                let token = settings.refresh_token.as_ref().ok_or_else(|| needed("refresh_token"))?;
                let given = token.read_for("auth.refresh_token", base_dir)?;
                let store = settings.refresh_token_store.as_ref().map(|path| base_dir.join(path));
                refresh = Some(Refresh::new(given, store)?);
            }
            super::config::Grant::ClientCredentials if settings.client_id.is_none() => {
                return Err(needed("client_id"));
            }
            super::config::Grant::ClientCredentials => {}
        }
        let id = match &settings.client_id {
            Some(id) => Some(id.read("auth.client_id", base_dir)?),
            None => None,
        };
        let secret = match &settings.client_secret {
            Some(secret) => Some(secret.read_for("auth.client_secret", base_dir)?),
            None => None,
        };
        let mut header = None;
        match (settings.client_auth, id) {
            (_, None) => {}
            (ClientAuth::Basic, Some(id)) => {
                let secret = secret.map(|secret| secret.expose().clone()).unwrap_or_default();
                header = Some(Secret::new(basic(id.expose(), &secret)));
            }
            (ClientAuth::Form, Some(id)) => {
                form.push(("client_id".into(), id));
                form.extend(secret.map(|secret| ("client_secret".to_owned(), secret)));
            }
        }
        let default_life = Duration::try_from(settings.expires_in)
            .map_err(|_| ConfigError::new("auth.expires_in", "must not be negative"))?;
        Ok(Self {
            url,
            form,
            basic: header,
            default_life,
            held: Mutex::new(Held { token: None, refresh }),
        })
    }

    async fn credential(&self, http: &HttpClient) -> Result<Credential, ConnectorError> {
        let mut held = self.held.lock().await;
        let Held { token, refresh } = &mut *held;
        let usable = token.as_ref().filter(|token| Instant::now() < token.until).cloned();
        let current = match usable {
            Some(current) => current,
            None => token.insert(self.fetch_with(http, refresh.as_mut()).await?).clone(),
        };
        Ok(Credential::Header("authorization".into(), current.value))
    }

    /// A token, by the refresh token when that is the grant: the newest one, and the one the operator gave when the
    /// server does not take the newest any more.
    async fn fetch_with(&self, http: &HttpClient, refresh: Option<&mut Refresh>) -> Result<Token, ConnectorError> {
        let Some(refresh) = refresh else {
            return Ok(self.fetch(http, None).await?.0);
        };
        let newest = refresh.current().clone();
        let (token, next) = match self.fetch(http, Some(&newest)).await {
            Err(ConnectorError::AuthRejected { .. }) if refresh.fall_back() => {
                let given = refresh.current().clone();
                self.fetch(http, Some(&given)).await?
            }
            answer => answer?,
        };
        refresh.take(next).await;
        Ok(token)
    }

    /// The token, and the refresh token that replaces the one used.
    async fn fetch(
        &self,
        http: &HttpClient,
        refresh_token: Option<&Secret<String>>,
    ) -> Result<(Token, Option<Secret<String>>), ConnectorError> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            #[serde(default)]
            expires_in: Option<f64>,
            #[serde(default)]
            refresh_token: Option<String>,
        }
        let fields = self
            .form
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose().as_str()))
            .chain(refresh_token.map(|token| ("refresh_token", token.expose().as_str())));
        let mut request = HttpRequest::post(&self.url).form(fields);
        if let Some(basic) = &self.basic {
            request = request.header("authorization", basic.expose());
        }
        let asked = Instant::now();
        let answer = http.send(request.header("accept", "application/json")).await?;
        if matches!(answer.status, 400 | 401 | 403) {
            return Err(ConnectorError::AuthRejected {
                hint: format!(
                    "the token server answered {}{}: check user, password, client id and secret",
                    answer.status,
                    oauth_error(&answer.body)
                ),
            });
        }
        let answer: Answer = answer.error_for_status()?.json()?;
        if answer.access_token.is_empty() {
            return Err(ConnectorError::transient("the token server gave an empty token"));
        }
        let life = match answer.expires_in {
            Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(self.default_life),
            None => self.default_life,
        };
        let life = life.min(LONGEST_LIFE);
        let token = Token {
            value: Secret::new(format!("Bearer {}", answer.access_token)),
            // A short-lived token is used for half of its life rather than never.
            until: asked + life.saturating_sub(MARGIN).max(life / 2),
        };
        let next = answer.refresh_token.filter(|token| !token.is_empty());
        Ok((token, next.map(Secret::new)))
    }
}

/// The code of an OAuth error (`invalid_grant`): a bounded word, unlike its description.
fn oauth_error(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error })
            if error.len() <= 40 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') =>
        {
            format!(" ({error})")
        }
        _ => String::new(),
    }
}
