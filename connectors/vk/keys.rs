//! Our ids of VK's objects, from the ids that events and answers hold.

use super::{
    event::{Place, Subject},
    split::Glance,
};

/// Names of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Our id of the object.
    pub id: String,
    /// Our id of what it stands below: dialogue, post, topic, photo.
    pub conversation: String,
    /// VK's owner of the place; 0 for messages.
    pub owner: i64,
    /// VK's id of the place; the peer for messages.
    pub parent: i64,
    /// VK's id of the object.
    pub own: i64,
}

/// `None` when an id is missing or the community's number is none.
pub(super) fn names(subject: Subject, group: i64, glance: &Glance) -> Option<Names> {
    if group <= 0 {
        return None;
    }
    // Some ids of owners are unsigned in the schema: the community's own number means the community.
    let owner_of = |owner: Option<i64>| match owner.or(glance.owner_id) {
        Some(owner) if owner == group => -group,
        Some(owner) => owner,
        None => -group,
    };
    let (prefix, owner, parent) = match subject {
        Subject::Message => {
            let (peer, own) = (glance.peer_id?, glance.conversation_message_id?);
            if own <= 0 {
                return None;
            }
            let conversation = format!("im{group}_{peer}");
            return Some(Names {
                id: format!("{conversation}_{own}"),
                conversation,
                owner: 0,
                parent: peer,
                own,
            });
        }
        Subject::Post => {
            let (owner, own) = (owner_of(None), glance.id?);
            let id = format!("wall{owner}_{own}");
            return Some(Names {
                conversation: id.clone(),
                id,
                owner,
                parent: own,
                own,
            });
        }
        Subject::Comment(place) => match place {
            Place::Wall => (place.prefix(), owner_of(glance.post_owner_id), glance.post_id?),
            Place::Board => (place.prefix(), owner_of(glance.topic_owner_id), glance.topic_id?),
            Place::Photo => (
                place.prefix(),
                owner_of(glance.photo_owner_id),
                glance.photo_id.or(glance.pid)?,
            ),
            Place::Video => (place.prefix(), owner_of(glance.video_owner_id), glance.video_id?),
            Place::Market => (place.prefix(), owner_of(glance.market_owner_id), glance.item_id?),
        },
    };
    let own = glance.id?;
    let conversation = format!("{prefix}{owner}_{parent}");
    Some(Names {
        id: format!("{conversation}_{own}"),
        conversation,
        owner,
        parent,
        own,
    })
}
