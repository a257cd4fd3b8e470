//! Keeps a filter inside its bounds: steps and stack.
//!
//! jq loops by recursion only, and by walking data. So every definition that can reach itself, and every walk (`.[]`),
//! takes a step first (`__step`, which passes its input on and may stand in a path). A step counts down and looks how
//! deep the stack is; past a bound the run is halted, which no `try` of the filter can catch.

use std::cell::Cell;

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
use jaq_json::Val;

/// Name of the step.
pub(super) const STEP: &str = "__step";
/// Stack a run may use, bytes: a quarter of what the smallest thread has.
const MOST_STACK: usize = 512 * 1024;

/// What filters work on and what native ones can reach.
pub(super) struct Kind;

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

/// One run of a filter.
#[derive(Clone)]
pub(super) struct Run<'a> {
    pub(super) lut: &'a Lut<Kind>,
    pub(super) meter: &'a Meter,
}

impl<'a> HasLut<'a, Kind> for Run<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        self.lut
    }
}

/// Steps and stack that are left.
pub(super) struct Meter {
    steps: Cell<u64>,
    /// Address of something on the stack when the run began.
    bottom: usize,
}

impl Meter {
    pub(super) fn start(steps: u64) -> Self {
        Self {
            steps: Cell::new(steps),
            bottom: here(),
        }
    }

    /// Takes a step; false when a bound is passed.
    fn step(&self) -> bool {
        let Some(left) = self.steps.get().checked_sub(1) else {
            return false;
        };
        self.steps.set(left);
        self.bottom.abs_diff(here()) <= MOST_STACK
    }

    /// Why the run was halted.
    pub(super) fn verdict(&self) -> super::Problem {
        if self.steps.get() == 0 {
            super::Problem::OutOfSteps
        } else {
            super::Problem::OutOfStack
        }
    }
}

#[inline(never)]
fn here() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&marker)).addr()
}

/// The step as a native filter.
pub(super) fn step() -> Fun<Kind> {
    let native = Native::new(|(context, value): Cv<'_, Kind>| {
        box_once(if context.data().meter.step() {
            Ok(value)
        } else {
            Err(Exn::halt(1))
        })
    })
    .with_paths(|(context, path)| {
        box_once(if context.data().meter.step() {
            Ok(path)
        } else {
            Err(Exn::halt(1))
        })
    })
    .with_update(|(context, value), update| {
        if context.data().meter.step() {
            update(value)
        } else {
            box_once(Err(Exn::halt(1)))
        }
    });
    (STEP, Box::new([]), native)
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
                let operator = match operator {
                    BinaryOp::Pipe(Some(pattern)) => BinaryOp::Pipe(Some(self.pattern(pattern, next))),
                    other => other,
                };
                Term::BinOp(self.boxed(left, next), operator, self.boxed(right, next))
            }
            Term::Label(name, inner) => Term::Label(name, self.boxed(inner, next)),
            Term::Fold(name, over, pattern, terms) => {
                self.nests = true;
                Term::Fold(
                    name,
                    self.boxed(over, next),
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
                Term::Call(name, self.all(arguments, next))
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
                if walks { then_step(path) } else { path }
            }
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
        }
    }
}

fn step_call<'s>() -> Box<Term<&'s str>> {
    Box::new(Term::Call(STEP, Vec::new()))
}

fn step_then(term: Term<&str>) -> Term<&str> {
    Term::BinOp(step_call(), BinaryOp::Pipe(None), Box::new(term))
}

fn then_step(term: Term<&str>) -> Term<&str> {
    Term::BinOp(Box::new(term), BinaryOp::Pipe(None), step_call())
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
