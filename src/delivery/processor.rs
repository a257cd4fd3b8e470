//! What the stages work with.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    follower::Follower,
    in_force::RulesInForce,
    in_hand::ItemInHand,
    parcel::{Parcel, Processed},
    stages::{self, enrich::Lanes},
};
use crate::{
    attachments,
    deadlines::Watch,
    duplicates::{Choice, Linker},
    intake::Connectors,
    journal::{Journal, Record},
    privacy,
    telemetry::Metrics,
};
use priem_rules::RuleSet;

/// The tools of the stages: turns stored items into outgoing messages. Cheap to clone.
#[derive(Clone)]
pub struct Processor {
    pub(super) connectors: Arc<Connectors>,
    pub(super) rules: Arc<RulesInForce>,
    pub(super) metrics: Metrics,
    /// Where senders are looked up; absent for an item that is taken alone.
    pub(super) lanes: Option<Lanes>,
    /// Absent when duplicates are not looked for.
    pub(super) linker: Option<Linker>,
    /// Where others went that a message follows; absent for an item that is taken alone.
    pub(super) follower: Option<Follower>,
    /// Which of several messages on one matter goes where the rules say.
    pub(super) duplicates: Choice,
    /// Which attachments get a reference into the store, when there is one.
    pub(super) attachments: Option<attachments::Policy>,
    /// Which clocks are watched.
    pub(super) deadlines: Watch,
    /// What of personal data goes out.
    pub(super) privacy: Arc<privacy::Policy>,
    /// Where it is noted which item is in hand; absent for an item that is taken alone.
    pub(super) in_hand: Option<Arc<ItemInHand>>,
}

impl Processor {
    /// A processor for connectors and rules that stay.
    pub fn new(connectors: Arc<Connectors>, rules: Arc<RuleSet>, metrics: Metrics) -> Self {
        let rules = RulesInForce::new(rules, metrics.clone());
        Self::following(connectors, Arc::new(rules), metrics)
    }

    /// A processor that decides each message by the rules in force then.
    pub fn following(connectors: Arc<Connectors>, rules: Arc<RulesInForce>, metrics: Metrics) -> Self {
        // From zero on, so that the first one is an increase.
        for connector in connectors.keys() {
            metrics.unknown_topics.with_label_values(&[connector.as_str()]);
            metrics.unheard_deletions.with_label_values(&[connector.as_str()]);
        }
        Self {
            connectors,
            lanes: None,
            linker: None,
            follower: None,
            attachments: None,
            privacy: Arc::default(),
            duplicates: Choice::default(),
            deadlines: Watch::default(),
            in_hand: None,
            rules,
            metrics,
        }
    }

    /// The same, linking what came by several ways.
    #[must_use]
    pub fn with_linker(mut self, linker: Option<Linker>) -> Self {
        self.linker = linker;
        self
    }

    /// The same, with references into an attachment store.
    #[must_use]
    pub fn with_attachments(mut self, policy: Option<attachments::Policy>) -> Self {
        self.attachments = policy;
        self
    }

    /// The same, with a policy of personal data other than the built-in one.
    #[must_use]
    pub fn with_privacy(mut self, policy: Arc<privacy::Policy>) -> Self {
        self.privacy = policy;
        self
    }

    /// The same, with another choice between duplicates than sending them all.
    #[must_use]
    pub fn with_duplicates(mut self, choice: Choice) -> Self {
        self.duplicates = choice;
        self
    }

    /// The same, with other moments to tell of deadlines than the built-in ones.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Watch) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// The same, sending what follows something where that went, as the journal knows it.
    #[must_use]
    pub(super) fn following_what(mut self, journal: Journal) -> Self {
        self.follower = Some(Follower::new(journal));
        self
    }

    /// The same, looking senders up.
    #[must_use]
    pub(super) fn with_lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// The same, with a note in the journal's folder of the item in hand: one the process dies over twice is put aside.
    #[must_use]
    pub fn noting_in(mut self, journal: &Path) -> Self {
        self.in_hand = Some(Arc::new(ItemInHand::open(journal)));
        self
    }

    /// How much longer nothing is to be taken in hand, after a death over an item.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.in_hand.as_ref()?.patience()
    }

    /// Nothing is in hand: before waiting for somebody.
    pub(super) fn put_down(&self) {
        if let Some(in_hand) = &self.in_hand {
            in_hand.clear();
        }
    }

    /// Where things are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Decides what to do with an item at a moment, without asking anybody: nothing is looked up or linked.
    pub fn process(&self, record: &Record, now: Timestamp) -> Processed {
        let mut parcel = Parcel::new(Arc::new(record.clone()));
        stages::alone(self, &mut parcel, now);
        parcel.done().1
    }

    pub(super) fn count_quarantined(&self, record: &Record, reason: &str) {
        let connector = record.raw.connector.as_str();
        self.metrics.quarantined.with_label_values(&[connector, reason]).inc();
    }
}
