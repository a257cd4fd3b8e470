//! What `/health/ready` answers. A connector may have a thousand streams: those of one name make one line, with the
//! first few troubles by key.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

use jiff::Timestamp;
use serde::Serialize;

use super::{Source, SourceName, timestamp};

/// Troubles of one line that are told one by one; the others are counted.
const TROUBLES_TOLD: usize = 5;

/// The answer of `/health/ready`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// Whether messages can be stored.
    pub ready: bool,
    /// Conditions that keep us from being ready.
    pub not_met: Vec<Finding>,
    /// Conditions that limp.
    pub degraded: Vec<Finding>,
    /// Every connector's streams, one line for each name.
    pub sources: Vec<SourceReport>,
}

/// A condition that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub condition: String,
    /// What an operator should know.
    pub why: String,
}

/// The streams of one connector that have one name, in a [`HealthReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// Connector.
    pub connector: String,
    /// Stream.
    pub stream: &'static str,
    /// Do we hear them?
    pub state: SourceState,
    /// How many streams there are.
    pub streams: usize,
    /// How many of them are not heard.
    pub deaf: usize,
    /// What an operator should know; empty when there is nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The first troubles, by key; the others are only counted in `deaf`. Empty when `why` says it for the only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<StreamTrouble>,
    /// Last successful exchange of any of them.
    pub last_exchange: Option<Timestamp>,
    /// Last new item of any of them.
    pub last_item: Option<Timestamp>,
}

/// One stream that is not heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamTrouble {
    /// Which source inside the connector; empty when there is only one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What an operator should know.
    pub why: String,
}

/// Do we hear a source?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Yes, and there is something to hear.
    Hearing,
    /// Yes, but nobody writes.
    Quiet,
    /// A platform that calls us has not called; from here the two can't be told apart.
    Silent,
    /// Some streams yes, some no.
    PartlyDeaf,
    /// No.
    Deaf,
}

/// One line for each connector that left something alone; its streams all say the same.
pub(super) fn push_left_alone(sources: &BTreeMap<SourceName, Arc<Source>>, degraded: &mut Vec<Finding>) {
    let mut told = None;
    for (name, source) in sources {
        let Some(why) = source.left_alone.lock().clone() else {
            continue;
        };
        if told.replace(&name.connector) != Some(&name.connector) {
            degraded.push(Finding {
                condition: format!("left alone {}", name.connector),
                why,
            });
        }
    }
}

/// One line for each (connector, stream name).
pub(super) fn by_stream(sources: &BTreeMap<SourceName, Arc<Source>>, now: Timestamp) -> Vec<SourceReport> {
    let sources: Vec<_> = sources.iter().collect();
    sources
        .chunk_by(|(one, _), (other, _)| {
            (&one.connector, one.stream, one.webhook) == (&other.connector, other.stream, other.webhook)
        })
        .map(|group| line(group, now))
        .collect()
}

fn line(group: &[(&SourceName, &Arc<Source>)], now: Timestamp) -> SourceReport {
    let mut troubles = Vec::new();
    let mut calmest = SourceState::Deaf;
    let (mut deaf, mut exchange, mut item) = (0, i64::MIN, i64::MIN);
    for (name, source) in group {
        exchange = exchange.max(source.last_exchange.load(Ordering::Relaxed));
        item = item.max(source.last_item.load(Ordering::Relaxed));
        let (state, why) = source.state(now);
        calmest = calmest.min(state);
        if state == SourceState::Deaf {
            deaf += 1;
            if troubles.len() < TROUBLES_TOLD {
                troubles.push(StreamTrouble {
                    key: name.key.clone(),
                    why: why.unwrap_or_default(),
                });
            }
        }
    }
    let state = match deaf {
        0 => calmest,
        _ if deaf == group.len() => SourceState::Deaf,
        _ => SourceState::PartlyDeaf,
    };
    let why = explanation(state, group.len(), deaf, &troubles);
    if group.len() == 1 {
        troubles.clear();
    }
    let (name, _) = group[0];
    SourceReport {
        connector: name.connector.clone(),
        stream: name.stream,
        state,
        streams: group.len(),
        deaf,
        why,
        troubles,
        last_exchange: timestamp(exchange),
        last_item: timestamp(item),
    }
}

fn explanation(state: SourceState, streams: usize, deaf: usize, troubles: &[StreamTrouble]) -> String {
    match state {
        SourceState::Hearing => String::new(),
        SourceState::Quiet => "the source answers, nobody has written for an hour".into(),
        SourceState::Silent => {
            "nothing came for an hour; `priem check` asks the platform whether it has something".into()
        }
        SourceState::Deaf if streams == 1 => troubles.first().map(|only| only.why.clone()).unwrap_or_default(),
        SourceState::Deaf | SourceState::PartlyDeaf => {
            let mut text = format!("{deaf} of {streams} streams are not heard");
            for (number, trouble) in troubles.iter().enumerate() {
                let mark = if number == 0 { ':' } else { ';' };
                // Writing into a string can't fail.
                let _ = write!(text, "{mark} {}: {}", trouble.key, trouble.why);
            }
            text
        }
    }
}
