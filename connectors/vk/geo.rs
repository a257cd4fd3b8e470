//! The two formats of a point: numbers in an object (messages), one string "lat long" (posts).

use priem_sdk::message::{Geo, Place};
use serde_json::Value;

/// The point of a `geo`, when it lies on the earth.
pub(super) fn point(geo: &Value) -> Option<Geo> {
    let (lat, lon) = match &geo["coordinates"] {
        Value::String(text) => {
            let mut numbers = text.split([' ', ',']).filter(|part| !part.is_empty());
            (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?)
        }
        object => (object["latitude"].as_f64()?, object["longitude"].as_f64()?),
    };
    let inside = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
    inside.then_some(Geo { lat, lon })
}

/// The place of a message or post: the point and its name.
pub(super) fn place(geo: &Value) -> Place {
    let named = &geo["place"];
    let mut words: Vec<&str> = Vec::new();
    for key in ["title", "address", "city"] {
        if let Some(word) = named[key].as_str().map(str::trim)
            && !word.is_empty()
            && !words.iter().any(|known| known.contains(word))
        {
            words.push(word);
        }
    }
    Place {
        text: (!words.is_empty()).then(|| words.join(", ")),
        geo: point(geo),
        ..Place::default()
    }
    .with_precision()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_formats_give_one_point() {
        let expected = Some(Geo { lat: 58.01, lon: 56.25 });
        assert_eq!(
            point(&json!({"type": "point", "coordinates": {"latitude": 58.01, "longitude": 56.25}})),
            expected
        );
        assert_eq!(point(&json!({"type": "point", "coordinates": "58.01 56.25"})), expected);
        for odd in [
            json!(null),
            json!({"coordinates": "58"}),
            json!({"coordinates": "north pole"}),
            json!({"coordinates": "158 56"}),
            json!({"coordinates": {"latitude": "x"}}),
        ] {
            assert_eq!(point(&odd), None, "{odd}");
        }
    }

    #[test]
    fn a_named_place_keeps_its_words_once() {
        let geo = json!({"coordinates": {"latitude": 58.0, "longitude": 56.0},
            "place": {"title": "Пермь, ул. Ленина", "city": "Пермь"}});
        assert_eq!(place(&geo).text.as_deref(), Some("Пермь, ул. Ленина"));
    }
}
