//! The arithmetic of the demo, from the journal and the counters: what the city sent must be somewhere.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::{cli::output, journal::store::Store, telemetry::Metrics};

/// Items, by where they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Given to Priem by the city: updates handed out or delivered (repetitions count), rows in files.
    pub sent: u64,
    /// Stored by Priem.
    pub stored: u64,
    /// Recognised as known already.
    pub duplicates: u64,
    /// Confirmed by the broker (or written to the file).
    pub published: u64,
    /// No queue took them.
    pub parked: u64,
    /// Not understood.
    pub quarantined: u64,
    /// Published, by channel.
    pub by_channel: BTreeMap<String, u64>,
    /// Published, by recipient.
    pub by_recipient: BTreeMap<String, u64>,
}

impl Summary {
    /// Reads the end of a demo from its folder.
    pub fn read(folder: &Path, metrics: &Metrics, sent: u64) -> anyhow::Result<Self> {
        let store = Store::open(&folder.join("journal"))?;
        let stats = store.stats()?;
        let mut summary = Self {
            sent,
            stored: u64::try_from(stats.raw_items)?,
            duplicates: sum(metrics, "priem_duplicate_items_total"),
            parked: u64::try_from(stats.now.parked)?,
            quarantined: u64::try_from(stats.now.quarantined.iter().map(|(_, count)| count).sum::<i64>())?,
            ..Self::default()
        };
        let mut counted = std::collections::HashSet::new();
        for decided in store.decided_since(0)? {
            let copy = decided
                .routing
                .get("copy")
                .and_then(serde_json::Value::as_bool)
                .unwrap_or(false);
            if decided.outcome != "published" || copy || !counted.insert(decided.seq) {
                continue;
            }
            let recipient = decided
                .routing
                .pointer("/recipient/organisation")
                .and_then(serde_json::Value::as_str);
            summary.published += 1;
            *summary.by_channel.entry(decided.channel).or_default() += 1;
            *summary
                .by_recipient
                .entry(recipient.unwrap_or("—").to_owned())
                .or_default() += 1;
        }
        Ok(summary)
    }

    /// Whether everything sent is accounted for.
    pub fn holds(&self) -> bool {
        self.sent == self.published + self.parked + self.quarantined + self.duplicates
    }

    /// For people.
    pub fn render(&self) -> String {
        let rows = |counts: &BTreeMap<String, u64>| {
            let mut rows: Vec<_> = counts.iter().collect();
            rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            rows.into_iter()
                .map(|(name, count)| vec![name.clone(), count.to_string()])
                .collect::<Vec<_>>()
        };
        format!(
            "\n{}\n\n{}\n\nsent {} = published {} + parked {} + quarantined {} + duplicates {}   {}\nstored {}, each before it was acknowledged",
            output::table(&["КАНАЛ", "ОТПРАВЛЕНО"], &rows(&self.by_channel)),
            output::table(&["ПОЛУЧАТЕЛЬ", "СООБЩЕНИЙ"], &rows(&self.by_recipient)),
            self.sent,
            self.published,
            self.parked,
            self.quarantined,
            self.duplicates,
            if self.holds() {
                "✓ nothing lost"
            } else {
                "✗ THE SUM DOES NOT HOLD"
            },
            self.stored,
        )
    }
}

/// Sum of a counter over all its labels.
pub fn sum(metrics: &Metrics, name: &str) -> u64 {
    metrics
        .render()
        .lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}
