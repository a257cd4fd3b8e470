//! What the citizens of an invented city write: complaints with typos, anger, emoji, network markup, addresses of
//! streets that don't exist or no address at all; thanks; nonsense. Every text is written for this project.
//!
//! Each voice carries the sector an attentive person would send it to, so that rules can be measured against it.

use std::sync::LazyLock;

use crate::telegram::Person;

static LINES: &str = include_str!("voices.tsv");

/// All voices, parsed once.
static VOICES: LazyLock<Vec<Voice>> = LazyLock::new(|| {
    LINES
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(sector, text)| Voice { sector, text })
        .collect()
});

const FIRST_NAMES: [&str; 16] = [
    "Анна",
    "Олег",
    "Марина",
    "Виктор",
    "Зоя",
    "Тимур",
    "Галина",
    "Илья",
    "Раиса",
    "Денис",
    "Лидия",
    "Егор",
    "Нина",
    "Артур",
    "Софья",
    "Павел",
];
/// Surnames that need no ending for gender.
const LAST_NAMES: [&str; 10] = [
    "Ветровых",
    "Черных",
    "Гордиенко",
    "Шевчук",
    "Долгих",
    "Мороз",
    "Коваль",
    "Седых",
    "Заречных",
    "Бондаренко",
];
const NICKNAMES: [&str; 6] = ["sosed", "mama_dvuh", "ng_jitel", "veter", "kot_uchenyi", "babushka"];

/// Something a citizen writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// Where it belongs: `roads`, `heating`, `snow`, `lamps`, `buses`, `clinics`, `schools`, `waste`, `water`,
    /// `yards`, `dogs`, `playgrounds`, `trees`, `noise`, `thanks`, or `none`.
    pub sector: &'static str,
    /// The words.
    pub text: &'static str,
}

/// Every voice.
pub fn all() -> &'static [Voice] {
    &VOICES
}

/// Picks voices and people; the same seed picks the same.
#[derive(Debug, Clone)]
pub struct Crowd {
    random: fastrand::Rng,
    people: u64,
}

impl Crowd {
    /// A crowd of `people` (at least one) who write in an order given by the seed.
    pub fn new(seed: u64, people: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            people: people.max(1),
        }
    }

    /// Somebody of the crowd.
    pub fn person(&mut self) -> Person {
        let number = self.random.u64(0..self.people);
        person(number)
    }

    /// Something to say.
    pub fn voice(&mut self) -> Voice {
        let all = all();
        all[self.random.usize(0..all.len())]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.random.u32(0..times.max(1)) == 0
    }
}

/// The person with this number: always the same name and id.
pub fn person(number: u64) -> Person {
    let index = |length: usize, divisor: u64| {
        let length = length as u64;
        usize::try_from(number / divisor % length).unwrap_or(0)
    };
    let first = FIRST_NAMES[index(FIRST_NAMES.len(), 1)];
    let id = 510_000_000 + i64::try_from(number % 1_000_000_000).unwrap_or(0);
    let mut person = Person::new(id, first);
    if !number.is_multiple_of(3) {
        person.last_name = Some(LAST_NAMES[index(LAST_NAMES.len(), 16)].to_owned());
    }
    if number.is_multiple_of(2) {
        person.username = Some(format!("{}_{number}", NICKNAMES[index(NICKNAMES.len(), 2)]));
    }
    person
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    #[test]
    fn there_are_dozens_of_different_voices_for_every_sector() {
        let texts: HashSet<&str> = all().iter().map(|voice| voice.text).collect();
        assert_eq!(texts.len(), all().len(), "no text twice");
        assert_eq!(all().len(), LINES.lines().count(), "every line has a sector and a text");
        assert!(all().len() >= 60, "{}", all().len());
        let mut sectors: BTreeMap<&str, usize> = BTreeMap::new();
        for voice in all() {
            *sectors.entry(voice.sector).or_default() += 1;
        }
        assert_eq!(sectors.len(), 16, "{sectors:?}");
        assert!(sectors.values().all(|count| *count >= 3), "{sectors:?}");
    }

    #[test]
    fn the_same_seed_says_the_same() {
        let said = |seed| {
            let mut crowd = Crowd::new(seed, 50);
            (0..100).map(|_| (crowd.person(), crowd.voice())).collect::<Vec<_>>()
        };
        assert_eq!(said(7), said(7));
        assert_ne!(said(7), said(8));
    }
}
