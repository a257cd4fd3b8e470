//! Reads `territories` of all files into one gazetteer.
//!
//! An entry with a name describes a territory; one without adds to a territory that any file describes, so that streets
//! of one's own can stand beside reference data that came with Priem.

use std::path::PathBuf;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use crate::engine::fields::{OKTMO_MAX, OKTMO_MIN};
use crate::engine::places::Territories;
use crate::language::keys;
use crate::language::reader::{Lined, Reader};
use crate::language::rules::{find, is_id};
use crate::territory::{Document, Gazetteer, HouseRange, Kind, Polygon, Selection, Street, Territory};
use crate::words::normal;
use priem_yaml::nearest;
use priem_yaml::{Entry, Node, Scalar, Value};

/// The files with the entries of their top level.
type Sources<'a, 'n> = [(Reader<'a>, Vec<&'n Entry>)];

/// Where an entry stands: number of the file, line.
type Place = (usize, u32);

/// Reads the territories; `None` when no file describes any.
pub(crate) fn all(sources: &mut Sources<'_, '_>, data: &[&(PathBuf, String)]) -> Option<Territories> {
    let mut polygons = Polygons::new(data);
    let mut read = Read::default();
    for additions in [false, true] {
        for (file, (reader, entries)) in sources.iter_mut().enumerate() {
            for entry in entries.iter().filter(|entry| entry.key == "territories") {
                for node in items(reader, &entry.node, additions) {
                    read.entry(reader, file, node, additions, &mut polygons);
                }
            }
        }
    }
    if read.territories.is_empty() {
        return None;
    }
    match Gazetteer::new(read.territories) {
        Ok(gazetteer) => Some(Territories::new(gazetteer)),
        Err(mistakes) => {
            for mistake in mistakes {
                let (file, line) = read.places[mistake.at];
                sources[file].0.error(line, mistake.problem, mistake.cure);
            }
            None
        }
    }
}

/// Items of the section. What is no list is reported once, not in the second pass too.
fn items<'n>(reader: &mut Reader<'_>, node: &'n Node, is_second_pass: bool) -> &'n [Node] {
    match &node.value {
        Value::List(nodes) => nodes,
        _ if is_second_pass => &[],
        _ => reader.list(node, "territories"),
    }
}

#[derive(Default)]
struct Read {
    territories: Vec<Territory>,
    /// Of each territory.
    places: Vec<Place>,
    /// Numbers of the territories by the compared spelling of their ids.
    numbers: HashMap<String, usize>,
}

impl Read {
    fn entry(
        &mut self,
        reader: &mut Reader<'_>,
        file: usize,
        node: &Node,
        additions: bool,
        polygons: &mut Polygons<'_>,
    ) {
        let is_addition =
            matches!(&node.value, Value::Map(entries) if !entries.iter().any(|entry| entry.key == "name"));
        if is_addition != additions {
            return;
        }
        let entries = reader.known(node, "территория", keys::TERRITORY);
        let Some(id) = read_id(reader, node, &entries) else {
            return;
        };
        let number = self.numbers.get(&normal::name(&id)).copied();
        match (number, additions) {
            (None, false) => {
                let Some(mut territory) = described(reader, node, &entries, id) else {
                    return;
                };
                add(reader, &entries, polygons, &mut territory);
                self.numbers.insert(normal::name(&territory.id), self.territories.len());
                self.territories.push(territory);
                self.places.push((file, node.line));
            }
            (Some(_), false) => reader.error(
                node.line,
                format!("территория «{id}» уже описана"),
                "дайте другой код; чтобы дополнить её, уберите name, kind и inside",
            ),
            (Some(number), true) => {
                for entry in entries.iter().filter(|entry| matches!(&*entry.key, "kind" | "inside")) {
                    reader.error(
                        entry.line,
                        format!(
                            "запись дополняет территорию «{id}»: «{}» задаёт её основное описание",
                            entry.key
                        ),
                        "уберите эту строку",
                    );
                }
                add(reader, &entries, polygons, &mut self.territories[number]);
            }
            (None, true) => {
                let known = self.territories.iter().map(|territory| territory.id.as_str());
                let cure = match nearest(&id, known) {
                    Some(near) => format!("возможно, вы имели в виду «{near}»; новой территории нужны name и kind"),
                    None => "добавьте name и kind, если это новая территория".to_owned(),
                };
                reader.error(
                    node.line,
                    format!("территории «{id}» нет, а у записи нет названия name"),
                    cure,
                );
            }
        }
    }
}

fn read_id(reader: &mut Reader<'_>, node: &Node, entries: &[&Entry]) -> Option<String> {
    let Some(entry) = find(entries, "id") else {
        reader.error(
            node.line,
            "у территории нет кода id",
            "добавьте строку «id: …» латинскими буквами",
        );
        return None;
    };
    let id = reader.text(&entry.node, "id")?;
    is_id(reader, entry.line, &id).then_some(id)
}

fn described(reader: &mut Reader<'_>, node: &Node, entries: &[&Entry], id: String) -> Option<Territory> {
    let name = reader.text(&find(entries, "name")?.node, "name")?;
    let Some(kind) = find(entries, "kind") else {
        reader.error(
            node.line,
            format!("у территории «{id}» не сказано, что это (kind)"),
            "добавьте kind: region, municipality, district или settlement",
        );
        return None;
    };
    let written = reader.text(&kind.node, "kind")?;
    let words = Kind::WORDS.map(|(word, _)| word);
    if !reader.word(&written, kind.line, "kind", &words) {
        return None;
    }
    let (_, kind) = Kind::WORDS.into_iter().find(|(word, _)| *word == written)?;
    Some(Territory {
        id,
        name,
        kind,
        inside: find(entries, "inside").and_then(|entry| reader.text(&entry.node, "inside")),
        oktmo: Vec::new(),
        fias: Vec::new(),
        names: Vec::new(),
        text: Vec::new(),
        streets: Vec::new(),
        polygons: Vec::new(),
        subchannels: Vec::new(),
        connectors: Vec::new(),
        organisations: Vec::new(),
    })
}

/// Takes everything by which a territory is found.
fn add(reader: &mut Reader<'_>, entries: &[&Entry], polygons: &mut Polygons<'_>, territory: &mut Territory) {
    for entry in entries {
        let (node, key) = (&entry.node, entry.key.as_ref());
        match key {
            "streets" => {
                for street in reader.list(node, key) {
                    territory.streets.extend(read_street(reader, street));
                }
            }
            "polygons" => territory.polygons.extend(polygons.read(reader, node)),
            "oktmo" => territory.oktmo.extend(read_codes(reader, node)),
            "fias" => territory
                .fias
                .extend(checked(reader, node, key, is_uuid, "код вида 8-4-4-4-12 знаков")),
            "names" => territory.names.extend(checked(reader, node, key, has_word, "название")),
            "text" => territory.text.extend(checked(
                reader,
                node,
                key,
                Gazetteer::is_name,
                "название, а не только слово «улица»",
            )),
            "subchannels" => territory.subchannels.extend(plain(reader, node, key)),
            "connectors" => territory.connectors.extend(plain(reader, node, key)),
            "organisations" => territory
                .organisations
                .extend(checked(reader, node, key, has_word, "название")),
            _ => {}
        }
    }
}

fn plain(reader: &mut Reader<'_>, node: &Node, key: &str) -> Vec<String> {
    reader.texts(node, key).into_iter().map(|(text, _)| text).collect()
}

fn checked(reader: &mut Reader<'_>, node: &Node, key: &str, fits: fn(&str) -> bool, wanted: &str) -> Vec<String> {
    let texts: Vec<Lined> = reader.texts(node, key);
    let mut kept = Vec::with_capacity(texts.len());
    for (text, line) in texts {
        if fits(&text) {
            kept.push(text);
        } else {
            reader.error(line, format!("{key}: «{text}» не годится"), format!("нужно: {wanted}"));
        }
    }
    kept
}

fn has_word(text: &str) -> bool {
    !normal::name(text).is_empty()
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn read_codes(reader: &mut Reader<'_>, node: &Node) -> Vec<String> {
    let is_number = |node: &Node| node.scalar().and_then(Scalar::integer).is_some();
    let bare = match &node.value {
        Value::List(nodes) => nodes.iter().find(|node| is_number(node)),
        _ => Some(node).filter(|node| is_number(node)),
    };
    if let Some(bare) = bare {
        reader.error(
            bare.line,
            "код ОКТМО без кавычек",
            "возьмите код в кавычки, например \"57701\"",
        );
        return Vec::new();
    }
    let is_code =
        |text: &str| (OKTMO_MIN..=OKTMO_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    checked(reader, node, "oktmo", is_code, "начало кода ОКТМО, от 2 до 11 цифр")
}

fn read_street(reader: &mut Reader<'_>, node: &Node) -> Option<Street> {
    let mut houses = Vec::new();
    let name = if let Value::Map(_) = node.value {
        let entries = reader.known(node, "улица", keys::STREET);
        if let Some(entry) = find(&entries, "houses") {
            for (written, line) in reader.texts(&entry.node, "houses") {
                match HouseRange::parse(&written) {
                    Some(range) => houses.push(range),
                    None => reader.error(
                        line,
                        format!("houses: непонятные дома «{written}»"),
                        "примеры: \"96\", \"1-57\", \"1-57 нечётные\", \"2-60 чётные\"",
                    ),
                }
            }
        }
        let Some(entry) = find(&entries, "name") else {
            reader.error(node.line, "у улицы нет названия name", "добавьте «name: ул. Ленина»");
            return None;
        };
        reader.text(&entry.node, "name")?
    } else {
        reader.text(node, "улица")?
    };
    if !Gazetteer::is_name(&name) {
        reader.error(
            node.line,
            format!("«{name}» — не название улицы"),
            "напишите название: «ул. Ленина», «Комсомольский проспект»",
        );
        return None;
    }
    Some(Street { name, houses })
}

/// The files with polygons, each read once.
struct Polygons<'a> {
    files: HashMap<&'a str, &'a str>,
    read: HashMap<String, Arc<Result<Document, String>>>,
    /// Unreadable files that were reported.
    reported: HashSet<String>,
}

impl<'a> Polygons<'a> {
    fn new(data: &[&'a (PathBuf, String)]) -> Self {
        let files = data
            .iter()
            .filter_map(|(path, text)| Some((path.file_name()?.to_str()?, text.as_str())));
        Self {
            files: files.collect(),
            read: HashMap::default(),
            reported: HashSet::default(),
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>, node: &Node) -> Vec<Polygon> {
        let Some((file, selection)) = read_source(reader, node) else {
            return Vec::new();
        };
        let Some(text) = self.files.get(file.as_str()) else {
            let cure = match nearest(&file, self.files.keys().copied()) {
                Some(near) => format!("возможно, вы имели в виду «{near}»"),
                None => "положите файл с расширением .geojson в папку правил".to_owned(),
            };
            reader.error(node.line, format!("файла «{file}» с границами нет"), cure);
            return Vec::new();
        };
        let document = self
            .read
            .entry(file.clone())
            .or_insert_with(|| Arc::new(Document::parse(text)));
        let polygons = match document.as_ref() {
            Ok(document) => document.polygons(selection.as_ref()),
            Err(problem) if self.reported.insert(file.clone()) => Err(problem.clone()),
            Err(_) => return Vec::new(),
        };
        polygons.unwrap_or_else(|problem| {
            reader.error(
                node.line,
                format!("границы из «{file}»: {problem}"),
                "нужен GeoJSON (RFC 7946) с фигурами Polygon или MultiPolygon, градусы WGS 84",
            );
            Vec::new()
        })
    }
}

/// The file, and which of its features.
fn read_source(reader: &mut Reader<'_>, node: &Node) -> Option<(String, Option<Selection>)> {
    if !matches!(node.value, Value::Map(_)) {
        return Some((reader.text(node, "polygons")?, None));
    }
    let entries = reader.known(node, "polygons", keys::POLYGONS);
    let Some(file) = find(&entries, "file") else {
        reader.error(
            node.line,
            "polygons: не назван файл",
            "добавьте «file: границы.geojson»",
        );
        return None;
    };
    let file = reader.text(&file.node, "file")?;
    let Some(wanted) = find(&entries, "where") else {
        return Some((file, None));
    };
    let [property] = reader.map(&wanted.node, "where") else {
        reader.error(
            wanted.line,
            "where: нужно одно свойство",
            "пример: «where: { название: Северный }»",
        );
        return None;
    };
    let value = reader.text(&property.node, "where")?;
    Some((
        file,
        Some(Selection {
            property: property.key.to_string(),
            value,
        }),
    ))
}
