//! Marks: how far an incremental list was read, as whole numbers (milliseconds for times) that only grow.

use jiff::{Timestamp, civil, tz::TimeZone};
use priem_sdk::ConfigError;
use serde_json::Value;

use super::config::{IncrementalSettings, MarkFormat, MarkKind};

/// Reads marks and writes `{since}`.
#[derive(Debug, Clone)]
pub struct Marks {
    kind: MarkKind,
    write: MarkFormat,
    zone: TimeZone,
    /// Milliseconds, or a count.
    overlap: i64,
    start: Option<i64>,
}

impl Marks {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn new(settings: &IncrementalSettings) -> Result<Self, ConfigError> {
        let wrong = |key: &str, problem: String| ConfigError::new(format!("incremental.{key}"), problem);
        let zone = match &settings.zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                wrong(
                    "zone",
                    format!("`{name}` is not a time zone; write it like Asia/Yekaterinburg"),
                )
            })?,
        };
        let overlap = match settings.kind {
            MarkKind::Number => i64::try_from(settings.overlap_count).unwrap_or(i64::MAX),
            _ => i64::try_from(settings.overlap.as_millis()).unwrap_or(i64::MAX),
        };
        if overlap < 0 {
            return Err(wrong("overlap", "must not be negative".into()));
        }
        let mut marks = Self {
            kind: settings.kind,
            write: settings.write,
            zone,
            overlap,
            start: None,
        };
        if let Some(start) = &settings.start {
            let start = marks.read(&Value::String(start.clone())).ok_or_else(|| {
                wrong(
                    "start",
                    "is not a mark of the kind named; write a time like 2026-01-01T00:00:00Z".into(),
                )
            })?;
            marks.start = Some(start);
        }
        Ok(marks)
    }

    /// A record's mark; `None` when it has none that can be read.
    pub fn read(&self, value: &Value) -> Option<i64> {
        let number = || match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match self.kind {
            MarkKind::Number | MarkKind::UnixMillis => number(),
            MarkKind::UnixSeconds => number()?.checked_mul(1000),
            MarkKind::Time => {
                let text = value.as_str()?.trim();
                if let Ok(moment) = text.parse::<Timestamp>() {
                    return Some(moment.as_millisecond());
                }
                let local = text.parse::<civil::DateTime>().ok()?;
                Some(local.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond())
            }
        }
    }

    /// `{since}` after the mark reached; `None` before anything was read without a start.
    pub fn since(&self, mark: Option<i64>) -> Option<Value> {
        let mark = match mark {
            Some(mark) => mark.saturating_sub(self.overlap),
            None => self.start?,
        };
        if self.kind == MarkKind::Number {
            return Some(mark.max(0).into());
        }
        let moment = Timestamp::from_millisecond(mark).ok()?;
        let local = moment.to_zoned(self.zone.clone());
        Some(match self.write {
            MarkFormat::Rfc3339 => Value::from(Timestamp::from_second(moment.as_second()).ok()?.to_string()),
            MarkFormat::Local => Value::from(local.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
            MarkFormat::Date => Value::from(local.strftime("%Y-%m-%d").to_string()),
            MarkFormat::RussianDate => Value::from(local.strftime("%d.%m.%Y").to_string()),
            MarkFormat::UnixSeconds => Value::from(moment.as_second()),
            MarkFormat::UnixMillis => Value::from(moment.as_millisecond()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marks(settings: Value) -> Marks {
        Marks::new(&serde_json::from_value(settings).expect("fits")).expect("marks")
    }

    #[test]
    fn times_are_read_in_their_zone_and_written_as_asked() {
        let perm =
            |write| marks(json!({"mark": ".at", "overlap": "10m", "zone": "Asia/Yekaterinburg", "write": write}));
        let read = perm("rfc3339").read(&json!("2026-06-01T00:05:00"));
        assert_eq!(read, perm("rfc3339").read(&json!("2026-05-31T19:05:00Z")));
        assert_eq!(read, perm("rfc3339").read(&json!("2026-06-01T00:05:00+05:00")));
        for (write, since) in [
            ("rfc3339", json!("2026-05-31T18:55:00Z")),
            ("local", json!("2026-05-31T23:55:00")),
            ("date", json!("2026-05-31")),
            ("russian_date", json!("31.05.2026")),
            ("unix_seconds", json!(1_780_253_700)),
        ] {
            assert_eq!(perm(write).since(read), Some(since), "{write}");
        }
        assert_eq!(perm("date").read(&json!("вчера")), None);
        assert_eq!(perm("date").since(None), None);
    }

    #[test]
    fn numbers_look_back_by_count_and_a_start_is_taken_as_it_is() {
        let numbers = marks(json!({"mark": ".n", "kind": "number", "overlap_count": 5, "start": "100"}));
        assert_eq!(numbers.since(None), Some(json!(100)));
        assert_eq!(numbers.since(numbers.read(&json!("107"))), Some(json!(102)));
        assert_eq!(numbers.since(Some(2)), Some(json!(0)));
        let wrong = serde_json::from_value(json!({"mark": ".n", "zone": "Perm"})).expect("fits");
        assert_eq!(Marks::new(&wrong).expect_err("no zone").key, "incremental.zone");
    }
}
