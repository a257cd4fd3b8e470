//! The rules in force. Invariant: a message is decided by one set from beginning to end, whoever puts another in force
//! meanwhile.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use prometheus::IntCounter;

use priem_rules::RuleSet;

use crate::telemetry::Metrics;

/// A set of rules with its counters.
pub struct RuleSetInForce {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// How often each rule, route or deadline took part.
    hits: HashMap<String, IntCounter>,
}

impl RuleSetInForce {
    fn new(rules: Arc<RuleSet>, metrics: &Metrics) -> Self {
        let hits = rules.rule_ids().map(|id| {
            let counter = metrics.rule_hits.with_label_values(&[id]);
            (id.to_owned(), counter)
        });
        Self {
            hits: hits.collect(),
            rules,
        }
    }

    /// Counts a rule that took part. A row of a table has no counter, its table has.
    pub fn count(&self, id: &str) {
        if let Some(hits) = self.hits.get(id) {
            hits.inc();
        }
    }
}

/// The rules in force. Shared by those who decide and those who reload.
pub struct RulesInForce {
    current: ArcSwap<RuleSetInForce>,
    metrics: Metrics,
}

impl RulesInForce {
    /// Puts rules into force.
    pub fn new(rules: Arc<RuleSet>, metrics: Metrics) -> Self {
        Self {
            current: ArcSwap::from_pointee(RuleSetInForce::new(rules, &metrics)),
            metrics,
        }
    }

    /// The set that decides now. Hold it for one message.
    pub fn now(&self) -> Guard<Arc<RuleSetInForce>> {
        self.current.load()
    }

    /// Puts other rules into force, without a stop.
    pub fn replace(&self, rules: RuleSet) {
        let rules = RuleSetInForce::new(Arc::new(rules), &self.metrics);
        self.current.store(Arc::new(rules));
    }
}
