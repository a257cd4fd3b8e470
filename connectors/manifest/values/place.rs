//! Codes and points of places.

/// A ФИАС/ГАР id in its canonical form: lower case with hyphens. Braces and missing hyphens are forgiven.
pub fn fias(text: &str) -> Option<String> {
    let hex: String = text
        .trim()
        .trim_matches(['{', '}'])
        .chars()
        .filter(|c| *c != '-')
        .collect::<String>()
        .to_ascii_lowercase();
    let whole = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !whole || hex.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Some(parts.join("-"))
}

/// An ОКТМО code: 8 digits of a municipality or 11 of a settlement in it. Spaces are forgiven; a zero in front that a
/// number in JSON lost is put back.
pub fn oktmo(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let code = match digits.len() {
        7 | 10 => format!("0{digits}"),
        8 | 11 => digits,
        _ => return None,
    };
    (!code.bytes().all(|byte| byte == b'0')).then_some(code)
}

/// A point from two numbers, when there is such a point; (0, 0) stands for "unknown" in exports.
pub fn point(lat: f64, lon: f64) -> Option<(f64, f64)> {
    let possible = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
    (possible && (lat != 0.0 || lon != 0.0)).then_some((lat, lon))
}

/// A point from `58.01, 56.25` or `58.01 56.25`.
pub fn point_text(text: &str) -> Option<(f64, f64)> {
    let mut numbers = text
        .split([',', ';', ' '])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse::<f64>);
    let (lat, lon) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    if numbers.next().is_some() {
        return None;
    }
    point(lat, lon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_form() {
        let canonical = "c52ea942-555e-45c6-9751-58897717b02f";
        for text in [
            canonical,
            "{C52EA942-555E-45C6-9751-58897717B02F}",
            "c52ea942555e45c6975158897717b02f",
        ] {
            assert_eq!(fias(text).as_deref(), Some(canonical));
        }
        assert_eq!(fias("00000000-0000-0000-0000-000000000000"), None);
        assert_eq!(fias("Пермь"), None);
        assert_eq!(oktmo("57 701 000").as_deref(), Some("57701000"));
        assert_eq!(oktmo("4612000").as_deref(), Some("04612000"));
        assert_eq!(oktmo("57701000001").as_deref(), Some("57701000001"));
        assert_eq!(
            (oktmo("577"), oktmo("0000000000"), oktmo("57701ООО")),
            (None, None, None)
        );
    }

    #[test]
    fn impossible_points_are_none() {
        assert_eq!(point_text("58.01, 56.25"), Some((58.01, 56.25)));
        assert_eq!(point_text("0, 0"), None);
        assert_eq!(point_text("158, 56"), None);
        assert_eq!(point_text("58.01"), None);
    }
}
