//! Many sources on one daemon: all are heard, no limit of a platform is broken, and one dead key is one dead source.
//!
//! The full numbers (1 000 communities, 200 bots) are a benchmark: `cargo run --release -p benches -- sources`.

use std::{collections::BTreeMap, time::Duration};

use priem_city::{
    region::Region,
    vk::{Community, Outage},
};

use crate::support::{Installation, flow, until};

const COMMUNITIES: usize = 60;
const BOTS: usize = 10;

fn install(region: &Region) -> Installation {
    let settings = flow::settings(None) + &region.connectors("{folder}/secrets");
    let daemon = Installation::new(&settings);
    for (name, text) in region.secrets() {
        daemon.secret(&name, &text);
    }
    daemon
}

/// Texts by the id of their event: a rule may send copies under the same id.
fn texts(lines: &str) -> BTreeMap<String, String> {
    let events = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let text = |event: &serde_json::Value, at: &str| Some(event.pointer(at)?.as_str()?.to_owned());
    events
        .filter_map(|event| Some((text(&event, "/id")?, text(&event, "/data/body/text")?)))
        .collect()
}

async fn all_published(daemon: &Installation, region: &Region) {
    let out = daemon.folder.path().join("out.ndjson");
    let mut last = String::new();
    until("everything written is published", async || {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        last = region
            .compare(texts(&text).values().map(String::as_str))
            .err()
            .unwrap_or_default();
        assert!(last.is_empty() || last.contains("doubled 0"), "{last}");
        last.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_many_sources_is_heard_within_the_limits() {
    let mut region = Region::start(COMMUNITIES, BOTS).await.expect("free ports");
    let mut daemon = install(&region);
    daemon.start().await;
    until("every source is listened to", async || {
        region.listened() == COMMUNITIES + BOTS
    })
    .await;

    for _ in 0..600 {
        region.write();
    }
    all_published(&daemon, &region).await;

    // One key is revoked: the other sources do not notice.
    let dead = "vk1.a.region-community-00007-0123456789abcdef";
    region.vk.refuse_token(dead, Some(5));
    let community = region.vk.community(200_000_008);
    community.expire_keys();
    until("the dead key is noticed", async || daemon.log().contains("200000008")).await;
    let used = region.vk.token_uses()[dead].requests;
    for _ in 0..300 {
        region.write();
    }
    let others = || region.listened() == COMMUNITIES + BOTS - 1;
    until("the others are listened to", async || others()).await;
    let deaf = community.polls();
    assert_eq!(
        region.vk.token_uses()[dead].requests,
        used,
        "a dead key is not hammered"
    );
    assert_eq!(Community::polls(&community), deaf);

    // Given back, and the daemon started anew: what was written meanwhile comes too.
    daemon.stop().await;
    region.vk.refuse_token(dead, None);
    daemon.start().await;
    all_published(&daemon, &region).await;

    let uses = region.vk.token_uses();
    assert!(uses.values().all(|used| used.times_too_fast == 0), "{uses:?}");
    assert_eq!(region.violations(), [""; 0]);
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_hours_without_the_platform_everything_is_obtained_once() {
    let mut region = Region::start(12, 2).await.expect("free ports");
    let mut daemon = install(&region);
    daemon.start().await;
    until("every source is listened to", async || region.listened() == 14).await;
    for _ in 0..60 {
        region.write();
    }
    all_published(&daemon, &region).await;

    region.vk.outage(Outage::Html(502));
    until("the outage is noticed", async || {
        daemon.metric("priem_polls_total", "result=\"transient\"").await >= 12.0
    })
    .await;
    for _ in 0..120 {
        region.write();
    }
    // Keys and the history of events are gone by the time VK is back.
    region.vk.advance(Duration::from_secs(12 * 3600));
    for _ in 0..20 {
        region.write();
    }
    region.vk.recover();
    all_published(&daemon, &region).await;
    assert!(daemon.log().contains("VK no longer has the events"), "{}", daemon.log());
    assert_eq!(region.violations(), [""; 0]);
    daemon.stop().await;
}
