//! The house has floors, and imports between its rooms (the top modules of `src/`) point down: who reads a room needs to
//! know only what lies below it, and nobody meets a circle.
//!
//! Read from the sources, so that nobody has to remember it. Tests inside the sources may look anywhere. (The other
//! crates of the workspace lie below the house: `cargo` itself lets none of them import it.)

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Every room, floor by floor from the ground up. A room may import rooms of lower floors; rooms of one floor do not know
/// one another. So the way of a message, connectors → intake → journal → delivery → publish, is a way of calls: delivery
/// reads the journal and hands over to the publisher, and neither knows who asks.
const FLOORS: &[&[&str]] = &[
    // What the file system and a terminal must not do to us.
    &["rights", "visible"],
    // What everybody needs.
    &["health", "personal", "private", "telemetry"],
    // The ends of the way and what else stands alone.
    &["journal", "listener", "privacy", "publish"],
    // Around the journal.
    &["deadlines", "duplicates", "intake"],
    &["attachments"],
    // The pipeline, and the doors for others.
    &["delivery", "http"],
    // Everything an operator can set; everything together; what people type.
    &["settings"],
    &["runtime"],
    &["cli"],
];

/// The same for the crate of the rules: words below territories below the engine below the language that is read into it.
/// `rule_set` is its face: who names something at the crate's root names the face.
const FLOORS_OF_RULES: &[&[&str]] = &[
    &["words", "clock"],
    &["territory"],
    &["engine"],
    &["language"],
    &["cases", "explain", "lint"],
    &[FACE_OF_RULES],
    &["studio"],
];
const FACE_OF_RULES: &str = "rule_set";

/// A crate with rooms.
struct House {
    /// Its sources, from the root of the repository.
    src: &'static str,
    floors: &'static [&'static [&'static str]],
    /// The room behind names at the root that are no rooms.
    face: Option<&'static str>,
}

const HOUSES: [House; 2] = [
    House {
        src: "src",
        floors: FLOORS,
        face: None,
    },
    House {
        src: "rules/src",
        floors: FLOORS_OF_RULES,
        face: Some(FACE_OF_RULES),
    },
];

/// Who knows the rules (`priem-rules`). What comes in, is kept and goes out does not depend on where messages go. Its
/// words are for everybody.
const KNOW_RULES: &[&str] = &["cli", "delivery", "runtime"];

impl House {
    /// The floor of a room.
    fn floor(&self, room: &str) -> Option<usize> {
        let floor = |room: &str| self.floors.iter().position(|rooms| rooms.contains(&room));
        floor(room).or_else(|| floor(self.face?))
    }

    fn root(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.src)
    }

    /// The rooms with their folder or only file. A room may have both.
    fn rooms(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(self.root())
            .expect("the sources")
            .map(|entry| entry.expect("an entry").path());
        let named = entries.filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)));
        named
            .filter(|(name, path)| !matches!(name.as_str(), "lib" | "main" | "tests") && !sources(path).is_empty())
            .collect()
    }

    /// What the files of a room name of the house, with the places where they do.
    fn imports(&self, room: &Path) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in sources(room) {
            let text = fs::read_to_string(&path).expect("a source file");
            let place = path.strip_prefix(self.root()).expect("below the root");
            // `a.rs` and `a/mod.rs` are one step below the crate's root.
            let depth = place.components().count() - usize::from(place.ends_with("mod.rs"));
            for name in rooms_named(without_tests(&text), depth) {
                found.entry(name).or_default().insert(place.display().to_string());
            }
        }
        found
    }
}

#[test]
fn every_room_has_its_floor() {
    for house in &HOUSES {
        let src = house.src;
        let rooms: BTreeSet<String> = house.rooms().into_iter().map(|(name, _)| name).collect();
        let listed: Vec<&str> = house.floors.iter().copied().flatten().copied().collect();
        for room in &rooms {
            assert!(
                listed.contains(&room.as_str()),
                "{src}/{room} has no floor: put it into the floors of tests/arrows.rs, above the rooms it imports and \
                 below those that import it, and tell of it in {src}/lib.rs"
            );
        }
        for room in &listed {
            assert!(
                rooms.contains(*room),
                "there is no {src}/{room}: take it out of the floors"
            );
        }
        assert_eq!(rooms.len(), listed.len(), "a room has two floors: {listed:?}");
    }
}

#[test]
fn nothing_points_back_up() {
    let mut broken = Vec::new();
    for house in &HOUSES {
        for (room, path) in house.rooms() {
            for (other, places) in house.imports(&path) {
                let is_below = match (house.floor(&room), house.floor(&other)) {
                    (Some(own), Some(floor)) => other == room || floor < own,
                    // A name that is no room could hide one.
                    _ => false,
                };
                if !is_below {
                    broken.push(format!("{}: {room} imports {other}: {places:?}", house.src));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "not from a lower floor; hand it over as an argument, or move what both need into a room below both: {broken:#?}"
    );
}

#[test]
fn the_rules_are_known_to_few() {
    for (room, path) in HOUSES[0].rooms() {
        for path in sources(&path) {
            let text = fs::read_to_string(&path).expect("a source file");
            let knows = without_tests(&text)
                .split("priem_rules::")
                .skip(1)
                .any(|rest| !rest.starts_with("words"));
            assert!(
                !knows || KNOW_RULES.contains(&room.as_str()),
                "{room} knows the rules: {path:?}"
            );
        }
    }
}

#[test]
fn imports_are_seen_in_every_form() {
    let code = "use crate::{\n    a::{self, b::c},\n    d,\n};\nuse crate::e::f;\nlet x = crate::g::h();\n// crate::i\n\
                use super::j;\nuse super::super::k::l;\nuse super::super::{m, n::o};\n";
    let seen: Vec<String> = rooms_named(code, 2).into_iter().collect();
    assert_eq!(seen, ["a", "d", "e", "g", "k", "m", "n"]);
    let delivery = HOUSES[0].rooms().into_iter().find(|(name, _)| name == "delivery");
    let (_, path) = delivery.expect("the room of the pipeline");
    assert!(HOUSES[0].imports(&path).contains_key("publish"), "the sources are read");
}

fn sources(room: &Path) -> Vec<PathBuf> {
    let (mut waiting, mut files) = (vec![room.to_owned()], Vec::new());
    while let Some(path) = waiting.pop() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "tests" {
            let entries = fs::read_dir(&path).expect("a folder");
            waiting.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}

/// Modules of tests stand at the end of a file.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(code, _)| code)
}

/// The first names of every path that starts at the crate's root, `depth` steps above this code, also inside braces.
fn rooms_named(code: &str, depth: usize) -> BTreeSet<String> {
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let code = code.replace(&"super::".repeat(depth), "crate::");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.extend(first_name(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut is_start = true;
                for (at, letter) in list.char_indices() {
                    match letter {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => is_start = true,
                        letter if is_start && depth == 0 && !letter.is_whitespace() => {
                            names.extend(first_name(&list[at..]));
                            is_start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn first_name(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}
