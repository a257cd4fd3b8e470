//! Filters in jq: how a manifest says what is where in a record.
//!
//! Invariants:
//! - **pure**: no clock, environment, file, or local zone is in reach, so the same input gives the same outputs for
//!   ever (`prelude` takes the impure filters of the standard library away);
//! - **bounded**: size of the input, steps, stack, memory, and number of outputs are limited, whatever the filter or the
//!   record does (ADR 0021); a filter that runs wild is an error of that record only;
//! - **discreet**: an error never shows a value of the record. It says what was attempted, and of a text given to
//!   `error` only the part that stands literally in the manifest.
//!
//! A filter is compiled once and may be used from many threads.

mod bounded;
mod compare;
mod error;
mod guard;
#[cfg(test)]
mod honest_tests;
#[cfg(test)]
mod memory_tests;
mod meter;
mod natives;
mod prelude;
mod regex;
mod stdlib;
#[cfg(test)]
mod tests;
mod value;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

use jaq_core::{
    Compiler, Ctx, Exn, Vars,
    load::{self, Arena, File, Lexer, Loader, Parser, parse::Def, parse::Term},
};
use jaq_json::Val;
use parking_lot::Mutex;
use serde_json::Value;

use bounded::Bounded;
pub use error::FilterError;
use error::{Literals, Problem};
use guard::{Kind, Run};
pub use stdlib::REFERENCE;
pub use value::Input;

/// Longest source of a filter, bytes.
const LONGEST_SOURCE: usize = 32 * 1024;
/// Deepest nesting of terms in a filter; what runs can't be nested deeper.
const DEEPEST_TERM: usize = 150;
/// Parsing is recursive; the stack it gets is enough for the longest source. Only touched pages cost memory.
const COMPILE_STACK: usize = 256 * 1024 * 1024;
/// Values nested by a loop are taken down level by level on the stack; this is enough for one level in each step.
/// Filters without loops, nearly all, need no thread of their own.
const NESTING_STACK: usize = 512 * 1024 * 1024;
/// Memory one run of a filter may take, bytes, unless the settings say otherwise. Counted as it is taken, never given
/// back: hundreds of times what a record needs.
pub const USUAL_MEMORY: u64 = 256 * 1024 * 1024;
/// Most outputs of one run.
const MOST_OUTPUTS: usize = 100_000;
/// Under this name the filter stands behind the prelude.
const MAIN: &str = "__main";

/// Tables of a manifest, as filters see them: `$tables`, `lookup("status"; .code)`.
#[derive(Debug, Clone)]
pub struct Tables {
    tables: Val,
    memory: u64,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            tables: Val::obj(jaq_json::Map::default()),
            memory: USUAL_MEMORY,
        }
    }
}

impl Tables {
    /// Takes over an object of tables.
    pub fn new(tables: &serde_json::Map<String, Value>) -> Self {
        let (tables, _) = value::from_json(&Value::Object(tables.clone()));
        Self {
            tables,
            memory: USUAL_MEMORY,
        }
    }

    /// The same for filters that may take so much memory in one run, bytes.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }
}

/// A compiled filter.
#[derive(Clone)]
pub struct Filter {
    /// Dotted key of the manifest the filter comes from, for errors.
    what: Arc<str>,
    program: Arc<Program>,
    tables: Tables,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// Compiles a filter without tables. `what` is the key it comes from (`poll.items`).
    ///
    /// # Errors
    /// Where in the source it is wrong and what was expected there.
    pub fn compile(source: &str, what: &str) -> Result<Self, FilterError> {
        Self::compile_with(source, what, &Tables::default())
    }

    /// Compiles a filter that may use the tables of the manifest.
    ///
    /// # Errors
    /// Where in the source it is wrong and what was expected there.
    pub fn compile_with(source: &str, what: &str, tables: &Tables) -> Result<Self, FilterError> {
        let fail = |problem| FilterError::new(what, problem);
        if source.len() > LONGEST_SOURCE {
            return Err(fail(Problem::TooLong { limit: LONGEST_SOURCE }));
        }
        if source.trim().is_empty() {
            return Err(fail(Problem::Empty));
        }
        Ok(Self {
            what: what.into(),
            program: program(source).map_err(fail)?,
            tables: tables.clone(),
        })
    }

    /// Key of the manifest the filter comes from.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// All outputs of the filter, in order.
    ///
    /// # Errors
    /// The filter threw, or went over a bound.
    pub fn all(&self, input: &Value) -> Result<Vec<Value>, FilterError> {
        self.all_of(&Input::new(input))
    }

    /// The only output of the filter.
    ///
    /// # Errors
    /// As [`Filter::all`], and when there is no output or more than one.
    pub fn one(&self, input: &Value) -> Result<Value, FilterError> {
        self.one_of(&Input::new(input))
    }

    /// [`Filter::all`] over an input that several filters share.
    ///
    /// # Errors
    /// As [`Filter::all`].
    pub fn all_of(&self, input: &Input) -> Result<Vec<Value>, FilterError> {
        self.run(input, MOST_OUTPUTS)
    }

    /// [`Filter::one`] over an input that several filters share.
    ///
    /// # Errors
    /// As [`Filter::one`].
    pub fn one_of(&self, input: &Input) -> Result<Value, FilterError> {
        // A second output is already one too many: there is no need to compute the third.
        let mut outputs = self.run(input, 2)?;
        match (outputs.pop(), outputs.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(self.fail(Problem::Nothing)),
            (Some(_), false) => Err(self.fail(Problem::Several)),
        }
    }

    fn fail(&self, problem: Problem) -> FilterError {
        FilterError::new(&self.what, problem)
    }

    /// Runs the filter; more than `most` outputs is an error, except when two are asked for to tell one from several.
    fn run(&self, input: &Input, most: usize) -> Result<Vec<Value>, FilterError> {
        let Some(steps) = input.steps() else {
            return Err(self.fail(Problem::InputTooLarge));
        };
        let outputs = if self.program.nests {
            on_stack(NESTING_STACK, || self.outputs(input, steps, most))
        } else {
            catch_unwind(AssertUnwindSafe(|| self.outputs(input, steps, most))).unwrap_or(Err(Problem::Panicked))
        };
        outputs.map_err(|problem| self.fail(problem))
    }

    fn outputs(&self, input: &Input, steps: u64, most: usize) -> Result<Vec<Value>, Problem> {
        let _running = meter::start(steps, self.tables.memory);
        let run = Run {
            lut: &self.program.filter.lut,
        };
        let context = Ctx::<Kind>::new(run, Vars::new([Bounded(self.tables.tables.clone())]));
        let mut outputs = Vec::new();
        for output in self.program.filter.id.run((context, input.value())) {
            // What was refused and caught, or became null, is no result.
            if meter::over().is_some() {
                return Err(Problem::over());
            }
            let output = output.map_err(|exception| self.problem(exception))?;
            if outputs.len() == most {
                if most == 2 {
                    break;
                }
                return Err(Problem::TooManyOutputs { limit: most });
            }
            outputs.push(value::to_json(output.0)?);
        }
        match meter::over() {
            Some(_) => Err(Problem::over()),
            None => Ok(outputs),
        }
    }

    fn problem(&self, exception: Exn<'_, Bounded>) -> Problem {
        match exception.get_err() {
            Ok(error) => {
                let thrown = error.into_val();
                match meter::over() {
                    Some(_) => Problem::over(),
                    None => self.program.literals.thrown(&thrown.0),
                }
            }
            Err(_) => Problem::over(),
        }
    }
}

/// Runs something on a thread with its own stack.
fn on_stack<T: Send>(bytes: usize, work: impl FnOnce() -> Result<T, Problem> + Send) -> Result<T, Problem> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("priem-jq".into()).stack_size(bytes);
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or(Err(Problem::Panicked)),
            Err(_) => Err(Problem::NoThread),
        }
    })
}

/// What a source is compiled to.
struct Program {
    filter: jaq_core::Filter<Kind>,
    literals: Literals,
    nests: bool,
}

/// Programs by their source. A program knows nothing of tables, keys, or records, so everybody may share it: a reload and
/// a thousand entries of one profile compile nothing anew.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Program>>>> = LazyLock::new(Mutex::default);
/// Most programs that are kept; past it all are forgotten at once.
const MOST_COMPILED: usize = 512;

fn program(source: &str) -> Result<Arc<Program>, Problem> {
    if let Some(known) = COMPILED.lock().get(source) {
        return Ok(Arc::clone(known));
    }
    let program = Arc::new(on_stack(COMPILE_STACK, || compile(source))?);
    let mut compiled = COMPILED.lock();
    if compiled.len() >= MOST_COMPILED {
        compiled.clear();
    }
    compiled.insert(source.to_owned(), Arc::clone(&program));
    Ok(program)
}

fn compile(source: &str) -> Result<Program, Problem> {
    let term = parse(source)?;
    let mut literals = Literals::default();
    let guard::Instrumented { term, deepest, nests } = guard::instrument(term, &mut |literal| literals.add(literal));
    if deepest > DEEPEST_TERM {
        return Err(Problem::TooDeep { limit: DEEPEST_TERM });
    }
    let main = Def {
        name: MAIN,
        args: Vec::new(),
        body: term,
    };
    let arena = Arena::default();
    let loader = Loader::new(prelude::definitions().chain([main]));
    let modules = loader
        .load(&arena, File { code: MAIN, path: () })
        .map_err(|_| Problem::Panicked)?;
    let filter = Compiler::default()
        .with_funs(prelude::natives())
        .with_global_vars(["$tables"])
        .compile(modules)
        .map_err(|errors| undefined(source, &errors))?;
    Ok(Program {
        filter,
        literals,
        nests,
    })
}

fn parse(source: &str) -> Result<Term<&str>, Problem> {
    let tokens = Lexer::new(source).lex().map_err(|errors| {
        let (expected, found) = errors
            .first()
            .map_or(("a filter", source), |(e, found)| (e.as_str(), *found));
        Problem::syntax(source, found, expected)
    })?;
    Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, found) = errors
            .first()
            .map_or(("a filter", None), |(e, found)| (e.as_str(), *found));
        Problem::syntax(source, load::lex::Token::opt_as_str(found, source), expected)
    })
}

type CompileErrors<'s> = load::Errors<&'s str, (), Vec<jaq_core::compile::Error<&'s str>>>;

fn undefined(source: &str, errors: &CompileErrors<'_>) -> Problem {
    let Some((name, kind)) = errors.iter().flat_map(|(_, errors)| errors).next() else {
        return Problem::Panicked;
    };
    let arity = match kind {
        jaq_core::compile::Undefined::Filter(arity) => Some(*arity),
        _ => None,
    };
    Problem::undefined(source, name, kind.as_str(), arity, &prelude::names())
}
