//! A lively bot: each act is something a citizen does, drawn from a seeded crowd. For the demo and for load.

use serde_json::json;

use super::{Bot, Sent};
use crate::voices::{Crowd, Voice};

/// The chat and channel of the invented town.
const GROUP: i64 = -1_001_900_000_001;
const GROUP_TITLE: &str = "Жители Нагорного";
const CHANNEL: i64 = -1_001_900_000_010;

/// What a daemon that works makes of the updates of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// One event for each update.
    Published,
    /// The same words again: dropped as unchanged.
    Unchanged,
    /// Content nobody knows: kept whole for a human.
    Quarantined,
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// Updates the server has made of it.
    pub updates: usize,
    /// What must become of them.
    pub expected: Expected,
    /// The words, with the sector they belong to.
    pub voice: Voice,
}

/// A bot's surroundings: who writes, and what was written last.
#[derive(Debug)]
pub struct Life {
    bot: Bot,
    crowd: Crowd,
    last: Option<Sent>,
    edits: u64,
}

impl Life {
    /// Life around a bot; the same crowd acts the same.
    pub fn new(bot: Bot, crowd: Crowd) -> Self {
        Self {
            bot,
            crowd,
            last: None,
            edits: 0,
        }
    }

    /// Somebody does something: mostly a private message, else a message in the group, a photo, an album, a comment
    /// of the administration, an edit, a touch without visible change, rarely something nobody has seen before.
    pub fn act(&mut self) -> Act {
        let person = self.crowd.person();
        let voice = self.crowd.voice();
        let done = |updates, expected| Act {
            updates,
            expected,
            voice,
        };
        if self.crowd.once_in(150) {
            // Content of a future version inside a message: a kind of update nobody asked for would not be sent.
            let chat = json!({"id": GROUP, "type": "supergroup", "title": GROUP_TITLE});
            self.bot.send(
                "message",
                json!({"chat": chat, "from": person.user(), "hologram": {"says": voice.text}}),
            );
            return done(1, Expected::Quarantined);
        }
        if self.crowd.once_in(25)
            && let Some(last) = &self.last
        {
            self.bot.touch(last);
            return done(1, Expected::Unchanged);
        }
        if self.crowd.once_in(20)
            && let Some(last) = self.last.take()
        {
            self.edits += 1;
            let words = format!("{} (уточнение {})", voice.text, self.edits);
            self.last = Some(self.bot.edit(&last, &words));
            return done(1, Expected::Published);
        }
        if self.crowd.once_in(25) {
            let photos = 3;
            self.bot.send_album(&person, voice.text, photos);
            return done(photos, Expected::Published);
        }
        let sent = if self.crowd.once_in(12) {
            self.bot.send_photo(&person, voice.text)
        } else if self.crowd.once_in(40) {
            self.bot
                .send_channel_post(CHANNEL, "Администрация Нагорного", voice.text)
        } else if self.crowd.once_in(4) {
            self.bot.send_group(GROUP, GROUP_TITLE, &person, voice.text)
        } else {
            self.bot.send_private(&person, voice.text)
        };
        self.last = Some(sent);
        done(1, Expected::Published)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::{Options, TelegramCity};

    #[tokio::test]
    async fn acts_repeat_and_every_update_waits_in_the_queue() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let city = TelegramCity::start(Options::default()).await.expect("a free port");
            let bot = city.bot("1:x");
            let mut life = Life::new(bot.clone(), Crowd::new(11, 30));
            let acts: Vec<Act> = (0..2000).map(|_| life.act()).collect();
            assert_eq!(acts.iter().map(|act| act.updates).sum::<usize>(), bot.pending());
            for expected in [Expected::Published, Expected::Unchanged, Expected::Quarantined] {
                assert!(acts.iter().any(|act| act.expected == expected), "{expected:?}");
            }
            runs.push(acts);
        }
        assert_eq!(runs[0], runs[1]);
    }
}
