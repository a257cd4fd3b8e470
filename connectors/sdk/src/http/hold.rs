//! How long a platform is asked to hold a call while it has nothing to tell, and what becomes of that when something on
//! the way has less patience: a proxy that cuts such calls is no trouble, it only needs shorter ones.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A call that broke off earlier was not held at all.
const LEAST: Duration = Duration::from_secs(1);
/// Cuts in a row after which the call is made shorter.
const CUTS: u32 = 3;

/// The length of the long polls of one connector.
#[derive(Debug)]
pub struct Hold(Mutex<State>);

#[derive(Debug)]
struct State {
    now: Duration,
    cuts: u32,
    shortest: Duration,
    /// When the last cut was counted.
    counted: Option<Instant>,
}

impl State {
    fn new(now: Duration) -> Self {
        Self {
            now,
            cuts: 0,
            shortest: Duration::MAX,
            counted: None,
        }
    }
}

/// A call broke off on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It may be made again at once.
    Passing,
    /// From now on calls are this long.
    Shortened(Duration),
    /// It was no cut, or calls can't be made shorter: trouble like any other.
    Trouble,
}

impl Hold {
    /// As the settings say.
    pub fn new(asked: Duration) -> Self {
        Self(Mutex::new(State::new(asked)))
    }

    /// What to ask for now.
    pub fn now(&self) -> Duration {
        self.0.lock().now
    }

    /// A call was answered after this time.
    pub(super) fn answered(&self, after: Duration) {
        let mut state = self.0.lock();
        if after >= state.shortest {
            (state.cuts, state.shortest) = (0, Duration::MAX);
        }
    }

    /// A call broke off at this moment, after this time. Many that break off together are one cut: a platform that goes
    /// away takes the calls of all streams with it.
    pub(super) fn broke_off(&self, at: Instant, after: Duration) -> Cut {
        let mut state = self.0.lock();
        if after < LEAST || after >= state.now {
            return Cut::Trouble;
        }
        if state
            .counted
            .is_some_and(|counted| at.duration_since(counted) < after / 2)
        {
            return Cut::Passing;
        }
        state.counted = Some(at);
        state.cuts += 1;
        state.shortest = state.shortest.min(after);
        if state.cuts < CUTS {
            return Cut::Passing;
        }
        // Whole seconds: platforms take no others.
        let shorter = Duration::from_secs((state.shortest * 3 / 4).as_secs()).max(LEAST);
        if shorter >= state.now {
            return Cut::Trouble;
        }
        *state = State::new(shorter);
        Cut::Shortened(shorter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One stream that calls again and again.
    struct Calls(Instant);

    impl Calls {
        fn cut(&mut self, hold: &Hold, after: Duration) -> Cut {
            self.0 += after;
            hold.broke_off(self.0, after)
        }
    }

    #[test]
    fn after_some_cuts_calls_are_shorter_than_the_patience_on_the_way() {
        let (hold, mut calls) = (Hold::new(seconds(50)), Calls(Instant::now()));
        assert_eq!(calls.cut(&hold, seconds(20)), Cut::Passing);
        hold.answered(seconds(3));
        assert_eq!(calls.cut(&hold, seconds(21)), Cut::Passing);
        assert_eq!(calls.cut(&hold, seconds(20)), Cut::Shortened(seconds(15)));
        assert_eq!(hold.now(), seconds(15));
        hold.answered(seconds(15));
        assert_eq!(hold.now(), seconds(15));
    }

    #[test]
    fn what_lasts_as_long_as_asked_and_what_ends_at_once_is_no_cut() {
        let (hold, mut calls) = (Hold::new(seconds(50)), Calls(Instant::now()));
        for after in [0, 50, 60] {
            assert_eq!(calls.cut(&hold, seconds(after)), Cut::Trouble);
        }
        for _ in 0..10 {
            assert_eq!(calls.cut(&hold, seconds(20)), Cut::Passing);
            hold.answered(seconds(49));
        }
        assert_eq!(hold.now(), seconds(50));
    }

    #[test]
    fn a_way_that_cuts_everything_is_trouble_in_the_end() {
        let (hold, mut calls) = (Hold::new(seconds(50)), Calls(Instant::now()));
        let cuts = (0..100)
            .filter(|_| calls.cut(&hold, hold.now() * 9 / 10) != Cut::Trouble)
            .count();
        assert!(cuts < 40 && hold.now() <= seconds(2), "{cuts}, {:?}", hold.now());
        assert_eq!(calls.cut(&hold, hold.now()), Cut::Trouble);
    }

    #[test]
    fn calls_that_break_off_together_are_one_cut() {
        let (hold, now) = (Hold::new(seconds(25)), Instant::now());
        for _ in 0..12 {
            assert_eq!(hold.broke_off(now, seconds(2)), Cut::Passing);
        }
        assert_eq!(hold.now(), seconds(25));
    }
}
