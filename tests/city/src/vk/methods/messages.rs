//! `messages.*`: dialogs of a community, newest first, and messages by their numbers.

use serde_json::{Value, json};

use super::{ApiError, Call};
use crate::vk::{network::SharedCommunity, tokens::TokenKind};

/// Peers above this are group chats.
const CHATS: i64 = 2_000_000_000;

pub(super) fn get_conversations(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = dialogs_of(call)?;
    let count = call.count(20, 200)?;
    let offset = call.offset()?;
    let state = community.lock();
    let mut dialogs: Vec<(i64, &Value)> = state
        .dialogs
        .iter()
        .filter_map(|(peer, messages)| Some((*peer, messages.last()?)))
        .collect();
    dialogs.sort_by_key(|(_, last)| std::cmp::Reverse((last["date"].as_i64(), last["id"].as_i64())));
    let all = dialogs.len();
    let items: Vec<Value> = dialogs
        .into_iter()
        .skip(offset)
        .take(count)
        .map(|(peer, last)| json!({"conversation": conversation(peer, last), "last_message": last}))
        .collect();
    let peers = items
        .iter()
        .filter_map(|item| item["conversation"]["peer"]["id"].as_i64())
        .collect();
    drop(state);
    let mut answer = json!({"count": all, "items": items});
    call.extend(&mut answer, peers);
    Ok(answer)
}

fn conversation(peer: i64, last: &Value) -> Value {
    let (kind, local) = match peer {
        CHATS.. => ("chat", peer - CHATS),
        0.. => ("user", peer),
        _ => ("group", -peer),
    };
    let number = &last["id"];
    let cmid = &last["conversation_message_id"];
    json!({"peer": {"id": peer, "type": kind, "local_id": local}, "last_message_id": number, "in_read": number,
        "out_read": number, "last_conversation_message_id": cmid, "version": last["version"],
        "sort_id": {"major_id": 0, "minor_id": number}, "important": false, "unanswered": true,
        "is_marked_unread": false, "can_write": {"allowed": true}})
}

pub(super) fn get_history(call: &Call<'_>) -> Result<Value, ApiError> {
    let community = dialogs_of(call)?;
    let count = call.count(20, 200)?;
    let offset = call.arguments.integer("offset")?.unwrap_or(0);
    let peer = match call.arguments.integer("peer_id")? {
        Some(peer) => peer,
        None => call.arguments.required("user_id")?,
    };
    let state = community.lock();
    let Some(messages) = state.dialogs.get(&peer) else {
        return Err(ApiError::new(917, "You don't have access to this chat"));
    };
    let mut ordered: Vec<&Value> = messages.iter().collect();
    let ascending = call.arguments.flag("rev");
    if !ascending {
        ordered.reverse();
    }
    let start = call.arguments.integer("start_message_id")?;
    let begin = start.map_or(0, |start| {
        let before = |message: &&Value| {
            let id = message["id"].as_i64().unwrap_or_default();
            if ascending { id < start } else { id > start }
        };
        ordered.iter().take_while(|message| before(message)).count()
    });
    let begin = usize::try_from(begin as i64 + offset).unwrap_or(0);
    let items: Vec<Value> = ordered.into_iter().skip(begin).take(count).cloned().collect();
    let authors = authors(&items);
    let all = messages.len();
    drop(state);
    let mut answer = json!({"count": all, "items": items});
    call.extend(&mut answer, authors);
    Ok(answer)
}

pub(super) fn get_by_id(call: &Call<'_>) -> Result<Value, ApiError> {
    if call.arguments.text("cmids").is_some() {
        return by_number(call, "cmids");
    }
    let community = dialogs_of(call)?;
    let wanted = numbers(call, "message_ids")?;
    let state = community.lock();
    let of_wanted = |message: &&Value| message["id"].as_i64().is_some_and(|id| id != 0 && wanted.contains(&id));
    let items: Vec<Value> = state.dialogs.values().flatten().filter(of_wanted).cloned().collect();
    drop(state);
    Ok(listed(call, items))
}

pub(super) fn get_by_conversation_message_id(call: &Call<'_>) -> Result<Value, ApiError> {
    by_number(call, "conversation_message_ids")
}

fn by_number(call: &Call<'_>, parameter: &str) -> Result<Value, ApiError> {
    let community = dialogs_of(call)?;
    let peer = call.arguments.required("peer_id")?;
    let wanted = numbers(call, parameter)?;
    let state = community.lock();
    let messages = state.dialogs.get(&peer).map(Vec::as_slice).unwrap_or_default();
    let of_wanted = |message: &&Value| {
        let number = message["conversation_message_id"].as_i64();
        number.is_some_and(|number| wanted.contains(&number))
    };
    let items: Vec<Value> = messages.iter().filter(of_wanted).cloned().collect();
    drop(state);
    Ok(listed(call, items))
}

fn listed(call: &Call<'_>, items: Vec<Value>) -> Value {
    let authors = authors(&items);
    let mut answer = json!({"count": items.len(), "items": items});
    call.extend(&mut answer, authors);
    answer
}

fn authors(items: &[Value]) -> Vec<i64> {
    items.iter().filter_map(|item| item["from_id"].as_i64()).collect()
}

fn numbers(call: &Call<'_>, parameter: &str) -> Result<Vec<i64>, ApiError> {
    let texts = call.arguments.list(parameter);
    if texts.len() > 100 {
        call.violate("more than 100 messages at once");
    }
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| ApiError::parameter(&format!("{parameter} is invalid")))
    };
    texts.into_iter().map(parse).collect()
}

/// The community whose dialogs are asked for: that of the token, or the one a manager names.
fn dialogs_of(call: &Call<'_>) -> Result<SharedCommunity, ApiError> {
    let named = call.arguments.integer("group_id")?;
    match (call.kind, named) {
        (TokenKind::Community(own), None) => call.group(own),
        (TokenKind::Community(own), Some(named)) if own != named => Err(ApiError::new(15, "Access denied")),
        (_, Some(named)) => call.group(named),
        (_, None) => Err(ApiError::parameter("group_id is undefined")),
    }
}
