//! A lively community: each act is something a citizen does, drawn from a seeded crowd. For the demo.

use serde_json::json;

use super::{Citizen, Community, Words, Written};
use crate::voices::Crowd;

/// A community's surroundings: who writes, and what was written last.
#[derive(Debug)]
pub struct Life {
    community: Community,
    crowd: Crowd,
    post: Written,
    topic: Written,
    last: Option<(Written, Citizen)>,
    edits: u64,
}

impl Life {
    /// Life around a community; the same crowd acts the same. A post and a discussion are there from the start: events
    /// of theirs are in the history before anybody polls.
    pub fn new(community: Community, crowd: Crowd) -> Self {
        let post = community.post("Принимаем вопросы о благоустройстве. Отвечаем до пятницы.");
        let topic = community.open_topic(&community.itself(), "Вопросы и ответы", "Пишите здесь");
        Self {
            community,
            crowd,
            post,
            topic,
            last: None,
            edits: 0,
        }
    }

    /// Somebody does something, and one event is made of it: mostly a private message or a comment, else an answer, a
    /// proposal, a post in the discussion, an edit, a deletion, rarely a kind of event nobody has heard of.
    pub fn act(&mut self) {
        let citizen = Citizen::from(&self.crowd.person());
        let voice = self.crowd.voice().text;
        if self.crowd.once_in(100) {
            self.community
                .push("hologram_new", json!({"says": voice, "from_id": citizen.id}));
        } else if self.crowd.once_in(15)
            && let Some((comment, _)) = &self.last
        {
            self.edits += 1;
            self.community
                .edit(comment, &format!("{voice} (уточнение {})", self.edits));
        } else if self.crowd.once_in(40)
            && let Some((comment, author)) = self.last.take()
        {
            self.community.delete(&comment, &author);
        } else if self.crowd.once_in(3) {
            let on = match &self.last {
                Some((comment, _)) if self.crowd.once_in(3) => *comment,
                _ => self.post,
            };
            let comment = self.community.comment(&on, &citizen, voice);
            self.last = Some((comment, citizen));
        } else if self.crowd.once_in(12) {
            self.community.suggest(&citizen, voice);
        } else if self.crowd.once_in(10) {
            self.community.comment(&self.topic, &citizen, voice);
        } else if self.crowd.once_in(10) {
            let place = json!({"type": "point", "coordinates": {"latitude": 55.7512, "longitude": 37.6184}});
            self.community.write(&citizen, Words::new(voice).with("geo", place));
        } else {
            self.community.write(&citizen, voice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vk::{Options, VkCity};

    #[tokio::test]
    async fn acts_repeat_and_every_one_makes_an_event() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let city = VkCity::start(Options::default()).await.expect("a free port");
            let community = city.community(5);
            let mut life = Life::new(community.clone(), Crowd::new(11, 30));
            let before = community.pending();
            for _ in 0..1000 {
                life.act();
            }
            assert_eq!(community.pending() - before, 1000);
            let counts = city.ledger_counts();
            assert!(
                ["dialog", "wall_comment", "suggestion", "board"]
                    .iter()
                    .all(|kind| counts[kind] > 20),
                "{counts:?}"
            );
            let mut ledger = city.ledger();
            assert!(
                ledger
                    .iter()
                    .any(|entry| entry.deleted_at.is_some() && !entry.former.is_empty())
            );
            for entry in &mut ledger {
                (entry.at, entry.deleted_at) = (0, None);
            }
            runs.push(ledger);
        }
        assert_eq!(runs[0], runs[1]);
    }
}
