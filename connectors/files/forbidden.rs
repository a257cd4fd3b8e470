//! Columns that are never stored, not even in the journal: numbers of papers and days of birth serve no purpose of ours.

/// How words in the headers of such columns begin, in every case and number.
const STEMS: [&str; 4] = ["снилс", "паспорт", "полис", "рождени"];
/// Such words that are short for something.
const SHORT: [&str; 2] = ["омс", "рожд"];
/// «Дата рождения», where nothing but signs stand between its first letters.
const BIRTHDAY: &str = "др";

/// Whether a header, as compared, names what is never stored.
pub fn is_forbidden(plain: &str) -> bool {
    plain == BIRTHDAY || plain.split(' ').any(names_it)
}

fn names_it(word: &str) -> bool {
    let mut parts = word
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty());
    let is_birthday = word != BIRTHDAY && parts.clone().collect::<String>() == BIRTHDAY;
    is_birthday || parts.any(|part| SHORT.contains(&part) || STEMS.iter().any(|stem| part.starts_with(stem)))
}

#[cfg(test)]
mod tests {
    use super::{super::fold::plain_header, *};

    #[test]
    fn papers_and_birthdays_are_known_in_every_form() {
        for header in [
            "СНИЛС",
            "№ СНИЛС заявителя",
            "СНИЛС/ОМС",
            "Полис ОМС",
            "Номер полиса",
            "Паспорт",
            "Серия паспорта",
            "Паспортные данные заявителя",
            "Дата рождения",
            "Дата рожд.",
            "Год рождения",
            "Д.р.",
            "д/р заявителя",
            "ДР",
        ] {
            assert!(is_forbidden(&plain_header(header)), "{header}");
        }
        for header in [
            "Дороги и др.",
            "Номер",
            "Политика",
            "Полиция",
            "Дата поступления",
            "Рождественская ярмарка",
            "Д. Ромашково",
        ] {
            assert!(!is_forbidden(&plain_header(header)), "{header}");
        }
    }
}
