//! From a stored item to what goes out: normalise, route, leave out personal data, encode. No I/O; a panic in a
//! connector only quarantines.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use jiff::Timestamp;
use priem_sdk::{
    Connector, Message, NormalizeError,
    contract::ConnectorId,
    message::{Flags, Routing},
};

use super::rules::{RuleSetInForce, RulesInForce};
use crate::{
    attachments,
    deadlines::{self, Watch, Watched},
    duplicates::Choice,
    journal::{DecisionRecord, End, Record},
    privacy,
    publish::{CHANNEL_HEADER, Outgoing},
    routing::RuleSet,
    telemetry::Metrics,
};

/// Connectors by their configured names.
pub type Connectors = HashMap<ConnectorId, Arc<dyn Connector>>;

/// What is to be done with an item.
pub enum Processed {
    /// Publish its messages.
    Publish(Publication),
    /// Nothing to publish: record this end.
    End(End),
}

/// The messages of one item and what is recorded when all are settled.
pub struct Publication {
    /// Encoded messages; their `token` is still 0.
    pub messages: Vec<Outgoing>,
    /// What was decided about each, in the same order; outcome `published` until the broker says otherwise.
    pub decisions: Vec<DecisionRecord>,
    /// What it says about the clocks of its objects; noted before the messages go out.
    pub watched: Vec<Watched>,
    /// When it happened at the source, for the delay.
    pub occurred: Option<Timestamp>,
}

/// Turns stored items into outgoing messages.
pub struct Processor {
    connectors: Arc<Connectors>,
    rules: Arc<RulesInForce>,
    metrics: Metrics,
    /// Which attachments get a reference into the store, when there is one.
    attachments: Option<attachments::Policy>,
    /// What of personal data goes out.
    privacy: Arc<privacy::Policy>,
    /// Which of several messages on one matter goes where the rules say.
    duplicates: Choice,
    /// Which clocks are watched.
    deadlines: Watch,
}

impl Processor {
    /// A processor for connectors and rules that stay.
    pub fn new(connectors: Arc<Connectors>, rules: Arc<RuleSet>, metrics: Metrics) -> Self {
        // From zero on, so that the first one is an increase.
        for connector in connectors.keys() {
            metrics.unknown_topics.with_label_values(&[connector.as_str()]);
        }
        let rules = RulesInForce::new(rules, None, String::new(), metrics.clone());
        Self::following(connectors, Arc::new(rules), metrics)
    }

    /// A processor that decides each message by the rules in force then.
    pub fn following(connectors: Arc<Connectors>, rules: Arc<RulesInForce>, metrics: Metrics) -> Self {
        Self {
            connectors,
            attachments: None,
            privacy: Arc::default(),
            duplicates: Choice::default(),
            deadlines: Watch::default(),
            rules,
            metrics,
        }
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

    /// The connectors it asks.
    pub fn connectors(&self) -> &Arc<Connectors> {
        &self.connectors
    }

    /// Where things are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

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
        let mut publication = Publication {
            messages: Vec::with_capacity(messages.len()),
            decisions: Vec::with_capacity(messages.len()),
            watched: Vec::new(),
            occurred,
        };
        let in_force = self.rules.now();
        for mut message in messages {
            if message.event.is_reminder() {
                // It goes where the message went; the connector of such items gives the routing with it.
                let routes: Vec<Routing> = message.data.routing.take().into_iter().collect();
                if let Err(error) = self.encode(message, routes, order_key, &mut publication) {
                    return not_encodable(&error);
                }
                continue;
            }
            let mut decision = in_force.rules.decide(&mut message, now);
            self.duplicates.apply(&message, &mut decision.routes);
            self.count(&in_force, &decision.routes, decision.default_route);
            let lacks_calendar = decision.deadlines.iter().any(|deadline| deadline.calendar_missing);
            if lacks_calendar || decision.main().calendar_missing {
                self.metrics.calendar_missing.inc();
            }
            if message.data.flags.other.iter().any(|flag| flag == Flags::UNKNOWN_TOPIC) {
                let connector = record.raw.connector.as_str();
                self.metrics.unknown_topics.with_label_values(&[connector]).inc();
            }
            if let Some(policy) = &self.attachments {
                policy.mark(&mut message);
            }
            message.data.routing = None;
            publication
                .watched
                .extend(self.deadlines.look(record, &message, decision.main(), now));
            if let Err(error) = self.encode(message, decision.routes, order_key, &mut publication) {
                return not_encodable(&error);
            }
        }
        Processed::Publish(publication)
    }

    /// Writes a message for each of its recipients, without the personal data that none or this one may have.
    fn encode(
        &self,
        mut message: Message,
        routes: Vec<Routing>,
        order_key: u64,
        publication: &mut Publication,
    ) -> Result<(), serde_json::Error> {
        self.privacy.clean(&mut message);
        if self.privacy.is_same_for_all(&message.data.channel, &routes) {
            if let Some(routing) = routes.first() {
                self.privacy.apply(&mut message, routing);
            }
            return encode(&message, routes, order_key, publication);
        }
        for routing in routes {
            let mut own = message.clone();
            self.privacy.apply(&mut own, &routing);
            encode(&own, vec![routing], order_key, publication)?;
        }
        Ok(())
    }

    fn count(&self, in_force: &RuleSetInForce, routes: &[Routing], default_route: bool) {
        if default_route {
            self.metrics.default_route_hits.inc();
        }
        for rule in routes.iter().flat_map(|routing| &routing.matched) {
            in_force.count(rule);
        }
    }
}

/// The messages of an item, or why there are none.
///
/// # Errors
/// The item goes to quarantine.
pub fn normalize(connectors: &Connectors, record: &Record) -> Result<Vec<Message>, NormalizeError> {
    let raw = &record.raw;
    if deadlines::is_own(raw) {
        return deadlines::normalize(raw);
    }
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

/// Only a number that JSON can't hold gets here.
fn not_encodable(error: &serde_json::Error) -> Processed {
    Processed::End(End::Quarantined {
        reason: "not_encodable".into(),
        why: format!("the message can't be written as JSON: {error}"),
    })
}

fn ignored(record: &Record) -> DecisionRecord {
    DecisionRecord {
        event_id: uuid::Uuid::nil(),
        event: "none",
        outcome: "ignored",
        channel: record.raw.connector.to_string(),
        queue: String::new(),
        routing: Bytes::from_static(b"{}"),
    }
}

/// Writes a message once for each of its recipients. Only the routing differs, and it ends the document: the rest is
/// written once, and the journal's record of the decision is a part of the body, not a copy.
fn encode(
    message: &Message,
    routes: Vec<Routing>,
    order_key: u64,
    publication: &mut Publication,
) -> Result<(), serde_json::Error> {
    const ENDING: &[u8] = b"}}";
    let mut common = Vec::with_capacity(2048);
    serde_json::to_writer(&mut common, message)?;
    debug_assert!(message.data.routing.is_none() && common.ends_with(ENDING));
    common.truncate(common.len() - ENDING.len());
    common.extend_from_slice(b",\"routing\":");
    for routing in routes {
        let mut body = Vec::with_capacity(common.len() + 1024);
        body.extend_from_slice(&common);
        serde_json::to_writer(&mut body, &routing)?;
        let decided = common.len()..body.len();
        body.extend_from_slice(ENDING);
        let body = Bytes::from(body);
        publication.decisions.push(DecisionRecord {
            event_id: message.id,
            event: message.event.as_str(),
            outcome: "published",
            channel: message.data.channel.clone(),
            queue: routing.queue.clone(),
            routing: body.slice(decided),
        });
        publication.messages.push(Outgoing {
            token: 0,
            event_id: message.id,
            event_type: message.event.as_str(),
            order_key,
            priority: routing.priority,
            timestamp: u64::try_from(message.time.as_second()).unwrap_or(0),
            headers: headers(message, &routing),
            routing_key: routing.queue,
            body,
        });
    }
    Ok(())
}

/// What consumers filter by without opening the body.
fn headers(message: &Message, routing: &Routing) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        (CHANNEL_HEADER, message.data.channel.clone()),
        ("priority", routing.priority.to_string()),
    ];
    let optional = [
        ("sector", routing.sector.as_ref()),
        ("territory", routing.territory.as_ref()),
        ("rule", routing.matched.last()),
    ];
    headers.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.clone()))),
    );
    headers
}
