//! Makes messages with chosen properties and as few others as possible.
//!
//! Invariant behind the proofs: the words chosen for a term make true only what *every* text with that term makes true
//! ([`Sample::exact`] says when that was not possible). Terms are parted by more neutral words than any phrase may skip,
//! so two of them never make a third.

use std::collections::HashMap;

use priem_message::{Attachment, EventType, Kind, Message, MessageData, OrganisationRef, Regime, Status, Topic};
use serde::de::DeserializeOwned;

use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::fields::{Field, Form, RULES_CLASSIFIER, YES};
use crate::engine::model::collect_routes;
use crate::engine::term::Term;
use crate::engine::vocabulary::{FactId, Vocabulary};
use crate::words::normal;
use crate::words::phrase::WordForm;
use crate::words::stem::stem;

/// A property of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The text has these words in a row.
    Words(Vec<String>),
    /// A field has a value.
    Value(Field, String),
    /// `classify` has decided a value; only for questions about later steps.
    Decided(Field, String),
}

/// Why pieces make no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    /// No message has them all.
    Proven,
    /// This builder can't make it.
    Unknown,
}

/// Words found in no rule, for the space between terms.
const FILLERS: [&str; 16] = [
    "прошу",
    "вас",
    "пожалуйста",
    "разобраться",
    "ответить",
    "когда",
    "же",
    "наконец",
    "уже",
    "снова",
    "очень",
    "ждём",
    "здесь",
    "опять",
    "просто",
    "всем",
];
/// Endings tried for a word of which only the stem is known.
const ENDINGS: [&str; 22] = [
    "", "а", "я", "ы", "и", "о", "е", "ь", "у", "ой", "ом", "ый", "ая", "ое", "ие", "ия", "ать", "ить", "ов", "ами",
    "ах", "ого",
];
/// Value for a field that must have one no rule names.
const NEUTRAL: &str = "иное";

/// Knows how to make words and messages for one rule set.
pub(super) struct Samples<'r> {
    vocabulary: &'r Vocabulary,
    words: HashMap<FactId, (String, bool)>,
    fillers: Vec<String>,
    widest_gap: usize,
}

impl<'r> Samples<'r> {
    /// Prepares a word for every fact of the set.
    pub(super) fn new(compiled: &'r Compiled) -> Self {
        let mut widest_gap = 0;
        let mut written: HashMap<String, Vec<String>> = HashMap::new();
        each_condition(compiled, &mut |condition| {
            each_term(condition, &mut |term| {
                widest_gap = widest_gap.max(term.places().map(|(_, gap)| gap as usize).max().unwrap_or(0));
                normal::for_each_word(&term.written, |word, _| {
                    if let Some(stem) = stem(word) {
                        written.entry(stem).or_default().push(word.to_owned());
                    }
                });
            });
        });
        let vocabulary = &compiled.vocabulary;
        let forms = vocabulary.word_forms();
        let prefixes: Vec<(&str, FactId)> = forms
            .iter()
            .filter_map(|(&fact, form)| match form {
                WordForm::Prefix(prefix) => Some((prefix.as_str(), fact)),
                _ => None,
            })
            .collect();
        let words = forms
            .iter()
            .map(|(&fact, form)| (fact, word_for(vocabulary, fact, form, &prefixes, &written)))
            .collect();
        let neutral = FILLERS
            .iter()
            .filter(|word| vocabulary.word_facts(&folded(word)).is_empty());
        let mut fillers: Vec<String> = neutral.map(|word| (*word).to_owned()).collect();
        let made_up = ["ъхе", "ыщъ", "эъц"]
            .iter()
            .filter(|word| vocabulary.word_facts(word).is_empty());
        fillers.extend(made_up.map(|word| (*word).to_owned()));
        Self {
            vocabulary,
            words,
            fillers,
            widest_gap,
        }
    }

    /// Every way to put a term into a text, and whether each makes only inevitable things true. Stops at `limit`.
    pub(super) fn of_term(&self, term: &Term, limit: usize) -> (Vec<Piece>, bool) {
        let mut exact = !self.fillers.is_empty();
        let mut ways: Vec<Vec<String>> = vec![Vec::new()];
        for (alternatives, gap) in term.places() {
            let mut distinct = alternatives.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            let mut longer = Vec::new();
            for way in &ways {
                for fact in &distinct {
                    let Some((word, is_exact)) = self.words.get(fact) else {
                        exact = false;
                        continue;
                    };
                    exact &= is_exact;
                    let mut words = way.clone();
                    words.extend(self.filler(gap as usize));
                    words.push(word.clone());
                    longer.push(words);
                }
            }
            exact &= longer.len() <= limit;
            longer.truncate(limit);
            ways = longer;
        }
        (ways.into_iter().map(Piece::Words).collect(), exact)
    }

    fn filler(&self, count: usize) -> impl Iterator<Item = String> {
        self.fillers.iter().cycle().take(count).cloned()
    }

    /// A message with the pieces and as little else as possible.
    ///
    /// # Errors
    /// When they exclude each other.
    pub(super) fn build(&self, pieces: &[Piece]) -> Result<Message, Clash> {
        let mut data = MessageData::new(NEUTRAL, Kind::Direct, Regime::OpenSourceMessage);
        data.connector = NEUTRAL.into();
        data.external.id = "lint".into();
        let mut event = EventType::Received;
        let mut text: Vec<String> = Vec::new();
        let mut values: Vec<(Field, &str)> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Words(words) => {
                    if !text.is_empty() {
                        text.extend(self.filler(self.widest_gap + 1));
                    }
                    text.extend(words.iter().cloned());
                }
                Piece::Value(field, value) => add_value(&mut values, *field, value)?,
                Piece::Decided(..) => {}
            }
        }
        data.body.text = text.join(" ");
        // What other fields set is known only at the end.
        values.sort_by_key(|(field, _)| {
            matches!(
                field,
                Field::PlaceKnown | Field::PlacePrecision | Field::Classifier | Field::Territory
            )
        });
        for (field, value) in values {
            if field == Field::Territory {
                self.put_into(&mut data, value).ok_or(Clash::Unknown)?;
                continue;
            }
            set(&mut data, &mut event, field, value).ok_or(Clash::Unknown)?;
        }
        Ok(Message::new(event, data))
    }

    /// Puts the place of a message into a territory.
    fn put_into(&self, data: &mut MessageData, territory: &str) -> Option<()> {
        let territories = self.vocabulary.territories()?;
        let id = territories.meant(territory)?;
        territories.gazetteer().describe(id, &mut data.place)
    }

    /// Whether a piece holds in the message that was built from it.
    pub(super) fn holds(&self, piece: &Piece, facts: &crate::engine::facts::Facts<'_>) -> bool {
        match piece {
            Piece::Words(_) => true,
            Piece::Value(field, value) | Piece::Decided(field, value) => {
                self.vocabulary.value(*field, value).is_none_or(|fact| facts.has(fact))
            }
        }
    }
}

fn folded(word: &str) -> String {
    word.chars().map(normal::fold).collect()
}

/// A word that makes the fact true and nothing that does not follow from it, else the nearest to that.
fn word_for(
    vocabulary: &Vocabulary,
    fact: FactId,
    form: &WordForm,
    prefixes: &[(&str, FactId)],
    written: &HashMap<String, Vec<String>>,
) -> (String, bool) {
    let inevitable = |start: &str| {
        let mut facts: Vec<FactId> = prefixes
            .iter()
            .filter(|(prefix, _)| start.starts_with(prefix))
            .map(|(_, fact)| *fact)
            .collect();
        facts.push(fact);
        facts.sort_unstable();
        facts.dedup();
        facts
    };
    let (candidates, wanted): (Vec<String>, Vec<FactId>) = match form {
        WordForm::Exact(word) => return (word.clone(), true),
        WordForm::Stem(root) => {
            let known = written.get(root).into_iter().flatten().cloned();
            let made = ENDINGS.iter().map(|ending| format!("{root}{ending}"));
            let fits = |word: &String| stem(word).as_deref() == Some(root);
            (known.chain(made).filter(fits).collect(), inevitable(root))
        }
        WordForm::Prefix(start) => {
            let made = ["ие", "ный", "ъхъ"].iter().map(|ending| format!("{start}{ending}"));
            (made.collect(), inevitable(start))
        }
        WordForm::Typo(word) => return (word.clone(), true),
    };
    let facts_of = |word: &str| {
        let mut facts = vocabulary.word_facts(word).to_vec();
        facts.sort_unstable();
        facts.dedup();
        facts
    };
    if let Some(word) = candidates.iter().find(|word| facts_of(word) == wanted) {
        return (word.clone(), true);
    }
    let nearest = candidates.into_iter().min_by_key(|word| facts_of(word).len());
    (nearest.unwrap_or_default(), false)
}

/// Fields of which a message has several values.
fn is_list(field: Field) -> bool {
    matches!(
        field,
        Field::Attachments | Field::Flags | Field::Topic | Field::Organisation
    )
}

fn add_value<'v>(values: &mut Vec<(Field, &'v str)>, field: Field, value: &'v str) -> Result<(), Clash> {
    let known = values.iter_mut().find(|(of, _)| *of == field);
    let Some((_, known)) = known.filter(|_| !is_list(field)) else {
        if !values.contains(&(field, value)) {
            values.push((field, value));
        }
        return Ok(());
    };
    let (old, new) = (field.normalise(known), field.normalise(value));
    let (old_bare, new_bare) = (normal::bare_place(&old), normal::bare_place(&new));
    let longer = match field.form() {
        _ if old == new => known,
        Form::CodePrefix if old.starts_with(&new) => known,
        Form::CodePrefix if new.starts_with(&old) => value,
        Form::PlaceName if old_bare.as_deref() == Some(&new) => known,
        Form::PlaceName if new_bare.as_deref() == Some(&old) => value,
        // Two official names of one bare name: one message may have only one of them, but let others prove it.
        Form::Moment => return Err(Clash::Unknown),
        // One may lie in the other.
        _ if field == Field::Territory => return Err(Clash::Unknown),
        Form::PlaceName if old_bare.is_some() && old_bare == new_bare => return Err(Clash::Unknown),
        _ => return Err(Clash::Proven),
    };
    *known = longer;
    Ok(())
}

fn word<T: DeserializeOwned>(value: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(value.to_owned())).ok()
}

/// Sets a field; `None` when this builder can't.
fn set(data: &mut MessageData, event: &mut EventType, field: Field, value: &str) -> Option<()> {
    let text = || Some(value.to_owned());
    match field {
        Field::Channel => data.channel = text()?,
        Field::Connector => data.connector = text()?,
        Field::Subchannel => data.subchannel = text(),
        Field::Event => {
            let named = |event: &EventType| event.as_str() == format!("ru.priem.message.{value}.v1");
            *event = match value {
                "vote" => EventType::VoteResult,
                _ => EventType::ALL.into_iter().find(named)?,
            };
        }
        Field::Kind => data.kind = word(value)?,
        Field::Regime => data.legal.regime = word(value)?,
        Field::Author => data.author.kind = word(value)?,
        Field::Topic => add_topic(data, value),
        Field::Classifier => {
            if value == RULES_CLASSIFIER {
                return None;
            }
            let topic = data
                .topic
                .get_or_insert_with(|| Topic::of_levels(NEUTRAL, &[NEUTRAL.to_owned()]));
            topic.classifier = text()?;
        }
        Field::Organisation => {
            let free = if data.organisation.received.is_none() {
                &mut data.organisation.received
            } else {
                &mut data.organisation.current
            };
            put_organisation(free, value)?;
        }
        Field::OrganisationReceived => put_organisation(&mut data.organisation.received, value)?,
        Field::OrganisationCurrent => put_organisation(&mut data.organisation.current, value)?,
        Field::Attachments => data.attachments.push(Attachment::new(word(value)?)),
        Field::Flags => data.flags.set(value),
        Field::Status => {
            data.status = Some(Status {
                common: word(value)?,
                raw: text()?,
                outcome: None,
            });
        }
        Field::Language => data.body.language = text(),
        Field::Region => data.place.region = text(),
        Field::Municipality => data.place.municipality = text(),
        Field::CityDistrict => data.place.city_district = text(),
        Field::Settlement => data.place.settlement = text(),
        Field::Street => data.place.street = text(),
        Field::Oktmo => data.place.oktmo = text(),
        Field::PlacePrecision => data.place.precision = word(value)?,
        Field::PlaceKnown => {
            if value == YES && data.place.municipality.is_none() && data.place.oktmo.is_none() {
                data.place.municipality = Some(NEUTRAL.into());
            }
        }
        // The moment is the same for every message made here, and answers are not rated.
        Field::ClassifierVersion
        | Field::Satisfaction
        | Field::Season
        | Field::Weekday
        | Field::Hours
        | Field::WorkingTime
        | Field::OlderThan
        | Field::YoungerThan => return None,
        Field::Sector | Field::Territory | Field::Priority | Field::Tags | Field::DeadlinePolicy => return None,
    }
    Some(())
}

fn put_organisation(slot: &mut Option<OrganisationRef>, name: &str) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    *slot = Some(OrganisationRef {
        id: None,
        name: name.to_owned(),
    });
    Some(())
}

/// Levels of several wanted topics are parted by a neutral one, so that they don't make a path of their own.
fn add_topic(data: &mut MessageData, value: &str) {
    let levels: Vec<String> = value.replace(" > ", " / ").split(" / ").map(str::to_owned).collect();
    let more: Topic = Topic::of_levels(NEUTRAL, &levels);
    match &mut data.topic {
        Some(topic) => {
            topic.path.extend(Topic::of_levels(NEUTRAL, &[NEUTRAL.to_owned()]).path);
            topic.path.extend(more.path);
        }
        None => data.topic = Some(more),
    }
}

/// Calls `visit` with every condition of the set.
pub(super) fn each_condition<'r>(compiled: &'r Compiled, visit: &mut dyn FnMut(&'r Condition)) {
    compiled
        .classify
        .iter()
        .for_each(|rule| rule.head.when.iter().for_each(&mut *visit));
    collect_routes(&compiled.route, &mut |route| {
        route.head.when.iter().for_each(&mut *visit)
    });
    compiled
        .deadlines
        .iter()
        .for_each(|rule| rule.head.when.iter().for_each(&mut *visit));
}

/// Calls `visit` with every term of a condition.
pub(super) fn each_term<'r>(condition: &'r Condition, visit: &mut dyn FnMut(&'r Term)) {
    match condition {
        Condition::Text(terms) | Condition::Context(terms) => terms.iter().for_each(visit),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| each_term(part, visit)),
        Condition::Not(part) => each_term(part, visit),
        Condition::Is(_) | Condition::Today(_) => {}
    }
}
