//! Too large, too slow, too many.

use std::io::ErrorKind;

use axum::http::HeaderValue;
use reqwest::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

#[tokio::test]
async fn ten_megabytes_get_413_and_the_sender_can_read_it() {
    let house = plain_house();
    let large = vec![b'x'; 10 * 1024 * 1024];
    assert_eq!(house.ring(large.clone()).await.status(), StatusCode::PAYLOAD_TOO_LARGE);

    // Without an announced length.
    let mut stream = TcpStream::connect(house.address).await.expect("connects");
    let head =
        format!("POST /hooks/bell HTTP/1.1\r\nhost: x\r\nx-secret: {SECRET}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("writes");
    for _ in 0..20 {
        let chunk = [format!("{:x}\r\n", 100_000).as_bytes(), &large[..100_000], b"\r\n"].concat();
        stream.write_all(&chunk).await.expect("writes");
    }
    assert_eq!(status_line(&mut stream).await, "HTTP/1.1 413 Payload Too Large");

    // The answer comes before the body is sent.
    let mut stream = TcpStream::connect(house.address).await.expect("connects");
    let head =
        format!("POST /hooks/bell HTTP/1.1\r\nhost: x\r\nx-secret: {SECRET}\r\ncontent-length: 10485760\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("writes");
    assert_eq!(status_line(&mut stream).await, "HTTP/1.1 413 Payload Too Large");
    assert!(house.shelf.stored.lock().is_empty());

    let fits = vec![b'x'; WebhookSettings::default().max_body_bytes];
    assert_eq!(house.ring(fits.clone()).await.status(), 200);
    assert_eq!(
        house.shelf.stored.lock()[0],
        fits,
        "a body in many pieces arrives whole"
    );
}

async fn status_line(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.contains(&b'\r') {
        let read = stream.read_buf(&mut bytes).await.expect("reads");
        assert_ne!(read, 0, "closed without an answer");
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_slow_sender_is_cut_off() {
    let house = open_house(Path::new("."), |settings| settings.request_timeout_s = NonZeroU32::MIN);
    let mut slow_head = TcpStream::connect(house.address).await.expect("connects");
    slow_head
        .write_all(b"POST /hooks/bell HTTP/1.1\r\nx-slow:")
        .await
        .expect("writes");
    let mut slow_body = TcpStream::connect(house.address).await.expect("connects");
    let head = format!("POST /hooks/bell HTTP/1.1\r\nhost: x\r\nx-secret: {SECRET}\r\ncontent-length: 10\r\n\r\nx");
    slow_body.write_all(head.as_bytes()).await.expect("writes");
    assert_eq!(status_line(&mut slow_body).await, "HTTP/1.1 408 Request Timeout");
    let mut rest = Vec::new();
    match slow_head.read_to_end(&mut rest).await {
        Ok(_) => assert!(rest.is_empty(), "{rest:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_sent_again_later() {
    let house = open_house(Path::new("."), |settings| {
        settings.max_concurrent_requests = NonZeroU32::MIN
    });
    house.shelf.hang.store(true, Ordering::SeqCst);
    let mut first = Box::pin(house.ring("one"));
    tokio::select! {
        _ = &mut first => panic!("answered before the commit"),
        () = house.shelf.entered.notified() => {}
    }
    let second = house.ring("two").await;
    assert_eq!(
        (second.status().as_u16(), &second.headers()["retry-after"]),
        (503, &HeaderValue::from_static("30"))
    );
    house.shelf.go_on.notify_one();
    assert_eq!(first.await.status(), 200);
}

#[tokio::test]
async fn memory_for_bodies_is_bounded_over_all_requests() {
    let house = open_house(Path::new("."), |settings| {
        settings.max_buffered_bytes = settings.max_body_bytes;
    });
    house.shelf.hang.store(true, Ordering::SeqCst);
    let large = vec![b'x'; house_limit() / 2 + 1024];
    let mut first = Box::pin(house.ring(large.clone()));
    tokio::select! {
        _ = &mut first => panic!("answered before the commit"),
        () = house.shelf.entered.notified() => {}
    }
    assert_eq!(
        house.ring(large.clone()).await.status(),
        503,
        "no room for a second large one"
    );
    house.shelf.hang.store(false, Ordering::SeqCst);
    assert_eq!(house.ring("small").await.status(), 200);
    house.shelf.go_on.notify_one();
    assert_eq!(first.await.status(), 200);
    assert_eq!(house.ring(large).await.status(), 200);
}

fn house_limit() -> usize {
    WebhookSettings::default().max_body_bytes
}
