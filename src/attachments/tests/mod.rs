//! The store against real servers on loopback. `127.0.0.1` plays the public Internet (it is allowed), `127.0.0.2` an
//! internal network nobody may be sent to.

mod fetching;
mod working;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const INTERNAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Serves a router on an address until the test ends.
async fn serve(at: IpAddr, router: Router) -> SocketAddr {
    let listener = TcpListener::bind((at, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends bytes to whoever connects, then pieces for as long as they are taken; counts connections.
async fn serve_bytes(at: IpAddr, head: &'static str, piece: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((at, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                // Closing with the request unread would reset the connection under the answer.
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let mut ok = stream.write_all(head.as_bytes()).await.is_ok();
                while ok && !piece.is_empty() {
                    ok = stream.write_all(piece).await.is_ok();
                }
            });
        }
    });
    (address, connections)
}

/// Settings in which only [`PUBLIC`] may be reached, on the ports of these servers.
fn settings(folder: &Path, ports: &[SocketAddr]) -> AttachmentSettings {
    AttachmentSettings {
        dir: folder.to_owned(),
        hosts: vec!["*".into()],
        ports: ports.iter().map(SocketAddr::port).collect(),
        allow_networks: vec!["127.0.0.1/32".parse().expect("a network")],
        max_bytes: 100_000,
        min_free_bytes: 0,
        idle_timeout_s: 1.try_into().expect("a second"),
        ..AttachmentSettings::default()
    }
}

/// Names below `files/`.
fn kept(folder: &Path) -> usize {
    let folders = std::fs::read_dir(folder.join("files")).expect("a folder");
    folders
        .map(|folder| {
            std::fs::read_dir(folder.expect("an entry").path())
                .expect("a folder")
                .count()
        })
        .sum()
}

/// Names below `tmp/`.
fn half_written(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("tmp")).expect("a folder").count()
}
