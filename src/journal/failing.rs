//! When to tell of something that is tried several times a second and fails: at first, then once a minute with how often,
//! and when it is over. A full disk must not be filled further by the log that tells of it.

use std::time::{Duration, Instant};

/// Pause between two lines about the same trouble.
const EVERY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Failing {
    /// Failures since it last worked.
    times: u64,
    told: Option<Instant>,
}

/// What is to be told now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<E> {
    /// It fails, so many times in a row by now.
    Fails { error: E, times: u64 },
    /// It works again, after so many failures.
    Works { times: u64 },
}

impl Failing {
    /// One more try, with its error; gives what is to be told.
    pub(super) fn after<E>(&mut self, error: Option<E>, now: Instant) -> Option<Told<E>> {
        let Some(error) = error else {
            let Self { times, .. } = std::mem::take(self);
            return (times > 0).then_some(Told::Works { times });
        };
        self.times += 1;
        if self
            .told
            .is_some_and(|told| now.saturating_duration_since(told) < EVERY)
        {
            return None;
        }
        self.told = Some(now);
        let times = self.times;
        Some(Told::Fails { error, times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_lasts_is_told_once_a_minute_and_so_is_its_end() {
        let (mut failing, start) = (Failing::default(), Instant::now());
        let mut told = Vec::new();
        // Ten minutes, five times a second.
        for step in 0..3_000 {
            told.extend(failing.after(Some("disk full"), start + Duration::from_millis(200) * step));
        }
        assert_eq!(told.len(), 10);
        let fails = |times| Told::Fails {
            error: "disk full",
            times,
        };
        assert_eq!(told[..2], [fails(1), fails(301)]);
        assert_eq!(failing.after::<&str>(None, start), Some(Told::Works { times: 3_000 }));
        assert_eq!(failing.after::<&str>(None, start), None);
        assert_eq!(failing.after(Some("disk full"), start), Some(fails(1)));
    }
}
