//! Settings of publishing. Without `amqp` the embedded default is used: NDJSON to a file or standard output.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Span, SpanRelativeTo};
use priem_sdk::{Secret, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where messages go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishSettings {
    /// RabbitMQ. Absent: NDJSON.
    pub amqp: Option<AmqpSettings>,
    /// The embedded default, used when `amqp` is absent.
    pub ndjson: NdjsonSettings,
}

/// RabbitMQ: address, credentials, speed and topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AmqpSettings {
    /// `amqp://user@host:5672/vhost` or `amqps://…`. A password belongs into `password` or into the environment
    /// variable `PRIEM__AMQP__URL`, not into the file. The default virtual host is written `%2f`.
    pub url: Option<BrokerUrl>,
    /// The whole address as a secret; stands instead of `url`.
    pub url_secret: Option<SecretRef>,
    /// User name; wins over the one in the address.
    pub user: Option<String>,
    /// Password; wins over the one in the address. Read again for every connection, so it may be rotated.
    pub password: Option<SecretRef>,
    /// How the broker learns who we are.
    pub auth: Auth,
    /// TLS for `amqps://`.
    pub tls: AmqpTlsSettings,
    /// Name shown in RabbitMQ's list of connections.
    pub connection_name: String,
    /// Seconds between heartbeats; a dead connection is noticed after about twice as long.
    pub heartbeat_seconds: u16,
    /// Channels on the one connection. Messages of one conversation always use the same channel.
    pub channels: u16,
    /// Messages a channel may have sent and not yet seen confirmed. More raises throughput a little and latency a lot.
    pub window: u16,
    /// A connection on which a message waits longer than this for its confirmation is given up, and everything not
    /// confirmed is sent again on a new one. A broker that says it is blocked may take as long as it likes. A queue whose
    /// messages have no answer for a third of this time (1 to 10 seconds), while others are confirmed, is held back alone
    /// and no reason to give the connection up.
    pub confirm_seconds: u16,
    /// Longest wait for the broker's answer to anything else: a channel, a declaration, a binding. Then the connection is
    /// given up, the reason told, and everything tried again.
    pub answer_seconds: u16,
    /// Queues that refuse, or do not answer.
    pub refused: RefusedSettings,
    /// Topic exchange everything is published to.
    pub exchange: String,
    /// Whether exchanges and queues are declared, only verified, or left alone.
    pub topology: Topology,
    /// Queues to declare or verify. Without any (left out or empty), one queue `priem.messages` takes everything; with
    /// `topology: verify` an empty list looks at the exchange only.
    pub queues: Vec<QueueSettings>,
    /// Where the broker puts what no queue is bound for. Messages it takes count as published, not as returned: leave
    /// it out to have them parked and alarmed by Priem instead.
    pub alternate: Option<SideExchange>,
    /// Where queues with `dead_letter` put messages that consumers reject.
    pub dead_letter: Option<SideExchange>,
}

impl AmqpSettings {
    /// The queues, with the one for everything when there are none and somebody has to take what comes.
    pub fn queues(&self) -> Vec<QueueSettings> {
        if self.queues.is_empty() && self.topology == Topology::Declare {
            return vec![QueueSettings::catch_all()];
        }
        self.queues.clone()
    }

    /// Makes relative paths of secrets and certificates start from the settings file's folder.
    pub fn start_paths_from(&mut self, base_dir: &Path) {
        let secrets = [&mut self.url_secret, &mut self.password, &mut self.tls.key];
        for reference in secrets.into_iter().flatten() {
            *reference = reference.starting_from(base_dir);
        }
        for file in [&mut self.tls.ca_file, &mut self.tls.certificate_file]
            .into_iter()
            .flatten()
        {
            *file = base_dir.join(&*file);
        }
    }
}

impl Default for AmqpSettings {
    fn default() -> Self {
        Self {
            url: None,
            url_secret: None,
            user: None,
            password: None,
            auth: Auth::default(),
            tls: AmqpTlsSettings::default(),
            connection_name: "priem".into(),
            heartbeat_seconds: 10,
            channels: 4,
            window: 64,
            confirm_seconds: 30,
            answer_seconds: 20,
            refused: RefusedSettings::default(),
            exchange: "priem".into(),
            topology: Topology::default(),
            queues: vec![QueueSettings::catch_all()],
            alternate: None,
            dead_letter: None,
        }
    }
}

/// How the broker learns who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// User name and password.
    #[default]
    Plain,
    /// The client certificate alone (RabbitMQ's plugin `rabbitmq_auth_mechanism_ssl`).
    External,
}

/// What becomes of messages that their queue refuses (it is full, or it has lost most of its nodes) or does not answer
/// (its process hangs). They wait, in the journal, without holding up those of other queues, and go out in their order
/// when the queue takes again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefusedSettings {
    /// How long a message may wait for a queue that refuses or does not answer, for example `3d` or `12h`; then it is
    /// parked, until `priem quarantine retry`. It counts from when the message was taken, and at the earliest from when
    /// the queue began to refuse or fell silent. What was sent to a silent queue may be in it already: that is not parked,
    /// it waits for the answer. Absent: for ever, which needs nobody to look after it.
    #[schemars(with = "Option<String>")]
    #[serde(deserialize_with = "duration_with_days")]
    pub park_after: Option<SignedDuration>,
}

impl RefusedSettings {
    /// The same, for a clock; `None` when it is not set or negative.
    pub(super) fn park_after(&self) -> Option<Duration> {
        self.park_after.and_then(|limit| Duration::try_from(limit).ok())
    }
}

/// `3d`, `12h`, `P1W`: a day has 24 hours here.
fn duration_with_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SignedDuration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let duration = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    duration
        .map(Some)
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is no duration; write 3d or 12h")))
}

/// What to do with exchanges and queues when a connection is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Create what is missing. Needs the right to configure.
    #[default]
    Declare,
    /// Only look whether the exchange and the queues exist; bindings can't be looked at over AMQP.
    Verify,
    /// Leave everything to the broker's administrators.
    None,
}

/// A durable quorum queue and what it is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Name of the queue.
    pub name: String,
    /// Routing key patterns: `*` stands for one word, `#` for any number of words.
    #[serde(default)]
    pub bindings: Vec<String>,
    /// Whether rejected messages go to the `dead_letter` exchange.
    #[serde(default)]
    pub dead_letter: bool,
}

impl QueueSettings {
    /// One queue for everything, so that a first run needs no topology at all.
    fn catch_all() -> Self {
        Self {
            name: "priem.messages".into(),
            bindings: vec!["#".into()],
            dead_letter: false,
        }
    }
}

/// A fanout exchange with one quorum queue behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideExchange {
    /// Name of the exchange.
    pub exchange: String,
    /// Name of the queue that keeps what arrives there.
    pub queue: String,
}

/// Certificates for `amqps://`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AmqpTlsSettings {
    /// PEM file with the only authorities to trust. Absent: those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client certificate and its chain.
    pub certificate_file: Option<PathBuf>,
    /// PEM private key of the client certificate.
    pub key: Option<SecretRef>,
}

/// NDJSON: one CloudEvents JSON object per line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NdjsonSettings {
    /// File to append to, or `-` for standard output. The file may be renamed away at any time (logrotate without
    /// `copytruncate`): a new one is made for the next line.
    pub path: PathBuf,
    /// Whether lines are synced to disk before they count as published. Standard output is never synced.
    pub fsync: bool,
}

impl Default for NdjsonSettings {
    fn default() -> Self {
        Self {
            path: "-".into(),
            fsync: true,
        }
    }
}

/// An address of a broker. It may hold a password, so it is printed without its user part.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct BrokerUrl(Secret<String>);

impl BrokerUrl {
    /// Wraps an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self(Secret::new(url.into()))
    }

    /// The address with everything in it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn without_user(&self) -> String {
        let url = self.expose();
        let Some((scheme, rest)) = url.split_once("://") else {
            return "***".into();
        };
        // Without an `@`, what looks like a port may be a password.
        let place = match rest.rsplit_once('@') {
            Some((_, place)) => place,
            None => rest.split(':').next().unwrap_or(rest),
        };
        format!("{scheme}://{place}")
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_user())
    }
}

impl Serialize for BrokerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.without_user())
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_without_its_password() {
        let url = BrokerUrl::new("amqp://priem:p@ss/w0rd@broker:5672/%2f");
        assert_eq!(format!("{url:?}"), "amqp://broker:5672/%2f");
        assert_eq!(serde_json::to_string(&url).expect("JSON"), "\"amqp://broker:5672/%2f\"");
        assert_eq!(format!("{:?}", BrokerUrl::new("s3cret")), "***");
        assert_eq!(format!("{:?}", BrokerUrl::new("amqp://priem:s3cret")), "amqp://priem");
    }

    #[test]
    fn relative_paths_start_from_the_settings() {
        let mut amqp: AmqpSettings = serde_json::from_str(
            r#"{"url_secret":{"file":"u"},"password":{"file":"p"},"tls":{"key":{"file":"/k"},"ca_file":"ca"}}"#,
        )
        .expect("settings");
        amqp.start_paths_from(Path::new("/etc/priem"));
        assert_eq!(amqp.url_secret, Some(SecretRef::File("/etc/priem/u".into())));
        assert_eq!(amqp.password, Some(SecretRef::File("/etc/priem/p".into())));
        assert_eq!(amqp.tls.key, Some(SecretRef::File("/k".into())));
        assert_eq!(amqp.tls.ca_file, Some("/etc/priem/ca".into()));
    }

    #[test]
    fn the_time_until_parking_may_be_given_in_days() {
        let read = |text: &str| serde_json::from_str::<RefusedSettings>(text).map(|refused| refused.park_after());
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        assert_eq!(read(r#"{"park_after":"3d"}"#).expect("settings"), hours(72));
        assert_eq!(read(r#"{"park_after":"12h"}"#).expect("settings"), hours(12));
        assert_eq!(read("{}").expect("settings"), None);
        assert!(read(r#"{"park_after":"soon"}"#).is_err());
    }

    #[test]
    fn unknown_keys_are_refused_and_missing_ones_have_defaults() {
        assert!(serde_json::from_str::<PublishSettings>(r#"{"amqp":{"windows":1}}"#).is_err());
        let settings: PublishSettings = serde_json::from_str(r#"{"amqp":{"url":"amqp://h"}}"#).expect("settings");
        let amqp = settings.amqp.expect("the broker's settings");
        assert_eq!((amqp.channels, amqp.window, amqp.topology), (4, 64, Topology::Declare));
        assert_eq!(amqp.queues[0].bindings, ["#"]);
    }
}
