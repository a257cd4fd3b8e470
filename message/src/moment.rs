//! Times with their precision and zone. A date stays a date: it never becomes midnight UTC.

use jiff::{Timestamp, civil, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When things happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// When the author acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred: Option<Moment>,
    /// When the source registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_source: Option<Moment>,
    /// When the source closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Moment>,
    /// When Priem stored it, UTC.
    #[schemars(with = "String")]
    pub received: Timestamp,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            occurred: None,
            at_source: None,
            closed: None,
            received: Timestamp::UNIX_EPOCH,
        }
    }
}

/// A moment as exact as the source gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// `2026-01-05` for a date, RFC 3339 with the zone's offset otherwise.
    pub value: String,
    /// How exact it is.
    pub precision: Precision,
    /// IANA zone of the source.
    pub zone: String,
    /// The text it was read from, when the source gave text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_text: Option<String>,
}

/// How exact a moment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// A day.
    Date,
    /// A minute.
    Minute,
    /// A second or better.
    Second,
}

impl Moment {
    /// An exact instant, in UTC.
    pub fn from_instant(at: Timestamp) -> Self {
        Self {
            value: at.to_string(),
            precision: Precision::Second,
            zone: "UTC".into(),
            source_text: None,
        }
    }

    /// A wall-clock time in a zone.
    pub fn from_local(at: civil::DateTime, zone: &TimeZone, precision: Precision) -> Self {
        let value = match zone.to_ambiguous_zoned(at).compatible() {
            Ok(zoned) => zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Err(_) => at.to_string(),
        };
        Self {
            value,
            precision,
            zone: zone_name(zone),
            source_text: None,
        }
    }

    /// A day in a zone, without a time.
    pub fn from_date(date: civil::Date, zone: &TimeZone) -> Self {
        Self {
            value: date.to_string(),
            precision: Precision::Date,
            zone: zone_name(zone),
            source_text: None,
        }
    }

    /// Keeps the text the moment was read from.
    #[must_use]
    pub fn with_source_text(mut self, text: impl Into<String>) -> Self {
        self.source_text = Some(text.into());
        self
    }

    /// The instant, when the precision allows to speak of one.
    pub fn instant(&self) -> Option<Timestamp> {
        match self.precision {
            Precision::Date => None,
            Precision::Minute | Precision::Second => self.value.parse().ok(),
        }
    }
}

fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_no_instant() {
        let zone = TimeZone::get("Asia/Yekaterinburg").expect("zone");
        let moment = Moment::from_date(civil::date(2026, 1, 5), &zone);
        assert_eq!(moment.value, "2026-01-05");
        assert_eq!(moment.instant(), None);
    }

    #[test]
    fn a_local_time_keeps_its_offset() {
        let zone = TimeZone::get("Asia/Yekaterinburg").expect("zone");
        let moment = Moment::from_local(civil::date(2026, 1, 5).at(10, 30, 0, 0), &zone, Precision::Minute);
        assert_eq!(moment.value, "2026-01-05T10:30:00+05:00");
        assert_eq!(moment.instant(), Some("2026-01-05T05:30:00Z".parse().expect("instant")));
    }
}
