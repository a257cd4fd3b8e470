//! What is wrong with a file that is no YAML, in the words of both readers: English for who installs, Russian for who
//! writes rules.

use std::fmt;

/// A file that can't be read as YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYaml {
    /// Line, from 1.
    pub line: u32,
    /// Why.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Against the grammar; what the parser says, in English.
    Grammar(String),
    /// A key of one mapping given twice.
    Twice {
        /// The key.
        key: String,
        /// Line of the first one.
        first: u32,
    },
    /// A second document begins.
    SecondDocument,
    /// A list or mapping stands as a key.
    KeyIsNoText,
    /// `*name` without `&name` above.
    UnknownAnchor,
    /// No value where one must be.
    NoValue,
    /// Something else than mappings after `<<`.
    MergesNoMapping,
    /// More nodes than the reader takes, repeated ones counted as often as they are repeated.
    TooLarge,
}

impl fmt::Display for NotYaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for NotYaml {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Grammar(said) => return f.write_str(said),
            Self::Twice { key, first } => return write!(f, "`{key}` stands twice, first in line {first}"),
            Self::SecondDocument => "a second document begins here; keep one and drop the line `---`",
            Self::KeyIsNoText => "a key is no text; drop the brackets or quote it",
            Self::UnknownAnchor => "`*` names an anchor that is not above; quote the value if it is text",
            Self::NoValue => "a value is missing",
            Self::MergesNoMapping => "`<<` takes in mappings only: write `<<: *name`, or quote it if it is a key",
            Self::TooLarge => "the file is too large, or repeats itself too often",
        };
        f.write_str(words)
    }
}

/// What the parser says, in part, and what it means. The first that fits counts.
const MEANINGS: &[(&str, &str)] = &[
    ("tab", "отступ сделан табуляцией, а нужны пробелы"),
    ("mapping values are not allowed", "лишнее двоеточие или неверный отступ"),
    ("unclosed", "не закрыта кавычка или скобка"),
    (
        "escape",
        "неверный знак после \\ в кавычках: возьмите текст в одинарные кавычки",
    ),
    ("quoted scalar", "ошибка в тексте в кавычках"),
    ("',' or ']'", "не закрыта квадратная скобка или пропущена запятая"),
    ("',' or '}'", "не закрыта фигурная скобка или пропущена запятая"),
    ("while parsing a flow", "не закрыта скобка или пропущена запятая"),
    ("expected ':'", "после ключа нет двоеточия"),
    ("block mapping", "строка не на своём месте: неверный отступ"),
    ("block collection", "строка не на своём месте: неверный отступ"),
    ("indent", "неверный отступ"),
    (
        "cannot start any token",
        "значение начинается со служебного знака: возьмите его в кавычки",
    ),
    ("unknown anchor", "знак * в начале значения: возьмите его в кавычки"),
    ("node content", "нет значения: лишний знак, или не закрыта скобка"),
    ("eof", "файл обрывается: не закрыта кавычка или скобка"),
    ("nesting", "скобки или отступы вложены слишком глубоко"),
];

impl Problem {
    /// The same in Russian; the parser's own words follow when their meaning is not known.
    pub fn ru(&self) -> String {
        let words = match self {
            Self::Grammar(said) => {
                let lower = said.to_lowercase();
                return match MEANINGS.iter().find(|(part, _)| lower.contains(part)) {
                    Some((_, meaning)) => (*meaning).to_owned(),
                    None => format!("нарушена запись (ответ разборщика: {said})"),
                };
            }
            Self::Twice { key, first } => return format!("ключ «{key}» повторяется, впервые он в строке {first}"),
            Self::SecondDocument => "в файле несколько документов: оставьте один, уберите строку «---»",
            Self::KeyIsNoText => "ключ — не текст: уберите скобки",
            Self::UnknownAnchor => "знак * в начале значения: возьмите его в кавычки",
            Self::NoValue => "нет значения: лишний знак, или не закрыта скобка",
            Self::MergesNoMapping => "после << нужен набор «ключ: значение»: напишите «<<: *имя»",
            Self::TooLarge => "файл слишком велик или слишком часто повторяет себя",
        };
        words.to_owned()
    }
}
