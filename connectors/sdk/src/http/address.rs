//! Addresses of platforms in settings.

use crate::error::ConfigError;

/// Looks at the address of a platform's API: https anywhere, plain http on this machine only, nothing but scheme,
/// host and path. `example` is shown in the error.
///
/// # Errors
/// [`ConfigError`] for `key`.
pub fn validate_api_url(key: &str, url: &str, example: &str) -> Result<(), ConfigError> {
    let wrong = |problem: String| Err(ConfigError::new(key, problem));
    if let Some(rest) = url.strip_prefix("https://") {
        return if rest.is_empty() || rest.contains(['?', '#', '@']) {
            wrong(format!("write the server's address only, like {example}"))
        } else {
            Ok(())
        };
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return wrong("must start with https:// (or http:// for a server on this machine)".into());
    };
    let host = rest.split('/').next().unwrap_or_default();
    let is_loopback = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host == *name || host.strip_prefix(name).is_some_and(|port| port.starts_with(':')));
    if is_loopback {
        Ok(())
    } else {
        wrong("plain http would show the token to the network: use https://, http is for this machine only".into())
    }
}
