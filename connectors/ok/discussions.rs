//! Topics of a group and the comments below everything in it, by polling: OK pushes neither.
//!
//! A round looks at the group's newest topics and at the list of discussions, finds those that changed (another number
//! of comments, another last activity), then reads one of them at each poll, newest comments first until known ones,
//! and hands them over oldest first. Whole pages are handed over: an edit among the newest comments is a new version of
//! a known key, everything unchanged is dropped by the journal. OK announces neither edits nor removals, so recent
//! discussions are read again from time to time. A comment that is missing in an answer means nothing: the API shows
//! fewer than the site.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{ConnectorError, Cursor, Item, Page, Wait};
use serde::{Deserialize, Serialize};

use super::{
    api::{Comment, Discussion, Topic},
    client::{Rest, pause},
    config::DiscussionSettings,
    errors::Trouble,
    history::{cursor_of, days_ago, unreadable},
    split, time,
};

/// Comments and topics this much older than the last known activity are looked at again, ms.
const OVERLAP: i64 = 10 * 60_000;
/// Comments in one page, and discussions in one page of their list: the most the API gives.
const PAGE: &str = "100";
/// Topics looked at in every round.
const TOPICS: &str = "50";
/// Pages of one list: a guard against a platform that repeats itself.
const MOST_PAGES: usize = 500;
const TOPIC_FIELDS: &str = "feed.*,media_topic.*";
const DISCUSSION_FIELDS: &str = "discussion.OBJECT_ID,discussion.OBJECT_TYPE,discussion.OWNER_UID,\
                                 discussion.LAST_ACTIVITY_DATE,discussion.TOTAL_COMMENTS_COUNT,discussion.REF_OBJECTS";
const COMMENT_FIELDS: &str = "comment.ID,comment.TEXT,comment.AUTHOR_ID,comment.AUTHOR_NAME,comment.AUTHOR_REF,\
                              comment.DATE,comment.TYPE,comment.REPLY_TO_ID,comment.REPLY_TO_COMMENT_ID,\
                              comment.REPLY_TO_NAME,comment.ATTACHMENTS";

/// What is asked for.
pub(super) struct Asked<'a> {
    pub rest: &'a Rest,
    pub group: &'a str,
    pub settings: &'a DiscussionSettings,
    pub first_days: u32,
}

/// State of a discussion: number of comments, last activity in ms (0: not told).
type Mark = (i64, i64);

/// Where a round stands. Discussions are named `<type>/<id>`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Round {
    /// Nothing older is taken, ms: where the very first look began.
    since: i64,
    /// Everything up to this activity is stored, ms.
    known: i64,
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
    topics: BTreeMap<String, String>,
}

/// Reads on.
pub(super) async fn poll(asked: &Asked<'_>, cursor: &Cursor) -> Result<Page, ConnectorError> {
    let mut round = begin(cursor, asked.first_days)?;
    let items = match round.waiting.pop() {
        None => {
            let whom = format!("group {}", asked.group);
            list(asked, &mut round)
                .await
                .map_err(|trouble| trouble.decision(&whom))?
        }
        Some((name, mark)) => {
            let (kind, id) = name.split_once('/').ok_or_else(unreadable)?;
            let items = match comments(asked, &round, kind, id).await {
                Ok(items) => items,
                // Removed or closed meanwhile.
                Err(Trouble::Skip { .. }) => Vec::new(),
                Err(Trouble::Decision(error)) => return Err(error),
            };
            round.read.insert(name, mark);
            items
        }
    };
    let wait = if round.waiting.is_empty() {
        round.known = round.known.max(round.next);
        Wait::For(pause(asked.settings.every))
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
    let items = if asked.settings.topics {
        topics(asked, round, &mut found).await?
    } else {
        Vec::new()
    };
    let newest = discussions(asked, round, &mut found).await?;
    // The list is the account's: what happened in its other groups tells how far it was read, too. Otherwise a quiet
    // group would go back through the noise of all others in every round.
    round.next = found
        .values()
        .map(|(_, at)| *at)
        .fold(round.known.max(newest), i64::max);

    let now = Timestamp::now().as_millisecond();
    let is_due = now - round.reread >= i64::try_from(asked.settings.recheck_every.as_millis()).unwrap_or(i64::MAX);
    let recent = round.next - i64::from(asked.settings.recheck_days) * 24 * 60 * 60 * 1000;
    if is_due {
        round.reread = now;
    }
    // What has left the lists is forgotten; when it comes back it counts as changed.
    round.read.retain(|name, _| found.contains_key(name));
    for (name, mark) in found {
        let (count, at) = mark;
        let changed = round.read.get(&name) != Some(&mark);
        let again = is_due && at >= recent;
        let quiet = count == 0 || (at != 0 && at < round.since);
        if quiet {
            round.read.insert(name, mark);
        } else if changed || again {
            round.waiting.push((name, mark));
        }
    }
    round.waiting.sort_by_key(|(_, (_, at))| std::cmp::Reverse(*at));
    Ok(items)
}

/// The group's topics, newest first on the platform: items oldest first, and what they say of their discussions.
async fn topics(
    asked: &Asked<'_>,
    round: &mut Round,
    found: &mut BTreeMap<String, Mark>,
) -> Result<Vec<Item>, Trouble> {
    let mut items = Vec::new();
    let mut listed = BTreeMap::new();
    let mut anchor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut parameters = vec![
            ("gid", asked.group),
            ("patterns", "POST"),
            ("count", TOPICS),
            ("direction", "FORWARD"),
            ("fields", TOPIC_FIELDS),
        ];
        parameters.extend(anchor.as_deref().map(|anchor| ("anchor", anchor)));
        let page = asked.rest.page("stream.get", &parameters, "media_topics").await?;
        let mut newest = 0;
        for body in page.objects {
            let topic: Topic = serde_json::from_slice(&body).unwrap_or_default();
            let created = topic.created_ms.number().unwrap_or(0);
            newest = newest.max(created);
            note(&topic, found);
            if created != 0 && created < round.since {
                continue;
            }
            let item = split::topic(asked.group, body);
            let shown: String = item
                .fingerprint
                .iter()
                .flatten()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if round.topics.get(&item.external_id) != Some(&shown) {
                items.push(whole(asked, &topic, item.clone()).await?);
            }
            listed.insert(item.external_id, shown);
        }
        if newest < round.known - OVERLAP || page.more.is_none() || page.more == anchor {
            break;
        }
        anchor = page.more;
    }
    round.topics = listed;
    items.reverse();
    Ok(items)
}

/// A topic that was cut in the list, read whole. One id needs no limit of media.
async fn whole(asked: &Asked<'_>, topic: &Topic, cut: Item) -> Result<Item, Trouble> {
    let (true, Some(id)) = (topic.is_text_cut.is_true() || topic.has_more.is_true(), topic.id.text()) else {
        return Ok(cut);
    };
    let parameters = [("topic_ids", id), ("fields", "media_topic.*")];
    let found = asked
        .rest
        .page("mediatopic.getByIds", &parameters, "media_topics")
        .await;
    match found.map(|page| page.objects.into_iter().next()) {
        Ok(Some(body)) => Ok(split::topic(asked.group, body)),
        Ok(None) | Err(Trouble::Skip { .. }) => Ok(cut),
        Err(trouble) => Err(trouble),
    }
}

fn note(topic: &Topic, found: &mut BTreeMap<String, Mark>) {
    let Some(summary) = &topic.discussion_summary else {
        return;
    };
    let Some(id) = summary.discussion_id.text().or(topic.id.text()) else {
        return;
    };
    let kind = summary.discussion_type.text().unwrap_or(split::GROUP_TOPIC);
    let at = time::millis(&summary.last_activity_date_ms, &summary.last_activity_date);
    put(found, kind, id, summary.comments_count.number(), at);
}

/// Discussions the account is told of, those of this group. The whole list is in order of activity; its newest
/// activity is handed back, whatever group it is in.
async fn discussions(asked: &Asked<'_>, round: &Round, found: &mut BTreeMap<String, Mark>) -> Result<i64, Trouble> {
    let mut anchor: Option<String> = None;
    let mut newest_of_all = 0;
    for _ in 0..MOST_PAGES {
        let mut parameters = vec![
            ("category", "GROUP"),
            ("count", PAGE),
            ("direction", "FORWARD"),
            ("fields", DISCUSSION_FIELDS),
        ];
        parameters.extend(anchor.as_deref().map(|anchor| ("anchor", anchor)));
        let page = asked
            .rest
            .page("discussions.getList", &parameters, "discussions")
            .await?;
        let mut last = 0;
        for body in page.objects {
            let discussion: Discussion = serde_json::from_slice(&body).unwrap_or_default();
            let at = time::millis(&discussion.last_activity_date_ms, &discussion.last_activity_date);
            last = at.unwrap_or(last);
            newest_of_all = newest_of_all.max(last);
            let (Some(kind), Some(id)) = (discussion.object_type.text(), discussion.object_id.text()) else {
                continue;
            };
            if belongs_to(&discussion, asked.group) {
                put(found, kind, id, discussion.total_comments_count.number(), at);
            }
        }
        if last < round.known - OVERLAP || page.more.is_none() || page.more == anchor {
            return Ok(newest_of_all);
        }
        anchor = page.more;
    }
    Ok(newest_of_all)
}

fn belongs_to(discussion: &Discussion, group: &str) -> bool {
    let references = discussion.ref_objects.as_deref().unwrap_or_default();
    let mut groups = references.iter().filter(|reference| {
        reference
            .kind
            .text()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("GROUP"))
    });
    groups.any(|reference| reference.id.text() == Some(group)) || discussion.owner_uid.text() == Some(group)
}

/// Both lists may name a discussion: the later activity and the larger count win. A count that is not told may be any.
fn put(found: &mut BTreeMap<String, Mark>, kind: &str, id: &str, count: Option<i64>, at: Option<i64>) {
    if kind.contains('/') || id.contains('/') {
        return;
    }
    let mark = found.entry(format!("{kind}/{id}")).or_insert((0, 0));
    mark.0 = mark.0.max(count.unwrap_or(1));
    mark.1 = mark.1.max(at.unwrap_or(0));
}

/// Comments of a discussion, whole pages back to the known ones, oldest first.
async fn comments(asked: &Asked<'_>, round: &Round, kind: &str, id: &str) -> Result<Vec<Item>, Trouble> {
    let oldest = round.since.max(round.known - OVERLAP);
    let mut pages: Vec<Vec<(Option<i64>, Bytes)>> = Vec::new();
    let mut seen = HashSet::new();
    let mut anchor = "LAST".to_owned();
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
            _ => break,
        }
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

fn date(body: &[u8]) -> Option<i64> {
    let comment: Comment = serde_json::from_slice(body).ok()?;
    time::millis(&comment.date_ms, &comment.date)
}

/// For `check`: how many discussions of a group, and how many in all, stand on the first page the account is shown.
pub(super) async fn shown(rest: &Rest, group: &str) -> Result<(usize, usize), Trouble> {
    let parameters = [
        ("category", "GROUP"),
        ("count", PAGE),
        ("direction", "FORWARD"),
        ("fields", DISCUSSION_FIELDS),
    ];
    let page = rest.page("discussions.getList", &parameters, "discussions").await?;
    let all: Vec<Discussion> = page
        .objects
        .iter()
        .map(|body| serde_json::from_slice(body).unwrap_or_default())
        .collect();
    Ok((all.iter().filter(|one| belongs_to(one, group)).count(), all.len()))
}

/// For `check`: how many topics of a group are shown when one is asked for.
pub(super) async fn topics_readable(rest: &Rest, group: &str) -> Result<usize, Trouble> {
    let parameters = [
        ("gid", group),
        ("patterns", "POST"),
        ("count", "1"),
        ("direction", "FORWARD"),
        ("fields", TOPIC_FIELDS),
    ];
    let page = rest.page("stream.get", &parameters, "media_topics").await?;
    Ok(page.objects.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discussion_belongs_to_the_group_it_refers_to() {
        let belongs = |json: &str| belongs_to(&serde_json::from_str(json).expect("a discussion"), "57");
        assert!(belongs(
            r#"{"ref_objects":[{"id":"8","type":"ALBUM"},{"id":"57","type":"GROUP"}]}"#
        ));
        assert!(belongs(r#"{"owner_uid":"57"}"#));
        assert!(!belongs(
            r#"{"ref_objects":[{"id":"58","type":"GROUP"}],"owner_uid":"9"}"#
        ));
        assert!(!belongs(r#"{"ref_objects":[{"id":"57","type":"ALBUM"}]}"#));
        assert!(!belongs("{}"));
    }

    #[test]
    fn of_two_lists_the_later_word_counts() {
        let mut found = BTreeMap::new();
        put(&mut found, "GROUP_TOPIC", "1", Some(3), Some(10));
        put(&mut found, "GROUP_TOPIC", "1", None, Some(20));
        put(&mut found, "GROUP_PHOTO", "1", None, None);
        put(&mut found, "GROUP_TOPIC", "1/2", Some(3), Some(10));
        let expected = [
            ("GROUP_PHOTO/1".to_owned(), (1, 0)),
            ("GROUP_TOPIC/1".to_owned(), (3, 20)),
        ];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }

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
