//! kill -9 at random moments under webhook, polling and import load: everything acknowledged reaches the queue, nothing
//! else does, ids and bodies are stable, the order inside conversations holds.
//!
//! `PRIEM_CRASH_ROUNDS` sets the number of kills of each of the two runs, `PRIEM_CRASH_SEED` repeats a run.

use priem_city::broker::Broker;

use crate::support::{
    self, Installation, PATIENCE,
    channel::{Channel, ExportsChannel, TelegramChannel},
    flow::{self, Ledger, QUEUE, Settlement},
    until,
};

/// Kills in one of the two runs, which go side by side.
const ROUNDS: u32 = 100;

/// Every channel that is killed under. A new one joins here.
async fn channels(seed: u64) -> Vec<Box<dyn Channel>> {
    vec![
        Box::new(TelegramChannel::by_webhook(seed).await),
        Box::new(TelegramChannel::by_polling(seed + 1).await),
        Box::<ExportsChannel>::default(),
    ]
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// When a round ends.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// As soon as the process exists.
    Spawned,
    /// As soon as it has logged this many lines.
    Logged(usize),
    /// As soon as it answers that it is ready.
    Ready,
    /// After so much more was taken from the channel of this place in the list.
    Taken(usize, u64),
    /// After so many more messages were published.
    Published(u64),
}

impl Moment {
    fn random(random: &mut fastrand::Rng, channels: &[Box<dyn Channel>]) -> Self {
        match random.u32(0..9) {
            0 => Self::Spawned,
            1 => Self::Logged(random.usize(1..6)),
            2 => Self::Ready,
            3..=7 => {
                let place = random.usize(..channels.len());
                Self::Taken(place, random.u64(1..channels[place].waiting()))
            }
            _ => Self::Published(random.u64(1..120)),
        }
    }
}

struct Scene {
    channels: Vec<Box<dyn Channel>>,
    daemon: Installation,
    ledger: Ledger,
}

impl Scene {
    async fn new(broker: &Broker, seed: u64) -> Self {
        let mut channels = channels(seed).await;
        let entries: String = channels.iter().map(|channel| channel.settings()).collect();
        let daemon = Installation::new(&(flow::settings(Some(broker)) + &entries));
        for channel in &mut channels {
            channel.install(&daemon);
        }
        Self {
            channels,
            daemon,
            ledger: Ledger::default(),
        }
    }

    fn load(&mut self) {
        for channel in &mut self.channels {
            channel.keep_busy(&mut self.ledger);
        }
    }

    /// Starts the daemon and waits for the moment.
    async fn run_until(&mut self, moment: Moment) {
        let lines = self.daemon.log().lines().count();
        for channel in &mut self.channels {
            channel.mark();
        }
        self.daemon.spawn();
        let daemon = &self.daemon;
        let reached = async {
            match moment {
                Moment::Spawned => {}
                Moment::Logged(more) => {
                    until("log lines", async || daemon.log().lines().count() >= lines + more).await;
                }
                Moment::Ready => {
                    until("ready", async || {
                        matches!(daemon.get("/health/ready").await, Some((200, _)))
                    })
                    .await;
                }
                Moment::Taken(place, more) => self.channels[place].taken(daemon, more).await,
                Moment::Published(more) => {
                    daemon
                        .metric_reaches("priem_published_messages_total", "", more as f64)
                        .await;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(waited.is_ok(), "{moment:?} does not come:\n{}", self.daemon.log());
        self.daemon.assert_running();
    }

    async fn hang_up(&self) {
        for channel in &self.channels {
            channel.hung_up().await;
        }
    }

    /// Lets everything flow out, stops in order and compares.
    async fn settle(&mut self, broker: &Broker) -> Settlement {
        self.daemon.start().await;
        let emptied = async {
            for channel in &self.channels {
                channel.emptied().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, emptied).await;
        assert!(waited.is_ok(), "something is left at a source:\n{}", self.daemon.log());
        until("nothing is pending", async || self.daemon.stats()["pending"] == 0).await;
        self.daemon.stop().await;

        let verified = self.daemon.priem(&["journal", "verify"]);
        assert!(verified.status.success(), "{}", support::text(&verified));
        let stats = self.daemon.stats();
        assert_eq!((&stats["pending"], &stats["parked"]), (&0.into(), &0.into()));
        let held = || support::text(&self.daemon.priem(&["quarantine", "list"]));
        let expected: u64 = self.channels.iter().map(|channel| channel.quarantined()).sum();
        assert_eq!(quarantined(&stats), expected, "{stats}\n{}", held());
        let complaints: Vec<String> = self.channels.iter().flat_map(|channel| channel.complaints()).collect();
        assert_eq!(complaints, [""; 0]);
        assert!(!self.daemon.log().contains("panicked"), "{}", self.daemon.log());
        self.ledger.settle(&broker.drain(QUEUE).await.expect("the queue"))
    }
}

/// Items in quarantine. The starter settings send nothing else there than bad rows of exports.
fn quarantined(stats: &serde_json::Value) -> u64 {
    let reasons = stats["quarantined"].as_object().expect("counts by reason");
    reasons.values().filter_map(serde_json::Value::as_u64).sum()
}

/// Seed of a run; told, so that it can be repeated.
fn seed() -> u64 {
    let seed = number("PRIEM_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("PRIEM_CRASH_SEED={seed}");
    seed
}

async fn survive_kills_and_stops() {
    let seed = seed();
    let rounds =
        number("PRIEM_CRASH_ROUNDS").map_or(ROUNDS, |rounds| u32::try_from(rounds).expect("a number of rounds"));
    let mut random = fastrand::Rng::with_seed(seed);
    let broker = Broker::start().await.expect("a broker");

    let mut scene = Scene::new(&broker, seed).await;
    let (mut kills, mut stops) = (0, 0);
    while kills < rounds {
        scene.load();
        let moment = Moment::random(&mut random, &scene.channels);
        // Every seventh end is an orderly one. Before its handlers are in place SIGTERM is just another kill.
        let orderly = random.u32(0..7) == 0 && !matches!(moment, Moment::Spawned | Moment::Logged(_) | Moment::Ready);
        println!("{kills}: {moment:?}{}", if orderly { ", in order" } else { "" });
        scene.run_until(moment).await;
        if orderly {
            scene.daemon.stop().await;
            stops += 1;
        } else {
            scene.daemon.kill();
            kills += 1;
        }
        scene.hang_up().await;
    }
    let settlement = scene.settle(&broker).await;
    println!("{kills} kills, {stops} stops: {settlement:?}");
    assert_eq!(settlement.events, scene.ledger.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_invented_by_kills_and_stops() {
    survive_kills_and_stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_invented_by_as_many_kills_and_stops_at_other_moments() {
    survive_kills_and_stops().await;
}

/// With orderly stops only nothing may even come twice.
#[tokio::test(flavor = "multi_thread")]
async fn orderly_stops_repeat_nothing() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let broker = Broker::start().await.expect("a broker");
    let mut scene = Scene::new(&broker, seed).await;
    for _ in 0..6 {
        scene.load();
        scene.run_until(Moment::Published(random.u64(1..80))).await;
        scene.daemon.stop().await;
        scene.hang_up().await;
    }
    let settlement = scene.settle(&broker).await;
    assert_eq!(
        settlement,
        Settlement {
            events: scene.ledger.events(),
            repeated: 0
        },
        "an orderly stop repeats nothing:\n{}",
        scene.daemon.log()
    );
    assert!(
        !scene.daemon.log().contains("died over something"),
        "an orderly stop accuses nothing:\n{}",
        scene.daemon.log()
    );
}
