//! The language of a text, by its letters: cheap enough for every message, and silent where letters don't tell.
//!
//! Russian is what Cyrillic text is unless letters say otherwise. The languages of Russia and its neighbours add letters
//! of their own to the alphabet; the language whose letters cover what was found is the answer. What letters can't tell:
//! a language in the Russian alphabet (Mordvin, careless Ukrainian) passes for Russian; Komi and Komi-Permyak are one
//! (`kv` is the code of both); Latin letters are English only when they form English words, since they may as well be a
//! transliteration or a name.

/// Letters looked at; a longer text says nothing new.
const LETTERS: usize = 2_000;
/// Fewer letters are no text.
const FEWEST: usize = 3;
/// Letters outside the Russian alphabet, of all Cyrillic ones, from which a text is not Russian: one in so many. A
/// foreign name in a Russian complaint has fewer.
const RARE: usize = 50;

/// Languages by the letters they add to the Russian ones. The first that covers what was found wins, so narrower sets
/// stand before those that contain them.
const CYRILLIC: &[(&str, &str)] = &[
    ("uk", "іїєґ"),
    ("be", "іў"),
    ("tt", "әөүҗңһ"),
    ("ba", "әөүңһғҙҡҫ"),
    ("kk", "әөүңһғқұі"),
    ("cv", "ӑӗҫӳ"),
    ("kv", "іӧ"),
    ("udm", "ӝӟӥӧӵ"),
    ("chm", "ҥӧӱӓӹ"),
    ("sah", "ҕҥөүһ"),
    ("uz", "ўқғҳ"),
    ("tg", "ғӣқӯҳҷ"),
    ("os", "ӕ"),
    ("sr", "јљњђћџ"),
];

/// Short words that stand in nearly every English sentence.
const ENGLISH: &[&str] = &[
    "the", "and", "is", "are", "to", "of", "in", "on", "for", "not", "we", "you", "my", "it", "there", "this", "please",
];

/// The language of `text` as an ISO 639 code; `None` when its letters don't tell.
pub fn detect(text: &str) -> Option<&'static str> {
    let (mut cyrillic, mut latin, mut other) = (0, 0, 0);
    let mut added: Vec<char> = Vec::new();
    let mut added_count = 0;
    for letter in text.chars().filter(|letter| letter.is_alphabetic()).take(LETTERS) {
        match letter {
            'а'..='я' | 'А'..='Я' | 'ё' | 'Ё' => cyrillic += 1,
            '\u{400}'..='\u{52f}' => {
                cyrillic += 1;
                added_count += 1;
                let small = letter.to_lowercase().next().unwrap_or(letter);
                if !added.contains(&small) {
                    added.push(small);
                }
            }
            'a'..='z' | 'A'..='Z' => latin += 1,
            _ => other += 1,
        }
    }
    let most = cyrillic.max(latin).max(other);
    if most < FEWEST || most == other {
        return None;
    }
    if most == latin {
        return is_english(text).then_some("en");
    }
    if added_count * RARE < cyrillic {
        return Some("ru");
    }
    let covers = |letters: &str| added.iter().all(|letter| letters.contains(*letter));
    CYRILLIC
        .iter()
        .find(|(_, letters)| covers(letters))
        .map(|(language, _)| *language)
}

fn is_english(text: &str) -> bool {
    let words = text.split(|letter: char| !letter.is_alphabetic());
    words
        .filter(|word| ENGLISH.iter().any(|known| word.eq_ignore_ascii_case(known)))
        .take(2)
        .count()
        == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_their_letters() {
        for (language, text) in [
            (Some("ru"), "Яма на дороге, ул. Ленина, 96"),
            (Some("ru"), "ЁЛКА"),
            (Some("tt"), "Урамда чүп җыелган, зинһар чистартыгыз"),
            (Some("ba"), "Урамда ҡар таҙартылмаған"),
            (Some("uk"), "На вулиці немає світла і води"),
            (Some("kv"), "Ӧшин улын лёк туй"),
            (Some("cv"), "Урамра ҫул япӑх"),
            (Some("en"), "There is a hole in the road"),
            (None, "Yama na doroge, pomogite"),
            (None, "街道上有一个洞"),
            (None, "!!! 112"),
            (None, "ок"),
            (None, ""),
        ] {
            assert_eq!(detect(text), language, "{text}");
        }
    }

    #[test]
    fn a_foreign_name_does_not_make_a_russian_complaint_foreign() {
        let complaint = "Уважаемая администрация! Во дворе дома второй месяц не горят фонари, дети идут в школу в темноте. С уважением, Гөлнара";
        assert_eq!(detect(complaint), Some("ru"));
    }

    #[test]
    fn a_set_never_hides_behind_an_earlier_one_that_contains_it() {
        for (later, (language, letters)) in CYRILLIC.iter().enumerate() {
            for (earlier, wider) in &CYRILLIC[..later] {
                let hidden = letters.chars().all(|letter| wider.contains(letter));
                assert!(!hidden, "{language} is never answered: {earlier} covers it");
            }
        }
    }
}
