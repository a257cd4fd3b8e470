//! From a stored item to what goes out: normalise, route, encode. No I/O; a panic in a connector only quarantines.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jiff::Timestamp;
use priem_sdk::{
    Connector, Message, NormalizeError,
    contract::ConnectorId,
    message::{Routing, personal},
};

use crate::{
    journal::{DecisionRecord, End, Record},
    publish::Outgoing,
    routing::RuleSet,
    telemetry::Metrics,
};

/// Connectors by their configured names.
pub type Connectors = HashMap<ConnectorId, Arc<dyn Connector>>;

/// What is to be done with an item.
pub enum Processed {
    /// Publish these; when all are settled, record the decisions (same order: one decision for each message).
    Publish {
        /// Encoded messages; their `token` is still 0.
        messages: Vec<Outgoing>,
        /// What was decided about each; outcome `published` until the broker says otherwise.
        decisions: Vec<DecisionRecord>,
        /// When it happened at the source, for the delay.
        occurred: Option<Timestamp>,
    },
    /// Nothing to publish: record this end.
    End(End),
}

/// Turns stored items into outgoing messages.
pub struct Processor {
    /// Every configured connector.
    pub connectors: Arc<Connectors>,
    /// The rules in force.
    pub rules: Arc<RuleSet>,
    /// Where hits are counted.
    pub metrics: Metrics,
}

impl Processor {
    /// Decides what to do with an item at a moment.
    pub fn process(&self, record: &Record, now: Timestamp) -> Processed {
        self.process_normalized(record, self.normalize(record), now)
    }

    /// The same for an item that is normalised already.
    pub fn process_normalized(
        &self,
        record: &Record,
        said: Result<Vec<Message>, NormalizeError>,
        now: Timestamp,
    ) -> Processed {
        let connector = record.raw.connector.as_str();
        match said {
            Err(error) => {
                self.metrics
                    .quarantined
                    .with_label_values(&[connector, error.reason])
                    .inc();
                Processed::End(End::Quarantined {
                    reason: error.reason.to_owned(),
                    why: error.why,
                })
            }
            Ok(messages) if messages.is_empty() => {
                self.metrics.ignored.with_label_values(&[connector]).inc();
                Processed::End(End::Delivered {
                    decisions: vec![ignored(record)],
                    parked: None,
                })
            }
            Ok(messages) => self.route(record, messages, now),
        }
    }

    /// The messages of an item, or why there are none.
    ///
    /// # Errors
    /// The item goes to quarantine.
    pub fn normalize(&self, record: &Record) -> Result<Vec<Message>, NormalizeError> {
        normalize(&self.connectors, record)
    }

    fn route(&self, record: &Record, messages: Vec<Message>, now: Timestamp) -> Processed {
        let order_key = order_key(record);
        let occurred = messages[0]
            .data
            .times
            .occurred
            .as_ref()
            .and_then(priem_sdk::message::Moment::instant);
        let mut outgoing = Vec::with_capacity(messages.len());
        let mut decisions = Vec::with_capacity(messages.len());
        for mut message in messages {
            let decision = self.rules.decide(&mut message, now);
            self.count(&decision.routes, decision.default_route);
            personal::mask_for_queue(&mut message);
            for routing in decision.routes {
                decisions.push(decided(&message, &routing));
                match encode(&mut message, routing, order_key) {
                    Ok(encoded) => outgoing.push(encoded),
                    Err(error) => {
                        // Only a number that JSON can't hold gets here.
                        let why = format!("the message can't be written as JSON: {error}");
                        return Processed::End(End::Quarantined {
                            reason: "not_encodable".into(),
                            why,
                        });
                    }
                }
            }
        }
        Processed::Publish {
            messages: outgoing,
            decisions,
            occurred,
        }
    }

    fn count(&self, routes: &[Routing], default_route: bool) {
        if default_route {
            self.metrics.default_route_hits.inc();
        }
        for rule in routes.iter().flat_map(|routing| &routing.matched) {
            self.metrics.rule_hits.with_label_values(&[rule]).inc();
        }
    }
}

/// The messages of an item, or why there are none.
///
/// # Errors
/// The item goes to quarantine.
pub fn normalize(connectors: &Connectors, record: &Record) -> Result<Vec<Message>, NormalizeError> {
    let raw = &record.raw;
    let Some(connector) = connectors.get(&raw.connector) else {
        let why = format!(
            "connector {} is not in the configuration any more; add it and retry",
            raw.connector
        );
        return Err(NormalizeError::new("no_connector", why));
    };
    catch_unwind(AssertUnwindSafe(|| connector.normalize(raw))).unwrap_or_else(|_| {
        Err(NormalizeError::new(
            "panic",
            "the connector panicked; please report it as a bug",
        ))
    })
}

/// Items of one conversation have one key; items without a conversation follow their own object.
fn order_key(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.raw.connector.hash(&mut hasher);
    record
        .conversation
        .as_ref()
        .unwrap_or(&record.raw.external_id)
        .hash(&mut hasher);
    hasher.finish()
}

fn ignored(record: &Record) -> DecisionRecord {
    DecisionRecord {
        event_id: uuid::Uuid::nil(),
        event: "none",
        outcome: "ignored",
        channel: record.raw.connector.to_string(),
        queue: String::new(),
        routing: "{}".into(),
    }
}

fn decided(message: &Message, routing: &Routing) -> DecisionRecord {
    DecisionRecord {
        event_id: message.id,
        event: message.event.as_str(),
        outcome: "published",
        channel: message.data.channel.clone(),
        queue: routing.queue.clone(),
        routing: serde_json::to_string(routing).unwrap_or_default(),
    }
}

fn encode(message: &mut Message, routing: Routing, order_key: u64) -> Result<Outgoing, serde_json::Error> {
    let mut headers = vec![
        ("channel", message.data.channel.clone()),
        ("connector", message.data.connector.clone()),
        ("kind", message.data.kind.as_str().to_owned()),
        ("regime", message.data.legal.regime.as_str().to_owned()),
        ("recipient", routing.recipient.organisation.clone()),
        ("priority", routing.priority.to_string()),
        ("rules_version", routing.rules_version.clone()),
    ];
    let optional = [("sector", &routing.sector), ("territory", &routing.territory)];
    headers.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?))),
    );
    headers.extend(routing.matched.last().map(|rule| ("rule", rule.clone())));
    let (routing_key, priority) = (routing.queue.clone(), routing.priority);
    message.data.routing = Some(routing);
    Ok(Outgoing {
        token: 0,
        event_id: message.id,
        event_type: message.event.as_str(),
        order_key,
        routing_key,
        priority,
        timestamp: u64::try_from(message.time.as_second()).unwrap_or(0),
        headers,
        body: serde_json::to_vec(message)?.into(),
    })
}
