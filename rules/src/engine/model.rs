//! A compiled rule set: what the files say, references resolved, inheritance done.

use std::path::PathBuf;
use std::sync::Arc;

use priem_message::{DeadlineBasis, DeadlineStage, Recipient};

use crate::clock::deadline::Term;
use crate::engine::condition::Condition;
use crate::engine::index::Index;

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) file: Arc<PathBuf>,
    pub(crate) line: u32,
}

/// What every rule and route has.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Stable, unique in the set.
    pub(crate) id: String,
    /// Russian name for people.
    pub(crate) name: String,
    pub(crate) origin: Origin,
    /// `None` always holds.
    pub(crate) when: Option<Condition>,
}

/// An entry of `classify`.
#[derive(Debug)]
pub(crate) struct ClassifyRule {
    pub(crate) head: Head,
    pub(crate) set: Effects,
}

/// What an entry of `classify` contributes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Effects {
    pub(crate) sector: Option<String>,
    pub(crate) topic: Vec<String>,
    pub(crate) territory: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) flags: Vec<String>,
    pub(crate) priority: Option<u8>,
    pub(crate) review: Option<bool>,
    pub(crate) hint: Option<String>,
    /// What few entries have.
    pub(crate) handling: Option<Box<Handling>>,
    /// Later entries are not looked at.
    pub(crate) stop: bool,
}

/// What an entry of `classify` says about the way of the message, over what its route says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Handling {
    pub(crate) recipient: Option<Recipient>,
    pub(crate) queue: Option<String>,
    /// Besides the copies of the route.
    pub(crate) also: Vec<Copy>,
    pub(crate) deadline_policy: Option<String>,
    pub(crate) personal_data: Option<String>,
}

/// A node of the `route` tree.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) head: Head,
    /// Own settings over those of the parents.
    pub(crate) target: Target,
    pub(crate) children: Vec<Route>,
    /// Over `children`.
    pub(crate) index: Index,
    /// The table whose row it is; a table has no condition of its own.
    pub(crate) table: Option<Arc<Head>>,
}

/// Where a route sends.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Target {
    pub(crate) recipient: Recipient,
    pub(crate) queue: String,
    pub(crate) priority: Option<u8>,
    pub(crate) review: Option<bool>,
    /// Of the node and its parents.
    pub(crate) tags: Vec<String>,
    /// Copies of the node and its parents.
    pub(crate) also: Vec<Copy>,
    pub(crate) deadline_policy: Option<String>,
    pub(crate) personal_data: Option<String>,
}

/// A copy for information.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Copy {
    pub(crate) recipient: Recipient,
    pub(crate) queue: String,
}

/// An entry of `deadlines`.
#[derive(Debug)]
pub(crate) struct DeadlineRule {
    pub(crate) head: Head,
    pub(crate) stage: DeadlineStage,
    pub(crate) term: Term,
    pub(crate) basis: DeadlineBasis,
}

/// Names of the sectors, in the order of the files: (id, Russian name). Empty when no file declares any.
pub(crate) type Sectors = Vec<(String, String)>;

/// Calls `visit` with the route and all below it.
pub(crate) fn collect_routes<'r>(route: &'r Route, visit: &mut dyn FnMut(&'r Route)) {
    visit(route);
    for child in &route.children {
        collect_routes(child, visit);
    }
}

/// Heads of all routes, of a table instead of its rows.
pub(crate) fn collect_heads<'r>(route: &'r Route, visit: &mut dyn FnMut(&'r Head)) {
    visit(&route.head);
    let mut last: Option<&str> = None;
    for child in &route.children {
        match &child.table {
            Some(table) if last == Some(&table.id) => {}
            Some(table) => {
                visit(table);
                last = Some(&table.id);
            }
            None => collect_heads(child, visit),
        }
    }
}

/// The table of a row by its id; the id itself when it is none of a row. Other ids have no colon.
pub(crate) fn table_or_self(id: &str) -> &str {
    id.split_once(':').map_or(id, |(table, _)| table)
}

/// Adds what is not there yet, keeping the order.
pub(crate) fn add_new<T: PartialEq>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}
