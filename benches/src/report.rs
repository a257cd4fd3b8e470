//! What was measured, what it should be, and what bounds it.

use serde::Serialize;

/// The figures, under the names they have in JSON. `None`: not measured in this run.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Plain publisher, messages a second.
    pub ceiling_msgs_per_s: Option<f64>,
    /// Draining, share of the ceiling.
    pub drain_ratio: Option<f64>,
    /// Webhook to broker, share of the ceiling.
    pub webhook_ratio: Option<f64>,
    /// p99 of an answer by p99 of a bare commit.
    pub webhook_p99_ratio: Option<f64>,
    /// Accepting without a broker, share of bare axum.
    pub outage_accept_ratio: Option<f64>,
    /// Rows of a workbook stored in a second.
    pub import_xlsx_rows_per_s: Option<f64>,
    /// Rows of a text file stored in a second.
    pub import_csv_rows_per_s: Option<f64>,
    /// Peak memory of an import, megabytes.
    pub import_peak_mb: Option<f64>,
    /// Memory of an idle daemon, megabytes.
    pub idle_mb: Option<f64>,
    /// From the start of the process to readiness, milliseconds.
    pub start_ms: Option<f64>,
    /// The same with a million items pending.
    pub start_million_ms: Option<f64>,
}

/// What a figure is held to.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::AtLeast(limit) => format!("≥ {limit}"),
            Self::AtMost(limit) => format!("≤ {limit}"),
            Self::None => "–".into(),
        }
    }

    fn verdict(self, value: Option<f64>) -> &'static str {
        let Some(value) = value else { return "not measured" };
        let holds = match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
            Self::None => return "",
        };
        if holds { "holds" } else { "MISSED" }
    }
}

impl Figures {
    /// Rounds everything to three digits after the point.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        for figure in [
            &mut self.ceiling_msgs_per_s,
            &mut self.drain_ratio,
            &mut self.webhook_ratio,
            &mut self.webhook_p99_ratio,
            &mut self.outage_accept_ratio,
            &mut self.import_xlsx_rows_per_s,
            &mut self.import_csv_rows_per_s,
            &mut self.import_peak_mb,
            &mut self.idle_mb,
            &mut self.start_ms,
            &mut self.start_million_ms,
        ] {
            *figure = figure.map(|value| (value * 1000.0).round() / 1000.0);
        }
        self
    }

    /// The table for people: figure, target, verdict, what bounds it.
    pub fn print(&self) {
        let rows = [
            (
                "ceiling, messages/s",
                self.ceiling_msgs_per_s,
                Target::None,
                "broker and lapin",
            ),
            (
                "drain / ceiling",
                self.drain_ratio,
                Target::AtLeast(0.75),
                "cores shared with the broker",
            ),
            (
                "webhook / ceiling",
                self.webhook_ratio,
                Target::AtLeast(0.55),
                "cores shared with broker and sender",
            ),
            (
                "webhook p99 / commit p99",
                self.webhook_p99_ratio,
                Target::AtMost(3.0),
                "cores shared with the broker",
            ),
            (
                "outage / bare axum",
                self.outage_accept_ratio,
                Target::AtLeast(0.35),
                "SQLite's writer thread",
            ),
            (
                "import XLSX, rows/s",
                self.import_xlsx_rows_per_s,
                Target::None,
                "unpacking and reading XML",
            ),
            (
                "import CSV, rows/s",
                self.import_csv_rows_per_s,
                Target::None,
                "SQLite's writer thread",
            ),
            (
                "import peak, MB",
                self.import_peak_mb,
                Target::AtMost(150.0),
                "rows on their way, page caches",
            ),
            (
                "idle, MB",
                self.idle_mb,
                Target::AtMost(40.0),
                "code, rules, page caches",
            ),
            (
                "start, ms",
                self.start_ms,
                Target::AtMost(500.0),
                "rules, TLS roots, a new journal",
            ),
            (
                "start with a million, ms",
                self.start_million_ms,
                Target::AtMost(2000.0),
                "counting pending items",
            ),
        ];
        println!(
            "{:<26} {:>10} {:>8}  {:<13} bound by",
            "figure", "measured", "target", ""
        );
        for (name, value, target, bound) in rows {
            let measured = value.map_or("–".into(), |value| match value {
                large if large >= 1000.0 => format!("{large:.0}"),
                medium if medium >= 10.0 => format!("{medium:.1}"),
                small => format!("{small:.2}"),
            });
            println!(
                "{name:<26} {measured:>10} {:>8}  {:<13} {bound}",
                target.text(),
                target.verdict(value)
            );
        }
    }
}

/// The middle value; of an even number of values the upper one of the two in the middle.
///
/// # Panics
/// When there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
