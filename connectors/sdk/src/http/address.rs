//! Addresses of platform servers: a token is sent there, so it must neither travel in the clear nor to another host.

use reqwest::Url;

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

/// An address that an answer or a message names (absolute, or relative to `home`), when it has the scheme, host and port
/// of `home`: only there may credentials for `home` be sent.
pub fn resolve_at_home(home: &str, link: &str) -> Option<String> {
    let home = Url::parse(home).ok()?;
    let target = home.join(link).ok()?;
    let is_plain = target.username().is_empty() && target.password().is_none();
    (is_plain && target.has_host() && target.origin() == home.origin()).then(|| target.into())
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
    #[test]
    fn only_the_same_scheme_host_and_port_are_home() {
        let home = "https://pos.example.ru/api/list";
        for (link, found) in [
            ("/file/1", Some("https://pos.example.ru/file/1")),
            ("?page=2", Some("https://pos.example.ru/api/list?page=2")),
            ("https://POS.example.ru:443/x", Some("https://pos.example.ru/x")),
            ("//evil.example.ru/x", None),
            ("http://pos.example.ru/x", None),
            ("https://pos.example.ru:8443/x", None),
            ("https://pos.example.ru@evil.ru/x", None),
            ("https://user:pw@pos.example.ru/x", None),
            ("\\\\evil.ru\\x", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(resolve_at_home(home, link).as_deref(), found, "{link}");
        }
    }
}
