//! What place a message is about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place, as far as the source names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Address or place as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<Geo>,
    /// ФИАС/ГАР id of the most exact object known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fias: Option<String>,
    /// ОКТМО code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oktmo: Option<String>,
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Municipality as the source spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// District of a city.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city_district: Option<String>,
    /// Town or village.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<String>,
    /// Street.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// House.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub house: Option<String>,
    /// How exact the place is.
    #[serde(default)]
    pub precision: PlacePrecision,
}

impl Place {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets `precision` from the fields that are filled.
    #[must_use]
    pub fn with_precision(mut self) -> Self {
        self.precision = if self.house.is_some() {
            PlacePrecision::House
        } else if self.geo.is_some() {
            PlacePrecision::Point
        } else if self.street.is_some() {
            PlacePrecision::Street
        } else if self.settlement.is_some() || self.city_district.is_some() {
            PlacePrecision::Settlement
        } else if self.municipality.is_some() || self.oktmo.is_some() {
            PlacePrecision::Municipality
        } else if self.region.is_some() {
            PlacePrecision::Region
        } else if self.text.is_some() {
            PlacePrecision::Words
        } else {
            PlacePrecision::Unknown
        };
        self
    }
}

/// A point, WGS 84, degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Geo {
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lon: f64,
}

/// How exact a place is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlacePrecision {
    /// A house.
    House,
    /// A point on the map.
    Point,
    /// A street.
    Street,
    /// A settlement or city district.
    Settlement,
    /// A municipality.
    Municipality,
    /// A region.
    Region,
    /// Only words.
    Words,
    /// Nothing.
    #[default]
    Unknown,
}

impl PlacePrecision {
    /// Name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::House => "house",
            Self::Point => "point",
            Self::Street => "street",
            Self::Settlement => "settlement",
            Self::Municipality => "municipality",
            Self::Region => "region",
            Self::Words => "words",
            Self::Unknown => "unknown",
        }
    }
}
