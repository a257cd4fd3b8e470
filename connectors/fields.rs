//! The tables «Куда попадают слова» of the connectors' READMEs against the schemas that the platforms publish: every field
//! that holds a text is named there, with the place where it goes.
//!
//! The schemas belong to others and are no part of this repository: `PRIEM_CHANNEL_SCHEMAS` names the folder with them.
//! Where there are none the test says so and passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The heading of the table.
const HEADING: &str = "## Куда попадают слова";

/// Fields that hold a text, by name, with the types they are in.
type Fields = BTreeMap<String, BTreeSet<String>>;

fn schemas(platform: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("PRIEM_CHANNEL_SCHEMAS") else {
        eprintln!("PRIEM_CHANNEL_SCHEMAS is not set: the table of {platform} is NOT compared");
        return None;
    };
    let folder = PathBuf::from(folder).join(platform);
    assert!(folder.is_dir(), "{}: no schemas of {platform}", folder.display());
    Some(folder)
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names in the first column of the table; each must have a place in the second.
fn table(platform: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(platform).join("README.md");
    let text = fs::read_to_string(&path).expect("a README");
    let section = text.split(HEADING).nth(1).expect("the table is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut names = BTreeSet::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let mut columns = line.trim_matches('|').split('|').map(str::trim);
        let (fields, place) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        assert!(!place.is_empty(), "{platform}: where does it go? {line}");
        names.extend(fields.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    names
}

fn hold(platform: &str, fields: &Fields) {
    assert!(fields.len() > 20, "{platform}: only {} fields were found", fields.len());
    let told = table(platform);
    let missing: Vec<String> = fields
        .iter()
        .filter(|(name, types)| {
            let by_type = |of: &String| told.contains(&format!("{of}.{name}"));
            !told.contains(*name) && !types.iter().all(by_type)
        })
        .map(|(name, types)| format!("{name} of {}", types.iter().cloned().collect::<Vec<_>>().join(", ")))
        .collect();
    assert!(
        missing.is_empty(),
        "connectors/{platform}/README.md, «Куда попадают слова», does not say where these go:\n{}",
        missing.join("\n")
    );
}

#[test]
fn telegram_says_where_every_text_goes() {
    let Some(folder) = schemas("telegram") else { return };
    let file = fs::read_dir(folder)
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let file = file
        .into_iter()
        .find(|path| path.extension().is_some_and(|ending| ending == "json"));
    let schema = json(&file.expect("a schema"));
    let (mut fields, mut seen, mut waiting) = (Fields::new(), BTreeSet::new(), vec!["Update".to_owned()]);
    while let Some(name) = waiting.pop() {
        let Some(of) = schema["types"].get(&name) else { continue };
        if !seen.insert(name.clone()) {
            continue;
        }
        let subtypes = of["subtypes"].as_array().into_iter().flatten();
        waiting.extend(subtypes.filter_map(Value::as_str).map(str::to_owned));
        for field in of["fields"].as_array().into_iter().flatten() {
            for kind in field["types"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                let kind = kind.trim_start_matches("Array of ");
                let own = field["name"].as_str().expect("a name").to_owned();
                match kind {
                    "String" => {
                        fields.entry(own).or_default().insert(name.clone());
                    }
                    other => waiting.push(other.to_owned()),
                }
            }
        }
    }
    hold("telegram", &fields);
}

#[test]
fn max_says_where_every_text_goes() {
    let Some(folder) = schemas("max") else { return };
    let files = fs::read_dir(folder)
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let file = files
        .into_iter()
        .find(|path| path.extension().is_some_and(|ending| ending == "json"));
    let schema = json(&file.expect("a schema"));
    let all = schema["components"]["schemas"].as_object().expect("types");
    // What the bot sends is not what it hears.
    let is_sent = |name: &str| {
        ["Request", "Patch", "New", "Upload", "Result", "Answer"]
            .iter()
            .any(|part| name.contains(part))
    };
    let mut fields = Fields::new();
    for (name, of) in all.iter().filter(|(name, _)| !is_sent(name)) {
        properties(of, &mut |own, property| {
            if is_text(property) {
                fields.entry(own.to_owned()).or_default().insert(name.clone());
            }
        });
    }
    hold("max", &fields);
}

#[test]
fn vk_says_where_every_text_goes() {
    let Some(folder) = schemas("vk") else { return };
    let mut walk = Vk {
        files: BTreeMap::new(),
        seen: BTreeSet::new(),
        fields: Fields::new(),
        waiting: Vec::new(),
    };
    let events = folder.join("callback/objects.json");
    let definitions = json(&events);
    for name in definitions["definitions"].as_object().expect("definitions").keys() {
        walk.waiting.push((events.clone(), name.clone()));
    }
    walk.run();
    hold("vk", &walk.fields);
}

/// Definitions that refer to one another across files.
struct Vk {
    files: BTreeMap<PathBuf, Value>,
    seen: BTreeSet<(PathBuf, String)>,
    fields: Fields,
    waiting: Vec<(PathBuf, String)>,
}

impl Vk {
    fn run(&mut self) {
        while let Some((file, name)) = self.waiting.pop() {
            // People and communities are not what somebody writes.
            let is_party = name.starts_with("users_user") || name.starts_with("groups_group");
            if is_party || !file.is_file() || !self.seen.insert((file.clone(), name.clone())) {
                continue;
            }
            let whole = self.files.entry(file.clone()).or_insert_with(|| json(&file)).clone();
            self.look(&file, &name, &whole["definitions"][&name]);
        }
    }

    fn look(&mut self, file: &Path, owner: &str, node: &Value) {
        if let Some(reference) = node["$ref"].as_str() {
            let (path, name) = reference.split_once("#/definitions/").expect("a reference");
            let target = match path {
                "" => file.to_owned(),
                path => file.parent().expect("a folder").join(path),
            };
            let target = target.canonicalize().unwrap_or(target);
            self.waiting.push((target, name.to_owned()));
        }
        for part in ["allOf", "oneOf", "anyOf"] {
            for inner in node[part].as_array().into_iter().flatten() {
                self.look(file, owner, inner);
            }
        }
        if node["items"].is_object() {
            self.look(file, owner, &node["items"]);
        }
        for (own, property) in node["properties"].as_object().into_iter().flatten() {
            if is_text(property) && property.get("enum").is_none() {
                self.fields.entry(own.clone()).or_default().insert(owner.to_owned());
            }
            self.look(file, owner, property);
        }
    }
}

/// Properties of a type, also those of the types it is made of.
fn properties(of: &Value, each: &mut dyn FnMut(&str, &Value)) {
    for part in ["allOf", "oneOf", "anyOf"] {
        for inner in of[part].as_array().into_iter().flatten() {
            properties(inner, each);
        }
    }
    for (name, property) in of["properties"].as_object().into_iter().flatten() {
        each(name, property);
    }
}

/// A text or a list of texts.
fn is_text(property: &Value) -> bool {
    let says = |value: &Value| match &value["type"] {
        Value::String(kind) => kind == "string",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "string"),
        _ => false,
    };
    says(property) || says(&property["items"])
}
