//! A text in one spelling, as the search for numbers of persons sees it, with the way back to the text itself.
//!
//! Digits of every form are ASCII digits, letters are small and Russian where they look so, marks and hidden signs are
//! gone, spaces of every kind are one space (or one line feed, when one was among them), dashes are `-`, references of
//! HTML are what they stand for; О, З, l and I among digits are 0, 3 and 1. Positions are bytes; the plain text and the
//! text itself have their own.

use std::{borrow::Cow, ops::Range};

use priem_rules::words::spelling::{digit, fold, is_invisible, russian};

/// Most characters between two groups of digits of one number, spaces in a row counting as one.
pub(super) const LONGEST_GAP: usize = 16;
/// Longest tag of HTML that may stand inside a number, bytes.
const LONGEST_TAG: usize = 256;
/// Longest name of a reference of HTML, bytes: `CounterClockwiseContourIntegral`.
const LONGEST_REFERENCE: usize = 31;
/// How often a reference may be written as one once more: `&amp;amp;nbsp;`.
const MOST_REWRITTEN: usize = 4;
/// References that browsers read without their `;` too, and what they stand for.
const OPEN_ENDED: &[(&str, char)] = &[("nbsp", ' '), ("shy", '\u{200b}'), ("middot", '.')];

/// Consecutive digits of the plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
}

impl Group {
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }
}

/// A text in one spelling.
#[derive(Debug)]
pub(super) struct Plain {
    text: String,
    /// For each byte of `text`, and for its end, where that stands in the text itself.
    origins: Vec<u32>,
    /// Places of `text` before which something hidden stood, in order.
    hidden: Vec<usize>,
    groups: Vec<Group>,
}

impl Plain {
    /// The plain text; `None`, at the cost of one look, when it holds fewer than `least` digits or is larger than 4 GB.
    pub(super) fn of(text: &str, least: usize) -> Option<Self> {
        Self::read(text, least, false)
    }

    /// The same with tags of HTML as spaces. `None` also when there are none.
    pub(super) fn without_tags(text: &str, least: usize) -> Option<Self> {
        text.contains('<').then(|| Self::read(text, least, true)).flatten()
    }

    fn read(text: &str, least: usize, without_tags: bool) -> Option<Self> {
        if !may_hold_digits(text, least) || u32::try_from(text.len()).is_err() {
            return None;
        }
        let mut plain = Self {
            text: String::with_capacity(text.len()),
            origins: Vec::with_capacity(text.len() + 1),
            hidden: Vec::new(),
            groups: Vec::new(),
        };
        let mut at = 0;
        while let Some(letter) = text[at..].chars().next() {
            let (letter, length) = match letter {
                '<' if without_tags => tag(&text[at..]).map_or((letter, 1), |length| (' ', length)),
                '&' => reference(&text[at..]).unwrap_or((letter, 1)),
                '\\' | '%' => escaped(&text[at..]).map_or((letter, 1), |length| ('\n', length)),
                letter => (letter, letter.len_utf8()),
            };
            plain.push(letter, at);
            at += length;
        }
        plain.origins.push(position(text.len()));
        plain.write_letters_as_digits();
        plain.find_groups();
        Some(plain)
    }

    fn push(&mut self, letter: char, at: usize) {
        let seen = match letter {
            _ if letter.is_ascii_digit() => letter,
            _ if is_invisible(letter) => {
                self.hidden.push(self.text.len());
                return;
            }
            // Letters by their class that stand for a sign: raised a and o, primes, the long sound of Japanese.
            'ª' | 'º' | '\u{2b0}'..='\u{2ff}' | '\u{30fc}' | '\u{ff70}' => '-',
            '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{2796}' => '-',
            // Full-width signs and letters.
            '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff5e}' => {
                in_one_spelling(char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter))
            }
            '\n' | '\t' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            _ if letter.is_whitespace() => ' ',
            _ => match digit(letter) {
                Some(value) => char::from(b'0' + value),
                None => in_one_spelling(letter),
            },
        };
        if matches!(seen, ' ' | '\n') && self.text.ends_with([' ', '\n']) {
            if seen == '\n' {
                self.text.pop();
                self.text.push('\n');
            }
            return;
        }
        self.text.push(seen);
        self.origins.resize(self.text.len(), position(at));
    }

    /// Letters typed or recognised in place of digits (`112-233-44О`), where nothing but digits stands beside them.
    fn write_letters_as_digits(&mut self) {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        for run in self.text.split(|letter: char| !letter.is_alphanumeric()) {
            let (start, end) = (from, from + run.len());
            from = end + self.text[end..].chars().next().map_or(0, char::len_utf8);
            let is_number = run.bytes().any(|byte| byte.is_ascii_digit())
                && !run.bytes().all(|byte| byte.is_ascii_digit())
                && run
                    .chars()
                    .all(|letter| letter.is_ascii_digit() || meant_digit(letter).is_some());
            if is_number {
                runs.push(start..end);
            }
        }
        if runs.is_empty() {
            return;
        }
        let mut text = String::with_capacity(self.text.len());
        let mut origins = Vec::with_capacity(self.origins.len());
        let (mut runs, mut hidden) = (runs.iter().peekable(), 0);
        for (at, letter) in self.text.char_indices() {
            while let Some(place) = self.hidden.get_mut(hidden).filter(|place| **place <= at) {
                *place = text.len();
                hidden += 1;
            }
            while runs.next_if(|run| run.end <= at).is_some() {}
            let is_inside = runs.peek().is_some_and(|run| run.contains(&at));
            text.push(meant_digit(letter).filter(|_| is_inside).unwrap_or(letter));
            origins.resize(text.len(), self.origins[at]);
        }
        for place in &mut self.hidden[hidden..] {
            *place = text.len();
        }
        origins.extend(self.origins.last());
        (self.text, self.origins) = (text, origins);
    }

    fn find_groups(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length > 0 {
                let (start, end) = (at, at + length);
                self.groups.push(Group { start, end });
            }
            at += length + 1;
        }
    }

    /// The plain text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// All groups of digits.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The place in the text itself of a piece of the plain text, with the marks of its last letter.
    pub(super) fn origin(&self, piece: Range<usize>) -> Range<usize> {
        self.origins[piece.start] as usize..self.origins[piece.end] as usize
    }

    /// What stands between a group and the next.
    pub(super) fn gap(&self, group: usize) -> &str {
        &self.text[self.groups[group].end..self.groups[group + 1].start]
    }

    /// Whether the digits of a group and the next may be one number: nothing but punctuation, spaces and the like
    /// between them, and little of it.
    pub(super) fn joins(&self, group: usize) -> bool {
        let gap = self.gap(group);
        gap.len() <= 4 * LONGEST_GAP && gap.chars().count() <= LONGEST_GAP && !gap.contains(char::is_alphanumeric)
    }

    /// Digits of consecutive groups, without what stands between.
    pub(super) fn digits(&self, groups: &[Group]) -> Vec<u8> {
        let own = groups
            .iter()
            .flat_map(|group| self.text[group.start..group.end].bytes());
        own.map(|digit| digit - b'0').collect()
    }

    /// Whether the digits of groups are parted as a number of this kind is: nowhere but at `cuts` (counted in digits).
    pub(super) fn is_parted_at_most(groups: &[Group], cuts: &[usize]) -> bool {
        seams(groups).all(|seam| cuts.contains(&seam))
    }

    /// The same, and at every one of them, be it by something hidden.
    pub(super) fn is_parted_exactly(&self, groups: &[Group], cuts: &[usize]) -> bool {
        let is_hidden = |cut: usize| {
            let mut before = 0;
            groups.iter().any(|group| {
                let place = group.start + cut.saturating_sub(before);
                let is_in = (before..before + group.len()).contains(&cut);
                before += group.len();
                is_in && self.hidden.binary_search(&place).is_ok()
            })
        };
        Self::is_parted_at_most(groups, cuts)
            && cuts
                .iter()
                .all(|cut| seams(groups).any(|seam| seam == *cut) || is_hidden(*cut))
    }

    /// Up to `characters` characters before a place, not further back than `floor`.
    pub(super) fn before(&self, at: usize, characters: usize, floor: usize) -> &str {
        let part = &self.text[floor.min(at)..at];
        let from = part
            .char_indices()
            .rev()
            .nth(characters.saturating_sub(1))
            .map_or(0, |(index, _)| index);
        &part[from..]
    }

    /// The same as words with single spaces, one before the first, unless that has lost its beginning, and one after the
    /// last.
    pub(super) fn words_before(&self, at: usize, characters: usize, floor: usize) -> String {
        let part = self.before(at, characters, floor);
        let is_cut = self.text[..at - part.len()].ends_with(char::is_alphanumeric);
        words(part.chars(), !is_cut)
    }

    /// Up to `characters` characters after a place.
    pub(super) fn after(&self, at: usize, characters: usize) -> &str {
        let rest = &self.text[at..];
        let end = rest
            .char_indices()
            .nth(characters)
            .map_or(rest.len(), |(index, _)| index);
        &rest[..end]
    }

    /// The same as words with single spaces, one before the first and one after the last.
    pub(super) fn words_after(&self, at: usize, characters: usize) -> String {
        words(self.after(at, characters).chars(), true)
    }
}

/// The text with each range, in order and apart, replaced by its words.
pub(super) fn replace(text: &str, cuts: &[(Range<usize>, Cow<'_, str>)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, words) in cuts {
        out.push_str(&text[at..range.start]);
        out.push_str(words);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Sorts ranges and drops those that begin inside an earlier one.
pub(super) fn keep_apart(cuts: &mut Vec<(Range<usize>, Cow<'_, str>)>) {
    cuts.sort_by_key(|(range, _)| range.start);
    let mut end = 0;
    cuts.retain(|(range, _)| {
        let is_apart = range.start >= end;
        if is_apart {
            end = range.end;
        }
        is_apart
    });
}

/// A word to look for, in the spelling of plain texts.
pub(super) fn spelt(word: &str) -> String {
    word.chars().map(in_one_spelling).collect()
}

fn in_one_spelling(letter: char) -> char {
    let folded = fold(letter);
    match russian(folded).unwrap_or(folded) {
        // Its breve may be a mark of its own, and is gone then.
        'й' => 'и',
        other => other,
    }
}

/// The digit a letter of the plain text is taken for.
fn meant_digit(letter: char) -> Option<char> {
    match letter {
        'о' => Some('0'),
        'з' => Some('3'),
        'i' | 'l' | 'і' => Some('1'),
        _ => None,
    }
}

fn words(letters: impl Iterator<Item = char>, is_whole: bool) -> String {
    let mut out = String::from(if is_whole { " " } else { "" });
    for letter in letters {
        match letter.is_alphanumeric() {
            true => out.push(letter),
            false if out.ends_with(' ') => {}
            false => out.push(' '),
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// After how many digits the groups are parted.
fn seams(groups: &[Group]) -> impl Iterator<Item = usize> {
    let inner = groups.split_last().map_or(groups, |(_, inner)| inner);
    inner.iter().scan(0, |digits, group| {
        *digits += group.len();
        Some(*digits)
    })
}

fn position(at: usize) -> u32 {
    u32::try_from(at).expect("the text was measured")
}

/// Whether a text has so many digits, by counting; nearly all texts without them are known by their bytes.
fn may_hold_digits(text: &str, least: usize) -> bool {
    let bytes = text.as_bytes();
    // Counting all of them is one run of vector instructions; stopping early would not be.
    let usual = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if usual >= least {
        return true;
    }
    // Russian letters begin with D0 and D1; a digit of another form begins with another byte.
    let unusual = bytes
        .iter()
        .filter(|byte| **byte >= 0xc0 && !matches!(byte, 0xd0 | 0xd1))
        .count();
    usual + unusual >= least && text.chars().filter_map(digit).take(least).count() >= least
}

/// Length of the tag of HTML a text begins with.
fn tag(text: &str) -> Option<usize> {
    let inside = text[1..].strip_prefix('/').unwrap_or(&text[1..]);
    if !inside.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return None;
    }
    let end = text.bytes().take(LONGEST_TAG).position(|byte| byte == b'>')?;
    Some(end + 1)
}

/// What the reference of HTML a text begins with stands for, and its length. A name that is none of those below is some
/// sign. Written as a reference once more (`&amp;nbsp;`), it is the same.
fn reference(text: &str) -> Option<(char, usize)> {
    let mut from = 1;
    for _ in 0..MOST_REWRITTEN {
        match text[from..].starts_with("amp;") {
            true => from += "amp;".len(),
            false => break,
        }
    }
    match named(&text[from..]) {
        Some((stands_for, length)) => Some((stands_for, from + length)),
        None => (from > 1).then_some(('&', from)),
    }
}

/// The same of what follows the `&`.
fn named(text: &str) -> Option<(char, usize)> {
    if let Some(number) = text.strip_prefix('#') {
        let (radix, digits) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (16, digits),
            None => (10, number),
        };
        let length = digits
            .find(|letter: char| !letter.is_digit(radix))
            .unwrap_or(digits.len());
        // Without its end, a space swallows the digits behind it.
        let space = if radix == 16 { "a0" } else { "160" };
        if !digits[length..].starts_with(';') && digits[..length].to_ascii_lowercase().starts_with(space) {
            return Some((' ', text.len() - digits.len() + space.len()));
        }
        let code = u32::from_str_radix(&digits[..length], radix).ok()?;
        let end = text.len() - digits.len() + length;
        return Some((char::from_u32(code)?, end + usize::from(text[end..].starts_with(';'))));
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric();
    let length = text.bytes().take(LONGEST_REFERENCE).take_while(is_name).count();
    let name = text[..length].to_ascii_lowercase();
    if length < 2 || !text[length..].starts_with(';') {
        let (known, stands_for) = OPEN_ENDED.iter().find(|(known, _)| name.starts_with(known))?;
        return Some((*stands_for, known.len()));
    }
    let stands_for = match name.as_str() {
        "nbsp" | "ensp" | "emsp" | "thinsp" | "numsp" | "puncsp" | "hairsp" | "nonbreakingspace" => ' ',
        "ndash" | "mdash" | "minus" | "dash" | "hyphen" | "horbar" => '-',
        "shy" | "zwnj" | "zwj" | "lrm" | "rlm" => '\u{200b}',
        "tab" | "newline" => '\n',
        "sol" => '/',
        "lowbar" => '_',
        _ => '.',
    };
    Some((stands_for, length + 1))
}

/// Length of a space or line break written as in a program or an address: `\n`, `%20`.
fn escaped(text: &str) -> Option<usize> {
    let known = ["\\n", "\\r", "\\t", "%20", "%09", "%0A", "%0D", "%C2%A0"];
    let found = known.into_iter().find(|known| {
        let start = text.as_bytes().get(..known.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(known.as_bytes()))
    });
    found.map(str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        Plain::of(text, 0).expect("a plain text").text
    }

    #[test]
    fn a_text_has_one_spelling() {
        assert_eq!(plain("CНИЛС\u{a0}\u{2009}№\t１２−3\u{200b}4"), "снилс №\n12-34");
        assert_eq!(plain("1\u{fe0f}\u{20e3}2\u{fe0f}\u{20e3}➖𝟑"), "12-3");
        assert_eq!(plain("Страхово\u{438}\u{306} й"), "страховои и");
        assert_eq!(plain("1&nbsp;2&#8209;3&shy;4&amp;&#x33;"), "1 2-34&3");
        assert_eq!(
            plain("1&amp;nbsp;2&nbsp3&#xa04&middot;5&bull;6& 7&amp;"),
            "1 2 3 4.5.6& 7&"
        );
        assert_eq!(plain("1\\n2%203\\4%5"), "1\n2\n3\\4%5");
        assert_eq!(plain("1\u{3164}2\u{115f}ー3ª4ʹ5"), "12-3-4-5");
        assert_eq!(Plain::without_tags("1<b>2</b>  <3", 0).expect("plain").text, "1 2 <3");
    }

    #[test]
    fn letters_in_place_of_digits_are_digits() {
        assert_eq!(plain("112-2З3-44O 9l"), "112-233-440 91");
        assert_eq!(plain("OО1 ооо 2024г 16б Iq3"), "001 ооо 2024г 16б iq3");
        let text = "№ 1О\u{200b}2ЗO-4";
        let plain = Plain::of(text, 3).expect("three digits");
        let groups = plain.groups();
        assert_eq!(plain.digits(groups), [1, 0, 2, 3, 0, 4]);
        assert_eq!(&text[plain.origin(groups[0].start..groups[0].end)], "1О\u{200b}2ЗO");
        assert!(plain.is_parted_exactly(groups, &[2, 5]));
    }

    #[test]
    fn pieces_are_found_in_the_text_itself() {
        let text = "№\u{a0}\u{a0}１\u{20e3}2\u{ad}-3!";
        let plain = Plain::of(text, 3).expect("three digits");
        let groups = plain.groups();
        assert_eq!(groups.len(), 2);
        let whole = plain.origin(groups[0].start..groups[1].end);
        assert_eq!(&text[whole], "１\u{20e3}2\u{ad}-3");
        assert_eq!(&text[plain.origin(groups[0].start..groups[0].end)], "１\u{20e3}2\u{ad}");
        assert!(Plain::of(text, 4).is_none());
    }

    #[test]
    fn where_digits_are_parted_is_known() {
        let text = "12\u{200b}34-56";
        let plain = Plain::of(text, 6).expect("six digits");
        let groups = plain.groups();
        assert!(Plain::is_parted_at_most(groups, &[2, 4]) && Plain::is_parted_at_most(groups, &[4]));
        assert!(!Plain::is_parted_at_most(groups, &[2]));
        assert!(plain.is_parted_exactly(groups, &[2, 4]) && !plain.is_parted_exactly(groups, &[1, 4]));
    }

    #[test]
    fn words_have_single_spaces() {
        let plain = Plain::of("дата -\u{a0}Рождения: 1", 1).expect("a digit");
        let at = plain.groups()[0].start;
        assert_eq!(plain.words_before(at, 48, 0), " дата рождения ");
        assert_eq!(plain.words_before(at, 5, 0), "ния ");
        assert_eq!(plain.words_before(at, 48, 8), " рождения ");
    }
}
