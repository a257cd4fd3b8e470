//! What events say of our own hearing: conversations the community was put out of.

use bytes::Bytes;
use priem_sdk::{contract::ConnectorId, json::Members, unheard::Unheard};

/// Takes from an event what it says of our hearing.
pub(super) fn note(unheard: &Unheard, connector: &ConnectorId, event: &Bytes) {
    let Some(event) = Members::of(event) else { return };
    if event.read::<String>("type").as_deref() != Some("message_new") {
        return;
    }
    let (Some(group), Some(object)) = (event.number("group_id"), event.object("object")) else {
        return;
    };
    let message = object.object("message").unwrap_or(object);
    let Some(peer) = message.number("peer_id") else { return };
    let part = format!("conversation {peer} of community {group}");
    let action = message.object("action");
    let is_kick = action.is_some_and(|action| {
        action.read::<String>("type").as_deref() == Some("chat_kick_user") && action.number("member_id") == Some(-group)
    });
    if is_kick {
        let why = format!("{part}: the community was put out of it; add it to the conversation again");
        unheard.lost(connector, &part, why);
    } else {
        unheard.heard(connector, &part);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_conversation_is_lost_when_the_community_is_put_out_and_nobody_else() {
        let (unheard, connector) = (Unheard::default(), ConnectorId::new("vk"));
        let told = |action: Value| {
            let message = json!({"peer_id": 2_000_000_001_i64, "from_id": 5, "text": "", "action": action});
            let event = json!({"type": "message_new", "group_id": 9, "object": {"message": message}});
            note(&unheard, &connector, &event.to_string().into());
            unheard.told()
        };
        assert!(told(json!({"type": "chat_kick_user", "member_id": 5})).is_empty());
        assert_eq!(told(json!({"type": "chat_kick_user", "member_id": -9})).len(), 1);
        assert!(told(Value::Null).is_empty(), "heard again");
    }
}
