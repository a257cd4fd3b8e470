//! Polygons from GeoJSON (RFC 7946): a geometry, a feature or a collection of features; longitude comes first, WGS 84.

use serde_json::Value;

use super::polygon::{Point, Polygon};

/// Which features of a collection are meant: those whose property has this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) property: String,
    pub(crate) value: String,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Document(Value);

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, in Russian.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("это не JSON: {error}"))
    }

    /// Its polygons, or those of the selected features.
    ///
    /// # Errors
    /// What is wrong, in Russian.
    pub(crate) fn polygons(&self, selection: Option<&Selection>) -> Result<Vec<Polygon>, String> {
        let document = &self.0;
        let mut polygons = Vec::new();
        if document["type"] == "FeatureCollection" {
            let features = document["features"]
                .as_array()
                .ok_or("в FeatureCollection нет списка features")?;
            for feature in features.iter().filter(|feature| is_selected(feature, selection)) {
                add_geometry(&feature["geometry"], &mut polygons)?;
            }
        } else if document["type"] == "Feature" {
            add_geometry(&document["geometry"], &mut polygons)?;
        } else {
            add_geometry(document, &mut polygons)?;
        }
        match selection {
            Some(Selection { property, value }) if polygons.is_empty() => Err(format!(
                "нет ни одного многоугольника, у которого свойство «{property}» равно «{value}»"
            )),
            None if polygons.is_empty() => Err("нет ни одного многоугольника".into()),
            _ => Ok(polygons),
        }
    }
}

fn is_selected(feature: &Value, selection: Option<&Selection>) -> bool {
    selection.is_none_or(|Selection { property, value }| match &feature["properties"][property] {
        Value::String(text) => text.trim() == value,
        // A number or a truth value as it is written.
        other => serde_json::to_string(other).is_ok_and(|written| written == *value),
    })
}

fn add_geometry(geometry: &Value, polygons: &mut Vec<Polygon>) -> Result<(), String> {
    let coordinates = &geometry["coordinates"];
    match geometry["type"].as_str() {
        Some("Polygon") => polygons.push(polygon(coordinates)?),
        Some("MultiPolygon") => {
            for one in coordinates.as_array().ok_or("у MultiPolygon нет coordinates")? {
                polygons.push(polygon(one)?);
            }
        }
        Some("GeometryCollection") => {
            for one in geometry["geometries"]
                .as_array()
                .ok_or("у GeometryCollection нет geometries")?
            {
                add_geometry(one, polygons)?;
            }
        }
        Some(kind) => return Err(format!("фигура «{kind}» не годится, нужны Polygon или MultiPolygon")),
        None => return Err("нет фигуры Polygon или MultiPolygon".into()),
    }
    Ok(())
}

fn polygon(coordinates: &Value) -> Result<Polygon, String> {
    let rings = coordinates.as_array().ok_or("у Polygon нет списка колец coordinates")?;
    let rings: Result<Vec<Vec<Point>>, String> = rings.iter().map(ring).collect();
    Polygon::new(rings?).ok_or_else(|| "у многоугольника нет площади".into())
}

fn ring(points: &Value) -> Result<Vec<Point>, String> {
    let points = points.as_array().ok_or("кольцо — не список точек")?;
    if points.is_empty() {
        return Err("в кольце нет точек".into());
    }
    points.iter().map(point).collect()
}

fn point(point: &Value) -> Result<Point, String> {
    let (lon, lat) = (point[0].as_f64(), point[1].as_f64());
    let (Some(lon), Some(lat)) = (lon, lat) else {
        return Err("точка — не пара чисел [долгота, широта]".into());
    };
    if !(-180.0..=180.0).contains(&lon) || !(-90.0..=90.0).contains(&lat) {
        return Err(format!(
            "точки [{lon}, {lat}] нет на Земле: нужны градусы WGS 84, сначала долгота"
        ));
    }
    Ok([lon, lat])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, selection: Option<&Selection>) -> Result<Vec<Polygon>, String> {
        Document::parse(text)?.polygons(selection)
    }

    const TWO: &str = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","properties":{"name":"Север","n":1},"geometry":{"type":"Polygon","coordinates":[[[0,1],[2,1],[2,2],[0,2],[0,1]]]}},
        {"type":"Feature","properties":{"name":"Юг","n":2},"geometry":{"type":"MultiPolygon","coordinates":[[[[0,0],[2,0],[2,1],[0,1]]]]}}
    ]}"#;

    #[test]
    fn features_are_chosen_by_a_property() {
        let south = Selection {
            property: "name".into(),
            value: "Юг".into(),
        };
        let found = read(TWO, Some(&south)).expect("polygons");
        assert!(found.len() == 1 && found[0].has([1.0, 0.5]) && !found[0].has([1.0, 1.5]));
        let by_number = Selection {
            property: "n".into(),
            value: "1".into(),
        };
        assert!(read(TWO, Some(&by_number)).expect("polygons")[0].has([1.0, 1.5]));
        assert_eq!(read(TWO, None).expect("polygons").len(), 2);
    }

    #[test]
    fn what_can_t_be_used_is_named() {
        let wrong = [
            ("{", "не JSON"),
            ("{}", "нет фигуры"),
            (r#"{"type":"Point","coordinates":[1,1]}"#, "«Point»"),
            (r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[2,0]]]}"#, "площади"),
            (
                r#"{"type":"Polygon","coordinates":[[[56,580],[1,0],[2,1]]]}"#,
                "долгота",
            ),
            (r#"{"type":"Polygon","coordinates":[[]]}"#, "нет точек"),
            (r#"{"type":"FeatureCollection","features":[]}"#, "ни одного"),
        ];
        for (text, said) in wrong {
            let error = read(text, None).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
