//! The notation of words and phrases in rule files, read into forms of words.
//!
//! | запись | находит |
//! |---|---|
//! | `сугроб` | любую форму слова: сугробы, сугробов |
//! | `=дома` | только эту форму |
//! | `аварий*` | слова с таким началом |
//! | `поликлиника~` | то же, что слово, и с одной ошибочной буквой; от шести букв |
//! | `нет воды` | слова подряд, каждое в любой форме |
//! | `нет ... воды` | между словами может стоять до трёх других; `...5` — до пяти |
//! | `нет воды\|света` | на месте слова — любое из перечисленных |
//!
//! Punctuation between words is not looked at: citizens leave it out.

use super::normal;
use super::stem::stem;
use super::typos;

/// Words that may stand in a gap written as bare dots.
const DEFAULT_GAP: u32 = 3;
/// Most words a gap may allow.
const WIDEST_GAP: u32 = 20;
/// Fewest letters of a prefix: a shorter one finds half of the language.
const SHORTEST_PREFIX: usize = 3;

/// How a rule names a word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum WordForm {
    /// Any form with this Snowball stem.
    Stem(String),
    /// Only this form.
    Exact(String),
    /// Any word that begins so.
    Prefix(String),
    /// Any form of this word, one letter of which may be wrong.
    Typo(String),
}

/// How the words of a text may be spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Without mistakes; «~» after a word allows one.
    Strict,
    /// One letter of every long word may be wrong.
    Typos,
}

/// One place of a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Words any of which fills the place.
    pub(crate) alternatives: Vec<WordForm>,
    /// Other words allowed before it.
    pub(crate) gap: u32,
}

/// What is wrong with a term: the problem and the cure, in Russian.
pub(crate) type TermError = (String, String);

/// Reads a word or phrase; `spelling` is that of words which don't say it themselves.
///
/// # Errors
/// The problem and the cure, for the author.
pub(crate) fn read(written: &str, spelling: Spelling) -> Result<Vec<Slot>, TermError> {
    let mut slots: Vec<Slot> = Vec::new();
    let mut gap = None;
    for piece in written.split_whitespace() {
        if let Some(width) = gap_width(piece)? {
            if slots.is_empty() || gap.is_some() {
                return Err((
                    "многоточие должно стоять между словами".into(),
                    "пример: «нет ... воды»".into(),
                ));
            }
            gap = Some(width);
            continue;
        }
        for alternatives in read_piece(piece, spelling)? {
            slots.push(Slot {
                alternatives,
                gap: gap.take().unwrap_or(0),
            });
        }
    }
    if slots.is_empty() {
        return Err(("пустое слово".into(), "напишите слово или уберите строку".into()));
    }
    if gap.is_some() {
        return Err((
            "многоточие должно стоять между словами".into(),
            "пример: «нет ... воды»".into(),
        ));
    }
    Ok(slots)
}

/// The width of a gap (`...`, `…`, `...5`), when the piece is one.
fn gap_width(piece: &str) -> Result<Option<u32>, TermError> {
    let Some(width) = piece.strip_prefix("...").or_else(|| piece.strip_prefix('…')) else {
        return Ok(None);
    };
    if width.is_empty() {
        return Ok(Some(DEFAULT_GAP));
    }
    match width.parse::<u32>() {
        Ok(width) if (1..=WIDEST_GAP).contains(&width) => Ok(Some(width)),
        _ => Err((
            format!("непонятное многоточие «{piece}»"),
            format!(
                "отделите его пробелами; после точек — сколько слов пропустить, от 1 до {WIDEST_GAP}: «нет ...5 воды»"
            ),
        )),
    }
}

/// Reads a piece without spaces: usually one place, several for a hyphenated word.
fn read_piece(piece: &str, spelling: Spelling) -> Result<Vec<Vec<WordForm>>, TermError> {
    let mut readings = Vec::new();
    for alternative in piece.split('|') {
        readings.push(read_word(alternative, spelling)?);
    }
    if readings.len() == 1 {
        return Ok(readings.remove(0).into_iter().map(|word| vec![word]).collect());
    }
    if readings.iter().any(|words| words.len() != 1) {
        return Err((
            format!("«{piece}»: слово с дефисом не может стоять среди вариантов через «|»"),
            "напишите каждый вариант отдельной строкой списка".into(),
        ));
    }
    Ok(vec![readings.into_iter().flatten().collect()])
}

fn read_word(written: &str, spelling: Spelling) -> Result<Vec<WordForm>, TermError> {
    if let Some(body) = written.strip_suffix('~') {
        return read_misspelt(written, body).map(|word| vec![WordForm::Typo(word)]);
    }
    let exact = written.strip_prefix('=');
    let prefix = written.strip_suffix('*');
    let body = match (exact, prefix) {
        (Some(_), Some(_)) => {
            return Err((
                format!("«{written}»: нельзя сразу требовать точную форму (=) и начало слова (*)"),
                "оставьте один знак".into(),
            ));
        }
        (Some(body), None) | (None, Some(body)) => body,
        (None, None) => written,
    };
    if body.contains(['*', '=', '~']) {
        return Err((
            format!("«{written}»: знаки «*» и «~» бывают только в конце слова, знак «=» — только в начале"),
            "для начала слова: «аварий*», для опечаток: «поликлиника~», для точной формы: «=дома»".into(),
        ));
    }
    let mut words = Vec::new();
    normal::for_each_word(body, |word, _| words.push(word.to_owned()));
    let Some(last) = words.len().checked_sub(1) else {
        return Err((format!("«{written}»: нет ни одной буквы"), "напишите слово".into()));
    };
    if prefix.is_some() && words[last].chars().count() < SHORTEST_PREFIX {
        return Err((
            format!("«{written}»: начало слова короче трёх букв найдёт слишком много"),
            "добавьте букв или перечислите слова".into(),
        ));
    }
    words
        .into_iter()
        .enumerate()
        .map(|(at, word)| match (exact, prefix) {
            (Some(_), _) => Ok(WordForm::Exact(word)),
            (None, Some(_)) if at == last => Ok(WordForm::Prefix(word)),
            _ if spelling == Spelling::Typos && word.chars().count() >= typos::SHORTEST => Ok(WordForm::Typo(word)),
            _ => stem(&word)
                .map(WordForm::Stem)
                .ok_or_else(|| (format!("слово «{written}» слишком длинное"), "проверьте пробелы".into())),
        })
        .collect()
}

/// A word marked with «~»: one of its letters may be wrong.
fn read_misspelt(written: &str, body: &str) -> Result<String, TermError> {
    let mut words = Vec::new();
    normal::for_each_word(body, |word, _| words.push(word.to_owned()));
    match words.as_slice() {
        [word] if !body.contains(['*', '=', '~']) && word.chars().count() >= typos::SHORTEST => Ok(words.remove(0)),
        _ => Err((
            format!(
                "«{written}»: опечатка допускается в одном слове от {} букв, без других знаков",
                typos::SHORTEST
            ),
            "в коротком слове одна буква меняет смысл: перечислите его написания сами".into(),
        )),
    }
}
