//! Telephone numbers and names.

/// The canonical form of a Russian number, `+7` and ten digits, or of a foreign one that begins with `+`.
///
/// `8 (902) 470-00-01`, `+7 902 4700001`, `9024700001`; an extension (`доб. 12`) is left out.
pub fn phone(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let main = ["доб", "вн", "ext", ","]
        .iter()
        .filter_map(|mark| lower.find(mark))
        .min()
        .map_or(lower.as_str(), |end| &lower[..end]);
    let plus = main.trim_start().starts_with('+');
    if main.chars().any(|c| c.is_alphabetic()) {
        return None;
    }
    let digits: String = main.chars().filter(char::is_ascii_digit).collect();
    match (digits.len(), digits.as_bytes().first()) {
        (11, Some(b'7')) => Some(format!("+{digits}")),
        (11, Some(b'8')) if !plus => Some(format!("+7{}", &digits[1..])),
        (10, _) if !plus => Some(format!("+7{digits}")),
        (8..=15, _) if plus => Some(format!("+{digits}")),
        _ => None,
    }
}

/// A number of which only country and last four digits are left; text that is no number becomes stars.
pub fn mask_phone(text: &str) -> String {
    let Some(number) = phone(text) else {
        return "***".into();
    };
    let (head, tail) = (&number[..2], &number[number.len() - 4..]);
    format!("{head}{}{tail}", "*".repeat(number.len() - 6))
}

/// First letters of the words of a name: «И. И.» from «Иванов Иван».
pub fn mask_name(text: &str) -> String {
    let initials: Vec<String> = text
        .split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphabetic()))
        .take(4)
        .map(|letter| format!("{}.", letter.to_uppercase()))
        .collect();
    if initials.is_empty() {
        "***".into()
    } else {
        initials.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for text in [
            "8 (902) 470-00-01",
            "+7 902 4700001",
            "9024700001",
            "7-902-470-00-01",
            "8(902)4700001 доб. 12",
        ] {
            assert_eq!(phone(text).as_deref(), Some("+79024700001"), "{text}");
        }
        assert_eq!(phone("+375 29 123-45-67").as_deref(), Some("+375291234567"));
        for text in ["", "нет", "12", "8-800", "тел. 89024700001x"] {
            assert_eq!(phone(text), None, "{text}");
        }
    }

    #[test]
    fn masks_leave_little() {
        assert_eq!(mask_phone("8 902 470 00 01"), "+7******0001");
        assert_eq!(mask_phone("спросить у Анны"), "***");
        assert_eq!(mask_name("Иванов Иван  Иванович"), "И. И. И.");
        assert_eq!(mask_name("  "), "***");
    }
}
