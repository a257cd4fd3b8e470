//! Access tokens: whose they are, what they may do, and how fast they are used.
//!
//! Calls are counted in real time, however fast the simulated clock runs: a daemon that paces its calls does so in
//! real time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Window in which calls are counted: somewhat less than the second of the platform, because the network may push two
/// calls together that were sent apart.
const WINDOW: Duration = Duration::from_millis(900);

/// Who a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenKind {
    /// A community.
    Community(i64),
    /// An application (service key).
    Service,
    /// A person.
    User(i64),
}

impl TokenKind {
    /// Calls a second the platform takes.
    pub fn calls_a_second(self) -> usize {
        match self {
            Self::Community(_) => 20,
            Self::Service | Self::User(_) => 3,
        }
    }

    /// Name as in the platform's own schemas.
    pub fn name(self) -> &'static str {
        match self {
            Self::Community(_) => "group",
            Self::Service => "service",
            Self::User(_) => "user",
        }
    }
}

/// A token and its history.
#[derive(Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    /// Names of rights of a community token.
    pub rights: BTreeSet<&'static str>,
    /// Error every call gets: 5 for a revoked token.
    pub refused_with: Option<i64>,
    recent: VecDeque<Instant>,
    /// Calls by method, those inside `execute` included.
    pub calls: BTreeMap<String, u64>,
    /// Requests, where an `execute` counts once.
    pub requests: u64,
    pub most_in_a_second: usize,
    pub times_too_fast: u64,
    /// Methods the platform told to leave alone, with the simulated second until when.
    pub told_to_wait: BTreeMap<String, f64>,
}

impl Token {
    pub fn new(kind: TokenKind) -> Self {
        let rights = match kind {
            TokenKind::Community(_) => ["manage", "messages", "photos", "wall"].into(),
            _ => BTreeSet::new(),
        };
        Self {
            kind,
            rights,
            refused_with: None,
            recent: VecDeque::new(),
            calls: BTreeMap::new(),
            requests: 0,
            most_in_a_second: 0,
            times_too_fast: 0,
            told_to_wait: BTreeMap::new(),
        }
    }

    /// Counts a request. False when it comes too fast: error 6.
    pub fn count(&mut self) -> bool {
        let now = Instant::now();
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.requests += 1;
        self.most_in_a_second = self.most_in_a_second.max(self.recent.len());
        let in_time = self.recent.len() <= self.kind.calls_a_second();
        if !in_time {
            self.times_too_fast += 1;
        }
        in_time
    }
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// Whose it is.
    pub kind: TokenKind,
    /// Requests, where an `execute` counts once.
    pub requests: u64,
    /// Calls by method, those inside `execute` included.
    pub calls: BTreeMap<String, u64>,
    /// Most requests seen within a second.
    pub most_in_a_second: usize,
    /// Requests refused with error 6.
    pub times_too_fast: u64,
}
