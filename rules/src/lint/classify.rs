//! Entries of `classify`: dead ones, those an earlier entry always forestalls, and words that decide nothing.

use std::collections::HashMap;

use priem_message::Message;

use super::sample::Samples;
use super::search::{Answer, Atom, Search, expand};
use super::{Finding, Level, MOMENT, Witness, routes::shown};
use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::facts::Facts;
use crate::engine::model::{ClassifyRule, Effects};
use crate::engine::verdict::Verdict;

/// Messages in which a rule's sector wins, by the sector.
pub(super) type Live = HashMap<String, Vec<Message>>;

/// A field that the first entry to hold sets; [`Effect::Marks`] is all that every entry adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Marks,
    Sector,
    Topic,
    Territory,
    Priority,
    Review,
    Hint,
}

const EFFECTS: [(Effect, &str); 6] = [
    (Effect::Sector, "отрасль"),
    (Effect::Topic, "тема"),
    (Effect::Territory, "территория"),
    (Effect::Priority, "срочность"),
    (Effect::Review, "проверка человеком"),
    (Effect::Hint, "подсказка"),
];

impl Effect {
    /// What an entry sets, as text.
    fn of(self, set: &Effects) -> Option<String> {
        match self {
            // No entry forestalls another here, unless it stops.
            Self::Marks => None,
            Self::Sector => set.sector.clone(),
            Self::Topic => (!set.topic.is_empty()).then(|| set.topic.join(" / ")),
            Self::Territory => set.territory.clone(),
            Self::Priority => set.priority.map(|priority| priority.to_string()),
            Self::Review => set.review.map(|review| if review { "да" } else { "нет" }.to_owned()),
            Self::Hint => set.hint.clone(),
        }
    }

    /// The entry that set it in a verdict.
    fn winner<'r>(self, verdict: &Verdict<'r>) -> Option<&'r ClassifyRule> {
        match self {
            Self::Marks => None,
            Self::Sector => verdict.sector.map(|set| set.rule),
            Self::Topic => verdict.topic.map(|set| set.rule),
            Self::Territory => verdict.territory.map(|set| set.rule),
            Self::Priority => verdict.priority.map(|set| set.rule),
            Self::Review => verdict.review.map(|set| set.rule),
            Self::Hint => verdict.hint.map(|set| set.rule),
        }
    }
}

/// Checks every entry. Gives messages in which each sector is decided, for the routes.
pub(super) fn check(rules: &Compiled, samples: &Samples<'_>, findings: &mut Vec<Finding>) -> Live {
    let mut live = Live::new();
    for position in 0..rules.classify.len() {
        let entry = Entry {
            rules,
            samples,
            position,
        };
        entry.check(findings, &mut live);
    }
    live
}

struct Entry<'r, 's> {
    rules: &'r Compiled,
    samples: &'s Samples<'r>,
    position: usize,
}

impl<'r> Entry<'r, '_> {
    fn rule(&self) -> &'r ClassifyRule {
        &self.rules.classify[self.position]
    }

    fn goal(&self) -> Vec<&'r Condition> {
        self.rule().head.when.iter().collect()
    }

    /// The first entry before this one that holds and sets the same field, or ends classification.
    fn forestaller(&self, effect: Effect, facts: &Facts<'_>) -> Option<Option<&'r Condition>> {
        let compiled = self.rules;
        let earlier = compiled.classify_index.candidates(facts).into_iter();
        earlier
            .map(|at| at as usize)
            .take_while(|at| *at < self.position)
            .map(|at| &compiled.classify[at])
            .filter(|rule| rule.set.stop || effect.of(&rule.set).is_some())
            .map(|rule| rule.head.when.as_ref())
            .find(|when| when.is_none_or(|condition| condition.holds(facts)))
    }

    fn ask(&self, effect: Option<Effect>, alternatives: Option<&[Vec<Atom<'r>>]>) -> Answer {
        let unwanted = |facts: &Facts<'_>| effect.and_then(|effect| self.forestaller(effect, facts));
        let search = Search {
            compiled: self.rules,
            samples: self.samples,
            goal: self.goal(),
            unwanted: &unwanted,
            decidable: &|_, _| false,
        };
        match alternatives {
            Some(alternatives) => search.from(alternatives, true),
            None => search.run(),
        }
    }

    /// The winner of a field in a message, as the engine says.
    fn winner(&self, effect: Effect, message: &Message) -> Option<&'r ClassifyRule> {
        let compiled = self.rules;
        let mut facts = compiled.vocabulary.facts_at(message, MOMENT);
        effect.winner(&Verdict::reach(compiled, message, &mut facts, MOMENT))
    }

    fn check(&self, findings: &mut Vec<Finding>, live: &mut Live) {
        let rule = self.rule();
        let head = &rule.head;
        let example = match self.ask(None, None) {
            Answer::Found(message) => *message,
            Answer::Impossible => {
                let text = "условие не может выполниться ни в одном сообщении: его части исключают друг друга. \
                            Уберите лишнее требование или правило целиком"
                    .to_owned();
                findings.push(Finding::new(Level::Error, "dead", &head.origin, &head.id, text));
                return;
            }
            Answer::Unknown => return,
        };
        let handles = rule.set.handling.is_some() || rule.set.stop;
        let adds = handles || !rule.set.tags.is_empty() || !rule.set.flags.is_empty();
        let mut wins = false;
        let mut lost = Vec::new();
        if adds {
            match self.ask(Some(Effect::Marks), None) {
                Answer::Impossible => lost.push((Effect::Marks, "действие правила", head.name.to_string())),
                Answer::Found(_) | Answer::Unknown => wins = true,
            }
        }
        for (effect, name) in EFFECTS {
            let Some(value) = effect.of(&rule.set) else { continue };
            match self.ask(Some(effect), None) {
                Answer::Found(message) => {
                    wins = true;
                    let confirmed = self
                        .winner(effect, &message)
                        .is_some_and(|winner| winner.head.id == head.id);
                    if effect == Effect::Sector && confirmed {
                        live.entry(value).or_default().push(*message);
                        self.check_words(findings);
                    }
                }
                Answer::Impossible => lost.push((effect, name, value)),
                Answer::Unknown => wins = true,
            }
        }
        for (effect, name, value) in lost {
            findings.extend(self.lost(effect, name, &value, wins, &example));
        }
    }

    /// A field of this entry never takes effect.
    fn lost(&self, effect: Effect, name: &str, value: &str, wins: bool, example: &Message) -> Option<Finding> {
        let head = &self.rule().head;
        let Some(winner) = self.winner(effect, example) else {
            return self.stopped(name, value, wins, example);
        };
        let other = effect.of(&winner.set)?;
        let earlier = format!(
            "«{}» ({}:{})",
            winner.head.id,
            winner.head.origin.file.display(),
            winner.head.origin.line
        );
        let (level, kind, text) = if other == value {
            let text = format!(
                "{name} «{value}» отсюда никогда не применяется: раньше срабатывают другие правила, \
                                например {earlier}, с тем же значением. Уберите правило или сделайте раннее уже"
            );
            (if wins { Level::Note } else { Level::Warning }, "shadowed", text)
        } else {
            let text = format!(
                "{name} «{value}» отсюда никогда не применяется: всё, что подходит этому правилу, раньше \
                                забирают другие, например {earlier}, и ставят «{other}». Поставьте правило выше или \
                                сделайте раннее уже"
            );
            (if wins { Level::Warning } else { Level::Error }, "conflict", text)
        };
        let witness = Witness {
            message: example.clone(),
            shown: shown(example),
            winner: Some(winner.head.id.clone()),
        };
        Some(Finding::new(level, kind, &head.origin, &head.id, text).shown_by(Some(witness)))
    }

    /// An earlier entry always ends classification.
    fn stopped(&self, name: &str, value: &str, wins: bool, example: &Message) -> Option<Finding> {
        let compiled = self.rules;
        let head = &self.rule().head;
        let mut facts = compiled.vocabulary.facts_at(example, MOMENT);
        let verdict = Verdict::reach(compiled, example, &mut facts, MOMENT);
        let stop = &verdict.stopped_before(compiled, self.rule())?.head;
        let text = format!(
            "{name} «{value}» отсюда никогда не применяется: раньше правило «{}» ({}:{}) останавливает классификацию \
             (stop). Поставьте правило выше или уберите stop",
            stop.id,
            stop.origin.file.display(),
            stop.origin.line
        );
        let witness = Witness {
            message: example.clone(),
            shown: shown(example),
            winner: Some(stop.id.to_string()),
        };
        let level = if wins { Level::Warning } else { Level::Error };
        Some(Finding::new(level, "stopped", &head.origin, &head.id, text).shown_by(Some(witness)))
    }

    /// Words each of which is enough for the entry: does each ever decide the sector?
    fn check_words(&self, findings: &mut Vec<Finding>) {
        let Some(when) = &self.rule().head.when else { return };
        let head = &self.rule().head;
        let mut exact = true;
        for alternative in expand(when, true, &mut exact) {
            let [Atom::Term(term)] = alternative.as_slice() else {
                continue;
            };
            let only = [alternative.clone()];
            if !matches!(self.ask(Some(Effect::Sector), Some(&only)), Answer::Impossible) {
                continue;
            }
            match self.ask(None, Some(&only)) {
                Answer::Impossible => {
                    let text = format!(
                        "«{}» здесь ищется и здесь же запрещено: из-за этого слова правило не сработает никогда. \
                         Уберите его из одного списка",
                        term.written
                    );
                    findings.push(Finding::new(
                        Level::Warning,
                        "contradiction",
                        &head.origin,
                        &head.id,
                        text,
                    ));
                }
                Answer::Found(message) => {
                    let Some(winner) = self.winner(Effect::Sector, &message) else {
                        continue;
                    };
                    let text = format!(
                        "«{}» не решает здесь ничего: такие сообщения раньше забирает «{}». Уберите слово или \
                         поставьте правило выше",
                        term.written, winner.head.id
                    );
                    let witness = Witness {
                        shown: shown(&message),
                        winner: Some(winner.head.id.clone()),
                        message: *message,
                    };
                    let finding = Finding::new(Level::Warning, "useless-word", &head.origin, &head.id, text);
                    findings.push(finding.shown_by(Some(witness)));
                }
                Answer::Unknown => {}
            }
        }
    }
}
