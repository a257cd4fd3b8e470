//! The Bots Long Poll server: a poll waits for events after its `ts`, or is told what it has lost.

use std::{collections::BTreeMap, sync::Arc};

use axum::{http::request::Parts, response::Response};
use serde_json::{Value, json};

use super::{
    faults::{Kind, LONG_POLL, Place},
    network::{Network, SharedCommunity},
    server::{broken, check_long_poll_request, dead, form_pairs, json_answer},
    state::Community,
};

/// Longest wait the server takes, in seconds.
const LONGEST_WAIT: i64 = 90;
/// Wait when none is named.
const USUAL_WAIT: i64 = 25;
/// Answers `failed` in a row with one key after which the client is said not to listen.
const MOST_REFUSALS: u32 = 5;

/// Counts a poll as running for as long as the answer is awaited, also when the client goes away.
struct Running<'a> {
    network: &'a Network,
    community: &'a SharedCommunity,
}

impl<'a> Running<'a> {
    fn begin(network: &'a Network, community: &'a SharedCommunity) -> Self {
        let mut state = community.lock();
        state.polls_running += 1;
        state.polls += 1;
        drop(state);
        network.touch();
        Self { network, community }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.community.lock().polls_running -= 1;
        self.network.touch();
    }
}

pub(super) async fn answer(network: &Arc<Network>, group: i64, parts: &Parts) -> Response {
    if let Some(outage) = network.outage() {
        return dead(outage).await;
    }
    let query: BTreeMap<String, String> = form_pairs(parts.uri.query().unwrap_or_default()).into_iter().collect();
    check_long_poll_request(network, parts, &query);
    let place = Place {
        method: LONG_POLL,
        group: Some(group),
        token: None,
        inner: false,
        events: false,
    };
    let mut is_hasty = false;
    match network.take_fault(place) {
        None => {}
        Some(Kind::Failed { code }) => return failed_on_purpose(network, group, code, &query),
        Some(Kind::AtOnce) => is_hasty = true,
        Some(Kind::Slow { seconds }) => network.sleep_until(network.now() + seconds).await,
        Some(kind) => return broken(&kind),
    }
    let Some(community) = network.community(group) else {
        network.violate(format!("a_check of community {group}, which is not there"));
        return json_answer(&json!({"failed": 2}));
    };
    poll(network, &community, &query, is_hasty).await
}

async fn poll(
    network: &Arc<Network>,
    community: &SharedCommunity,
    query: &BTreeMap<String, String>,
    is_hasty: bool,
) -> Response {
    let asked = match Asked::read(network, community, query) {
        Ok(asked) => asked,
        Err(refusal) => return json_answer(&refusal),
    };
    let _running = Running::begin(network, community);
    let wake = Arc::clone(&community.lock().wake);
    let wait = if is_hasty { 0.0 } else { asked.wait as f64 };
    let deadline = network.now() + wait;
    loop {
        let woken = wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if let Some(outage) = network.outage() {
            return dead(outage).await;
        }
        if let Some(answer) = look(network, community, &asked, network.now() >= deadline) {
            return json_answer(&answer);
        }
        tokio::select! {
            () = woken => {}
            () = network.sleep_until(deadline) => {}
        }
    }
}

/// What a poll asks for.
struct Asked {
    key: String,
    ts: u64,
    wait: i64,
}

impl Asked {
    fn read(network: &Network, community: &SharedCommunity, query: &BTreeMap<String, String>) -> Result<Self, Value> {
        let group = community.lock().id;
        let text = |name: &str| query.get(name).map(String::as_str);
        if text("act") != Some("a_check") {
            network.violate(format!("long poll of {group} without act=a_check"));
        }
        let wait = text("wait").map_or(Some(USUAL_WAIT), |wait| wait.parse().ok());
        if !wait.is_some_and(|wait| (1..=LONGEST_WAIT).contains(&wait)) {
            network.violate(format!("long poll of {group} with wait {:?}", text("wait")));
        }
        let Some(ts) = text("ts").and_then(|ts| ts.parse().ok()) else {
            network.violate(format!("long poll of {group} with ts {:?}", text("ts")));
            return Err(json!({"failed": 3}));
        };
        Ok(Self {
            key: text("key").unwrap_or_default().to_owned(),
            ts,
            wait: wait.unwrap_or(USUAL_WAIT).clamp(1, LONGEST_WAIT),
        })
    }
}

/// The answer, when there is one already.
fn look(network: &Network, community: &SharedCommunity, asked: &Asked, is_over: bool) -> Option<Value> {
    let now = network.now();
    let mut state = community.lock();
    let kept_since = now as i64 - network.options.history_seconds;
    state.forget_before(kept_since);
    if let Some(refusal) = refused(network, &mut state, asked, now) {
        return Some(refusal);
    }
    let mut events: Vec<Value> = Vec::new();
    let mut last = state.ts;
    let group = state.id;
    let later = state.history.iter().filter(|(ts, _)| *ts > asked.ts);
    for (ts, event) in later {
        if events.len() == network.options.batch {
            break;
        }
        events.push(event.envelope(group, &state.settings.version));
        last = *ts;
    }
    if events.len() < network.options.batch {
        last = state.ts;
    }
    if events.is_empty() && !is_over {
        return None;
    }
    let events = spoiled(network, group, events);
    state.handed_out += events.len() as u64;
    state.heard = state.heard.max(last);
    let ts = shown_ts(&state, last);
    drop(state);
    network.touch();
    Some(json!({"ts": ts, "updates": events}))
}

/// Why a poll is not answered with events: its key, or its `ts`.
fn refused(network: &Network, state: &mut Community, asked: &Asked, now: f64) -> Option<Value> {
    let group = state.id;
    let (epoch, present, ts) = (state.epoch, state.forgotten, state.ts);
    let key_seconds = network.options.key_seconds;
    let Some(key) = state.keys.iter_mut().find(|key| key.text == asked.key) else {
        if state.keys.iter().any(|key| key.text.replace('+', " ") == asked.key) {
            network.violate(format!("long poll of {group}: the key is not encoded for an address"));
        } else if state.keys.len() < 2 {
            network.violate(format!("long poll of {group} with a key nobody was given"));
        }
        return Some(json!({"failed": 2}));
    };
    let failed = if key.epoch != epoch {
        Some(3)
    } else if key.expired || now - key.made_at > key_seconds {
        Some(2)
    } else {
        None
    };
    if let Some(code) = failed {
        key.refusals += 1;
        if key.refusals == MOST_REFUSALS {
            network.violate(format!("long poll of {group} goes on with a key that was refused"));
        }
        return Some(json!({"failed": code}));
    }
    if asked.ts > ts {
        network.violate(format!("long poll of {group} with a ts that was never given out"));
        return Some(json!({"failed": 1, "ts": ts}));
    }
    if asked.ts < present {
        return Some(json!({"failed": 1, "ts": present}));
    }
    None
}

fn shown_ts(state: &Community, ts: u64) -> Value {
    if state.numeric_ts {
        ts.into()
    } else {
        ts.to_string().into()
    }
}

/// Doubles or reverses the events when a fault says so.
fn spoiled(network: &Network, group: i64, mut events: Vec<Value>) -> Vec<Value> {
    if events.is_empty() {
        return events;
    }
    let place = Place {
        method: LONG_POLL,
        group: Some(group),
        token: None,
        inner: false,
        events: true,
    };
    match network.take_fault(place) {
        Some(Kind::Duplicate) => {
            let again = events.clone();
            events.extend(again);
        }
        Some(Kind::Disorder) => events.reverse(),
        _ => {}
    }
    events
}

fn failed_on_purpose(network: &Network, group: i64, code: u32, query: &BTreeMap<String, String>) -> Response {
    let mut answer = json!({"failed": code});
    match code {
        1 => {
            let ts: u64 = query.get("ts").and_then(|ts| ts.parse().ok()).unwrap_or_default();
            let present = network.community(group).map_or(ts, |community| community.lock().ts);
            answer["ts"] = present.into();
        }
        4 => {
            answer["min_version"] = 0.into();
            answer["max_version"] = 3.into();
        }
        _ => {}
    }
    json_answer(&answer)
}
