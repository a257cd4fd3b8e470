//! From the files to a compiled rule set: reads every file, resolves references across them, collects all errors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::clock::calendar::{Calendar, WorkDay, Year};
use crate::clock::deadline::Zone;
use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::index::Index;
use crate::engine::model::{ClassifyRule, DeadlineRule, Route, Sectors};
use crate::engine::vocabulary::Vocabulary;
use crate::language::calendar;
use crate::language::cases::{self, TestCase};
use crate::language::condition::Terms;
use crate::language::deadlines;
use crate::language::error::{RuleError, RuleErrors};
use crate::language::include;
use crate::language::keys;
use crate::language::load;
use crate::language::named::{self, Declared};
use crate::language::reader::{Lined, Reader};
use crate::language::rules::{self, Ids};
use crate::language::tables::Tables;
use crate::language::territories;
use priem_yaml::{Entry, Node, Scalar};

/// A path and the text of the file.
type File = (PathBuf, String);

/// The language version this code reads.
const VERSION: i64 = 1;
/// Zone of a set that names none and has no deadlines.
const DEFAULT_ZONE: &str = "UTC";

/// What all files share while they are read.
#[derive(Default)]
struct Shared {
    sectors: Sectors,
    lists: HashMap<String, Vec<Lined>>,
    named: HashMap<String, Condition>,
    zone: Option<Zone>,
    /// Lists of days, and whether a list is a part that others include.
    years: Vec<(bool, i16, Year)>,
    work_day: Option<WorkDay>,
    ids: Ids,
    vocabulary: Vocabulary,
}

/// Compiles the files, in the order given, with the tests that stand in them. `tables` holds the tables they name.
///
/// # Errors
/// Everything found wrong in any of them.
pub(crate) fn compile(
    files: &[(PathBuf, String)],
    tables: &Tables,
    version: String,
) -> Result<(Compiled, Vec<TestCase>), RuleErrors> {
    let (data, rule_files): (Vec<&File>, Vec<&File>) = files.iter().partition(|(path, _)| load::is_geojson(path));
    let parsed = parse_files(&rule_files);
    let mut sources: Vec<(Reader<'_>, Vec<&Entry>)> = Vec::new();
    let mut readers = Vec::new();
    let mut nodes = Vec::new();
    for (reader, node) in parsed {
        readers.push(reader);
        nodes.push(node);
    }
    for (mut reader, node) in readers.into_iter().zip(&nodes) {
        let entries = node
            .as_ref()
            .map(|node| top_level(&mut reader, node))
            .unwrap_or_default();
        sources.push((reader, entries));
    }

    let mut shared = Shared::default();
    let mut declared = Declared::default();
    for (at, (reader, entries)) in sources.iter_mut().enumerate() {
        read_declarations(reader, entries, &mut shared);
        declared.collect(at, reader, entries);
    }
    let mut calendar = Calendar::new(shared.work_day.unwrap_or_default());
    let lists = std::mem::take(&mut shared.years);
    // Included ones lie below, whatever the names of the files: what a region says is about its own days.
    let (parts, own): (Vec<_>, Vec<_>) = lists.into_iter().partition(|(is_part, ..)| *is_part);
    for (_, year, list) in parts.into_iter().chain(own) {
        calendar.add(year, list);
    }
    shared.vocabulary.set_calendar(calendar.clone());
    if let Some(zone) = &shared.zone {
        shared.vocabulary.set_zone(zone.zone.clone());
    }
    if let Some(territories) = territories::all(&mut sources, &data) {
        shared.vocabulary.set_territories(territories);
    }
    let mut readers: Vec<&mut Reader<'_>> = sources.iter_mut().map(|(reader, _)| reader).collect();
    shared.lists = named::lists(&mut readers, &declared);
    shared.named = named::conditions(
        &mut readers,
        &declared,
        &mut shared.vocabulary,
        &shared.lists,
        &shared.sectors,
    );
    let mut classify = Vec::new();
    let mut deadlines = Vec::new();
    let mut route: Option<(Option<Route>, String)> = None;
    for (reader, entries) in &mut sources {
        for entry in entries.iter() {
            read_section(
                reader,
                entry,
                &mut shared,
                tables,
                &mut classify,
                &mut deadlines,
                &mut route,
            );
        }
    }
    let has_deadlines = sources
        .iter()
        .any(|(_, entries)| entries.iter().any(|entry| entry.key == "deadlines"));
    let zone = zone_or_default(&mut sources, shared.zone.take(), has_deadlines);
    let mut tests = Vec::new();
    for (reader, entries) in &mut sources {
        if include::is_part(&reader.file) {
            continue;
        }
        for entry in entries.iter().filter(|entry| entry.key == "tests") {
            let nodes = reader.list(&entry.node, "tests");
            tests.extend(nodes.iter().filter_map(|node| cases::test(reader, &zone, node)));
        }
    }

    let mut errors: Vec<RuleError> = sources.into_iter().flat_map(|(reader, _)| reader.errors).collect();
    // The tree may stand in the file that can't be read.
    if route.is_none() && nodes.iter().all(Option::is_some) {
        errors.push(no_route(&rule_files));
    }
    shared.vocabulary.connect_territories();
    match route {
        Some((Some(route), _)) if errors.is_empty() => Ok((
            Compiled {
                version,
                vocabulary: shared.vocabulary,
                sectors: shared.sectors,
                zone,
                calendar,
                classify_index: Index::build(classify.iter().map(|rule: &ClassifyRule| rule.head.when.as_ref())),
                classify,
                route,
                deadline_index: Index::build(deadlines.iter().map(|rule: &DeadlineRule| rule.head.when.as_ref())),
                deadlines,
            },
            tests,
        )),
        _ => Err(RuleErrors(errors)),
    }
}

/// Names that a file includes; none when it can't be read.
pub(crate) fn read_includes(text: &str) -> Vec<String> {
    if !text.contains("include") {
        return Vec::new();
    }
    let Ok(node) = priem_yaml::parse(text) else {
        return Vec::new();
    };
    let mut reader = Reader::new(PathBuf::new(), text);
    let entries = reader.map(&node, "файл правил");
    let Some(entry) = entries.iter().find(|entry| entry.key == "include") else {
        return Vec::new();
    };
    reader
        .texts(&entry.node, "include")
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// Reads files side by side. Threads of their own have another use: the allocator keeps what they allocate apart, so
/// that the trees leave no holes between the rules made from them.
fn parse_files<'a>(files: &[&'a File]) -> Vec<(Reader<'a>, Option<Node>)> {
    let width = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut parsed = Vec::with_capacity(files.len());
    for group in files.chunks(width) {
        std::thread::scope(|scope| {
            let started: Vec<_> = group
                .iter()
                .map(|&(path, text)| scope.spawn(move || parse_file(path, text)))
                .collect();
            parsed.extend(started.into_iter().map(|thread| match thread.join() {
                Ok(parsed) => parsed,
                Err(panic) => std::panic::resume_unwind(panic),
            }));
        });
    }
    parsed
}

fn parse_file<'a>(path: &Path, text: &'a str) -> (Reader<'a>, Option<Node>) {
    let mut reader = Reader::new(path.to_path_buf(), text);
    match priem_yaml::parse(text) {
        Ok(node) => (reader, Some(node)),
        Err(error) => {
            reader.error(
                error.line,
                format!("файл не читается как YAML: {}", error.problem.ru()),
                "проверьте эту строку и строки выше: отступы (только пробелы), кавычки и скобки закрыты, ключи не \
                 повторяются; текст с двоеточием возьмите в кавычки",
            );
            (reader, None)
        }
    }
}

fn top_level<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Vec<&'n Entry> {
    let entries = reader.known(node, "файл правил", keys::FILE);
    match entries.iter().find(|entry| entry.key == "version") {
        Some(entry) => {
            if entry.node.scalar().and_then(Scalar::integer) != Some(VERSION) {
                reader.error(
                    entry.line,
                    "неизвестная версия языка правил",
                    format!("напишите «version: {VERSION}»"),
                );
            }
        }
        None => reader.error(
            1,
            "в файле нет версии языка правил",
            format!("начните файл строкой «version: {VERSION}»"),
        ),
    }
    entries
}

/// `sectors` and `zone`: other files may refer to them.
fn read_declarations(reader: &mut Reader<'_>, entries: &[&Entry], shared: &mut Shared) {
    for entry in entries {
        match entry.key.as_str() {
            "sectors" => {
                for sector in reader.map(&entry.node, "sectors") {
                    let name = reader.text(&sector.node, "название отрасли").unwrap_or_default();
                    if shared.sectors.iter().any(|(id, _)| sector.key == id.as_str()) {
                        reader.error(
                            sector.line,
                            format!("отрасль «{}» объявлена дважды", sector.key),
                            "оставьте одну строку",
                        );
                    } else {
                        shared.sectors.push((sector.key.to_string(), name));
                    }
                }
            }
            "include" => {
                for (name, line) in reader.texts(&entry.node, "include") {
                    reader.word(
                        &name,
                        line,
                        "часть встроенного набора",
                        &include::PARTS.map(|(name, ..)| name),
                    );
                }
            }
            "calendar" => {
                let is_part = include::is_part(&reader.file);
                for node in reader.list(&entry.node, "calendar") {
                    let list = calendar::year(reader, node);
                    shared.years.extend(list.map(|(year, list)| (is_part, year, list)));
                }
            }
            "work_day" => match (&shared.work_day, calendar::work_day(reader, &entry.node)) {
                (Some(first), Some(second)) if *first != second => reader.error(
                    entry.line,
                    "рабочий день work_day задан дважды и по-разному",
                    "оставьте его в одном файле",
                ),
                (_, read) => shared.work_day = read.or(shared.work_day),
            },
            "zone" => {
                let Some(name) = reader.text(&entry.node, "zone") else {
                    continue;
                };
                match TimeZone::get(&name) {
                    Err(_) => reader.error(
                        entry.line,
                        format!("неизвестный часовой пояс «{name}»"),
                        "например Asia/Yekaterinburg; на сервере должен быть пакет tzdata",
                    ),
                    Ok(_) if shared.zone.as_ref().is_some_and(|zone| zone.name != name) => {
                        reader.error(
                            entry.line,
                            "часовой пояс zone задан дважды и по-разному",
                            "оставьте его в одном файле",
                        );
                    }
                    Ok(zone) => shared.zone = Some(Zone { name, zone }),
                }
            }
            _ => {}
        }
    }
}

fn read_section(
    reader: &mut Reader<'_>,
    entry: &Entry,
    shared: &mut Shared,
    tables: &Tables,
    classify: &mut Vec<ClassifyRule>,
    deadlines: &mut Vec<DeadlineRule>,
    route: &mut Option<(Option<Route>, String)>,
) {
    let Shared {
        sectors,
        lists,
        named,
        ids,
        vocabulary,
        ..
    } = shared;
    let mut terms = Terms {
        vocabulary,
        lists,
        named,
        tables,
        sectors,
    };
    match entry.key.as_str() {
        "classify" => {
            let nodes = reader.list(&entry.node, "classify");
            classify.reserve_exact(nodes.len());
            for node in nodes {
                classify.extend(rules::classify(reader, &mut terms, ids, node));
            }
        }
        "deadlines" => {
            for node in reader.list(&entry.node, "deadlines") {
                deadlines.extend(deadlines::deadline(reader, &mut terms, ids, node));
            }
        }
        "route" => {
            if let Some((_, first)) = route {
                let problem = format!("дерево маршрутов route уже есть: {first}");
                reader.error(entry.line, problem, "оставьте route в одном файле");
                return;
            }
            let place = format!("{}:{}", reader.file.display(), entry.line);
            *route = Some((rules::route(reader, &mut terms, ids, &entry.node), place));
        }
        _ => {}
    }
}

fn zone_or_default(sources: &mut [(Reader<'_>, Vec<&Entry>)], zone: Option<Zone>, has_deadlines: bool) -> Zone {
    if let Some(zone) = zone {
        return zone;
    }
    let named = sources
        .iter()
        .any(|(_, entries)| entries.iter().any(|entry| entry.key == "zone"));
    if has_deadlines && !named {
        for (reader, entries) in sources {
            if let Some(entry) = entries.iter().find(|entry| entry.key == "deadlines") {
                reader.error(
                    entry.line,
                    "есть сроки, но не задан часовой пояс",
                    "добавьте строку «zone: Asia/Yekaterinburg»",
                );
                break;
            }
        }
    }
    Zone {
        name: DEFAULT_ZONE.to_owned(),
        zone: TimeZone::UTC,
    }
}

fn no_route(files: &[&File]) -> RuleError {
    RuleError {
        file: files.first().map(|(path, _)| path.clone()).unwrap_or_default(),
        line: 0,
        quote: String::new(),
        problem: "ни в одном файле нет дерева маршрутов route".into(),
        cure: "добавьте раздел route с получателем по умолчанию: иначе сообщениям некуда идти".into(),
        environment: false,
    }
}
