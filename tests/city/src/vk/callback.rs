//! The sender of the Callback API: confirmation, deliveries that only the exact answer `ok` ends, retries with their
//! header, servers given up as `failed`.
//!
//! Every event is delivered on its own: order is not kept, least of all with retries.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    events::{Event, Settings, parse_version},
    faults::{CALLBACK, Kind, Place},
    ledger::Written,
    network::{Network, SharedCommunity},
    state::Server,
};

/// Pauses before the attempts after the first, simulated seconds.
const PAUSES: [f64; 5] = [10.0, 180.0, 600.0, 1800.0, 3600.0];
/// Longest pause a server can ask for, simulated seconds.
const LONGEST_RETRY_AFTER: f64 = 3.0 * 3600.0;
/// How long an answer may take, simulated seconds.
const ANSWER_SECONDS: f64 = 10.0;
/// Never less than this in real time, however fast the simulation runs.
const LEAST_ANSWER_TIME: Duration = Duration::from_secs(10);
/// Events lost in a row after which a server is given up.
const MOST_LOST_IN_A_ROW: u32 = 3;

/// Adds a server to a community and has it confirmed; its id.
pub(super) fn register(
    network: &Arc<Network>,
    community: &SharedCommunity,
    url: &str,
    title: &str,
    secret: &str,
    settings: Settings,
) -> i64 {
    let id = {
        let mut state = community.lock();
        let id = state.take_server_id();
        state.servers.push(Server {
            id,
            title: title.to_owned(),
            url: url.to_owned(),
            secret: secret.to_owned(),
            status: "wait",
            settings,
            lost_in_a_row: 0,
            delivered: 0,
            lost: 0,
            waiting: 0,
        });
        id
    };
    confirm(network, community, id);
    id
}

/// Asks a server for the confirmation string.
pub(super) fn confirm(network: &Arc<Network>, community: &SharedCommunity, id: i64) {
    let (network, community) = (Arc::clone(network), Arc::clone(community));
    let runtime = network.runtime.clone();
    runtime.spawn(async move {
        network.sleep_through_outage().await;
        let (body, url, expected) = {
            let mut state = community.lock();
            let (group, expected) = (state.id, state.confirmation.clone());
            let Some(server) = state.server_mut(id) else { return };
            let mut body = json!({"type": "confirmation", "group_id": group});
            if !server.secret.is_empty() {
                body["secret"] = server.secret.as_str().into();
            }
            (body, server.url.clone(), expected)
        };
        let answer = send(&network, &url, &body, 0).await;
        let is_confirmed = answer.is_ok_and(|answer| answer.status == 200 && answer.body == expected);
        if let Some(server) = community.lock().server_mut(id) {
            server.status = if is_confirmed { "ok" } else { "failed" };
            server.lost_in_a_row = 0;
        }
        network.touch();
    });
}

/// Sends an event to every server of the community that wants it.
pub(super) fn dispatch(
    network: &Arc<Network>,
    community: &SharedCommunity,
    event: &Event,
    written: Option<(Written, &'static str)>,
) {
    let wanted: Vec<i64> = {
        let mut state = community.lock();
        let mut wanted = Vec::new();
        for server in state
            .servers
            .iter_mut()
            .filter(|server| server.settings.sends(&event.kind))
        {
            match server.status {
                "ok" => wanted.push(server.id),
                // Deliveries are suspended: nobody will ever hear of it this way.
                "failed" => server.lost += 1,
                _ => {}
            }
        }
        wanted
    };
    for id in wanted {
        let delivery = Delivery {
            network: Arc::clone(network),
            community: Arc::clone(community),
            server: id,
            event: event.clone(),
            written,
        };
        network.runtime.spawn(delivery.run());
    }
}

struct Delivery {
    network: Arc<Network>,
    community: SharedCommunity,
    server: i64,
    event: Event,
    written: Option<(Written, &'static str)>,
}

impl Delivery {
    async fn run(self) {
        let mut attempt = 0;
        loop {
            self.network.sleep_through_outage().await;
            let Some((url, body)) = self.request() else { return };
            let answer = send(&self.network, &url, &body, attempt).await;
            let verdict = self.judge(answer);
            match verdict {
                Verdict::Taken => {
                    self.taken();
                    if self.is_doubled() {
                        // What becomes of the second delivery is nobody's business: the first one counted.
                        let _ = send(&self.network, &url, &body, attempt).await;
                    }
                    return;
                }
                Verdict::Removed => return,
                Verdict::Later { seconds } => self.pause(seconds).await,
                Verdict::Failed => {
                    let Some(pause) = PAUSES.get(attempt as usize) else {
                        self.lost();
                        return;
                    };
                    attempt += 1;
                    self.pause(*pause).await;
                }
            }
        }
    }

    async fn pause(&self, seconds: f64) {
        let until = self.network.now() + seconds;
        self.count_waiting(1);
        self.network.sleep_until(until).await;
        self.count_waiting(-1);
    }

    fn count_waiting(&self, change: i64) {
        if let Some(server) = self.community.lock().server_mut(self.server) {
            server.waiting += change;
        }
        self.network.touch();
    }

    /// Where to send what; none when the server is gone or given up.
    fn request(&self) -> Option<(String, Value)> {
        let mut state = self.community.lock();
        let group = state.id;
        let server = state.server_mut(self.server).filter(|server| server.status == "ok")?;
        let mut body = self.event.envelope(group, &server.settings.version);
        if !server.secret.is_empty() {
            body["secret"] = server.secret.as_str().into();
        }
        Some((server.url.clone(), body))
    }

    fn judge(&self, answer: Result<Answer, ()>) -> Verdict {
        let Ok(answer) = answer else { return Verdict::Failed };
        let group = self.community.lock().id;
        if let (410 | 429 | 503, Some(seconds)) = (answer.status, answer.retry_after) {
            return Verdict::Later { seconds };
        }
        if answer.status != 200 {
            return Verdict::Failed;
        }
        match answer.body.as_str() {
            "ok" => return Verdict::Taken,
            "remove" => {
                self.network.violate(format!("callback of {group}: answered remove"));
                self.community.lock().servers.retain(|server| server.id != self.server);
                return Verdict::Removed;
            }
            almost if almost.trim().trim_matches('"').eq_ignore_ascii_case("ok") => {
                self.network
                    .violate(format!("callback of {group}: answered {almost:?}, which is not ok"));
            }
            _ => {}
        }
        if let Some(version) = answer
            .body
            .strip_prefix("version ")
            .filter(|text| parse_version(text).is_some())
        {
            self.network
                .violate(format!("callback of {group}: switched the version"));
            if let Some(server) = self.community.lock().server_mut(self.server) {
                version.clone_into(&mut server.settings.version);
            }
        }
        Verdict::Failed
    }

    fn taken(&self) {
        if let Some(server) = self.community.lock().server_mut(self.server) {
            server.delivered += 1;
            server.lost_in_a_row = 0;
        }
        if let Some((written, kind)) = self.written {
            self.network
                .ledger
                .lock()
                .change(&written, |entry| entry.announced.push(kind));
        }
        self.network.touch();
    }

    fn lost(&self) {
        if let Some(server) = self.community.lock().server_mut(self.server) {
            server.lost += 1;
            server.lost_in_a_row += 1;
            if server.lost_in_a_row >= MOST_LOST_IN_A_ROW {
                server.status = "failed";
            }
        }
        self.network.touch();
    }

    fn is_doubled(&self) -> bool {
        let group = self.community.lock().id;
        let place = Place {
            method: CALLBACK,
            group: Some(group),
            token: None,
            inner: false,
            events: true,
        };
        self.network.take_fault(place) == Some(Kind::Duplicate)
    }
}

enum Verdict {
    Taken,
    Failed,
    Removed,
    Later { seconds: f64 },
}

struct Answer {
    status: u16,
    body: String,
    /// Simulated seconds.
    retry_after: Option<f64>,
}

async fn send(network: &Network, url: &str, body: &Value, attempt: u32) -> Result<Answer, ()> {
    let mut request = network
        .http
        .post(url)
        .header("content-type", "application/json")
        .timeout(network.real(ANSWER_SECONDS).max(LEAST_ANSWER_TIME))
        .body(body.to_string());
    if attempt > 0 {
        request = request.header("x-retry-counter", attempt);
    }
    let answer = request.send().await.map_err(drop)?;
    let status = answer.status().as_u16();
    let retry_after = answer
        .headers()
        .get("retry-after")
        .and_then(|value| pause_asked_for(value.to_str().ok()?));
    let body = answer.bytes().await.map_err(drop)?;
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
        retry_after,
    })
}

/// `Retry-After`, in seconds or as a date.
fn pause_asked_for(text: &str) -> Option<f64> {
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            (date.as_second() - jiff::Timestamp::now().as_second()) as f64
        }
    };
    (0.0..LONGEST_RETRY_AFTER).contains(&seconds).then_some(seconds)
}
