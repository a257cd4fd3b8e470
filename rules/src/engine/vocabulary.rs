//! Everything the rules can ask about, interned: one number per fact.
//!
//! A fact is «the text has a word with this stem», «the channel is telegram» and the like. A message is turned into
//! the short list of the facts that hold for it, once; conditions only look numbers up in that list. So the cost of a
//! message follows its length, not the number of rules.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashMap;
use jiff::{Timestamp, tz::TimeZone};
use priem_message::Message;

use crate::clock::calendar::{Calendar, WorkDay};
use crate::engine::facts::Facts;
use crate::engine::fields::{Field, Form, OKTMO_MAX, OKTMO_MIN, RULES_CLASSIFIER, YES};
use crate::engine::moment::{MomentTest, Seen};
use crate::engine::places::Territories;
use crate::words::layout;
use crate::words::memo::Memo;
use crate::words::normal::{self, Span};
use crate::words::phrase::WordForm;
use crate::words::stem::stem;
use crate::words::typos::Typos;

/// Number of a fact inside one rule set.
pub(crate) type FactId = u32;

/// All facts of one rule set.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    stems: HashMap<Box<str>, FactId>,
    exact: HashMap<Box<str>, FactId>,
    prefixes: HashMap<Box<str>, FactId>,
    /// Lengths of the prefixes in bytes, ascending.
    prefix_lengths: Vec<usize>,
    typos: Typos<FactId>,
    /// Facts about the time of the message. Few: a season named by a thousand rules is one fact.
    moments: Vec<(FactId, MomentTest)>,
    /// Some rule asks about the day of the decision.
    asks_today: bool,
    asks_context: bool,
    /// Clock of the rules, when the files name one.
    zone: Option<TimeZone>,
    /// When people work.
    calendar: Calendar,
    values: Vec<HashMap<Box<str>, FactId>>,
    /// The territories that the files describe, when they do.
    territories: Option<Territories>,
    size: FactId,
    /// Tells the vocabularies of one process apart in the word memo.
    serial: u64,
}

impl Default for Vocabulary {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            stems: HashMap::default(),
            exact: HashMap::default(),
            prefixes: HashMap::default(),
            prefix_lengths: Vec::new(),
            typos: Typos::default(),
            moments: Vec::new(),
            asks_today: false,
            asks_context: false,
            zone: None,
            calendar: Calendar::new(WorkDay::default()),
            values: vec![HashMap::default(); Field::COUNT],
            territories: None,
            size: 0,
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Vocabulary {
    /// Sets the clock of the rules.
    pub(crate) fn set_zone(&mut self, zone: TimeZone) {
        self.zone = Some(zone);
    }

    /// Sets when people work.
    pub(crate) fn set_calendar(&mut self, calendar: Calendar) {
        self.calendar = calendar;
    }

    /// Whether the rules have a clock.
    pub(crate) fn has_zone(&self) -> bool {
        self.zone.is_some()
    }

    /// From now on facts tell the day of the decision.
    pub(crate) fn ask_today(&mut self) {
        self.asks_today = true;
    }

    /// From now on facts tell what the message answers and where it stands.
    pub(crate) fn ask_context(&mut self) {
        self.asks_context = true;
    }

    /// Takes the territories of the files, before any condition is read.
    pub(crate) fn set_territories(&mut self, territories: Territories) {
        self.territories = Some(territories);
    }

    /// Tells the territories what conditions ask about, after all are read.
    pub(crate) fn connect_territories(&mut self) {
        if let Some(territories) = &mut self.territories {
            let values = &self.values[Field::Territory as usize];
            territories.connect(values.iter().map(|(value, &fact)| (&**value, fact)));
        }
    }

    /// The territories that the files describe, when they do.
    pub(crate) fn territories(&self) -> Option<&Territories> {
        self.territories.as_ref()
    }

    /// Facts of being in a territory: of itself and of all it lies in; without territories of the value alone.
    pub(crate) fn territory_facts(&self, value: &str) -> Vec<FactId> {
        let known = self
            .territories
            .as_ref()
            .and_then(|all| Some(all.facts_of(all.meant(value)?)));
        match known {
            Some(facts) => facts.to_vec(),
            None => self.value(Field::Territory, value).into_iter().collect(),
        }
    }

    /// The fact «the text has such a word».
    pub(crate) fn intern_word(&mut self, form: WordForm) -> FactId {
        let (map, word) = match form {
            WordForm::Typo(word) => return self.intern_typo(&word),
            WordForm::Stem(word) => (&mut self.stems, word),
            WordForm::Exact(word) => (&mut self.exact, word),
            WordForm::Prefix(word) => {
                if let Err(at) = self.prefix_lengths.binary_search(&word.len()) {
                    self.prefix_lengths.insert(at, word.len());
                }
                (&mut self.prefixes, word)
            }
        };
        intern(map, &mut self.size, word)
    }

    /// The fact «the field has this value».
    pub(crate) fn intern_value(&mut self, field: Field, value: &str) -> FactId {
        let value = field.normalise(value);
        let before = self.size;
        let test = MomentTest::parse(field, &value);
        let fact = intern(&mut self.values[field as usize], &mut self.size, value);
        if self.size > before {
            self.moments.extend(test.map(|test| (fact, test)));
        }
        fact
    }

    fn intern_typo(&mut self, word: &str) -> FactId {
        if let Some(fact) = self.typos.known(word) {
            return fact;
        }
        let fact = self.size;
        self.size += 1;
        let stem = stem(word).unwrap_or_else(|| word.to_owned());
        self.typos.insert(word, &stem, fact);
        fact
    }

    /// The fact of a value, when any rule asks about it.
    pub(crate) fn value(&self, field: Field, value: &str) -> Option<FactId> {
        let values = &self.values[field as usize];
        if values.is_empty() {
            return None;
        }
        values
            .get(value)
            .or_else(|| values.get(field.normalise(value).as_str()))
            .copied()
    }

    /// Everything that holds for `message` before `classify`, at the moment it was stored.
    #[cfg(test)]
    pub(crate) fn facts<'m>(&self, message: &'m Message) -> Facts<'m> {
        self.facts_at(message, message.data.times.received)
    }

    /// Everything that holds for `message` before `classify`; age counts up to `now`.
    pub(crate) fn facts_at<'m>(&self, message: &'m Message, now: Timestamp) -> Facts<'m> {
        let mut facts = Facts::new(&message.data.body.text);
        self.add_words(&mut facts);
        if let Some(territories) = &self.territories {
            territories.add_to(message, &mut facts);
        }
        for &field in Field::ALL {
            if !self.values[field as usize].is_empty() {
                self.add_values(field, message, &mut facts);
            }
        }
        if !self.moments.is_empty() {
            let utc = TimeZone::UTC;
            let mut seen = Seen::of(&message.data.times, self.zone.as_ref().unwrap_or(&utc), now);
            if !self.values[Field::WorkingTime as usize].is_empty() {
                seen = seen.with_work(&self.calendar);
            }
            let holding = self.moments.iter().filter(|(_, test)| test.holds(&seen));
            holding.for_each(|&(fact, _)| facts.push_value(fact));
            facts.set_moment(seen);
        }
        if self.asks_today {
            let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
            facts.set_today(zone.to_datetime(now).date());
        }
        if self.asks_context {
            for text in around(message) {
                let mut context = Facts::new(text);
                self.add_words(&mut context);
                context.seal();
                facts.push_context(context);
            }
        }
        facts.seal();
        facts
    }

    fn add_values(&self, field: Field, message: &Message, facts: &mut Facts<'_>) {
        let values = &self.values[field as usize];
        if let Some(precision) = facts.place().precision
            && matches!(field, Field::PlacePrecision | Field::PlaceKnown)
        {
            let value = if field == Field::PlaceKnown {
                YES
            } else {
                precision.as_str()
            };
            values.get(value).iter().for_each(|&&id| facts.push_value(id));
            return;
        }
        let mut add = |value: &str| {
            if let Some(&id) = values.get(value) {
                facts.push_value(id);
            }
        };
        match field.form() {
            Form::Closed(_) | Form::Identifier | Form::YesNo | Form::Name => {
                field.visit(message, &mut |value| add(&field.normalise(value)));
            }
            Form::PlaceName => field.visit(message, &mut |value| {
                let name = field.normalise(value);
                add(&name);
                if let Some(bare) = normal::bare_place(&name) {
                    add(&bare);
                }
            }),
            Form::Moment => {}
            Form::CodePrefix => field.visit(message, &mut |value| {
                let code = field.normalise(value);
                for length in OKTMO_MIN..=code.len().min(OKTMO_MAX) {
                    add(&code[..length]);
                }
            }),
            Form::Path => {
                let mut path = String::new();
                field.visit(message, &mut |level| {
                    let level = normal::name(level);
                    add(&level);
                    if path.is_empty() {
                        path = level;
                    } else {
                        path.push_str(" / ");
                        path.push_str(&level);
                        add(&path);
                    }
                });
            }
        }
    }

    fn add_words(&self, facts: &mut Facts<'_>) {
        if self.stems.is_empty() && self.exact.is_empty() && self.prefixes.is_empty() && self.typos.is_empty() {
            return;
        }
        MEMO.with_borrow_mut(|memo| {
            memo.serve(self.serial);
            let mut has_latin = false;
            normal::for_each_word(facts.text(), |word, span| {
                has_latin |= word.starts_with(|first: char| first.is_ascii_alphabetic());
                self.remembered(word, memo, |ids| facts.push_word(span, ids));
            });
            if has_latin {
                self.add_retyped(facts, memo);
            }
        });
    }

    /// Every word the rules name, by its fact.
    pub(crate) fn word_forms(&self) -> HashMap<FactId, WordForm> {
        let stems = self
            .stems
            .iter()
            .map(|(word, &id)| (id, WordForm::Stem(word.to_string())));
        let exact = self
            .exact
            .iter()
            .map(|(word, &id)| (id, WordForm::Exact(word.to_string())));
        let prefixes = self
            .prefixes
            .iter()
            .map(|(word, &id)| (id, WordForm::Prefix(word.to_string())));
        stems.chain(exact).chain(prefixes).collect()
    }

    /// Words typed with the wrong keyboard layout.
    fn add_retyped(&self, facts: &mut Facts<'_>, memo: &mut Facted) {
        let text = facts.text();
        for chunk in text.split_whitespace() {
            let start = chunk.as_ptr() as usize - text.as_ptr() as usize;
            let piece = Span {
                start,
                end: start + chunk.len(),
            };
            for reading in layout::readings(chunk) {
                normal::for_each_word(&reading, |word, _| {
                    self.remembered(word, memo, |ids| facts.push_reading(piece, ids));
                });
            }
        }
    }

    /// Hands the facts of a folded word to `take`.
    fn remembered(&self, word: &str, memo: &mut Facted, take: impl FnOnce(&[FactId])) {
        if let Some(ids) = memo.get(word) {
            return take(ids);
        }
        let ids = self.word_facts(word);
        take(&ids);
        memo.keep(word, ids);
    }

    /// The facts a folded word makes true.
    pub(crate) fn word_facts(&self, word: &str) -> Box<[FactId]> {
        let unmixed = normal::unmixed(word);
        let word = unmixed.as_deref().unwrap_or(word);
        let mut ids = Vec::new();
        ids.extend(self.exact.get(word));
        for &length in self.prefix_lengths.iter().take_while(|&&length| length <= word.len()) {
            if let Some(start) = word.get(..length) {
                ids.extend(self.prefixes.get(start));
            }
        }
        if let Some(stem) = stem(word) {
            ids.extend(self.stems.get(stem.as_str()));
            if !self.typos.is_empty() {
                self.typos.find(word, &mut ids);
                self.typos.find(&stem, &mut ids);
            }
        }
        ids.into_boxed_slice()
    }
}

fn intern(map: &mut HashMap<Box<str>, FactId>, size: &mut FactId, word: String) -> FactId {
    *map.entry(word.into_boxed_str()).or_insert_with(|| {
        *size += 1;
        *size - 1
    })
}

type Facted = Memo<Box<[FactId]>>;

thread_local! {
    /// Which facts a word makes true.
    static MEMO: RefCell<Facted> = RefCell::new(Memo::default());
}

/// Texts around a message that are not its own: what it answers, the topic of the source, the chat.
fn around(message: &Message) -> impl Iterator<Item = &str> {
    let data = &message.data;
    let topic = data.topic.iter().filter(|topic| topic.classifier != RULES_CLASSIFIER);
    let topic = topic.flat_map(|topic| topic.path.iter().map(|node| node.name.as_str()));
    let chat = data.extra.get("chat_title").and_then(|title| title.as_str());
    data.body.quote.as_deref().into_iter().chain(topic).chain(chat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use priem_message::{EventType, Kind, MessageData, Regime};

    fn message(text: &str) -> Message {
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.body.text = text.into();
        Message::new(EventType::Received, data)
    }

    #[test]
    fn stems_match_whole_words_only() {
        let mut vocabulary = Vocabulary::default();
        let pit = vocabulary.intern_word(WordForm::Stem(stem("яма").expect("a stem")));
        assert!(vocabulary.facts(&message("Огромные ЯМЫ на дороге")).has(pit));
        assert!(!vocabulary.facts(&message("Поездка на Ямало-Ненецкий")).has(pit));
    }

    #[test]
    fn exact_forms_and_prefixes() {
        let mut vocabulary = Vocabulary::default();
        let exact = vocabulary.intern_word(WordForm::Exact("дома".into()));
        let prefix = vocabulary.intern_word(WordForm::Prefix("авари".into()));
        let house = message("дом в аварийном состоянии");
        let facts = vocabulary.facts(&house);
        assert!(!facts.has(exact) && facts.has(prefix));
        assert!(vocabulary.facts(&message("у дома")).has(exact));
    }

    #[test]
    fn a_bare_place_name_fits_the_official_one_but_not_the_other_way_round() {
        let mut vocabulary = Vocabulary::default();
        let bare = vocabulary.intern_value(Field::Municipality, "Пермь");
        let official = vocabulary.intern_value(Field::Municipality, "Пермский муниципальный округ");
        let mut perm = message("");
        perm.data.place.municipality = Some("Город Пермь".into());
        let facts = vocabulary.facts(&perm);
        assert!(facts.has(bare) && !facts.has(official));
    }

    #[test]
    fn a_topic_answers_by_any_level_and_by_its_path() {
        use priem_message::{Topic, TopicNode};
        let mut vocabulary = Vocabulary::default();
        let level = vocabulary.intern_value(Field::Topic, "ямы во дворах");
        let path = vocabulary.intern_value(Field::Topic, "Дороги / Ямы во дворах");
        let mut roads = message("");
        let node = |name: &str| TopicNode {
            id: None,
            name: name.into(),
        };
        roads.data.topic = Some(Topic {
            classifier: "incident".into(),
            version: None,
            path: vec![node("Дороги"), node("★ Ямы во дворах")],
            starred: true,
        });
        let facts = vocabulary.facts(&roads);
        assert!(facts.has(level) && facts.has(path));
    }

    #[test]
    fn endless_words_neither_match_nor_fill_the_memo() {
        let mut vocabulary = Vocabulary::default();
        let pit = vocabulary.intern_word(WordForm::Stem("ям".into()));
        let long = "я".repeat(100_000);
        let noise = message(&format!("{long} {long}ы яма {long}"));
        let facts = vocabulary.facts(&noise);
        assert!(facts.has(pit));
        MEMO.with_borrow(|memo| assert!(memo.words().all(|word| word.len() <= Facted::LONGEST)));
    }
}
