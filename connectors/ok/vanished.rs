//! Comments that vanish. OK announces no removal, and a comment that a list leaves out may still be there: the API
//! shows fewer than the site. So recent comments are remembered; one that a list should have shown and did not is asked
//! for by its id, and only the platform's "comment not found" takes it back.
//!
//! Bounds: the newest [`MOST_REMEMBERED`] comments of the days that are read again, and so many questions for each
//! reading again as the settings say, one in each poll. Those that turn out to be there go to the end of the line.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use priem_sdk::{ConnectorError, Item};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use super::{api::Comment, client::Rest, discussions::COMMENT_FIELDS, errors::Trouble, normalize, split, time};

/// Comments of one group that are remembered: the cursor carries them, about 100 bytes each.
const MOST_REMEMBERED: usize = 300;
/// COMMENT_NOT_FOUND.
const NOT_FOUND: i64 = 700;

/// A comment that was handed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    #[serde(rename = "d")]
    discussion: String,
    #[serde(rename = "i")]
    id: String,
    /// When it was written, ms.
    #[serde(rename = "t")]
    at: i64,
    /// The last list that should have shown it did not.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    missing: bool,
    /// The number of the question that was asked about it last; 0: none was.
    #[serde(rename = "q", default, skip_serializing_if = "is_zero")]
    asked: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is remembered of a group's comments.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    #[serde(default)]
    seen: Vec<Seen>,
    /// Questions that may still be asked until recent discussions are read again.
    #[serde(default)]
    left: u32,
    /// Questions asked so far.
    #[serde(default)]
    questions: u64,
    /// Questions asked before recent discussions were read again last: nobody is asked for twice in between.
    #[serde(default)]
    before: u64,
}

/// What a list of a discussion showed.
pub(super) struct Shown<'a> {
    /// The comments, as they came.
    pub comments: Vec<&'a Bytes>,
    /// Everything written after this moment was to be shown, ms; all there is when `None`.
    pub after: Option<i64>,
}

impl Memory {
    /// Recent discussions are read again: so many questions may be asked, and what is older is forgotten.
    pub fn renew(&mut self, questions: u32, oldest: i64) {
        self.left = questions;
        self.before = self.questions;
        if questions == 0 {
            self.seen.clear();
        }
        self.seen.retain(|one| one.at >= oldest);
    }

    /// Takes note of what a list showed and what it did not.
    pub fn compare(&mut self, group: &str, discussion: &str, shown: &Shown<'_>, own_words: bool, oldest: i64) {
        let mut listed = BTreeSet::new();
        let mut fresh = BTreeMap::new();
        for body in &shown.comments {
            let comment: Comment = priem_sdk::json::readable(body);
            let Some(id) = comment.id.text() else { continue };
            listed.insert(id.to_owned());
            if let Some(at) = published_at(&comment, group, own_words).filter(|at| *at >= oldest) {
                fresh.insert(id.to_owned(), at);
            }
        }
        self.seen.retain_mut(|one| {
            if one.discussion != discussion {
                return true;
            }
            if listed.contains(&one.id) {
                one.missing = false;
                // A removal that is listed needs no question.
                return fresh.remove(&one.id).is_some();
            }
            one.missing |= shown.after.is_none_or(|after| one.at > after);
            true
        });
        self.seen.extend(fresh.into_iter().map(|(id, at)| Seen {
            discussion: discussion.to_owned(),
            id,
            at,
            missing: false,
            asked: 0,
        }));
        if self.seen.len() > MOST_REMEMBERED {
            self.seen.sort_by_key(|one| std::cmp::Reverse(one.at));
            self.seen.truncate(MOST_REMEMBERED);
        }
    }

    /// A discussion can't be read any more: everything remembered of it is missing.
    pub fn miss_all(&mut self, discussion: &str) {
        let of_it = self.seen.iter_mut().filter(|one| one.discussion == discussion);
        of_it.for_each(|one| one.missing = true);
    }

    /// Whether anything of a discussion is remembered.
    pub fn knows(&self, discussion: &str) -> bool {
        self.seen.iter().any(|one| one.discussion == discussion)
    }

    /// The comment to ask for next: the one whose last question is longest ago.
    fn suspect(&self) -> Option<usize> {
        let asked_now = |one: &Seen| one.asked > self.before;
        let missing = self
            .seen
            .iter()
            .enumerate()
            .filter(|(_, one)| one.missing && !asked_now(one));
        let first = missing.min_by_key(|(_, one)| (one.asked, one.at))?;
        (self.left > 0).then_some(first.0)
    }

    /// Whether a question is to be asked.
    pub fn has_suspects(&self) -> bool {
        self.suspect().is_some()
    }

    /// Asks for one missing comment.
    pub async fn ask(&mut self, rest: &Rest, group: &str) -> Result<Vec<Item>, ConnectorError> {
        let Some(index) = self.suspect() else {
            return Ok(Vec::new());
        };
        let Some((kind, discussion)) = self.seen[index].discussion.split_once('/') else {
            self.seen.remove(index);
            return Ok(Vec::new());
        };
        let id = self.seen[index].id.as_str();
        let parameters = [
            ("discussionId", discussion),
            ("discussionType", kind),
            ("comment_id", id),
            ("fields", COMMENT_FIELDS),
        ];
        let item = match rest.comment(&parameters).await {
            // It is there; maybe with other words, or marked as removed.
            Ok(Some(body)) => Some(split::comment(group, kind, discussion, body)),
            Ok(None) => None,
            Err(Trouble::Skip { code: NOT_FOUND, words }) => {
                let body = json!({"id": id, "vanished": {"error_code": NOT_FOUND, "error_msg": words}});
                let item = split::comment(group, kind, discussion, Bytes::from(body.to_string()));
                self.seen.remove(index);
                self.left -= 1;
                return Ok(vec![item]);
            }
            Err(Trouble::Skip { .. }) => None,
            // Comments themselves can be read: only this question may not be asked.
            Err(Trouble::Decision(error @ ConnectorError::Misconfigured { .. })) => {
                warn!(group, %error, "removed comments can't be told from those that are only not listed");
                self.left = 0;
                return Ok(Vec::new());
            }
            Err(Trouble::Decision(error)) => return Err(error),
        };
        self.questions += 1;
        self.left -= 1;
        self.seen[index].asked = self.questions;
        Ok(item.into_iter().collect())
    }
}

/// When a comment was written, ms, if it is one that is published: with words or attachments, not removed, and not the
/// group's own unless those are published, too.
fn published_at(comment: &Comment, group: &str, own_words: bool) -> Option<i64> {
    let is_empty = comment.text.text().is_none() && comment.attachments.as_ref().is_none_or(Vec::is_empty);
    let is_own = !own_words && normalize::is_own(comment, group);
    if is_empty || is_own || comment.is_removed() {
        return None;
    }
    time::millis(&comment.date_ms, &comment.date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "GROUP_TOPIC/62";

    fn comment(id: usize) -> Bytes {
        let body = json!({"id": id.to_string(), "author_id": "1", "text": "да", "date_ms": id * 1000});
        Bytes::from(body.to_string())
    }

    fn compare(memory: &mut Memory, bodies: &[Bytes], after: Option<i64>) {
        let shown = Shown {
            comments: bodies.iter().collect(),
            after,
        };
        memory.compare("57", PLACE, &shown, false, 0);
    }

    fn missing(memory: &Memory) -> Vec<&str> {
        let missing = memory.seen.iter().filter(|one| one.missing);
        missing.map(|one| one.id.as_str()).collect()
    }

    #[test]
    fn only_what_a_list_should_have_shown_is_missing() {
        let mut memory = Memory::default();
        memory.renew(9, 0);
        let all: Vec<Bytes> = (1..=5).map(comment).collect();
        compare(&mut memory, &all, None);
        assert_eq!(missing(&memory), [""; 0]);
        // The list reached back to the third; the second may stand on the page that was not read.
        compare(&mut memory, &[all[2].clone(), all[4].clone()], Some(3000));
        assert_eq!(missing(&memory), ["4"]);
        compare(&mut memory, &all[1..], None);
        assert_eq!(missing(&memory), ["1"]);
        memory.miss_all("GROUP_PHOTO/1");
        assert_eq!(missing(&memory), ["1"]);
        memory.miss_all(PLACE);
        assert_eq!(missing(&memory).len(), 5);
        memory.renew(9, 4000);
        assert_eq!(memory.seen.len(), 2, "older ones are forgotten");
        memory.renew(0, 0);
        assert!(memory.seen.is_empty(), "switched off");
    }

    #[test]
    fn what_was_never_published_is_not_remembered() {
        let mut memory = Memory::default();
        let bodies = [
            json!({"id": "1", "text": "наше", "author_id": "57", "author_type": "GROUP", "date_ms": 1}),
            json!({"id": "2", "text": "", "author_id": "1", "date_ms": 1}),
            json!({"id": "3", "text": "нет", "type": "REMOVED_MESSAGE", "date_ms": 1}),
            json!({"id": "4", "text": "без даты"}),
            json!({"text": "без номера", "date_ms": 1}),
        ];
        compare(&mut memory, &bodies.map(|body| Bytes::from(body.to_string())), None);
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn the_newest_are_remembered() {
        let mut memory = Memory::default();
        compare(
            &mut memory,
            &(1..=2 * MOST_REMEMBERED).map(comment).collect::<Vec<_>>(),
            None,
        );
        assert_eq!(memory.seen.len(), MOST_REMEMBERED);
        assert!(memory.seen.iter().all(|one| one.at > 1000 * MOST_REMEMBERED as i64));
    }
}
