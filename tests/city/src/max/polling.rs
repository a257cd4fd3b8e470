//! `GET /updates`: the marker acknowledges, the call waits, the answer names the next marker.

use std::{collections::HashMap, sync::Arc};

use super::{
    City, Fault, SharedBot,
    methods::{Outcome, refuse},
    state::{self, Queued},
};

/// Most updates in one answer, whatever is asked for.
const LARGEST_BATCH: usize = 100;
/// Longest hold, seconds, whatever is asked for.
const LONGEST_HOLD: f64 = 30.0;

/// Counts a poll for as long as its answer is awaited, also when the client goes away.
struct Running<'a>(&'a SharedBot);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.polls_running -= 1;
        state.touch();
    }
}

pub(super) async fn get_updates(city: &Arc<City>, bot: &SharedBot, arguments: &HashMap<String, String>) -> Outcome {
    let number = |key: &str| arguments.get(key).map(|text| text.parse::<i64>());
    let (Ok(limit), Ok(hold), Ok(marker)) = (
        number("limit").unwrap_or(Ok(100)),
        number("timeout").unwrap_or(Ok(30)),
        number("marker").transpose(),
    ) else {
        city.violate("GET /updates with a parameter that is no number");
        return Err(refuse(400, "proto.payload", "wrong parameter"));
    };
    if !(1..=1000).contains(&limit) || !(0..=90).contains(&hold) {
        city.violate("GET /updates with limit or timeout out of range");
        return Err(refuse(400, "proto.payload", "limit or timeout out of range"));
    }
    if state::pace(&mut bot.lock().polls) > city.options.polls_per_second {
        city.violate(format!(
            "more than {} long polls in a second",
            city.options.polls_per_second
        ));
        return Err(refuse(429, "too.many.requests", "Too many requests"));
    }
    let limit = usize::try_from(limit).unwrap_or(1).min(LARGEST_BATCH);
    let is_hasty = city.take_fault(|fault| matches!(fault, Fault::AtOnce { .. })).is_some();
    let hold = if is_hasty { 0.0 } else { (hold as f64).min(LONGEST_HOLD) };
    let until = city.clock.seconds() + hold;
    let (_running, mut changed) = {
        let mut state = bot.lock();
        state.polls_running += 1;
        if state.polls_running > 1 {
            city.violate("two long polls at the same time");
        }
        let repeated = marker.is_some()
            && city
                .take_fault(|fault| matches!(fault, Fault::Duplicate { .. }))
                .is_some();
        if let Some(marker) = marker {
            if marker < 0 || marker > state.next_place {
                city.violate(format!("the marker {marker} was never given out"));
            }
            state.acknowledge(marker);
        }
        if repeated {
            let again = std::mem::take(&mut state.last_answer);
            state.delivered -= again.len() as u64;
            state.queue.extend(again);
        }
        state.touch();
        (Running(bot), state.changed.subscribe())
    };
    loop {
        {
            let mut state = bot.lock();
            if state.revoked {
                return Err(refuse(401, "verify.token", "Invalid access_token"));
            }
            let is_hooked = !state.subscriptions.is_empty();
            if is_hooked && !city.options.silent_polls_beside_webhook {
                return Err(refuse(
                    405,
                    "method.not.allowed",
                    "Long polling is off while a webhook is subscribed",
                ));
            }
            state.expire(city.clock.milliseconds());
            let is_over = city.clock.seconds() >= until;
            if is_over || (!state.queue.is_empty() && !is_hooked) {
                return Ok(answer(city, &mut state, marker, limit, is_hooked));
            }
        }
        tokio::select! {
            _ = changed.changed() => {}
            () = city.clock.sleep_until(until) => {}
        }
    }
}

fn answer(city: &City, state: &mut state::Bot, marker: Option<i64>, limit: usize, is_hooked: bool) -> Vec<u8> {
    let due: Vec<(i64, Queued)> = match (is_hooked, marker) {
        (true, _) => Vec::new(),
        (false, Some(_)) => state.queue.iter().take(limit).map(clone).collect(),
        // Without a marker: the most recent update only.
        (false, None) => state.queue.iter().next_back().map(clone).into_iter().collect(),
    };
    let next = match due.last() {
        Some((place, _)) => place + 1,
        None => marker.unwrap_or(state.next_place),
    };
    let updates: Vec<&[u8]> = due.iter().map(|(_, queued)| &queued.body[..]).collect();
    let updates = updates.join(&b","[..]);
    let is_null = due.is_empty()
        && city
            .take_fault(|fault| matches!(fault, Fault::NullMarker { .. }))
            .is_some();
    let marker = if is_null { "null".to_owned() } else { next.to_string() };
    let after = format!("],\"marker\":{marker}}}");
    state.last_answer = due;
    [&b"{\"updates\":["[..], &updates, after.as_bytes()].concat()
}

fn clone((place, queued): (&i64, &Queued)) -> (i64, Queued) {
    (*place, queued.clone())
}
