//! Reading the settings: the file as a tree, the environment on top, and then both as one.

use std::path::{Path, PathBuf};

use config::{Environment, Source as _};
use priem_sdk::registry::{unknown, unknown_value, with_key};
use priem_yaml::{Cause, Node, Scalar, Value};
use serde::Deserialize as _;

use super::{Settings, shape::shape};

/// Environment variables that are settings begin so; the keys follow.
const PREFIX: &str = "PRIEM";
/// What stands before every key in the name of a variable.
const BETWEEN: &str = "__";

/// Why the settings can't be used. Names the file, the line and the key.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is wrong.
    #[error("{place}: {problem}")]
    Wrong {
        /// File, line and column, or the name of an environment variable.
        place: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
}

/// Reads a settings file and the environment.
///
/// # Errors
/// See [`SettingsError`].
pub fn load(path: &Path) -> Result<Settings, SettingsError> {
    parse(&read(path)?, path, std::env::vars())
}

/// The text of a settings file.
///
/// # Errors
/// [`SettingsError::Unreadable`], or [`SettingsError::Wrong`] when it is not UTF-8.
pub fn read(path: &Path) -> Result<String, SettingsError> {
    let bytes = std::fs::read(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        SettingsError::Wrong {
            place: format!("{}:{line}", path.display()),
            problem: "is not UTF-8: save the file as UTF-8 (a UTF-16 or windows-1251 file is not read)".into(),
        }
    })
}

/// Reads settings from text and given variables.
///
/// # Errors
/// See [`SettingsError`].
pub fn parse(
    text: &str,
    path: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    let mut tree = priem_yaml::parse(text).map_err(|not_yaml| SettingsError::Wrong {
        place: format!("{}:{}", path.display(), not_yaml.line),
        problem: not_yaml.problem.to_string(),
    })?;
    let names = overlay(&mut tree, variables);
    if let Some((key, line)) = tree.nul() {
        return Err(SettingsError::Wrong {
            place: place(path, line, &names),
            problem: with_key(&key, "holds a NUL character, which no path, name or address may".into()),
        });
    }
    shape_connectors(&mut tree);
    let mut track = serde_path_to_error::Track::new();
    let read = Settings::deserialize(serde_path_to_error::Deserializer::new(&tree, &mut track));
    read.map_err(|wrong| SettingsError::Wrong {
        place: place(path, wrong.line.unwrap_or(tree.line), &names),
        problem: match wrong.cause {
            Cause::UnknownKey { key, known } => unknown(&key, known),
            Cause::UnknownWord { word, known } => with_key(&track.path().to_string(), unknown_value(&word, known)),
            Cause::Other(problem) => with_key(&track.path().to_string(), problem),
        },
    })
}

/// Puts what the environment sets over the file: `PRIEM__AMQP__URL` is the key `amqp.url`. Its values are words, as those
/// of the file are. Gives the names of the variables: the first is the mark [`Node::OUTSIDE`] of the tree, and so on.
fn overlay(tree: &mut Node, variables: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let environment = Environment::with_prefix(PREFIX)
        .prefix_separator(BETWEEN)
        .separator(BETWEEN)
        .source(Some(variables.into_iter().collect()))
        .collect();
    // Words are never refused here: what they mean is asked by the setting that reads them.
    let mut set: Vec<_> = environment.unwrap_or_default().into_iter().collect();
    set.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut names = Vec::with_capacity(set.len());
    for ((key, value), line) in set.into_iter().zip(Node::OUTSIDE..) {
        let keys: Vec<String> = key.split('.').map(str::to_owned).collect();
        names.push([PREFIX, &keys.join(BETWEEN).to_ascii_uppercase()].join(BETWEEN));
        let text = value.into_string().unwrap_or_default();
        // An empty variable is an empty text, not nothing.
        let scalar = match text.is_empty() {
            true => Scalar::quoted(text),
            false => Scalar::plain(text),
        };
        let value = Value::Scalar(scalar);
        tree.put(&keys, Node { line, value });
    }
    names
}

/// Connectors read their settings from JSON: what their schemas want as text is made text.
fn shape_connectors(tree: &mut Node) {
    let Value::Map(sections) = &mut tree.value else { return };
    let connectors = sections.iter_mut().find(|section| section.key == "connectors");
    let Some(Value::Map(entries)) = connectors.map(|section| &mut section.node.value) else {
        return;
    };
    for entry in entries {
        let kind = match entry.node.get("type").map(|kind| &kind.node.value) {
            Some(Value::Scalar(kind)) => kind.text().to_owned(),
            _ => continue,
        };
        if let Some(kind) = priem_connectors::CONNECTORS.iter().find(|known| known.name == kind) {
            shape(&mut entry.node, &(kind.schema)().to_value());
        }
    }
}

/// Where a mark of the tree is: a line of the file, or one of the variables.
fn place(path: &Path, line: u32, names: &[String]) -> String {
    let variable = line.checked_sub(Node::OUTSIDE).and_then(|at| names.get(at as usize));
    match variable {
        Some(name) => format!("environment variable {name}"),
        None => format!("{}:{line}", path.display()),
    }
}

/// A folder as an absolute path, for messages that are understood from anywhere.
pub fn absolute(folder: &Path) -> PathBuf {
    // `absolute` refuses the empty path, which here means the working directory.
    std::path::absolute(Path::new(".").join(folder)).unwrap_or_else(|_| folder.to_owned())
}

/// Where a key stands, for errors that are found when the settings are read already: file and line, or the variable. A
/// key that is missing stands where the mapping does that lacks it.
pub fn place_of(text: &str, path: &Path, keys: &[&str]) -> String {
    let Ok(mut tree) = priem_yaml::parse(text) else {
        return path.display().to_string();
    };
    let names = overlay(&mut tree, std::env::vars());
    place(path, tree.line_of(keys), &names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(text, Path::new("priem.yaml"), variables)
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let settings = parse_with("", &[]).unwrap();
        assert_eq!(settings.journal.raw_days, 30);
        assert!(settings.amqp.is_none());
    }

    #[test]
    fn the_environment_wins() {
        let settings = parse_with("journal:\n  raw_days: 7\n", &[("PRIEM__JOURNAL__RAW_DAYS", "9")]).unwrap();
        assert_eq!(settings.journal.raw_days, 9);
        let settings = parse_with("", &[("PRIEM__AMQP__URL", "amqp://u:p@broker/%2f")]).unwrap();
        assert!(settings.amqp.is_some());
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_nearest_known_one() {
        let error = parse_with("version: 1\njournal:\n  raw_dais: 7\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("priem.yaml:3: unknown key `raw_dais`, did you mean `raw_days`?"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = parse_with("", &[("PRIEM__JOURNAL__RAW_DAIS", "9")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("PRIEM__JOURNAL__RAW_DAIS") && error.contains("did you mean `raw_days`"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for (key, text) in [
            ("amqp.password", "amqp:\n  password: HUNTER2\n"),
            ("amqp.url_secret", "amqp:\n  url_secret: amqp://u:HUNTER2@h\n"),
            ("amqp.tls.key", "amqp:\n  tls:\n    key: [HUNTER2]\n"),
            ("unknown key `passwrd`", "amqp:\n  passwrd: HUNTER2\n"),
            ("amqp", "amqp: amqp://u:HUNTER2@h\n"),
        ] {
            let error = parse_with(text, &[]).unwrap_err().to_string();
            assert!(
                error.contains(&format!(": {key}")) && !error.contains("HUNTER2"),
                "{error}"
            );
            assert!(error.starts_with("priem.yaml:"), "{error}");
        }
        for variable in [
            "PRIEM__AMQP__PASSWORD",
            "PRIEM__AMQP__TLS__KEY",
            "PRIEM__AMQP__URL_SECRET",
        ] {
            let error = parse_with("", &[(variable, "HUNTER2")]).unwrap_err().to_string();
            assert!(
                error.contains(variable) && error.contains("named by reference"),
                "{error}"
            );
            assert!(error.contains(": amqp.") && !error.contains("HUNTER2"), "{error}");
        }
        let settings = parse_with("", &[("PRIEM__AMQP__PASSWORD__FILE", "/etc/p")]).unwrap();
        assert!(settings.amqp.unwrap().password.is_some());
    }

    #[test]
    fn connector_settings_keep_their_names() {
        let text = "connectors:\n  tg-main:\n    type: telegram\n    Token: {env: X}\n";
        let settings = parse_with(text, &[]).unwrap();
        assert_eq!(settings.connectors["tg-main"].kind, "telegram");
        assert!(settings.connectors["tg-main"].settings.contains_key("Token"));
        let place = |keys: &[&str]| place_of(text, Path::new("priem.yaml"), keys);
        assert_eq!(place(&["connectors", "tg-main", "Token"]), "priem.yaml:4");
    }

    fn problem(text: &str) -> String {
        parse_with(text, &[]).expect_err(text).to_string()
    }

    #[test]
    fn a_byte_order_mark_and_windows_lines_are_no_matter() {
        let settings = parse_with("\u{feff}version: 1\r\njournal: { raw_days: 3 }\r\n", &[]).unwrap();
        assert_eq!(settings.journal.raw_days, 3);
    }

    #[test]
    fn merge_keys_take_in_what_is_not_there() {
        let text = "connectors:\n  one: &base\n    type: files\n    folder: ex\n    mapping: incident\n  two:\n    <<: *base\n    \
                    folder: ex2\n  three: { <<: [{ folder: ex3 }, *base], enabled: no }\n";
        let settings = parse_with(text, &[]).unwrap();
        let folder = |name: &str| settings.connectors[name].settings["folder"].clone();
        assert_eq!((folder("two"), folder("three")), ("ex2".into(), "ex3".into()));
        assert_eq!(settings.connectors["three"].kind, "files");
        assert!(settings.connectors["two"].enabled && !settings.connectors["three"].enabled);
        assert!(settings.connectors["two"].settings.get("<<").is_none());
        let error = problem("version: 1\njournal:\n  <<: nothing\n");
        assert!(
            error.starts_with("priem.yaml:3: `<<` takes in mappings only"),
            "{error}"
        );
        let error = problem("journal:\n  dir: a\n  raw_days: 1\n  dir: b\n");
        assert!(
            error.starts_with("priem.yaml:4: `dir` stands twice, first in line 2"),
            "{error}"
        );
    }

    #[test]
    fn words_without_quotes_are_kept_where_text_is_wanted() {
        let settings = parse_with(
            "journal: { dir: 016 }\nndjson: { path: 007 }\nlog: { level: debug }\nconnectors:\n  a:\n    type: files\n    \
             folder: 12\n    mapping: mss\n    columns: { A: number, N: text, yes: no }\n",
            &[("PRIEM__NDJSON__PATH", "0089"), ("PRIEM__RULES__DIR", "2026")],
        )
        .unwrap();
        assert_eq!(settings.journal.dir, Path::new("016"));
        assert_eq!(settings.ndjson.path, Path::new("0089"), "from the environment");
        assert_eq!(settings.rules.dir.as_deref(), Some(Path::new("2026")));
        let connector = &settings.connectors["a"].settings;
        assert_eq!(connector["folder"], "12");
        assert_eq!(
            connector["columns"],
            serde_json::json!({"A": "number", "N": "text", "yes": "no"})
        );
    }

    #[test]
    fn numbers_and_switches_are_what_they_say() {
        let error = problem("version: 1\njournal:\n  raw_days: 007\n");
        assert!(
            error.starts_with("priem.yaml:3: journal.raw_days: a number has no leading zeros"),
            "{error}"
        );
        let error = problem("journal: { raw_days: many }\n");
        assert!(
            error.contains("priem.yaml:1: journal.raw_days: invalid type: string"),
            "{error}"
        );
        for (word, value) in [
            ("yes", true),
            ("no", false),
            ("On", true),
            ("off", false),
            ("true", true),
        ] {
            let settings = parse_with(&format!("ndjson: {{ fsync: {word} }}\n"), &[]).unwrap();
            assert_eq!(settings.ndjson.fsync, value, "{word}");
            let settings = parse_with("", &[("PRIEM__NDJSON__FSYNC", word)]).unwrap();
            assert_eq!(settings.ndjson.fsync, value, "{word} from the environment");
        }
        assert!(problem("ndjson: { fsync: \"yes\" }\n").contains("ndjson.fsync"));
    }

    #[test]
    fn a_missing_key_stands_where_the_mapping_does_that_lacks_it() {
        let text = "version: 1\njournal: { dir: journal }\nconnectors:\n  one:\n    type: files\n    mapping: incident\n  \
                    two:\n    type: files\n    folder: ex2\n";
        let place = |keys: &[&str]| place_of(text, Path::new("priem.yaml"), keys);
        assert_eq!(place(&["connectors", "one", "folder"]), "priem.yaml:4");
        assert_eq!(place(&["connectors", "two", "mapping"]), "priem.yaml:7");
        assert_eq!(place(&["connectors", "two", "folder"]), "priem.yaml:9");
        assert_eq!(place(&["http", "admin"]), "priem.yaml:1");
        let error = problem("version: 1\nconnectors:\n  one:\n    folder: a\n");
        assert!(
            error.starts_with("priem.yaml:3: connectors.one.type: missing field"),
            "{error}"
        );
    }

    #[test]
    fn sections_with_everything_commented_out_are_as_if_left_out() {
        let settings = parse_with(
            "version: 1\njournal:\n  # dir: a\nhttp:\nconnectors:\namqp:\nlog:\n",
            &[],
        )
        .unwrap();
        assert!(settings.amqp.is_none() && settings.connectors.is_empty());
        assert_eq!(settings.log.level, "info");
        let text = "amqp:\n  url: amqp://h\n  queues:\n  # - name: roads\n  #   bindings: [ in.# ]\n";
        let amqp = parse_with(text, &[]).unwrap().amqp.unwrap();
        assert!(amqp.queues.is_empty());
        assert_eq!(amqp.queues()[0].name, "priem.messages");
    }

    #[test]
    fn a_file_that_is_no_utf8_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"version: 1\n# \xdf\xec\xe0\n").unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        assert!(error.contains(":2: is not UTF-8: save the file as UTF-8"), "{error}");
    }

    /// What an operator may write for a setting that is text, bare or in quotes.
    const WORDS: [&str; 18] = [
        "plain",
        "007",
        "016",
        "0x10",
        "1_000",
        "1e3",
        "1.50",
        "-0",
        "+5",
        "no",
        "Yes",
        "N",
        "on",
        "2026-01-01",
        "12:30",
        ".5",
        "0o17",
        "TRUE",
    ];

    proptest::proptest! {
        /// Text is the same by all ways: bare in the file, in quotes, from the environment, in JSON.
        #[test]
        fn text_is_the_same_by_all_ways(word in proptest::sample::select(&WORDS[..]), more in "[a-zA-Z0-9]{0,3}") {
            let word = format!("{word}{more}");
            let bare = parse_with(&format!("log: {{ level: {word} }}\n"), &[]).unwrap().log.level;
            let quoted = parse_with(&format!("log: {{ level: \"{word}\" }}\n"), &[]).unwrap().log.level;
            let variable = parse_with("", &[("PRIEM__LOG__LEVEL", word.as_str())]).unwrap().log.level;
            let json: Settings = serde_json::from_value(serde_json::json!({"log": {"level": word}})).unwrap();
            proptest::prop_assert_eq!([&bare, &quoted, &variable], [&word; 3]);
            proptest::prop_assert_eq!(json.log.level, word.clone());
            let folder = format!("connectors: {{ a: {{ type: files, mapping: mss, folder: {word} }} }}\n");
            let settings = parse_with(&folder, &[]).unwrap();
            proptest::prop_assert_eq!(&settings.connectors["a"].settings["folder"], &serde_json::json!(word));
        }

        /// A number is the same by all ways.
        #[test]
        fn a_number_is_the_same_by_all_ways(number in 1u32..100_000) {
            let bare = parse_with(&format!("journal: {{ raw_days: {number} }}\n"), &[]).unwrap();
            let text = number.to_string();
            let variable = parse_with("journal: { raw_days: 1 }\n", &[("PRIEM__JOURNAL__RAW_DAYS", text.as_str())]).unwrap();
            proptest::prop_assert_eq!([bare.journal.raw_days, variable.journal.raw_days].map(u64::from), [u64::from(number); 2]);
        }

        /// Whatever stands there, there are settings or there is an error.
        #[test]
        fn any_text_is_read_or_refused_and_never_a_panic(text in "[a-z0-9:{}\\[\\]&*<>\"' \n-]{0,60}") {
            let _ = parse_with(&text, &[]);
        }
    }

    #[test]
    fn the_defaults_written_out_are_the_defaults() {
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        // JSON is YAML.
        let read = parse_with(&defaults.to_string(), &[]).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), defaults);
    }
}
