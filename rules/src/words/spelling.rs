//! One spelling of letters and digits, below the rules and below the search for numbers of persons: what both take for
//! the same letter, what hides inside a word, and what a digit is. So a message can't be one thing to the rules and
//! another to privacy.

/// Lower case for matching, ё = е.
#[inline]
pub fn fold(letter: char) -> char {
    match letter {
        'а'..='я' | 'a'..='z' | '0'..='9' => letter,
        // Capital Cyrillic letters stand 32 below the small ones.
        'А'..='Я' => char::from_u32(letter as u32 + 32).unwrap_or(letter),
        'ё' | 'Ё' => 'е',
        'A'..='Z' => letter.to_ascii_lowercase(),
        _ => letter.to_lowercase().next().unwrap_or(letter),
    }
}

/// Marks that decorate a letter or a digit, or hide inside a word, and carry none of their own: accents, strokes, the
/// frame of a key-cap, soft hyphens, zero-width and direction signs (Unicode classes Mn, Me and Cf of scripts seen here).
#[inline]
pub fn is_invisible(letter: char) -> bool {
    match letter {
        // Nearly every letter is decided here.
        '\0'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{5ff}' => false,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' => true,
        _ => matches!(
            letter,
            '\u{600}'..='\u{605}'
                | '\u{61c}'
                // Fillers of Hangul: letters by their class, nothing to the eye.
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{3164}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{180b}'..='\u{180f}'
                | '\u{1ab0}'..='\u{1aff}'
                | '\u{1dc0}'..='\u{1dff}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{20d0}'..='\u{20ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{fe20}'..='\u{fe2f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        ),
    }
}

/// Latin letters that look like Russian ones, lower case.
const LOOKALIKES: [(char, char); 12] = [
    ('a', 'а'),
    ('b', 'в'),
    ('c', 'с'),
    ('e', 'е'),
    ('h', 'н'),
    ('k', 'к'),
    ('m', 'м'),
    ('o', 'о'),
    ('p', 'р'),
    ('t', 'т'),
    ('x', 'х'),
    ('y', 'у'),
];

/// The Russian letter that a folded Latin one looks like.
#[inline]
pub fn russian(letter: char) -> Option<char> {
    let found = LOOKALIKES.iter().find(|(latin, _)| *latin == letter)?;
    Some(found.1)
}

/// Value of a decimal digit, however it is written: full-width, mathematical, raised, in a circle, of another script.
#[inline]
pub fn digit(letter: char) -> Option<u8> {
    match letter {
        '0'..='9' => Some(letter as u8 - b'0'),
        '\0'..='\u{b1}' | '\u{ba}'..='\u{65f}' => None,
        _ => digit_of_table(letter as u32),
    }
}

fn digit_of_table(code: u32) -> Option<u8> {
    let after = DIGITS.partition_point(|run| run.0 <= code);
    let (first, last, value) = DIGITS.get(after.checked_sub(1)?)?;
    let value = (code <= *last).then(|| (code - first + u32::from(*value)) % 10)?;
    u8::try_from(value).ok()
}

/// Runs of characters whose numeric type is a decimal digit or a digit (Unicode 16, UnicodeData, fields 6 and 7): first,
/// last, value of the first. Longer runs begin again after 9.
#[rustfmt::skip]
const DIGITS: &[(u32, u32, u8)] = &[
    (0xb2, 0xb3, 2), (0xb9, 0xb9, 1), (0x660, 0x669, 0), (0x6f0, 0x6f9, 0), (0x7c0, 0x7c9, 0), (0x966, 0x96f, 0),
    (0x9e6, 0x9ef, 0), (0xa66, 0xa6f, 0), (0xae6, 0xaef, 0), (0xb66, 0xb6f, 0), (0xbe6, 0xbef, 0), (0xc66, 0xc6f, 0),
    (0xce6, 0xcef, 0), (0xd66, 0xd6f, 0), (0xde6, 0xdef, 0), (0xe50, 0xe59, 0), (0xed0, 0xed9, 0), (0xf20, 0xf29, 0),
    (0x1040, 0x1049, 0), (0x1090, 0x1099, 0), (0x1369, 0x1371, 1), (0x17e0, 0x17e9, 0), (0x1810, 0x1819, 0),
    (0x1946, 0x194f, 0), (0x19d0, 0x19d9, 0), (0x19da, 0x19da, 1), (0x1a80, 0x1a89, 0), (0x1a90, 0x1a99, 0),
    (0x1b50, 0x1b59, 0), (0x1bb0, 0x1bb9, 0), (0x1c40, 0x1c49, 0), (0x1c50, 0x1c59, 0), (0x2070, 0x2070, 0),
    (0x2074, 0x2079, 4), (0x2080, 0x2089, 0), (0x2460, 0x2468, 1), (0x2474, 0x247c, 1), (0x2488, 0x2490, 1),
    (0x24ea, 0x24ea, 0), (0x24f5, 0x24fd, 1), (0x24ff, 0x24ff, 0), (0x2776, 0x277e, 1), (0x2780, 0x2788, 1),
    (0x278a, 0x2792, 1), (0xa620, 0xa629, 0), (0xa8d0, 0xa8d9, 0), (0xa900, 0xa909, 0), (0xa9d0, 0xa9d9, 0),
    (0xa9f0, 0xa9f9, 0), (0xaa50, 0xaa59, 0), (0xabf0, 0xabf9, 0), (0xff10, 0xff19, 0), (0x104a0, 0x104a9, 0),
    (0x10a40, 0x10a43, 1), (0x10d30, 0x10d39, 0), (0x10d40, 0x10d49, 0), (0x10e60, 0x10e68, 1), (0x11052, 0x1105a, 1),
    (0x11066, 0x1106f, 0), (0x110f0, 0x110f9, 0), (0x11136, 0x1113f, 0), (0x111d0, 0x111d9, 0), (0x112f0, 0x112f9, 0),
    (0x11450, 0x11459, 0), (0x114d0, 0x114d9, 0), (0x11650, 0x11659, 0), (0x116c0, 0x116c9, 0), (0x11730, 0x11739, 0),
    (0x118e0, 0x118e9, 0), (0x11950, 0x11959, 0), (0x11c50, 0x11c59, 0), (0x11d50, 0x11d59, 0), (0x11da0, 0x11da9, 0),
    (0x11f50, 0x11f59, 0), (0x16a60, 0x16a69, 0), (0x16ac0, 0x16ac9, 0), (0x16b50, 0x16b59, 0), (0x1ccf0, 0x1ccf9, 0),
    (0x1d7ce, 0x1d7ff, 0), (0x1e140, 0x1e149, 0), (0x1e2f0, 0x1e2f9, 0), (0x1e4f0, 0x1e4f9, 0), (0x1e950, 0x1e959, 0),
    (0x1f100, 0x1f100, 0), (0x1f101, 0x1f10a, 0), (0x1fbf0, 0x1fbf9, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_form_have_their_value() {
        for written in [
            "0123456789",
            "０１２３４５６７８９",
            "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
            "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿",
            "⓪①②③④⑤⑥⑦⑧⑨",
            "⁰¹²³⁴⁵⁶⁷⁸⁹",
            "٠١٢٣٤٥٦٧٨٩",
        ] {
            let values: Vec<_> = written.chars().map(digit).collect();
            assert_eq!(values, (0..10).map(Some).collect::<Vec<_>>(), "{written}");
        }
        for other in ['а', 'z', '-', '½', '⑩', '№', '\u{b4}', '\u{10ffff}'] {
            assert_eq!(digit(other), None, "{other}");
        }
        assert!(DIGITS.is_sorted_by(|one, other| one.1 < other.0));
    }

    #[test]
    fn letters_are_seen_and_marks_are_not() {
        for letter in ['а', 'ё', 'Я', 'z', '5', ' ', '\u{a0}', '-', '\u{2212}', '\n'] {
            assert!(!is_invisible(letter), "{letter:?}");
        }
        for mark in [
            '\u{ad}', '\u{301}', '\u{200b}', '\u{200d}', '\u{feff}', '\u{fe0f}', '\u{20e3}', '\u{202e}', '\u{336}',
        ] {
            assert!(is_invisible(mark), "{mark:?}");
        }
        assert_eq!((russian('c'), russian('i')), (Some('с'), None));
    }
}
