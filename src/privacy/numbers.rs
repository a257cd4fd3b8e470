//! СНИЛС, numbers of medical insurance policies (ОМС) and birth dates in free text.
//!
//! Recognised by their own check digits, by the way they are grouped, and by words around them; numbers of houses,
//! contracts, telephones and dates of events stay. What can't be recognised is said in `docs/privacy.md`: numbers in
//! words or with a slip and no word beside them, numbers in pictures, a birth date without a word of birth.
//!
//! - СНИЛС: 11 digits; control number modulo 101 (постановление Правления ПФР № 192п, 2006).
//! - Единый номер полиса ОМС: 16 digits whose last is the Luhn digit. So is the number of a bank card, which goes too.

use std::ops::Range;

use super::spans::{self, Group};

const SNILS: &str = "[СНИЛС удалён]";
const POLICY: &str = "[номер полиса или карты удалён]";
const BIRTH: &str = "[дата рождения удалена]";

const SNILS_WORDS: &[&str] = &["снилс", "страховой номер", "страхового номера", "snils"];
const POLICY_WORDS: &[&str] = &["омс", "енп", "полис", "oms"];
const BIRTH_WORDS_BEFORE: &[&str] = &[
    "дата рождения",
    "дату рождения",
    "даты рождения",
    "датой рождения",
    "дата рожд",
    "год рождения",
    "года рождения:",
    "родился",
    "родилась",
    "родились",
    "рожден ",
    "рождена",
    "рожд.",
    "д.р",
    "д/р",
    "birth",
];
const BIRTH_WORDS_AFTER: &[&str] = &[
    "г.р",
    "г. р",
    "г/р",
    "гр.",
    "года рождения",
    "г. рождения",
    "г.рождения",
    "г. рожд",
];
const MONTHS: &[&str] = &[
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];
/// How far around a number its word may stand, characters.
const WORDS_BEFORE: usize = 48;
const WORDS_AFTER: usize = 24;

/// The text without СНИЛС, policy numbers and birth dates, and how many were removed; `None` when there are none.
pub fn scrub(text: &str) -> Option<(String, usize)> {
    let groups = spans::groups(text, 4);
    if groups.is_empty() {
        return None;
    }
    let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
    let (mut at, mut last_date) = (0, 0);
    while at < groups.len() {
        let found = number(text, &groups, at).or_else(|| {
            let date = date(text, &groups, at)?;
            let end = groups[at + date.groups - 1].end;
            let is_birth = is_birth(text, groups[at].start, end, last_date, date.is_year_alone);
            if is_birth || !date.is_year_alone {
                last_date = end;
            }
            is_birth.then_some((date.groups, BIRTH))
        });
        match found {
            Some((taken, words)) => {
                cuts.push((groups[at].start..groups[at + taken - 1].end, words.to_owned()));
                at += taken;
            }
            None => at += 1,
        }
    }
    (!cuts.is_empty()).then(|| (spans::replace(text, &cuts), cuts.len()))
}

/// A СНИЛС or policy number that starts with a group: how many groups it takes, and what stands for it.
fn number(text: &str, groups: &[Group], at: usize) -> Option<(usize, &'static str)> {
    let is_continued = at > 0 && matches!(&text[groups[at - 1].end..groups[at].start], "-" | ".");
    if is_continued {
        return None;
    }
    let mut total = 0;
    let mut found = None;
    for taken in 1..=groups.len() - at {
        if taken > 1 && !joins(&text[groups[at + taken - 2].end..groups[at + taken - 1].start]) {
            break;
        }
        total += groups[at + taken - 1].len();
        if total > 16 {
            break;
        }
        let own = &groups[at..at + taken];
        match total {
            11 if is_snils(text, own) => found = Some((taken, SNILS)),
            16 if is_policy(text, own) => found = Some((taken, POLICY)),
            _ => {}
        }
    }
    found
}

/// What may stand between the groups of one number.
fn joins(between: &str) -> bool {
    matches!(between, " " | "-" | "\u{a0}" | "–" | "—" | "\u{2011}" | " - " | " – ")
}

fn is_snils(text: &str, own: &[Group]) -> bool {
    let digits = spans::digits(text, own);
    let lengths: Vec<usize> = own.iter().map(|group| group.len()).collect();
    let is_written_so = lengths == [3, 3, 3, 2];
    let is_telephone = !is_written_so && matches!(digits[0], 7 | 8);
    let named = || has_word_around(text, own, SNILS_WORDS);
    match snils_holds(&digits) {
        true => is_written_so || (own.len() == 1 && !is_telephone) || named(),
        false => !is_telephone && named(),
    }
}

/// The control number: the sum of the nine digits times 9 … 1, modulo 101, 100 counting as 0.
fn snils_holds(digits: &[u8]) -> bool {
    let sum: u32 = digits[..9]
        .iter()
        .zip((1..=9).rev())
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum();
    let control = u32::from(digits[9]) * 10 + u32::from(digits[10]);
    digits[..9].iter().any(|digit| *digit != 0) && sum % 101 % 100 == control
}

fn is_policy(text: &str, own: &[Group]) -> bool {
    let is_written_so = own.len() == 1 || own.iter().all(|group| group.len() == 4);
    (is_written_so && luhn_holds(&spans::digits(text, own))) || has_word_around(text, own, POLICY_WORDS)
}

fn luhn_holds(digits: &[u8]) -> bool {
    let weighed = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => u32::from(*digit),
            (_, doubled) if doubled > 9 => u32::from(doubled - 9),
            (_, doubled) => u32::from(doubled),
        });
    digits.iter().any(|digit| *digit != 0) && weighed.sum::<u32>() % 10 == 0
}

fn has_word_around(text: &str, own: &[Group], words: &[&str]) -> bool {
    let (start, end) = (own[0].start, own[own.len() - 1].end);
    let before = spans::before(text, start, WORDS_BEFORE, 0);
    let after = spans::after(text, end, WORDS_AFTER);
    words
        .iter()
        .any(|word| has_beginning(&before, word) || has_beginning(&after, word))
}

/// Whether a word of the text begins so: «ОМС» is not in «томский».
fn has_beginning(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[..at].chars().next_back().is_some_and(char::is_alphabetic))
}

/// A date in the text.
struct Date {
    groups: usize,
    is_year_alone: bool,
}

fn date(text: &str, groups: &[Group], at: usize) -> Option<Date> {
    let value = |index: usize| text[groups[index].start..groups[index].end].parse::<u32>().ok();
    let whole = |groups| {
        Some(Date {
            groups,
            is_year_alone: false,
        })
    };
    let is_year =
        |index: usize| groups[index].len() == 4 && value(index).is_some_and(|year| (1900..2100).contains(&year));
    let is_day = |index: usize| groups[index].len() <= 2 && value(index).is_some_and(|day| (1..=31).contains(&day));
    let is_month =
        |index: usize| groups[index].len() <= 2 && value(index).is_some_and(|month| (1..=12).contains(&month));
    let between = |index: usize| text[groups[index].end..groups[index + 1].start].trim();
    if at + 2 < groups.len() && between(at) == between(at + 1) && matches!(between(at), "." | "/" | "-") {
        let has_year = is_year(at + 2) || groups[at + 2].len() == 2;
        if is_day(at) && is_month(at + 1) && has_year {
            return whole(3);
        }
        if is_year(at) && is_month(at + 1) && is_day(at + 2) {
            return whole(3);
        }
    }
    if at + 1 < groups.len() && is_day(at) && is_year(at + 1) && between(at).len() <= 20 {
        let month = between(at).trim_end_matches(',').to_lowercase();
        if MONTHS.contains(&month.as_str()) {
            return whole(2);
        }
    }
    is_year(at).then_some(Date {
        groups: 1,
        is_year_alone: true,
    })
}

/// Whether words around a date say that somebody was born then. They are looked for after the date before it, so that
/// one word does not take two dates; a year alone needs the word behind it.
fn is_birth(text: &str, start: usize, end: usize, floor: usize, is_year_alone: bool) -> bool {
    let after = spans::after(text, end, WORDS_AFTER);
    let after = after.trim_start().trim_start_matches("года,").trim_start();
    if BIRTH_WORDS_AFTER.iter().any(|word| after.starts_with(word)) {
        return true;
    }
    let before = spans::before(text, start, WORDS_BEFORE, floor);
    !is_year_alone && BIRTH_WORDS_BEFORE.iter().any(|word| has_beginning(&before, word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(text: &str) -> String {
        scrub(text).map_or_else(|| text.to_owned(), |(text, _)| text)
    }

    #[test]
    fn numbers_of_people_go() {
        for text in [
            "Мой СНИЛС 112-233-445 95, помогите",
            "112-233-445 95",
            "11223344595 это я",
            "112 233 445 95",
            "снилс: 112-233-445-96 с опиской",
            "(СНИЛС) 11223344500",
            "Страховой номер 112–233–445 95",
        ] {
            let left = after(text);
            assert!(left.contains(SNILS) && !left.contains("233"), "{text} → {left}");
        }
        for text in [
            "полис 2200770239005013",
            "Полис ОМС № 1234 5678 9012 3456",
            "ЕНП 12 3456 7890123456",
            "карта 4111 1111 1111 1111",
        ] {
            let left = after(text);
            assert!(left.contains(POLICY), "{text} → {left}");
        }
        for text in [
            "Дата рождения: 12.03.1985",
            "родилась 1 мая 1950 года",
            "Иванова А. А., 12.03.1985 г.р.",
            "12/03/85 г. р., живу на Мира",
            "д.р. 1985-03-12",
            "пенсионерка 1940 г.р.",
            "1940 года рождения",
        ] {
            let left = after(text);
            assert!(
                left.contains(BIRTH) && !left.contains("19") && !left.contains("85"),
                "{text} → {left}"
            );
        }
    }

    #[test]
    fn ordinary_numbers_stay() {
        for text in [
            "Звоните 8 912 345-67-89 или +7 (912) 345-67-89",
            "89123456789",
            "СНИЛС не помню, мой телефон 8 912 345 67 89",
            "Лицевой счёт 59000123456, дом 12, кв. 345",
            "ИНН 590200000000, ОГРН 1025900000000",
            "Заявка 20260312-11223344596 от 12.03.2026",
            "С 12.03.2026 по 15 марта 2026 года нет воды",
            "День рождения города 12.06.2026",
            "Счёт 40817810099910004312",
            "Томский проезд, 1234567890123456 без контрольной",
            "112-233-445 96 без слова и с чужой контрольной",
            "в 2026 году, с 1990 года",
            "кадастровый 59:01:4410123:45",
        ] {
            assert_eq!(scrub(text), None, "{text}");
        }
    }

    #[test]
    fn one_word_takes_one_date() {
        let text = "дата рождения 12.03.1985, обратился 05.10.2026";
        assert_eq!(after(text), format!("дата рождения {BIRTH}, обратился 05.10.2026"));
    }

    fn control(digits: &[u8]) -> u32 {
        let sum: u32 = (0..9).map(|place| u32::from(digits[place]) * (9 - place as u32)).sum();
        match sum % 101 {
            100 => 0,
            other => other,
        }
    }

    proptest! {
        #[test]
        fn every_snils_is_found_wherever_it_stands(
            digits in proptest::collection::vec(0_u8..10, 9),
            words in "[а-яё ]{0,30}",
        ) {
            prop_assume!(digits.iter().any(|digit| *digit != 0));
            let text: String = digits.iter().map(u8::to_string).collect();
            let written = format!("{}-{}-{} {:02}", &text[..3], &text[3..6], &text[6..], control(&digits));
            let whole = format!("{words} {written}, {words}");
            let (left, removed) = scrub(&whole).expect("found");
            prop_assert_eq!(removed, 1);
            prop_assert!(!left.contains(&written));
        }

        #[test]
        fn any_text_is_survived(text in "[0-9 .\\-–а-яСНИЛС()/@+]{0,80}") {
            if let Some((left, removed)) = scrub(&text) {
                prop_assert!(removed > 0 && left.contains(" удал"));
            }
        }
    }
}
