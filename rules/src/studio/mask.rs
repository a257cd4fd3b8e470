//! Excerpts for people: short, with what identifies a person covered.
//!
//! Best effort, by shape: digits, addresses of mail, links, handles, and capitalised words after the first of a
//! sentence (names of people and places). What stays is still not to be published.

/// Letters of an excerpt.
const LENGTH: usize = 160;

/// The beginning of a text with numbers, links, handles and names covered.
pub fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut sentence_starts = true;
    for word in text.split_whitespace() {
        if out.chars().count() > LENGTH {
            out.push('…');
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&covered(word, sentence_starts));
        sentence_starts = word.ends_with(['.', '!', '?', ':']);
    }
    out
}

fn covered(word: &str, sentence_starts: bool) -> String {
    if word.contains('@') || word.contains("://") || word.starts_with("www.") || word.contains("t.me/") {
        return "▇".into();
    }
    let letters = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_name = letters.starts_with(char::is_uppercase) && letters.chars().skip(1).any(char::is_lowercase);
    if is_name && !sentence_starts {
        return "▇".into();
    }
    word.chars().map(|c| if c.is_numeric() { '▇' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_links_are_covered() {
        assert_eq!(
            excerpt("Добрый день! Я Иванова Анна, дом 15, тел. +7912, a@b.ru https://x.y"),
            "Добрый день! Я ▇ ▇ дом ▇▇, тел. +▇▇▇▇, ▇ ▇"
        );
    }

    #[test]
    fn it_is_short() {
        assert!(excerpt(&"слово ".repeat(500)).chars().count() < LENGTH + 40);
    }
}
