//! What an operator can set about personal data.

use std::{collections::BTreeMap, path::Path};

use priem_sdk::SecretRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to one field of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The field is left out.
    Drop,
    /// Enough is left to see that there was something: `***89`, `И*** П***`; in texts, telephones and e-mails go.
    Mask,
    /// A keyed hash: the same value gives the same hash, nobody can turn it back. Needs `hash_key`.
    Hash,
    /// Readable only with `encrypt_key`.
    Encrypt,
    /// As it is.
    Pass,
}

/// What of personal data goes to the queue or into the NDJSON file.
///
/// СНИЛС, numbers of medical policies and birth dates are removed always, from texts as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacySettings {
    /// What happens by class (`text`, `name`, `contact`, `identifier`, `location`) or by field (`author.name`), which
    /// goes before its class: `drop`, `mask`, `hash`, `encrypt` or `pass`. What is not named passes, except contacts:
    /// they are masked.
    pub policy: BTreeMap<String, Action>,
    /// Other policies for some channels, routes, queues or names that rules give. All that hold are applied in their order; the last word wins.
    pub overrides: Vec<PrivacyOverride>,
    /// Secret key of hashes, at least 32 characters (`openssl rand -hex 32`). Another key gives other hashes.
    pub hash_key: Option<SecretRef>,
    /// Secret key of encryption, 64 hex digits (`openssl rand -hex 32`). Whoever loses it can't read the fields again.
    pub encrypt_key: Option<SecretRef>,
}

/// A policy for some messages. At least one of `channel`, `route`, `personal_data` and `queue`; all that are given must
/// hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyOverride {
    /// Channel of the message (`vk`, `pos`).
    pub channel: Option<String>,
    /// Id of a route or rule that took part in the decision.
    pub route: Option<String>,
    /// Name that a rule or route gave the message (`personal_data` in rule files). A name that rules give and no entry
    /// here knows is refused: it would mean nothing.
    pub personal_data: Option<String>,
    /// Routing key it goes to; tells a copy for information from the message itself.
    pub queue: Option<String>,
    /// As `privacy.policy`; what is not named here stays as decided before.
    pub policy: BTreeMap<String, Action>,
}

impl PrivacySettings {
    /// Makes relative paths of keys start from `base`.
    pub fn start_paths_from(&mut self, base: &Path) {
        for key in [&mut self.hash_key, &mut self.encrypt_key].into_iter().flatten() {
            *key = key.starting_from(base);
        }
    }
}
