//! One spelling for comparison: lower case, ё as е, combining marks folded, words only.
//!
//! Both sides of every comparison go through here, the rule's and the message's, so they can't drift apart.

pub(crate) use crate::words::spelling::fold;
use crate::words::spelling::{is_invisible, russian};

/// Letters and digits. The usual ones need no look into the tables of Unicode.
#[inline]
fn is_of_word(letter: char) -> bool {
    match letter {
        'а'..='я' | 'А'..='Я' | 'ё' | 'Ё' => true,
        _ => letter.is_alphanumeric(),
    }
}

/// A word of a text: its place in bytes. The folded spelling is handed to the visitor of [`for_each_word`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Calls `visit` with every word (letters and digits) of `text`, folded, in order.
pub(crate) fn for_each_word(text: &str, mut visit: impl FnMut(&str, Span)) {
    let mut word = String::with_capacity(32);
    let mut start = 0;
    let mut end = 0;
    for (at, letter) in text.char_indices() {
        if is_invisible(letter) {
            // «й» may come as «и» with a breve.
            if letter == '\u{306}' && word.ends_with('и') {
                word.pop();
                word.push('й');
            }
            if !word.is_empty() {
                end = at + letter.len_utf8();
            }
        } else if is_of_word(letter) {
            if word.is_empty() {
                start = at;
            }
            word.push(fold(letter));
            end = at + letter.len_utf8();
        } else if !word.is_empty() {
            visit(&word, Span { start, end });
            word.clear();
        }
    }
    if !word.is_empty() {
        visit(&word, Span { start, end });
    }
}

/// A folded word that mixes Russian letters with Latin ones of the same look («cнeг»), in Russian letters. `None` when
/// it mixes nothing, or letters that look like nothing Russian.
pub(crate) fn unmixed(word: &str) -> Option<String> {
    let is_russian = |letter: char| matches!(letter, 'а'..='я');
    let is_mixed = word.contains(is_russian) && word.contains(|letter: char| letter.is_ascii_lowercase());
    if !is_mixed {
        return None;
    }
    let in_russian = |letter: char| russian(letter).or_else(|| (!letter.is_ascii_lowercase()).then_some(letter));
    word.chars().map(in_russian).collect()
}

/// A name for comparison: folded words with single spaces; star, quotes and punctuation are gone.
pub(crate) fn name(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for_each_word(text, |word, _| {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    });
    out
}

/// A path of names («Дороги / Ямы») for comparison. Levels are parted by a slash or `>` with spaces around it, because
/// names have bare slashes of their own («Мусор/Свалки/ТКО»).
pub(crate) fn path(text: &str) -> String {
    let levels: Vec<String> = text.replace(" > ", " / ").split(" / ").map(name).collect();
    levels.join(" / ")
}

/// Words that only say what sort of place a name is.
const PLACE_KINDS: &[&str] = &[
    "город",
    "г",
    "го",
    "о",
    "округ",
    "городской",
    "муниципальный",
    "мо",
    "м",
    "муниципальное",
    "образование",
    "район",
    "р",
    "н",
    "край",
    "область",
    "республика",
    "поселок",
    "пос",
    "п",
    "село",
    "с",
    "деревня",
    "д",
    "улица",
    "ул",
    "проспект",
    "пр",
    "просп",
    "переулок",
    "пер",
    "бульвар",
    "б",
    "шоссе",
    "ш",
    "площадь",
    "пл",
];

/// The bare name of a place: «Пермь г.о.», «Город Пермь» → «пермь». `None` when nothing is dropped or nothing is left.
pub(crate) fn bare_place(normal_name: &str) -> Option<String> {
    let all = normal_name.split(' ').count();
    let kept: Vec<&str> = normal_name
        .split(' ')
        .filter(|word| !PLACE_KINDS.contains(word))
        .collect();
    (!kept.is_empty() && kept.len() < all).then(|| kept.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        for_each_word(text, |word, _| out.push(word.to_owned()));
        out
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(words("Ёлка, ЁЖ — из-за №5!"), ["елка", "еж", "из", "за", "5"]);
        assert_eq!(
            words("Большо\u{438}\u{306} сне\u{ad}г сто\u{301}ит"),
            ["большой", "снег", "стоит"]
        );
        assert_eq!(words("  "), Vec::<String>::new());
    }

    #[test]
    fn letters_that_look_alike_are_told_apart() {
        assert_eq!(unmixed("cнeг").as_deref(), Some("снег"));
        assert_eq!(unmixed("снег"), None);
        assert_eq!(unmixed("snow"), None);
        assert_eq!(unmixed("wifiя"), None);
    }

    #[test]
    fn spans_point_into_the_text() {
        let text = "Нет ВОДЫ!";
        let mut spans = Vec::new();
        for_each_word(text, |_, span| spans.push(&text[span.start..span.end]));
        assert_eq!(spans, ["Нет", "ВОДЫ"]);
    }

    #[test]
    fn names_and_paths() {
        assert_eq!(name("★ Ямы во «дворах»"), "ямы во дворах");
        assert_eq!(name("? Ямы во дворах"), "ямы во дворах", "a star lost in Windows-1251");
        assert_eq!(path("Мусор/Свалки/ТКО / Вывоз"), "мусор свалки тко / вывоз");
        assert_eq!(path("Дороги > Ямы"), "дороги / ямы");
    }

    #[test]
    fn places_lose_the_word_for_their_kind() {
        assert_eq!(bare_place(&name("Омск г.о.")).as_deref(), Some("омск"));
        assert_eq!(
            bare_place(&name("городской округ Березники")).as_deref(),
            Some("березники")
        );
        assert_eq!(bare_place(&name("ул. Ленина")).as_deref(), Some("ленина"));
        assert_eq!(bare_place(&name("Пермь")), None);
    }
}
