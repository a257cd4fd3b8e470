//! A queue whose process hangs neither takes nor refuses: against a real, private RabbitMQ, in which the process of one
//! queue is suspended.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use priem::publish::{BrokerState, Outcome, queues::Fault, settings::AmqpSettings};
use priem_city::broker::Broker;

use crate::support::{
    Installation,
    flow::{self, HOOK_TOKEN, Ledger},
    publisher::{Bench, PATIENCE, assert_in_order, message_to, qa_and_qb, queue_of, tokens},
    until, write,
};

const CONFIRM_SECONDS: u16 = 3;

/// A publisher on a broker whose queues have taken something already.
async fn started(broker: &Broker, change: impl FnOnce(&mut AmqpSettings)) -> Bench {
    let mut bench = Bench::on(broker, |amqp| {
        qa_and_qb(amqp);
        amqp.confirm_seconds = CONFIRM_SECONDS;
        change(amqp);
    });
    bench
        .publish((0..110).map(|token| message_to(queue_of(token), token)))
        .await;
    bench
}

fn confirmed(bench: &Bench, queue: &str) -> usize {
    let of_queue = |(token, outcome): &(&u64, &Outcome)| queue_of(**token) == queue && **outcome == Outcome::Confirmed;
    bench.outcomes.iter().filter(of_queue).count()
}

async fn settle_until(bench: &mut Bench, enough: impl Fn(&Bench) -> bool) {
    while !enough(bench) {
        let settled = bench.outcomes.len();
        bench.settle(settled + 1).await;
    }
}

fn is_silent(bench: &Bench) -> bool {
    let troubles = bench.publisher.queues().troubles();
    troubles
        .iter()
        .any(|trouble| trouble.queue == "qa" && trouble.fault == Fault::Silent)
}

/// Sends to `qb`, from `token` on, until something is true of the bench; gives the next token.
async fn send_until(bench: &mut Bench, mut token: u64, enough: impl Fn(&Bench) -> bool) -> u64 {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !enough(bench) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", bench.publisher.queues());
        if queue_of(token) == "qb" {
            let settled = bench.outcomes.len();
            bench.send(message_to("qb", token)).await;
            bench.settle(settled + 1).await;
        }
        token += 1;
    }
    token
}

async fn calm(bench: &Bench) {
    let calm = tokio::time::timeout(PATIENCE, async {
        while bench.publisher.queues().any() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    calm.await.expect("the episode ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_answer_holds_back_its_own_messages_only() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = started(&broker, |_| {}).await;
    broker.suspend_queue("qa").expect("a suspended queue");
    // Every eleventh message gets no answer.
    let all: u64 = 4400;
    for token in 110..all {
        bench.send(message_to(queue_of(token), token)).await;
    }
    let to_qb = (0..all).filter(|token| queue_of(*token) == "qb").count();
    settle_until(&mut bench, |bench| confirmed(bench, "qb") == to_qb).await;
    assert_eq!(confirmed(&bench, "qa"), 10, "qa does not answer");
    let next = send_until(&mut bench, all, is_silent).await;
    let trouble = bench.publisher.queues().troubles().remove(0);
    assert!(trouble.why.contains("neither takes nor refuses"), "{trouble:?}");
    assert_eq!(bench.metrics.queue_silent.with_label_values(&["qa"]).get(), 1);
    // It goes on much longer than the connection may be without a confirmation.
    let long = i64::from(CONFIRM_SECONDS) * 3;
    let next = send_until(&mut bench, next, |_| {
        Timestamp::now().duration_since(trouble.since).as_secs() >= long
    })
    .await;
    assert!(is_silent(&bench));
    assert_eq!(*bench.publisher.state().borrow(), BrokerState::Connected);

    broker.resume_queue("qa").expect("a queue that goes on");
    let sent = (0..next)
        .filter(|token| *token < all || queue_of(*token) == "qb")
        .count();
    bench.settle(sent).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    let arrived = tokens(&broker.drain("qa").await.expect("the queue"));
    assert_eq!(arrived.len() as u64, all.div_ceil(11), "each once");
    assert_in_order(&arrived);
    assert_eq!(
        bench.metrics.broker_connections.get(),
        1,
        "the connection lived through it"
    );
    calm(&bench).await;
    assert_eq!(bench.metrics.queue_silent.with_label_values(&["qa"]).get(), 0);
    bench.publisher.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_for_a_silent_queue_that_fills_every_window_stops_no_other() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = started(&broker, |_| {}).await;
    broker.suspend_queue("qa").expect("a suspended queue");
    let (burst, all) = (600, 3000);
    let key = |token: u64| if token < burst { "qa" } else { "qb" };
    for token in 110..all {
        bench.send(message_to(key(token), token)).await;
    }
    settle_until(&mut bench, |bench| {
        bench.outcomes.range(burst..).count() as u64 == all - burst
    })
    .await;
    broker.resume_queue("qa").expect("a queue that goes on");
    bench.settle(all as usize).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    let arrived = tokens(&broker.drain("qa").await.expect("the queue"));
    assert_eq!(arrived.len() as u64, 10 + burst - 110, "each once");
    assert_in_order(&arrived);
    assert_eq!(
        bench.metrics.broker_connections.get(),
        1,
        "the connection lived through it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_silent_queue_is_parked_and_what_is_in_flight_is_not() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = started(&broker, |amqp| {
        amqp.refused = serde_json::from_str(r#"{"park_after":"2s"}"#).expect("settings");
    })
    .await;
    broker.suspend_queue("qa").expect("a suspended queue");
    let parked = |bench: &Bench| {
        let parked = bench.outcomes.values();
        parked
            .filter(|outcome| matches!(outcome, Outcome::Refused { reason } if reason.contains("park_after")))
            .count()
    };
    for token in 110..1210 {
        bench.send(message_to(queue_of(token), token)).await;
    }
    let next = send_until(&mut bench, 1210, is_silent).await;
    // Of a queue that is known to be silent one message in each lane asks; these wait.
    for token in (next..next + 1100).filter(|token| queue_of(*token) == "qa") {
        bench.send(message_to("qa", token)).await;
    }
    send_until(&mut bench, next + 1100, |bench| parked(bench) > 50).await;
    broker.resume_queue("qa").expect("a queue that goes on");
    let sent = bench.outcomes.len() + usize::try_from(bench.metrics.unconfirmed.get()).expect("a count");
    bench.settle(sent).await;
    let arrived: BTreeSet<_> = tokens(&broker.drain("qa").await.expect("the queue"))
        .into_iter()
        .collect();
    let lost = bench.outcomes.iter().filter(|(token, outcome)| {
        queue_of(**token) == "qa" && **outcome == Outcome::Confirmed && !arrived.contains(token)
    });
    assert_eq!(lost.count(), 0);
    assert!(bench.outcomes.len() > arrived.len() + parked(&bench));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_while_a_queue_is_silent_costs_no_message_and_no_order() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = started(&broker, |_| {}).await;
    broker.suspend_queue("qa").expect("a suspended queue");
    let all = 2200;
    for token in 110..all {
        bench.send(message_to(queue_of(token), token)).await;
    }
    let next = send_until(&mut bench, all, is_silent).await;
    broker
        .ctl(&["close_all_connections", "a test"])
        .expect("no connections");
    let next = send_until(&mut bench, next, |bench| bench.metrics.broker_connections.get() == 2).await;
    let to_qb = |next: u64| (0..next).filter(|token| queue_of(*token) == "qb").count();
    settle_until(&mut bench, |bench| confirmed(bench, "qb") == to_qb(next)).await;
    broker.resume_queue("qa").expect("a queue that goes on");
    bench.settle(to_qb(next) + 200).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    // What was in flight may come again under its id, but nothing comes before an earlier one for the first time.
    let mut seen = BTreeSet::new();
    let mut arrived = tokens(&broker.drain("qa").await.expect("the queue"));
    arrived.retain(|token| seen.insert(*token));
    assert_eq!(arrived.len(), 200);
    assert_in_order(&arrived);
    assert_eq!(bench.metrics.broker_connections.get(), 2);
}

const PITS: &str = "version: 1
route:
  id: rest
  name: Остальное
  to: { organisation: МЦУ }
  queue: qb
  routes:
    - { id: pits, name: Ямы, when: { text: [яма] }, to: { organisation: Дороги }, queue: qa }
";

/// What the daemon says of queue `qa`.
async fn trouble_of_qa(daemon: &Installation) -> Option<String> {
    let (status, body) = daemon.get("/health/ready").await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    let report: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let degraded = report["degraded"].as_array().expect("a list");
    let queues = degraded.iter().find(|finding| finding["condition"] == "queues")?;
    let why = queues["why"].as_str().expect("a reason");
    why.contains("\"qa\"").then(|| why.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_names_the_silent_queue_and_keeps_what_waits_for_it_in_the_journal() {
    /// More than is kept in memory for one queue.
    const ALL: usize = 1500;
    let broker = Broker::start().await.expect("a broker");
    broker.declare_exchange("priem").await.expect("an exchange");
    broker.declare_queue("qa").await.expect("a queue");
    broker.bind("qa", "priem", "qa").await.expect("a binding");
    broker.suspend_queue("qa").expect("a suspended queue");
    let city = flow::telegram().await;
    let bot = city.bot(HOOK_TOKEN);
    let queues = format!("confirm_seconds: {CONFIRM_SECONDS}, queues: [ {{ name: qb, bindings: [ qb ] }} ] }}");
    let settings = flow::settings(Some(&broker)).replace(
        "heartbeat_seconds: 3 }",
        &format!("heartbeat_seconds: 3, {queues}\nduplicates: {{ enabled: false }}\nrules: {{ dir: rules }}"),
    );
    let mut daemon = flow::install(&(settings + &flow::hook(&city.api_url())));
    write(&daemon.folder.path().join("rules/rules.yaml"), PITS);
    daemon.start().await;

    let citizens: Vec<_> = (1..=5).map(priem_city::voices::person).collect();
    let (mut pits, mut others) = (Ledger::default(), Ledger::default());
    let say = |text: &str, number: usize, ledger: &mut Ledger| {
        let sent = bot.send_private(&citizens[number % citizens.len()], &format!("{text} {number}"));
        let (chat, id) = (
            sent.chat_id.to_string(),
            format!("{}:{}", sent.chat_id, sent.message_id),
        );
        ledger.exact("hook", &id, "0", priem_sdk::EventType::Received, &chat);
    };
    // Those for qa first: they fill whatever there is to be filled.
    for number in 0..ALL {
        say("Яма номер", number, &mut pits);
    }
    for number in 0..ALL {
        say("Здравствуйте, это письмо номер", number, &mut others);
    }
    daemon
        .metric_reaches("priem_published_messages_total", "queue=\"qb\"", ALL as f64)
        .await;
    until("the queue is named", async || {
        let why = trouble_of_qa(&daemon).await;
        why.is_some_and(|why| why.contains("does not answer") && why.contains("neither takes nor refuses"))
    })
    .await;
    daemon
        .metric_reaches("priem_queue_held_back_messages", "queue=\"qa\"", ALL as f64)
        .await;
    assert_eq!(daemon.metric("priem_queue_silent", "queue=\"qa\"").await, 1.0);
    // Before any message of another queue is there to show whose fault it is, the connection may have been lost.
    let connections = daemon.metric("priem_broker_connections_total", "").await;
    let told = daemon.log();
    assert_eq!(
        told.matches("a queue neither takes nor refuses").count(),
        1,
        "once:\n{told}"
    );

    broker.resume_queue("qa").expect("a queue that goes on");
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    let settlement = pits.settle(&broker.drain("qa").await.expect("the queue"));
    assert_eq!(settlement.events, ALL);
    assert!(
        settlement.repeated <= 4 * 64,
        "only what was in flight on a channel that hung: {settlement:?}"
    );
    assert_eq!(others.settle(&broker.drain("qb").await.expect("the queue")).events, ALL);
    until("all is well again", async || trouble_of_qa(&daemon).await.is_none()).await;
    assert!(daemon.log().contains("the queue answers and takes messages again"));
    assert_eq!(daemon.metric("priem_broker_connections_total", "").await, connections);
    assert_eq!(daemon.stats()["parked"], 0);
    daemon.stop().await;
}
