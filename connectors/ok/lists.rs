//! What changed in a group: its newest topics and the account's list of discussions.
//!
//! Topics come newest first, but pinned ones may stand before them; the list of discussions is in order of activity and
//! holds those of all groups the account is told of. A list that leads back to its beginning ends there.

use std::collections::{BTreeMap, HashSet};

use data_encoding::HEXLOWER;
use priem_sdk::{Item, json};

use super::{
    api::{Discussion, Topic},
    client::Rest,
    discussions::{Asked, MOST_PAGES, Mark, OVERLAP, PAGE, Round},
    errors::Trouble,
    split, time,
};

/// Topics looked at in every round.
const TOPICS: &str = "50";
const TOPIC_FIELDS: &str = "feed.*,media_topic.*";
const DISCUSSION_FIELDS: &str = "discussion.OBJECT_ID,discussion.OBJECT_TYPE,discussion.OWNER_UID,\
                                 discussion.LAST_ACTIVITY_DATE,discussion.TOTAL_COMMENTS_COUNT,discussion.REF_OBJECTS";

/// The group's topics, newest first on the platform: items oldest first, and what they say of their discussions.
pub(super) async fn topics(
    asked: &Asked<'_>,
    round: &mut Round,
    found: &mut BTreeMap<String, Mark>,
) -> Result<Vec<Item>, Trouble> {
    let mut items = Vec::new();
    let mut listed = BTreeMap::new();
    let mut seen = HashSet::new();
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
        let known = seen.len();
        for body in page.objects {
            if !seen.insert(body.clone()) {
                continue;
            }
            let topic: Topic = json::readable(&body);
            let created = topic.created_ms.number().unwrap_or(0);
            newest = newest.max(created);
            note(&topic, found);
            if created != 0 && created < round.since {
                continue;
            }
            let item = split::topic(asked.group, body);
            let shown = item
                .fingerprint
                .map(|print| HEXLOWER.encode(&print))
                .unwrap_or_default();
            if round.topics.get(&item.external_id) != Some(&shown) {
                items.push(whole(asked, &topic, item.clone()).await?);
            }
            listed.insert(item.external_id, shown);
        }
        if newest < round.known - OVERLAP || page.more.is_none() || page.more == anchor || seen.len() == known {
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
/// activity is handed back, whatever group it is in, and entries that nobody understands.
pub(super) async fn discussions(
    asked: &Asked<'_>,
    round: &Round,
    found: &mut BTreeMap<String, Mark>,
) -> Result<(i64, Vec<Item>), Trouble> {
    let mut unknown = Vec::new();
    let mut seen = HashSet::new();
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
        let known = seen.len();
        for body in page.objects {
            if !seen.insert(body.clone()) {
                continue;
            }
            let discussion: Discussion = json::readable(&body);
            let at = time::millis(&discussion.last_activity_date_ms, &discussion.last_activity_date);
            last = at.unwrap_or(last);
            newest_of_all = newest_of_all.max(last);
            let (Some(kind), Some(id)) = (discussion.object_type.text(), discussion.object_id.text()) else {
                unknown.push(split::unknown(split::COMMENT, body));
                continue;
            };
            if belongs_to(&discussion, asked.group) {
                put(found, kind, id, discussion.total_comments_count.number(), at);
            }
        }
        if last < round.known - OVERLAP || page.more.is_none() || page.more == anchor || seen.len() == known {
            break;
        }
        anchor = page.more;
    }
    Ok((newest_of_all, unknown))
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

/// For `check`: how many discussions of a group, and how many in all, stand on the first page the account is shown.
pub(super) async fn shown(rest: &Rest, group: &str) -> Result<(usize, usize), Trouble> {
    let parameters = [
        ("category", "GROUP"),
        ("count", PAGE),
        ("direction", "FORWARD"),
        ("fields", DISCUSSION_FIELDS),
    ];
    let page = rest.page("discussions.getList", &parameters, "discussions").await?;
    let all: Vec<Discussion> = page.objects.iter().map(json::readable).collect();
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
}
