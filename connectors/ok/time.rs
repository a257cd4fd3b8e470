//! Times of OK: milliseconds where the platform gives them, otherwise Moscow wall time without a zone.

use std::sync::LazyLock;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use priem_sdk::message::{Moment, Precision};

use super::api::Text;

/// The zone of every wall time of the platform. Its history counts: UTC+4 until October 2014.
static MOSCOW: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::get("Europe/Moscow").expect("the bundled time zones hold Moscow"));
const WALL: &str = "%Y-%m-%d %H:%M:%S";

/// The moment, from milliseconds when there are any.
pub(super) fn moment(millis: &Text, wall: &Text) -> Option<Moment> {
    if let Some(at) = millis.number().and_then(instant) {
        return Some(Moment::from_instant(at));
    }
    let text = wall.text()?;
    let at = DateTime::strptime(WALL, text).ok()?;
    Some(Moment::from_local(at, &MOSCOW, Precision::Second).with_source_text(text))
}

/// The same in Unix milliseconds. A `wall` that holds a number is taken for milliseconds.
pub(super) fn millis(millis: &Text, wall: &Text) -> Option<i64> {
    if let Some(at) = millis.number().or_else(|| wall.number()).and_then(instant) {
        return Some(at.as_millisecond());
    }
    let at = DateTime::strptime(WALL, wall.text()?).ok()?;
    let zoned = MOSCOW.to_ambiguous_zoned(at).compatible().ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// Zero and less mean that the platform does not know.
fn instant(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok().filter(|_| millis > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Text {
        serde_json::from_str(json).expect("any JSON")
    }

    #[test]
    fn wall_times_are_moscows_with_its_history() {
        let none = text("null");
        let old = moment(&none, &text("\"2014-04-11 12:53:02\"")).expect("a moment");
        assert_eq!(old.instant(), Some("2014-04-11T08:53:02Z".parse().expect("instant")));
        let new = moment(&none, &text("\"2026-04-11 12:53:02\"")).expect("a moment");
        assert_eq!(new.value, "2026-04-11T12:53:02+03:00");
        assert_eq!((new.zone.as_str(), new.precision), ("Europe/Moscow", Precision::Second));
        assert_eq!(new.source_text.as_deref(), Some("2026-04-11 12:53:02"));
        assert_eq!(millis(&none, &text("\"2014-04-11 12:53:02\"")), Some(1_397_206_382_000));
    }

    #[test]
    fn milliseconds_win_and_nonsense_is_nothing() {
        let wall = text("\"2026-04-11 12:53:02\"");
        let exact = moment(&text("\"1775901182471\""), &wall).expect("a moment");
        assert_eq!(exact.value, "2026-04-11T09:53:02.471Z");
        for nonsense in ["\"вчера\"", "\"2026-04-11\"", "null", "0", "-5", "99999999999999999"] {
            assert_eq!(millis(&text("null"), &text(nonsense)), None, "{nonsense}");
        }
        assert_eq!(moment(&text("0"), &wall).expect("a moment").zone, "Europe/Moscow");
    }
}
