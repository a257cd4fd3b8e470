//! Why publishing can't work with its settings, and what to do about it.

use std::{fmt::Display, path::Path};

use priem_sdk::SecretRef;

/// Settings of publishing don't fit. Names the key and the cure; never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct PublishError {
    /// Dotted key, for example `amqp.url`.
    pub key: &'static str,
    /// What is wrong and how to mend it.
    pub problem: String,
    /// What to do.
    pub cure: String,
    /// Whether only a person can mend it: the settings are wrong. Otherwise a file or secret can't be read now.
    pub is_mistake: bool,
}

impl PublishError {
    pub(super) fn settings(key: &'static str, problem: impl Display) -> Self {
        Self {
            key,
            problem: problem.to_string(),
            cure: format!("correct {key} in the settings"),
            is_mistake: true,
        }
    }

    /// A file that the settings name can't be used; `what` it should hold.
    pub(super) fn file(key: &'static str, path: &Path, what: &str, problem: impl Display) -> Self {
        let place = path.display();
        Self {
            problem: format!("{path:?}: {problem}"),
            cure: format!(
                "put {what} into {place}, readable for the user of the service (look with: sudo -u priem cat \
                 {place}), or correct {key}"
            ),
            is_mistake: false,
            ..Self::settings(key, "")
        }
    }

    /// A secret that the settings name can't be read.
    pub(super) fn secret(key: &'static str, secret: &SecretRef, problem: impl Display) -> Self {
        let cure = match secret {
            SecretRef::File(path) => {
                let place = path.display();
                format!(
                    "write it into {place}, in one line, readable for the user of the service alone (chown priem \
                     {place}; chmod 600 {place}), or correct {key}"
                )
            }
            SecretRef::Credential(name) => format!(
                "give it to the service: LoadCredential={name}:/etc/priem/secrets/{name} in its unit and the secret in \
                 that file, then systemctl daemon-reload and restart; a command by hand needs CREDENTIALS_DIRECTORY set \
                 to the folder of the secrets"
            ),
            SecretRef::Env(name) => format!("set {name} in the environment of the service, or correct {key}"),
        };
        Self {
            problem: problem.to_string(),
            cure,
            is_mistake: false,
            ..Self::settings(key, "")
        }
    }
}
