//! Catch-up: rounds over all communities that read again what events may have missed.
//!
//! Two streams share this: `walls` (posts, comments, discussions, photos, videos, products, with the token of `catch_up`) and
//! `messages` (dialogues, with each community's own key). A round goes through the communities by number; what it still
//! has to read stands in the cursor, so the journal's commit carries it and a crash repeats one batch at most. Everything
//! found is offered to the journal, which knows by its keys what is new.
//!
//! Invariants:
//! - a community that can't be read (its key is dead) does not stop the round; the time from which it is unread is kept
//!   until it can be read again;
//! - what the process remembers (numbers of comments) only saves calls; it is believed after the commit, never before,
//!   and forgotten for a community that lost events, which is then read again at once.

mod memory;
mod reading;
mod round;
mod task;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::{ConnectorError, Cursor, Page, Wait};
use tracing::warn;

use super::{
    client::{Client, MOST_IN_BATCH, Trouble},
    communities::Communities,
    config::CatchUpSettings,
    token::{Token, TokenKind},
};
use memory::Memory;
use reading::Mark;
use round::Round;
use task::{Horizon, Task, What};

/// Calls of one poll where the token can't batch them: about three seconds at our pace.
const CALLS_ONE_BY_ONE: usize = 6;
/// Communities taken up at once when nothing is left to read.
const COMMUNITIES_AT_ONCE: usize = 25;
/// A round looks back this much behind the start of the one before: clocks differ, and comments take time to show.
const OVERLAP_S: i64 = 600;
/// A task that fails for a reason of its own is tried this often.
const MOST_TRIES: u8 = 3;
/// Pause after a task failed for a reason of its own.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Walls,
    Messages,
}

/// One stream of catch-up.
#[derive(Debug)]
pub(super) struct CatchUp {
    sort: Sort,
    /// The token of `walls`; `messages` takes each community's own.
    token: Option<Arc<Token>>,
    settings: CatchUpSettings,
    every: Duration,
    memory: Memory,
    /// Communities that lost events: they are read again at once, and nothing is believed of them.
    urgent: Mutex<BTreeSet<i64>>,
    /// The cursor at which they were last taken up: asked again from there, the commit has failed.
    taken_up: Mutex<(Cursor, BTreeSet<i64>)>,
}

impl CatchUp {
    pub fn new(sort: Sort, token: Option<Arc<Token>>, settings: &CatchUpSettings) -> Self {
        let minutes = match sort {
            Sort::Walls => settings.walls_every_min,
            Sort::Messages => settings.messages_every_min,
        };
        Self {
            sort,
            token,
            settings: settings.clone(),
            every: Duration::from_secs(u64::from(minutes.get()) * 60),
            memory: Memory::default(),
            urgent: Mutex::default(),
            taken_up: Mutex::default(),
        }
    }

    /// A community lost events: everything of it is read again as soon as the host asks.
    pub fn start_again(&self, group: i64) {
        self.memory.forget(group);
        self.urgent.lock().insert(group);
    }

    /// The host stored everything up to this cursor.
    pub fn acknowledge(&self, cursor: &Cursor) {
        self.memory.believe(&cursor.0);
    }

    /// Reads one batch.
    pub async fn poll(
        &self,
        client: &Client,
        communities: &Communities,
        cursor: &Cursor,
        now: Timestamp,
    ) -> Result<Page, ConnectorError> {
        let now = now.as_second();
        let first_floor = now - i64::from(self.settings.first_look_h) * 3600;
        let mut round = Round::read(cursor, first_floor)?;
        if round.is_over() && !self.begin(&mut round, cursor, now) {
            return Ok(Page {
                next: cursor.clone(),
                wait: Wait::For(self.pause(&round, now)),
                ..Page::default()
            });
        }
        if round.todo.is_empty() {
            self.take_up(&mut round, communities);
        }
        let mut page = Page::default();
        let mut marks = Vec::new();
        if let Some(first) = round.todo.first() {
            let group = first.group;
            match self.token_for(group, communities) {
                Some(token) => page = self.batch(client, &token, &mut round, &mut marks).await?,
                // A community without a key has no dialogues we could read.
                None => round.todo.retain(|task| task.group != group),
            }
        }
        if round.todo.is_empty() && round.next_community(communities).is_none() {
            round.end(OVERLAP_S);
            page.wait = Wait::For(self.pause(&round, now));
        }
        page.next = round.write();
        self.memory.await_commit(&page.next.0, marks);
        Ok(page)
    }

    /// Begins the round that is due: a whole one, or one over the communities that lost events.
    fn begin(&self, round: &mut Round, cursor: &Cursor, now: i64) -> bool {
        let mut urgent = std::mem::take(&mut *self.urgent.lock());
        let mut taken_up = self.taken_up.lock();
        if taken_up.0 == *cursor {
            urgent.extend(&taken_up.1);
        }
        *taken_up = (cursor.clone(), urgent.clone());
        if self.left(round, now).is_zero() {
            round.begin(now);
        } else if !urgent.is_empty() {
            round.begin_only(now, urgent);
        }
        !round.is_over()
    }

    /// How long nothing is to be done.
    fn pause(&self, round: &Round, now: i64) -> Duration {
        if self.urgent.lock().is_empty() {
            self.left(round, now)
        } else {
            Duration::ZERO
        }
    }

    /// Until the next whole round is due.
    fn left(&self, round: &Round, now: i64) -> Duration {
        let Some(last) = round.last_begun else {
            return Duration::ZERO;
        };
        let passed = u64::try_from(now.saturating_sub(last)).unwrap_or(0);
        self.every.saturating_sub(Duration::from_secs(passed))
    }

    fn take_up(&self, round: &mut Round, communities: &Communities) {
        let at_once = match self.sort {
            Sort::Messages => 1,
            Sort::Walls if self.can_batch() => COMMUNITIES_AT_ONCE,
            Sort::Walls => CALLS_ONE_BY_ONE,
        };
        for _ in 0..at_once {
            let Some(group) = round.next_community(communities) else {
                return;
            };
            round.at = group;
            round
                .todo
                .extend(self.first_tasks().into_iter().map(|what| Task::new(group, what)));
        }
    }

    fn can_batch(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.kind == TokenKind::User)
    }

    fn first_tasks(&self) -> Vec<What> {
        if self.sort == Sort::Messages {
            return vec![What::Dialogues { offset: 0 }];
        }
        let user = self.can_batch();
        let all = [
            (
                true,
                What::Wall {
                    offset: 0,
                    suggested: false,
                },
            ),
            (
                self.settings.suggested && user,
                What::Wall {
                    offset: 0,
                    suggested: true,
                },
            ),
            (self.settings.boards, What::Topics),
            (self.settings.photos && user, What::PhotoComments { offset: 0 }),
            (self.settings.videos && user, What::Videos),
            (self.settings.market && user, What::Products),
        ];
        all.into_iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, what)| what)
            .collect()
    }

    fn token_for(&self, group: i64, communities: &Communities) -> Option<Arc<Token>> {
        match self.sort {
            Sort::Walls => self.token.clone(),
            Sort::Messages => communities.get(&group)?.token.clone(),
        }
    }

    /// Reads the first tasks of the list, as many as one batch takes.
    async fn batch(
        &self,
        client: &Client,
        token: &Token,
        round: &mut Round,
        marks: &mut Vec<Mark>,
    ) -> Result<Page, ConnectorError> {
        let most = if token.kind == TokenKind::Service {
            CALLS_ONE_BY_ONE
        } else {
            MOST_IN_BATCH
        };
        let group = round.todo.first().map_or(0, |task| task.group);
        let own = |task: &&Task| self.sort == Sort::Walls || task.group == group;
        let tasks: Vec<Task> = round.todo.iter().take_while(own).take(most).cloned().collect();
        let horizons: Vec<Horizon> = tasks.iter().map(|task| self.horizon(round, task.group)).collect();
        let calls: Vec<_> = tasks
            .iter()
            .zip(&horizons)
            .map(|(task, horizon)| task.call(horizon))
            .collect();
        let batch = client.batch(token, &calls).await;
        let mut page = Page::default();
        let mut further = Vec::new();
        for ((task, horizon), result) in tasks.iter().zip(&horizons).zip(&batch.results) {
            match result {
                Ok(answer) => {
                    let found = task.read(answer, horizon);
                    page.items.extend(found.items);
                    for (what, mark) in found.next {
                        if mark.as_ref().is_some_and(|mark| self.memory.knows(mark)) {
                            continue;
                        }
                        marks.extend(mark);
                        further.push(Task::new(task.group, what));
                    }
                }
                Err(error) => warn!(
                    community = task.group,
                    code = error.code,
                    "a part of the community can't be read and is left out"
                ),
            }
        }
        let done = batch.results.len();
        round.todo.splice(..done, further);
        if done == 0
            && let Some(trouble) = batch.stopped
        {
            page.wait = self.after_trouble(trouble, round, group)?;
        }
        Ok(page)
    }

    /// What becomes of the first task after the batch could not even begin.
    fn after_trouble(&self, trouble: Trouble, round: &mut Round, group: i64) -> Result<Wait, ConnectorError> {
        let own_fault = matches!(
            &trouble,
            Trouble::Refused {
                decision: ConnectorError::Transient { .. },
                ..
            }
        );
        if own_fault && let Some(task) = round.todo.first_mut() {
            task.tries += 1;
            if task.tries >= MOST_TRIES {
                warn!(
                    community = group,
                    "a part of the community fails again and again and is left out of this round"
                );
                round.behind(group);
                round.todo.remove(0);
                // What was to be read stays unread: its number of comments must not count as known.
                self.memory.forget(group);
            }
            return Ok(Wait::For(PAUSE_AFTER_FAILURE));
        }
        if self.sort == Sort::Walls || trouble.is_passing() {
            return Err(trouble.into());
        }
        // This community's key is no good; the others go on, and its own stream or `check` calls the human.
        let error = ConnectorError::from(trouble);
        warn!(community = group, %error, "dialogues of the community can't be read");
        round.behind(group);
        round.todo.retain(|task| task.group != group);
        Ok(Wait::Now)
    }

    fn horizon(&self, round: &Round, group: i64) -> Horizon {
        Horizon {
            floor: round.floor,
            since: round.since_of(group),
            window: usize::try_from(self.settings.posts).unwrap_or(30),
        }
    }
}
