//! What a watcher of the demo sees: one line a message, with where it went and the rule that sent it there.

use std::{collections::HashSet, path::Path, time::Duration};

use priem_sdk::EventType;

use crate::{
    cli::output,
    intake::Connectors,
    journal::{decided::Decided, store::Store},
};

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Lines a second; what is more is only counted.
const LINES: usize = 6;
/// Characters of a text shown. The texts are the city's own inventions.
const EXCERPT: usize = 60;

/// Follows the journal.
pub struct Show {
    store: Store,
    connectors: Connectors,
    quiet: bool,
    since: i64,
    shown: HashSet<(i64, String, String)>,
    held: HashSet<i64>,
}

impl Show {
    /// Opens the journal of the demo.
    pub fn open(folder: &Path, connectors: Connectors, quiet: bool) -> anyhow::Result<Self> {
        let store = Store::open(&folder.join("journal"))?;
        Ok(Self {
            store,
            connectors,
            quiet,
            since: 0,
            shown: HashSet::new(),
            held: HashSet::new(),
        })
    }

    /// Shows what happens, until it is dropped.
    pub async fn follow(&mut self) -> anyhow::Result<()> {
        loop {
            self.look()?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Shows what happened since the last look.
    pub fn look(&mut self) -> anyhow::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let mut fresh = Vec::new();
        for decided in self.store.decided_since(self.since)? {
            if let Ok(at) = decided.at.parse::<jiff::Timestamp>() {
                self.since = self.since.max(at.as_microsecond());
            }
            if self
                .shown
                .insert((decided.seq, decided.event_id.clone(), decided.queue.clone()))
            {
                fresh.push(decided);
            }
        }
        for decided in fresh.iter().take(LINES) {
            output::lines(&self.line(decided)?)?;
        }
        if fresh.len() > LINES {
            output::lines(&format!("          … и ещё {}", fresh.len() - LINES))?;
        }
        for held in self.store.held()? {
            if self.held.insert(held.seq) {
                output::lines(&format!("карантин  {}: {}", held.reason, held.why))?;
            }
        }
        Ok(())
    }

    fn line(&self, decided: &Decided) -> anyhow::Result<String> {
        let text = |key: &str| {
            decided
                .routing
                .pointer(key)
                .and_then(serde_json::Value::as_str)
                .unwrap_or("—")
        };
        let why = decided.routing["explanation"]
            .as_array()
            .and_then(|lines| lines.first())
            .and_then(|l| l.as_str());
        Ok(format!(
            "{:<9} «{}»\n          → {} · {} · {}",
            decided.channel,
            self.excerpt(decided.seq)?,
            text("/recipient/organisation"),
            decided.queue,
            why.unwrap_or_default(),
        ))
    }

    fn excerpt(&self, seq: i64) -> anyhow::Result<String> {
        let Some(record) = self.store.raw(seq)? else {
            return Ok(String::new());
        };
        let messages = self
            .connectors
            .get(&record.raw.connector)
            .and_then(|c| c.normalize(&record.raw).ok());
        let Some(message) = messages.and_then(|messages| messages.into_iter().next()) else {
            return Ok(String::new());
        };
        if message.event == EventType::Deleted {
            return Ok("(удалено)".into());
        }
        let data = message.data;
        let attached = || {
            data.attachments
                .iter()
                .map(|one| one.kind.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let text = if data.body.text.is_empty() {
            format!("[{}]", attached())
        } else {
            data.body.text.clone()
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = line.chars().take(EXCERPT).collect();
        Ok(if short.len() < line.len() {
            format!("{short}…")
        } else {
            short
        })
    }
}
