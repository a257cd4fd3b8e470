//! A journal full of what waits, the broker away: it refuses and lives, takes more when the limit is raised, and drains
//! and takes again by itself when the broker is back. What was accepted arrives, what was refused does not.

use std::{
    collections::BTreeSet,
    os::unix::net::UnixDatagram,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use priem_city::broker::Broker;

use crate::support::{
    Installation, PATIENCE,
    flow::{self, QUEUE},
    pause, until,
};

/// Limit of the journal at first.
const MEBIBYTES: u64 = 4;

/// What was sent, and what of it was accepted.
#[derive(Default)]
struct Sent {
    next: u64,
    accepted: BTreeSet<String>,
}

impl Sent {
    /// One message of some kilobytes; whether it was accepted.
    async fn one(&mut self, daemon: &Installation) -> bool {
        self.next += 1;
        let (number, text) = (self.next, format!("Яма {}. ", self.next).repeat(200));
        match flow::deliver(daemon, number, &text).await {
            200 => self.accepted.insert(format!("7:{number}")),
            503 => false,
            other => panic!("{other}"),
        }
    }

    /// Sends until one is refused; how many were accepted.
    async fn until_refused(&mut self, daemon: &Installation) -> usize {
        let before = self.accepted.len();
        while self.one(daemon).await {
            assert!(self.next < 10_000, "the limit must bite");
        }
        self.accepted.len() - before
    }
}

/// Counts what the watchdog of systemd is told, and takes all of it, as systemd does.
fn signs_of_life(systemd: UnixDatagram) -> Arc<AtomicUsize> {
    let signs = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&signs);
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(length) = systemd.recv(&mut buffer) {
            if buffer[..length].starts_with(b"WATCHDOG=1") {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    signs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_lives_and_takes_again_by_itself() {
    let mut broker = Broker::start().await.expect("a broker");
    broker.kill();
    let city = flow::telegram().await;
    let limited = |mebibytes: u64| {
        let limit = format!("min_free_bytes: 0, max_bytes: {}", mebibytes << 20);
        flow::settings(Some(&broker)).replace("min_free_bytes: 0", &limit) + &flow::hook(&city.api_url())
    };
    let mut daemon = flow::install(&limited(MEBIBYTES));
    let raised = limited(2 * MEBIBYTES);
    let socket = daemon.folder.path().join("notify");
    let signs = signs_of_life(UnixDatagram::bind(&socket).unwrap());
    let address = format!("NOTIFY_SOCKET={}", socket.display());
    daemon.wrap(&["env", &address, "WATCHDOG_USEC=3000000"]);
    daemon.start().await;

    let mut sent = Sent::default();
    assert!(sent.until_refused(&daemon).await > 100);
    // Signs of life go on while everybody is refused; what little is given up for room may let one in.
    let before = signs.load(Ordering::SeqCst);
    let (mut refused, started) = (0, Instant::now());
    while signs.load(Ordering::SeqCst) < before + 3 || refused < 100 {
        refused += i32::from(!sent.one(&daemon).await);
        assert!(
            started.elapsed() < PATIENCE,
            "{signs:?} signs of life, {refused} refused"
        );
        pause().await;
    }
    until("it is told", async || {
        let report = daemon.get("/health/ready").await;
        report.is_some_and(|(status, text)| status == 503 && text.contains("journal.max_bytes"))
    })
    .await;

    // The limit is raised, the broker still away.
    daemon.stop().await;
    daemon.configure(&raised);
    daemon.start().await;
    assert!(sent.until_refused(&daemon).await > 100, "there is room");

    // The broker is back, and nobody touches the daemon.
    let pid = daemon.pid();
    broker.start_again().await.expect("a start");
    until("it takes again", async || sent.one(&daemon).await).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    until("it is ready", async || {
        daemon
            .get("/health/ready")
            .await
            .is_some_and(|(status, _)| status == 200)
    })
    .await;
    assert_eq!(daemon.pid(), pid);
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());

    let delivered = broker.drain(QUEUE).await.expect("the queue");
    let arrived: BTreeSet<String> = delivered
        .iter()
        .map(|message| {
            let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
            body["data"]["external"]["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(arrived, sent.accepted);
    broker.stop().await.expect("stopped");
}
