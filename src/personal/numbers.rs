//! СНИЛС, numbers of medical insurance policies (ОМС) and birth dates in free text.
//!
//! Recognised by their own check digits, by the way they are grouped, and by words around them; numbers of houses,
//! contracts, telephones and dates of events stay. Looked for in the [plain](super::plain) text, so neither the form of
//! the digits nor what stands between their groups hides them. What can't be recognised is said in `docs/privacy.md`:
//! numbers in words or with a slip and no word beside them, numbers in pictures, a birth date without a word of birth.
//!
//! - СНИЛС: 11 digits; control number modulo 101 (постановление Правления ПФР № 192п, 2006).
//! - Единый номер полиса ОМС: 16 digits whose last is the Luhn digit. So is the number of a bank card, which goes too.

use std::{borrow::Cow, cell::OnceCell, ops::Range, sync::LazyLock};

use super::plain::{self, Group, Plain};

const SNILS: &str = "[СНИЛС удалён]";
const POLICY: &str = "[номер полиса или карты удалён]";
const BIRTH: &str = "[дата рождения удалена]";

/// After how many digits a СНИЛС is parted, and a policy.
const SNILS_CUTS: &[usize] = &[3, 6, 9];
const POLICY_CUTS: &[usize] = &[4, 8, 12];
/// The same of a date, day first and year first.
const DATE_CUTS: &[usize] = &[2, 4];
const ISO_CUTS: &[usize] = &[4, 6];

/// How many words may stand between a word of birth and a year alone: «родилась она в 1950».
const WORDS_TO_YEAR: usize = 3;

/// How far around a number its word may stand, characters.
const WORDS_BEFORE: usize = 48;
const WORDS_AFTER: usize = 24;

/// What must be somewhere in a text for one of the words below to be in it.
const SNILS_SIGNS: &[&str] = &["снилс", "страхов", "snils"];
const POLICY_SIGNS: &[&str] = &["омс", "енп", "полис", "омs"];
const BIRTH_SIGNS: &[&str] = &["рожд", "родил", "вirтн", "д.р", "д/р"];
/// What follows a sum of money.
const MONEY: &[&str] = &["руб", "коп", "тыс", "млн", "р.", "₽"];

/// Months as they are written inside of a date: whole, shortened, in Roman numerals, in English.
const MONTHS: &[&str] = &[
    "января",
    "янв",
    "i",
    "january",
    "jan",
    "февраля",
    "февр",
    "фев",
    "ii",
    "february",
    "feb",
    "марта",
    "мар",
    "iii",
    "march",
    "mar",
    "апреля",
    "апр",
    "iv",
    "april",
    "apr",
    "мая",
    "май",
    "v",
    "may",
    "июня",
    "июн",
    "vi",
    "june",
    "jun",
    "июля",
    "июл",
    "vii",
    "july",
    "jul",
    "августа",
    "авг",
    "viii",
    "august",
    "aug",
    "сентября",
    "сент",
    "сен",
    "ix",
    "september",
    "sept",
    "sep",
    "октября",
    "окт",
    "x",
    "october",
    "oct",
    "ноября",
    "нояб",
    "ноя",
    "xi",
    "november",
    "nov",
    "декабря",
    "дек",
    "xii",
    "december",
    "dec",
];

/// Beginnings of words and phrases in the spelling of plain texts, with the spaces that must be around them.
struct Words {
    snils: Vec<String>,
    policy: Vec<String>,
    birth_before: Vec<String>,
    birth_after: Vec<String>,
    birth_behind: Vec<String>,
    months: Vec<String>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let spelt = |words: &[&str]| words.iter().map(|word| plain::spelt(word)).collect();
    Words {
        snils: spelt(&[" снилс", " страховой номер", " страхового номера", " snils"]),
        policy: spelt(&[" омс", " енп", " полис", " oms"]),
        birth_before: spelt(&[
            " дата рождения",
            " дату рождения",
            " даты рождения",
            " датой рождения",
            " дата рожд",
            // Something hidden between the words.
            " датарождения",
            " год рождения",
            " родился",
            " родилась",
            " родились",
            " рожден ",
            " рождена",
            " рожд ",
            " birth",
        ]),
        birth_after: spelt(&[" года рожд", " г рожд", " гр "]),
        birth_behind: spelt(&[
            " дата рожд",
            " день рожд",
            " год рожд",
            " рождения ",
            " рожд ",
            " д р ",
            " др ",
        ]),
        months: spelt(MONTHS),
    }
});

/// The text without СНИЛС, policy numbers and birth dates, and how many were removed; `None` when there are none.
pub fn scrub(text: &str) -> Option<(String, usize)> {
    let mut cuts = find(&Plain::of(text, 4)?);
    if let Some(bare) = Plain::without_tags(text, 4) {
        cuts.extend(find(&bare));
        plain::keep_apart(&mut cuts);
    }
    (!cuts.is_empty()).then(|| (plain::replace(text, &cuts), cuts.len()))
}

/// A plain text, and what is known of it as a whole: most have none of the words, and need no look around numbers.
struct Search<'p> {
    plain: &'p Plain,
    has_snils: OnceCell<bool>,
    has_policy: OnceCell<bool>,
    has_birth: OnceCell<bool>,
}

impl Search<'_> {
    fn has(&self, known: &OnceCell<bool>, signs: &[&str]) -> bool {
        *known.get_or_init(|| signs.iter().any(|sign| self.plain.text().contains(sign)))
    }
}

/// Places of the text, in order, and what stands for them.
fn find(plain: &Plain) -> Vec<(Range<usize>, Cow<'static, str>)> {
    let search = Search {
        plain,
        has_snils: OnceCell::new(),
        has_policy: OnceCell::new(),
        has_birth: OnceCell::new(),
    };
    let groups = plain.groups();
    let mut cuts = Vec::new();
    let (mut at, mut last_date) = (0, 0);
    while at < groups.len() {
        let found = number(&search, at).or_else(|| {
            let date = date(plain, at)?;
            let end = groups[at + date.groups - 1].end;
            let is_birth = is_birth(&search, groups[at].start, end, last_date, date.is_year_alone);
            if is_birth || !date.is_year_alone {
                last_date = end;
            }
            is_birth.then_some((date.groups, BIRTH))
        });
        match found {
            Some((taken, words)) => {
                let place = plain.origin(groups[at].start..groups[at + taken - 1].end);
                cuts.push((place, Cow::Borrowed(words)));
                at += taken;
            }
            None => at += 1,
        }
    }
    cuts
}

/// A СНИЛС or policy number that starts with a group: how many groups it takes, and what stands for it.
fn number(search: &Search<'_>, at: usize) -> Option<(usize, &'static str)> {
    let plain = search.plain;
    let groups = plain.groups();
    // The second half of a longer number, unless it is written as nothing else is.
    let is_continued = at > 0 && matches!(plain.gap(at - 1), "-" | ".");
    let mut total = 0;
    let mut found = None;
    for taken in 1..=groups.len() - at {
        if taken > 1 && !plain.joins(at + taken - 2) {
            break;
        }
        total += groups[at + taken - 1].len();
        if total > 16 {
            break;
        }
        let own = at..at + taken;
        match total {
            11 if is_snils(search, own.clone(), is_continued) => found = Some((taken, SNILS)),
            16 if is_policy(search, own.clone(), is_continued) => found = Some((taken, POLICY)),
            _ => {}
        }
    }
    found
}

/// Whether only single spaces and dashes part the groups.
fn is_tight(plain: &Plain, own: &Range<usize>) -> bool {
    (own.start..own.end - 1).all(|group| matches!(plain.gap(group), " " | "-" | " - "))
}

fn is_snils(search: &Search<'_>, own: Range<usize>, is_continued: bool) -> bool {
    let plain = search.plain;
    let groups = &plain.groups()[own.clone()];
    let digits = plain.digits(groups);
    let is_written_so = plain.is_parted_exactly(groups, SNILS_CUTS);
    let is_usual = Plain::is_parted_at_most(groups, SNILS_CUTS) || groups.len() == digits.len();
    let is_telephone = !is_written_so && matches!(digits[0], 7 | 8);
    let named = || search.has(&search.has_snils, SNILS_SIGNS) && has_word_around(plain, groups, &WORDS.snils);
    match snils_holds(&digits) {
        true if is_continued => is_written_so,
        true => ((is_written_so || (is_usual && !is_telephone)) && !is_sum(plain, groups)) || named(),
        false => !is_continued && !is_telephone && (is_usual || is_tight(plain, &own)) && named(),
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

fn is_policy(search: &Search<'_>, own: Range<usize>, is_continued: bool) -> bool {
    let plain = search.plain;
    let groups = &plain.groups()[own.clone()];
    let digits = plain.digits(groups);
    let by_four = plain.is_parted_exactly(groups, POLICY_CUTS);
    // «2019, 2020, 2021, 2022»
    let are_years = groups.len() == 4 && groups.iter().all(|group| year(plain, *group).is_some());
    let is_written_so = (by_four && !are_years) || groups.len() == 1 || groups.len() == digits.len();
    let named = || search.has(&search.has_policy, POLICY_SIGNS) && has_word_around(plain, groups, &WORDS.policy);
    match luhn_holds(&digits) {
        true if is_continued => by_four && !are_years,
        true => (is_written_so && !is_sum(plain, groups)) || named(),
        false => !is_continued && (by_four || is_tight(plain, &own)) && named(),
    }
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

/// Whether it is a sum of money: «112 233 445,95 руб.»
fn is_sum(plain: &Plain, own: &[Group]) -> bool {
    let after = plain.after(own[own.len() - 1].end, WORDS_AFTER).trim_start();
    own.len() > 1 && MONEY.iter().any(|word| after.starts_with(word))
}

fn has_word_around(plain: &Plain, own: &[Group], words: &[String]) -> bool {
    let (start, end) = (own[0].start, own[own.len() - 1].end);
    let before = plain.words_before(start, WORDS_BEFORE, 0);
    let after = plain.words_after(end, WORDS_AFTER);
    words
        .iter()
        .any(|word| before.contains(word.as_str()) || after.contains(word.as_str()))
}

/// A date in the text.
struct Date {
    groups: usize,
    is_year_alone: bool,
}

fn year(plain: &Plain, group: Group) -> Option<u32> {
    let value = plain.text()[group.start..group.end].parse().ok()?;
    (group.len() == 4 && (1900..2100).contains(&value)).then_some(value)
}

fn date(plain: &Plain, at: usize) -> Option<Date> {
    let groups = plain.groups();
    let whole = |groups| {
        Some(Date {
            groups,
            is_year_alone: false,
        })
    };
    let is_year = |index: usize| year(plain, groups[index]).is_some();
    let within = |index: usize, most: u32| {
        let group = groups[index];
        let value = plain.text()[group.start..group.end].parse::<u32>();
        group.len() <= 2 && value.is_ok_and(|value| (1..=most).contains(&value))
    };
    let mut taken = 1;
    while taken < 3 && at + taken < groups.len() && plain.joins(at + taken - 1) {
        taken += 1;
    }
    for taken in (1..=taken).rev() {
        let own = &groups[at..at + taken];
        if is_date_of_eight(plain, own) {
            return whole(taken);
        }
        let has_year = taken == 3 && (is_year(at + 2) || groups[at + 2].len() == 2);
        if has_year && within(at, 31) && within(at + 1, 12) {
            return whole(3);
        }
        if taken == 3 && is_year(at) && within(at + 1, 12) && within(at + 2, 31) {
            return whole(3);
        }
    }
    if at + 1 < groups.len() && within(at, 31) && is_year(at + 1) && plain.gap(at).len() <= 64 {
        let mut words = plain
            .gap(at)
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !matches!(*word, "" | "го" | "е"));
        if let (Some(word), None) = (words.next(), words.next())
            && WORDS.months.iter().any(|month| month == word)
        {
            return whole(2);
        }
    }
    is_year(at).then_some(Date {
        groups: 1,
        is_year_alone: true,
    })
}

/// Eight digits that are a date, parted where dates are or not at all.
fn is_date_of_eight(plain: &Plain, own: &[Group]) -> bool {
    if own.iter().map(|group| group.len()).sum::<usize>() != 8 {
        return false;
    }
    let digits = plain.digits(own);
    let value = |part: &[u8]| part.iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit));
    let holds = |day: &[u8], month: &[u8], year: &[u8]| {
        (1..=31).contains(&value(day)) && (1..=12).contains(&value(month)) && (1900..2100).contains(&value(year))
    };
    (Plain::is_parted_at_most(own, DATE_CUTS) && holds(&digits[..2], &digits[2..4], &digits[4..]))
        || (Plain::is_parted_at_most(own, ISO_CUTS) && holds(&digits[6..], &digits[4..6], &digits[..4]))
}

/// Whether words around a date say that somebody was born then. They are looked for after the date before it, so that
/// one word does not take two dates; to a year alone they must be near.
fn is_birth(search: &Search<'_>, start: usize, end: usize, floor: usize, is_year_alone: bool) -> bool {
    let plain = search.plain;
    let is_sign = |letter: char| !letter.is_alphanumeric();
    let after = plain.after(end, WORDS_AFTER);
    if after.trim_start_matches(is_sign).starts_with('г') {
        let words = plain.words_after(end, WORDS_AFTER);
        let is_behind = |words: &str| WORDS.birth_after.iter().any(|word| words.starts_with(word.as_str()));
        if is_behind(&words) || words.strip_prefix(" года").is_some_and(is_behind) || is_abbreviation(after, 'г') {
            return true;
        }
    }
    let before = plain.before(start, WORDS_BEFORE, floor);
    let may_be_named = || {
        let near_after = after.trim_start_matches(is_sign);
        before.trim_end_matches(is_sign).ends_with('р')
            || is_abbreviation(after, 'д')
            || search.has(&search.has_birth, BIRTH_SIGNS)
            || near_after.starts_with("др")
    };
    if !may_be_named() {
        return false;
    }
    if is_behind_and_of_this(after, &plain.words_after(end, WORDS_AFTER)) {
        return true;
    }
    let words = plain.words_before(start, WORDS_BEFORE, floor);
    if is_year_alone {
        let near = |word: &String| {
            let rest = words.rfind(word.as_str()).map(|at| &words[at + word.len()..]);
            rest.is_some_and(|rest| rest.split_whitespace().count() <= WORDS_TO_YEAR)
        };
        return WORDS.birth_before.iter().any(near);
    }
    WORDS.birth_before.iter().any(|word| words.contains(word.as_str()))
        || words.ends_with(" д р ")
        || (words.ends_with(" др ") && !words.ends_with(" и др "))
        || words.ends_with(" день рождения ")
        || ["д.р", "д/р"].into_iter().any(|word| has_beginning(before, word))
        // After a year it is of that year: «1950 года рождения, 05.10.2026».
        || (words.ends_with(" года рождения ") && before.trim_end().ends_with(':'))
}

/// Whether words of birth follow, and belong to what stands before them and not to another date right behind: «от
/// 01.02.2026, дата рождения: 05.06.1980».
fn is_behind_and_of_this(after: &str, words: &str) -> bool {
    let Some(word) = WORDS.birth_behind.iter().find(|word| words.starts_with(word.as_str())) else {
        return false;
    };
    // The same place in the text itself: behind so many letters.
    let letters = word.chars().filter(|letter| letter.is_alphanumeric()).count();
    let mut own = after.char_indices().filter(|(_, letter)| letter.is_alphanumeric());
    let last = own.nth(letters.saturating_sub(1));
    let rest = last.map_or("", |(at, letter)| &after[at + letter.len_utf8()..]);
    let end_of_word = rest.find(|letter: char| !letter.is_alphabetic()).unwrap_or(rest.len());
    let digit = rest.find(|letter: char| letter.is_ascii_digit());
    digit.is_none_or(|digit| rest[end_of_word.min(digit)..digit].contains([')', ',', ';', ']']))
}

/// Whether «г.р.» and the like, of this letter and «р», follows.
fn is_abbreviation(after: &str, first: char) -> bool {
    let is_sign = |letter: char| !letter.is_alphanumeric();
    let Some(rest) = after.trim_start_matches(is_sign).strip_prefix(first) else {
        return false;
    };
    let second = rest.trim_start_matches(is_sign);
    let between = &rest[..rest.len() - second.len()];
    !between.is_empty()
        && between.chars().all(|sign| matches!(sign, '.' | '/' | ' ' | '\n'))
        && second
            .strip_prefix('р')
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Whether a word of the text begins so.
fn has_beginning(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(char::is_alphabetic))
}

#[cfg(test)]
mod tests;
