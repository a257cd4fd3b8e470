//! Regular expressions over values with a meter. The library collects all matches of a text before it makes values of
//! them, some 300 bytes a match that nobody counts; here each match is asked for before it is made, and takes a step.

use bytes::Bytes;
use jaq_core::{
    Cv, Native,
    native::{Fun, bome, v},
};
use jaq_json::{Map, Val};
use regex_bites::bytes::{Captures, Regex, RegexBuilder};

use super::{
    bounded::{ARRAY, Bounded, ENTRY, Error, OBJECT, SLOT, TEXT, ensure},
    guard::Kind,
    meter,
};

/// Bytes a step of the search reads.
const READ_IN_A_STEP: usize = 64;
/// An object of a match with its text.
const MATCH: usize = OBJECT + 3 * ENTRY + TEXT;

/// Names of the native filters here: those of the library are left out.
pub(super) const NAMES: [&str; 3] = ["matches", "split_matches", "split_"];

/// The native filters that the library's definitions (`match`, `scan`, `sub`, `splits` …) are made of.
pub(super) fn natives() -> [Fun<Kind>; 3] {
    [
        (
            "matches",
            v(2),
            Native::new(|cv: Cv<'_, Kind>| bome(find(cv, false, true))),
        ),
        (
            "split_matches",
            v(2),
            Native::new(|cv: Cv<'_, Kind>| bome(find(cv, true, true))),
        ),
        (
            "split_",
            v(2),
            Native::new(|cv: Cv<'_, Kind>| bome(find(cv, true, false))),
        ),
    ]
}

/// What stands between matches, the matches, or both, in the order of the text.
fn find(mut cv: Cv<'_, Kind>, between: bool, matches: bool) -> Result<Bounded, Error> {
    let flags = cv.0.pop_var();
    let pattern = cv.0.pop_var();
    let flags = Flags::parse(utf8(&flags)?)?;
    let regex = flags.compile(utf8(&pattern)?)?;
    let Val::TStr(text) = &cv.1.0 else {
        return Err(Error::typ(cv.1, "string"));
    };
    ensure(meter::steps((text.len() / READ_IN_A_STEP) as u64) && meter::take(ARRAY))?;
    let mut made = Vec::new();
    let mut push = |value: Val| ensure(meter::take(SLOT)).map(|()| made.push(value));
    // Where the last match ended; up to where characters are counted, and how many there are.
    let (mut end, mut counted, mut characters) = (0, 0, 0);
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0).filter(|whole| !(flags.skips_empty && whole.is_empty())) else {
            continue;
        };
        ensure(meter::step())?;
        if between {
            push(cut(text, end, whole.start())?)?;
            end = whole.end();
        }
        if matches {
            characters += count(&text[counted..whole.start()]);
            counted = whole.start();
            push(groups(text, &regex, &found, counted, characters)?)?;
        }
        if !flags.is_global {
            break;
        }
    }
    if between {
        push(cut(text, end, text.len())?)?;
    }
    Ok(Bounded::array(made))
}

/// The match and its groups, those that took part.
fn groups(text: &Bytes, regex: &Regex, found: &Captures<'_>, start: usize, characters: usize) -> Result<Val, Error> {
    let mut groups = Vec::new();
    ensure(meter::take(ARRAY))?;
    for (group, name) in found.iter().zip(regex.capture_names()) {
        let Some(group) = group else { continue };
        let looked_at = group.end().saturating_sub(start);
        ensure(meter::steps((looked_at / READ_IN_A_STEP) as u64) && meter::take(SLOT + MATCH))?;
        let before = text.get(start..group.start()).map_or(0, count);
        let mut object = Map::default();
        object.insert(key("offset"), Val::from(characters + before));
        object.insert(key("length"), Val::from(count(group.as_bytes())));
        object.insert(key("string"), Val::utf8_str(text.slice(group.range())));
        if let Some(name) = name {
            ensure(meter::take(2 * ENTRY + TEXT + name.len()))?;
            object.insert(key("name"), Val::utf8_str(name.to_owned()));
        }
        groups.push(Val::obj(object));
    }
    Ok(Bounded::array(groups).0)
}

fn key(name: &'static str) -> Val {
    Val::utf8_str(Bytes::from_static(name.as_bytes()))
}

fn cut(text: &Bytes, start: usize, end: usize) -> Result<Val, Error> {
    ensure(meter::take(TEXT))?;
    Ok(Val::utf8_str(text.slice(start..end)))
}

/// Characters of a text; bytes that are no text count with the character before.
fn count(text: &[u8]) -> usize {
    text.iter().filter(|byte| !matches!(byte, 0x80..=0xBF)).count()
}

fn utf8(value: &Bounded) -> Result<&str, Error> {
    match &value.0 {
        Val::TStr(text) => std::str::from_utf8(text).map_err(|_| Error::str("cannot use a text that is not UTF-8")),
        _ => Err(Error::typ(value.clone(), "string")),
    }
}

/// What the letters after a pattern ask for.
#[derive(Default)]
struct Flags {
    is_global: bool,
    skips_empty: bool,
    ignores_case: bool,
    multi_line: bool,
    single_line: bool,
    swaps_greed: bool,
    ignores_space: bool,
}

impl Flags {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut flags = Self::default();
        for letter in text.chars() {
            match letter {
                'g' => flags.is_global = true,
                'n' => flags.skips_empty = true,
                'i' => flags.ignores_case = true,
                'm' => flags.multi_line = true,
                's' => flags.single_line = true,
                'l' => flags.swaps_greed = true,
                'x' => flags.ignores_space = true,
                'p' => (flags.multi_line, flags.single_line) = (true, true),
                other => return Err(Error::str(format!("invalid regex flag: {other}"))),
            }
        }
        Ok(flags)
    }

    fn compile(&self, pattern: &str) -> Result<Regex, Error> {
        RegexBuilder::new(pattern)
            .case_insensitive(self.ignores_case)
            .multi_line(self.multi_line)
            .dot_matches_new_line(self.single_line)
            .swap_greed(self.swaps_greed)
            .ignore_whitespace(self.ignores_space)
            .build()
            .map_err(|error| Error::str(format!("invalid regex: {error}")))
    }
}
