//! Headers as they are compared: what a person reads as the same header is the same, whatever wrote it.

/// A header as it is compared: lower case, `ё` as `е` and `й` as `и` (some programs write them as two characters), Latin
/// letters that look like Cyrillic ones as those, without stars, quotes, commas and characters nobody sees, spaces single,
/// `№` apart from its word.
pub fn plain_header(header: &str) -> String {
    let mut out = String::with_capacity(header.len());
    for c in header.chars().flat_map(char::to_lowercase) {
        match c {
            '*' | '★' | '☆' | '"' | '«' | '»' | '“' | '”' | '„' => {}
            c if is_unseen(c) || is_mark_above(c) => {}
            c if c.is_whitespace() || c.is_control() || matches!(c, '_' | ',') => push_space(&mut out),
            '№' => {
                push_space(&mut out);
                out.push('№');
                out.push(' ');
            }
            '‐' | '‑' | '–' | '—' | '−' => out.push('-'),
            c => out.push(of_one_alphabet(c)),
        }
    }
    out.truncate(out.trim_end_matches([' ', ':', '.']).len());
    if out.split(' ').any(|word| NUMBER_SIGNS.contains(&word)) {
        let words = out.split(' ').map(|word| match NUMBER_SIGNS.contains(&word) {
            true => "№",
            false => word,
        });
        return words.collect::<Vec<_>>().join(" ");
    }
    out
}

/// What stands for `№` where the keyboard has none; the `о` is Cyrillic after folding.
const NUMBER_SIGNS: &[&str] = &["n", "nо", "nо.", "n.", "nº", "n°"];

fn push_space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// Characters without width: marks of byte order and direction, joiners, soft hyphens.
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Marks that stand above another letter: the second half of `й` and `ё` taken apart.
fn is_mark_above(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The Cyrillic letter that looks the same, in capitals or small; `ё` and `й` without their marks.
fn of_one_alphabet(c: char) -> char {
    match c {
        'ё' => 'е',
        'й' => 'и',
        'a' => 'а',
        'b' => 'в',
        'c' => 'с',
        'e' => 'е',
        'h' => 'н',
        'k' => 'к',
        'm' => 'м',
        'o' => 'о',
        'p' => 'р',
        't' => 'т',
        'x' => 'х',
        'y' => 'у',
        c => c,
    }
}

/// Whether a header, as compared, only counts the rows of the table: «№», «№ п/п», «№ строки».
pub fn is_ordinal(plain: &str) -> bool {
    let letters: String = plain.chars().filter(|c| c.is_alphabetic()).collect();
    matches!(letters.as_str(), "" | "пп" | "ппп") && !plain.is_empty() && !plain.chars().any(char::is_numeric)
        || plain.starts_with('№') && (letters.starts_with("строк") || letters.starts_with("попоряд"))
        || letters.starts_with("порядков") && letters.contains("номер")
}

/// Whether a header, as compared, plainly says that the column is the number of the row, whatever the rows are.
pub fn is_plain_number(plain: &str) -> bool {
    const HEADERS: &[&str] = &[
        "Номер",
        "Номер обращения",
        "Номер сообщения",
        "Номер заявки",
        "Номер карточки",
        "Номер записи",
        "Рег. номер",
        "Рег. №",
        "Регистрационный номер",
        "№ обращения",
        "№ сообщения",
        "№ заявки",
        "ID",
        "ID обращения",
        "ID сообщения",
        "Идентификатор",
    ];
    HEADERS.iter().any(|known| plain_header(known) == plain)
}

/// Whether an unknown header, as compared, may be that of the number.
pub fn may_be_number(plain: &str) -> bool {
    const WORDS: &[&str] = &["номер", "№", "id", "ид", "идентификатор", "код", "рег"];
    !is_ordinal(plain)
        && plain
            .split(|c: char| !c.is_alphanumeric() && c != '№')
            .any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_the_same_is_the_same() {
        for (one, other) in [
            ("  * Населённый\u{a0} ПУНКТ: ", "населенный пункт"),
            ("\u{feff}\"Тема\"", "тема"),
            // Latin H, c, o, z stays.
            ("Hoмep инцидeнтa", "Номер инцидента"),
            ("Дата coздания", "Дата создания"),
            // `й` and `ё` as two characters.
            ("Нас. пункт\u{ad}", "Нас. пункт"),
            ("Текущии\u{306} шаг", "Текущий шаг"),
            ("Населе\u{308}нныи\u{306} пункт", "Населённый пункт"),
            ("Номер\r\nинцидента", "Номер  инцидента"),
            ("Но\u{ad}мер инци\u{200b}дента", "НОМЕР_ИНЦИДЕНТА"),
            ("Организация, в которую поступило", "Организация в которую поступило"),
            ("№инцидента", "N инцидента"),
            ("Рег.№", "Рег. No."),
            ("E-mаil", "E\u{2011}mail"),
        ] {
            assert_eq!(plain_header(one), plain_header(other), "{one} {other}");
        }
        for (one, other) in [("Номер", "Номер ЕПГУ"), ("№", "Номер"), ("Дата ответа", "Дата отчёта")]
        {
            assert_ne!(plain_header(one), plain_header(other));
        }
    }

    #[test]
    fn columns_that_count_rows_are_told_from_numbers() {
        for header in [
            "№",
            "№ п/п",
            "№п/п",
            "N п/п",
            "№№",
            "п/п",
            "№ п.п.",
            "№ строки",
            "Порядковый номер",
            "№ по порядку",
        ] {
            assert!(is_ordinal(&plain_header(header)), "{header}");
        }
        for header in [
            "",
            "Номер",
            "№ инцидента",
            "№ 1",
            "Номер сообщения",
            "ID",
            "Подкатегория",
        ] {
            assert!(!is_ordinal(&plain_header(header)), "{header}");
        }
    }
}
