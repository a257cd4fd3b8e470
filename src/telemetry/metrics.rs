//! Every metric Priem exports, in one table. Dashboards, alerts and docs are tested against [`Metrics::names`].
//!
//! Names carry the prefix `priem_` and base units; labels are bounded (connector, stream, channel, reason, rule,
//! queue) and never a person.

use std::{collections::HashSet, sync::Arc};

use parking_lot::RwLock;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Buckets for waits and hops, seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];
/// Buckets for items in one journal commit.
const ITEMS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident $name:literal [$($label:literal),*];)+) => {
        /// All metrics of one daemon, registered in a registry of its own.
        #[derive(Debug, Clone)]
        pub struct Metrics {
            registry: Registry,
            channels: Known,
            $($(#[doc = $help])+ pub $field: metrics!(@type $kind),)+
        }

        impl Metrics {
            /// Registers every metric.
            ///
            /// # Panics
            /// When two rows of the table have one name, which a test would have seen.
            pub fn new() -> Self {
                let registry = Registry::new();
                $(
                    let help = concat!($($help),+).trim();
                    let $field: metrics!(@type $kind) = metrics!(@new $kind, $name, help, &[$($label),*]);
                    registry.register(Box::new($field.clone())).expect("metric names are unique");
                )+
                Self { registry, channels: Known::default(), $($field),+ }
            }

            /// Name, kind, labels and help of every metric, in the order of the table.
            pub fn names() -> Vec<(&'static str, &'static str, &'static [&'static str], &'static str)> {
                vec![$(($name, stringify!($kind), &[$($label),*] as &[&str], concat!($($help),+).trim())),+]
            }
        }
    };
    (@type counters) => { IntCounterVec };
    (@type counter) => { IntCounter };
    (@type gauges) => { IntGaugeVec };
    (@type gauge) => { IntGauge };
    (@type seconds) => { Histogram };
    (@type items) => { Histogram };
    (@type seconds_by) => { HistogramVec };
    (@new counters, $name:literal, $help:expr, $labels:expr) => {
        IntCounterVec::new(Opts::new($name, $help), $labels).expect("metric options are valid")
    };
    (@new counter, $name:literal, $help:expr, $labels:expr) => {
        IntCounter::new($name, $help).expect("metric options are valid")
    };
    (@new gauges, $name:literal, $help:expr, $labels:expr) => {
        IntGaugeVec::new(Opts::new($name, $help), $labels).expect("metric options are valid")
    };
    (@new gauge, $name:literal, $help:expr, $labels:expr) => {
        IntGauge::new($name, $help).expect("metric options are valid")
    };
    (@new seconds, $name:literal, $help:expr, $labels:expr) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()))
            .expect("metric options are valid")
    };
    (@new items, $name:literal, $help:expr, $labels:expr) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets(ITEMS.to_vec()))
            .expect("metric options are valid")
    };
    (@new seconds_by, $name:literal, $help:expr, $labels:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()), $labels)
            .expect("metric options are valid")
    };
}

metrics! {
    /// Items a source gave us, duplicates included
    received: counters "priem_received_items_total" ["connector", "stream"];
    /// Items that changed nothing: `seen` is the same version again, `unchanged` a new version without a change, `older` one
    /// of an earlier time than what is known
    duplicates: counters "priem_duplicate_items_total" ["connector", "kind"];
    /// Items put in quarantine, by reason
    quarantined: counters "priem_quarantined_items_total" ["connector", "reason"];
    /// Items of a kind that carries no citizen's words: stored, not published
    ignored: counters "priem_ignored_items_total" ["connector"];
    /// Removals of messages that were never published: nobody is told
    unheard_deletions: counters "priem_unheard_deletions_total" ["connector"];
    /// Webhook requests refused, by reason
    refused: counters "priem_refused_requests_total" ["connector", "reason"];
    /// Webhook requests answered, by HTTP status
    webhook_answers: counters "priem_webhook_answers_total" ["connector", "status"];
    /// Bodies of webhook requests in memory: what has come of them, and some for each request
    buffered_bytes: gauge "priem_webhook_buffered_bytes" [];
    /// Open connections to our listeners: webhooks, admin, attachments
    connections: gauges "priem_open_connections" ["listener"];
    /// Connections that lost their place to a newcomer, or found none: too_many, address_share
    connections_lost: counters "priem_lost_connections_total" ["listener", "reason"];
    /// Polls, by result: ok, or the kind of error
    polls: counters "priem_polls_total" ["connector", "stream", "result"];
    /// Times a source asked us to wait or our own limit did
    rate_limit_waits: counters "priem_rate_limit_waits_total" ["connector"];
    /// Times a platform said that it lost events
    gaps: counters "priem_gaps_total" ["connector"];
    /// What lies at a source and is never read as it is, however long one waits: folders and undecodable names in an inbox
    left_alone: gauges "priem_left_alone_entries" ["connector"];
    /// Chats and connections of which the platform says that we do not hear them any more
    unheard_chats: gauges "priem_unheard_chats" ["connector"];
    /// 1 while the connector works, 0 while every stream of it that has spoken needs a human
    connector_up: gauges "priem_connector_up" ["connector"];
    /// Streams of a connector, by state: starting, heard, trouble (it passes or not), human (it will not pass by itself)
    connector_streams: gauges "priem_connector_streams" ["connector", "stream", "state"];
    /// Last successful exchange with the source, Unix time: a poll, a call of a webhook, a renewed registration
    last_exchange: gauges "priem_last_exchange_timestamp_seconds" ["connector", "stream"];
    /// Last call of a webhook with a proof that holds, Unix time; renewing the registration does not move it
    last_call: gauges "priem_webhook_last_call_timestamp_seconds" ["connector", "stream"];
    /// Last new item, Unix time
    last_item: gauges "priem_last_item_timestamp_seconds" ["connector", "stream"];

    /// Messages the broker confirmed
    published: counters "priem_published_messages_total" ["channel", "queue"];
    /// Messages the broker returned as unroutable; they are parked
    returned: counters "priem_broker_returns_total" ["queue"];
    /// Messages a queue refused, again and again counted; they wait and are sent again
    nacked: counters "priem_broker_nacks_total" ["queue"];
    /// 1 while a queue neither takes nor refuses what was sent to it, though others take what was sent later
    queue_silent: gauges "priem_queue_silent" ["queue"];
    /// Messages that wait because their queue refuses or does not answer, or is not asked while it does
    held_back: gauges "priem_queue_held_back_messages" ["queue"];
    /// Age of the oldest of them
    held_back_oldest: gauges "priem_queue_held_back_oldest_seconds" ["queue"];
    /// 1 while connected to the broker (without one: while the NDJSON output can be written)
    broker_connected: gauge "priem_broker_connected" [];
    /// 1 while the broker blocks publishers (memory or disk alarm)
    broker_blocked: gauge "priem_broker_blocked" [];
    /// Connections made to the broker
    broker_connections: counter "priem_broker_connections_total" [];
    /// Messages sent and not yet confirmed
    unconfirmed: gauge "priem_unconfirmed_messages" [];
    /// From handing a message to the broker to its confirmation
    confirm_seconds: seconds "priem_confirm_seconds" [];
    /// Batches of messages whose senders were looked up, by result: ok, timeout, panic, or skipped after those
    enrichments: counters "priem_enrichments_total" ["connector", "result"];
    /// From storing an item to the broker's confirmation
    delivery_seconds: seconds_by "priem_delivery_seconds" ["connector"];
    /// From the citizen's act to the broker's confirmation, where the source tells the instant
    source_delay_seconds: seconds_by "priem_source_delay_seconds" ["connector"];

    /// Messages a rule or route took part in
    rule_hits: counters "priem_rule_hits_total" ["rule"];
    /// Messages whose topic is not in the classifier of their source; they go on
    unknown_topics: counters "priem_unknown_topics_total" ["connector"];
    /// Messages that only the default route caught
    default_route_hits: counter "priem_default_route_hits_total" [];
    /// Messages with a deadline or condition in working time over a year without a production calendar
    calendar_missing: counter "priem_calendar_missing_total" [];

    /// Clocks of messages that their source says are open
    deadlines_open: gauge "priem_deadlines_open" [];
    /// Of these, clocks that have run out, also those whose reminder was sent or left out
    deadlines_overdue: gauge "priem_deadlines_overdue" [];
    /// Reminders made, by kind: approaching, overdue
    deadline_events: counters "priem_deadline_events_total" ["kind"];

    /// Matters on which one text floods now: many messages within minutes; by the connector of the first
    floods: gauges "priem_duplicate_floods" ["connector"];
    /// Messages that belong to such floods, by the connector they came by
    flood_messages: counters "priem_flood_messages_total" ["connector"];
    /// Messages that repeat an earlier one on the same matter, by what they were recognised
    linked: counters "priem_linked_duplicates_total" ["channel", "reason"];

    /// Files of messages that were stored, or given up for a reason
    attachments: counters "priem_attachments_total" ["connector", "result"];
    /// Attempts to fetch a file that are made again later, by reason
    attachment_retries: counters "priem_attachment_retries_total" ["connector", "reason"];
    /// Files waiting to be fetched
    attachments_waiting: gauge "priem_attachments_waiting" [];
    /// Size of all stored files
    attachments_bytes: gauge "priem_attachments_bytes" [];
    /// Size at which no more files are fetched; 0 when none are kept
    attachments_limit_bytes: gauge "priem_attachments_limit_bytes" [];

    /// Items stored and not yet settled
    pending: gauge "priem_pending_items" [];
    /// Age of the oldest item not yet settled
    oldest_pending_seconds: gauge "priem_oldest_pending_age_seconds" [];
    /// Items in quarantine now, by reason
    quarantine: gauges "priem_quarantine_items" ["reason"];
    /// Items parked now: no queue took them, or theirs refused them for too long
    parked: gauge "priem_parked_items" [];
    /// Size of the journal on disk, its write-ahead log included
    journal_bytes: gauge "priem_journal_bytes" [];
    /// Size at which the journal refuses new items
    journal_limit_bytes: gauge "priem_journal_limit_bytes" [];
    /// Free space on the journal's disk
    journal_free_bytes: gauge "priem_journal_disk_free_bytes" [];
    /// 1 while the journal takes new items
    journal_writable: gauge "priem_journal_writable" [];
    /// Size of the journal's write-ahead log, in journal_bytes too; it only grows while somebody reads for long
    journal_log_bytes: gauge "priem_journal_log_bytes" [];
    /// Losses found when the journal was opened that nobody has acknowledged
    journal_losses: gauge "priem_journal_losses" [];
    /// How far the clock of this computer is ahead of (negative: behind) what the journal takes for the time, while it is doubted; 0 otherwise
    clock_doubt: gauge "priem_clock_doubt_seconds" [];
    /// Failed commits of the journal
    journal_errors: counter "priem_journal_errors_total" [];
    /// What the journal's writer was asked for and could not do, for a reason of its own; the log says what it was
    journal_jobs_failed: counter "priem_journal_jobs_failed_total" [];
    /// Duration of a journal commit, fsync included
    commit_seconds: seconds "priem_journal_commit_seconds" [];
    /// Items in one journal commit
    commit_items: items "priem_journal_commit_items" [];
    /// Bytes of the journal by what takes them, about: `items`, `decisions`, `duplicates`, `identities` (they give way in
    /// this order), `deadlines`, `waiting` (never)
    journal_class_bytes: gauges "priem_journal_class_bytes" ["class"];
    /// Bytes of the journal that never give way: what waits, deadlines, identities
    journal_fixed_bytes: gauge "priem_journal_fixed_bytes" [];
    /// Rows given up before their time to make room, by what they are: `items` (published raw items), `decisions`,
    /// `duplicates` (what repetitions are recognised by), `identities` (old ones)
    journal_evicted: counters "priem_journal_evicted_items_total" ["class"];

    /// Log lines that could not be written and were let go
    log_lost: counter "priem_log_lost_total" [];
    /// Always 1; the labels say what runs
    info: gauges "priem_info" ["version", "config_hash", "rules_version"];
    /// Reloads of the rules, by result: applied, unchanged, refused
    rules_reloads: counters "priem_rules_reloads_total" ["result"];
    /// 1 when the last reload of the rules was well, 0 when the rules in the folder were refused
    rules_reload_ok: gauge "priem_rules_last_reload_successful" [];
    /// When the rules in force were put into force, Unix time
    rules_loaded: gauge "priem_rules_loaded_timestamp_seconds" [];
    /// Ends of tasks that nobody asked for, by task; each is followed by a restart of the task or of the process
    task_restarts: counters "priem_task_restarts_total" ["task"];
    /// Start of the daemon, Unix time
    started: gauge "priem_start_timestamp_seconds" [];
}

/// Names of channels with series of their own; real installations have a dozen.
const MOST_CHANNELS: usize = 64;

/// Values of a label that come with records: the first so many, so that no source can fill the memory with series.
#[derive(Debug, Clone, Default)]
struct Known(Arc<RwLock<HashSet<Box<str>>>>);

impl Known {
    fn label<'a>(&self, name: &'a str) -> &'a str {
        if self.0.read().contains(name) {
            return name;
        }
        let mut known = self.0.write();
        if known.len() < MOST_CHANNELS || known.contains(name) {
            known.insert(name.into());
            return name;
        }
        "other"
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The value of a label `channel`: a channel's name may come from a record, so that it is `other` after the first 64.
    pub fn channel<'a>(&self, name: &'a str) -> &'a str {
        self.channels.label(name)
    }

    /// Prometheus text format.
    pub fn render(&self) -> String {
        self.log_lost.inc_by(super::stderr::take_lost());
        let mut out = Vec::new();
        // Writing text into memory can't fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_ever_new_channels_makes_no_series_without_end() {
        let metrics = Metrics::new();
        assert_eq!(metrics.channel("telegram"), "telegram");
        for number in 0..1000 {
            let name = format!("channel {number}");
            let label = metrics.channel(&name);
            metrics.published.with_label_values(&[label, "queue"]).inc();
        }
        assert_eq!(metrics.channel("telegram"), "telegram", "who is known stays known");
        let shown = metrics.render();
        let series = shown
            .lines()
            .filter(|line| line.starts_with("priem_published_messages_total{"));
        assert_eq!(series.count(), MOST_CHANNELS);
        assert_eq!(
            metrics.published.with_label_values(&["other", "queue"]).get(),
            1000 - (64 - 1)
        );
    }

    #[test]
    fn every_name_has_the_prefix_and_a_help_text() {
        for (name, _, _, help) in Metrics::names() {
            assert!(name.starts_with("priem_") && !help.is_empty(), "{name}");
        }
        assert!(Metrics::new().render().contains("priem_broker_connected 0"));
    }
}
