//! `users.get`: names, in batches.

use serde_json::Value;

use super::{ApiError, Call};
use crate::vk::tokens::TokenKind;

/// People in one call.
const MOST: usize = 1000;

pub(super) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    let asked = call.arguments.list("user_ids");
    if asked.len() > MOST {
        call.violate("more than 1000 people at once");
        return Err(ApiError::parameter("user_ids: too many ids"));
    }
    if asked.is_empty() {
        return match call.kind {
            TokenKind::User(own) => Ok(call.network.profiles([own]).into()),
            // A community and an application are nobody.
            _ => Ok(Value::Array(Vec::new())),
        };
    }
    let mut ids = Vec::with_capacity(asked.len());
    for text in asked {
        match text.parse::<i64>() {
            Ok(id) if id > 0 => ids.push(id),
            Ok(_) => call.violate("a community is asked for as a person"),
            Err(_) => return Err(ApiError::new(113, "Invalid user id")),
        }
    }
    Ok(call.network.profiles(ids).into())
}
