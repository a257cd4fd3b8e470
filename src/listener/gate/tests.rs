use super::*;

fn gate(most: usize, most_per_address: usize) -> (Gate, Metrics) {
    let metrics = Metrics::new();
    let places = Places {
        listener: "webhooks",
        most,
        most_per_address,
        proxies: vec!["10.0.0.0/8".parse().unwrap()],
        read_within: Duration::from_millis(20),
    };
    (Gate::new(places, &metrics), metrics)
}

fn from(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

fn lost(metrics: &Metrics, reason: &str) -> u64 {
    metrics.connections_lost.with_label_values(&["webhooks", reason]).get()
}

#[test]
fn the_stranger_who_waited_longest_gives_way_and_who_is_worked_on_stays() {
    let (gate, metrics) = gate(100, 3);
    let enter = |port| gate.enter(from("203.0.113.1", port));
    let [first, second, third] = [1, 2, 3].map(|port| enter(port).unwrap());
    first.set_state(ConnectionState::Busy);
    second.set_state(ConnectionState::Idle);
    let fourth = enter(4).expect("a place");
    assert!(third.closing.is_cancelled(), "the stranger, though it came last");
    let _fifth = enter(5).expect("a place");
    assert!(fourth.closing.is_cancelled() && !second.closing.is_cancelled());
    for connection in [&second, &gate.connection(from("203.0.113.1", 5)).unwrap()] {
        connection.set_state(ConnectionState::Busy);
    }
    assert!(enter(6).is_none(), "all are worked on");
    assert!(
        gate.enter(from("203.0.113.2", 1)).is_some(),
        "others have places of their own"
    );
    assert_eq!((lost(&metrics, "address_share"), lost(&metrics, "too_many")), (3, 0));
}

#[test]
fn an_address_is_a_network_with_ipv6_and_a_proxy_is_many() {
    let (gate, metrics) = gate(100, 1);
    let one = gate.enter(from("2001:db8::1", 1)).unwrap();
    gate.enter(from("2001:db8::ffff:2", 2)).unwrap();
    assert!(one.closing.is_cancelled(), "the same /64");
    let other = gate.enter(from("2001:db8:0:1::1", 1)).unwrap();
    let mapped = gate.enter(from("::ffff:203.0.113.9", 1)).unwrap();
    gate.enter(from("203.0.113.9", 2)).unwrap();
    assert!(mapped.closing.is_cancelled() && !other.closing.is_cancelled());
    let proxied: Vec<_> = (0..50)
        .map(|port| gate.enter(from("10.0.0.1", port)).unwrap())
        .collect();
    assert!(proxied.iter().all(|connection| !connection.closing.is_cancelled()));
    assert_eq!(lost(&metrics, "address_share"), 2);
}

#[test]
fn places_come_back_once() {
    let (gate, metrics) = gate(2, 2);
    let open = || {
        let open = gate.0.open.lock();
        (open.connections.len(), open.by_address.len())
    };
    let connections = [1, 2, 3].map(|port| gate.enter(from("203.0.113.1", port)).unwrap());
    assert_eq!(open(), (2, 1));
    for (port, connection) in [1, 2, 3].into_iter().zip(&connections) {
        gate.leave(from("203.0.113.1", port), connection.number);
    }
    assert_eq!(open(), (0, 0));
    assert_eq!(metrics.connections.with_label_values(&["webhooks"]).get(), 0);
    let (old, new) = (gate.enter(from("203.0.113.1", 7)).unwrap(), from("203.0.113.1", 7));
    gate.leave(new, old.number + 1);
    assert_eq!(open(), (1, 1), "another connection of that port");
}

#[tokio::test]
async fn an_answer_that_is_not_read_ends_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (gate, _) = gate(10, 10);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _never_reads = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (mut guarded, ()) = gate.accept(accepted, ()).await.unwrap();
    let scrape = vec![b'x'; 64 << 20];
    let error = guarded.write_all(&scrape).await.expect_err("nobody reads");
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (mut guarded, ()) = gate.accept(accepted, ()).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.map(|_| all.len())
    });
    guarded.write_all(b"read at once").await.unwrap();
    guarded.flush().await.unwrap();
    drop(guarded);
    assert_eq!(reading.await.unwrap().unwrap(), 12);
}

#[tokio::test]
async fn a_connection_ends_when_its_place_is_given_away() {
    use tokio::io::AsyncReadExt;
    let (gate, _) = gate(10, 1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let enter = async || {
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        (client, gate.accept(accepted, ()).await)
    };
    let (_first_client, first) = enter().await;
    let mut first = first.unwrap().0;
    let waiting = tokio::spawn(async move { first.read(&mut [0]).await });
    let (_second_client, second) = enter().await;
    let second = second.unwrap().0;
    let error = waiting.await.unwrap().expect_err("its place was given away");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    gate.connection(second.from).unwrap().set_state(ConnectionState::Busy);
    assert!(enter().await.1.is_err(), "the second is worked on");
}
