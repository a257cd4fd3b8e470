//! What the auto-rules decided, carried with every message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlacePrecision;

/// Decision of the auto-rules. Rule ids are stable names from the rule files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Routing {
    /// Sector block (отраслевой блок).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    /// Territory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<String>,
    /// How the territory was found, when a gazetteer or a rule found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory_found_by: Option<TerritoryFoundBy>,
    /// How exact the place is by the words of the message, when they say more than the fields of `place`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_precision: Option<PlacePrecision>,
    /// Who must deal with it.
    pub recipient: Recipient,
    /// Routing key at the broker.
    pub queue: String,
    /// 0 (lowest) to 9.
    pub priority: u8,
    /// Name of the order of deadlines that applies, when a rule or route names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_policy: Option<String>,
    /// Name of the personal-data policy that applies, when a rule or route names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_data: Option<String>,
    /// Marks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// A human must look before it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review_required: bool,
    /// This is a copy for information (`also`), not the main recipient's. It carries the same event id: it is the same
    /// message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copy: bool,
    /// Rules ask about working time, and there is no production calendar of that year: weekends are left out, holidays
    /// are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calendar_missing: bool,
    /// Version of the rules that decided: the first 12 hex digits of the hash of their files.
    pub rules_version: String,
    /// Ids of the rules and routes that took part, in order.
    pub matched: Vec<String>,
    /// Why, in Russian, one short sentence a step.
    pub explanation: Vec<String>,
}

/// By what a territory was found, from the most trusted to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TerritoryFoundBy {
    /// The ФИАС/ГАР id of the place.
    Fias,
    /// The ОКТМО code of the place.
    Oktmo,
    /// The city district that the source names.
    District,
    /// The coordinates, in a polygon.
    Point,
    /// The settlement that the source names.
    Settlement,
    /// The municipality that the source names.
    Municipality,
    /// The region that the source names.
    Region,
    /// The street that the source names.
    Street,
    /// A name in the text.
    TextName,
    /// A street in the text.
    TextStreet,
    /// The territory of the source itself: of its connector, of the body the message was sent to.
    Source,
    /// An auto-rule.
    Rule,
}

impl TerritoryFoundBy {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fias => "fias",
            Self::Oktmo => "oktmo",
            Self::District => "district",
            Self::Point => "point",
            Self::Settlement => "settlement",
            Self::Municipality => "municipality",
            Self::Region => "region",
            Self::Street => "street",
            Self::TextName => "text_name",
            Self::TextStreet => "text_street",
            Self::Source => "source",
            Self::Rule => "rule",
        }
    }
}

/// A role in a body, not a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// The body.
    pub organisation: String,
    /// The role in it (`координатор`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}
