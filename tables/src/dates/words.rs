//! Dates in words: as people write them, and as programs show them to people.

use jiff::{
    civil::{self, Weekday},
    tz::Offset,
};

use super::{Order, Written, american_day, any_day, day_of, is_american, month_first_day, small};

/// Names of months; a word of three letters or more that begins one means it.
const MONTHS: [[&str; 3]; 12] = [
    ["январь", "января", "january"],
    ["февраль", "февраля", "february"],
    ["март", "марта", "march"],
    ["апрель", "апреля", "april"],
    ["май", "мая", "may"],
    ["июнь", "июня", "june"],
    ["июль", "июля", "july"],
    ["август", "августа", "august"],
    ["сентябрь", "сентября", "september"],
    ["октябрь", "октября", "october"],
    ["ноябрь", "ноября", "november"],
    ["декабрь", "декабря", "december"],
];
const WEEKDAYS: [(&str, &str, Weekday); 7] = [
    ("пн", "понедельник", Weekday::Monday),
    ("вт", "вторник", Weekday::Tuesday),
    ("ср", "среда", Weekday::Wednesday),
    ("чт", "четверг", Weekday::Thursday),
    ("пт", "пятница", Weekday::Friday),
    ("сб", "суббота", Weekday::Saturday),
    ("вс", "воскресенье", Weekday::Sunday),
];
/// Words before a date that leave it what it is.
const BEFORE: [&[&str]; 6] = [&["до"], &["к"], &["по"], &["от"], &["не", "позднее"], &["не", "позже"]];
const YEAR: [&str; 4] = ["г", "г.", "год", "года"];
/// Since when Moscow is three hours ahead.
const MOSCOW_AS_NOW: civil::Date = civil::date(2014, 10, 27);

/// A time of day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) hour: i8,
    pub(super) minute: i8,
    pub(super) second: Option<i8>,
}

/// What was written after the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Morning,
    Evening,
}

/// Reads a date with its words.
pub(super) fn read(text: &str, order: Order) -> Option<Written> {
    let text = plain(text);
    let mut words: &[&str] = &text
        .split([' ', ',', '(', ')'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>();
    for before in BEFORE {
        words = words.strip_prefix(before).unwrap_or(words);
    }
    let before = weekday(&mut words);
    let half = half(words);
    // A time may stand before the date.
    let early = words
        .first()
        .and_then(|word| clock(word))
        .filter(|_| words.first().is_some_and(|word| word.contains(':')));
    words = &words[usize::from(early.is_some())..];
    let (day, mut words) = day(words, half.is_some(), order)?;
    let behind = weekday(&mut words);
    if before.or(behind).is_some_and(|weekday| weekday != day.weekday()) {
        return None;
    }
    let mut time = early;
    let mut offset = None;
    if words.len() > 1 && matches!(words[0], "в" | "до") {
        words = &words[1..];
    }
    if let (None, [word, rest @ ..]) = (time, words) {
        let (word, glued) = split_offset(word);
        if let Some(found) = clock(word) {
            time = Some(found);
            words = rest;
            if !glued.is_empty() {
                offset = Some(offset_of(glued)?);
            }
        }
    }
    if half.is_some() {
        words = words
            .strip_suffix(&["am"])
            .or_else(|| words.strip_suffix(&["pm"]))
            .unwrap_or(words);
        time = Some(time?.on_twelve(half?)?);
    }
    if words == ["включительно"] {
        words = &[];
    }
    if !words.is_empty() {
        if offset.is_some() {
            return None;
        }
        offset = Some(zone(words, day)?);
    }
    written(day, time, offset)
}

pub(super) fn written(day: civil::Date, time: Option<Clock>, offset: Option<Offset>) -> Option<Written> {
    let Some(Clock { hour, minute, second }) = time else {
        return Some(Written::Day(day));
    };
    // The end of a day is still that day.
    if (hour, minute, second.unwrap_or(0), offset) == (24, 0, 0, None) {
        return Some(Written::Day(day));
    }
    let at = civil::Time::new(hour, minute, second.unwrap_or(0), 0).ok()?;
    let at = day.to_datetime(at);
    match offset {
        Some(offset) => offset.to_timestamp(at).ok().map(Written::Instant),
        None if at.time() == civil::Time::midnight() => Some(Written::Day(day)),
        None if second.is_some() => Some(Written::Second(at)),
        None => Some(Written::Minute(at)),
    }
}

/// Small letters, one kind of space and of hyphen, nothing that can't be seen; no spaces around the dots of a date.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {}
            '\u{2010}'..='\u{2013}' | '\u{2212}' => plain.push('-'),
            c if c.is_whitespace() => plain.push(' '),
            c => plain.push(c),
        }
    }
    // `2026-01-05t10:30`
    if plain.as_bytes().get(10) == Some(&b't') && plain.as_bytes()[..10].is_ascii() {
        plain.replace_range(10..11, " ");
    }
    // `10:30:15,5`
    let bytes = plain.as_bytes();
    let is_fraction =
        |at: &usize| *at > 3 && bytes[at - 3] == b':' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    let mut commas = plain.match_indices(',').map(|(at, _)| at);
    if let Some(at) = commas.find(is_fraction) {
        plain.replace_range(at..=at, ".");
    }
    plain.replace(" . ", ".")
}

fn weekday(words: &mut &[&str]) -> Option<Weekday> {
    let first = words.first()?.trim_end_matches('.');
    let (.., weekday) = WEEKDAYS
        .iter()
        .find(|(short, long, _)| first == *short || first == *long)?;
    *words = &words[1..];
    Some(*weekday)
}

/// AM or PM, as a word of its own or behind the time.
fn half(words: &[&str]) -> Option<Half> {
    words.iter().find_map(|word| {
        let is_time = |time: &str| time.is_empty() || clock(time).is_some();
        let ends = |half: &str| word.strip_suffix(half).is_some_and(is_time);
        (ends("am").then_some(Half::Morning)).or_else(|| ends("pm").then_some(Half::Evening))
    })
}

/// The day at the front, and the words behind it.
fn day<'a, 'b>(words: &'a [&'b str], has_half: bool, order: Order) -> Option<(civil::Date, &'a [&'b str])> {
    let numeric = |word: &str| {
        let word = YEAR.iter().find_map(|year| word.strip_suffix(year)).unwrap_or(word);
        let word = word.strip_suffix('.').unwrap_or(word);
        let found = match order {
            Order::MonthFirst => month_first_day(word),
            Order::Unsaid if has_half || is_american(word) => american_day(word),
            Order::Unsaid => any_day(word),
        };
        found.or_else(|| with_month_name(&word.split(['-', '.']).collect::<Vec<_>>()))
    };
    let (first, rest) = words.split_first()?;
    let (day, rest) = match numeric(first) {
        Some(day) => (day, rest),
        None => {
            let &[one, next, year] = words.get(..3)? else {
                return None;
            };
            let day = with_month_name(&[one, next, year]).or_else(|| with_month_name(&[next, one, year]))?;
            (day, &words[3..])
        }
    };
    let is_year = rest.first().is_some_and(|word| YEAR.contains(word));
    Some((day, &rest[usize::from(is_year)..]))
}

/// `5`, `января`, `2026`.
fn with_month_name(words: &[&str]) -> Option<civil::Date> {
    let &[day, name, year] = words else {
        return None;
    };
    let name = name.trim_end_matches('.');
    if name.chars().count() < 3 {
        return None;
    }
    let month = MONTHS
        .iter()
        .position(|names| names.iter().any(|month| month.starts_with(name)))?;
    let year = YEAR.iter().find_map(|mark| year.strip_suffix(mark)).unwrap_or(year);
    day_of(year, &(month + 1).to_string(), day)
}

/// `10:30`, `10:30:15`, `10:30:15.5`, `10.30`, `10-30`.
fn clock(word: &str) -> Option<Clock> {
    let word = word
        .strip_suffix("am")
        .or_else(|| word.strip_suffix("pm"))
        .unwrap_or(word);
    let mark = if word.contains(':') { ':' } else { '.' };
    let mut parts = word.split(|c| c == mark || (mark == '.' && c == '-'));
    let hour = small(parts.next()?)?;
    let minute = parts.next().filter(|minute| minute.len() == 2)?;
    let second = parts.next();
    // With dots it would be a date.
    if parts.next().is_some() || (mark == '.' && second.is_some()) {
        return None;
    }
    let second = second.map(|second| small(second.split('.').next()?));
    Some(Clock {
        hour,
        minute: small(minute)?,
        second: match second {
            Some(second) => Some(second?),
            None => None,
        },
    })
}

impl Clock {
    fn on_twelve(self, half: Half) -> Option<Self> {
        let hour = match half {
            _ if !(1..=12).contains(&self.hour) => return None,
            Half::Morning => self.hour % 12,
            Half::Evening => self.hour % 12 + 12,
        };
        Some(Self { hour, ..self })
    }
}

/// A time and the offset right behind it.
fn split_offset(word: &str) -> (&str, &str) {
    match word.find(['+', '-', 'z']) {
        Some(at) if word[..at].contains(':') => word.split_at(at),
        _ => (word, ""),
    }
}

/// `+03:00`, `+0300`, `+3`, `z`.
fn offset_of(text: &str) -> Option<Offset> {
    if text == "z" {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "0"),
    };
    let seconds = i32::from(small(hours)?) * 3600 + i32::from(small(minutes)?) * 60;
    Offset::from_seconds(sign * seconds).ok()
}

/// Words for a zone behind a time.
fn zone(words: &[&str], day: civil::Date) -> Option<Offset> {
    let words = words.strip_prefix(&["по"]).unwrap_or(words);
    let words = words.strip_suffix(&["времени"]).unwrap_or(words);
    let &[word] = words else {
        return None;
    };
    let moscow = || (day >= MOSCOW_AS_NOW).then_some(3);
    for name in ["мск", "msk", "московскому", "utc", "gmt", ""] {
        let Some(more) = word.strip_prefix(name) else {
            continue;
        };
        let own = if ["utc", "gmt", ""].contains(&name) {
            0
        } else {
            moscow()?
        };
        let more = if more.is_empty() && !name.is_empty() {
            Offset::UTC
        } else {
            offset_of(more)?
        };
        return Offset::from_seconds(more.seconds() + own * 3600).ok();
    }
    None
}
