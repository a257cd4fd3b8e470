//! A webhook with its secrets read: the address a platform calls, and what its deliveries prove before their body is
//! read.

use crate::{
    contract::HookRequest,
    error::{ConfigError, Refusal},
    secret::Secret,
};

use super::{PathSecret, SharedSecret, SourceNetworks, require_header_secret, require_method};

/// Longest secret that platforms repeat in a header.
const LONGEST_HEADER_SECRET: usize = 256;

/// See the module. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Hook {
    networks: SourceNetworks,
    path: PathSecret,
    header: Option<(&'static str, SharedSecret)>,
    base: String,
    url: Secret<String>,
}

impl Hook {
    /// A webhook at `base` (it ends with a slash) and the unguessable `path`, the setting `webhook.path`.
    ///
    /// # Errors
    /// [`ConfigError`] when the path can be guessed.
    pub fn new(base: String, path: &Secret<String>, networks: SourceNetworks) -> Result<Self, ConfigError> {
        Ok(Self {
            networks,
            path: PathSecret::new(path, "webhook.path")?,
            header: None,
            url: Secret::new(format!("{base}{}", path.expose())),
            base,
        })
    }

    /// The same whose deliveries must also hold `secret` in a header. `key` is its dotted key and `least` its shortest
    /// length, both for the error, with the name of the platform.
    ///
    /// # Errors
    /// [`ConfigError`] when it is none that the platform takes.
    pub fn with_header(
        mut self,
        header: &'static str,
        secret: &Secret<String>,
        (key, platform, least): (&str, &str, usize),
    ) -> Result<Self, ConfigError> {
        let text = secret.expose();
        if !(least..=LONGEST_HEADER_SECRET).contains(&text.len()) || !text.bytes().all(super::is_plain) {
            return Err(ConfigError::new(
                key,
                format!(
                    "{platform} takes {least} to {LONGEST_HEADER_SECRET} of A-Z a-z 0-9 _ -: make one with `openssl rand \
                     -hex 32`"
                ),
            ));
        }
        self.header = Some((header, SharedSecret::new(secret)));
        Ok(self)
    }

    /// The full address the platform calls.
    pub fn url(&self) -> &Secret<String> {
        &self.url
    }

    /// Whether this very address is registered.
    pub fn is_at(&self, url: &str) -> bool {
        url == self.url.expose()
    }

    /// Whether an address was made by this very connector, maybe with another path secret.
    pub fn is_ours(&self, url: &str) -> bool {
        is_below(&self.base, url)
    }

    /// Proves the sender of a request by its head: network, path, header, method.
    ///
    /// # Errors
    /// The [`Refusal`] of the first proof that does not hold.
    pub fn require(&self, head: &HookRequest) -> Result<(), Refusal> {
        self.require_at(head, &head.path)
    }

    /// The same of a request whose path holds more than the unguessable part, `path`.
    ///
    /// # Errors
    /// As [`Hook::require`].
    pub fn require_at(&self, head: &HookRequest, path: &str) -> Result<(), Refusal> {
        self.networks.require(head.peer)?;
        self.path.require(path)?;
        if let Some((header, secret)) = &self.header {
            require_header_secret(head, header, secret)?;
        }
        require_method(head, "POST")
    }
}

/// Whether an address is `base` (which ends with a slash) and one part more.
pub fn is_below(base: &str, url: &str) -> bool {
    url.strip_prefix(base).is_some_and(|rest| !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PATH: &str = "0123456789abcdef0123456789abcdef";

    fn hook() -> Hook {
        let networks: SourceNetworks = serde_json::from_str(r#"["149.154.160.0/20"]"#).expect("networks");
        let base = "https://priem.example.ru/hooks/bot/".to_owned();
        Hook::new(base, &Secret::new(PATH.into()), networks)
            .and_then(|hook| hook.with_header("x-secret", &Secret::new("secret_1".into()), ("k", "X", 5)))
            .expect("good secrets")
    }

    #[test]
    fn every_proof_must_hold_and_the_first_that_does_not_is_told() {
        let mut request = HookRequest::post("", "").with_header("x-secret", HeaderValue::from_static("guess"));
        request.method = "GET".into();
        let hook = hook();
        assert_eq!(hook.require(&request), Err(Refusal::ForeignNetwork));
        request.peer = "149.154.167.220".parse().expect("an address");
        assert_eq!(hook.require(&request), Err(Refusal::WrongPath));
        assert_eq!(hook.require_at(&request, PATH), Err(Refusal::Forbidden));
        request.path = format!("/{PATH}/");
        assert_eq!(hook.require(&request), Err(Refusal::Forbidden));
        request.headers.clear();
        assert_eq!(hook.require(&request), Err(Refusal::Unauthenticated));
        request = request.with_header("x-secret", HeaderValue::from_static("secret_1"));
        assert_eq!(hook.require(&request), Err(Refusal::MethodNotAllowed));
        request.method = "POST".into();
        assert_eq!(hook.require(&request), Ok(()));
    }

    #[test]
    fn our_addresses_are_known_also_with_an_older_path() {
        let (hook, ours) = (hook(), format!("https://priem.example.ru/hooks/bot/{PATH}"));
        assert!(hook.is_at(&ours) && hook.is_ours(&ours) && *hook.url().expose() == ours);
        let older = "https://priem.example.ru/hooks/bot/an-older-path";
        assert!(hook.is_ours(older) && !hook.is_at(older));
        for other in [
            "https://priem.example.ru/hooks/bot-2/x",
            "https://priem.example.ru/hooks/bot/x/y",
            "",
        ] {
            assert!(!hook.is_ours(other), "{other}");
        }
        assert!(!format!("{hook:?}").contains(PATH));
    }

    #[test]
    fn a_header_secret_is_what_the_platform_takes() {
        for wrong in ["", "abcd", "с буквами", "a b c d", &"a".repeat(257)] {
            let error = hook().with_header("x-secret", &Secret::new(wrong.into()), ("webhook.secret", "MAX", 5));
            let error = error.expect_err(wrong).to_string();
            assert!(error.starts_with("webhook.secret: MAX takes 5 to 256"), "{error}");
        }
    }
}
