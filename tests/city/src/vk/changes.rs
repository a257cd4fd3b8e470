//! What happens to something after it was written: edits, deletions, restorations. The platform announces them for
//! comments only; about posts and private messages of citizens it is silent.

use serde_json::Value;

use super::{
    Citizen, Community,
    announce::kinds_of,
    ledger::{Place, Written},
    state::{self, comments_of},
};

impl Community {
    /// The author changes the text. Nothing is announced where the platform is silent: for posts, and for private
    /// messages of citizens.
    pub fn edit(&self, what: &Written, text: &str) {
        let now = self.network.unix();
        let event = {
            let mut state = self.state.lock();
            match what.place {
                Place::Dialog { peer } => edit_message(&mut state, peer, what.id, text, now),
                Place::Wall | Place::Suggestion => {
                    if let Some(post) = state.posts.iter_mut().find(|post| post.id == what.id) {
                        text.clone_into(&mut post.text);
                        post.edited = Some(now);
                    }
                    None
                }
                place => {
                    let comment = comments_of(&mut state, place).and_then(|comments| comments.find_mut(what.id));
                    comment.map(|comment| {
                        text.clone_into(&mut comment.text);
                        (kinds_of(place)[1], self.comment_object(comment, place))
                    })
                }
            }
        };
        self.network.ledger.lock().change(what, |entry| {
            let former = std::mem::replace(&mut entry.text, text.to_owned());
            entry.former.push(former);
        });
        if let Some((kind, object)) = event {
            self.announce(kind, object, Some(*what));
        }
    }

    /// Somebody deletes it. Announced for comments only.
    pub fn delete(&self, what: &Written, by: &Citizen) {
        let now = self.network.unix();
        let event = {
            let mut state = self.state.lock();
            match what.place {
                Place::Dialog { peer } => {
                    if let Some(messages) = state.dialogs.get_mut(&peer) {
                        messages.retain(|message| message["conversation_message_id"] != what.id);
                    }
                    None
                }
                Place::Wall | Place::Suggestion => {
                    if let Some(post) = state.posts.iter_mut().find(|post| post.id == what.id) {
                        post.deleted = true;
                    }
                    None
                }
                place => {
                    let comment = comments_of(&mut state, place).and_then(|comments| comments.find_mut(what.id));
                    comment.map(|comment| {
                        comment.deleted = true;
                        (kinds_of(place)[2], self.deletion_object(comment, place, by.id))
                    })
                }
            }
        };
        self.network
            .ledger
            .lock()
            .change(what, |entry| entry.deleted_at = Some(now));
        if let Some((kind, object)) = event {
            self.announce(kind, object, Some(*what));
        }
    }

    /// A deleted comment comes back.
    pub fn restore(&self, what: &Written) {
        let event = {
            let mut state = self.state.lock();
            let comment = comments_of(&mut state, what.place).and_then(|comments| comments.find_mut(what.id));
            comment.map(|comment| {
                comment.deleted = false;
                (kinds_of(what.place)[3], self.comment_object(comment, what.place))
            })
        };
        self.network.ledger.lock().change(what, |entry| entry.deleted_at = None);
        if let Some((kind, object)) = event {
            self.announce(kind, object, Some(*what));
        }
    }
}

/// Changes a message; an event only when the community wrote it.
fn edit_message(
    state: &mut state::Community,
    peer: i64,
    cmid: i64,
    text: &str,
    now: i64,
) -> Option<(&'static str, Value)> {
    let messages = state.dialogs.get_mut(&peer)?;
    let message = messages
        .iter_mut()
        .find(|message| message["conversation_message_id"] == cmid)?;
    message["text"] = text.into();
    message["update_time"] = now.into();
    (message["out"] == 1).then(|| ("message_edit", message.clone()))
}
