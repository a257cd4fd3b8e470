//! Addresses of platform servers in settings: a token is sent there, so it must not travel in the clear.

use crate::error::ConfigError;

/// Accepts `https://…`, and `http://…` for this machine only. `example` is the platform's own address, for the cure.
///
/// # Errors
/// [`ConfigError`] naming `key`; the address is not quoted, for it may hold a password.
pub fn require_safe_address(key: &str, address: &str, example: &str) -> Result<(), ConfigError> {
    let wrong = |problem: String| Err(ConfigError::new(key, problem));
    if let Some(rest) = address.strip_prefix("https://") {
        return if rest.is_empty() || rest.contains(['?', '#', '@']) {
            wrong(format!("write the server's address only, like {example}"))
        } else {
            Ok(())
        };
    }
    if !address.starts_with("http://") {
        return wrong("must start with https:// (or http:// for a server on this machine)".into());
    }
    if is_loopback(address) {
        Ok(())
    } else {
        wrong("plain http would show the token to the network: use https://, http is for this machine only".into())
    }
}

/// Whether an `http://` or `https://` address names this machine.
pub fn is_loopback(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host == *name || host.strip_prefix(name).is_some_and(|port| port.starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_travels_in_the_clear() {
        for address in [
            "https://api.vk.com",
            "http://127.0.0.1:80/x",
            "http://[::1]:9",
            "http://localhost",
        ] {
            assert_eq!(
                require_safe_address("api_url", address, "https://x"),
                Ok(()),
                "{address}"
            );
        }
        for address in [
            "http://api.vk.com",
            "http://localhost.example.ru",
            "http://127.0.0.1.example.ru",
            "http://x@127.0.0.1",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x?a",
        ] {
            let error = require_safe_address("api_url", address, "https://x").expect_err(address);
            assert_eq!(error.key, "api_url");
            assert!(!error.problem.contains("u:p"));
        }
    }
}
