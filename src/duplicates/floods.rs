//! One text, many times: a campaign by copy and paste, a bot, a broken export. It is told as what it is.
//!
//! A flood begins when one matter gets [`MANY`] messages within [`WITHIN`] and ends when it got none for so long. Each
//! is logged once when it begins and once when it ends; metrics count them. No citizen's words anywhere.

use std::collections::HashMap;

use tracing::{info, warn};
use uuid::Uuid;

use crate::telemetry::Metrics;

/// So many messages on one matter make a flood.
const MANY: u64 = 100;
/// … when they came within this, microseconds.
const WITHIN: i64 = 600_000_000;
/// Matters that are counted at once, at most.
const MOST: usize = 4_096;

/// The floods of the moment.
pub(super) struct Floods {
    matters: HashMap<Uuid, Matter>,
    metrics: Metrics,
}

struct Matter {
    connector: String,
    /// Messages since `since`, or since the flood began.
    messages: u64,
    /// When the first of them was taken in.
    since: i64,
    /// When the latest was heard of.
    heard: i64,
    floods: bool,
}

impl Floods {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            matters: HashMap::new(),
            metrics: metrics.clone(),
        }
    }

    /// Counts a message that belongs to a matter: taken in at `at`, heard of `now`, microseconds since 1970.
    pub(super) fn count(&mut self, cluster: Uuid, connector: &str, at: i64, now: i64) {
        if self.matters.len() >= MOST && !self.matters.contains_key(&cluster) {
            self.make_room();
        }
        let matter = self.matters.entry(cluster).or_insert_with(|| Matter {
            connector: connector.to_owned(),
            messages: 1,
            since: at,
            heard: now,
            floods: false,
        });
        if !matter.floods && at - matter.since > WITHIN {
            matter.since = at;
            matter.messages = 0;
        }
        matter.messages += 1;
        matter.heard = now;
        if matter.floods {
            self.metrics.flood_messages.with_label_values(&[connector]).inc();
        } else if matter.messages >= MANY {
            matter.floods = true;
            self.metrics
                .flood_messages
                .with_label_values(&[connector])
                .inc_by(matter.messages);
            self.metrics.floods.with_label_values(&[&matter.connector]).inc();
            warn!(
                connector,
                %cluster,
                messages = matter.messages,
                "one text floods: its messages go out linked to the first"
            );
        }
    }

    /// Ends what got no message for long.
    pub(super) fn calm(&mut self, now: i64) {
        let metrics = &self.metrics;
        self.matters.retain(|cluster, matter| {
            let goes_on = now - matter.heard <= WITHIN;
            if !goes_on && matter.floods {
                metrics.floods.with_label_values(&[&matter.connector]).dec();
                let (connector, messages) = (&matter.connector, matter.messages);
                info!(connector, %cluster, messages, "the flood of one text is over");
            }
            goes_on
        });
    }

    /// Forgets half of the matters that do not flood, those not heard of for longest.
    fn make_room(&mut self) {
        let calm = self.matters.iter().filter(|(_, matter)| !matter.floods);
        let mut calm: Vec<(i64, Uuid)> = calm.map(|(cluster, matter)| (matter.heard, *cluster)).collect();
        calm.sort_unstable();
        for (_, cluster) in &calm[..calm.len().div_ceil(2)] {
            self.matters.remove(cluster);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floods() -> (Floods, Metrics) {
        let metrics = Metrics::new();
        (Floods::new(&metrics), metrics)
    }

    fn now(metrics: &Metrics) -> (i64, u64) {
        (
            metrics.floods.with_label_values(&["tg"]).get(),
            metrics.flood_messages.with_label_values(&["tg"]).get(),
        )
    }

    #[test]
    fn a_flood_is_counted_from_its_first_message_to_its_end() {
        let (mut floods, metrics) = floods();
        let count = i64::try_from(MANY).unwrap();
        // The matter has a message before the first that repeats it.
        for at in 0..count - 2 {
            floods.count(Uuid::max(), "tg", at, at);
        }
        assert_eq!(now(&metrics), (0, 0), "not yet");
        for at in 0..10 {
            floods.count(Uuid::max(), "tg", count + at, count + at);
        }
        assert_eq!(now(&metrics), (1, MANY + 9));
        floods.calm(count + WITHIN);
        assert_eq!(now(&metrics).0, 1, "it may go on");
        floods.calm(count + WITHIN + 10);
        assert_eq!(now(&metrics), (0, MANY + 9));
        floods.count(Uuid::max(), "tg", 3 * WITHIN, 3 * WITHIN);
        assert_eq!(now(&metrics).0, 0, "a later one is no flood");
    }

    #[test]
    fn a_matter_that_many_know_of_slowly_is_no_flood() {
        let (mut floods, metrics) = floods();
        for number in 0..1_000 {
            floods.count(Uuid::max(), "tg", number * WITHIN / 50, number * WITHIN / 50);
        }
        assert_eq!(now(&metrics), (0, 0));
    }

    #[test]
    fn what_is_counted_is_bounded_and_floods_stay() {
        let (mut floods, metrics) = floods();
        for _ in 0..MANY {
            floods.count(Uuid::max(), "tg", 0, 0);
        }
        for number in 0..20_000 {
            floods.count(Uuid::from_u128(number), "vk", 1, 1);
        }
        assert!(floods.matters.len() <= MOST);
        assert_eq!(now(&metrics).0, 1);
    }
}
