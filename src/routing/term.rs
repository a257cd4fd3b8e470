//! What a rule looks for in a text: a word or a phrase, in the notation of the rule files.
//!
//! | запись | находит |
//! |---|---|
//! | `сугроб` | любую форму слова: сугробы, сугробов |
//! | `=дома` | только эту форму |
//! | `аварий*` | слова с таким началом |
//! | `поликлиника~` | то же, что слово, и с одной ошибочной буквой; от шести букв |
//! | `нет воды` | слова подряд, каждое в любой форме |
//! | `нет ... воды` | между словами может стоять до трёх других; `...5` — до пяти |
//! | `нет воды\|света` | на месте слова — любое из перечисленных |
//!
//! Punctuation between words is not looked at: citizens leave it out.

use super::facts::Facts;
use super::normal;
use super::typos;
use super::vocabulary::{FactId, Vocabulary, WordForm, stem};

/// Words that may stand in a gap written as bare dots.
const DEFAULT_GAP: u32 = 3;
/// Most words a gap may allow.
const WIDEST_GAP: u32 = 20;
/// Fewest letters of a prefix: a shorter one finds half of the language.
const SHORTEST_PREFIX: usize = 3;

/// A word or phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// As the author wrote it.
    pub(super) written: Box<str>,
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

/// How the words of a text may be spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Without mistakes; «~» after a word allows one.
    Strict,
    /// One letter of every long word may be wrong.
    Typos,
}

/// What is wrong with a term: the problem and the cure, in Russian.
pub(super) type TermError = (String, String);

impl Term {
    /// Reads the notation and interns its words.
    ///
    /// # Errors
    /// The problem and the cure, for the author.
    #[cfg(test)]
    pub(super) fn parse(written: &str, vocabulary: &mut Vocabulary) -> Result<Self, TermError> {
        Self::parse_as(written, Spelling::Strict, vocabulary)
    }

    /// The same; `spelling` is that of words which don't say it themselves.
    ///
    /// # Errors
    /// As [`Term::parse`].
    pub(super) fn parse_as(written: &str, spelling: Spelling, vocabulary: &mut Vocabulary) -> Result<Self, TermError> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut gap = None;
        for piece in written.split_whitespace() {
            if let Some(width) = gap_width(piece)? {
                if slots.is_empty() || gap.is_some() {
                    return Err((
                        "многоточие должно стоять между словами".into(),
                        "пример: «нет ... воды»".into(),
                    ));
                }
                gap = Some(width);
                continue;
            }
            for words in read_piece(piece, spelling)? {
                slots.push(Slot {
                    alternatives: words
                        .into_iter()
                        .map(|word| vocabulary.intern_word(word))
                        .collect::<Vec<_>>()
                        .into(),
                    gap: gap.take().unwrap_or(0),
                });
            }
        }
        if slots.is_empty() {
            return Err(("пустое слово".into(), "напишите слово или уберите строку".into()));
        }
        if gap.is_some() {
            return Err((
                "многоточие должно стоять между словами".into(),
                "пример: «нет ... воды»".into(),
            ));
        }
        Ok(Self {
            written: written.trim().into(),
            slots: match slots.len() {
                1 => Slots::One(slots.remove(0)),
                _ => Slots::Many(slots.into()),
            },
        })
    }

    /// Whether the text has it.
    pub(super) fn matches(&self, facts: &Facts<'_>) -> bool {
        match self.slots.as_slice() {
            [slot] => slot.alternatives.as_slice().iter().any(|&fact| facts.has(fact)),
            _ => self.find(facts).is_some(),
        }
    }

    /// Positions of the words of the first occurrence.
    pub(super) fn find(&self, facts: &Facts<'_>) -> Option<Vec<u32>> {
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
    pub(super) fn places(&self) -> impl Iterator<Item = (&[FactId], u32)> {
        self.slots
            .as_slice()
            .iter()
            .map(|slot| (slot.alternatives.as_slice(), slot.gap))
    }

    /// For the index: per place of the phrase, facts one of which must hold.
    pub(super) fn needs(&self) -> impl Iterator<Item = &[FactId]> {
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

/// The width of a gap (`...`, `…`, `...5`), when the piece is one.
fn gap_width(piece: &str) -> Result<Option<u32>, TermError> {
    let Some(width) = piece.strip_prefix("...").or_else(|| piece.strip_prefix('…')) else {
        return Ok(None);
    };
    if width.is_empty() {
        return Ok(Some(DEFAULT_GAP));
    }
    match width.parse::<u32>() {
        Ok(width) if (1..=WIDEST_GAP).contains(&width) => Ok(Some(width)),
        _ => Err((
            format!("непонятное многоточие «{piece}»"),
            format!(
                "отделите его пробелами; после точек — сколько слов пропустить, от 1 до {WIDEST_GAP}: «нет ...5 воды»"
            ),
        )),
    }
}

/// Reads a piece without spaces: usually one place, several for a hyphenated word.
fn read_piece(piece: &str, spelling: Spelling) -> Result<Vec<Vec<WordForm>>, TermError> {
    let mut readings = Vec::new();
    for alternative in piece.split('|') {
        readings.push(read_word(alternative, spelling)?);
    }
    if readings.len() == 1 {
        return Ok(readings.remove(0).into_iter().map(|word| vec![word]).collect());
    }
    if readings.iter().any(|words| words.len() != 1) {
        return Err((
            format!("«{piece}»: слово с дефисом не может стоять среди вариантов через «|»"),
            "напишите каждый вариант отдельной строкой списка".into(),
        ));
    }
    Ok(vec![readings.into_iter().flatten().collect()])
}

fn read_word(written: &str, spelling: Spelling) -> Result<Vec<WordForm>, TermError> {
    if let Some(body) = written.strip_suffix('~') {
        return read_misspelt(written, body).map(|word| vec![WordForm::Typo(word)]);
    }
    let exact = written.strip_prefix('=');
    let prefix = written.strip_suffix('*');
    let body = match (exact, prefix) {
        (Some(_), Some(_)) => {
            return Err((
                format!("«{written}»: нельзя сразу требовать точную форму (=) и начало слова (*)"),
                "оставьте один знак".into(),
            ));
        }
        (Some(body), None) | (None, Some(body)) => body,
        (None, None) => written,
    };
    if body.contains(['*', '=', '~']) {
        return Err((
            format!("«{written}»: знаки «*» и «~» бывают только в конце слова, знак «=» — только в начале"),
            "для начала слова: «аварий*», для опечаток: «поликлиника~», для точной формы: «=дома»".into(),
        ));
    }
    let mut words = Vec::new();
    normal::for_each_word(body, |word, _| words.push(word.to_owned()));
    let Some(last) = words.len().checked_sub(1) else {
        return Err((format!("«{written}»: нет ни одной буквы"), "напишите слово".into()));
    };
    if prefix.is_some() && words[last].chars().count() < SHORTEST_PREFIX {
        return Err((
            format!("«{written}»: начало слова короче трёх букв найдёт слишком много"),
            "добавьте букв или перечислите слова".into(),
        ));
    }
    words
        .into_iter()
        .enumerate()
        .map(|(at, word)| match (exact, prefix) {
            (Some(_), _) => Ok(WordForm::Exact(word)),
            (None, Some(_)) if at == last => Ok(WordForm::Prefix(word)),
            _ if spelling == Spelling::Typos && word.chars().count() >= typos::SHORTEST => Ok(WordForm::Typo(word)),
            _ => stem(&word)
                .map(WordForm::Stem)
                .ok_or_else(|| (format!("слово «{written}» слишком длинное"), "проверьте пробелы".into())),
        })
        .collect()
}

/// A word marked with «~»: one of its letters may be wrong.
fn read_misspelt(written: &str, body: &str) -> Result<String, TermError> {
    let mut words = Vec::new();
    normal::for_each_word(body, |word, _| words.push(word.to_owned()));
    match words.as_slice() {
        [word] if !body.contains(['*', '=', '~']) && word.chars().count() >= typos::SHORTEST => Ok(words.remove(0)),
        _ => Err((
            format!(
                "«{written}»: опечатка допускается в одном слове от {} букв, без других знаков",
                typos::SHORTEST
            ),
            "в коротком слове одна буква меняет смысл: перечислите его написания сами".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use priem_sdk::message::{EventType, Kind, Message, MessageData, Regime};

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
