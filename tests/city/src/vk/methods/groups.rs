//! `groups.*` about the community itself, its token and its long poll server.

use serde_json::{Value, json};

use super::{ApiError, Call};
use crate::vk::{
    events::{KINDS, Settings, parse_version},
    tokens::TokenKind,
};

/// Names of rights with their bit in the mask.
const RIGHTS: &[(&str, u64)] = &[
    ("photos", 4),
    ("app_widget", 64),
    ("messages", 4096),
    ("wall", 8192),
    ("docs", 131_072),
    ("manage", 262_144),
];

pub(super) fn get_by_id(call: &Call<'_>) -> Result<Value, ApiError> {
    let mut ids = call.arguments.list("group_ids");
    ids.extend(call.arguments.text("group_id"));
    let own = match call.kind {
        TokenKind::Community(own) => Some(own),
        _ => None,
    };
    if ids.is_empty() {
        let own = own.ok_or_else(|| ApiError::parameter("group_ids is undefined"))?;
        let group = call.group(own)?.lock().group_object();
        return Ok(json!({"groups": [group], "profiles": []}));
    }
    if ids.len() > 500 {
        call.violate("more than 500 communities at once");
    }
    let mut groups = Vec::new();
    for text in ids {
        let number = text
            .strip_prefix("club")
            .or(text.strip_prefix("public"))
            .unwrap_or(text);
        let found = number.parse().ok().and_then(|id| call.network.community(id));
        let found = found.ok_or_else(|| ApiError::new(125, "Invalid group id"))?;
        groups.push(found.lock().group_object());
    }
    Ok(json!({"groups": groups, "profiles": []}))
}

pub(super) fn get_token_permissions(call: &Call<'_>) -> Result<Value, ApiError> {
    let tokens = call.network.tokens.lock();
    let rights = call
        .arguments
        .text("access_token")
        .and_then(|token| Some(&tokens.get(token)?.rights));
    let has = |name: &str| rights.is_some_and(|rights| rights.contains(name));
    let held = RIGHTS.iter().filter(|(name, _)| has(name));
    let mask: u64 = held.clone().map(|(_, bit)| bit).sum();
    let permissions: Vec<Value> = held.map(|(name, bit)| json!({"name": name, "setting": bit})).collect();
    Ok(json!({"mask": mask, "permissions": permissions}))
}

pub(super) fn get_long_poll_server(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let mut state = community.lock();
    if !state.long_poll_enabled {
        return Err(ApiError::parameter("longpoll for this group is not enabled"));
    }
    let key = state.take_key(call.network.now());
    let server = format!("http://{}/lp/{}", call.network.address, state.id);
    Ok(json!({"key": key, "server": server, "ts": state.ts.to_string()}))
}

pub(super) fn get_long_poll_settings(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let state = community.lock();
    Ok(
        json!({"api_version": state.settings.version, "events": state.settings.map(),
        "is_enabled": state.long_poll_enabled}),
    )
}

pub(super) fn set_long_poll_settings(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = call.managed_group()?;
    let mut state = community.lock();
    if call.arguments.text("enabled").is_some() {
        state.long_poll_enabled = call.arguments.flag("enabled");
    }
    apply(call, &mut state.settings)?;
    Ok(1.into())
}

/// Takes version and switches from the arguments.
pub(super) fn apply(call: &Call<'_>, settings: &mut Settings) -> Result<(), ApiError> {
    if let Some(version) = call.arguments.text("api_version") {
        if parse_version(version).is_none() {
            return Err(ApiError::parameter("api_version is invalid"));
        }
        version.clone_into(&mut settings.version);
    }
    for kind in KINDS {
        if call.arguments.text(kind).is_some() {
            settings.switch(kind, call.arguments.flag(kind));
        }
    }
    Ok(())
}

pub(super) fn resolve_screen_name(call: &Call<'_>) -> Result<Value, ApiError> {
    let name = call.arguments.text("screen_name").unwrap_or_default();
    let group = name.strip_prefix("club").or(name.strip_prefix("public"));
    let group = group.and_then(|id| id.parse().ok());
    Ok(match group.and_then(|id| call.network.community(id)) {
        Some(community) => json!({"type": "group", "object_id": community.lock().id}),
        // The platform answers an unknown name with an empty list.
        None => json!([]),
    })
}
