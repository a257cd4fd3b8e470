//! Reads `when:` into a [`Condition`].

use std::collections::{HashMap, HashSet};

use crate::clock::dates::{self, Dates};
use crate::engine::condition::{Condition, FieldTest};
use crate::engine::fields::{Field, Form, NO, OKTMO_MAX, OKTMO_MIN, YES};
use crate::engine::moment::{self, MomentTest};
use crate::engine::term::Term;
use crate::engine::vocabulary::Vocabulary;
use crate::language::keys;
use crate::language::reader::{Lined, Reader};
use crate::language::tables::Tables;
use crate::words::phrase::Spelling;
use priem_yaml::nearest;
use priem_yaml::{Entry, Node, Scalar, Value};

/// How deep conditions may nest.
const DEEPEST: usize = 16;

/// Most parts of a condition after its named ones are put in: named conditions can multiply.
const LARGEST: usize = 50_000;

/// Words of a list that is looked through rather than looked up in.
const SHORT_LIST: usize = 16;

/// The step a condition belongs to: `classify` can't ask about what it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Classify,
    Later,
}

/// What conditions refer to.
pub(crate) struct Terms<'a> {
    pub(crate) vocabulary: &'a mut Vocabulary,
    /// Named lists of words, from all files.
    pub(crate) lists: &'a HashMap<String, Vec<Lined>>,
    /// Named conditions, from all files.
    pub(crate) named: &'a HashMap<String, Condition>,
    /// Files of tables, read.
    pub(crate) tables: &'a Tables,
    /// Declared sectors; empty: anything goes.
    pub(crate) sectors: &'a [(String, String)],
}

/// Reads a condition. `None` after an error that leaves nothing to test.
pub(crate) fn read(reader: &mut Reader<'_>, terms: &mut Terms<'_>, node: &Node, step: Step) -> Option<Condition> {
    read_at(reader, terms, node, step, 0)
}

fn read_at(reader: &mut Reader<'_>, terms: &mut Terms<'_>, node: &Node, step: Step, depth: usize) -> Option<Condition> {
    if depth > DEEPEST {
        reader.error(
            node.line,
            "условия вложены слишком глубоко",
            format!("не глубже {DEEPEST} уровней"),
        );
        return None;
    }
    let entries = reader.map(node, "условие");
    if entries.is_empty() && matches!(node.value, Value::Map(_)) {
        reader.error(node.line, "пустое условие", "добавьте строку или уберите условие");
    }
    let mut parts = Vec::new();
    for entry in entries {
        match entry.key.as_str() {
            "text" => parts.extend(read_text(reader, terms, &entry.node)),
            "context" => parts.extend(read_context(reader, terms, &entry.node)),
            "dates" => parts.extend(read_dates(reader, terms, &entry.node)),
            "place" => parts.extend(read_place(reader, terms, entry)),
            "use" => parts.extend(read_named(reader, terms, entry, step)),
            "any" => parts.push(Condition::Any(read_list(reader, terms, entry, step, depth))),
            "all" => parts.extend(read_list(reader, terms, entry, step, depth)),
            "not" => {
                let inner = read_at(reader, terms, &entry.node, step, depth + 1)?;
                parts.push(Condition::Not(Box::new(inner)));
            }
            key => match Field::ALL.iter().find(|field| !field.is_place() && field.key() == key) {
                Some(field) if step == Step::Classify && field.is_decided(terms.vocabulary.territories().is_some()) => {
                    reader.error(
                        entry.line,
                        format!("«{key}» ещё не известно: его задаёт сам шаг classify"),
                        "проверяйте это в route или deadlines, а здесь — тему, канал, место, слова",
                    )
                }
                Some(&field) => parts.extend(read_field(reader, terms, field, &entry.node)),
                None => report_unknown(reader, entry),
            },
        }
    }
    let size: usize = parts.iter().map(Condition::size).sum();
    if size > LARGEST {
        reader.error(
            node.line,
            "условие слишком велико: именованные условия умножают друг друга",
            "разбейте его на несколько правил",
        );
        return None;
    }
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Condition::All(parts)),
    }
}

/// Named conditions; all of them must hold.
fn read_named(reader: &mut Reader<'_>, terms: &Terms<'_>, entry: &Entry, step: Step) -> Vec<Condition> {
    let mut parts = Vec::new();
    for (name, line) in reader.texts(&entry.node, "use") {
        let Some(condition) = terms.named.get(&name) else {
            let cure = match nearest(&name, terms.named.keys().map(String::as_str)) {
                Some(near) => format!("возможно, вы имели в виду «{near}»"),
                None => "опишите его в разделе conditions".to_owned(),
            };
            reader.error(line, format!("нет именованного условия «{name}»"), cure);
            continue;
        };
        if step == Step::Classify && condition.asks_about_decided(terms.vocabulary.territories().is_some()) {
            reader.error(
                line,
                format!("условие «{name}» спрашивает о том, что задаёт сам шаг classify"),
                "такое условие годится только в route и deadlines",
            );
            continue;
        }
        parts.push(condition.clone());
    }
    parts
}

/// A place key outside `place:` is the likeliest mistake of all: it gets its own cure.
fn report_unknown(reader: &mut Reader<'_>, entry: &Entry) {
    if Field::ALL
        .iter()
        .any(|field| field.is_place() && field.key() == entry.key)
    {
        let key = &entry.key;
        return reader.error(
            entry.line,
            format!("«{key}» должно стоять внутри place"),
            format!("напишите «place: {{ {key}: … }}»"),
        );
    }
    let fields = Field::ALL
        .iter()
        .filter(|field| !field.is_place())
        .map(|field| field.key());
    reader.unknown_key(
        entry,
        "условие",
        fields.chain(keys::CONDITION.iter().map(|(key, _)| *key)),
    );
}

fn read_list(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    entry: &Entry,
    step: Step,
    depth: usize,
) -> Vec<Condition> {
    let nodes = reader.list(&entry.node, &format!("«{}»", entry.key));
    let is_list = matches!(entry.node.value, Value::List(_)) || entry.node.value.is_nothing();
    if nodes.is_empty() && is_list {
        reader.error(
            entry.line,
            format!("«{}»: пустой список условий", entry.key),
            "добавьте условие или уберите строку",
        );
    }
    nodes
        .iter()
        .filter_map(|node| read_at(reader, terms, node, step, depth + 1))
        .collect()
}

/// Days of the decision; one range or several.
fn read_dates(reader: &mut Reader<'_>, terms: &mut Terms<'_>, node: &Node) -> Option<Condition> {
    needs_clock(reader, terms, node.line, "«dates»");
    let mut ranges = Vec::new();
    for (written, line) in reader.texts(node, "«dates»") {
        match Dates::parse(&written) {
            Some(dates) => ranges.push(Condition::Today(dates)),
            None => reader.error(
                line,
                format!("«dates»: непонятные дни «{written}»"),
                format!("напишите {}; конец не раньше начала", dates::EXAMPLE),
            ),
        }
    }
    terms.vocabulary.ask_today();
    match ranges.len() {
        0 => None,
        1 => ranges.pop(),
        _ => Some(Condition::Any(ranges)),
    }
}

/// Reports a question about time when no file names a zone.
fn needs_clock(reader: &mut Reader<'_>, terms: &Terms<'_>, line: u32, what: &str) {
    if !terms.vocabulary.has_zone() {
        reader.error(
            line,
            format!("{what}: условие о времени, но не задан часовой пояс"),
            "добавьте в один из файлов строку «zone: Asia/Yekaterinburg»",
        );
    }
}

fn read_place(reader: &mut Reader<'_>, terms: &mut Terms<'_>, entry: &Entry) -> Vec<Condition> {
    let mut parts = Vec::new();
    for inner in reader.map(&entry.node, "place") {
        match Field::ALL
            .iter()
            .find(|field| field.is_place() && field.key() == inner.key)
        {
            Some(&field) => parts.extend(read_field(reader, terms, field, &inner.node)),
            None => {
                let known = Field::ALL
                    .iter()
                    .filter(|field| field.is_place())
                    .map(|field| field.key());
                reader.unknown_key(inner, "place", known);
            }
        }
    }
    parts
}

fn read_field(reader: &mut Reader<'_>, terms: &mut Terms<'_>, field: Field, node: &Node) -> Option<Condition> {
    let what = format!("«{}»", field.key());
    let needs_zone = field.is_of_moment() && !matches!(field, Field::OlderThan | Field::YoungerThan);
    if needs_zone {
        needs_clock(reader, terms, node.line, &what);
    }
    if field.form() == Form::YesNo {
        let yes = reader.yes_no(node, &what)?;
        let value = if yes { YES } else { NO };
        return Some(is(terms.vocabulary, field, vec![value.to_owned()]));
    }
    let mut values = Vec::new();
    for (value, line) in reader.texts(node, &what) {
        let fits = match field.form() {
            Form::Moment => is_moment(reader, field, &value, line),
            Form::Closed(known) => reader.word(&value, line, &what, known),
            Form::CodePrefix => is_code(reader, node, &value, line),
            _ if field.normalise(&value).is_empty() => {
                reader.error(
                    line,
                    format!("{what}: в «{value}» нет ни одной буквы"),
                    "проверьте значение",
                );
                false
            }
            _ => true,
        };
        if field == Field::Sector {
            is_sector(reader, terms.sectors, &value, line);
        }
        if field == Field::Territory {
            is_territory(reader, terms.vocabulary, &value, line);
        }
        if fits {
            values.push(value);
        }
    }
    (!values.is_empty()).then(|| is(terms.vocabulary, field, values))
}

/// Reports a sector that no file declares.
pub(crate) fn is_sector(reader: &mut Reader<'_>, sectors: &[(String, String)], value: &str, line: u32) {
    if sectors.is_empty() || sectors.iter().any(|(id, _)| id == value) {
        return;
    }
    let cure = match nearest(value, sectors.iter().map(|(id, _)| id.as_str())) {
        Some(id) => format!("возможно, вы имели в виду «{id}»"),
        None => "добавьте её в раздел sectors или исправьте код".to_owned(),
    };
    reader.error(line, format!("отрасль «{value}» не объявлена в разделе sectors"), cure);
}

/// Reports a territory that no file describes, or a name of several.
pub(crate) fn is_territory(reader: &mut Reader<'_>, vocabulary: &Vocabulary, value: &str, line: u32) {
    let Some(territories) = vocabulary.territories() else {
        return;
    };
    if territories.meant(value).is_some() {
        return;
    }
    let cure = match nearest(value, territories.gazetteer().known()) {
        Some(known) if known != value => format!("возможно, вы имели в виду «{known}»"),
        Some(_) => "так называется несколько территорий: напишите код id".to_owned(),
        None => "опишите её в разделе territories или исправьте код".to_owned(),
    };
    reader.error(
        line,
        format!("территория «{value}» не описана в разделе territories"),
        cure,
    );
}

fn is_moment(reader: &mut Reader<'_>, field: Field, value: &str, line: u32) -> bool {
    let fits = MomentTest::parse(field, value).is_some();
    if !fits {
        reader.error(
            line,
            format!("«{}»: непонятное время «{value}»", field.key()),
            format!("напишите {}", moment::example(field)),
        );
    }
    fits
}

fn is_code(reader: &mut Reader<'_>, node: &Node, value: &str, line: u32) -> bool {
    if node.scalar().and_then(Scalar::integer).is_some() {
        reader.error(
            line,
            "код ОКТМО без кавычек",
            format!("возьмите код в кавычки: oktmo: \"{value}\""),
        );
        return false;
    }
    let digits = value.chars().all(|letter| letter.is_ascii_digit());
    if digits && (OKTMO_MIN..=OKTMO_MAX).contains(&value.len()) {
        return true;
    }
    reader.error(
        line,
        format!("«{value}» — не начало кода ОКТМО"),
        format!("напишите от {OKTMO_MIN} до {OKTMO_MAX} цифр, например \"57701\""),
    );
    false
}

/// «The field has one of the values».
pub(crate) fn is(vocabulary: &mut Vocabulary, field: Field, written: Vec<String>) -> Condition {
    let mut wanted: Vec<_> = written
        .iter()
        .map(|value| vocabulary.intern_value(field, value))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    Condition::Is(FieldTest { field, wanted, written })
}

fn read_text(reader: &mut Reader<'_>, terms: &mut Terms<'_>, node: &Node) -> Vec<Condition> {
    if !matches!(node.value, Value::Map(_)) {
        let words = read_words(reader, terms, node, Spelling::Strict);
        return if words.is_empty() {
            Vec::new()
        } else {
            vec![Condition::Text(words)]
        };
    }
    let mut parts = Vec::new();
    let entries = reader.known(node, "text", keys::TEXT);
    let typos = entries.iter().find(|entry| entry.key == "typos");
    let spelling = match typos.and_then(|entry| reader.yes_no(&entry.node, "typos")) {
        Some(true) => Spelling::Typos,
        _ => Spelling::Strict,
    };
    for entry in entries.into_iter().filter(|entry| entry.key != "typos") {
        let words = read_words(reader, terms, &entry.node, spelling);
        if words.is_empty() {
            continue;
        }
        match entry.key.as_str() {
            "any" => parts.push(Condition::Text(words)),
            "all" => parts.extend(words.into_iter().map(|term| Condition::Text(vec![term]))),
            _ => parts.push(Condition::Not(Box::new(Condition::Text(words)))),
        }
    }
    parts
}

/// The same words, sought around the message.
fn read_context(reader: &mut Reader<'_>, terms: &mut Terms<'_>, node: &Node) -> Vec<Condition> {
    terms.vocabulary.ask_context();
    let around = |part| match part {
        Condition::Text(words) => Condition::Context(words),
        other => other,
    };
    let parts = read_text(reader, terms, node).into_iter().map(|part| match part {
        Condition::Not(inner) => Condition::Not(Box::new(around(*inner))),
        other => around(other),
    });
    parts.collect()
}

/// Words, phrases and `$lists`.
fn read_words(reader: &mut Reader<'_>, terms: &mut Terms<'_>, node: &Node, spelling: Spelling) -> Vec<Term> {
    let mut found: Vec<Term> = Vec::new();
    // Only for long lists, which otherwise would be walked over for each of their words.
    let mut seen: HashSet<Box<str>> = HashSet::new();
    for (written, line) in reader.texts(node, "слова") {
        let expanded: Vec<String> = match written.strip_prefix('$') {
            None => vec![written],
            Some(list) => match terms.lists.get(list) {
                Some(words) => words.iter().map(|(word, _)| word.clone()).collect(),
                None => {
                    let cure = match nearest(list, terms.lists.keys().map(String::as_str)) {
                        Some(name) => format!("возможно, вы имели в виду «${name}»"),
                        None => "опишите список в разделе words".to_owned(),
                    };
                    reader.error(line, format!("нет списка слов «{list}»"), cure);
                    continue;
                }
            },
        };
        for word in expanded {
            if found.len() == SHORT_LIST {
                seen = found.iter().map(|term| term.written.clone()).collect();
            }
            let is_known = match found.len() < SHORT_LIST {
                true => found.iter().any(|term| *term.written == *word),
                false => !seen.insert(word.as_str().into()),
            };
            if is_known {
                continue;
            }
            match Term::parse_as(&word, spelling, terms.vocabulary) {
                Ok(term) => found.push(term),
                Err((problem, cure)) => reader.error(line, problem, cure),
            }
        }
    }
    found.shrink_to_fit();
    found
}
