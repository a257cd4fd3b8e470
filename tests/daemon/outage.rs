//! The broker away: absent at start, stopped, killed, started again; and a broker that has no queue for a message.

use std::{future::Future, pin::pin};

use priem_city::{broker::Broker, telegram::Bot};

use crate::support::{
    Installation, PATIENCE,
    flow::{self, HOOK_TOKEN, Ledger, QUEUE, Writers},
    json, pause, text, until, write,
};

/// Messages of one phase, at most: the test ends with taking every one of them out of a queue.
const MOST: usize = 3000;

/// Keeps citizens writing while something happens.
async fn under_load<T>(writers: &mut Writers, ledger: &mut Ledger, happens: impl Future<Output = T>) -> T {
    let mut happens = pin!(happens);
    loop {
        tokio::select! {
            outcome = &mut happens => return outcome,
            () = pause() => {
                if ledger.events() < MOST {
                    writers.keep_waiting(8, ledger);
                }
            }
        }
    }
}

async fn all_taken(bot: &Bot, daemon: &Installation) {
    let waited = tokio::time::timeout(PATIENCE, bot.wait_until(|bot| bot.pending() == 0)).await;
    assert!(
        waited.is_ok(),
        "{} updates are not taken:\n{}",
        bot.pending(),
        daemon.log()
    );
}

async fn ready(daemon: &Installation) -> serde_json::Value {
    let (status, body) = daemon.get("/health/ready").await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn is_degraded(report: &serde_json::Value, condition: &str) -> bool {
    report["degraded"]
        .as_array()
        .expect("a list")
        .iter()
        .any(|finding| finding["condition"] == condition)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_costs_time_and_nothing_else() {
    let mut broker = Broker::start().await.expect("a broker");
    broker.kill();
    let city = flow::telegram().await;
    let bot = city.bot(HOOK_TOKEN);
    let mut daemon = flow::install(&(flow::settings(Some(&broker)) + &flow::hook(&city.api_url())));
    let (mut ledger, mut writers) = (Ledger::default(), Writers::new(bot.clone(), "hook", 7));

    // Absent at start: ready, taking messages, saying what is wrong.
    daemon.start().await;
    writers.keep_waiting(200, &mut ledger);
    all_taken(&bot, &daemon).await;
    let taken = ledger.events();
    assert_eq!(daemon.stats()["pending"], taken, "everything waits in the journal");
    assert_eq!(
        daemon.metric("priem_webhook_answers_total", "status=\"200\"").await,
        taken as f64
    );
    until("the broker is reported", async || {
        is_degraded(&ready(&daemon).await, "broker")
    })
    .await;
    assert_eq!(daemon.metric("priem_broker_connected", "").await, 0.0);
    daemon.metric_reaches("priem_pending_items", "", taken as f64).await;
    assert_eq!(daemon.metric("priem_published_messages_total", "").await, 0.0);

    // It appears: everything drains by itself.
    broker.start_again().await.expect("a start");
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.metric_reaches("priem_broker_connected", "", 1.0).await;
    until("all is well again", async || {
        !is_degraded(&ready(&daemon).await, "broker")
    })
    .await;

    // Stopped and killed under load, more than once.
    broker
        .wait_until_queue_survives_a_kill(QUEUE)
        .await
        .expect("a queue on disk");
    for round in 0..2 {
        under_load(&mut writers, &mut ledger, broker.stop())
            .await
            .expect("a stop");
        let down = ledger.events();
        under_load(&mut writers, &mut ledger, broker.start_again())
            .await
            .expect("a start");
        assert!(
            ledger.events() > down || down >= MOST,
            "round {round}: citizens wrote during the outage"
        );
        let before = daemon.metric("priem_published_messages_total", "").await;
        under_load(
            &mut writers,
            &mut ledger,
            daemon.metric_reaches("priem_published_messages_total", "", before + 50.0),
        )
        .await;
        broker.kill();
        under_load(
            &mut writers,
            &mut ledger,
            until("the kill is noticed", async || {
                daemon.metric("priem_broker_connected", "").await == 0.0
            }),
        )
        .await;
        under_load(&mut writers, &mut ledger, broker.start_again())
            .await
            .expect("a start");
    }
    all_taken(&bot, &daemon).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.assert_running();
    daemon.stop().await;

    let settlement = ledger.settle(&broker.drain(QUEUE).await.expect("the queue"));
    println!("{settlement:?}");
    assert_eq!(settlement.events, ledger.events());
    assert_eq!(city.violations(), [""; 0]);
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    assert_eq!(daemon.stats()["parked"], 0);
}

const RULES: &str = "version: 1
sectors:
  roads: Дороги
classify:
  - id: pits
    name: Ямы
    when: { text: [яма] }
    set: { sector: roads }
route:
  id: rest
  name: Остальное
  to: { organisation: МЦУ, role: координатор }
  queue: mcu.lost
  routes:
    - { id: roads, name: Дороги, when: { sector: roads }, to: { organisation: Дороги, role: диспетчер }, queue: mcu.roads }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_parked_and_delivered_once_a_queue_is_there() {
    let broker = Broker::start().await.expect("a broker");
    let city = flow::telegram().await;
    let bot = city.bot(HOOK_TOKEN);
    let settings = flow::settings(Some(&broker)).replace(
        "heartbeat_seconds: 3 }",
        "exchange: mcu, queues: [ { name: roads, bindings: [ mcu.roads ] } ] }\nrules: { dir: rules }",
    );
    let mut daemon = flow::install(&(settings + &flow::hook(&city.api_url())));
    write(&daemon.folder.path().join("rules/rules.yaml"), RULES);
    daemon.start().await;

    let citizen = priem_city::voices::person(1);
    let pits: Vec<_> = (1..=3)
        .map(|n| bot.send_private(&citizen, &format!("Яма номер {n} на Тихой")))
        .collect();
    let lost: Vec<_> = (1..=2)
        .map(|n| bot.send_private(&citizen, &format!("Просто здравствуйте, {n}")))
        .collect();
    all_taken(&bot, &daemon).await;
    until("two are parked", async || daemon.stats()["parked"] == 2).await;

    daemon
        .metric_reaches("priem_broker_returns_total", "queue=\"mcu.lost\"", 2.0)
        .await;
    daemon.metric_reaches("priem_parked_items", "", 2.0).await;
    daemon
        .metric_reaches(
            "priem_published_messages_total",
            "queue=\"mcu.roads\"",
            pits.len() as f64,
        )
        .await;
    assert_eq!(
        daemon
            .metric("priem_published_messages_total", "queue=\"mcu.lost\"")
            .await,
        0.0
    );
    let log = daemon.log();
    let alarm = log
        .lines()
        .find(|line| line.contains("no queue takes this routing key"))
        .expect("an alarm");
    assert!(alarm.contains("ERROR") && alarm.contains("mcu.lost"), "{alarm}");
    let held = json(&daemon.priem(&["quarantine", "list", "--json"]));
    assert_eq!(held.as_array().map(Vec::len), Some(2), "{held}");
    assert_eq!(
        (&held[0]["kind"], &held[0]["reason"]),
        (&"parked".into(), &"unroutable".into())
    );
    let name = |sent: &priem_city::telegram::Sent| format!("{}:{}", sent.chat_id, sent.message_id);
    assert!(text(&daemon.priem(&["why", &name(&lost[0])])).contains("нет очереди"));

    // A retry without a queue parks it again.
    assert!(
        daemon
            .priem(&["quarantine", "retry", &held[0]["seq"].to_string()])
            .status
            .success()
    );
    daemon
        .metric_reaches("priem_broker_returns_total", "queue=\"mcu.lost\"", 3.0)
        .await;
    until("it is parked again", async || daemon.stats()["parked"] == 2).await;

    broker.declare_queue("lost").await.expect("a queue");
    broker.bind("lost", "mcu", "mcu.lost").await.expect("a binding");
    assert!(daemon.priem(&["quarantine", "retry", "--all"]).status.success());
    until("nothing waits", async || {
        let stats = daemon.stats();
        stats["parked"] == 0 && stats["pending"] == 0
    })
    .await;
    daemon
        .metric_reaches("priem_published_messages_total", "queue=\"mcu.lost\"", 2.0)
        .await;
    let mut ledgers = [Ledger::default(), Ledger::default()];
    for (ledger, sent) in ledgers.iter_mut().zip([&pits, &lost]) {
        for one in sent {
            ledger.exact(
                "hook",
                &name(one),
                "0",
                priem_sdk::EventType::Received,
                &one.chat_id.to_string(),
            );
        }
    }
    for (ledger, queue) in ledgers.iter().zip(["roads", "lost"]) {
        let settlement = ledger.settle(&broker.drain(queue).await.expect("a queue"));
        assert_eq!(
            (settlement.events, settlement.repeated),
            (ledger.events(), 0),
            "{queue}"
        );
    }
    assert!(text(&daemon.priem(&["why", &name(&lost[0])])).contains("отправлено"));
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    assert_eq!(city.violations(), [""; 0]);
}

const PITS: &str = "version: 1
route:
  id: rest
  name: Остальное
  to: { organisation: МЦУ }
  queue: qb
  routes:
    - { id: pits, name: Ямы, when: { text: [яма] }, to: { organisation: Дороги }, queue: qa,
        also: [{ to: { organisation: ЕДДС }, queue: qc }] }
";

/// More than a daemon keeps in memory for one queue.
const PER_CITIZEN: usize = 160;
const CITIZENS: usize = 5;

fn is_held_back(report: &serde_json::Value) -> bool {
    let degraded = report["degraded"].as_array().expect("a list");
    degraded
        .iter()
        .any(|finding| finding["condition"] == "queues" && finding["why"].to_string().contains("qa"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_stops_nobody_else_and_what_waits_for_it_survives_a_kill() {
    let broker = Broker::start().await.expect("a broker");
    broker.declare_capped_queue("qa", "priem", 10).await.expect("a queue");
    let city = flow::telegram().await;
    let bot = city.bot(HOOK_TOKEN);
    let queues = "heartbeat_seconds: 3, queues: [ { name: qb, bindings: [ qb ] }, { name: qc, bindings: [ qc ] } ] }";
    let settings = flow::settings(Some(&broker)).replace(
        "heartbeat_seconds: 3 }",
        &format!("{queues}\nduplicates: {{ enabled: false }}\nrules: {{ dir: rules }}"),
    );
    let mut daemon = flow::install(&(settings + &flow::hook(&city.api_url())));
    write(&daemon.folder.path().join("rules/rules.yaml"), PITS);
    daemon.start().await;

    let citizens: Vec<_> = (1..=CITIZENS)
        .map(|number| priem_city::voices::person(number as u64))
        .collect();
    let (mut pits, mut others) = (Ledger::default(), Ledger::default());
    let say = |text: &str, number: usize, ledger: &mut Ledger| {
        let sent = bot.send_private(&citizens[number % CITIZENS], &format!("{text} {number}"));
        let (chat, id) = (
            sent.chat_id.to_string(),
            format!("{}:{}", sent.chat_id, sent.message_id),
        );
        ledger.exact("hook", &id, "0", priem_sdk::EventType::Received, &chat);
    };
    let all = PER_CITIZEN * CITIZENS;
    for number in 0..all {
        say("Яма номер", number, &mut pits);
        say("Здравствуйте, это письмо номер", number, &mut others);
    }
    all_taken(&bot, &daemon).await;
    // Others, and the copies of those that are refused, are not held up.
    for queue in ["qb", "qc"] {
        let labels = format!("queue=\"{queue}\"");
        daemon
            .metric_reaches("priem_published_messages_total", &labels, all as f64)
            .await;
    }
    let refused = daemon.metric("priem_published_messages_total", "queue=\"qa\"").await;
    assert!(refused < 100.0, "qa refuses: {refused}");
    let wait = (all - 100) as f64;
    daemon
        .metric_reaches("priem_queue_held_back_messages", "queue=\"qa\"", wait)
        .await;
    daemon
        .metric_reaches("priem_broker_nacks_total", "queue=\"qa\"", 1.0)
        .await;
    until("the queue is named", async || is_held_back(&ready(&daemon).await)).await;
    assert!(!is_degraded(&ready(&daemon).await, "broker"));
    let told = daemon.log();
    assert_eq!(
        told.matches("a queue refuses messages").count(),
        1,
        "once an episode:\n{told}"
    );

    daemon.kill();
    daemon.start().await;
    say("Здравствуйте ещё раз", all, &mut others);
    let again = daemon.metric_reaches("priem_published_messages_total", "queue=\"qb\"", 1.0);
    again.await;
    until("the queue is named again", async || is_held_back(&ready(&daemon).await)).await;

    // The handler is back and takes what there is, again and again.
    let mut taken = Vec::new();
    until("nothing is pending", async || {
        taken.extend(broker.drain("qa").await.expect("the queue"));
        daemon.stats()["pending"] == 0
    })
    .await;
    taken.extend(broker.drain("qa").await.expect("the queue"));
    let settlement = pits.settle(&taken);
    assert_eq!(settlement.events, all);
    assert!(
        settlement.repeated < 20,
        "only what was in flight at the kill: {settlement:?}"
    );
    assert_eq!(
        others.settle(&broker.drain("qb").await.expect("the queue")).events,
        all + 1
    );
    assert_eq!(pits.settle(&broker.drain("qc").await.expect("the queue")).events, all);
    until("all is well again", async || !is_held_back(&ready(&daemon).await)).await;
    assert_eq!(
        daemon.metric("priem_queue_held_back_messages", "queue=\"qa\"").await,
        0.0
    );
    assert!(daemon.log().contains("the queue takes messages again"));
    assert_eq!(daemon.stats()["parked"], 0);
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    assert_eq!(city.violations(), [""; 0]);
}
