//! kill -9 at random moments under webhook, polling and import load: everything acknowledged reaches the queue, nothing
//! else does, ids and bodies are stable, the order inside conversations holds.
//!
//! `PRIEM_CRASH_ROUNDS` sets the number of kills, `PRIEM_CRASH_SEED` repeats a run.

mod support;

use priem_city::{broker::Broker, telegram::TelegramCity};
use support::{
    Installation, PATIENCE,
    flow::{self, HOOK_TOKEN, Importer, Ledger, POLL_TOKEN, QUEUE, Settlement, Writers},
    until,
};

/// Kills in an ordinary run.
const ROUNDS: u32 = 54;
/// Updates that wait for each bot when a round begins.
const WAITING: usize = 60;
/// Incidents in one export.
const INCIDENTS: u64 = 60;

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
    /// After the webhook simulator saw so many more deliveries acknowledged.
    Hooked(u64),
    /// After the polling simulator saw so many more updates confirmed.
    Polled(u64),
    /// After so many more rows were stored.
    Imported(u64),
    /// After so many more messages were published.
    Published(u64),
}

impl Moment {
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u32(0..9) {
            0 => Self::Spawned,
            1 => Self::Logged(random.usize(1..6)),
            2 => Self::Ready,
            3 | 4 => Self::Hooked(random.u64(1..WAITING as u64)),
            5 | 6 => Self::Polled(random.u64(1..WAITING as u64)),
            7 => Self::Imported(random.u64(1..INCIDENTS)),
            _ => Self::Published(random.u64(1..120)),
        }
    }
}

struct Scene {
    city: TelegramCity,
    daemon: Installation,
    ledger: Ledger,
    hook: Writers,
    poll: Writers,
    import: Importer,
}

impl Scene {
    async fn new(broker: &Broker, seed: u64) -> Self {
        let city = flow::telegram().await;
        let (hook, poll) = (city.bot(HOOK_TOKEN), city.bot(POLL_TOKEN));
        let api = city.api_url();
        let settings = flow::settings(Some(broker)) + &flow::hook(&api) + &flow::poll(&api) + &flow::files();
        let daemon = flow::install(&settings);
        Self {
            import: Importer::new(&daemon, INCIDENTS),
            hook: Writers::new(hook, "hook", seed),
            poll: Writers::new(poll, "poll", seed + 1),
            ledger: Ledger::default(),
            city,
            daemon,
        }
    }

    fn load(&mut self) {
        self.hook.keep_waiting(WAITING, &mut self.ledger);
        self.poll.keep_waiting(WAITING, &mut self.ledger);
        self.import.keep_busy(&mut self.ledger);
    }

    /// Starts the daemon and waits for the moment.
    async fn run_until(&mut self, moment: Moment) {
        let lines = self.daemon.log().lines().count();
        let (hook, poll) = (self.city.bot(HOOK_TOKEN), self.city.bot(POLL_TOKEN));
        let (hooked, polled) = (hook.delivered(), poll.delivered());
        self.daemon.spawn();
        let daemon = &mut self.daemon;
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
                Moment::Hooked(more) => hook.wait_until(|bot| bot.delivered() >= hooked + more).await,
                Moment::Polled(more) => poll.wait_until(|bot| bot.delivered() >= polled + more).await,
                Moment::Imported(more) => {
                    daemon
                        .metric_reaches("priem_received_items_total", "connector=\"exports\"", more as f64)
                        .await;
                }
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

    /// A dead daemon's long poll must be seen as gone, or the next one would be a second poller.
    async fn hang_up(&self) {
        self.city.bot(POLL_TOKEN).wait_until(|bot| !bot.is_polled()).await;
    }

    /// Lets everything flow out, stops in order and compares.
    async fn settle(&mut self, broker: &Broker) -> Settlement {
        self.daemon.start().await;
        let (hook, poll) = (self.city.bot(HOOK_TOKEN), self.city.bot(POLL_TOKEN));
        let acknowledged = async {
            hook.wait_until(|bot| bot.pending() == 0).await;
            poll.wait_until(|bot| bot.pending() == 0).await;
        };
        let waited = tokio::time::timeout(PATIENCE, acknowledged).await;
        assert!(waited.is_ok(), "updates are left:\n{}", self.daemon.log());
        until("the inbox is empty", async || self.import.files_in("inbox") == 0).await;
        until("nothing is pending", async || self.daemon.stats()["pending"] == 0).await;
        self.daemon.stop().await;

        let verified = self.daemon.priem(&["journal", "verify"]);
        assert!(verified.status.success(), "{}", support::text(&verified));
        let stats = self.daemon.stats();
        assert_eq!((&stats["pending"], &stats["parked"]), (&0.into(), &0.into()));
        let held = || support::text(&self.daemon.priem(&["quarantine", "list"]));
        assert_eq!(quarantined(&stats), self.import.bad_rows, "{stats}\n{}", held());
        assert_eq!(self.import.files_in("done") as u64, self.import.dropped());
        assert_eq!(self.import.files_in("failed"), 0);
        assert_eq!(self.city.violations(), [""; 0]);
        assert!(!self.daemon.log().contains("panicked"), "{}", self.daemon.log());
        self.ledger.settle(&broker.drain(QUEUE).await.expect("the queue"))
    }
}

/// Items in quarantine. The starter settings send nothing else there than bad rows of exports.
fn quarantined(stats: &serde_json::Value) -> u64 {
    let reasons = stats["quarantined"].as_object().expect("counts by reason");
    reasons.values().filter_map(serde_json::Value::as_u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_invented_by_kills_and_stops() {
    let seed = number("PRIEM_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let rounds =
        number("PRIEM_CRASH_ROUNDS").map_or(ROUNDS, |rounds| u32::try_from(rounds).expect("a number of rounds"));
    println!("PRIEM_CRASH_SEED={seed} PRIEM_CRASH_ROUNDS={rounds}");
    let mut random = fastrand::Rng::with_seed(seed);
    let broker = Broker::start().await.expect("a broker");

    let mut scene = Scene::new(&broker, seed).await;
    let (mut kills, mut stops) = (0, 0);
    while kills < rounds {
        scene.load();
        let moment = Moment::random(&mut random);
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

    // The same with orderly stops only: then nothing may even come twice.
    let mut scene = Scene::new(&broker, seed + 2).await;
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
        "an orderly stop repeats nothing"
    );
}
