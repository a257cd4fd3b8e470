//! The senders against a receiver that checks by itself.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use parking_lot::Mutex;

use super::*;

const KEY: &str = "key";

#[derive(Clone, Default)]
struct Heard {
    bodies: Arc<Mutex<Vec<(Bytes, String)>>>,
    refuse: Arc<AtomicUsize>,
}

async fn receiver() -> (HookSender, Heard) {
    let heard = Heard::default();
    let handler = |State(heard): State<Heard>, headers: HeaderMap, body: Bytes| async move {
        let value = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        heard
            .bodies
            .lock()
            .push((body, format!("{} {}", value("x-timestamp"), value("x-signature"))));
        let refused = heard
            .refuse
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match refused {
            Ok(_) => StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => StatusCode::ACCEPTED,
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hooks/uv/path", listener.local_addr().expect("bound"));
    let router = Router::new().fallback(handler).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (HookSender::new(&url, KEY).expect("a sender"), heard)
}

#[test]
fn the_signature_is_that_of_openssl() {
    // printf '1000.' | openssl dgst -sha256 -hmac key
    let signature = sign::signature(KEY, 1000, b"");
    assert_eq!(signature.len(), "sha256=".len() + 64);
    assert_ne!(signature, sign::signature(KEY, 1001, b""));
    assert_eq!(
        signature,
        "sha256=f062c0b2afa2e5ef39d5f58a6d3664de071ec09be2464e5b745d844c8f4d249e"
    );
}

#[tokio::test]
async fn a_delivery_is_made_again_until_it_is_taken() {
    let (sender, heard) = receiver().await;
    heard.refuse.store(2, Ordering::SeqCst);
    sender.deliver(&Bytes::from_static(b"{}")).await;
    assert_eq!(
        (sender.attempts(), sender.delivered(), heard.bodies.lock().len()),
        (3, 1, 3)
    );
}

#[tokio::test]
async fn what_a_stranger_tries_differs_from_what_is_proper() {
    let (sender, heard) = receiver().await;
    let body = Bytes::from_static(b"{\"id\":1}");
    for dress in [
        Dress::Proper,
        Dress::Unsigned,
        Dress::WrongKey,
        Dress::Tampered,
        Dress::Redated,
        Dress::Skewed(-600),
    ] {
        let signed = sender.sign(&body, dress);
        assert_eq!(sender.send(&signed).await, Some(202));
        let (came, _) = heard.bodies.lock().pop().expect("heard");
        let time: Option<i64> = signed.timestamp.as_deref().and_then(|time| time.parse().ok());
        let holds = time.is_some_and(|time| Some(sign::signature(KEY, time, &came)) == signed.signature);
        assert_eq!(holds, matches!(dress, Dress::Proper | Dress::Skewed(_)), "{dress:?}");
    }
}

#[test]
fn a_day_follows_from_its_seed_and_has_every_kind_of_trouble() {
    for make in [day::uv, day::mss, day::votes] {
        let (one, same, other) = (make(7, 30), make(7, 30), make(8, 30));
        assert_eq!((&one.requests, &one.brings), (&same.requests, &same.brings));
        assert_ne!(one.requests, other.requests);
        let different: BTreeSet<&Bytes> = one.requests.iter().collect();
        assert!(different.len() < one.requests.len(), "some come twice");
        let broken = different
            .iter()
            .filter(|body| serde_json::from_slice::<serde_json::Value>(body).is_err())
            .count();
        assert_eq!((broken, one.garbage), (3, 3));
        assert!(one.nameless > 0 && one.brings.len() > 30);
    }
    assert!(day::uv(7, 30).failing > 0);
}
