//! What the streams of one connector share: how they stand, and the call to catch up after a gap.
//!
//! A connector may have a thousand streams. So the gauges count them by name and state, never by key; each stream that
//! needs a human is told in the log once; and when a whole platform is away the log tells the first few and the rest
//! is in the gauges.

use parking_lot::Mutex;
use priem_sdk::Stream;
use prometheus::IntGauge;
use tokio::sync::watch;
use tracing::warn;

use crate::telemetry::Metrics;

/// Streams in passing trouble that are told one by one.
const TOLD_ONE_BY_ONE: usize = 5;

/// How well a stream is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamHealth {
    /// Not asked yet.
    Starting,
    /// The last exchange was good.
    Heard,
    /// The last exchange was not; the host tries again.
    Trouble,
    /// It will not work before a human acts; the host still tries.
    Human,
}

impl StreamHealth {
    const ALL: [Self; 4] = [Self::Starting, Self::Heard, Self::Trouble, Self::Human];

    /// Label of `priem_connector_streams`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Heard => "heard",
            Self::Trouble => "trouble",
            Self::Human => "human",
        }
    }
}

/// A gap somewhere in the connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GapNotice {
    /// Counts gaps; a stream that has not looked yet sees that there was one.
    pub number: u64,
    /// [`Stream::key`] of the stream that had it: its siblings catch up first.
    pub key: String,
}

/// The streams of one connector.
pub struct Streams {
    connector: String,
    metrics: Metrics,
    up: IntGauge,
    /// How many streams of the connector stand how, by [`StreamHealth`].
    counts: Mutex<[usize; 4]>,
    gaps: watch::Sender<GapNotice>,
}

impl Streams {
    /// Streams that are all starting: nobody has said that a human is needed.
    pub fn new(connector: &str, declared: &[Stream], metrics: &Metrics) -> Self {
        let streams = Self {
            connector: connector.to_owned(),
            metrics: metrics.clone(),
            up: metrics.connector_up.with_label_values(&[connector]),
            counts: Mutex::new([declared.len(), 0, 0, 0]),
            gaps: watch::Sender::new(GapNotice::default()),
        };
        streams.up.set(1);
        for stream in declared {
            for health in StreamHealth::ALL {
                streams
                    .gauge(stream.name, health)
                    .add(i64::from(health == StreamHealth::Starting));
            }
        }
        streams
    }

    /// A stream stands differently now. Answers whether the log should tell it loudly.
    pub fn moved(&self, stream: &'static str, from: StreamHealth, to: StreamHealth) -> bool {
        self.gauge(stream, from).dec();
        self.gauge(stream, to).inc();
        let mut counts = self.counts.lock();
        let troubled_before = counts[StreamHealth::Trouble as usize];
        counts[from as usize] -= 1;
        counts[to as usize] += 1;
        let others = counts[StreamHealth::Heard as usize] + counts[StreamHealth::Trouble as usize];
        let needs_human = counts[StreamHealth::Human as usize] > 0 && others == 0;
        self.up.set(i64::from(!needs_human));
        let lasting = from == StreamHealth::Human || to == StreamHealth::Human;
        if lasting || troubled_before < TOLD_ONE_BY_ONE {
            return true;
        }
        if troubled_before == TOLD_ONE_BY_ONE && to == StreamHealth::Trouble {
            warn!(
                connector = self.connector,
                "more streams are in trouble; they are counted in priem_connector_streams"
            );
        }
        false
    }

    /// Calls every other stream to catch up.
    pub fn call_to_catch_up(&self, key: &str) {
        self.gaps.send_modify(|notice| {
            notice.number += 1;
            key.clone_into(&mut notice.key);
        });
    }

    /// Where a stream hears of gaps.
    pub fn gaps(&self) -> watch::Receiver<GapNotice> {
        self.gaps.subscribe()
    }

    fn gauge(&self, stream: &'static str, health: StreamHealth) -> IntGauge {
        self.metrics
            .connector_streams
            .with_label_values(&[&self.connector, stream, health.as_str()])
    }
}

#[cfg(test)]
mod tests {
    use priem_sdk::StreamKind;

    use super::*;

    fn streams(count: usize) -> (Streams, Metrics) {
        let metrics = Metrics::new();
        let declared: Vec<Stream> = (0..count)
            .map(|key| Stream {
                name: "longpoll",
                key: key.to_string(),
                kind: StreamKind::Poll,
            })
            .collect();
        (Streams::new("vk", &declared, &metrics), metrics)
    }

    #[test]
    fn one_dead_key_does_not_make_the_connector_dead() {
        let (streams, metrics) = streams(1000);
        let state = |health: &str| {
            metrics
                .connector_streams
                .with_label_values(&["vk", "longpoll", health])
                .get()
        };
        assert_eq!(state("starting"), 1000);
        for _ in 0..999 {
            streams.moved("longpoll", StreamHealth::Starting, StreamHealth::Heard);
        }
        assert!(
            streams.moved("longpoll", StreamHealth::Starting, StreamHealth::Human),
            "told"
        );
        assert_eq!((state("starting"), state("heard"), state("human")), (0, 999, 1));
        assert_eq!(metrics.connector_up.with_label_values(&["vk"]).get(), 1);
    }

    #[test]
    fn a_connector_is_down_when_all_that_spoke_need_a_human() {
        let (streams, metrics) = streams(2);
        let up = metrics.connector_up.with_label_values(&["vk"]);
        streams.moved("longpoll", StreamHealth::Starting, StreamHealth::Heard);
        assert_eq!(up.get(), 1);
        streams.moved("longpoll", StreamHealth::Heard, StreamHealth::Human);
        assert_eq!(up.get(), 0);
        streams.moved("longpoll", StreamHealth::Starting, StreamHealth::Heard);
        assert_eq!(up.get(), 1);
    }

    #[test]
    fn a_network_that_is_late_is_no_matter_for_a_human() {
        let (streams, metrics) = streams(1);
        let up = metrics.connector_up.with_label_values(&["vk"]);
        assert_eq!(up.get(), 1, "nobody has spoken");
        streams.moved("longpoll", StreamHealth::Starting, StreamHealth::Trouble);
        assert_eq!(up.get(), 1, "the network was not there at the start");
        streams.moved("longpoll", StreamHealth::Trouble, StreamHealth::Human);
        assert_eq!(up.get(), 0, "the platform answers, and refuses the key");
        streams.moved("longpoll", StreamHealth::Human, StreamHealth::Trouble);
        assert_eq!(up.get(), 1, "the network again");
    }

    #[test]
    fn an_outage_of_a_platform_does_not_flood_the_log() {
        let (streams, _) = streams(1000);
        for _ in 0..1000 {
            streams.moved("longpoll", StreamHealth::Starting, StreamHealth::Heard);
        }
        let told = (0..1000)
            .filter(|_| streams.moved("longpoll", StreamHealth::Heard, StreamHealth::Trouble))
            .count();
        assert_eq!(told, TOLD_ONE_BY_ONE);
        let dies_meanwhile = streams.moved("longpoll", StreamHealth::Trouble, StreamHealth::Human);
        assert!(dies_meanwhile, "told");
    }
}
