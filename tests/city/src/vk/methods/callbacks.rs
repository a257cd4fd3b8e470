//! `groups.*` about callback servers.

use serde_json::{Value, json};

use super::{ApiError, Call, groups::apply};
use crate::vk::{callback, events::Settings, state::Server};

/// Servers a community may have.
const MOST_SERVERS: usize = 10;

pub(super) fn get_confirmation_code(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let code = community.lock().confirmation.clone();
    Ok(json!({"code": code}))
}

pub(super) fn get_servers(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let state = community.lock();
    let wanted = call.arguments.list("server_ids");
    let is_wanted = |server: &&Server| wanted.is_empty() || wanted.contains(&server.id.to_string().as_str());
    let items: Vec<Value> = state
        .servers
        .iter()
        .filter(is_wanted)
        .map(|server| {
            json!({"id": server.id, "title": server.title, "creator_id": 1, "url": server.url,
                "secret_key": server.secret, "status": server.status})
        })
        .collect();
    Ok(json!({"count": items.len(), "items": items}))
}

pub(super) fn get_settings(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let id = call.arguments.required("server_id")?;
    let mut state = community.lock();
    let server = state.server_mut(id).ok_or_else(|| ApiError::new(104, "Not found"))?;
    Ok(json!({"api_version": server.settings.version, "events": server.settings.map()}))
}

pub(super) fn set_settings(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let id = call.arguments.required("server_id")?;
    let mut state = community.lock();
    let server = state.server_mut(id).ok_or_else(|| ApiError::new(104, "Not found"))?;
    apply(call, &mut server.settings)?;
    Ok(1.into())
}

pub(super) fn add_server(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let (url, title, secret) = registration(call)?;
    if community.lock().servers.len() >= MOST_SERVERS {
        return Err(ApiError::new(2000, "Cannot add more servers"));
    }
    let id = callback::register(call.network, &community, &url, &title, &secret, Settings::all_off());
    Ok(json!({"server_id": id}))
}

pub(super) fn edit_server(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let id = call.arguments.required("server_id")?;
    let (url, title, secret) = registration(call)?;
    {
        let mut state = community.lock();
        let server = state.server_mut(id).ok_or_else(|| ApiError::new(104, "Not found"))?;
        server.url = url;
        server.title = title;
        server.secret = secret;
        server.status = "wait";
    }
    callback::confirm(call.network, &community, id);
    Ok(1.into())
}

pub(super) fn delete_server(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let id = call.arguments.required("server_id")?;
    let mut state = community.lock();
    let before = state.servers.len();
    state.servers.retain(|server| server.id != id);
    if state.servers.len() == before {
        return Err(ApiError::new(104, "Not found"));
    }
    Ok(1.into())
}

fn registration(call: &Call<'_>) -> Result<(String, String, String), ApiError> {
    let text = |name| call.arguments.text(name).unwrap_or_default().to_owned();
    let (url, title, secret) = (text("url"), text("title"), text("secret_key"));
    let is_allowed =
        url.starts_with("https://") || (call.network.options.allow_http_callbacks && url.starts_with("http://"));
    if !is_allowed {
        return Err(ApiError::parameter("url is invalid"));
    }
    if title.chars().count() > 14 {
        return Err(ApiError::parameter("title is too long"));
    }
    if secret.chars().count() > 50 {
        return Err(ApiError::parameter("secret_key is too long"));
    }
    Ok((url, title, secret))
}
