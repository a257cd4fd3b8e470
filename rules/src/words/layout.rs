//! Text typed with the wrong keyboard layout: «ghbdtn» is «привет».

/// Shortest chunk that is tried, in keys.
const SHORTEST: usize = 2;
/// Longest chunk that is tried, in bytes: longer ones are addresses and noise.
const LONGEST: usize = 40;

/// The Russian letter on the same key, lower case.
fn letter_on_key(key: u8) -> Option<char> {
    let letter = match key.to_ascii_lowercase() {
        b'q' => 'й',
        b'w' => 'ц',
        b'e' => 'у',
        b'r' => 'к',
        b't' => 'е',
        b'y' => 'н',
        b'u' => 'г',
        b'i' => 'ш',
        b'o' => 'щ',
        b'p' => 'з',
        b'[' | b'{' => 'х',
        b']' | b'}' => 'ъ',
        b'a' => 'ф',
        b's' => 'ы',
        b'd' => 'в',
        b'f' => 'а',
        b'g' => 'п',
        b'h' => 'р',
        b'j' => 'о',
        b'k' => 'л',
        b'l' => 'д',
        b';' | b':' => 'ж',
        b'\'' | b'"' => 'э',
        b'z' => 'я',
        b'x' => 'ч',
        b'c' => 'с',
        b'v' => 'м',
        b'b' => 'и',
        b'n' => 'т',
        b'm' => 'ь',
        b',' | b'<' => 'б',
        b'.' | b'>' => 'ю',
        b'`' | b'~' => 'ё',
        _ => return None,
    };
    Some(letter)
}

/// What the author may have meant by a chunk without spaces: nothing for one that no Russian layout makes; two
/// readings when it ends with a sign that may be a letter or a full stop.
pub(crate) fn readings(chunk: &str) -> Vec<String> {
    // A question mark is on another key in both layouts.
    let chunk = chunk.trim_end_matches(['!', '?']);
    if chunk.len() > LONGEST || !chunk.bytes().any(|key| key.is_ascii_alphabetic()) {
        return Vec::new();
    }
    let bare = chunk.trim_end_matches(|sign: char| !sign.is_ascii_alphabetic());
    let mut found = Vec::new();
    for part in [chunk, bare] {
        let retyped: Option<String> = part.bytes().map(letter_on_key).collect();
        found.extend(retyped.filter(|word| part.len() >= SHORTEST && !found.contains(word)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_typed_with_the_wrong_layout_are_read() {
        assert_eq!(readings("ghbdtn"), ["привет"]);
        assert_eq!(readings("Hf,jnf"), ["работа"]);
        assert_eq!(readings("djls."), ["водыю", "воды"]);
        assert_eq!(readings("cytu!"), ["снег"]);
        assert_eq!(readings("[jkjl"), ["холод"]);
    }

    #[test]
    fn what_is_no_typing_is_left_alone() {
        for chunk in ["снег", "123", "vk.com/perm", "h2o", ",", "a", "...", &"q".repeat(41)] {
            assert!(readings(chunk).is_empty(), "{chunk}: {:?}", readings(chunk));
        }
    }
}
