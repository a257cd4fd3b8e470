//! Who wrote.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The author of a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// What sort of author; a routing condition.
    pub kind: AuthorKind,
    /// Id of the author at the source, when the source gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Name as the source shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Public short name (`@ivanov`), without the at sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Ways to answer. Masked in the queue by default.
    #[serde(default, skip_serializing_if = "Contacts::is_empty")]
    pub contacts: Contacts,
}

/// What sort of author.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    /// A citizen.
    Person,
    /// A company or institution.
    LegalEntity,
    /// A page, channel or group that speaks as itself.
    Community,
    /// Several applicants together.
    Collective,
    /// The source hides the author.
    #[default]
    Anonymous,
    /// An official or the account owner: not a citizen's words.
    Staff,
}

impl AuthorKind {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::LegalEntity => "legal_entity",
            Self::Community => "community",
            Self::Collective => "collective",
            Self::Anonymous => "anonymous",
            Self::Staff => "staff",
        }
    }
}

/// Ways to answer the author.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contacts {
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_address: Option<String>,
}

impl Contacts {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
