//! Offsets in UTF-16 code units, as messengers (Telegram, MAX) count them in the markup of a text.
//!
//! Total: an offset that does not fit the text, or would cut a character in two, gives nothing.

/// The part of `text` from `offset`, `length` long, both in UTF-16 code units. `None` when it does not fit or would
/// cut a character in two.
pub fn slice(text: &str, offset: i64, length: i64) -> Option<&str> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let from = byte_at(text, start)?;
    let to = byte_at(text, end)?;
    text.get(from..to)
}

fn byte_at(text: &str, units: usize) -> Option<usize> {
    let mut seen = 0;
    for (byte, character) in text.char_indices() {
        if seen >= units {
            return (seen == units).then_some(byte);
        }
        seen += character.len_utf16();
    }
    (seen == units).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn emoji_take_two_units() {
        let text = "👍🏽 спасибо @gorod_nagornyy!";
        let units: Vec<u16> = text.encode_utf16().collect();
        let at = text.split('@').next().expect("before").encode_utf16().count();
        let length = "@gorod_nagornyy".len();
        assert_eq!(
            String::from_utf16(&units[at..at + length]).expect("valid"),
            "@gorod_nagornyy"
        );
        assert_eq!(slice(text, at as i64, length as i64), Some("@gorod_nagornyy"));
    }

    #[test]
    fn offsets_that_do_not_fit_give_nothing() {
        assert_eq!(slice("👍", 1, 1), None, "cuts a surrogate pair");
        assert_eq!(slice("да", 0, 3), None);
        assert_eq!(slice("да", -1, 1), None);
        assert_eq!(slice("да", i64::MAX, i64::MAX), None);
        assert_eq!(slice("да", 2, 0), Some(""));
    }
}
