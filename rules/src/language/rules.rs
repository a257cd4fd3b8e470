//! Reads the entries of `classify` and the tree of `route`.

use std::collections::HashMap;

use priem_message::Recipient;

use crate::engine::index::Index;
use crate::engine::model::{ClassifyRule, Copy, Effects, Handling, Head, Origin, Route, Target, add_new};
use crate::language::condition::{self, Step, Terms, is_sector, is_territory};
use crate::language::keys;
use crate::language::reader::Reader;
use crate::language::tables;
use priem_yaml::{Entry, Node};

/// Longest id.
const LONGEST_ID: usize = 80;
/// Deepest route tree.
const DEEPEST_TREE: usize = 16;

/// Where every id was first used.
pub(crate) type Ids = HashMap<String, Origin>;

/// The entry with a key.
pub(crate) fn find<'n>(entries: &[&'n Entry], key: &str) -> Option<&'n Entry> {
    entries.iter().find(|entry| entry.key == key).copied()
}

/// `id`, `name` and `when` of anything.
pub(crate) fn read_head(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    ids: &mut Ids,
    node: &Node,
    entries: &[&Entry],
    step: Step,
) -> Option<Head> {
    let when = find(entries, "when").map(|entry| condition::read(reader, terms, &entry.node, step));
    let Some(entry) = find(entries, "id") else {
        reader.error(
            node.line,
            "у записи нет кода id",
            "добавьте строку «id: …» латинскими буквами",
        );
        return None;
    };
    let id = reader.text(&entry.node, "id")?;
    if !is_id(reader, entry.line, &id) {
        return None;
    }
    let origin = reader.origin(entry.line);
    if let Some(first) = ids.get(&id) {
        let place = format!("{}:{}", first.file.display(), first.line);
        reader.error(
            entry.line,
            format!("код «{id}» уже занят: {place}"),
            "дайте записи другой код",
        );
        return None;
    }
    ids.insert(id.clone(), origin.clone());
    let Some(entry) = find(entries, "name") else {
        reader.error(
            node.line,
            format!("у записи «{id}» нет названия name"),
            "добавьте строку «name: …» по-русски",
        );
        return None;
    };
    let name = reader.text(&entry.node, "name")?;
    match when {
        // The condition was given but could not be read: its errors are noted.
        Some(None) => None,
        when => Some(Head {
            id,
            name,
            origin,
            when: when.flatten(),
        }),
    }
}

/// Whether a code may be an id; reports it when not.
pub(crate) fn is_id(reader: &mut Reader<'_>, line: u32, id: &str) -> bool {
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ['-', '.', '_'].contains(&letter);
    if id.len() <= LONGEST_ID && id.chars().all(plain) && id.starts_with(|letter: char| letter.is_ascii_alphanumeric())
    {
        return true;
    }
    reader.error(
        line,
        format!("код «{id}» не годится"),
        format!("латинские строчные буквы, цифры, «-», «.», «_»; не длиннее {LONGEST_ID}"),
    );
    false
}

/// An entry of `classify`.
pub(crate) fn classify(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    ids: &mut Ids,
    node: &Node,
) -> Option<ClassifyRule> {
    let entries = reader.known(node, "запись classify", keys::CLASSIFY);
    let set = find(&entries, "set");
    if set.is_none() && !entries.is_empty() {
        reader.error(
            node.line,
            "у записи classify нет действий set",
            "добавьте «set: { sector: … }» или другое действие",
        );
    }
    let effects = set.map(|entry| read_effects(reader, terms, &entry.node));
    let head = read_head(reader, terms, ids, node, &entries, Step::Classify)?;
    Some(ClassifyRule { head, set: effects? })
}

fn read_effects(reader: &mut Reader<'_>, terms: &Terms<'_>, node: &Node) -> Effects {
    let mut set = Effects::default();
    let entries = reader.known(node, "set", keys::SET);
    if entries.is_empty() {
        reader.error(node.line, "set ничего не задаёт", "добавьте действие, например sector");
    }
    for entry in entries {
        let value = &entry.node;
        match entry.key.as_str() {
            "sector" => {
                set.sector = reader.text(value, "sector");
                if let Some(sector) = &set.sector {
                    is_sector(reader, terms.sectors, sector, entry.line);
                }
            }
            "topic" => set.topic = read_topic(reader, value),
            "territory" => {
                set.territory = reader.text(value, "territory");
                if let Some(territory) = &set.territory {
                    is_territory(reader, terms.vocabulary, territory, entry.line);
                }
            }
            "tags" => set.tags = plain_texts(reader, value, "tags"),
            "flags" => set.flags = plain_texts(reader, value, "flags"),
            "priority" => set.priority = read_priority(reader, value),
            "review" => set.review = reader.yes_no(value, "review"),
            "to" | "queue" | "also" | "deadline_policy" | "personal_data" => {
                read_handling(reader, entry, set.handling.get_or_insert_default());
            }
            "stop" => set.stop = reader.yes_no(value, "stop").unwrap_or_default(),
            _ => set.hint = reader.text(value, "hint"),
        }
    }
    set
}

fn read_handling(reader: &mut Reader<'_>, entry: &Entry, handling: &mut Handling) {
    let value = &entry.node;
    match entry.key.as_str() {
        "to" => handling.recipient = read_recipient(reader, value),
        "queue" => handling.queue = read_queue(reader, value),
        "deadline_policy" => handling.deadline_policy = reader.text(value, "deadline_policy"),
        "personal_data" => handling.personal_data = reader.text(value, "personal_data"),
        _ => {
            for copy in reader.list(value, "also") {
                let copy = read_copy(reader, copy);
                add_new(&mut handling.also, copy);
            }
        }
    }
}

/// Levels of a topic: a list, or a text parted by ` / `.
pub(crate) fn read_topic(reader: &mut Reader<'_>, node: &Node) -> Vec<String> {
    let texts = plain_texts(reader, node, "topic");
    match texts.as_slice() {
        [one] => one.split(" / ").map(|level| level.trim().to_owned()).collect(),
        _ => texts,
    }
}

/// Texts without their lines.
pub(crate) fn plain_texts(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<String> {
    reader.texts(node, what).into_iter().map(|(text, _)| text).collect()
}

fn read_priority(reader: &mut Reader<'_>, node: &Node) -> Option<u8> {
    reader
        .integer(node, "priority", 0, 9)
        .and_then(|value| u8::try_from(value).ok())
}

fn read_recipient(reader: &mut Reader<'_>, node: &Node) -> Option<Recipient> {
    let entries = reader.known(node, "to", keys::TO);
    let organisation = find(&entries, "organisation");
    if organisation.is_none() {
        reader.error(
            node.line,
            "у получателя нет организации",
            "напишите «to: { organisation: …, role: … }»",
        );
    }
    Some(Recipient {
        organisation: reader.text(&organisation?.node, "organisation")?,
        role: find(&entries, "role").and_then(|entry| reader.text(&entry.node, "role")),
    })
}

/// A routing key goes to the broker as it is, so it is checked here.
fn read_queue(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let queue = reader.text(node, "queue")?;
    if !is_queue(&queue) {
        reader.error(
            node.line,
            format!("ключ маршрутизации «{queue}» не годится"),
            "без пробелов, «*» и «#», до 255 байт; например mcu.roads",
        );
        return None;
    }
    Some(queue)
}

/// Whether the broker takes it as a routing key.
pub(crate) fn is_queue(queue: &str) -> bool {
    let is_wrong = |letter: char| letter.is_whitespace() || letter.is_control() || "*#".contains(letter);
    queue.len() <= 255 && !queue.chars().any(is_wrong)
}

/// The whole tree from its root.
pub(crate) fn route(reader: &mut Reader<'_>, terms: &mut Terms<'_>, ids: &mut Ids, node: &Node) -> Option<Route> {
    read_route(reader, terms, ids, node, None, 0)
}

fn read_route(
    reader: &mut Reader<'_>,
    terms: &mut Terms<'_>,
    ids: &mut Ids,
    node: &Node,
    parent: Option<&Target>,
    depth: usize,
) -> Option<Route> {
    if depth > DEEPEST_TREE {
        reader.error(
            node.line,
            "маршруты вложены слишком глубоко",
            format!("не глубже {DEEPEST_TREE} уровней"),
        );
        return None;
    }
    let what = if parent.is_some() {
        "маршрут"
    } else {
        "корневой маршрут"
    };
    let entries = reader.known(node, what, keys::ROUTE);
    if let Some(entry) = entries
        .iter()
        .find(|entry| matches!(entry.key.as_str(), "table" | "sheet"))
    {
        reader.error(
            entry.line,
            format!("«{}» бывает только у записи таблицы внутри routes", entry.key),
            "внутри routes напишите «- { id: …, name: …, table: файл.xlsx }»",
        );
    }
    let head = read_head(reader, terms, ids, node, &entries, Step::Later);
    check_when(reader, node, &entries, parent.is_some());
    let target = read_target(reader, &entries, parent);
    if parent.is_none() {
        check_root(reader, node, &target);
    }
    let mut children = Vec::new();
    if let Some(entry) = find(&entries, "routes") {
        for child in reader.list(&entry.node, "routes") {
            if tables::is_table(child) {
                children.extend(tables::routes(reader, terms, ids, child, &target));
            } else {
                children.extend(read_route(reader, terms, ids, child, Some(&target), depth + 1));
            }
        }
    }
    let index = Index::build(children.iter().map(|child: &Route| child.head.when.as_ref()));
    Some(Route {
        head: head?,
        target,
        children,
        index,
        table: None,
    })
}

fn check_when(reader: &mut Reader<'_>, node: &Node, entries: &[&Entry], has_parent: bool) {
    match (find(entries, "when"), has_parent) {
        (Some(entry), false) => reader.error(
            entry.line,
            "у корневого маршрута не бывает условия: он принимает всё, что не подошло другим",
            "уберите when, а условие перенесите во вложенный маршрут routes",
        ),
        (None, true) if !entries.is_empty() => reader.error(
            node.line,
            "у вложенного маршрута нет условия when: он закрыл бы все маршруты после себя",
            "добавьте when, а получателя по умолчанию задайте у вышестоящего маршрута",
        ),
        _ => {}
    }
}

fn check_root(reader: &mut Reader<'_>, node: &Node, target: &Target) {
    if target.recipient.organisation.is_empty() {
        reader.error(
            node.line,
            "у корневого маршрута нет получателя to",
            "добавьте «to: { organisation: …, role: координатор }»: иначе часть сообщений останется без получателя",
        );
    }
    if target.queue.is_empty() {
        reader.error(
            node.line,
            "у корневого маршрута нет ключа queue",
            "добавьте строку, например «queue: mcu.coordinator»",
        );
    }
}

/// Settings of a node over those of its parents.
pub(crate) fn read_target(reader: &mut Reader<'_>, entries: &[&Entry], parent: Option<&Target>) -> Target {
    let mut target = parent.cloned().unwrap_or_default();
    for entry in entries {
        let value = &entry.node;
        match entry.key.as_str() {
            "to" => target.recipient = read_recipient(reader, value).unwrap_or_default(),
            "queue" => target.queue = read_queue(reader, value).unwrap_or_default(),
            "priority" => target.priority = read_priority(reader, value),
            "review" => target.review = reader.yes_no(value, "review"),
            "deadline_policy" => target.deadline_policy = reader.text(value, "deadline_policy"),
            "personal_data" => target.personal_data = reader.text(value, "personal_data"),
            "tags" => add_new(&mut target.tags, plain_texts(reader, value, "tags")),
            "also" => {
                for copy in reader.list(value, "also") {
                    let copy = read_copy(reader, copy);
                    add_new(&mut target.also, copy);
                }
            }
            _ => {}
        }
    }
    target
}

fn read_copy(reader: &mut Reader<'_>, node: &Node) -> Option<Copy> {
    let entries = reader.known(node, "копия also", keys::ALSO);
    let (to, queue) = (find(&entries, "to"), find(&entries, "queue"));
    if to.is_none() || queue.is_none() {
        reader.error(
            node.line,
            "у копии also должны быть to и queue",
            "«- { to: { organisation: … }, queue: … }»",
        );
    }
    Some(Copy {
        recipient: read_recipient(reader, &to?.node)?,
        queue: read_queue(reader, &queue?.node)?,
    })
}
