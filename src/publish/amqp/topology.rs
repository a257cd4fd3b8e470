//! Exchanges and queues: declared, verified or left alone, as the customer's rights allow.
//!
//! RabbitMQ answers a passive declaration without looking at properties. So what exists is declared as well, with the
//! properties we want, when we may declare: an equal declaration changes nothing, an unequal one is refused by name.

use std::collections::BTreeSet;

use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::{connect::Link, refusal::Refusal};
use crate::publish::settings::{AmqpSettings, SideExchange, Topology};

/// A pattern that no binding has.
const NOBODYS: &str = "priem.check: no binding has this pattern";

/// What [`look`] found amiss.
#[derive(Debug)]
pub(super) enum Finding {
    /// An exchange or queue, by kind and name.
    Missing(String),
    /// It is there and is not as it should be, or can't be looked at.
    Refused(Refusal),
}

/// An exchange or queue with its properties.
enum Part<'a> {
    Exchange(&'a str, ExchangeKind, FieldTable),
    Queue(&'a str, FieldTable),
}

/// A queue, an exchange and what binds them.
struct Binding<'a> {
    queue: &'a str,
    exchange: &'a str,
    pattern: &'a str,
}

/// Declares or verifies what the settings name. Changes nothing unless `topology` is `declare`.
pub(super) async fn prepare(link: &Link, settings: &AmqpSettings) -> Result<(), Refusal> {
    match settings.topology {
        Topology::None => Ok(()),
        Topology::Declare => declare(link, settings).await,
        Topology::Verify => match look(link, settings).await?.into_iter().next() {
            None => Ok(()),
            Some(Finding::Refused(refusal)) => Err(refusal),
            Some(Finding::Missing(what)) => Err(Refusal {
                why: format!("{what} does not exist"),
                cure: "create it, or set amqp.topology to declare".into(),
            }),
        },
    }
}

/// Looks for exchanges and queues, all of them, and says what is missing or otherwise than wanted. Changes nothing.
pub(super) async fn look(link: &Link, settings: &AmqpSettings) -> Result<Vec<Finding>, Refusal> {
    let mut findings = Vec::new();
    for part in parts(settings, &settings.queues()) {
        // A failed look closes its channel, so each one gets its own.
        let channel = open(link).await?;
        match part.declare(link, &channel, true).await? {
            Err(error) if is_missing(&error) => findings.push(Finding::Missing(part.name())),
            Err(error) => findings.push(Finding::Refused(Refusal::to("show", &part.name(), &error, &link.peer))),
            Ok(()) if settings.topology == Topology::Declare => {
                if let Err(error) = part.declare(link, &channel, false).await? {
                    findings.push(Finding::Refused(Refusal::to(
                        "declare",
                        &part.name(),
                        &error,
                        &link.peer,
                    )));
                }
            }
            Ok(()) => {}
        }
    }
    // What is missing can't be asked about its rights.
    if settings.topology == Topology::Declare && findings.is_empty() {
        findings.extend(rights(link, settings).await?.into_iter().map(Finding::Refused));
    }
    Ok(findings)
}

/// Rights to bind and to publish that the daemon would lack. The broker tells them when it is asked to take away a
/// binding that nobody has, which changes nothing: that needs the same rights as making one.
async fn rights(link: &Link, settings: &AmqpSettings) -> Result<Vec<Refusal>, Refusal> {
    let (queues, mut lacking) = (settings.queues(), Vec::new());
    let pairs: BTreeSet<(&str, &str)> = bindings(settings, &queues)
        .iter()
        .map(|binding| (binding.queue, binding.exchange))
        .collect();
    for (queue, exchange) in pairs {
        let channel = open(link).await?;
        let unbound = channel.queue_unbind(queue.into(), exchange.into(), NOBODYS.into(), FieldTable::default());
        let unbound = link.answer(&format!("rights on queue {queue:?}"), unbound).await?;
        if let Err(error) = unbound {
            lacking.push(Refusal::to("bind", &format!("queue {queue:?}"), &error, &link.peer));
        }
    }
    // An exchange bound to itself: to be bound it is written to.
    let (channel, exchange) = (open(link).await?, settings.exchange.as_str());
    let (options, arguments) = (ExchangeUnbindOptions::default(), FieldTable::default());
    let unbound = channel.exchange_unbind(exchange.into(), exchange.into(), NOBODYS.into(), options, arguments);
    let unbound = link
        .answer(&format!("rights on exchange {exchange:?}"), unbound)
        .await?;
    if let Err(error) = unbound {
        lacking.push(Refusal::to(
            "publish to",
            &format!("exchange {exchange:?}"),
            &error,
            &link.peer,
        ));
    }
    Ok(lacking)
}

async fn declare(link: &Link, settings: &AmqpSettings) -> Result<(), Refusal> {
    let channel = open(link).await?;
    let queues = settings.queues();
    for part in parts(settings, &queues) {
        if let Err(error) = part.declare(link, &channel, false).await? {
            return Err(Refusal::to("declare", &part.name(), &error, &link.peer));
        }
    }
    for binding in bindings(settings, &queues) {
        binding.make(link, &channel).await?;
    }
    // A failure here would show on the connection anyway.
    let _ = link
        .answer("closing a channel", channel.close(200, "OK".into()))
        .await?;
    Ok(())
}

fn sides(settings: &AmqpSettings) -> impl Iterator<Item = &SideExchange> {
    settings.alternate.iter().chain(&settings.dead_letter)
}

fn parts<'a>(settings: &'a AmqpSettings, queues: &'a [crate::publish::settings::QueueSettings]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for side in sides(settings) {
        parts.push(Part::Exchange(
            &side.exchange,
            ExchangeKind::Fanout,
            FieldTable::default(),
        ));
        parts.push(Part::Queue(&side.queue, quorum(None)));
    }
    let mut arguments = FieldTable::default();
    if let Some(alternate) = &settings.alternate {
        arguments.insert("alternate-exchange".into(), text(&alternate.exchange));
    }
    parts.push(Part::Exchange(&settings.exchange, ExchangeKind::Topic, arguments));
    for queue in queues {
        let dead_letter = settings.dead_letter.as_ref().filter(|_| queue.dead_letter);
        parts.push(Part::Queue(&queue.name, quorum(dead_letter)));
    }
    parts
}

fn bindings<'a>(settings: &'a AmqpSettings, queues: &'a [crate::publish::settings::QueueSettings]) -> Vec<Binding<'a>> {
    let of_sides = sides(settings).map(|side| Binding {
        queue: &side.queue,
        exchange: &side.exchange,
        pattern: "",
    });
    let of_queues = queues.iter().flat_map(|queue| {
        queue.bindings.iter().map(|pattern| Binding {
            queue: &queue.name,
            exchange: &settings.exchange,
            pattern,
        })
    });
    of_sides.chain(of_queues).collect()
}

impl Part<'_> {
    fn name(&self) -> String {
        match self {
            Self::Exchange(name, ..) => format!("exchange {name:?}"),
            Self::Queue(name, _) => format!("queue {name:?}"),
        }
    }

    /// Asks for it; `passive`: only whether it is there.
    async fn declare(&self, link: &Link, channel: &Channel, passive: bool) -> Result<lapin::Result<()>, Refusal> {
        let action = format!("{} {}", if passive { "a look at" } else { "declaring" }, self.name());
        match self {
            Self::Exchange(name, kind, arguments) => {
                let options = ExchangeDeclareOptions {
                    passive,
                    durable: true,
                    ..Default::default()
                };
                let declared = channel.exchange_declare((*name).into(), kind.clone(), options, arguments.clone());
                link.answer(&action, declared).await
            }
            Self::Queue(name, arguments) => {
                let options = QueueDeclareOptions {
                    passive,
                    durable: true,
                    ..Default::default()
                };
                let declared = channel.queue_declare((*name).into(), options, arguments.clone());
                Ok(link.answer(&action, declared).await?.map(drop))
            }
        }
    }
}

impl Binding<'_> {
    async fn make(&self, link: &Link, channel: &Channel) -> Result<(), Refusal> {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound = channel.queue_bind(
            self.queue.into(),
            self.exchange.into(),
            self.pattern.into(),
            options,
            arguments,
        );
        let bound = link.answer(&format!("binding queue {:?}", self.queue), bound).await?;
        bound.map_err(|error| Refusal::to("bind", &format!("queue {:?}", self.queue), &error, &link.peer))
    }
}

async fn open(link: &Link) -> Result<Channel, Refusal> {
    let opened = link
        .answer("opening a channel", link.connection.create_channel())
        .await?;
    opened.map_err(|error| Refusal::of(&error, &link.peer))
}

/// Arguments of a queue of ours.
fn quorum(dead_letter: Option<&SideExchange>) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    if let Some(dead_letter) = dead_letter {
        arguments.insert("x-dead-letter-exchange".into(), text(&dead_letter.exchange));
    }
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(protocol) if protocol.get_id() == 404)
}
