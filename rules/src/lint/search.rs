//! Looks for a message in which some conditions hold and others do not.
//!
//! Why «not found» is a proof. A message in which the goal holds has, for one alternative of the goal, all properties the
//! alternative names; the search starts from each alternative with the least message that has them. From there only
//! properties are added. If an unwanted condition holds on the message, what it asks for will go on to hold however much
//! is added; so it can only be undone through something it forbids, and the search tries to add each of those. Fields that
//! always have a value out of a closed list (kind, regime …) have no least value: the search tries every value.
//!
//! The proof is given up (`exact` is false) whenever a list was cut, a message could not be built, a word made true
//! more than had to be, or the way was barred by a condition on the moment or the rating: every message has one, and
//! those made here have the same.

use priem_message::Message;

use super::MOMENT;
use super::sample::{Clash, Piece, Samples};
use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::facts::Facts;
use crate::engine::fields::{Field, Form, NO, YES};
use crate::engine::term::Term;

/// Messages tried for one question.
const BUDGET: usize = 3_000;
/// Alternatives of a goal.
const ALTERNATIVES: usize = 1_024;
/// Ways to put one term into a text.
const WAYS: usize = 48;

/// A property that a condition names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Atom<'r> {
    /// A word or phrase.
    Term(&'r Term),
    /// A value of a field, as written.
    Value(Field, &'r str),
}

/// The answer to a question.
#[derive(Debug)]
pub(super) enum Answer {
    /// Such a message.
    Found(Box<Message>),
    /// There is none.
    Impossible,
    /// Too much to look at.
    Unknown,
}

/// Fields that always have one value out of a closed list.
const ALWAYS: [Field; 6] = [
    Field::Event,
    Field::Kind,
    Field::Regime,
    Field::Author,
    Field::PlaceKnown,
    Field::PlacePrecision,
];

/// One question.
pub(super) struct Search<'r, 's> {
    pub(super) compiled: &'r Compiled,
    pub(super) samples: &'s Samples<'r>,
    /// All must hold.
    pub(super) goal: Vec<&'r Condition>,
    /// Gives an unwanted condition that holds; inner `None` is one that always holds.
    pub(super) unwanted: &'s dyn Fn(&Facts<'_>) -> Option<Option<&'r Condition>>,
    /// Whether `classify` can ever decide such a value.
    pub(super) decidable: &'s dyn Fn(Field, &str) -> bool,
}

impl<'r> Search<'r, '_> {
    /// Starts from every alternative of the goal.
    pub(super) fn run(&self) -> Answer {
        let mut exact = true;
        let mut alternatives: Vec<Vec<Atom<'r>>> = vec![Vec::new()];
        for condition in &self.goal {
            alternatives = product(&alternatives, &expand(condition, true, &mut exact), &mut exact);
        }
        self.from(&alternatives, exact)
    }

    /// Starts from the given alternatives only.
    pub(super) fn from(&self, alternatives: &[Vec<Atom<'r>>], mut exact: bool) -> Answer {
        let mut budget = BUDGET;
        for atoms in alternatives {
            for start in self.starts(atoms, &mut exact) {
                if let Some(message) = self.solve(&start, &mut budget, &mut exact) {
                    return Answer::Found(Box::new(message));
                }
            }
        }
        if exact { Answer::Impossible } else { Answer::Unknown }
    }

    fn starts(&self, atoms: &[Atom<'r>], exact: &mut bool) -> Vec<Vec<Piece>> {
        let mut starts: Vec<Vec<Piece>> = vec![Vec::new()];
        for atom in atoms {
            let pieces = self.pieces(*atom, exact);
            let mut longer = Vec::new();
            for start in &starts {
                for piece in &pieces {
                    let mut next = start.clone();
                    if !next.contains(piece) {
                        next.push(piece.clone());
                    }
                    longer.push(next);
                }
            }
            *exact &= longer.len() <= ALTERNATIVES;
            longer.truncate(ALTERNATIVES);
            starts = longer;
        }
        starts
    }

    /// Ways to make a property true.
    fn pieces(&self, atom: Atom<'r>, exact: &mut bool) -> Vec<Piece> {
        match atom {
            Atom::Term(term) => {
                let (pieces, is_exact) = self.samples.of_term(term, WAYS);
                *exact &= is_exact;
                pieces
            }
            // Found, not decided: the fields of a place are one way of many to be in it.
            Atom::Value(Field::Territory, value) if !(self.decidable)(Field::Territory, value) => {
                if self.compiled.vocabulary.territories().is_none() {
                    return Vec::new();
                }
                *exact = false;
                vec![Piece::Value(Field::Territory, value.to_owned())]
            }
            Atom::Value(field, value) if field.is_decided(false) => {
                let decided = Piece::Decided(field, value.to_owned());
                if (self.decidable)(field, value) {
                    vec![decided]
                } else {
                    Vec::new()
                }
            }
            // Conditions write «да» and «нет» in more than one way; the condition keeps the normal spelling.
            Atom::Value(field, value) => vec![Piece::Value(field, value.to_owned())],
        }
    }

    fn solve(&self, pieces: &[Piece], budget: &mut usize, exact: &mut bool) -> Option<Message> {
        if *budget == 0 {
            *exact = false;
            return None;
        }
        *budget -= 1;
        let message = match self.samples.build(pieces) {
            Ok(message) => message,
            Err(clash) => {
                *exact &= clash == Clash::Proven;
                return None;
            }
        };
        let mut facts = self.compiled.vocabulary.facts_at(&message, MOMENT);
        // Words that name a place for this engine may be bounded by what the source says in another message.
        *exact &= facts.place().found.is_none();
        for piece in pieces {
            if let Piece::Decided(Field::Territory, value) = piece {
                let holding = self.compiled.vocabulary.territory_facts(value);
                holding.into_iter().for_each(|fact| facts.push_value(fact));
            } else if let Piece::Decided(field, value) = piece
                && let Some(fact) = self.compiled.vocabulary.value(*field, value)
            {
                facts.push_value(fact);
            }
        }
        facts.seal();
        if !pieces.iter().all(|piece| self.samples.holds(piece, &facts)) {
            *exact = false;
            return None;
        }
        if let Some(missed) = self.goal.iter().find(|condition| !condition.holds(&facts)) {
            *exact &= !asks_for_what_is_fixed(missed);
            return self.split(missed, pieces, budget, exact);
        }
        let Some(unwanted) = (self.unwanted)(&facts) else {
            drop(facts);
            return Some(message);
        };
        let condition = unwanted?;
        *exact &= !asks_for_what_is_fixed(condition);
        if open_field(condition, pieces).is_some() {
            return self.split(condition, pieces, budget, exact);
        }
        let mut forbidden = Vec::new();
        negated(condition, false, &mut forbidden);
        for atom in forbidden {
            for piece in self.pieces(atom, exact) {
                if pieces.contains(&piece) {
                    continue;
                }
                let mut more = pieces.to_vec();
                more.push(piece);
                if let Some(found) = self.solve(&more, budget, exact) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Tries every value of a field that always has one and is not chosen yet.
    fn split(&self, condition: &Condition, pieces: &[Piece], budget: &mut usize, exact: &mut bool) -> Option<Message> {
        let field = open_field(condition, pieces)?;
        let values: &[&str] = match field.form() {
            Form::Closed(values) => values,
            _ => &[YES, NO],
        };
        values.iter().find_map(|value| {
            let mut more = pieces.to_vec();
            more.push(Piece::Value(field, (*value).to_owned()));
            self.solve(&more, budget, exact)
        })
    }
}

/// Whether the condition looks at a field that every message has and that is the same in all messages made here.
fn asks_for_what_is_fixed(condition: &Condition) -> bool {
    match condition {
        Condition::Is(test) => test.field.is_of_moment() || test.field == Field::Satisfaction,
        Condition::Text(_) => false,
        Condition::Today(_) | Condition::Context(_) => true,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(asks_for_what_is_fixed),
        Condition::Not(part) => asks_for_what_is_fixed(part),
    }
}

/// A field of the condition that always has a value and is not chosen yet.
fn open_field(condition: &Condition, pieces: &[Piece]) -> Option<Field> {
    match condition {
        Condition::Is(test) => {
            let chosen = pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Value(field, _) if *field == test.field));
            (ALWAYS.contains(&test.field) && !chosen).then_some(test.field)
        }
        Condition::Text(_) | Condition::Context(_) | Condition::Today(_) => None,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(|part| open_field(part, pieces)),
        Condition::Not(part) => open_field(part, pieces),
    }
}

/// Alternatives of a condition (or of its opposite): properties that must hold. What must not hold is left to the
/// evaluation of the condition itself.
pub(super) fn expand<'r>(condition: &'r Condition, wanted: bool, exact: &mut bool) -> Vec<Vec<Atom<'r>>> {
    let mut found = match (condition, wanted) {
        (Condition::Is(test), true) => test
            .written
            .iter()
            .map(|value| vec![Atom::Value(test.field, value)])
            .collect(),
        (Condition::Text(terms), true) => terms.iter().map(|term| vec![Atom::Term(term)]).collect(),
        (Condition::Today(_) | Condition::Context(_), _) | (Condition::Is(_) | Condition::Text(_), false) => {
            vec![Vec::new()]
        }
        (Condition::Not(part), _) => expand(part, !wanted, exact),
        (Condition::All(parts), true) | (Condition::Any(parts), false) => {
            parts.iter().fold(vec![Vec::new()], |sum, part| {
                product(&sum, &expand(part, wanted, exact), exact)
            })
        }
        (Condition::Any(parts), true) | (Condition::All(parts), false) => {
            parts.iter().flat_map(|part| expand(part, wanted, exact)).collect()
        }
    };
    *exact &= found.len() <= ALTERNATIVES;
    found.truncate(ALTERNATIVES);
    found
}

fn product<'r>(left: &[Vec<Atom<'r>>], right: &[Vec<Atom<'r>>], exact: &mut bool) -> Vec<Vec<Atom<'r>>> {
    *exact &= left.len() * right.len() <= ALTERNATIVES;
    let pairs = left
        .iter()
        .flat_map(|first| right.iter().map(move |second| (first, second)));
    pairs
        .take(ALTERNATIVES)
        .map(|(first, second)| [first.as_slice(), second].concat())
        .collect()
}

/// Properties whose presence speaks against the condition.
fn negated<'r>(condition: &'r Condition, inverted: bool, out: &mut Vec<Atom<'r>>) {
    match condition {
        Condition::Is(test) if inverted => out.extend(test.written.iter().map(|value| Atom::Value(test.field, value))),
        Condition::Text(terms) if inverted => out.extend(terms.iter().map(Atom::Term)),
        Condition::Is(_) | Condition::Text(_) | Condition::Context(_) | Condition::Today(_) => {}
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| negated(part, inverted, out)),
        Condition::Not(part) => negated(part, !inverted, out),
    }
}
