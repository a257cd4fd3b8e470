//! Puts the steps into a filter that keep it inside its bounds ([`meter`]).
//!
//! jq loops by recursion only, by walking data, and by giving several outputs. So every definition that can reach itself,
//! every walk (`.[]`, `..`) and every further output (`,`) takes a step (`__step`, which passes its input on and may stand
//! in a path); what loops collect beside the values (`reduce`, `sort_by`) takes memory too (`__kept`). Past a bound the
//! run is halted, which no `try` of the filter can catch.

use jaq_core::{
    Cv, DataT, Exn, Lut, Native,
    box_iter::box_once,
    data::HasLut,
    load::{
        lex::StrPart,
        parse::{BinaryOp, Def, Pattern, Term},
    },
    native::Fun,
    path::Part,
};

use super::{bounded::Bounded, meter};

/// Name of the step.
pub(super) const STEP: &str = "__step";
/// Name of the step of a value that is kept.
const KEPT: &str = "__kept";
/// Bytes for such a value beside what it holds.
const KEPT_VALUE: usize = 128;
/// Native filters that keep every output of their argument until they are done.
const KEEPERS: [&str; 4] = ["sort_by", "group_by", "min_by_or_empty", "max_by_or_empty"];

/// What filters work on and what native ones can reach.
pub(super) struct Kind;

impl DataT for Kind {
    type V<'a> = Bounded;
    type Data<'a> = Run<'a>;
}

/// One run of a filter.
#[derive(Clone)]
pub(super) struct Run<'a> {
    pub(super) lut: &'a Lut<Kind>,
}

impl<'a> HasLut<'a, Kind> for Run<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        self.lut
    }
}

/// A native filter that passes its input on when the meter says so, and may stand in a path.
macro_rules! passing {
    ($name:expr, $granted:expr) => {
        (
            $name,
            Box::new([]),
            Native::new(|(_, value): Cv<'_, Kind>| box_once(if $granted { Ok(value) } else { Err(Exn::halt(1)) }))
                .with_paths(|(_, path)| box_once(if $granted { Ok(path) } else { Err(Exn::halt(1)) }))
                .with_update(|(_, value), update| {
                    if $granted {
                        update(value)
                    } else {
                        box_once(Err(Exn::halt(1)))
                    }
                }),
        )
    };
}

/// The step, and the step of a value that is kept while others are made, as native filters.
pub(super) fn steps() -> [Fun<Kind>; 2] {
    [
        passing!(STEP, meter::step()),
        passing!(KEPT, meter::step() && meter::take(KEPT_VALUE)),
    ]
}

/// Puts the steps into a term and tells how deep it is nested. `literal` sees every text of the source.
pub(super) fn instrument<'s>(term: Term<&'s str>, literal: &mut dyn FnMut(&str)) -> Instrumented<'s> {
    let mut walk = Walk {
        literal,
        deepest: 0,
        nests: false,
    };
    let term = walk.term(term, 1);
    Instrumented {
        term,
        deepest: walk.deepest,
        nests: walk.nests,
    }
}

/// A term with its steps.
pub(super) struct Instrumented<'s> {
    pub(super) term: Term<&'s str>,
    /// How deep terms stand inside each other.
    pub(super) deepest: usize,
    /// Whether it can build values nested deeper than its own text: it loops over something of its own making.
    pub(super) nests: bool,
}

/// Filters of the library that repeat what they are given over its own result, or build as deep as data says.
const LOOPS: [&str; 8] = [
    "recurse",
    "repeat",
    "until",
    "while",
    "setpath",
    "pick",
    "getpath",
    "combinations",
];

/// Puts the steps into a definition.
pub(super) fn instrument_definition(definition: Def<&'static str>) -> Def<&'static str> {
    Walk {
        literal: &mut |_| {},
        deepest: 0,
        nests: false,
    }
    .definition(definition, 1)
}

struct Walk<'w> {
    literal: &'w mut dyn FnMut(&str),
    deepest: usize,
    nests: bool,
}

impl Walk<'_> {
    fn definition<'s>(&mut self, definition: Def<&'s str>, depth: usize) -> Def<&'s str> {
        let recursive = calls(&definition.body, definition.name);
        self.nests |= recursive;
        let body = self.term(definition.body, depth);
        Def {
            body: if recursive { step_then(body) } else { body },
            ..definition
        }
    }

    #[allow(
        clippy::boxed_local,
        reason = "the parts of a term are boxed in the tree it comes from"
    )]
    fn boxed<'s>(&mut self, term: Box<Term<&'s str>>, depth: usize) -> Box<Term<&'s str>> {
        Box::new(self.term(*term, depth))
    }

    fn all<'s>(&mut self, terms: Vec<Term<&'s str>>, depth: usize) -> Vec<Term<&'s str>> {
        terms.into_iter().map(|term| self.term(term, depth)).collect()
    }

    fn pattern<'s>(&mut self, pattern: Pattern<&'s str>, depth: usize) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(name) => Pattern::Var(name),
            Pattern::Arr(inner) => Pattern::Arr(inner.into_iter().map(|one| self.pattern(one, depth)).collect()),
            Pattern::Obj(inner) => Pattern::Obj(
                inner
                    .into_iter()
                    .map(|(key, one)| (self.term(key, depth), self.pattern(one, depth)))
                    .collect(),
            ),
        }
    }

    fn term<'s>(&mut self, term: Term<&'s str>, depth: usize) -> Term<&'s str> {
        self.deepest = self.deepest.max(depth);
        let next = depth + 1;
        match term {
            Term::Str(format, parts) => Term::Str(
                format,
                parts
                    .into_iter()
                    .map(|part| match part {
                        StrPart::Str(text) => {
                            (self.literal)(text);
                            StrPart::Str(text)
                        }
                        StrPart::Term(term) => StrPart::Term(self.term(term, next)),
                        StrPart::Char(char) => StrPart::Char(char),
                    })
                    .collect(),
            ),
            Term::Arr(inner) => Term::Arr(inner.map(|term| self.boxed(term, next))),
            Term::Obj(entries) => Term::Obj(
                entries
                    .into_iter()
                    .map(|(key, value)| (self.term(key, next), value.map(|value| self.term(value, next))))
                    .collect(),
            ),
            Term::Neg(inner) => Term::Neg(self.boxed(inner, next)),
            Term::BinOp(left, operator, right) => {
                let (left, right) = (self.boxed(left, next), self.boxed(right, next));
                match operator {
                    BinaryOp::Pipe(Some(pattern)) => {
                        Term::BinOp(left, BinaryOp::Pipe(Some(self.pattern(pattern, next))), right)
                    }
                    // Products of several outputs grow by a power of their number.
                    BinaryOp::Comma => Term::BinOp(left, BinaryOp::Comma, Box::new(step_then(*right))),
                    other => Term::BinOp(left, other, right),
                }
            }
            Term::Label(name, inner) => Term::Label(name, self.boxed(inner, next)),
            Term::Fold(name, over, pattern, terms) => {
                self.nests = true;
                Term::Fold(
                    name,
                    Box::new(then(self.term(*over, next), KEPT)),
                    self.pattern(pattern, next),
                    self.all(terms, next),
                )
            }
            Term::TryCatch(inner, catch) => {
                Term::TryCatch(self.boxed(inner, next), catch.map(|catch| self.boxed(catch, next)))
            }
            Term::IfThenElse(branches, otherwise) => Term::IfThenElse(
                branches
                    .into_iter()
                    .map(|(when, then)| (self.term(when, next), self.term(then, next)))
                    .collect(),
                otherwise.map(|otherwise| self.boxed(otherwise, next)),
            ),
            Term::Def(definitions, inner) => Term::Def(
                definitions.into_iter().map(|one| self.definition(one, next)).collect(),
                self.boxed(inner, next),
            ),
            Term::Call(name, arguments) => {
                self.nests |= LOOPS.contains(&name);
                let mut arguments = self.all(arguments, next);
                if KEEPERS.contains(&name) {
                    arguments = arguments.into_iter().map(|argument| then(argument, KEPT)).collect();
                }
                Term::Call(name, arguments)
            }
            Term::Path(head, mut path) => {
                let head = self.boxed(head, next);
                let mut walks = false;
                for (part, _) in &mut path.0 {
                    let taken = std::mem::take(part);
                    *part = match taken {
                        Part::Index(index) => Part::Index(self.term(index, next)),
                        Part::Range(from, to) => {
                            walks |= from.is_none() && to.is_none();
                            Part::Range(from.map(|from| self.term(from, next)), to.map(|to| self.term(to, next)))
                        }
                    };
                }
                let path = Term::Path(head, path);
                if walks { then(path, STEP) } else { path }
            }
            Term::Recurse => then(term, STEP),
            Term::Id | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
        }
    }
}

fn step_then(term: Term<&str>) -> Term<&str> {
    Term::BinOp(
        Box::new(Term::Call(STEP, Vec::new())),
        BinaryOp::Pipe(None),
        Box::new(term),
    )
}

fn then<'s>(term: Term<&'s str>, call: &'s str) -> Term<&'s str> {
    Term::BinOp(
        Box::new(term),
        BinaryOp::Pipe(None),
        Box::new(Term::Call(call, Vec::new())),
    )
}

/// Whether a term calls a filter of this name anywhere. A definition can reach itself only by its own name.
fn calls(term: &Term<&str>, name: &str) -> bool {
    let deep = |inner: &Term<&str>| calls(inner, name);
    match term {
        Term::Call(called, arguments) => *called == name || arguments.iter().any(deep),
        Term::Str(_, parts) => parts.iter().any(|part| match part {
            StrPart::Term(term) => deep(term),
            _ => false,
        }),
        Term::Arr(inner) => inner.as_deref().is_some_and(deep),
        Term::Obj(entries) => entries
            .iter()
            .any(|(key, value)| deep(key) || value.as_ref().is_some_and(deep)),
        Term::Neg(inner) | Term::Label(_, inner) => deep(inner),
        Term::BinOp(left, operator, right) => {
            deep(left)
                || deep(right)
                || match operator {
                    BinaryOp::Pipe(Some(pattern)) => pattern_calls(pattern, name),
                    _ => false,
                }
        }
        Term::Fold(_, over, pattern, terms) => deep(over) || pattern_calls(pattern, name) || terms.iter().any(deep),
        Term::TryCatch(inner, catch) => deep(inner) || catch.as_deref().is_some_and(deep),
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().any(|(when, then)| deep(when) || deep(then)) || otherwise.as_deref().is_some_and(deep)
        }
        Term::Def(definitions, inner) => definitions.iter().any(|one| deep(&one.body)) || deep(inner),
        Term::Path(head, path) => {
            deep(head)
                || path.0.iter().any(|(part, _)| match part {
                    Part::Index(index) => deep(index),
                    Part::Range(from, to) => from.as_ref().is_some_and(deep) || to.as_ref().is_some_and(deep),
                })
        }
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => false,
    }
}

fn pattern_calls(pattern: &Pattern<&str>, name: &str) -> bool {
    match pattern {
        Pattern::Var(_) => false,
        Pattern::Arr(inner) => inner.iter().any(|one| pattern_calls(one, name)),
        Pattern::Obj(inner) => inner
            .iter()
            .any(|(key, one)| calls(key, name) || pattern_calls(one, name)),
    }
}
