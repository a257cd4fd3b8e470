//! The history of private messages: the fallback of the webhook, and the only way in `mode: poll`.
//!
//! A round lists the chats with activity since the last round, then reads a few chats at each poll, newest messages first
//! until known ones, and hands them over oldest first. The cursor moves on to the newest activity of the list only when
//! every chat of the round is stored; what comes twice because of that has the same key.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{ConnectorError, Cursor, Item, Page, Wait, json};
use serde::{Deserialize, Serialize};

use super::{
    api::{Chat, Delivery, Text},
    client::{Graph, pause},
    errors::Trouble,
    split, time,
};

/// Chats and messages this much older than the last known activity are looked at again, ms: events of the platform's
/// servers may become visible out of order.
const OVERLAP: i64 = 60_000;
/// Pages of chats read in one round, and pages of one chat: a guard against a platform that repeats itself.
const MOST_PAGES: usize = 1000;
/// Chats read in one poll, unless they brought enough already: a shutdown repeats that much.
const CHATS_AT_ONCE: usize = 10;
const ENOUGH_ITEMS: usize = 200;
/// Messages in a page that may go on with messages of the same moment.
const FULL_PAGE: usize = 100;
/// Activity of a chat that does not tell it.
const UNKNOWN: i64 = i64::MAX;

/// Where a round stands.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Round {
    /// Nothing older is taken, ms: where the very first look began.
    since: i64,
    /// Everything up to this activity is stored, ms.
    known: i64,
    /// Newest activity of the list this round works on, ms.
    next: i64,
    /// Chats still to read with their activity, newest first: the last one is next.
    #[serde(default)]
    waiting: Vec<(String, i64)>,
    /// Activity of chats read lately, so that a quiet chat is not read again.
    #[serde(default)]
    read: BTreeMap<String, i64>,
}

/// Reads on.
pub(super) async fn poll(
    graph: &Graph,
    group: &str,
    cursor: &Cursor,
    first_days: u32,
    every: jiff::SignedDuration,
) -> Result<Page, ConnectorError> {
    let mut round = begin(cursor, first_days)?;
    let mut items = Vec::new();
    if round.waiting.is_empty() {
        items = list(graph, &mut round)
            .await
            .map_err(|trouble| trouble.decision("chats"))?;
    } else {
        let oldest = round.since.max(round.known - OVERLAP);
        let mut has_read = false;
        for _ in 0..CHATS_AT_ONCE {
            let Some((chat, activity)) = round.waiting.pop() else {
                break;
            };
            match messages(graph, &chat, oldest).await {
                Ok(found) => items.extend(found.into_iter().map(|body| split::message(group, body))),
                // A chat that was removed meanwhile.
                Err(Trouble::Skip { .. }) => {}
                // What was read so far is stored first; the trouble comes again with the next poll.
                Err(Trouble::Decision(_)) if has_read => {
                    round.waiting.push((chat, activity));
                    break;
                }
                Err(Trouble::Decision(error)) => return Err(error),
            }
            has_read = true;
            // A chat that does not say when it was active is read in every round.
            if activity != UNKNOWN {
                round.read.insert(chat, activity);
            }
            if items.len() >= ENOUGH_ITEMS {
                break;
            }
        }
    }
    let wait = if round.waiting.is_empty() {
        round.known = round.known.max(round.next);
        let oldest = round.known - OVERLAP;
        round.read.retain(|_, activity| *activity >= oldest);
        Wait::For(pause(every))
    } else {
        Wait::Now
    };
    Ok(Page {
        items,
        next: cursor_of(&round)?,
        wait,
        ..Page::default()
    })
}

fn begin(cursor: &Cursor, first_days: u32) -> Result<Round, ConnectorError> {
    if cursor.is_start() {
        let since = days_ago(first_days);
        return Ok(Round {
            since,
            known: since,
            ..Round::default()
        });
    }
    serde_json::from_str(&cursor.0).map_err(|_| unreadable())
}

/// Moments of the past, for the very first look.
pub(super) fn days_ago(days: u32) -> i64 {
    Timestamp::now().as_millisecond() - i64::from(days) * 24 * 60 * 60 * 1000
}

/// A stored cursor of another make.
pub(super) fn unreadable() -> ConnectorError {
    ConnectorError::Misconfigured {
        hint: "the stored cursor is not one of this connector: was the entry's name used for another channel?".into(),
    }
}

/// A cursor as it is stored.
pub(super) fn cursor_of<T: Serialize>(state: &T) -> Result<Cursor, ConnectorError> {
    serde_json::to_string(state)
        .map(Cursor)
        .map_err(ConnectorError::transient)
}

/// Finds the chats with new activity; entries that nobody understands are handed over.
async fn list(graph: &Graph, round: &mut Round) -> Result<Vec<Item>, Trouble> {
    let (mut unknown, mut seen) = (Vec::new(), HashSet::new());
    let oldest = round.since.max(round.known - OVERLAP);
    let mut marker: Option<String> = None;
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for _ in 0..MOST_PAGES {
        let (chats, next) = graph.chats(marker.as_deref()).await?;
        let mut reaches_known = false;
        let known = seen.len();
        for body in chats {
            if !seen.insert(body.clone()) {
                continue;
            }
            let chat: Chat = json::readable(&body);
            let Some(id) = chat.chat_id.into_text() else {
                unknown.push(split::unknown(split::MESSAGE, body));
                continue;
            };
            let activity = chat.last_event.number().unwrap_or(UNKNOWN);
            reaches_known |= activity < oldest;
            if activity >= oldest && round.read.get(&id) != Some(&activity) {
                found.insert(id, activity);
            }
        }
        // A list may lead back to its beginning.
        if reaches_known || next.is_none() || next == marker || seen.len() == known {
            break;
        }
        marker = next;
    }
    round.waiting = found.into_iter().collect();
    round.waiting.sort_by_key(|(_, activity)| std::cmp::Reverse(*activity));
    let newest = round.waiting.iter().map(|(_, activity)| *activity);
    round.next = newest
        .filter(|activity| *activity != UNKNOWN)
        .max()
        .unwrap_or(round.known);
    Ok(unknown)
}

/// Messages of a chat from `oldest` on, oldest first.
async fn messages(graph: &Graph, chat: &str, oldest: i64) -> Result<Vec<Bytes>, Trouble> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    let mut from = None;
    for _ in 0..MOST_PAGES {
        let page = graph.messages(chat, from).await?;
        let mut earliest: Option<i64> = None;
        let (full, mut fresh) = (page.len() >= FULL_PAGE, 0);
        for body in page {
            let at = timestamp(&body);
            earliest = at.into_iter().chain(earliest).min();
            if seen.insert(body.clone()) {
                fresh += 1;
                if at.is_none_or(|at| at >= oldest) {
                    all.push((at, body));
                }
            }
        }
        match earliest {
            Some(earliest) if earliest >= oldest => {
                // Several messages may share a millisecond across the border of two full pages: the border is asked for
                // again, and only when that brings nothing new the next step goes below it.
                from = match fresh {
                    0 if from == Some(earliest - 1) => break,
                    1.. if full => Some(earliest),
                    _ => Some(earliest - 1),
                };
            }
            _ => break,
        }
    }
    // The platform gives newest first; equal moments keep that order, turned round.
    all.reverse();
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, body)| body).collect())
}

fn timestamp(body: &Bytes) -> Option<i64> {
    let delivery: Delivery = json::readable(body);
    time::millis(&delivery.timestamp, &Text::default())
}
