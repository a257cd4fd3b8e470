//! What a rule looks for in a text: a word or a phrase (notation: `words::phrase`), as numbers of facts.

use crate::engine::facts::Facts;
use crate::engine::vocabulary::{FactId, Vocabulary};
use crate::words::phrase::{self, Spelling, TermError};

/// A word or phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    /// As the author wrote it.
    pub(crate) written: Box<str>,
    slots: Slots,
}

/// The places of a phrase. Most terms are one word: ten thousand rules should not need an allocation for each.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slots {
    One(Slot),
    Many(Box<[Slot]>),
}

impl Slots {
    fn as_slice(&self) -> &[Slot] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }
}

/// Facts any of which fills a place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Alternatives {
    One(FactId),
    Many(Box<[FactId]>),
}

impl Alternatives {
    fn as_slice(&self) -> &[FactId] {
        match self {
            Self::One(fact) => std::slice::from_ref(fact),
            Self::Many(facts) => facts,
        }
    }
}

impl From<Vec<FactId>> for Alternatives {
    fn from(facts: Vec<FactId>) -> Self {
        match facts.as_slice() {
            [one] => Self::One(*one),
            _ => Self::Many(facts.into()),
        }
    }
}

/// One place of a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    alternatives: Alternatives,
    /// Other words allowed before it.
    gap: u32,
}

impl Term {
    /// Reads the notation and interns its words.
    ///
    /// # Errors
    /// The problem and the cure, for the author.
    #[cfg(test)]
    pub(crate) fn parse(written: &str, vocabulary: &mut Vocabulary) -> Result<Self, TermError> {
        Self::parse_as(written, Spelling::Strict, vocabulary)
    }

    /// The same; `spelling` is that of words which don't say it themselves.
    ///
    /// # Errors
    /// As [`Term::parse`].
    pub(crate) fn parse_as(written: &str, spelling: Spelling, vocabulary: &mut Vocabulary) -> Result<Self, TermError> {
        let mut slots: Vec<Slot> = phrase::read(written, spelling)?
            .into_iter()
            .map(|slot| {
                let words = slot.alternatives.into_iter();
                Slot {
                    alternatives: words
                        .map(|word| vocabulary.intern_word(word))
                        .collect::<Vec<_>>()
                        .into(),
                    gap: slot.gap,
                }
            })
            .collect();
        Ok(Self {
            written: written.trim().into(),
            slots: match slots.len() {
                1 => Slots::One(slots.remove(0)),
                _ => Slots::Many(slots.into()),
            },
        })
    }

    /// Whether the text has it.
    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        match self.slots.as_slice() {
            [slot] => slot.alternatives.as_slice().iter().any(|&fact| facts.has(fact)),
            _ => self.find(facts).is_some(),
        }
    }

    /// Positions of the words of the first occurrence.
    pub(crate) fn find(&self, facts: &Facts<'_>) -> Option<Vec<u32>> {
        // For every place of the phrase: positions that end a fitting beginning, each with its forerunner. The nearest
        // forerunner is always the best one, so the work grows with the number of words found, not of combinations.
        let slots = self.slots.as_slice();
        let mut steps: Vec<Vec<(u32, usize)>> = Vec::with_capacity(slots.len());
        for slot in slots {
            let places = slot.places(facts);
            let step = match steps.last() {
                None => places.into_iter().map(|place| (place, 0)).collect(),
                Some(before) => places
                    .into_iter()
                    .filter_map(|place| {
                        let nearest = before.partition_point(|(earlier, _)| *earlier < place).checked_sub(1)?;
                        (place - before[nearest].0 - 1 <= slot.gap).then_some((place, nearest))
                    })
                    .collect::<Vec<_>>(),
            };
            if step.is_empty() {
                return None;
            }
            steps.push(step);
        }
        let mut found = Vec::with_capacity(steps.len());
        let mut at = 0;
        for step in steps.iter().rev() {
            let (place, before) = step[at];
            found.push(place);
            at = before;
        }
        found.reverse();
        Some(found)
    }

    /// Places of the phrase in order: facts any of which fills the place, and how many other words may stand before it.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&[FactId], u32)> {
        self.slots
            .as_slice()
            .iter()
            .map(|slot| (slot.alternatives.as_slice(), slot.gap))
    }

    /// For the index: per place of the phrase, facts one of which must hold.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &[FactId]> {
        self.slots.as_slice().iter().map(|slot| slot.alternatives.as_slice())
    }
}

impl Slot {
    fn places(&self, facts: &Facts<'_>) -> Vec<u32> {
        let alternatives = self.alternatives.as_slice().iter();
        let mut places: Vec<u32> = alternatives.flat_map(|&fact| facts.places(fact)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use priem_message::{EventType, Kind, Message, MessageData, Regime};

    fn found(term: &str, text: &str) -> Option<Vec<String>> {
        let mut vocabulary = Vocabulary::default();
        let term = Term::parse(term, &mut vocabulary).expect("a term");
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.body.text = text.into();
        let message = Message::new(EventType::Received, data);
        let facts = vocabulary.facts(&message);
        let places = term.find(&facts);
        assert_eq!(places.is_some(), term.matches(&facts));
        Some(places?.into_iter().map(|at| facts.word(at).to_owned()).collect())
    }

    fn refused(term: &str) -> String {
        Term::parse(term, &mut Vocabulary::default()).expect_err("refused").0
    }

    #[test]
    fn words_and_phrases() {
        assert_eq!(found("сугроб", "Кругом Сугробы!").expect("found"), ["Сугробы"]);
        assert_eq!(
            found("нет воды", "третий день нет воды").expect("found"),
            ["нет", "воды"]
        );
        assert_eq!(found("нет воды", "воды нет"), None);
        assert_eq!(found("нет воды", "нет горячей воды"), None);
        assert_eq!(found("нет ... воды", "нет уже два дня горячей воды"), None);
        assert_eq!(
            found("нет ...5 воды", "нет уже два дня горячей воды").expect("found"),
            ["нет", "воды"]
        );
        assert_eq!(
            found("нет воды|света", "опять НЕТ света").expect("found"),
            ["НЕТ", "света"]
        );
        assert_eq!(found("из-за", "это из-за вас").expect("found"), ["из", "за"]);
        assert_eq!(found("елка", "наша ёлка").expect("found"), ["ёлка"]);
        assert_eq!(found("=дома", "дом"), None);
        assert_eq!(found("авари*", "Аварийный дом").expect("found"), ["Аварийный"]);
        assert_eq!(found("поликлиника~", "в полеклинике").expect("found"), ["полеклинике"]);
        assert_eq!(found("поликлиника", "в полеклинике"), None);
        assert_eq!(
            found("нет отопления~", "нет отаплениЯ").expect("found"),
            ["нет", "отаплениЯ"]
        );
    }

    #[test]
    fn the_wrong_keyboard_layout_is_read() {
        assert_eq!(found("снег", "Gjxtve cytu?").expect("found"), ["cytu?"]);
        assert_eq!(found("нет воды", "Jgznm ytn djls.").expect("found"), ["ytn", "djls."]);
        assert_eq!(
            found("не работает", "kban yt hf,jnftn").expect("found"),
            ["yt", "hf,jnftn"]
        );
        assert_eq!(
            found("работает лифт", "hf,jnftn kban").expect("found"),
            ["hf,jnftn", "kban"]
        );
        assert_eq!(found("снег", "cнeг").expect("letters of both alphabets"), ["cнeг"]);
        assert_eq!(found("снег", "https://cytu.ru"), None);
    }

    #[test]
    fn the_nearest_forerunner_is_taken() {
        assert_eq!(found("нет воды", "нет нет воды воды").expect("found"), ["нет", "воды"]);
        assert_eq!(found("а б а", "а б б а б а").expect("found"), ["а", "б", "а"]);
    }

    #[test]
    fn bad_notation_is_explained() {
        assert!(refused("*вода").contains("только в конце"));
        assert!(refused("во*").contains("короче трёх"));
        assert!(refused("... воды").contains("между словами"));
        assert!(refused("нет ...").contains("между словами"));
        assert!(refused("нет ...99 воды").contains("многоточие"));
        assert!(refused("=вод*").contains("точную форму"));
        assert!(refused("яма~").contains("от 6 букв"));
        assert!(refused("=поликлиника~").contains("без других знаков"));
        assert!(refused("  ").contains("пустое"));
        assert!(refused("вода|из-за").contains("дефисом"));
    }
}
