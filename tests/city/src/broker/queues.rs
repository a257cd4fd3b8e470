//! What tests do with a broker's queues.

use std::{collections::BTreeMap, time::Instant};

use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};

use super::{Broker, BrokerError, START_LIMIT, START_PAUSE};

/// A message taken from a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// AMQP `message_id`; empty when absent.
    pub message_id: String,
    /// Routing key it was published with.
    pub routing_key: String,
    /// Headers with text values.
    pub headers: BTreeMap<String, String>,
    /// All properties.
    pub properties: lapin::BasicProperties,
    /// The body.
    pub body: Vec<u8>,
}

impl Broker {
    /// Opens a connection of the test's own.
    ///
    /// # Errors
    /// When the node does not run.
    pub async fn connect(&self) -> Result<Connection, BrokerError> {
        Ok(Connection::connect(&self.amqp_url(), ConnectionProperties::default()).await?)
    }

    async fn with_channel<T>(
        &self,
        work: impl AsyncFnOnce(&Channel) -> Result<T, lapin::Error>,
    ) -> Result<T, BrokerError> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let result = work(&channel).await?;
        connection.close(200, "OK".into()).await?;
        Ok(result)
    }

    /// Declares a durable topic exchange.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn declare_exchange(&self, exchange: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            channel
                .exchange_declare(exchange.into(), ExchangeKind::Topic, options, FieldTable::default())
                .await
        })
        .await
    }

    /// Deletes an exchange, queues bound to it or not.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn delete_exchange(&self, exchange: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            channel
                .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
                .await
        })
        .await
    }

    /// Declares a durable quorum queue.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn declare_queue(&self, queue: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            let options = QueueDeclareOptions {
                durable: true,
                ..Default::default()
            };
            channel.queue_declare(queue.into(), options, arguments).await.map(drop)
        })
        .await?;
        self.wait_until_queue_survives_a_kill(queue).await
    }

    /// Declares a durable queue bound to one routing key of a topic exchange, that refuses more than `most` messages.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn declare_capped_queue(&self, queue: &str, exchange: &str, most: i32) -> Result<(), BrokerError> {
        self.declare_exchange(exchange).await?;
        self.with_channel(async |channel| {
            let mut arguments = FieldTable::default();
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(most));
            arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
            let options = QueueDeclareOptions {
                durable: true,
                ..Default::default()
            };
            channel.queue_declare(queue.into(), options, arguments).await.map(drop)
        })
        .await?;
        self.bind(queue, exchange, queue).await
    }

    /// Waits until a quorum queue that somebody declared would survive [`Broker::kill`]. RabbitMQ 3.10 answers a
    /// declaration before its register of quorum queues is on disk (that takes half a second); a node killed in between
    /// comes back with an empty queue that never confirms anything.
    ///
    /// # Errors
    /// When it does not happen within the time a node may take to start.
    pub async fn wait_until_queue_survives_a_kill(&self, queue: &str) -> Result<(), BrokerError> {
        let deadline = Instant::now() + START_LIMIT;
        while !self.node.registered_on_disk(queue) {
            if Instant::now() > deadline {
                return Err(BrokerError::NotStarted(format!(
                    "quorum queue {queue:?} never reached the disk"
                )));
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        Ok(())
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            channel
                .queue_bind(
                    queue.into(),
                    exchange.into(),
                    routing_key.into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
        })
        .await
    }

    /// Deletes a queue with what is in it.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            channel
                .queue_delete(queue.into(), QueueDeleteOptions::default())
                .await
                .map(drop)
        })
        .await
    }

    /// Suspends the process of a queue in the default virtual host: it neither takes nor refuses anything.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn suspend_queue(&self, queue: &str) -> Result<(), BrokerError> {
        self.tell_process_of(queue, "suspend")
    }

    /// Lets the process of a suspended queue go on.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn resume_queue(&self, queue: &str) -> Result<(), BrokerError> {
        self.tell_process_of(queue, "resume")
    }

    /// Takes the leader away from a quorum queue until a channel that is new to the queue brings its first message: that
    /// one is refused, with the leader back already for the next.
    ///
    /// # Errors
    /// When there is no such quorum queue.
    pub fn lack_leader_for_one_message(&self, queue: &str) -> Result<(), BrokerError> {
        self.ctl(&[
            "eval",
            &format!(
                "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
                 {{Name, _}} = Server = amqqueue:get_pid(Q), \
                 ok = ra:stop_server(quorum_queues, Server), \
                 Asks = self(), \
                 spawn(fun() -> \
                     register(Name, self()), \
                     Asks ! ready, \
                     receive {{'$gen_call', From, {{leader_call, {{command, _, _}}}}}} -> \
                         unregister(Name), \
                         ok = ra:restart_server(quorum_queues, Server), \
                         {{ok, _, _}} = ra:members(Server), \
                         gen:reply(From, {{error, noproc}}) \
                     end \
                 end), \
                 receive ready -> ok end."
            ),
        ])
    }

    /// Limits a queue that is there already to so many messages: what comes beyond is refused.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn cap_queue(&self, queue: &str, most: usize) -> Result<(), BrokerError> {
        let limit = format!(r#"{{"max-length":{most},"overflow":"reject-publish"}}"#);
        self.ctl(&["set_policy", &format!("cap-{queue}"), &format!("^{queue}$"), &limit])
    }

    /// Takes the limit of [`Broker::cap_queue`] off again.
    ///
    /// # Errors
    /// When there was none.
    pub fn uncap_queue(&self, queue: &str) -> Result<(), BrokerError> {
        self.ctl(&["clear_policy", &format!("cap-{queue}")])
    }

    fn tell_process_of(&self, queue: &str, action: &str) -> Result<(), BrokerError> {
        self.ctl(&[
            "eval",
            &format!(
                "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
                 sys:{action}(amqqueue:get_pid(Q))."
            ),
        ])
    }

    /// Empties a queue.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn purge(&self, queue: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            channel
                .queue_purge(queue.into(), QueuePurgeOptions::default())
                .await
                .map(drop)
        })
        .await
    }

    /// How many messages wait in a queue. Just after a start a quorum queue may still count too few; [`Broker::drain`]
    /// is exact at any time.
    ///
    /// # Errors
    /// When the queue does not exist.
    pub async fn depth(&self, queue: &str) -> Result<u32, BrokerError> {
        self.with_channel(async |channel| {
            let options = QueueDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let state = channel
                .queue_declare(queue.into(), options, FieldTable::default())
                .await?;
            Ok(state.message_count())
        })
        .await
    }

    /// Takes everything out of a queue, oldest first.
    ///
    /// # Errors
    /// When the queue does not exist.
    pub async fn drain(&self, queue: &str) -> Result<Vec<Delivered>, BrokerError> {
        self.with_channel(async |channel| {
            let mut taken = Vec::new();
            while let Some(message) = channel
                .basic_get(queue.into(), BasicGetOptions { no_ack: true })
                .await?
            {
                let delivery = message.delivery;
                taken.push(Delivered {
                    message_id: delivery
                        .properties
                        .message_id()
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    routing_key: delivery.routing_key.to_string(),
                    headers: text_headers(delivery.properties.headers().as_ref()),
                    properties: delivery.properties,
                    body: delivery.data,
                });
            }
            Ok(taken)
        })
        .await
    }
}

fn text_headers(headers: Option<&FieldTable>) -> BTreeMap<String, String> {
    let mut text = BTreeMap::new();
    for (name, value) in headers.iter().flat_map(|headers| headers.inner()) {
        if let AMQPValue::LongString(value) = value {
            text.insert(name.to_string(), value.to_string());
        }
    }
    text
}
