//! Topics of a group and the comments below everything in it, by polling: OK pushes neither.
//!
//! A round looks at the group's newest topics and at the list of discussions, finds those that changed (another number
//! of comments, another last activity), then reads one of them at each poll, newest comments first until known ones,
//! and hands them over oldest first. Whole pages are handed over: an edit among the newest comments is a new version of
//! a known key, everything unchanged is dropped by the journal. OK announces neither edits nor removals, so recent
//! discussions are read again from time to time. A comment that is missing in an answer means nothing by itself: the API
//! shows fewer than the site ([`super::vanished`]).

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{ConnectorError, Cursor, Item, Page, Wait, json};
use serde::{Deserialize, Serialize};

use super::{
    api::Comment,
    client::{Rest, pause},
    config::DiscussionSettings,
    errors::Trouble,
    history::{cursor_of, days_ago, unreadable},
    lists, split, time,
    vanished::{Memory, Shown},
};

/// Comments and topics this much older than the last known activity are looked at again, ms.
pub(super) const OVERLAP: i64 = 10 * 60_000;
/// Comments in one page, and discussions in one page of their list: the most the API gives.
pub(super) const PAGE: &str = "100";
/// Pages of one list: a guard against a platform that repeats itself.
pub(super) const MOST_PAGES: usize = 500;
pub(super) const COMMENT_FIELDS: &str = "comment.ID,comment.TEXT,comment.AUTHOR_ID,comment.AUTHOR_NAME,comment.AUTHOR_REF,\
                              comment.DATE,comment.TYPE,comment.REPLY_TO_ID,comment.REPLY_TO_COMMENT_ID,\
                              comment.REPLY_TO_NAME,comment.ATTACHMENTS";

/// What is asked for.
pub(super) struct Asked<'a> {
    pub rest: &'a Rest,
    pub group: &'a str,
    pub settings: &'a DiscussionSettings,
    pub first_days: u32,
    /// The group's own words are published, too.
    pub own_words: bool,
}

/// State of a discussion: number of comments, last activity in ms (0: not told).
pub(super) type Mark = (i64, i64);

/// Where a round stands. Discussions are named `<type>/<id>`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    /// Nothing older is taken, ms: where the very first look began.
    pub(super) since: i64,
    /// Everything up to this activity is stored, ms.
    pub(super) known: i64,
    /// Newest activity of the lists this round works on, ms.
    next: i64,
    /// When recent discussions were last read again, ms of our clock.
    reread: i64,
    /// Discussions still to read, newest activity first: the last one is next.
    #[serde(default)]
    waiting: Vec<(String, Mark)>,
    /// Discussions as they were when they were read.
    #[serde(default)]
    read: BTreeMap<String, Mark>,
    /// Listed topics with the hash of what the list shows of them.
    #[serde(default)]
    pub(super) topics: BTreeMap<String, String>,
    /// Recent comments, to notice those that vanish.
    #[serde(default)]
    memory: Memory,
}

/// Reads on.
pub(super) async fn poll(asked: &Asked<'_>, cursor: &Cursor) -> Result<Page, ConnectorError> {
    let mut round = begin(cursor, asked.first_days)?;
    let items = match round.waiting.pop() {
        None if round.memory.has_suspects() => round.memory.ask(asked.rest, asked.group).await?,
        None => {
            let whom = format!("group {}", asked.group);
            list(asked, &mut round)
                .await
                .map_err(|trouble| trouble.decision(&whom))?
        }
        Some((name, mark)) => {
            let items = match comments(asked, &mut round, &name).await {
                Ok(items) => items,
                // Removed or closed meanwhile.
                Err(Trouble::Skip { .. }) => {
                    round.memory.miss_all(&name);
                    Vec::new()
                }
                Err(Trouble::Decision(error)) => return Err(error),
            };
            round.read.insert(name, mark);
            items
        }
    };
    let wait = if round.waiting.is_empty() {
        round.known = round.known.max(round.next);
        if round.memory.has_suspects() {
            Wait::Now
        } else {
            Wait::For(pause(asked.settings.every))
        }
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
            next: since,
            reread: Timestamp::now().as_millisecond(),
            ..Round::default()
        });
    }
    serde_json::from_str(&cursor.0).map_err(|_| unreadable())
}

/// Looks at the lists: new topics are items, changed discussions are put in line.
async fn list(asked: &Asked<'_>, round: &mut Round) -> Result<Vec<Item>, Trouble> {
    let mut found: BTreeMap<String, Mark> = BTreeMap::new();
    let mut items = if asked.settings.topics {
        lists::topics(asked, round, &mut found).await?
    } else {
        Vec::new()
    };
    let (newest, unknown) = lists::discussions(asked, round, &mut found).await?;
    items.extend(unknown);
    // The list is the account's: what happened in its other groups tells how far it was read, too. Otherwise a quiet
    // group would go back through the noise of all others in every round.
    round.next = found
        .values()
        .map(|(_, at)| *at)
        .fold(round.known.max(newest), i64::max);

    let now = Timestamp::now().as_millisecond();
    let is_due = now - round.reread >= i64::try_from(asked.settings.recheck_every.as_millis()).unwrap_or(i64::MAX);
    let recent = recent(asked, round);
    if is_due {
        round.reread = now;
        round.memory.renew(asked.settings.probes, recent);
    }
    // What has left the lists is forgotten; when it comes back it counts as changed.
    round.read.retain(|name, _| found.contains_key(name));
    for (name, mark) in found {
        let (count, at) = mark;
        let changed = round.read.get(&name) != Some(&mark);
        let again = is_due && at >= recent;
        let quiet = (count == 0 && !round.memory.knows(&name)) || (at != 0 && at < round.since);
        if quiet {
            round.read.insert(name, mark);
        } else if changed || again {
            round.waiting.push((name, mark));
        }
    }
    round.waiting.sort_by_key(|(_, (_, at))| std::cmp::Reverse(*at));
    Ok(items)
}

/// Since when discussions are read again, ms.
fn recent(asked: &Asked<'_>, round: &Round) -> i64 {
    round.next - i64::from(asked.settings.recheck_days) * 24 * 60 * 60 * 1000
}

/// Comments of a discussion, whole pages back to the known ones, oldest first.
async fn comments(asked: &Asked<'_>, round: &mut Round, name: &str) -> Result<Vec<Item>, Trouble> {
    let (kind, id) = name.split_once('/').ok_or_else(unreadable)?;
    let oldest = round.since.max(round.known - OVERLAP);
    let mut pages: Vec<Vec<(Option<i64>, Bytes)>> = Vec::new();
    let mut seen = HashSet::new();
    let mut anchor = "LAST".to_owned();
    let mut is_whole = false;
    for _ in 0..MOST_PAGES {
        let parameters = [
            ("discussionId", id),
            ("discussionType", kind),
            ("anchor", anchor.as_str()),
            ("direction", "BACKWARD"),
            ("count", PAGE),
            // Reading must not change what the administrator sees as unread.
            ("mark_as_read", "false"),
            ("includeRemoved", "true"),
            ("fields", COMMENT_FIELDS),
        ];
        let page = asked
            .rest
            .page("discussions.getComments", &parameters, "comments")
            .await?;
        let fresh = page.objects.into_iter().filter(|body| seen.insert(body.clone()));
        let objects: Vec<(Option<i64>, Bytes)> = fresh.map(|body| (date(&body), body)).collect();
        let earliest = objects.iter().filter_map(|(at, _)| *at).min();
        pages.push(objects);
        match page.more {
            Some(more) if more != anchor && earliest.is_some_and(|earliest| earliest >= oldest) => anchor = more,
            more => {
                is_whole = more.is_none();
                break;
            }
        }
    }
    if asked.settings.probes > 0 {
        let all = pages.iter().flatten();
        let earliest = all.clone().filter_map(|(at, _)| *at).min();
        let shown = Shown {
            comments: all.map(|(_, body)| body).collect(),
            after: if is_whole { None } else { earliest.or(Some(i64::MAX)) },
        };
        let oldest = recent(asked, round).max(round.since);
        let own_words = asked.own_words;
        round.memory.compare(asked.group, name, &shown, own_words, oldest);
    }
    Ok(oldest_first(pages)
        .into_iter()
        .filter(|(at, _)| at.is_none_or(|at| at >= round.since))
        .map(|(_, body)| split::comment(asked.group, kind, id, body))
        .collect())
}

/// Pages come newest first; inside them the platform may give either order, the same in all. Dates are exact to the
/// second only, so equal ones keep the order of the platform.
fn oldest_first<T>(mut pages: Vec<Vec<(Option<i64>, T)>>) -> Vec<(Option<i64>, T)> {
    let rises = |page: &Vec<(Option<i64>, T)>| page.first().map(|first| first.0) < page.last().map(|last| last.0);
    if !pages.iter().any(rises) {
        pages.iter_mut().for_each(|page| page.reverse());
    }
    let mut all: Vec<(Option<i64>, T)> = pages.into_iter().rev().flatten().collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

fn date(body: &Bytes) -> Option<i64> {
    let comment: Comment = json::readable(body);
    time::millis(&comment.date_ms, &comment.date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_order_inside_pages_ends_oldest_first() {
        let dated = |pages: &[&[(i64, u8)]]| {
            let page = |page: &&[(i64, u8)]| page.iter().map(|(at, what)| (Some(*at), *what)).collect();
            let all = oldest_first(pages.iter().map(page).collect());
            all.into_iter().map(|(_, what)| what).collect::<Vec<u8>>()
        };
        assert_eq!(
            dated(&[&[(3, 6), (3, 5), (3, 4)], &[(3, 3), (2, 2), (1, 1)]]),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            dated(&[&[(3, 4), (3, 5), (3, 6)], &[(1, 1), (2, 2), (3, 3)]]),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(dated(&[&[(7, 2), (7, 1)]]), [1, 2]);
        assert_eq!(dated(&[]), [0_u8; 0]);
    }

    #[test]
    fn foreign_cursors_are_refused() {
        let error = begin(&Cursor("offset 17".into()), 3).expect_err("foreign");
        assert_eq!(error.kind(), "misconfigured");
    }
}
