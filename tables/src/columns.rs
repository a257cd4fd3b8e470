//! Columns by their letters, as a spreadsheet shows them.

/// `A` → 0, `AI` → 34; upper or lower case.
pub fn column_index(letters: &str) -> Option<usize> {
    if letters.is_empty() || letters.len() > 3 {
        return None;
    }
    letters
        .bytes()
        .try_fold(0usize, |sum, byte| {
            let letter = byte.to_ascii_uppercase();
            letter
                .is_ascii_uppercase()
                .then(|| sum * 26 + usize::from(letter - b'A') + 1)
        })
        .map(|one_based| one_based - 1)
}

/// 0 → `A`, 34 → `AI`.
pub fn column_letters(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).expect("a remainder of 26 fits a byte"));
        rest /= 26;
    }
    letters.reverse();
    String::from_utf8(letters).expect("letters are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_indexes_agree() {
        for (letters, index) in [
            ("A", 0),
            ("Z", 25),
            ("AA", 26),
            ("AI", 34),
            ("AR", 43),
            ("ZZ", 701),
            ("AAA", 702),
        ] {
            assert_eq!(column_index(letters), Some(index));
            assert_eq!(column_letters(index), letters);
        }
        assert_eq!(column_index("я"), None);
    }
}
