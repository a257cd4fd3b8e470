//! The number of a row: the same number in one spelling, whatever program wrote it, and never one that a spreadsheet has
//! spoilt. A wrong number is worse than none: rows of different matters become one object.

use std::borrow::Cow;

use super::{fold::is_unseen, mapping::is_error, problem::RowProblem};

/// Longest key, characters: longer ones are shifted columns.
pub const LONGEST_KEY: usize = 64;
/// Shortest word that is a word and no part of a number («от», «вх» are parts).
pub const WORD: usize = 3;
/// Digits that survive in the cell of a spreadsheet, and those that survive in its file.
const EXACT_DIGITS: usize = 15;
const STORED_DIGITS: usize = 17;

/// How a spreadsheet spoils a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bent {
    /// `1,23457E+12`: digits are lost.
    Scientific,
    /// `12345678901234500000`: digits are lost and zeros stand in their place.
    Rounded,
    /// `0`: a formula without its result, or an empty cell counted with.
    Zero,
    /// `770001,5`: a number that counts something, or two numbers read as one with a fraction.
    Fraction,
    /// `2026-05-01` from `5/1`, `10:30:00` from `10:30`.
    Date,
    /// `=HYPERLINK("…";"770001")`.
    Formula,
}

impl Bent {
    /// For operators.
    pub fn english(self) -> &'static str {
        match self {
            Self::Scientific => "the number was shortened by a spreadsheet (E+): digits are lost",
            Self::Rounded => "the number was rounded by a spreadsheet: its last digits are zeros",
            Self::Zero => "the number is 0: a formula without its result",
            Self::Fraction => "the number is not whole",
            Self::Date => "the number was turned into a date or a time by a spreadsheet",
            Self::Formula => "a formula stands for the number",
        }
    }

    /// For МЦУ staff, with the cure.
    pub fn russian(self) -> &'static str {
        match self {
            Self::Scientific => {
                "номер испорчен Excel: вместо цифр стоит запись вида 1,23E+12. Выгрузите файл заново и положите его, не \
                 открывая и не пересохраняя в Excel"
            }
            Self::Rounded => {
                "номер испорчен Excel: последние цифры заменены нулями. Выгрузите файл заново и положите его, не открывая \
                 и не пересохраняя в Excel"
            }
            Self::Zero => {
                "вместо номера стоит 0: похоже на формулу без результата. Откройте файл в Excel, дождитесь пересчёта и \
                 сохраните значения вместо формул"
            }
            Self::Fraction => "номер не целый: проверьте, та ли колонка названа номером",
            Self::Date => {
                "номер испорчен Excel: он превращён в дату или время. Выгрузите файл заново и положите его, не открывая и не \
                 пересохраняя в Excel"
            }
            Self::Formula => {
                "вместо номера стоит формула: откройте файл в Excel и сохраните в этой колонке значения вместо формул"
            }
        }
    }
}

/// A key in the one spelling it has everywhere.
///
/// # Errors
/// What makes it no key.
pub fn clean(cell: &str) -> Result<Cow<'_, str>, RowProblem> {
    if is_error(cell) {
        return Err(RowProblem::ErrorCell);
    }
    let key = spelled(cell);
    if cell.trim_start().starts_with('=') && key.contains('(') {
        return Err(RowProblem::BentKey(Bent::Formula));
    }
    if let Some(bent) = bent(&key) {
        return Err(RowProblem::BentKey(bent));
    }
    let characters = key.chars().count();
    if key.is_empty() {
        return Err(RowProblem::NoKey);
    }
    if characters > LONGEST_KEY || key.contains('\n') || !key.chars().any(|c| c.is_ascii_digit()) {
        return Err(RowProblem::StrangeKey { characters });
    }
    Ok(key)
}

/// What completes a key, in one spelling: words are as good as numbers here.
///
/// # Errors
/// When a spreadsheet has spoilt it.
pub fn clean_part(cell: &str) -> Result<Cow<'_, str>, RowProblem> {
    let part = spelled(cell);
    match bent(&part) {
        Some(bent @ (Bent::Scientific | Bent::Rounded)) => Err(RowProblem::BentKey(bent)),
        _ if part.bytes().all(|byte| byte.is_ascii_digit()) => Ok(part),
        _ => Ok(Cow::Borrowed(trimmed(cell))),
    }
}

/// Whether words stand in a key: «Свод 2026» is a title; «12-34/5 от 05.01.2026» has none.
pub fn has_words(key: &str) -> bool {
    key.split_whitespace().count() > 1
        && key
            .split(|c: char| !c.is_alphabetic())
            .any(|word| word.chars().count() >= WORD)
}

fn spelled(cell: &str) -> Cow<'_, str> {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain(cell) {
        return Cow::Borrowed(cell);
    }
    let seen: Cow<'_, str> = match cell.contains(is_unseen) {
        true => Cow::Owned(cell.replace(is_unseen, "")),
        false => Cow::Borrowed(cell),
    };
    let mut key = trimmed(&seen);
    loop {
        let before = key.len();
        for (open, close) in [('"', '"'), ('«', '»'), ('\'', '\'')] {
            if let Some(inner) = key.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
                key = trimmed(inner);
            }
        }
        // `="770001"` and `'770001` keep a spreadsheet from reading a number.
        key = trimmed(key.trim_start_matches(['=', '\'', '№']));
        if key.len() == before {
            break;
        }
    }
    if let Some(digits) = whole(key) {
        return Cow::Owned(digits);
    }
    match seen {
        // The slice of a borrowed cell is borrowed from the cell itself.
        Cow::Borrowed(cell) => {
            let start = key.as_ptr() as usize - cell.as_ptr() as usize;
            Cow::Borrowed(&cell[start..start + key.len()])
        }
        Cow::Owned(_) => Cow::Owned(key.to_owned()),
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// The digits of a whole number written with a fraction of zeros or in groups of three; nothing for anything else.
fn whole(key: &str) -> Option<String> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, fraction) = match key.rfind(['.', ',']) {
        Some(at) => (&key[..at], Some(&key[at + 1..])),
        None => (key, None),
    };
    if fraction.is_some_and(|zeros| !is_digits(zeros) || zeros.bytes().any(|byte| byte != b'0')) {
        return None;
    }
    if is_digits(number) {
        // `770.000` may be a thousand times as much.
        let is_clear = fraction.is_none_or(|zeros| zeros.len() != 3 || number.len() > 3);
        return is_clear.then(|| number.to_owned());
    }
    let groups: Vec<&str> = number.split(char::is_whitespace).collect();
    let (first, rest) = groups.split_first()?;
    let is_grouped = is_digits(first)
        && first.len() <= 3
        && !rest.is_empty()
        && rest.iter().all(|group| group.len() == 3 && is_digits(group));
    is_grouped.then(|| groups.concat())
}

fn bent(key: &str) -> Option<Bent> {
    if !key.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return is_month_first(key).then_some(Bent::Date);
    }
    if key.bytes().all(|byte| byte.is_ascii_digit()) {
        if key.bytes().all(|byte| byte == b'0') {
            return Some(Bent::Zero);
        }
        let significant = key.trim_end_matches('0').len();
        let is_rounded = key.len() > STORED_DIGITS
            && (significant <= EXACT_DIGITS || significant <= STORED_DIGITS && key.len() >= STORED_DIGITS + 3);
        return is_rounded.then_some(Bent::Rounded);
    }
    if is_scientific(key) {
        return Some(Bent::Scientific);
    }
    if is_date(key) || is_time(key) {
        return Some(Bent::Date);
    }
    let mut parts = key.trim_start_matches('-').split(['.', ',']);
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_fraction = is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none();
    is_fraction.then_some(Bent::Fraction)
}

/// `1,23457E+12`; without the sign only with a fraction: `1E5` is a number of somebody.
fn is_scientific(key: &str) -> bool {
    let Some((number, power)) = key.split_once(['E', 'e', 'Е', 'е']) else {
        return false;
    };
    let digits = power.trim_start_matches(['+', '-']);
    let is_number = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    let is_power = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && is_power && (digits.len() < power.len() || number.contains(['.', ',']))
}

/// A day with its full year, with or without a time, or a day and the name of a month, as spreadsheets show them.
fn is_date(key: &str) -> bool {
    let day = key.split([' ', 'T']).next().unwrap_or_default();
    let is_full = day.split(['-', '.']).any(|part| part.len() == 4);
    let is_day = |form| jiff::civil::Date::strptime(form, day).is_ok();
    if is_full && (is_day("%Y-%m-%d") || is_day("%d.%m.%Y")) {
        let rest = &key[day.len()..];
        return rest
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ' ' | 'T' | ':' | '.'));
    }
    let (number, month) = key.split_at(key.find(['.', '-']).unwrap_or(key.len()));
    number.len() <= 2 && is_month(month.trim_start_matches(['.', '-']))
}

/// `10:30`, `30:00:00`.
fn is_time(key: &str) -> bool {
    let mut parts = key.split(':');
    parts
        .next()
        .is_some_and(|hours| hours.bytes().all(|byte| byte.is_ascii_digit()))
        && (1..=2).contains(&parts.clone().count())
        && parts.all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// «май.26»
fn is_month_first(key: &str) -> bool {
    key.split_once(['.', '-', ' ']).is_some_and(|(month, year)| {
        is_month(month) && year.len() == 2 && year.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn is_month(word: &str) -> bool {
    const MONTHS: &[&str] = &[
        "янв", "фев", "мар", "апр", "май", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек", "jan", "feb", "mar",
        "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let lower = word.trim_end_matches('.').to_lowercase();
    MONTHS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_number_has_one_spelling() {
        for cell in [
            "440017",
            "440017.0",
            "440017,0",
            "440017.00",
            "'440017",
            "=\"440017\"",
            "=440017",
            "440 017",
            "440\u{a0}017",
            "440\u{202f}017",
            "№ 440017",
            "№440017",
            "440017\u{200b}",
            "\u{feff}440017 ",
            "\t440017\r",
            "«440017»",
        ] {
            assert_eq!(clean(cell).as_deref(), Ok("440017"), "{cell:?}");
        }
    }

    #[test]
    fn other_numbers_stay_as_they_are() {
        for cell in [
            "А26-00-44",
            "12-34/5 от 05.01.2026",
            "ОГ-12/26",
            "Вх. 17",
            "Г31",
            "1E5",
            "1.2.3",
            "01-02-26",
            "0017",
            "17/1",
            "12 34",
            "1234 567",
            "5/1",
            "1234567890123456",
            "12345678901234567890",
            "89000000000000017",
            "-17",
        ] {
            assert_eq!(clean(cell).as_deref(), Ok(cell), "{cell:?}");
        }
    }

    #[test]
    fn what_a_spreadsheet_has_spoilt_is_no_key() {
        for (cell, bent) in [
            ("1,23457E+12", Bent::Scientific),
            ("1.23457e+12", Bent::Scientific),
            ("1E+12", Bent::Scientific),
            ("4,4Е+15", Bent::Scientific),
            ("0", Bent::Zero),
            ("0.0", Bent::Zero),
            ("000", Bent::Zero),
            ("440017,5", Bent::Fraction),
            ("440.000", Bent::Fraction),
            ("1234567890123450000", Bent::Rounded),
            ("12345678901234567000", Bent::Rounded),
            ("2026-05-01", Bent::Date),
            ("2026-05-01T10:00:00", Bent::Date),
            ("01.05.2026", Bent::Date),
            ("05.янв", Bent::Date),
            ("5-Jan", Bent::Date),
            ("май.26", Bent::Date),
            ("10:30", Bent::Date),
            ("30:00:00", Bent::Date),
            ("=HYPERLINK(\"http://x\";\"440017\")", Bent::Formula),
            ("=A2+СУММ(B2)", Bent::Formula),
        ] {
            assert_eq!(clean(cell), Err(RowProblem::BentKey(bent)), "{cell:?}");
        }
        assert_eq!(clean("=\"\""), Err(RowProblem::NoKey));
        for error in ["#N/A", " #ДЕЛ/0!", "#REF!", "########"] {
            assert_eq!(clean(error), Err(RowProblem::ErrorCell), "{error}");
        }
        assert_eq!(clean("#440017").as_deref(), Ok("#440017"));
        assert!(matches!(clean("Дороги"), Err(RowProblem::StrangeKey { .. })));
    }

    #[test]
    fn words_make_a_title_and_no_number() {
        for key in ["Свод 2026", "Итого: 3", "ЖКХ 12", "Сформировано 05.01.2026"] {
            assert!(has_words(key), "{key}");
        }
        for key in ["770001", "12-34/5 от 05.01.2026", "Вх. № 12", "ОБРАЩ-12", "59"] {
            assert!(!has_words(key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_clean_key_is_clean(cell in "\\PC{0,12}|[0-9 .,E+'=\"№\u{a0}\u{200b}-]{0,12}") {
            if let Ok(key) = clean(&cell) {
                let again = clean(&key).map(Cow::into_owned);
                prop_assert_eq!(again.as_deref(), Ok(&*key));
            }
        }
    }
}
