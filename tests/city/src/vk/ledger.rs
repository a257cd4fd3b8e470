//! What was written, edited and deleted in the simulated network, for comparison with what a daemon published.

use std::collections::{BTreeMap, HashMap};

/// Where something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A dialog with the community, or a chat it is in.
    Dialog {
        /// The other side: a user, or 2 000 000 000 + number of the chat.
        peer: i64,
    },
    /// A post on the wall.
    Wall,
    /// A post a citizen proposed; the community has not published it.
    Suggestion,
    /// A comment under a post.
    WallComment {
        /// The post.
        post: i64,
        /// The comment this is an answer to, for a thread.
        thread: Option<i64>,
    },
    /// A discussion of the community; its id is the id of the topic.
    Topic,
    /// A post in a discussion.
    Board {
        /// The discussion.
        topic: i64,
    },
    /// A photo of the community.
    Photo,
    /// A comment under a photo.
    PhotoComment {
        /// The photo.
        photo: i64,
    },
    /// A video of the community.
    Video,
    /// A comment under a video.
    VideoComment {
        /// The video.
        video: i64,
    },
    /// A product of the community.
    Product,
    /// A comment under a product.
    MarketComment {
        /// The product.
        item: i64,
    },
}

/// Names one thing that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Written {
    /// The community where.
    pub group: i64,
    /// Where in it.
    pub place: Place,
    /// Number in that place; for dialogs the `conversation_message_id`.
    pub id: i64,
}

/// One thing that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What and where.
    pub written: Written,
    /// Author; negative for a community.
    pub author: i64,
    /// Present words.
    pub text: String,
    /// Words before each edit, oldest first.
    pub former: Vec<String>,
    /// Simulated Unix second.
    pub at: i64,
    /// Simulated Unix second of the deletion; none when it is there (or there again).
    pub deleted_at: Option<i64>,
    /// Kinds of events made of it that were put into the long poll history or handed to a callback server.
    pub announced: Vec<&'static str>,
}

impl Entry {
    /// Whether a citizen wrote it, not the community whose place it is.
    pub fn is_by_citizen(&self) -> bool {
        self.author != -self.written.group
    }
}

/// All entries, in order of writing.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    index: HashMap<Written, usize>,
}

impl Ledger {
    pub fn add(&mut self, written: Written, author: i64, text: &str, at: i64) {
        self.index.insert(written, self.entries.len());
        self.entries.push(Entry {
            written,
            author,
            text: text.to_owned(),
            former: Vec::new(),
            at,
            deleted_at: None,
            announced: Vec::new(),
        });
    }

    pub fn change(&mut self, written: &Written, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.index.get(written).and_then(|index| self.entries.get_mut(*index)) {
            change(entry);
        }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many things of each kind of place there are.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.written.place.name()).or_default() += 1;
        }
        counts
    }
}

impl Place {
    /// A short name of the kind of place.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dialog { .. } => "dialog",
            Self::Wall => "wall",
            Self::Suggestion => "suggestion",
            Self::WallComment { .. } => "wall_comment",
            Self::Topic => "topic",
            Self::Board { .. } => "board",
            Self::Photo => "photo",
            Self::PhotoComment { .. } => "photo_comment",
            Self::Video => "video",
            Self::VideoComment { .. } => "video_comment",
            Self::Product => "product",
            Self::MarketComment { .. } => "market_comment",
        }
    }
}
