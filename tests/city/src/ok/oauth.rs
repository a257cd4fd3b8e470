//! The authorization server, as far as a running client needs it: an expired access token is renewed.

use axum::http::Method;
use serde_json::{Value, json};

use super::{City, serve::Call, sign};

/// Life of an access token it tells, s. The platform's own figure is not published.
const LIFE: i64 = 1800;

/// Answers `token.do`.
pub(super) fn answer(city: &City, call: &Call) -> Value {
    let mut world = city.world.lock();
    *world.calls.entry("oauth/token.do".to_owned()).or_default() += 1;
    if call.method != Method::POST || !call.query.is_empty() {
        world.violate("secrets in the address of the authorization server");
    }
    let number = world.number();
    let Some(application) = &mut world.application else {
        return refusal("invalid_client");
    };
    let Some((id, refresh_token)) = &application.refresh else {
        return refusal("unauthorized_client");
    };
    if call.text("grant_type") != "refresh_token" {
        return refusal("unsupported_grant_type");
    }
    if call.text("client_id") != id || call.text("client_secret") != application.secret {
        return refusal("invalid_client");
    }
    if call.text("refresh_token") != refresh_token {
        return refusal("invalid_grant");
    }
    let renewed = format!("tkn-renewed-{number}");
    let old = std::mem::replace(&mut application.access_token, renewed);
    application.expired.push(old);
    application.session_secret = sign::session_secret(&application.access_token, &application.secret);
    application.revoked = false;
    json!({"access_token": application.access_token, "token_type": "session", "expires_in": LIFE})
}

fn refusal(error: &str) -> Value {
    json!({"error": error, "error_description": "SCRIPTED"})
}
