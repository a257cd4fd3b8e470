//! What citizens did, so that it can be compared with what came out.

/// Something the client must hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The group it happened in.
    pub group: String,
    /// Where.
    pub place: Place,
    /// What happened.
    pub act: Act,
    /// The words, as they stand after it.
    pub text: String,
}

/// An object of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A private message by its `mid`.
    Message {
        /// `mid:…`.
        mid: String,
    },
    /// A comment.
    Comment {
        /// `GROUP_TOPIC`, `GROUP_PHOTO`.
        kind: String,
        /// The discussion.
        discussion: String,
        /// The comment.
        id: String,
    },
    /// A topic.
    Topic {
        /// Its id.
        id: String,
    },
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// A citizen wrote it.
    Wrote,
    /// Its author changed it.
    Changed,
    /// It was removed.
    Removed,
}
