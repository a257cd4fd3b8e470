//! Errors are decisions for the host: each variant says what must happen next, not where it came from.

use std::time::Duration;

/// What a connector could not do, as a decision for the host.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// Try again later with growing pauses: network trouble, 5xx, a body that is not what the platform sends.
    #[error("temporary trouble: {why}")]
    Transient {
        /// What happened, without addresses (tokens live in them).
        why: String,
    },
    /// The platform asked to wait exactly this long.
    #[error("rate limited for {} s", retry_after.as_secs())]
    RateLimited {
        /// How long to stay silent.
        retry_after: Duration,
    },
    /// The platform refused the credentials: stop this connector and call a human.
    #[error("credentials refused: {hint}")]
    AuthRejected {
        /// What a human should do.
        hint: String,
    },
    /// The set-up can't work as it is (somebody else's webhook, a missing right): stop and call a human.
    #[error("misconfigured: {hint}")]
    Misconfigured {
        /// What a human should do.
        hint: String,
    },
    /// The platform says that events were lost: alarm, then go on.
    #[error("the platform lost events: {what}")]
    Gap {
        /// What is known about the loss.
        what: String,
    },
    /// The verb is not supported by this connector.
    #[error("{0} is not supported by this connector")]
    Unsupported(&'static str),
}

impl ConnectorError {
    /// A [`ConnectorError::Transient`] from anything printable.
    pub fn transient(why: impl std::fmt::Display) -> Self {
        Self::Transient { why: why.to_string() }
    }

    /// Short bounded name, for metric labels and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Transient { .. } => "transient",
            Self::RateLimited { .. } => "rate_limited",
            Self::AuthRejected { .. } => "auth_rejected",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Gap { .. } => "gap",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

/// Why a webhook request was not taken. The host answers with [`Refusal::status`] and stores nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No proof of the sender at all.
    #[error("the sender gave no proof")]
    Unauthenticated,
    /// A proof that does not hold (a wrong secret, signature or certificate).
    #[error("the sender's proof does not hold")]
    Forbidden,
    /// The address of the sender lies in none of the networks of the platform.
    #[error("the sender's network is not listed")]
    ForeignNetwork,
    /// The secret part of the path is another one, or missing.
    #[error("the path is not ours")]
    WrongPath,
    /// The method is not one the platform uses.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// This connector takes no webhooks.
    #[error("no webhook here")]
    NotFound,
}

impl Refusal {
    /// HTTP status to answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::ForeignNetwork | Self::WrongPath => 403,
            Self::MethodNotAllowed => 405,
            Self::NotFound => 404,
        }
    }

    /// Short bounded name, for metric labels.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "secret",
            Self::ForeignNetwork => "network",
            Self::WrongPath => "path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotFound => "not_found",
        }
    }
}

/// Why a raw item could not become messages. The host quarantines the item whole.
///
/// `why` never quotes citizens' words: it names fields, kinds and positions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {why}")]
pub struct NormalizeError {
    /// Bounded, `snake_case`: a metric label and the column staff filter by (`unknown_kind`, `not_json`, `bad_row`).
    pub reason: &'static str,
    /// For a person: what is wrong and where.
    pub why: String,
}

impl NormalizeError {
    /// Builds the error.
    pub fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self {
            reason,
            why: why.into(),
        }
    }
}

/// Settings of a connector don't fit. Names the key and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// Dotted key below the connector's entry, for example `webhook.secret`; empty for the entry itself.
    pub key: String,
    /// What is wrong and how to mend it.
    pub problem: String,
}

impl ConfigError {
    /// Builds the error.
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}
