//! The journal's idea of time. What retention deletes depends on the clock of the computer, and that can be wrong: a
//! battery that died, an NTP server that lies, a hand that typed the wrong year. A wrong clock may not delete anything.
//!
//! The journal keeps a *trusted* time: where the clock stood when nothing spoke against it, moved on by the time that
//! has passed since, which no one can set (`CLOCK_BOOTTIME`, it also counts while the machine sleeps). Over a stop of
//! the daemon it is kept in the [`mark`](super::mark). As long as the clock agrees with it, the clock is right. When
//! they part by more than [`STEP`], the clock is *doubted*, and doubt is always in favour of keeping: what is stored is
//! stamped with the later of the two, and sweeps go by the earlier.
//!
//! Doubt ends when the clock is back, when a person says that it is right (`priem journal acknowledge`), or after
//! [`GRACE`] of running time: a virtual machine that was paused for months and a restored backup must not need a person
//! for ever. See docs/adr/0018.

use jiff::Timestamp;
use parking_lot::Mutex;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// A clock that moves by less than this is set, not wrong.
const STEP: i64 = DAY;
/// Longest time between two runs that needs no explanation: a service may be off for some days.
const OFF: i64 = 7 * DAY;
/// Running time after which the clock is believed: longer than a weekend, and the alarm rings all the time.
const GRACE: i64 = 7 * DAY;

/// Both clocks at one moment, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The clock of the computer, since 1970. It can be set.
    pub wall: i64,
    /// Time that has passed since some moment. It only goes on.
    pub running: i64,
}

impl Reading {
    /// What the computer says.
    pub fn now() -> Self {
        let running = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self {
            wall: Timestamp::now().as_microsecond(),
            running: running.tv_sec * SECOND + running.tv_nsec / 1_000,
        }
    }
}

/// What is kept over a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Kept {
    /// Trusted time, microseconds since 1970.
    pub(super) trusted: i64,
    /// How long the clock has been doubted, in microseconds of running time; `None` when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doubted: Option<i64>,
}

/// Time as the journal uses it, microseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// What the clock of the computer says.
    pub wall: i64,
    /// For what is stored.
    pub stamp: i64,
    /// For what is deleted because of its age.
    pub sweep: i64,
    /// How far the clock of the computer is ahead of the trusted time (negative: behind), in microseconds; 0 when it is
    /// not doubted.
    pub doubt: i64,
}

impl Kept {
    /// The time to delete by in another part of the daemon, which knows only this: not a step beyond the trusted time.
    pub(super) fn sweep(self, wall: i64) -> i64 {
        if wall - self.trusted > STEP { self.trusted } else { wall }
    }
}

/// What has changed since the last look, to be told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The clock is doubted now.
    Doubted,
    /// The clock agrees again.
    Back,
    /// The clock is believed, by a person's word or after the grace.
    Believed,
}

/// See the module.
pub struct Clock {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    state: Mutex<State>,
}

struct State {
    trusted: i64,
    at: i64,
    doubt: Option<Doubt>,
}

#[derive(Clone, Copy)]
struct Doubt {
    /// Running time when it began.
    since: i64,
    /// Clock minus running time: the same while the clock is steady.
    offset: i64,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

impl Clock {
    /// A clock that goes on from what was kept; without, the computer is believed. `read` tells the time.
    pub(super) fn new(kept: Option<Kept>, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let now = read();
        let mut state = State {
            trusted: now.wall,
            at: now.running,
            doubt: None,
        };
        if let Some(Kept { trusted, doubted }) = kept {
            let allowed = if doubted.is_some() { STEP } else { OFF };
            let gap = now.wall - trusted;
            if gap < -STEP || gap > allowed {
                state.trusted = trusted;
                state.doubt = Some(Doubt {
                    since: now.running - doubted.unwrap_or(0),
                    offset: now.wall - now.running,
                });
            }
        }
        Self {
            read: Box::new(read),
            state: Mutex::new(state),
        }
    }

    /// The time, and what has changed.
    pub(super) fn look(&self) -> (Now, Option<Change>) {
        let now = (self.read)();
        let mut state = self.state.lock();
        let expected = state.trusted + (now.running - state.at).max(0);
        state.at = now.running;
        let gap = now.wall - expected;
        if gap.abs() <= STEP {
            state.trusted = now.wall;
            let change = state.doubt.take().map(|_| Change::Back);
            return (Now::plain(now.wall), change);
        }
        state.trusted = expected;
        let offset = now.wall - now.running;
        let change = match state.doubt {
            // It moved again: that is no steady clock.
            Some(doubt) if (doubt.offset - offset).abs() > STEP => None,
            Some(doubt) if now.running - doubt.since < GRACE => return (Now::doubted(now.wall, expected), None),
            Some(_) => {
                state.trusted = now.wall;
                state.doubt = None;
                return (Now::plain(now.wall), Some(Change::Believed));
            }
            None => Some(Change::Doubted),
        };
        state.doubt = Some(Doubt {
            since: now.running,
            offset,
        });
        (Now::doubted(now.wall, expected), change)
    }

    /// The time, for those who have nothing to tell.
    pub(super) fn now(&self) -> Now {
        let now = (self.read)();
        let state = self.state.lock();
        let expected = state.trusted + (now.running - state.at).max(0);
        if (now.wall - expected).abs() <= STEP {
            Now::plain(now.wall)
        } else {
            Now::doubted(now.wall, expected)
        }
    }

    /// A person says that the clock of the computer is right.
    pub(super) fn believe(&self) -> Option<Change> {
        let now = (self.read)();
        let mut state = self.state.lock();
        state.trusted = now.wall;
        state.at = now.running;
        state.doubt.take().map(|_| Change::Believed)
    }

    /// What to keep over a stop.
    pub(super) fn kept(&self) -> Kept {
        let now = (self.read)();
        let state = self.state.lock();
        Kept {
            trusted: state.trusted + (now.running - state.at).max(0),
            doubted: state.doubt.map(|doubt| now.running - doubt.since),
        }
    }
}

impl Now {
    /// A clock nobody doubts.
    pub(super) fn plain(wall: i64) -> Self {
        Self {
            wall,
            stamp: wall,
            sweep: wall,
            doubt: 0,
        }
    }

    fn doubted(wall: i64, trusted: i64) -> Self {
        Self {
            wall,
            stamp: wall.max(trusted),
            sweep: wall.min(trusted),
            doubt: wall - trusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const START: i64 = 1_800_000_000 * SECOND;

    /// Hands of a clock that a test moves.
    #[derive(Clone)]
    struct Hands(Arc<Mutex<Reading>>);

    impl Hands {
        fn new() -> Self {
            Self(Arc::new(Mutex::new(Reading {
                wall: START,
                running: 5 * SECOND,
            })))
        }

        fn clock(&self, kept: Option<Kept>) -> Clock {
            let hands = self.clone();
            Clock::new(kept, move || *hands.0.lock())
        }

        fn pass(&self, time: i64) {
            let mut hands = self.0.lock();
            hands.wall += time;
            hands.running += time;
        }

        fn set(&self, by: i64) {
            self.0.lock().wall += by;
        }

        /// Another boot: the time that passes begins anew.
        fn boot(&self) {
            self.0.lock().running = SECOND;
        }

        fn wall(&self) -> i64 {
            self.0.lock().wall
        }
    }

    #[test]
    fn a_jump_ahead_deletes_by_the_time_that_passed_and_ends_when_the_clock_is_back() {
        let hands = Hands::new();
        let clock = hands.clock(None);
        hands.pass(DAY * 40);
        assert_eq!(
            clock.look(),
            (Now::plain(hands.wall()), None),
            "a machine that slept for weeks"
        );
        let right = hands.wall();
        hands.set(400 * DAY);
        let (now, change) = clock.look();
        assert_eq!((now.sweep, now.stamp, now.doubt), (right, hands.wall(), 400 * DAY));
        assert_eq!(change, Some(Change::Doubted));
        hands.pass(SECOND);
        assert_eq!(
            clock.look(),
            (Now::doubted(hands.wall(), right + SECOND), None),
            "told once"
        );
        assert_eq!(clock.now().sweep, right + SECOND);
        hands.set(-400 * DAY);
        assert_eq!(clock.look(), (Now::plain(right + SECOND), Some(Change::Back)));
    }

    #[test]
    fn what_is_stored_while_the_clock_is_behind_is_not_old_when_it_is_back() {
        let hands = Hands::new();
        let clock = hands.clock(None);
        hands.set(-400 * DAY);
        let (now, _) = clock.look();
        assert_eq!((now.stamp, now.sweep), (START, hands.wall()));
    }

    #[test]
    fn small_steps_are_followed() {
        let hands = Hands::new();
        let clock = hands.clock(None);
        for _ in 0..10 {
            hands.set(DAY / 2);
            assert_eq!(clock.look(), (Now::plain(hands.wall()), None));
        }
    }

    #[test]
    fn a_restart_does_not_forgive_a_jump() {
        let hands = Hands::new();
        let clock = hands.clock(None);
        hands.set(400 * DAY);
        clock.look();
        hands.pass(DAY);
        let kept = clock.kept();
        assert_eq!(kept.doubted, Some(DAY));
        hands.boot();
        let clock = hands.clock(Some(kept));
        assert_eq!(clock.now().sweep, START + DAY);
        hands.pass(GRACE - DAY - SECOND);
        assert_eq!(clock.look().1, None);
        hands.pass(SECOND);
        assert_eq!(
            clock.look(),
            (Now::plain(hands.wall()), Some(Change::Believed)),
            "the days before count"
        );
    }

    #[test]
    fn a_service_that_was_off_for_months_waits_for_a_word_or_for_the_grace() {
        let kept = Kept {
            trusted: START - 90 * DAY,
            doubted: None,
        };
        let hands = Hands::new();
        let clock = hands.clock(Some(kept));
        assert_eq!(clock.look().0.sweep, START - 90 * DAY);
        assert_eq!(clock.believe(), Some(Change::Believed));
        assert_eq!(clock.look(), (Now::plain(START), None));

        let clock = hands.clock(Some(kept));
        hands.pass(GRACE - SECOND);
        assert_ne!(clock.look().0.doubt, 0);
        hands.pass(SECOND);
        assert_eq!(clock.look().1, Some(Change::Believed));

        let week = Kept {
            trusted: hands.wall() - 6 * DAY,
            doubted: None,
        };
        assert_eq!(hands.clock(Some(week)).look().0.doubt, 0, "some days off need no word");
    }

    #[test]
    fn a_clock_that_goes_on_jumping_is_not_believed() {
        let hands = Hands::new();
        let clock = hands.clock(None);
        hands.set(400 * DAY);
        clock.look();
        hands.pass(GRACE - SECOND);
        hands.set(30 * DAY);
        clock.look();
        hands.pass(GRACE - SECOND);
        assert_ne!(clock.look().0.doubt, 0);
    }

    #[test]
    fn the_computer_has_both_clocks() {
        let (one, other) = (Reading::now(), Reading::now());
        assert!(other.running >= one.running && one.wall > START / 2);
    }
}
