//! What may be shown of a citizen's words: a short beginning without contacts, names of pages and links.

use priem_sdk::message::personal::{mask_email, mask_phone};

/// Characters of a text shown.
const SHOWN: usize = 70;
/// Digits that make a telephone number; shorter runs are house numbers and dates.
const PHONE_DIGITS: usize = 10;

/// The beginning of a text on one line, with contacts masked.
pub fn excerpt(text: &str) -> String {
    let words: Vec<String> = without_phones(text).split_whitespace().map(masked_word).collect();
    let line = words.join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    let cut: String = line.chars().take(SHOWN - 1).collect();
    format!("{cut}…")
}

/// Masks addresses, links and names of pages in one word.
fn masked_word(word: &str) -> String {
    let lower = word.to_lowercase();
    if lower.contains("://")
        || ["vk.com/", "vk.ru/", "ok.ru/", "t.me/", "max.ru/"]
            .iter()
            .any(|host| lower.contains(host))
    {
        return "[ссылка]".into();
    }
    match word.find('@') {
        Some(at) if word[at..].contains('.') => mask_email(word),
        Some(_) => "@***".into(),
        None => word.to_owned(),
    }
}

/// Masks runs of digits, spaces, brackets and dashes with as many digits as a telephone number has.
fn without_phones(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        let continues =
            c.is_ascii_digit() || (!run.is_empty() && matches!(c, ' ' | '\u{a0}' | '(' | ')' | '-' | '–' | '.'));
        if continues || c == '+' || (c == '(' && run.is_empty()) {
            run.push(c);
            continue;
        }
        close(&mut run, &mut out);
        out.push(c);
    }
    close(&mut run, &mut out);
    out
}

fn close(run: &mut String, out: &mut String) {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits >= PHONE_DIGITS {
        out.push_str(&mask_phone(run));
        // What parted the number from the next word.
        if run.ends_with([' ', '\u{a0}']) {
            out.push(' ');
        }
    } else {
        out.push_str(run);
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_masked_and_addresses_stay() {
        for (text, shown) in [
            ("Звоните +7 (912) 345-67-89, жду", "Звоните ***89, жду"),
            ("тел 89123456789 дом 5", "тел ***89 дом 5"),
            ("Ленина 5, кв. 12, с 01.02.2026", "Ленина 5, кв. 12, с 01.02.2026"),
            ("пишите на ivanov@mail.ru", "пишите на i***@mail.ru"),
            ("@ivan_77 и https://vk.com/id1 тут", "@*** и [ссылка] тут"),
            ("а вот vk.com/wall-1_2", "а вот [ссылка]"),
            ("две\nстроки", "две строки"),
        ] {
            assert_eq!(excerpt(text), shown, "{text}");
        }
        assert_eq!(excerpt(&"я".repeat(200)).chars().count(), SHOWN);
    }
}
