//! getUpdates: the offset confirms, the call waits, a second one ends the first.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::{sync::Notify, time::Instant};

use super::{
    City, Fault,
    methods::{Outcome, Refusal, SharedBot, integer, list, refuse},
    state,
};

/// Most bytes of updates in one answer.
const LARGEST_BATCH: usize = 4 * 1024 * 1024;

/// Marks a poll as running for as long as the answer is awaited, also when the client goes away.
struct Running<'a> {
    bot: &'a SharedBot,
    generation: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.bot.lock();
        if state.poll_generation == self.generation {
            state.poll_running = false;
            state.touch();
        }
    }
}

/// A poll that has begun to wait.
struct Poll<'a> {
    running: Running<'a>,
    wake: Arc<Notify>,
    hold: f64,
    limit: usize,
}

pub(super) async fn get_updates(city: &Arc<City>, bot: &SharedBot, arguments: &Map<String, Value>) -> Outcome {
    let poll = match begin_poll(city, bot, arguments) {
        Ok(poll) => poll,
        Err(why) => return Err(conflict(city, bot, why).await),
    };
    let deadline = Instant::now() + city.real(poll.hold);
    loop {
        let woken = poll.wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        match look_again(city, bot, &poll, deadline) {
            Wait::On => {}
            Wait::Done(outcome) => return outcome,
            Wait::Ended(why) => return Err(conflict(city, bot, why).await),
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

/// Confirms what the offset confirms and starts to wait. `Err`: the text of a 409.
fn begin_poll<'a>(city: &City, bot: &'a SharedBot, arguments: &Map<String, Value>) -> Result<Poll<'a>, &'static str> {
    let offset = integer(arguments, "offset").unwrap_or(0);
    let mut limit = match integer(arguments, "limit") {
        Some(limit @ 1..=100) => limit as usize,
        _ => 100,
    };
    let mut hold = integer(arguments, "timeout").unwrap_or(0).clamp(0, 50) as f64;
    if city.take_fault(|fault| matches!(fault, Fault::AtOnce { .. })).is_some() {
        hold = 0.0;
    }
    let now = city.now();
    let mut state = bot.lock();
    match list(arguments, "allowed_updates") {
        Some(kinds) => state.allowed = Some(kinds),
        None => state.violate("getUpdates without allowed_updates"),
    }
    if state.webhook.is_some() {
        return Err(
            "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
        );
    }
    if state.poll_running {
        state.violate("getUpdates while another one was waiting");
    }
    state.poll_generation += 1;
    state.poll_ended_by = "terminated by other getUpdates request; make sure that only one bot instance is running";
    state.poll_running = true;
    state.wake.notify_waiters();
    state.touch();
    state.expire(now as i64);
    if let Some((previous, at)) = state.last_offset
        && previous == offset
    {
        if now - at < 3.0 {
            hold = hold.max(3.0);
        }
        if now - at < 0.5 {
            limit = 1;
        }
    }
    state.last_offset = (offset > 0).then_some((offset, now));
    if offset < 0 {
        state.violate("getUpdates with a negative offset");
        state.keep_last(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX));
    } else if offset > 0
        && city
            .take_fault(|fault| matches!(fault, Fault::Duplicate { .. }))
            .is_none()
    {
        state.confirm(offset);
    }
    Ok(Poll {
        running: Running {
            bot,
            generation: state.poll_generation,
        },
        wake: Arc::clone(&state.wake),
        hold,
        limit,
    })
}

/// What a waiting poll sees when it is woken.
enum Wait {
    On,
    Done(Outcome),
    /// The text of a 409.
    Ended(&'static str),
}

fn look_again(city: &City, bot: &SharedBot, poll: &Poll<'_>, deadline: Instant) -> Wait {
    let mut state = bot.lock();
    if state.revoked {
        return Wait::Done(Err(refuse(401, "Unauthorized")));
    }
    if state.poll_generation != poll.running.generation {
        return Wait::Ended(state.poll_ended_by);
    }
    state.expire(city.unix());
    if state.queue.is_empty() && Instant::now() < deadline {
        return Wait::On;
    }
    Wait::Done(Ok(batch(&mut state, poll.limit)))
}

/// The head of the queue as a JSON list, limited in number and size.
fn batch(state: &mut state::Bot, limit: usize) -> Vec<u8> {
    let mut text = b"[".to_vec();
    let mut count = 0;
    for queued in state.queue.values().take(limit) {
        if text.len() > 1 {
            if text.len() + queued.body.len() > LARGEST_BATCH {
                break;
            }
            text.push(b',');
        }
        text.extend_from_slice(&queued.body);
        count += 1;
    }
    state.handed_out += count;
    text.push(b']');
    text
}

/// 409; a second one within 3 s is held back for 3 s.
async fn conflict(city: &City, bot: &SharedBot, why: &str) -> Refusal {
    let now = city.now();
    let is_repeated = {
        let mut state = bot.lock();
        let last = std::mem::replace(&mut state.last_conflict, now);
        now - last < 3.0
    };
    if is_repeated {
        tokio::time::sleep(city.real(3.0)).await;
    }
    refuse(409, format!("Conflict: {why}"))
}
