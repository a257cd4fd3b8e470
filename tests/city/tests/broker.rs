//! The private RabbitMQ node: it works, survives being stopped and killed, and never outlives its owner.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lapin::{BasicProperties, options::BasicPublishOptions};
use priem_city::broker::Broker;

/// Set in the process that [`the_node_dies_with_a_process_that_aborts`] starts.
const ABORTING_CHILD: &str = "PRIEM_TEST_ABORTING_CHILD";

async fn publish_one(broker: &Broker, body: &[u8]) {
    let connection = broker.connect().await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(Default::default()).await.expect("confirms");
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id("m1".into());
    let confirm = channel
        .basic_publish(
            "city".into(),
            "a.b".into(),
            BasicPublishOptions::default(),
            body,
            properties,
        )
        .await
        .expect("a publication");
    assert!(confirm.await.expect("a confirmation").is_ack());
}

#[tokio::test]
async fn messages_survive_a_stop_and_a_kill() {
    let mut broker = Broker::start().await.expect("a broker");
    broker.declare_exchange("city").await.expect("an exchange");
    broker.declare_queue("messages").await.expect("a queue");
    broker.bind("messages", "city", "a.*").await.expect("a binding");

    publish_one(&broker, b"one").await;
    broker.stop().await.expect("a stop");
    assert!(!broker.is_running());
    assert!(broker.connect().await.is_err());
    broker.start_again().await.expect("a start");

    publish_one(&broker, b"two").await;
    broker.kill();
    broker.start_again().await.expect("a start");
    let bodies: Vec<_> = broker
        .drain("messages")
        .await
        .expect("messages")
        .into_iter()
        .map(|m| m.body)
        .collect();
    assert_eq!(bodies, [b"one".to_vec(), b"two".to_vec()]);
}

#[tokio::test]
async fn the_node_dies_with_a_process_that_aborts() {
    if std::env::var_os(ABORTING_CHILD).is_some() {
        let broker = Broker::start().await.expect("a broker");
        println!("port={}", broker.amqp_url().rsplit([':', '/']).nth(1).expect("a port"));
        std::process::abort();
    }
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_node_dies_with_a_process_that_aborts", "--nocapture"])
        .env(ABORTING_CHILD, "1")
        .stderr(Stdio::null())
        .output()
        .expect("the child's output");
    assert!(!output.status.success(), "the child aborts");
    let text = String::from_utf8_lossy(&output.stdout);
    let port = text
        .split("port=")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .expect("the child's port");
    let port: u16 = port.trim().parse().expect("a port number");
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < deadline, "the node outlives its owner");
        std::thread::yield_now();
    }
}
