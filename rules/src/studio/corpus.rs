//! Labelled history as numbers: which words and pairs of words stand in which message.
//!
//! Left out, so that proposals are readable and safe: words without meaning of their own, numbers, and words that mostly
//! stand with a capital letter inside sentences (names of people, streets, companies).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    history::{self, Labelled},
    labels::LabelMap,
};
use crate::{RuleSet, Theme, words::each_word};

/// Number of a word or pair of words.
pub(super) type Feature = usize;

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    /// Its words and pairs, ascending, each once.
    pub(super) features: Vec<Feature>,
    /// Positions of the sectors that are right, the best first; never empty.
    pub(super) accepted: Vec<usize>,
}

/// All messages.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    pub(super) docs: Vec<Doc>,
    /// Ids of the sectors.
    pub(super) sectors: Vec<String>,
    /// How each word or pair is written most often, in lower case; then the ids of the themes.
    pub(super) written: Vec<String>,
    /// The feature of the first theme. Themes are the conditions of the starter set, in its order.
    pub(super) first_theme: Feature,
}

/// Words without meaning of their own.
const STOP: &str = "и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было вот \
от меня еще нет о из ему теперь когда даже ну вдруг ли если уже или ни быть был него до вас нибудь опять уж вам ведь там \
потом себя ничего ей может они тут где есть надо ней для мы тебя их чем была сам чтоб без будто чего раз тоже себе под \
будет ж тогда кто этот того потому этого какой совсем ним здесь этом один почти мой тем чтобы нее сейчас были куда зачем \
всех никогда можно при наконец два об другой хоть после над больше тот через эти нас про всего них какая много разве три \
эту моя впрочем хорошо свою этой перед иногда лучше чуть том нельзя такой им более всегда конечно всю между это прошу \
просим здравствуйте добрый день спасибо пожалуйста уважаемый уважением который очень также года год г ул д дом дома улица \
улице адрес адресу город города области район района наш наша нашей наши свой весь";

struct Seen {
    docs: BTreeSet<usize>,
    forms: BTreeMap<String, usize>,
    capital: usize,
    times: usize,
}

impl Corpus {
    /// Numbers the words that stand in at least `fewest` messages, and the themes when wanted. Rows whose label means no
    /// sector are left out.
    pub(super) fn new(history: &[Labelled], labels: &LabelMap, fewest: usize, with_themes: bool) -> Self {
        let mut corpus = Self::default();
        let stop = stop_stems();
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let mut texts = Vec::new();
        for item in history {
            let accepted = labels.accepted(&item.label).unwrap_or_default();
            if accepted.is_empty() {
                continue;
            }
            let at = corpus.docs.len();
            let accepted = accepted.iter().map(|id| corpus.sector(id)).collect();
            corpus.docs.push(Doc {
                features: Vec::new(),
                accepted,
            });
            look(&item.text, at, &stop, &mut seen);
            texts.push(item.text.as_str());
        }
        for (_, found) in seen {
            let is_name = found.capital * 2 > found.times;
            if found.docs.len() < fewest || is_name {
                continue;
            }
            let feature = corpus.written.len();
            let best = found
                .forms
                .iter()
                .max_by_key(|(form, times)| (**times, std::cmp::Reverse((*form).clone())));
            corpus
                .written
                .push(best.map(|(form, _)| form.clone()).unwrap_or_default());
            for doc in found.docs {
                corpus.docs[doc].features.push(feature);
            }
        }
        corpus.first_theme = corpus.written.len();
        if with_themes {
            corpus.add_themes(&texts);
        }
        corpus
    }

    fn add_themes(&mut self, texts: &[&str]) {
        let starter = RuleSet::starter();
        for (doc, text) in self.docs.iter_mut().zip(texts) {
            let decision = starter.decide(&mut history::message(text), Timestamp::UNIX_EPOCH);
            let matched = &decision.main().matched;
            let holding = crate::themes().iter().enumerate();
            let holding = holding.filter(|(_, theme)| matched.contains(&theme.id));
            doc.features.extend(holding.map(|(at, _)| self.first_theme + at));
        }
        self.written
            .extend(crate::themes().iter().map(|theme| theme.id.clone()));
    }

    /// Whether a feature is a theme, and which.
    pub(super) fn theme(&self, feature: Feature) -> Option<&'static Theme> {
        crate::themes().get(feature.checked_sub(self.first_theme)?)
    }

    fn sector(&mut self, id: &str) -> usize {
        if let Some(at) = self.sectors.iter().position(|known| known == id) {
            return at;
        }
        self.sectors.push(id.to_owned());
        self.sectors.len() - 1
    }
}

fn stop_stems() -> BTreeSet<String> {
    let mut stop = BTreeSet::new();
    each_word(STOP, |stem, _| {
        stop.insert(stem.to_owned());
    });
    stop
}

fn look(text: &str, doc: usize, stop: &BTreeSet<String>, seen: &mut BTreeMap<String, Seen>) {
    let mut before: Option<(String, String)> = None;
    let mut first = true;
    let mut note = |key: String, form: String, capital: bool| {
        let entry = seen.entry(key).or_insert_with(|| Seen {
            docs: BTreeSet::new(),
            forms: BTreeMap::new(),
            capital: 0,
            times: 0,
        });
        entry.docs.insert(doc);
        *entry.forms.entry(form).or_default() += 1;
        entry.capital += usize::from(capital);
        entry.times += 1;
    };
    each_word(text, |stem, written| {
        // Where the word stands in the text tells whether a sentence starts with it.
        let offset = written.as_ptr() as usize - text.as_ptr() as usize;
        let starts_sentence = text[..offset]
            .trim_end()
            .chars()
            .next_back()
            .is_none_or(|c| ".!?:\n".contains(c));
        let is_word = stem.chars().all(char::is_alphabetic) && stem.chars().count() > 1;
        let form = written.to_lowercase();
        let capital = written.starts_with(char::is_uppercase)
            && written.chars().skip(1).any(char::is_lowercase)
            && !starts_sentence
            && !first;
        first = false;
        if !is_word {
            before = None;
            return;
        }
        let stopped = stop.contains(stem);
        if !stopped && form.chars().count() > 2 {
            note(stem.to_owned(), form.clone(), capital);
        }
        if let Some((left_stem, left_form)) = before.take()
            && !(stopped && stop.contains(&left_stem))
        {
            note(format!("{left_stem} {stem}"), format!("{left_form} {form}"), capital);
        }
        before = Some((stem.to_owned(), form));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, label: &str) -> Labelled {
        Labelled {
            row: 1,
            text: text.into(),
            label: label.into(),
        }
    }

    #[test]
    fn names_numbers_and_small_words_are_left_out() {
        let rows = [
            row("Яма у дома 5, пишет Иванова", "roads"),
            row("Опять яма, Иванова", "roads"),
            row("Вода", "none"),
        ];
        let labels = LabelMap::parse("version: 1\nlabels: { roads: roads, none: none }").expect("a map");
        let corpus = Corpus::new(&rows, &labels, 2, false);
        assert_eq!(corpus.docs.len(), 2);
        assert_eq!(corpus.written, ["яма"]);
    }
}
