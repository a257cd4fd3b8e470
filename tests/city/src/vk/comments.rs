//! Comments under one thing (a post, a topic, a photo, a video): kept in order, paged as the methods page them.

use serde_json::{Map, Value, json};

/// One comment.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub id: i64,
    pub from_id: i64,
    pub date: i64,
    pub text: String,
    /// Fields beside those of the platform's minimum: attachments and the like.
    pub extra: Map<String, Value>,
    /// The comment of the top level this one belongs to.
    pub thread: Option<i64>,
    pub reply_to_user: Option<i64>,
    pub reply_to_comment: Option<i64>,
    pub deleted: bool,
}

/// A list of comments, by id ascending.
#[derive(Debug, Default)]
pub(super) struct Comments(Vec<Comment>);

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub start_comment_id: Option<i64>,
    pub offset: i64,
    pub count: usize,
    pub descending: bool,
    /// Answers to this comment instead of the top level.
    pub comment_id: Option<i64>,
}

/// A page, with its place in the whole.
pub(super) struct Page<'a> {
    pub items: Vec<&'a Comment>,
    pub current_level_count: usize,
    /// Where the page begins; only told when asked by `start_comment_id`.
    pub real_offset: Option<usize>,
}

impl Comments {
    pub fn push(&mut self, comment: Comment) {
        self.0.push(comment);
    }

    pub fn find(&self, id: i64) -> Option<&Comment> {
        self.0.iter().find(|comment| comment.id == id)
    }

    pub fn find_mut(&mut self, id: i64) -> Option<&mut Comment> {
        self.0.iter_mut().find(|comment| comment.id == id)
    }

    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Comment> {
        self.0.iter().filter(|comment| !comment.deleted)
    }

    /// All that count: deleted ones do not.
    pub fn count(&self) -> usize {
        self.all().count()
    }

    fn answers(&self, to: i64) -> Vec<&Comment> {
        self.all().filter(|comment| comment.thread == Some(to)).collect()
    }

    /// A deleted comment is still shown where answers hang on it.
    fn is_shown(&self, comment: &Comment) -> bool {
        !comment.deleted || !self.answers(comment.id).is_empty()
    }

    pub fn page(&self, window: &Window) -> Page<'_> {
        let mut level: Vec<&Comment> = self
            .0
            .iter()
            .filter(|comment| comment.thread == window.comment_id && self.is_shown(comment))
            .collect();
        if window.descending {
            level.reverse();
        }
        let start = window.start_comment_id.map(|id| {
            let is_before = |comment: &&Comment| {
                if window.descending {
                    comment.id > id
                } else {
                    comment.id < id
                }
            };
            level.iter().take_while(|comment| is_before(comment)).count()
        });
        let begin = start.unwrap_or(0) as i64 + window.offset;
        let begin = usize::try_from(begin).unwrap_or(0).min(level.len());
        let current_level_count = level.len();
        let items = level.into_iter().skip(begin).take(window.count).collect();
        Page {
            items,
            current_level_count,
            real_offset: start.map(|_| begin),
        }
    }

    /// A comment as the methods show it. `answers`: in threads, how many answers come with one of the top level.
    pub fn shown(&self, comment: &Comment, of: &Map<String, Value>, answers: Option<usize>) -> Value {
        let mut shown = comment.minimum();
        if comment.deleted {
            shown.insert("text".into(), "".into());
            shown.insert("deleted".into(), true.into());
        } else {
            shown.extend(comment.extra.clone());
        }
        shown.extend(of.clone());
        let Some(answers) = answers else {
            return Value::Object(shown);
        };
        let stack: Vec<i64> = comment.thread.into_iter().collect();
        shown.insert("parents_stack".into(), stack.into());
        if comment.thread.is_none() {
            let all = self.answers(comment.id);
            let first = all.iter().take(answers);
            let items: Vec<Value> = first.map(|answer| self.shown(answer, of, Some(0))).collect();
            let thread = json!({"count": all.len(), "items": items, "can_post": true, "show_reply_button": true});
            shown.insert("thread".into(), thread);
        }
        Value::Object(shown)
    }

    /// Everybody who wrote here.
    pub fn authors(page: &[&Comment]) -> Vec<i64> {
        page.iter().map(|comment| comment.from_id).collect()
    }
}

impl Comment {
    /// What every comment has, in events and in answers.
    pub fn minimum(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("id".into(), self.id.into());
        fields.insert("from_id".into(), self.from_id.into());
        fields.insert("date".into(), self.date.into());
        fields.insert("text".into(), self.text.as_str().into());
        if let Some(user) = self.reply_to_user {
            fields.insert("reply_to_user".into(), user.into());
        }
        if let Some(comment) = self.reply_to_comment {
            fields.insert("reply_to_comment".into(), comment.into());
        }
        fields
    }
}
