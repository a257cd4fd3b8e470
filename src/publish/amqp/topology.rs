//! Exchanges and queues: declared, verified or left alone, as the customer's rights allow.

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use crate::publish::settings::{AmqpSettings, SideExchange, Topology};

/// What a broker's administrator has to look at, as a sentence.
pub(super) type Problem = String;

/// Declares or verifies what the settings name. Changes nothing unless `topology` is `declare`.
pub(super) async fn prepare(connection: &Connection, settings: &AmqpSettings) -> Result<(), Problem> {
    match settings.topology {
        Topology::None => Ok(()),
        Topology::Declare => declare(connection, settings).await,
        Topology::Verify => match verify(connection, settings).await?.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(problem),
        },
    }
}

async fn open(connection: &Connection) -> Result<Channel, Problem> {
    connection
        .create_channel()
        .await
        .map_err(|error| format!("no channel: {error}"))
}

async fn declare(connection: &Connection, settings: &AmqpSettings) -> Result<(), Problem> {
    let channel = open(connection).await?;
    for side in settings.alternate.iter().chain(&settings.dead_letter) {
        declare_side(&channel, side).await?;
    }
    let mut arguments = FieldTable::default();
    if let Some(alternate) = &settings.alternate {
        arguments.insert("alternate-exchange".into(), text(&alternate.exchange));
    }
    declare_exchange(&channel, &settings.exchange, ExchangeKind::Topic, arguments).await?;
    for queue in &settings.queues {
        let dead_letter = settings.dead_letter.as_ref().filter(|_| queue.dead_letter);
        declare_queue(&channel, &queue.name, dead_letter).await?;
        for pattern in &queue.bindings {
            bind(&channel, &queue.name, &settings.exchange, pattern).await?;
        }
    }
    // A failure here would show on the connection anyway.
    let _ = channel.close(200, "OK".into()).await;
    Ok(())
}

async fn declare_side(channel: &Channel, side: &SideExchange) -> Result<(), Problem> {
    declare_exchange(channel, &side.exchange, ExchangeKind::Fanout, FieldTable::default()).await?;
    declare_queue(channel, &side.queue, None).await?;
    bind(channel, &side.queue, &side.exchange, "").await
}

async fn declare_exchange(
    channel: &Channel,
    exchange: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), Problem> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let declared = channel
        .exchange_declare(exchange.into(), kind, options, arguments)
        .await;
    declared.map_err(|error| refused("declare exchange", exchange, &error))
}

async fn declare_queue(channel: &Channel, queue: &str, dead_letter: Option<&SideExchange>) -> Result<(), Problem> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    if let Some(dead_letter) = dead_letter {
        arguments.insert("x-dead-letter-exchange".into(), text(&dead_letter.exchange));
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let declared = channel.queue_declare(queue.into(), options, arguments).await;
    declared
        .map(drop)
        .map_err(|error| refused("declare queue", queue, &error))
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, pattern: &str) -> Result<(), Problem> {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let bound = channel
        .queue_bind(queue.into(), exchange.into(), pattern.into(), options, arguments)
        .await;
    bound.map_err(|error| refused("bind queue", queue, &error))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Names what was tried, on what, what the broker said and how to go on.
fn refused(action: &str, name: &str, error: &lapin::Error) -> Problem {
    let said = error.to_string();
    let cure = if said.contains("ACCESS_REFUSED") || said.contains("ACCESS-REFUSED") {
        "; give the user the right to configure, write and read it, or set amqp.topology to verify or none"
    } else if said.contains("PRECONDITION") || said.contains("inequivalent") {
        "; it exists with other properties: make them equal, or set amqp.topology to verify"
    } else {
        ""
    };
    format!("the broker refuses to {action} {name:?}: {said}{cure}")
}

/// Looks for exchanges and queues, all of them, and says what is missing.
pub(super) async fn verify(connection: &Connection, settings: &AmqpSettings) -> Result<Vec<Problem>, Problem> {
    let sides = || settings.alternate.iter().chain(&settings.dead_letter);
    let exchanges = sides().map(|side| &side.exchange).chain([&settings.exchange]);
    let queues = sides()
        .map(|side| &side.queue)
        .chain(settings.queues.iter().map(|queue| &queue.name));
    let mut problems = Vec::new();
    for exchange in exchanges {
        let options = ExchangeDeclareOptions {
            passive: true,
            durable: true,
            ..Default::default()
        };
        // A failed look closes its channel, so each one gets its own.
        let channel = open(connection).await?;
        let seen = channel.exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        );
        if let Err(error) = seen.await {
            problems.push(missing("exchange", exchange, settings.topology, &error));
        }
    }
    for queue in queues {
        let options = QueueDeclareOptions {
            passive: true,
            durable: true,
            ..Default::default()
        };
        let channel = open(connection).await?;
        if let Err(error) = channel
            .queue_declare(queue.as_str().into(), options, FieldTable::default())
            .await
        {
            problems.push(missing("queue", queue, settings.topology, &error));
        }
    }
    Ok(problems)
}

fn missing(kind: &str, name: &str, topology: Topology, error: &lapin::Error) -> Problem {
    let said = error.to_string();
    if said.contains("NOT_FOUND") || said.contains("NOT-FOUND") {
        if topology == Topology::Declare {
            return format!("{kind} {name:?} does not exist");
        }
        return format!("{kind} {name:?} does not exist: create it, or set amqp.topology to declare");
    }
    format!("{kind} {name:?} can't be looked at: {said}")
}
