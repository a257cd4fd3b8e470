//! What rules call by name, so that nothing is written twice: lists of words (`words`, «$имя») and conditions
//! (`conditions`, «use: имя»). Both may refer to others of their kind, in any file and order, but never in a circle.

use std::collections::{HashMap, HashSet};

use crate::engine::condition::Condition;
use crate::engine::vocabulary::Vocabulary;
use crate::language::condition::{self, Step, Terms};
use crate::language::reader::{Lined, Reader};
use crate::language::tables::Tables;
use priem_yaml::nearest;
use priem_yaml::{Entry, Node, Value};

/// Everything with a name, as written, and the file it stands in.
#[derive(Default)]
pub(crate) struct Declared<'n> {
    lists: HashMap<String, (usize, u32, Vec<Lined>)>,
    conditions: HashMap<String, (usize, &'n Entry)>,
    /// Names of conditions in the order of the files, so that errors come in that order too.
    order: Vec<String>,
}

impl<'n> Declared<'n> {
    /// Takes what file number `file` declares.
    pub(crate) fn collect(&mut self, file: usize, reader: &mut Reader<'_>, entries: &[&'n Entry]) {
        for entry in entries {
            match entry.key.as_str() {
                "words" => self.collect_lists(file, reader, &entry.node),
                "conditions" => self.collect_conditions(file, reader, &entry.node),
                _ => {}
            }
        }
    }

    fn collect_lists(&mut self, file: usize, reader: &mut Reader<'_>, node: &Node) {
        for list in reader.map(node, "words") {
            let words = reader.texts(&list.node, &format!("список «{}»", list.key));
            let earlier = self.lists.insert(list.key.to_string(), (file, list.line, words));
            if earlier.is_some() {
                reader.error(
                    list.line,
                    format!("список слов «{}» описан дважды", list.key),
                    "переименуйте один из них",
                );
            }
        }
    }

    fn collect_conditions(&mut self, file: usize, reader: &mut Reader<'_>, node: &'n Node) {
        for entry in reader.map(node, "conditions") {
            let name = entry.key.to_string();
            if self.conditions.insert(name.clone(), (file, entry)).is_some() {
                reader.error(
                    entry.line,
                    format!("условие «{name}» описано дважды"),
                    "переименуйте одно из них",
                );
            } else {
                self.order.push(name);
            }
        }
    }
}

/// Lists of words with the lists they name put in.
pub(crate) fn lists(readers: &mut [&mut Reader<'_>], declared: &Declared<'_>) -> HashMap<String, Vec<Lined>> {
    let mut names: Vec<&String> = declared.lists.keys().collect();
    names.sort_by_key(|name| (declared.lists[*name].0, declared.lists[*name].1, *name));
    let mut done = HashMap::new();
    for name in names {
        expand(readers, declared, name, &mut Vec::new(), &mut done);
    }
    done
}

fn expand<'d>(
    readers: &mut [&mut Reader<'_>],
    declared: &'d Declared<'_>,
    name: &'d str,
    way: &mut Vec<&'d str>,
    done: &mut HashMap<String, Vec<Lined>>,
) {
    if done.contains_key(name) {
        return;
    }
    let (file, _, words) = &declared.lists[name];
    way.push(name);
    let mut whole: Vec<Lined> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for (word, line) in words {
        let Some(other) = word.strip_prefix('$') else {
            if seen.insert(word) {
                whole.push((word.clone(), *line));
            }
            continue;
        };
        let Some((other, _)) = declared.lists.get_key_value(other) else {
            let cure = match nearest(other, declared.lists.keys().map(String::as_str)) {
                Some(near) => format!("возможно, вы имели в виду «${near}»"),
                None => "опишите список в разделе words".to_owned(),
            };
            readers[*file].error(*line, format!("нет списка слов «{other}»"), cure);
            continue;
        };
        if let Some(at) = way.iter().position(|passed| *passed == other.as_str()) {
            readers[*file].error(
                *line,
                circle("список", other, &way[at..]),
                "разорвите круг: уберите одну ссылку",
            );
            continue;
        }
        expand(readers, declared, other, way, done);
        whole.extend(done.get(other).into_iter().flatten().cloned());
    }
    way.pop();
    done.insert(name.to_owned(), whole);
}

/// Conditions with the conditions they name put in.
pub(crate) fn conditions(
    readers: &mut [&mut Reader<'_>],
    declared: &Declared<'_>,
    vocabulary: &mut Vocabulary,
    lists: &HashMap<String, Vec<Lined>>,
    sectors: &[(String, String)],
) -> HashMap<String, Condition> {
    let mut sorted = Vec::new();
    for name in &declared.order {
        sort(readers, declared, name, &mut Vec::new(), &mut sorted);
    }
    let mut named = HashMap::new();
    // Tables stand in routes only.
    let tables = Tables::default();
    for name in sorted {
        let (file, entry) = declared.conditions[name];
        let mut terms = Terms {
            vocabulary,
            lists,
            named: &named,
            tables: &tables,
            sectors,
        };
        let condition = condition::read(readers[file], &mut terms, &entry.node, Step::Later);
        // One that can't be read is an error already; those who name it need not be told again.
        named.insert(name.to_owned(), condition.unwrap_or(Condition::Any(Vec::new())));
    }
    named
}

/// Puts a condition behind all it names.
fn sort<'d>(
    readers: &mut [&mut Reader<'_>],
    declared: &'d Declared<'_>,
    name: &'d str,
    way: &mut Vec<&'d str>,
    sorted: &mut Vec<&'d str>,
) {
    if sorted.contains(&name) {
        return;
    }
    let (file, entry) = &declared.conditions[name];
    way.push(name);
    let mut uses = Vec::new();
    find_uses(&entry.node, &mut uses);
    for (other, line) in uses {
        // An unknown name is told by the reader of the condition.
        let Some((other, _)) = declared.conditions.get_key_value(other) else {
            continue;
        };
        match way.iter().position(|passed| *passed == other.as_str()) {
            Some(at) => {
                let problem = circle("условие", other, &way[at..]);
                readers[*file].error(line, problem, "разорвите круг: уберите одну ссылку");
            }
            None => sort(readers, declared, other, way, sorted),
        }
    }
    way.pop();
    sorted.push(name);
}

/// Names after `use`, anywhere inside a condition.
fn find_uses<'n>(node: &'n Node, uses: &mut Vec<(&'n str, u32)>) {
    match &node.value {
        Value::List(nodes) => nodes.iter().for_each(|node| find_uses(node, uses)),
        Value::Map(entries) => {
            for entry in entries {
                if entry.key != "use" {
                    find_uses(&entry.node, uses);
                    continue;
                }
                let names = match &entry.node.value {
                    Value::List(nodes) => nodes.as_slice(),
                    _ => std::slice::from_ref(&entry.node),
                };
                let named = |node: &'n Node| Some((node.scalar()?.text().trim(), node.line));
                uses.extend(names.iter().filter_map(named));
            }
        }
        _ => {}
    }
}

fn circle(what: &str, name: &str, way: &[&str]) -> String {
    format!("{what} «{name}» ссылается на себя: {} → {name}", way.join(" → "))
}
