//! What updates say of our own hearing: chats the bot was put out of, or lost the right to read everything in.

use bytes::Bytes;
use priem_sdk::{contract::ConnectorId, json::Members, unheard::Unheard};

/// The right without which a bot hears nobody in a group.
const READ_ALL: &str = "read_all_messages";

/// Takes from an update what it says of our hearing.
pub(super) fn note(unheard: &Unheard, connector: &ConnectorId, update: &Bytes) {
    let Some(update) = Members::of(update) else { return };
    let kind: String = update.read("update_type").unwrap_or_default();
    let chat = update.number("chat_id").or_else(|| {
        let message = update.object("message")?;
        message.object("recipient")?.number("chat_id")
    });
    let Some(chat) = chat else { return };
    let part = format!("chat {chat}");
    let lost = |what: &str| unheard.lost(connector, &part, format!("{part}: {what}"));
    match kind.as_str() {
        "bot_removed" => lost("the bot was put out of it; add it again, as an administrator who reads all messages"),
        "bot_admin_permissions_changed" => match update.read::<Vec<String>>("permissions") {
            Some(rights) if !rights.iter().any(|right| right == READ_ALL) => {
                lost("the bot may not read all messages any more; give the right back to it");
            }
            Some(_) => unheard.heard(connector, &part),
            None => {}
        },
        // What others say of the chat we also hear without rights.
        "bot_added" | "message_created" | "message_edited" => unheard.heard(connector, &part),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_chat_is_lost_with_the_bot_or_its_right_and_heard_again_later() {
        let (unheard, connector) = (Unheard::default(), ConnectorId::new("max"));
        let told = |update: Value| {
            note(&unheard, &connector, &update.to_string().into());
            unheard.told()
        };
        let removed = json!({"update_type": "bot_removed", "chat_id": -7, "is_channel": false});
        let without = json!({"update_type": "bot_admin_permissions_changed", "chat_id": -7, "permissions": ["write"]});
        let with = json!({"update_type": "bot_admin_permissions_changed", "chat_id": -7, "permissions": [READ_ALL]});
        let added = json!({"update_type": "bot_added", "chat_id": -7});
        let said = json!({"update_type": "message_created", "message": {"recipient": {"chat_id": -7}}});
        assert!(told(removed.clone())[0].starts_with("chat -7: the bot was put out"));
        assert!(told(added).is_empty());
        assert_eq!(told(without).len(), 1);
        assert!(told(with).is_empty());
        assert_eq!(told(removed).len(), 1);
        assert!(told(said).is_empty());
        assert!(told(json!({"update_type": "user_added", "chat_id": -7})).is_empty());
    }
}
