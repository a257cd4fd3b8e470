//! Conditions: a closed set, so that they can be indexed, explained and, later, proved about.

use priem_message::Message;

use crate::clock::dates::{self, Dates};
use crate::engine::facts::Facts;
use crate::engine::fields::{Field, YES};
use crate::engine::term::Term;
use crate::engine::vocabulary::FactId;

/// A condition over one message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// A field has one of the values.
    Is(FieldTest),
    /// The text has at least one of the terms.
    Text(Vec<Term>),
    /// What the message answers, the topic or the chat it stands in has at least one of the terms.
    Context(Vec<Term>),
    /// The message is decided on one of these days.
    Today(Dates),
    /// All hold; true when empty.
    All(Vec<Condition>),
    /// At least one holds; false when empty.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// «Поле — одно из значений».
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldTest {
    pub(crate) field: Field,
    /// Sorted.
    pub(crate) wanted: Vec<FactId>,
    /// The values as the author wrote them.
    pub(crate) written: Vec<String>,
}

impl Condition {
    /// Whether any part asks about what only `classify` decides.
    pub(crate) fn asks_about_decided(&self, has_territories: bool) -> bool {
        match self {
            Self::Is(test) => test.field.is_decided(has_territories),
            Self::Text(_) | Self::Context(_) | Self::Today(_) => false,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks_about_decided(has_territories)),
            Self::Not(part) => part.asks_about_decided(has_territories),
        }
    }

    /// Number of its parts.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Is(_) | Self::Today(_) => 1,
            Self::Text(terms) | Self::Context(terms) => 1 + terms.len(),
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::size).sum::<usize>(),
            Self::Not(part) => 1 + part.size(),
        }
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Is(test) => facts.has_any(&test.wanted),
            Self::Text(terms) => terms.iter().any(|term| term.matches(facts)),
            Self::Context(terms) => facts
                .context()
                .iter()
                .any(|facts| terms.iter().any(|term| term.matches(facts))),
            Self::Today(dates) => facts.today().is_some_and(|today| dates.hold_on(today)),
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(part) => !part.holds(facts),
        }
    }
}

/// What a condition saw and wanted, in Russian.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// Whether it holds.
    pub holds: bool,
    /// One short sentence.
    pub text: String,
    /// Its parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Check>,
}

impl Check {
    /// What holds in it, down to single tests.
    fn holding(&self) -> Vec<&str> {
        if self.parts.is_empty() {
            return vec![self.text.trim_end_matches(FITS)];
        }
        let parts = self.parts.iter().filter(|part| part.holds);
        parts.flat_map(Self::holding).collect()
    }
}

/// What an explanation looks at: the message, its facts, and what `classify` has decided so far.
pub(crate) struct Context<'a> {
    pub(crate) message: &'a Message,
    pub(crate) facts: &'a Facts<'a>,
    /// Values of the fields that `classify` decides.
    pub(crate) decided: &'a [(Field, String)],
}

impl Context<'_> {
    /// What the message has in a field, as explanations show it.
    pub(crate) fn values(&self, field: Field) -> Vec<String> {
        let mut values = Vec::new();
        values.extend(self.facts.moment().and_then(|moment| moment.shown(field)));
        let place = self.facts.place();
        match (field, place.precision) {
            (Field::PlacePrecision, Some(precision)) => return vec![format!("{} (по тексту)", precision.as_str())],
            (Field::PlaceKnown, Some(_)) => return vec![format!("{YES} (по тексту)")],
            // Later steps see what `classify` left of it.
            (Field::Territory, _) if self.decided.is_empty() => values.extend(place.shown.clone()),
            _ => {}
        }
        field.visit(self.message, &mut |value| values.push(value.to_owned()));
        values.extend(
            self.decided
                .iter()
                .filter(|(of, _)| *of == field)
                .map(|(_, value)| value.clone()),
        );
        values
    }
}

impl Condition {
    /// Evaluates every part and says what it saw. Agrees with [`Condition::holds`].
    pub(crate) fn check(&self, context: &Context<'_>) -> Check {
        match self {
            Self::Is(test) => check_field(test, context),
            Self::Text(terms) => check_words("тексте", terms, std::slice::from_ref(context.facts)),
            Self::Context(terms) => check_words("контексте", terms, context.facts.context()),
            Self::Today(dates) => check_today(*dates, context.facts),
            Self::All(parts) => {
                let parts: Vec<Check> = parts.iter().map(|part| part.check(context)).collect();
                Check {
                    holds: parts.iter().all(|part| part.holds),
                    text: "нужно всё из этого".into(),
                    parts,
                }
            }
            Self::Any(parts) => {
                let parts: Vec<Check> = parts.iter().map(|part| part.check(context)).collect();
                Check {
                    holds: parts.iter().any(|part| part.holds),
                    text: "нужно хотя бы одно из этого".into(),
                    parts,
                }
            }
            Self::Not(part) => {
                let part = part.check(context);
                Check {
                    holds: !part.holds,
                    text: if part.holds {
                        format!("есть запрещённое: {} ✗", part.holding().join("; "))
                    } else {
                        "запрещённого нет ✓".into()
                    },
                    parts: Vec::new(),
                }
            }
        }
    }

    /// Short reasons why it holds, for the message's own explanation. Stops at `limit`.
    pub(crate) fn reasons(&self, context: &Context<'_>, limit: usize, out: &mut Vec<String>) {
        if out.len() >= limit {
            return;
        }
        match self {
            Self::Is(test) => out.push(format!(
                "{}: {}",
                test.field.label(),
                fitting_values(test, context).join(", ")
            )),
            Self::Text(terms) => {
                if let Some(found) = terms.iter().find_map(|term| term.find(context.facts)) {
                    out.push(format!("в тексте есть {}", quote_words(&found, context.facts)));
                }
            }
            Self::Context(terms) => {
                if let Some((_, facts, found)) = found_in(terms, context.facts.context()) {
                    out.push(format!("в контексте есть {}", quote_words(&found, facts)));
                }
            }
            Self::Today(dates) => out.push(format!("действует {}", dates.shown())),
            Self::All(parts) => parts.iter().for_each(|part| part.reasons(context, limit, out)),
            Self::Any(parts) => {
                if let Some(part) = parts.iter().find(|part| part.holds(context.facts)) {
                    part.reasons(context, limit, out);
                }
            }
            Self::Not(_) => {}
        }
    }
}

/// Values of the message that are not plain to see in the condition are shown as the message has them.
fn fitting_values(test: &FieldTest, context: &Context<'_>) -> Vec<String> {
    let seen = context.values(test.field);
    if seen.is_empty() { test.written.clone() } else { seen }
}

fn check_field(test: &FieldTest, context: &Context<'_>) -> Check {
    let holds = context.facts.has_any(&test.wanted);
    let seen = context.values(test.field);
    let saw = if seen.is_empty() {
        "не указано".to_owned()
    } else {
        seen.join(", ")
    };
    let label = test.field.label();
    let text = if holds {
        format!("{label}: {saw}{FITS}")
    } else {
        format!("{label}: {saw}, а нужно {}", some_of(&test.written, " или "))
    };
    Check {
        holds,
        text,
        parts: Vec::new(),
    }
}

fn check_today(dates: Dates, facts: &Facts<'_>) -> Check {
    let holds = facts.today().is_some_and(|today| dates.hold_on(today));
    let today = facts.today().map(dates::day_ru).unwrap_or_default();
    let text = if holds {
        format!("сегодня {today}, действует {}{FITS}", dates.shown())
    } else {
        format!("сегодня {today}, а действует {}", dates.shown())
    };
    Check {
        holds,
        text,
        parts: Vec::new(),
    }
}

/// The first term that one of several texts has, with the text and the places.
fn found_in<'a, 'm>(terms: &'a [Term], texts: &'a [Facts<'m>]) -> Option<(&'a Term, &'a Facts<'m>, Vec<u32>)> {
    let in_text = |facts: &'a Facts<'m>| terms.iter().find_map(|term| Some((term, facts, term.find(facts)?)));
    texts.iter().find_map(in_text)
}

fn check_words(place: &str, terms: &[Term], texts: &[Facts<'_>]) -> Check {
    let found = found_in(terms, texts);
    let text = match &found {
        Some((term, facts, places)) => {
            format!(
                "в {place} есть {} (ищем «{}»)",
                quote_words(places, facts),
                term.written
            )
        }
        None => {
            let wanted: Vec<String> = terms.iter().map(|term| format!("«{}»", term.written)).collect();
            match wanted.as_slice() {
                [one] => format!("в {place} нет {one}"),
                _ => format!("в {place} нет ни одного из: {}", some_of(&wanted, ", ")),
            }
        }
    };
    Check {
        holds: found.is_some(),
        text,
        parts: Vec::new(),
    }
}

/// Ends the line of a field that has a wanted value.
const FITS: &str = " — подходит";
/// Longest list of wanted values printed whole.
const LISTED: usize = 8;

fn some_of(values: &[String], separator: &str) -> String {
    if values.len() <= LISTED {
        return values.join(separator);
    }
    format!("{} и ещё {}", values[..LISTED].join(separator), values.len() - LISTED)
}

/// The citizen's words that a term found, and no other words.
fn quote_words(places: &[u32], facts: &Facts<'_>) -> String {
    let mut words = String::new();
    for (at, &place) in places.iter().enumerate() {
        if at > 0 {
            words.push_str(if place == places[at - 1] + 1 { " " } else { " … " });
        }
        words.push_str(facts.word(place));
    }
    format!("«{words}»")
}
