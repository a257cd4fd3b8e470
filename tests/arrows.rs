//! The way of a message is walkable in one direction: no room of the house imports a later one.
//!
//! Read from the sources, so that nobody has to remember it. Tests inside the sources may look anywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each room must never import. Two steps forward are calls and lawful: intake stores into the journal, delivery
/// hands over to the publisher. (Connectors are a crate that does not know this one.)
const FORBIDDEN: &[(&str, &[&str])] = &[
    // The way of a message: connectors → intake → journal → delivery → publish.
    ("intake", &["delivery", "publish", "runtime", "cli"]),
    (
        "journal",
        &[
            "intake",
            "delivery",
            "publish",
            "runtime",
            "cli",
            "http",
            "routing",
            "attachments",
        ],
    ),
    ("delivery", &["runtime", "cli", "http"]),
    (
        "publish",
        &["intake", "journal", "delivery", "runtime", "cli", "http", "routing"],
    ),
    // What delivery asks on the way knows neither the corridor nor what comes after it.
    ("attachments", &["delivery", "publish", "runtime", "cli"]),
    (
        "deadlines",
        &["intake", "delivery", "publish", "runtime", "cli", "http"],
    ),
    (
        "duplicates",
        &["intake", "delivery", "publish", "runtime", "cli", "http", "routing"],
    ),
    (
        "privacy",
        &[
            "intake", "journal", "delivery", "publish", "runtime", "cli", "http", "routing",
        ],
    ),
    (
        "telemetry",
        &["intake", "journal", "delivery", "runtime", "cli", "http"],
    ),
    ("http", &["intake", "journal", "delivery", "publish", "runtime", "cli"]),
    ("runtime", &["cli"]),
];

/// Which rooms a room names, with the places where it does.
fn imports(room: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(room) {
        let text = fs::read_to_string(&path).expect("a source file");
        for name in rooms_named(without_tests(&text)) {
            found.entry(name).or_default().insert(path.display().to_string());
        }
    }
    found
}

fn sources(room: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = root.join(format!("{room}.rs"));
    let (mut folders, mut files) = (vec![root.join(room)], Vec::new());
    if file.exists() {
        files.push(file);
    }
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "there is no room {room}");
    files
}

/// Modules of tests stand at the end of a file.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(code, _)| code)
}

/// The first names of every path that starts at the crate's root, also inside braces.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
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

#[test]
fn nothing_points_back_up() {
    let mut broken = Vec::new();
    for (room, forbidden) in FORBIDDEN {
        let imports = imports(room);
        for other in *forbidden {
            if let Some(places) = imports.get(*other) {
                broken.push(format!("{room} imports {other}: {places:?}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn imports_are_seen_in_every_form() {
    let code =
        "use crate::{\n    a::{self, b::c},\n    d,\n};\nuse crate::e::f;\nlet x = crate::g::h();\n// crate::i\n";
    let seen: Vec<String> = rooms_named(code).into_iter().collect();
    assert_eq!(seen, ["a", "d", "e", "g"]);
    assert!(imports("delivery").contains_key("publish"), "the sources are read");
}
