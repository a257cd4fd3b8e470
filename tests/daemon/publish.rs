//! The publisher against a real, private RabbitMQ: what is settled as confirmed is in a queue, what is not settled comes
//! again, whatever happens to the broker.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use priem::publish::{
    self, BrokerState, Outcome,
    queues::Fault,
    settings::{AmqpSettings, AmqpTlsSettings, NdjsonSettings, PublishSettings, QueueSettings, Topology},
};
use priem_city::broker::{Broker, BrokerOptions, TlsFiles};
use priem_sdk::SecretRef;

use crate::support::{
    fake_amqp::{FakeBroker, Silent},
    publisher::{
        Bench, PATIENCE, assert_in_order, counts, id, message, message_to, only_qb, qa_and_qb, queue_of, settings,
        tokens,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_confirmed_arrives_once_with_its_properties_and_in_order() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |_| {});
    bench.publish((0..3000).map(message)).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));

    let delivered = broker.drain("all").await.expect("a queue");
    assert_eq!(delivered.len(), 3000);
    let first = &delivered[0];
    let properties = &first.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(
        properties.content_type().as_ref().map(|text| text.as_str()),
        Some("application/cloudevents+json")
    );
    assert_eq!(
        properties.kind().as_ref().map(|text| text.as_str()),
        Some("ru.priem.message.received.v1")
    );
    assert_eq!(properties.app_id().as_ref().map(|text| text.as_str()), Some("priem"));
    assert_eq!(
        (*properties.timestamp(), *properties.priority()),
        (Some(1_760_000_000), Some(5))
    );
    assert_eq!(
        (first.routing_key.as_str(), first.headers["sector"].as_str()),
        ("in.roads", "дороги")
    );

    let mut last_by_key: HashMap<u64, u64> = HashMap::new();
    for delivered in &delivered {
        let body: serde_json::Value = serde_json::from_slice(&delivered.body).expect("JSON");
        let token = body["token"].as_u64().expect("a token");
        assert_eq!(delivered.message_id, id(token));
        let before = last_by_key.insert(token % 10, token);
        assert!(before.is_none_or(|before| before < token), "{token} after {before:?}");
    }
    let text = bench.metrics.render();
    assert!(
        text.contains("priem_published_messages_total{channel=\"telegram\",queue=\"in.roads\"} 3000"),
        "{text}"
    );
    assert_eq!(bench.metrics.unconfirmed.get(), 0);
    bench.publisher.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unroutable_messages_are_returned_and_no_other() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |settings| settings.channels = 2);
    let unroutable = |token: u64| token.is_multiple_of(3) || token.is_multiple_of(7);
    bench
        .publish((0..4000).map(|token| {
            let mut message = message(token);
            if unroutable(token) {
                message.routing_key = "nowhere".into();
            }
            message
        }))
        .await;
    for (token, outcome) in &bench.outcomes {
        let expected = match unroutable(*token) {
            true => Outcome::Returned {
                reason: "312 NO_ROUTE".into(),
            },
            false => Outcome::Confirmed,
        };
        assert_eq!(*outcome, expected, "message {token}");
    }
    let routed: HashMap<_, _> = (0..4000)
        .filter(|token| !unroutable(*token))
        .map(|token| (id(token), 1))
        .collect();
    assert_eq!(counts(&broker, "all").await, routed);
    let returned = (0..4000).filter(|token| unroutable(*token)).count();
    let text = bench.metrics.render();
    assert!(
        text.contains(&format!("priem_broker_returns_total{{queue=\"nowhere\"}} {returned}")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_absent_killed_or_stopped() {
    let mut broker = Broker::start().await.expect("a broker");
    broker.stop().await.expect("a stop");
    let mut bench = Bench::on(&broker, |_| {});
    let refused = |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why.to_lowercase().contains("refused"));
    bench.wait_for("an absent broker is reported", refused).await;
    bench.publisher.send((0..100).map(message).collect()).await;
    assert!(bench.outcomes.is_empty(), "nothing is settled without a broker");
    broker.start_again().await.expect("a start");
    bench.settle(100).await;

    // Killed while messages are in flight.
    broker
        .wait_until_queue_survives_a_kill("all")
        .await
        .expect("a queue on disk");
    for token in 100..400 {
        bench.send(message(token)).await;
    }
    broker.kill();
    let confirmed_before: Vec<_> = bench.outcomes.keys().copied().collect();
    // More than the lanes hold: senders wait until the broker is back.
    let (started, ()) = tokio::join!(broker.start_again(), async {
        for token in 400..600 {
            bench.send(message(token)).await;
        }
    });
    started.expect("a start");
    bench.settle(600).await;

    // Stopped in good order while messages are in flight.
    for token in 600..800 {
        bench.send(message(token)).await;
    }
    broker.stop().await.expect("a stop");
    broker.start_again().await.expect("a start");
    bench.publish((800..1000).map(message)).await;
    bench.settle(1000).await;

    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    let counts = counts(&broker, "all").await;
    for token in confirmed_before.into_iter().chain(0..1000) {
        assert!(
            counts.contains_key(&id(token)),
            "message {token} was settled and is not there"
        );
    }
    assert_eq!(counts.len(), 1000, "no id arrives that was not sent");
    assert!(bench.metrics.broker_connections.get() >= 3);
    bench.publisher.stopped().await;
}

/// An item may have several messages: were one of them left behind by a stop, the others would come twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_over_before_an_orderly_stop_is_out() {
    let broker = Broker::start().await.expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let ndjson = NdjsonSettings {
        path: folder.path().join("out.ndjson"),
        ..NdjsonSettings::default()
    };
    for mut bench in [
        Bench::on(&broker, |amqp| amqp.window = 16),
        Bench::start(PublishSettings { amqp: None, ndjson }),
    ] {
        bench.publish([message(0)]).await;
        let Bench {
            publisher, mut settled, ..
        } = bench;
        publisher.send((1..2001).map(message).collect()).await;
        publisher.stopped().await;
        let mut confirmed = 0;
        while let Some(batch) = settled.recv().await {
            confirmed += batch.iter().filter(|one| one.outcome == Outcome::Confirmed).count();
        }
        assert_eq!(confirmed, 2000);
    }
    assert_eq!(broker.drain("all").await.expect("a queue").len(), 2001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_confirms_nothing_is_left_and_everything_is_sent_again() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |amqp| {
        // The limit under test, not the heartbeat, must notice.
        amqp.heartbeat_seconds = 600;
        amqp.confirm_seconds = 2;
    });
    bench.publish((0..10).map(message)).await;
    broker.freeze().expect("a signal");
    bench.publisher.send((10..20).map(message).collect()).await;
    let left = |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why.contains("confirmed nothing for 2 s"));
    bench.wait_for("the connection is given up", left).await;
    broker.thaw().expect("a signal");
    bench.settle(20).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    let counts = counts(&broker, "all").await;
    assert!((0..20).all(|token| counts.contains_key(&id(token))), "{counts:?}");
    bench.publisher.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_exchange_is_declared_again_and_parks_nothing() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |_| {});
    bench.publish((0..100).map(message)).await;
    broker.delete_exchange("priem").await.expect("a deletion");
    bench.publish((100..500).map(message)).await;
    bench.settle(500).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert_eq!(counts(&broker, "all").await.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topology_is_named_and_nothing_is_settled_until_it_exists() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |settings| {
        settings.topology = Topology::Verify;
        settings.queues.push(QueueSettings {
            name: "last".into(),
            ..QueueSettings::default()
        });
    });
    let names = |missing: &'static str| move |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why.contains(missing));
    bench
        .wait_for(
            "the missing exchange is named",
            names("exchange \"priem\" does not exist"),
        )
        .await;
    bench.send(message(0)).await;
    broker.declare_exchange("priem").await.expect("an exchange");
    broker.declare_queue("all").await.expect("a queue");
    broker.bind("all", "priem", "in.#").await.expect("a binding");
    bench
        .wait_for("the missing queue is named", names("queue \"last\" does not exist"))
        .await;
    assert!(bench.settled.is_empty(), "nothing is settled while topology is missing");
    broker.declare_queue("last").await.expect("a queue");
    bench.settle(1).await;
    assert_eq!(counts(&broker, "all").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_the_broker_will_never_take_is_parked_and_the_others_go_on() {
    let options = BrokerOptions {
        config: "max_message_size = 65536".into(),
        ..BrokerOptions::default()
    };
    let broker = Broker::start_with(options).await.expect("a broker");
    let mut bench = Bench::on(&broker, |settings| settings.channels = 1);
    bench
        .publish((0..100).map(|token| {
            let mut message = message(token);
            match token {
                40 => message.body = Bytes::from(vec![b'x'; 100_000]),
                60 => message.routing_key = "k".repeat(300),
                _ => {}
            }
            message
        }))
        .await;
    for (token, outcome) in &bench.outcomes {
        match (token, outcome) {
            (40, Outcome::Returned { reason }) => assert!(reason.contains("65536"), "{reason}"),
            (60, Outcome::Returned { reason }) => assert!(reason.contains("255"), "{reason}"),
            (_, outcome) => assert_eq!(*outcome, Outcome::Confirmed, "message {token}"),
        }
    }
    let counts = counts(&broker, "all").await;
    assert_eq!(counts.len(), 98);
    assert!(!counts.contains_key(&id(40)) && !counts.contains_key(&id(60)));
}

#[tokio::test(flavor = "multi_thread")]
async fn alternate_and_dead_letter_exchanges_are_declared() {
    use priem::publish::settings::SideExchange;
    let broker = Broker::start().await.expect("a broker");
    let side = |name: &str| {
        Some(SideExchange {
            exchange: name.into(),
            queue: name.into(),
        })
    };
    let mut bench = Bench::on(&broker, |settings| {
        settings.alternate = side("priem.unrouted");
        settings.dead_letter = side("priem.dead");
        settings.queues[0].dead_letter = true;
    });
    let mut stray = message(0);
    stray.routing_key = "nowhere".into();
    bench.publish([stray]).await;
    assert_eq!(bench.outcomes[&0], Outcome::Confirmed, "the alternate exchange took it");
    assert_eq!(counts(&broker, "priem.unrouted").await.len(), 1);
    assert_eq!(counts(&broker, "priem.dead").await.len(), 0);

    let mut amqp = settings(broker.amqp_url(), |settings| settings.topology = Topology::Verify);
    let report = publish::check(&PublishSettings {
        amqp: Some(amqp.clone()),
        ..Default::default()
    })
    .await;
    assert!(!report.failed(), "{report:?}");
    amqp.exchange = "other".into();
    let report = publish::check(&PublishSettings {
        amqp: Some(amqp),
        ..Default::default()
    })
    .await;
    assert!(report.failed() && format!("{report:?}").contains("other"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_messages_are_sent_again_until_the_queue_takes_them() {
    use lapin::{
        options::{QueueBindOptions, QueueDeclareOptions},
        types::{AMQPValue, FieldTable},
    };
    let broker = Broker::start().await.expect("a broker");
    broker.declare_exchange("priem").await.expect("an exchange");
    let connection = broker.connect().await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(10));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare("small".into(), options, arguments)
        .await
        .expect("a queue");
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind("small".into(), "priem".into(), "in.#".into(), options, arguments)
        .await
        .expect("a binding");

    let mut bench = Bench::on(&broker, |settings| settings.topology = Topology::None);
    for token in 0..50 {
        bench.send(message(token)).await;
    }
    let mut arrived = BTreeSet::new();
    while bench.outcomes.len() < 50 {
        let settled = bench.outcomes.len();
        bench.settle(settled + 1).await;
        arrived.extend(counts(&broker, "small").await.into_keys());
    }
    arrived.extend(counts(&broker, "small").await.into_keys());
    assert_eq!(arrived, (0..50).map(id).collect());
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    let nacks = bench.metrics.nacked.with_label_values(&["in.roads"]);
    assert!(nacks.get() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_holds_back_its_own_messages_only_and_drains_in_order() {
    let broker = Broker::start().await.expect("a broker");
    broker.declare_capped_queue("qa", "priem", 10).await.expect("a queue");
    let mut bench = Bench::on(&broker, only_qb);
    let (to_qa, all) = (400, 4400);
    // Every eleventh message is refused, and would fill the windows soon.
    for token in 0..all {
        bench.send(message_to(queue_of(token), token)).await;
    }
    let confirmed = |bench: &Bench, queue: &str| {
        let of_queue = bench.outcomes.keys().filter(|token| queue_of(**token) == queue);
        of_queue.count() as u64
    };
    while confirmed(&bench, "qb") < all - to_qa {
        let settled = bench.outcomes.len();
        bench.settle(settled + 1).await;
    }
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert!(confirmed(&bench, "qa") < 100, "qa refuses: {}", confirmed(&bench, "qa"));
    let troubles = bench.publisher.queues().troubles();
    assert_eq!(
        (troubles.len(), troubles[0].queue.as_str(), troubles[0].fault),
        (1, "qa", Fault::Refusing),
        "{troubles:?}"
    );
    assert_eq!(
        *bench.publisher.state().borrow(),
        BrokerState::Connected,
        "the connection lives"
    );
    assert_eq!(bench.metrics.broker_connections.get(), 1);

    let mut arrived = Vec::new();
    while bench.outcomes.len() < all as usize {
        arrived.extend(broker.drain("qa").await.expect("the queue"));
        let settled = bench.outcomes.len();
        bench.settle(settled + 1).await;
    }
    arrived.extend(broker.drain("qa").await.expect("the queue"));
    let arrived = tokens(&arrived);
    assert_eq!(arrived.len() as u64, to_qa);
    assert_in_order(&arrived);
    assert_in_order(&tokens(&broker.drain("qb").await.expect("the queue")));
    let calm = tokio::time::timeout(PATIENCE, async {
        while bench.publisher.queues().any() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    calm.await.expect("the episode ends");
    bench.publisher.stopped().await;
}

/// RabbitMQ refuses a channel's first message for a quorum queue without a leader. Were the second one under way by then, it
/// would stand before the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_the_first_message_of_a_channel_and_takes_the_next_keeps_their_order() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |settings| {
        qa_and_qb(settings);
        settings.channels = 1;
    });
    bench.publish([message_to("qb", 0)]).await;
    broker.lack_leader_for_one_message("qa").expect("no leader");
    // All of one conversation.
    let all: Vec<u64> = (1..300).step_by(10).collect();
    bench.publish(all.iter().map(|token| message_to("qa", *token))).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert_eq!(bench.metrics.nacked.with_label_values(&["qa"]).get(), 1);
    assert_eq!(tokens(&broker.drain("qa").await.expect("the queue")), all);
    bench.publisher.stopped().await;
}

/// Keys that lead to one queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_first_message_is_not_overtaken_by_one_of_another_key_to_the_same_queue() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |settings| settings.channels = 1);
    bench
        .wait_for("connected", |state| *state == BrokerState::Connected)
        .await;
    broker.lack_leader_for_one_message("all").expect("no leader");
    let keys = ["in.roads", "in.yards", "in.parks"];
    let all: Vec<u64> = (1..300).step_by(10).collect();
    let to_keys = all.iter().zip(keys.iter().cycle());
    bench.publish(to_keys.map(|(token, key)| message_to(key, *token))).await;
    assert_eq!(bench.metrics.nacked.with_label_values(&["in.roads"]).get(), 1);
    assert_eq!(tokens(&broker.drain("all").await.expect("the queue")), all);
    bench.publisher.stopped().await;
}

/// RabbitMQ goes on refusing on the channel on which it refused, and takes on any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_quorum_queue_whose_limit_is_taken_off_drains() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, qa_and_qb);
    bench
        .publish((0..22).map(|token| message_to(queue_of(token), token)))
        .await;
    broker.cap_queue("qa", 5).expect("a policy");
    let all = 2200;
    for token in 22..all {
        bench.send(message_to(queue_of(token), token)).await;
    }
    let to_qb = (0..all).filter(|token| queue_of(*token) == "qb").count();
    let is_of_qb = |token: &&u64| queue_of(**token) == "qb";
    while bench.outcomes.keys().filter(is_of_qb).count() < to_qb {
        let settled = bench.outcomes.len();
        bench.settle(settled + 1).await;
    }
    assert!(bench.metrics.nacked.with_label_values(&["qa"]).get() > 0, "qa is full");
    broker.uncap_queue("qa").expect("no policy");
    bench.settle(all as usize).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert_in_order(&tokens(&broker.drain("qa").await.expect("the queue")));
    assert_eq!(bench.metrics.broker_connections.get(), 1, "the connection lives");
    bench.publisher.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_refuses_for_too_long_is_parked() {
    let broker = Broker::start().await.expect("a broker");
    broker.declare_capped_queue("qa", "priem", 1).await.expect("a queue");
    let mut bench = Bench::on(&broker, |settings| {
        only_qb(settings);
        settings.refused = serde_json::from_str(r#"{"park_after":"2s"}"#).expect("settings");
    });
    bench.publish((0..100).map(|token| message_to("qa", token))).await;
    let parked = bench
        .outcomes
        .values()
        .filter(|outcome| matches!(outcome, Outcome::Refused { reason } if reason.contains("park_after")));
    let parked = parked.count();
    let taken = broker.drain("qa").await.expect("the queue").len();
    assert!(parked > 50, "{parked}");
    assert!(parked + taken >= 100, "{parked} parked, {taken} taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_deleted_while_running_parks_its_own_and_takes_again_when_it_is_back() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, only_qb);
    bench
        .wait_for("a connection", |state| *state == BrokerState::Connected)
        .await;
    broker.declare_queue("qa").await.expect("a queue");
    broker.bind("qa", "priem", "qa").await.expect("a binding");
    bench
        .publish((0..1100).map(|token| message_to(queue_of(token), token)))
        .await;
    broker.delete_queue("qa").await.expect("a deletion");
    bench
        .publish((2200..3300).map(|token| message_to(queue_of(token), token)))
        .await;
    bench.settle(2200).await;
    for (token, outcome) in &bench.outcomes {
        let is_parked = matches!(outcome, Outcome::Returned { .. });
        assert_eq!(is_parked, *token >= 2200 && queue_of(*token) == "qa", "message {token}");
    }
    let troubles = bench.publisher.queues().troubles();
    assert_eq!(
        (
            troubles.len(),
            troubles[0].queue.as_str(),
            troubles[0].fault,
            troubles[0].count
        ),
        (1, "qa", Fault::Unroutable, 100),
        "{troubles:?}"
    );
    broker.declare_queue("qa").await.expect("a queue");
    broker.bind("qa", "priem", "qa").await.expect("a binding");
    bench.publish((3300..3400).map(|token| message_to("qa", token))).await;
    bench.settle(2300).await;
    assert_eq!(broker.depth("qa").await.expect("the queue"), 100);
    assert_eq!(bench.publisher.queues().troubles(), [], "the key is taken again");
    assert_eq!(bench.metrics.broker_connections.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_for_one_routing_key_that_are_taken_hold_back_that_key_only() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, qa_and_qb);
    bench
        .publish((0..110).map(|token| message_to(queue_of(token), token)))
        .await;
    broker
        .ctl(&["set_topic_permissions", "guest", "priem", "^qb$", ".*"])
        .expect("rights");
    // A channel remembers rights until it is idle for a while.
    let (mut asked, mut pause) = (0, Duration::from_millis(50));
    while bench.publisher.queues().troubles().is_empty() {
        bench.send(message_to("qa", 1100 + 11 * asked)).await;
        asked += 1;
        tokio::time::sleep(pause).await;
        pause *= 2;
        assert!(pause < PATIENCE, "the rights are taken");
    }
    let from = 1_100_000;
    for token in from..from + 2200 {
        bench.send(message_to(queue_of(token), token)).await;
    }
    let to_qa = 10 + 200 + usize::try_from(asked).expect("few");
    let to_qb = 100 + 2000;
    while bench.outcomes.keys().filter(|token| queue_of(**token) == "qb").count() < to_qb {
        let settled = bench.outcomes.len();
        bench.settle(settled + 1).await;
    }
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    let troubles = bench.publisher.queues().troubles();
    assert!(
        troubles.len() == 1 && troubles[0].queue == "qa" && troubles[0].why.contains("refused for user"),
        "{troubles:?}"
    );
    // Each of four lanes asked and lost a channel. (A frame sent at the very moment may cost the connection once.)
    let connections = bench.metrics.broker_connections.get();
    assert!(connections <= 2, "the connection lives through it: {connections}");
    broker
        .ctl(&["clear_topic_permissions", "guest", "priem"])
        .expect("rights");
    bench.settle(to_qa + to_qb).await;
    let arrived = tokens(&broker.drain("qa").await.expect("the queue"));
    let different: BTreeSet<_> = arrived.iter().copied().collect();
    assert_eq!(different.len(), to_qa);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_in_alarm_is_reported_as_blocked_and_takes_nothing() {
    let options = BrokerOptions {
        config: "vm_memory_high_watermark.absolute = 1MB".into(),
        ..Default::default()
    };
    let broker = Broker::start_with(options).await.expect("a broker");
    let bench = Bench::on(&broker, |_| {});
    bench
        .wait_for("a connection", |state| *state == BrokerState::Connected)
        .await;
    bench.publisher.send(vec![message(0)]).await;
    bench
        .wait_for(
            "the alarm",
            |state| matches!(state, BrokerState::Blocked { why, .. } if why.contains("memory")),
        )
        .await;
    assert_eq!(bench.metrics.broker_blocked.get(), 1);
    assert!(bench.settled.is_empty());
    // A blocked broker must not keep the daemon from stopping.
    tokio::time::timeout(PATIENCE, bench.publisher.stopped())
        .await
        .expect("a stop");
}

/// Writes an authority and a certificate signed by it for `localhost` and for a client.
fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("a file");
    write("ca.pem", authority.pem());
    let issuer = Issuer::new(params, key);
    for name in ["localhost", "client"] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amqps_works_with_a_client_certificate_and_not_without() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let tls = TlsFiles {
        authority: file("ca.pem"),
        certificate: file("localhost.pem"),
        key: file("localhost.key"),
    };
    let options = BrokerOptions {
        tls: Some(tls),
        ..BrokerOptions::default()
    };
    let broker = Broker::start_with(options).await.expect("a broker");
    let bench_with = |tls: AmqpTlsSettings| {
        let amqp = settings(broker.amqps_url(), |settings| settings.tls = tls);
        Bench::start(PublishSettings {
            amqp: Some(amqp),
            ..Default::default()
        })
    };

    let mut proven = bench_with(AmqpTlsSettings {
        ca_file: Some(file("ca.pem")),
        certificate_file: Some(file("client.pem")),
        key: Some(SecretRef::File(file("client.key"))),
    });
    proven.publish((0..50).map(message)).await;
    assert_eq!(counts(&broker, "all").await.len(), 50);

    let unproven = bench_with(AmqpTlsSettings {
        ca_file: Some(file("ca.pem")),
        ..AmqpTlsSettings::default()
    });
    let failed =
        |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why != "not connected yet");
    unproven
        .wait_for("a client without a certificate is refused", failed)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_explained_without_the_password() {
    let broker = Broker::start().await.expect("a broker");
    let url = broker.amqp_url().replace("guest:guest@", "guest:s3cret@");
    let bench = Bench::start(PublishSettings {
        amqp: Some(settings(url, |_| {})),
        ..Default::default()
    });
    let explained = |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why.contains("amqp.password") && !why.contains("s3cret"));
    bench.wait_for("the refused password is explained", explained).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_is_appended_whole_after_a_torn_line_and_follows_a_rename() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.ndjson");
    std::fs::write(&path, "{\"token\":0}\n{\"tok").expect("a torn file");
    let ndjson = NdjsonSettings {
        path: path.clone(),
        ..NdjsonSettings::default()
    };
    let mut bench = Bench::start(PublishSettings { amqp: None, ndjson });
    bench.publish((1..100).map(message)).await;

    let old = folder.path().join("old.ndjson");
    std::fs::rename(&path, &old).expect("a rename");
    bench.send(message(100)).await;
    bench.settle(100).await;
    bench.publisher.stopped().await;

    let text = std::fs::read_to_string(&old).expect("the old file");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1], lines.len()), ("{\"token\":0}", "{\"tok", 101));
    assert_eq!(lines[100], "{\"token\":99}");
    assert_eq!(
        std::fs::read_to_string(&path).expect("the new file"),
        "{\"token\":100}\n"
    );
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_waits_for_a_folder_that_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("later/out.ndjson");
    let ndjson = NdjsonSettings {
        path: path.clone(),
        ..NdjsonSettings::default()
    };
    let mut bench = Bench::start(PublishSettings { amqp: None, ndjson });
    bench.send(message(1)).await;
    let names_the_file = |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why.contains("later/out.ndjson"));
    bench
        .wait_for("the file that can't be written is named", names_the_file)
        .await;
    std::fs::create_dir(folder.path().join("later")).expect("a folder");
    bench.settle(1).await;
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), "{\"token\":1}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_falls_silent_after_the_handshake_is_left_told_and_tried_again() {
    for (silent, action) in [
        (Silent::Channel, "opening a channel"),
        (Silent::Exchange, "declaring exchange \"priem\""),
        (Silent::Queue, "declaring queue \"all\""),
        (Silent::Binding, "binding queue \"all\""),
        (Silent::Close, "closing a channel"),
        (Silent::Select, "confirm mode"),
    ] {
        let fake = FakeBroker::start(silent).await;
        let amqp = settings(fake.url(), |settings| settings.answer_seconds = 1);
        let publish = PublishSettings {
            amqp: Some(amqp),
            ..Default::default()
        };
        let bench = Bench::start(publish.clone());
        let told = |state: &BrokerState| {
            matches!(state, BrokerState::Disconnected { why, .. }
                if why.contains("does not answer within 1 s") && why.contains(action))
        };
        bench.wait_for(action, told).await;
        let tried_again = async {
            while fake.connections() < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, tried_again).await.expect("another try");
        tokio::time::timeout(PATIENCE, bench.publisher.stopped())
            .await
            .expect("a stop");
        let report = tokio::time::timeout(PATIENCE, publish::check(&publish))
            .await
            .expect("a report");
        let looks = matches!(silent, Silent::Channel | Silent::Exchange | Silent::Queue);
        assert_eq!(report.failed(), looks, "{silent:?}: {report:?}");
    }
}

/// What a check says of an address: details and cures.
async fn checked(amqp: AmqpSettings) -> String {
    let publish = PublishSettings {
        amqp: Some(amqp),
        ..Default::default()
    };
    let report = publish::check(&publish).await;
    assert!(report.failed(), "{report:?}");
    let failed = report.findings.iter().filter(|finding| finding.outcome == "failed");
    let told = failed.map(|finding| format!("{}\n{}\n", finding.detail, finding.cure.as_deref().unwrap_or_default()));
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cure_fits_what_the_broker_refuses() {
    let broker = Broker::start().await.expect("a broker");
    let at = |url: String| settings(url, |_| {});
    let url = |user: &str, vhost: &str| {
        let url = broker.amqp_url().replace("guest:guest", user);
        url.replace("%2f", vhost)
    };
    for arguments in [
        &["add_user", "priem", "pw"][..],
        &["add_vhost", "t"],
        &["add_user", "limited", "pw"],
        &["set_permissions", "-p", "t", "limited", ".*", ".*", ".*"],
        &["set_user_limits", "limited", "{\"max-connections\": 0}"],
    ] {
        broker.ctl(arguments).expect("rabbitmqctl");
    }
    let told = checked(at(url("priem:s3cret", "t"))).await;
    assert!(told.contains("amqp.password") && !told.contains("s3cret"), "{told}");
    let told = checked(at(url("priem:pw", "nowhere"))).await;
    assert!(told.contains("add_vhost \"nowhere\""), "{told}");
    let told = checked(at(url("priem:pw", "t"))).await;
    assert!(told.contains("set_permissions -p \"t\" \"priem\""), "{told}");
    let told = checked(at(url("limited:pw", "t"))).await;
    assert!(told.contains("list_user_limits"), "{told}");

    broker
        .ctl(&["set_permissions", "-p", "t", "priem", "^$", "^$", "^$"])
        .expect("rights");
    let bench = Bench::start(PublishSettings {
        amqp: Some(at(url("priem:pw", "t"))),
        ..Default::default()
    });
    let names_rights = |state: &BrokerState| {
        matches!(state, BrokerState::Disconnected { why, .. }
            if why.contains("declare exchange \"priem\"") && why.contains("CONFIGURE WRITE READ"))
    };
    bench.wait_for("the right that lacks is named", names_rights).await;
    let told = checked(settings(url("priem:pw", "t"), |amqp| amqp.topology = Topology::Verify)).await;
    assert!(told.contains("does not exist"), "{told}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let told = checked(at(format!("amqp://u:s3cret@{address}/"))).await;
    assert!(
        told.contains("nothing listens there") && !told.contains("s3cret"),
        "{told}"
    );
    let told = checked(at("amqp://u:s3cret@no-such-host.invalid/".into())).await;
    assert!(told.contains("is not known") && !told.contains("s3cret"), "{told}");
    let told = checked(at(broker.amqp_url().replace("amqp://", "amqps://"))).await;
    assert!(told.contains("does not speak TLS"), "{told}");

    let http = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = http.local_addr().expect("an address");
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = http.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    });
    let told = checked(at(format!("amqp://u:s3cret@{address}/"))).await;
    assert!(told.contains("no AMQP broker") && !told.contains("s3cret"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cure_fits_what_tls_refuses() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let tls = TlsFiles {
        authority: file("ca.pem"),
        certificate: file("localhost.pem"),
        key: file("localhost.key"),
    };
    let options = BrokerOptions {
        tls: Some(tls),
        ..BrokerOptions::default()
    };
    let broker = Broker::start_with(options).await.expect("a broker");
    let trusting = AmqpTlsSettings {
        ca_file: Some(file("ca.pem")),
        certificate_file: Some(file("client.pem")),
        key: Some(SecretRef::File(file("client.key"))),
    };
    let with = |url: String, tls: AmqpTlsSettings| settings(url, |settings| settings.tls = tls);
    let foreign = AmqpTlsSettings {
        ca_file: Some(file("client.pem")),
        ..AmqpTlsSettings::default()
    };
    let told = checked(with(broker.amqps_url(), foreign)).await;
    assert!(told.contains("amqp.tls.ca_file"), "{told}");
    let other_name = broker.amqps_url().replace("localhost", "127.0.0.1");
    let told = checked(with(other_name, trusting)).await;
    assert!(told.contains("for other names"), "{told}");
    let unproven = AmqpTlsSettings {
        ca_file: Some(file("ca.pem")),
        ..AmqpTlsSettings::default()
    };
    let told = checked(with(broker.amqps_url(), unproven)).await;
    assert!(told.contains("amqp.tls.certificate_file"), "{told}");
    let plain = broker.amqps_url().replace("amqps://", "amqp://");
    let told = checked(settings(plain, |_| {})).await;
    assert!(told.contains("needs amqps://"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_that_differs_is_named_by_check_and_daemon_alike() {
    use lapin::{
        ExchangeKind,
        options::{ExchangeDeclareOptions, QueueDeclareOptions},
        types::FieldTable,
    };
    let broker = Broker::start().await.expect("a broker");
    let connection = broker.connect().await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let declared = channel.queue_declare("all".into(), durable, FieldTable::default());
    declared.await.expect("a classic queue");
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let declared = channel.exchange_declare("broad".into(), ExchangeKind::Fanout, durable, FieldTable::default());
    declared.await.expect("an exchange");

    let told = checked(settings(broker.amqp_url(), |amqp| amqp.exchange = "broad".into())).await;
    for words in [
        "exchange \"broad\"",
        "'type'",
        "topic",
        "fanout",
        "queue \"all\"",
        "x-queue-type",
        "quorum",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let bench = Bench::on(&broker, |_| {});
    let named =
        |state: &BrokerState| matches!(state, BrokerState::Disconnected { why, .. } if why.contains("x-queue-type"));
    bench.wait_for("the queue that differs is named", named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_queues_one_takes_everything() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |settings| settings.queues = Vec::new());
    bench.publish((0..10).map(message)).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert_eq!(counts(&broker, "priem.messages").await.len(), 10);
}

#[test]
fn mistakes_of_the_broker_settings_end_check_and_run_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("priem.yaml");
    for (amqp, words) in [
        ("url: \"amqp://h/%2f\", window: 0", "window"),
        ("url: \"amqp://h/%2f\", answer_seconds: 0", "answer_seconds"),
        ("url: \"amqp://h/%2f\", tls: { ca_file: /no/such/ca.pem }", "amqps://"),
        ("url: \"amqp://priem:123#s3cret@localhost:5672/t\"", "is no address"),
        (
            "url: \"amqp://h/%2f\", queues: [ { name: q, dead_letter: true } ]",
            "dead_letter",
        ),
        (
            "url: \"amqp://h/%2f\", queues: [ { name: amq.roads } ]",
            "belong to the broker",
        ),
        ("url: \"amqp://h/%2f\", exchange: amq.priem", "belong to the broker"),
    ] {
        let text = format!("version: 1\njournal: {{ dir: j }}\namqp: {{ {amqp} }}\n");
        std::fs::write(&config, text).expect("settings");
        for command in ["check", "run"] {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_priem"))
                .args([command, "--config"])
                .arg(&config)
                .output()
                .expect("priem runs");
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.code(), Some(2), "{command} {amqp}: {said}");
            assert!(
                said.contains(words) && said.contains("priem.yaml:3"),
                "{command} {amqp}: {said}"
            );
            assert!(!said.contains("s3cret") && !said.contains("123"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_rights_to_bind_and_publish_that_lack_and_changes_nothing() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |_| {});
    bench.publish([message(0)]).await;
    let checked = async || {
        let publish = PublishSettings {
            amqp: Some(settings(broker.amqp_url(), |_| {})),
            ..Default::default()
        };
        let report = publish::check(&publish).await;
        (report.failed(), format!("{report:?}"))
    };
    let (failed, told) = checked().await;
    assert!(!failed, "{told}");
    for (write, lacking) in [("^all$", "publish to exchange"), ("^priem$", "bind queue")] {
        broker
            .ctl(&["set_permissions", "guest", ".*", write, ".*"])
            .expect("rights");
        let (failed, told) = checked().await;
        assert!(failed && told.contains(lacking), "{write}: {told}");
        assert!(told.contains("CONFIGURE WRITE READ"), "{told}");
    }
    broker
        .ctl(&["set_permissions", "guest", ".*", ".*", ".*"])
        .expect("rights");
    assert!(!checked().await.0);
    bench.publish([message(1)]).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert_eq!(counts(&broker, "all").await.len(), 2);
}

#[test]
fn a_file_or_secret_that_is_not_there_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("priem.yaml");
    std::fs::write(folder.path().join("empty"), "\n").expect("a file");
    std::fs::write(folder.path().join("no.pem"), "no certificate\n").expect("a file");
    for (amqp, words) in [
        ("password: { file: nope }", &["nope", "write it into", "chmod 600"][..]),
        ("password: { file: empty }", &["empty", "write it into"]),
        (
            "password: { credential: amqp }",
            &["LoadCredential=amqp:/etc/priem/secrets/amqp"],
        ),
        (
            "password: { env: PRIEM_NO_SUCH }",
            &["set PRIEM_NO_SUCH in the environment"],
        ),
        (
            "tls: { ca_file: nope.pem }",
            &["nope.pem", "put the certificate of the authority", "sudo -u priem cat"],
        ),
        (
            "tls: { ca_file: no.pem }",
            &["no.pem", "holds no PEM certificate", "BEGIN CERTIFICATE"],
        ),
    ] {
        let text = format!("version: 1\njournal: {{ dir: j }}\namqp: {{ url: \"amqps://u@h/\", {amqp} }}\n");
        std::fs::write(&config, text).expect("settings");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_priem"))
            .args(["check", "--offline", "--config"])
            .arg(&config)
            .env_remove("CREDENTIALS_DIRECTORY")
            .output()
            .expect("priem runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{amqp}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_and_rights_that_were_taken_are_told_and_drain_when_they_are_over() {
    let broker = Broker::start().await.expect("a broker");
    let mut bench = Bench::on(&broker, |_| {});
    bench.publish((0..100).map(message)).await;

    broker.ctl(&["set_permissions", "guest", "", "", ".*"]).expect("rights");
    // A channel remembers rights until it is idle for a while.
    let (mut sent, mut pause) = (100, Duration::from_millis(50));
    while *bench.publisher.state().borrow() == BrokerState::Connected {
        bench.send(message(sent)).await;
        sent += 1;
        tokio::time::sleep(pause).await;
        pause *= 2;
        assert!(pause < PATIENCE, "the rights are taken");
    }
    let told = |state: &BrokerState| {
        matches!(state, BrokerState::Disconnected { why, .. }
            if why.contains("refused for user") && why.contains("set_permissions"))
    };
    bench.wait_for("the right that lacks", told).await;
    broker
        .ctl(&["set_permissions", "guest", ".*", ".*", ".*"])
        .expect("rights");
    let count = |sent: u64| usize::try_from(sent).expect("few");
    bench.settle(count(sent)).await;

    broker
        .ctl(&["set_vm_memory_high_watermark", "0.00001"])
        .expect("an alarm");
    bench.publisher.send((sent..sent + 100).map(message).collect()).await;
    let blocked = |state: &BrokerState| matches!(state, BrokerState::Blocked { .. });
    bench.wait_for("the alarm", blocked).await;
    broker
        .ctl(&["set_vm_memory_high_watermark", "0.9"])
        .expect("the end of an alarm");
    bench.settle(count(sent + 100)).await;
    assert!(bench.outcomes.values().all(|outcome| *outcome == Outcome::Confirmed));
    assert_eq!(counts(&broker, "all").await.len(), count(sent + 100));
    assert_eq!(bench.publisher.queues().troubles(), []);
}

#[test]
fn a_check_fails_when_the_daemon_would_not_start_for_want_of_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("priem.yaml");
    let text = "version: 1\njournal: { dir: j }\nndjson: { path: o }\n\
                http: { webhooks: { listen: \"127.0.0.1:0\", tls: { certificate: nope.pem, key: nope.pem } } }\n";
    std::fs::write(&config, text).expect("settings");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_priem"))
        .args(["check", "--offline", "--config"])
        .arg(&config)
        .output()
        .expect("priem runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("webhooks.tls") && said.contains("nope.pem"), "{said}");
}
